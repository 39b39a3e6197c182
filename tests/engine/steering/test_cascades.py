"""A cascade from a whole study to a promoted folder that a clean process asks: real workers, tiny models."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests import two_layers
from tests.fakes import Workbench, study_spec

from bertdistill.app.cli import main
from bertdistill.engine.analysis.cascade import Cascade, Cut
from bertdistill.engine.analysis.cascade_inputs import cascade_in, points_in, read_cascade
from bertdistill.engine.analysis.joined import Joined
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.distill.export.answer import ask
from bertdistill.engine.distill.families.table import BUILDERS
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.launch.launchers import InlineLauncher
from bertdistill.engine.steering.cascades import promote_cascade
from bertdistill.engine.steering.integrity import changed
from bertdistill.engine.steering.promotions import settle_promotion
from bertdistill.store import reads, writes
from bertdistill.store.rows import ModelVersion, StudyState, Trial

PROGRAM = """import json, sys
sys.path.insert(0, ".")
from modeling import load
print(json.dumps(load(".")(sys.argv[1])))
"""
WORDS = {"yes": ("good", "fine", "bright", "warm"), "no": ("bad", "dull", "grey", "cold")}


def lines(seed: int, count: int = 160) -> str:
    """Reviews whose one word that counts is now and then of the other label, so that no model is right everywhere."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        label = draw.choice(("yes", "no"))
        other = {"yes": "no", "no": "yes"}[label]
        words = [draw.choice(WORDS[label if draw.random() < 0.75 else other]) for _ in range(3)]
        rows.append(f"a {' and '.join(words)} film number {number};{label}")
    return "\n".join(rows) + "\n"


@dataclass(frozen=True)
class Done:
    """A finished study of two families."""

    bench: Workbench
    small: int
    """A trial of two layers."""
    encoder: int
    """A transformer."""
    mlp: int
    """A bag of words, in the units of the teacher."""

    @property
    def trials(self) -> dict[int, Trial]:
        return {trial.number: trial for trial in self.bench.trials()}

    def folder(self, number: int) -> Path:
        with self.bench.db.read() as session:
            found = reads.best_checkpoint(session, self.trials[number].id)
        assert found is not None
        return self.bench.workspace.absolute(found.folder)

    def promote(self, first: int, second: int | None, share: float = 0.25, **more: Any) -> ModelVersion:
        def choose(found: Cascade) -> Cut:
            return found.at_share(share)

        version = promote_cascade(
            self.bench.workspace, "toy", first, second, "both", choose, who="ada", launcher=InlineLauncher(), **more
        )
        return settle_promotion(self.bench.workspace, version.id)


@pytest.fixture(scope="module")
def patched() -> Iterator[None]:
    """The family of two layers is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
        patch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())
        yield


@pytest.fixture(scope="module")
def done(patched: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    """A study whose workers, the real ones, run in this process."""
    root = tmp_path_factory.mktemp("study")
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    tune = {"epochs": 30.0, "learning_rate": 1e-2}
    shape = {"layers": 1, "hidden_size": 16, "ffn_size": 16, "head_size": 8, "vocab_size": 120}
    spec = study_spec(
        root,
        data={"search_fraction": 0.4},
        teacher={"model": "scratch", **shape, "fine_tune": tune},
        student={"init": "scratch"},
        settings={"layers": 1, "head_size": 8, "hidden_size": 8, "epochs": 3.0, "learning_rate": 3e-3}
        | {"batch_size": 8, "evaluations": 1, "precision": "fp32"},
        search={"family": {"choices": [two_layers.NAME, "transformer", "mlp"]}},
        objectives=[{"metric": "accuracy"}, {"metric": "latency_cpu_ms"}],
        sampler={"kind": "grid"},
        baseline={},
        budget={"trials": 4},
    )
    Path(spec.data.train).write_text(lines(1))
    Path(spec.data.report).write_text(lines(2))
    bench = Workbench(root, spec)
    bench.launcher = InlineLauncher()
    bench.renew()
    bench.start().run()
    assert StudyState.COMPLETE == bench.study().state
    families = {trial.settings["family"]: trial.number for trial in bench.trials()}
    yield Done(bench, families[two_layers.NAME], families["transformer"], families["mlp"])
    bench.close()
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def test_a_curve_of_two_families_follows_from_what_was_stored(done: Done) -> None:
    """Its ends are the recorded scores of the two trials; no model runs. Measured costs, tokenizer included."""
    found = read_cascade(done.bench.workspace, "toy", done.encoder, done.small)
    assert (f"#{done.small}", f"#{done.encoder}") == (found.small.name, found.large.name)
    curve = found.curve()
    for cut, number in ((curve[0], done.small), (curve[-1], done.encoder)):
        assert done.trials[number].metrics["accuracy"] == pytest.approx(cut.scores["accuracy"])
    assert "latency_cpu_ms" == found.cost.metric
    assert found.cost.small == done.trials[done.small].metrics["latency_cpu_ms"] < found.cost.large
    assert found.cost.tokenizer > 0
    assert ("accuracy", "macro_f1", "matthews") == found.scores
    teacher = read_cascade(done.bench.workspace, "toy", done.small, None)
    prepared = done.bench.study().prepared or {}
    assert prepared["teacher_metrics"]["accuracy"] == pytest.approx(teacher.curve()[-1].scores["accuracy"])
    assert prepared["teacher_costs"]["latency_cpu_ms"] == teacher.cost.large


def names(points: list[Joined]) -> set[str]:
    """The members of these cascades."""
    return {name for one in points for name in (one.small, one.large)}


def test_points_of_all_pairs_leave_out_trials_without_outputs(done: Done) -> None:
    """One that was trained by an older version costs its own pairs only."""
    with done.bench.db.read() as session:
        every = points_in(session, done.bench.workspace, done.bench.study(), list(done.trials.values()))
    assert {"teacher", f"#{done.small}", f"#{done.encoder}"} <= names(every)
    logits = done.folder(done.small) / CLASS_LOGITS
    kept = logits.read_bytes()
    logits.unlink()
    try:
        with done.bench.db.read() as session:
            rest = points_in(session, done.bench.workspace, done.bench.study(), list(done.trials.values()))
        assert names(every) - {f"#{done.small}"} == names(rest)
        with pytest.raises(ActionRefused, match="stored no logits of the validation split") as no:
            read_cascade(done.bench.workspace, "toy", done.small, None)
        assert "rerun" in no.value.hint.lower()
    finally:
        logits.write_bytes(kept)


@pytest.mark.parametrize("wrong", [b"", b"junk", "other rows", "not finite", "a pickle"])
def test_damaged_outputs_are_refused(done: Done, wrong: Any) -> None:
    """Whatever a worker left in its folder, nothing is unpickled and nothing is computed from noise."""
    path = done.folder(done.small) / CLASS_LOGITS
    kept = path.read_bytes()
    stored = np.load(path)
    made = {"other rows": stored[1:], "not finite": stored * np.nan, "a pickle": np.array([{}], object)}
    try:
        if isinstance(wrong, bytes):
            path.write_bytes(wrong)
        else:
            np.save(path, made[wrong], allow_pickle=True)
        with pytest.raises(ActionRefused, match=r"cannot be read|is damaged"):
            read_cascade(done.bench.workspace, "toy", done.small, None)
    finally:
        path.write_bytes(kept)


def test_older_preparations_and_other_tasks_are_refused(done: Done) -> None:
    """Each with what to do about it."""
    ws, study = done.bench.workspace, done.bench.study()
    with pytest.raises(ActionRefused, match="joined with itself"):
        read_cascade(ws, "toy", done.small, done.small)
    older = replace(study, prepared={**(study.prepared or {}), "search_outputs": ""})
    with done.bench.db.read() as session:
        with pytest.raises(ActionRefused, match="stored no teacher outputs") as no:
            cascade_in(session, ws, older, done.small, None)
        assert "another name" in no.value.hint
        assert cascade_in(session, ws, older, done.small, done.encoder).curve()
        with pytest.raises(ActionRefused, match="question-answering; cascades join classifiers"):
            cascade_in(session, ws, replace(study, task="question-answering"), done.small, None)
        with pytest.raises(ActionRefused, match="not prepared"):
            cascade_in(session, ws, replace(study, prepared=None), done.small, None)


def test_a_teacher_that_is_not_one_model_cannot_be_promoted(done: Done) -> None:
    """Its curve can be shown, but there is nothing to export; two trials of the same study can be joined."""
    study, db = done.bench.study(), done.bench.db
    with db.write() as session:
        writes.set_prepared(session, study.id, {**(study.prepared or {}), "teacher_folder": ""})
    try:
        with pytest.raises(ActionRefused, match="is a file, not one model") as no:
            done.promote(done.encoder, None)
        assert "join two trials" in no.value.hint
        assert read_cascade(done.bench.workspace, "toy", done.encoder, None).curve()
    finally:
        with db.write() as session:
            writes.set_prepared(session, study.id, study.prepared or {})


@pytest.mark.parametrize(("small", "second"), [("encoder", ""), ("mlp", "encoder")])
def test_a_promoted_cascade_is_verified_and_asked_in_a_clean_process(
    done: Done, small: str, second: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Share and scores of the report split, one folder with both models, the same answer in and outside the project."""
    first, other = getattr(done, small), getattr(done, second) if second else None
    version = done.promote(first, other, alias="now", note="for the phone")
    assert ("verified", "") == (version.state, version.detail)
    folder = done.bench.workspace.absolute(version.folder)
    report = version.report
    facts = report["cascade"]
    assert 0.25 == pytest.approx(facts["validation_share"], abs=0.03)
    assert facts["random"]["accuracy"] + facts["margin"] == pytest.approx(version.metrics["accuracy"])
    sizes = {name: sum(t.numel() for t in _weights(folder / name)) for name in ("small", "large")}
    assert sum(sizes.values()) == version.metrics["params"]
    assert version.metrics["latency_cpu_ms"] < facts["mean_cost_ms"]
    rule = json.loads((folder / "router.json").read_text())
    assert {f"#{first}", f"#{other}" if second else "teacher"} == {rule["small"]["name"], rule["large"]["name"]}
    card = (folder / "README.md").read_text()
    assert all(words in card for words in ("random routing", "for the phone", "Guo et al.", f"{rule['threshold']:.4f}"))
    assert "" == changed(done.bench.workspace, version)

    text = "a good and fine and warm film"
    found = ask(folder, {"text": text})
    assert found["answered_by"].split()[0] == ("large" if found["confidence"] < rule["threshold"] else "small")
    ran = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, text], cwd=folder, capture_output=True, text=True, check=False
    )
    assert 0 == ran.returncode, ran.stderr
    there = json.loads(ran.stdout)
    assert (found["label"], found["answered_by"].split()[0]) == (there["label"], there["answered_by"])
    assert found["confidence"] == pytest.approx(there["confidence"], abs=1e-3)
    assert found["probabilities"] == pytest.approx(there["probabilities"], abs=1e-3)

    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["engine", "ask", "both@now", text, "-w", str(done.bench.workspace.path)])
    said = capsys.readouterr().out
    assert (0, True) == (ended.value.code, f"answered by  {found['answered_by']}" in said)


def _weights(folder: Path) -> list[torch.Tensor]:
    return [one for one in load_file(folder / "model.safetensors").values() if one.is_floating_point()]  # no buffers


def test_every_part_of_a_promoted_folder_is_watched(done: Done) -> None:
    """A changed weight of a member, and code that was added to it, are noticed like those of a single model."""
    version = done.promote(done.encoder, None)
    folder = done.bench.workspace.absolute(version.folder)
    weights = folder / "large" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    (folder / "small" / "evil.py").write_text("")
    words = changed(done.bench.workspace, version)
    assert "large/model.safetensors changed" in words
    assert "small/evil.py added" in words


def test_other_outputs_than_recorded_are_refused(done: Done, tmp_path: Path) -> None:
    """The stored outputs said something else than the weights say now: no export, and the reason."""
    path = done.folder(done.encoder) / CLASS_LOGITS
    kept = path.read_bytes()
    try:
        np.save(path, np.load(path)[:, ::-1])
        version = done.promote(done.encoder, None)
    finally:
        path.write_bytes(kept)
    assert ("refused", None) == (version.state, version.folder or None)
    assert "was recorded as" in version.detail
