"""Scoring the trials of a ladder on the report split, by the real worker in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests import two_layers
from tests.fakes import Workbench, study_spec
from tests.ladders import Climbed

from bertdistill.engine.analysis.ladder_evidence import read_known, report_split, scorable
from bertdistill.engine.analysis.scored import TEACHER, Split
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.distill.families.table import BUILDERS
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.launch.launchers import InlineLauncher
from bertdistill.engine.steering.report_scores import ReportRun, score_on_report
from bertdistill.store import reads, writes

LINES = [
    f"a {word} film of {n} minutes;{label}\n" for n in range(20) for word, label in (("good", "yes"), ("bad", "no"))
]
REPORT_ROWS = 30
NUMBERS = (0, 1)


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """A complete study of a transformer and another family; the report split differs from the training data."""
    monkeypatch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
    monkeypatch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    teacher = {"model": "scratch", "layers": 1, "hidden_size": 16, "ffn_size": 16, "head_size": 8, "vocab_size": 64}
    settings = {"layers": 1, "hidden_size": 8, "head_size": 8, "learning_rate": 1e-2, "epochs": 2.0, "evaluations": 1}
    spec = study_spec(
        tmp_path,
        teacher=teacher | {"fine_tune": {"epochs": 1.0}},
        student={"init": "scratch"},
        settings=settings,
        search={"family": {"choices": ["transformer", two_layers.NAME]}},
        baseline={"family": "transformer"},
        budget={"trials": 2},
        sampler={"kind": "grid"},
    )
    Path(spec.data.train).write_text("".join(LINES))
    Path(spec.data.report).write_text("".join(LINES[:REPORT_ROWS]))
    bench = Workbench(tmp_path, spec)
    bench.launcher = InlineLauncher()
    bench.renew()
    yield bench.start().finish()
    bench.close()
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def report(bench: Workbench) -> Split:
    """What is known of the report split."""
    known = read_known(bench.workspace, "toy", NUMBERS)
    facts = Prepared.from_dict(bench.study().prepared)
    return report_split(bench.workspace, known, scorable(bench.workspace, known, bench.spec, facts), "accuracy")


def test_every_model_is_scored_once(done: Workbench) -> None:
    """The teacher and students of any family, with predictions; only caches are stored, and no run folder stays."""
    told: list[str] = []
    before = sorted(path.name for path in (done.workspace.path / "runs/toy").iterdir())
    first = score_on_report(done.workspace, "toy", NUMBERS, launcher=InlineLauncher(), say=told.append)
    assert ReportRun(now=3, before=0, gone=()) == first
    found = report(done)
    assert ({0, 1, TEACHER}, set(found.scores)) == (set(found.scores), set(found.statistics))
    assert REPORT_ROWS == found.examples
    assert all(0 <= score <= 100 for score in found.scores.values())
    assert before == sorted(path.name for path in (done.workspace.path / "runs/toy").iterdir())
    with done.db.read() as session:
        assert [] == reads.model_versions(session)
    assert told
    again = score_on_report(done.workspace, "toy", NUMBERS, launcher=InlineLauncher())
    assert ReportRun(now=0, before=3, gone=()) == again


def test_a_changed_checkpoint_is_refused(done: Workbench) -> None:
    """The message names the file; the models before it keep their results, and a removed checkpoint is reported."""
    with done.db.read() as session:
        bests = {one.trial_id: one for one in reads.checkpoints(session) if one.role == "best"}
    first, second = (bests[trial.id] for trial in done.trials())
    with done.db.write() as session:
        writes.drop_checkpoint(session, first.id, now=1.0)
    (done.workspace.absolute(second.folder) / "model.safetensors").write_bytes(b"other")
    with pytest.raises(WorkerFailed, match="is not the recorded file"):
        score_on_report(done.workspace, "toy", NUMBERS, launcher=InlineLauncher())
    assert {TEACHER} == set(report(done).scores)
    only = score_on_report(done.workspace, "toy", NUMBERS[:1], launcher=InlineLauncher())
    assert ReportRun(now=0, before=1, gone=(0,)) == only


def test_a_worker_that_cannot_start_its_work(tmp_path: Path) -> None:
    """Its words are the error, and its log stays."""
    climbed = Climbed(tmp_path)
    with pytest.raises(WorkerFailed) as refused:
        score_on_report(climbed.workspace, "toy", [0], launcher=InlineLauncher())
    assert "log.txt" in refused.value.hint
