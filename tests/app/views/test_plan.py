"""A plan is right about sizes, close about the rest, and starts nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.app.views import hub_models
from bertdistill.app.views.plan import make_plan, plan_text
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings, StudentSpec, TeacherSpec
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.encoder_sizes import known_metrics
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.config import changed, load_study, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec

SHAPE = bert_shape(vocab_size=500, positions=512, hidden_size=64, ffn_size=128, layers=2, head_size=16)


def size(spec: StudySpec, **settings: int) -> int:
    """Parameters of one student of the sample study."""
    changed_settings = dataclasses.replace(spec.settings, **settings)
    known = known_metrics(SHAPE, changed_settings, scratch=True, task=spec.task, labels=2, mean_length=64)
    return int(known["params"])


def saved_model(folder: Path) -> Path:
    """A folder with the config.json of a model shaped like the sample teacher; its weights are never read."""
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "vocab.txt").touch()
    config = {"model_type": "bert", "vocab_size": 500, "hidden_size": 64, "intermediate_size": 128}
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2, "num_attention_heads": 4}))
    return folder


def test_sizes_of_baseline_and_space(spec: StudySpec) -> None:
    """The baseline's exact size, the smallest and the largest student that the space allows."""
    planned = make_plan(spec, say=lambda text: None)
    assert {
        "baseline": size(spec, layers=2, hidden_size=64),
        "smallest": size(spec, layers=1, hidden_size=16),
        "largest": size(spec, layers=2, hidden_size=64),
        "refused": 0,
        "students": 6,
    } == planned["sizes"]


def test_heads_and_neurons_that_pruning_removes(spec: StudySpec) -> None:
    """Sizes are those of what is left; a last checkpoint has all of them, the moments of AdamW and a mask."""
    settings = dataclasses.replace(spec.settings, pruning="gradual", pruning_scope="neurons", sparsity=0.25)
    dense = make_plan(spec, say=lambda text: None)
    found = make_plan(dataclasses.replace(spec, settings=settings), say=lambda text: None)
    gone = 2 * 16 * (64 + 1 + 64)  # a quarter of the 64 neurons in each of two layers
    assert dense["sizes"]["largest"] - gone == found["sizes"]["largest"]
    slots, largest = max(1, spec.runner.slots), dense["sizes"]["largest"]
    assert dense["disk_bytes"]["checkpoints"] + slots * largest == found["disk_bytes"]["checkpoints"]


def test_steps_and_examples(spec: StudySpec) -> None:
    """Eight questions, a tenth cut off, batches of 16, two epochs: two steps, whatever is searched here."""
    planned = make_plan(spec, say=lambda text: None)
    assert (7, {"baseline": 2, "least": 2, "most": 2}) == (planned["train_examples"], planned["steps"])


def test_a_long_passage_is_more_than_one_step(spec: StudySpec) -> None:
    """A step counts windows: passages of ten times their length need several, and the plan says that it guesses."""
    train = Path(spec.data.train)
    raw = json.loads(train.read_text())
    for article in raw["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["context"] += " and so on it went for a good while" * 40
    train.write_text(json.dumps(raw))
    planned = make_plan(changed(spec, "settings.batch_size", 1), say=lambda text: None)
    assert (7, True) == (planned["train_examples"], planned["windows_estimated"])
    assert 7 * 5 < planned["train_windows"] < 7 * 20
    assert 2 * planned["train_windows"] == planned["steps"]["baseline"]
    assert f"in an estimated {planned['train_windows']:,} windows" in plan_text(spec, planned)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, ""),
        ({"projection_weight": 1.0}, "projection_weight: "),
        ({"dual_share": 0.5, "vocab_size": 90}, "dual_share: "),
        ({"projection_weight": 1.0, "dual_share": 0.5, "vocab_size": 90}, "projection_weight and dual_share: "),
    ],
)
def test_patents_are_noted(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    """Only where a study uses what is patented."""
    said: list[str] = []
    sections: dict[str, Any] = {"search": {"layers": {"low": 1, "high": 2}}, "baseline": {"layers": 2}}
    make_plan(study_spec(tmp_path, settings={"hidden_size": 32, **settings}, **sections), say=said.append)
    found = [note for note in said if "11,797,862" in note]
    assert bool(named) == len(found)
    assert all(note.startswith(f"note: {named}Google LLC holds US patents") for note in found)


@pytest.mark.parametrize(("metric", "noted"), [("latency_ms", 1), ("latency_ratio", 0)])
def test_aiming_at_wall_time_is_noted(spec: StudySpec, metric: str, noted: int) -> None:
    """It is legal, and unstable beside other work; the note names what is stable."""
    said: list[str] = []
    make_plan(dataclasses.replace(spec, objectives=(*spec.objectives, Objective(metric, "minimize"))), say=said.append)
    assert noted == sum("use latency_ratio" in note for note in said)


def test_what_a_preparation_counted_is_no_guess(spec: StudySpec) -> None:
    """Steps follow from the windows that an earlier study of the same data has made."""
    facts = Prepared(train_examples=7, train_features=33, search_features=5, mean_length=40.0)
    planned = make_plan(spec, say=lambda text: None, facts=facts)
    assert (33, False, 6) == (planned["train_windows"], planned["windows_estimated"], planned["steps"]["baseline"])
    assert ", in 33 windows" in plan_text(spec, planned)


def test_accumulated_passes_are_counted_as_training_counts_them(spec: StudySpec) -> None:
    """Accumulation goes on over the end of an epoch: 7 passes twice, three a step, are five steps and not six."""
    facts = Prepared(train_examples=7, train_features=7, search_features=1, mean_length=40.0)
    small = changed(changed(spec, "settings.batch_size", 1), "settings.accumulation", 3)
    assert 5 == make_plan(small, say=lambda text: None, facts=facts)["steps"]["baseline"]


def test_steps_span_the_searched_batch_sizes_and_epochs(raw_spec: dict[str, Any]) -> None:
    """Largest batch and fewest epochs give the least steps, the opposite the most."""
    del raw_spec["settings"]["epochs"]
    raw_spec["search"] |= {"epochs": {"low": 1.0, "high": 4.0}, "batch_size": {"choices": [1, 7]}}
    raw_spec["baseline"] |= {"epochs": 3.0, "batch_size": 7}
    planned = make_plan(study_from_dict(raw_spec, where="test"), say=lambda text: None)
    assert {"baseline": 3, "least": 1, "most": 28} == planned["steps"]


@pytest.mark.parametrize(
    ("families", "steps", "most", "noted"),
    [
        (["linear"], {"baseline": 1, "least": 1, "most": 1}, 701, "sizes of linear are upper limits"),
        (["transformer", "linear"], {"baseline": 1, "least": 1, "most": 10}, 0, "sizes of linear are"),
        (["transformer", "mlp"], {"baseline": 10, "least": 10, "most": 10}, 0, "sizes of mlp are upper limits"),
        (["transformer"], {"baseline": 10, "least": 10, "most": 10}, 0, ""),
    ],
)
def test_students_of_several_families(
    raw_spec: dict[str, Any], tmp_path: Path, families: list[str], steps: dict[str, int], most: int, noted: str
) -> None:
    """Their sizes span those of all; one that is fitted takes one step; what is not counted yet is an upper limit."""
    path = tmp_path / "train.tsv"
    path.write_text("\n".join(f"a {word} film of {n}\t{word}" for n in range(36) for word in ("good", "bad")))
    path.with_name("report.tsv").write_text("a good film\tgood\na bad film\tbad\n")
    settings: dict[str, Any] = {} if families == ["linear"] else {"batch_size": 16, "epochs": 2.0}
    settings |= {"max_features": 700} if "linear" in families else {}
    raw = raw_spec | {
        "task": "text-classification",
        "data": {"train": str(path), "report": str(path.with_name("report.tsv"))},
        "settings": settings,
        "search": {"family": {"choices": families}} if len(families) > 1 else {"C": {"low": 1.0, "high": 9.0}},
        "objectives": [{"metric": "accuracy"}, {"metric": "params"}],
        "metrics": {},
        "references": [],
        "baseline": {"family": families[-1]} if len(families) > 1 else {},
    }
    if len(families) == 1:
        raw["settings"] = settings | {"family": families[0]}
    if families == ["transformer"]:
        raw["search"] = {"layers": {"low": 1, "high": 2}}
    said: list[str] = []
    planned = make_plan(study_from_dict(raw, where="test"), say=said.append)
    assert planned["steps"] == steps
    assert planned["sizes"]["students"] == len(families) + (families == ["transformer"])
    assert not most or most == planned["sizes"]["largest"]
    assert ("upper limits" in " ".join(said)) == bool(noted)
    assert noted in " ".join(said)


def test_conditions_are_honoured(spec: StudySpec) -> None:
    """A width that is searched only for two layers never widens a student of one."""
    part = changed(spec, "search.ffn_size", {"choices": [64, 4096], "when": {"layers": [2]}})
    sizes = make_plan(part, say=lambda text: None)["sizes"]
    assert (9, size(spec, layers=2, hidden_size=64, ffn_size=4096)) == (sizes["students"], sizes["largest"])


def test_cuts_of_the_initial_model_are_sized(raw_spec: dict[str, Any], tmp_path: Path) -> None:
    """Fewer neurons, smaller hidden states and word embeddings of low rank, alone and together."""
    raw_spec["teacher"] = {"model": str(saved_model(tmp_path / "teacher"))}
    raw_spec |= {"student": {"init": "teacher"}, "settings": {}, "baseline": {}}
    cuts = {"ffn_size": 40, "hidden_size": 33, "embedding_rank": 9}
    raw_spec["search"] = {key: {"choices": [0, value]} for key, value in cuts.items()}
    spec = study_from_dict(raw_spec, where="test")
    smallest, largest = (
        known_metrics(SHAPE, Settings(**one), scratch=False, task=spec.task, labels=2, mean_length=64)["params"]
        for one in (cuts, {})
    )
    sizes = make_plan(spec, say=lambda text: None)["sizes"]
    assert (8, 0) == (sizes["students"], sizes["refused"])
    assert (smallest, largest) == (sizes["smallest"], sizes["largest"])


def test_sizes_that_recipes_set_are_counted(raw_spec: dict[str, Any]) -> None:
    """A recipe may set what no parameter searches."""
    raw = raw_spec | {"recipes": {"one": {"layers": 1}, "two": {"layers": 2}}, "baseline": None}
    raw["search"] = {"recipe": {"choices": ["one", "two"]}}
    spec = study_from_dict(raw, where="test")
    width = spec.settings.hidden_size or 64
    sizes = make_plan(spec, say=lambda text: None)["sizes"]
    assert (size(spec, layers=1, hidden_size=width), size(spec, layers=2, hidden_size=width)) == (
        sizes["smallest"],
        sizes["largest"],
    )


def test_impossible_architectures_are_counted(raw_spec: dict[str, Any], tmp_path: Path) -> None:
    """Evenly spaced layers that the initial model does not have are named, not hidden."""
    raw_spec["teacher"] = {"model": str(saved_model(tmp_path / "teacher"))}
    raw_spec["student"] = {"init": "teacher"}
    raw_spec["settings"] = {"layer_choice": "even"}
    raw_spec["search"] = {"layers": {"low": 1, "high": 3}}
    raw_spec["baseline"] = {"layers": 2}
    spec = study_from_dict(raw_spec, where="test")
    planned = make_plan(spec, say=lambda text: None)
    assert (1, 3) == (planned["sizes"]["refused"], planned["sizes"]["students"])
    assert "1 of 3 architectures cannot be built" in plan_text(spec, planned)


def test_text_is_a_study_file(spec: StudySpec, tmp_path: Path) -> None:
    """What plan prints reads back as the same study, the estimates being comments."""
    path = tmp_path / "again.toml"
    path.write_text(plan_text(spec, make_plan(spec, say=lambda text: None)))
    assert spec == load_study(path)


def test_size_from_the_config_of_a_folder(spec: StudySpec, tmp_path: Path) -> None:
    """A local teacher is read from its config.json."""
    local = dataclasses.replace(spec, teacher=TeacherSpec(model=str(saved_model(tmp_path / "teacher"))))
    assert make_plan(spec, say=lambda text: None)["sizes"] == make_plan(local, say=lambda text: None)["sizes"]


@pytest.mark.parametrize("lacking", ["", "config.json", "model.safetensors", "vocab.txt"])
def test_a_folder_that_no_study_can_begin_with_is_refused(spec: StudySpec, tmp_path: Path, lacking: str) -> None:
    """A missing folder, or one without weights: the preparation would refuse it, so the plan does."""
    teacher = saved_model(tmp_path / "teacher") / lacking if lacking else tmp_path / "nowhere"
    teacher.unlink(missing_ok=True)
    folder = tmp_path / ("teacher" if lacking else "nowhere")
    local = dataclasses.replace(spec, teacher=TeacherSpec(model=str(folder)))
    with pytest.raises(ConfigError, match=rf"teacher\.model = .*{lacking.partition('.')[2] or 'not a folder'}"):
        make_plan(local, say=lambda text: None)


def test_a_start_model_is_looked_at_too(spec: StudySpec, tmp_path: Path) -> None:
    """Students may begin with another model than the teacher."""
    init = StudentSpec(init=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"student\.init = .*not a folder"):
        make_plan(dataclasses.replace(spec, student=init), say=lambda text: None)


@pytest.mark.parametrize("offline", [False, True])
def test_unreachable_hub_is_said_and_the_rest_printed(
    spec: StudySpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offline: bool
) -> None:
    """Without network the sizes are unknown, and everything else still is told; with it switched off, the study
    could not run."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_models, "_no_answer", lambda endpoint: "no route")
    said: list[str] = []
    remote = dataclasses.replace(spec, teacher=TeacherSpec(model="nobody/nothing"))
    if offline:
        with pytest.raises(ConfigError, match=r"teacher\.model = 'nobody/nothing' is not in the cache"):
            make_plan(remote, say=said.append)
        return
    planned = make_plan(remote, say=said.append)
    assert planned["sizes"]["baseline"] is None
    assert {"baseline": 2, "least": 2, "most": 2} == planned["steps"]
    assert any("config.json of nobody/nothing cannot be downloaded from the hub" in line for line in said)
    text = " ".join(plan_text(remote, planned).split())
    assert "baseline unknown until the models and data can be read" in text
    assert "teacher.model nobody/nothing: not on this machine, and cannot be downloaded now (no route)" in text
    assert "time known once the first trial has ended" in text


def test_disk_grows_with_the_budget(spec: StudySpec) -> None:
    """One best checkpoint a trial, one last checkpoint a worker."""
    less = make_plan(spec, say=lambda text: None)["disk_bytes"]["checkpoints"]
    more = make_plan(changed(spec, "budget.trials", 80), say=lambda text: None)["disk_bytes"]["checkpoints"]
    assert 4 * size(spec, layers=2, hidden_size=64) * 72 == more - less


@pytest.mark.parametrize("state", ["missing", "linked", "empty"])
def test_files_that_would_spoil_a_study_late_are_config_errors(spec: StudySpec, state: str) -> None:
    """A report that is not there or is the training file, and a training file without an example."""
    train, report = Path(spec.data.train), Path(spec.data.report)
    if state == "empty":
        train.write_text('{"data": []}')
    else:
        report.unlink()
    if state == "linked":
        report.symlink_to(train)
    with pytest.raises(ConfigError, match=r"data\.train" if state == "empty" else r"data\.report = .*report\.json"):
        make_plan(spec, say=lambda text: None)


def test_states_of_the_teacher_are_part_of_the_caches(raw_spec: dict[str, Any], tmp_path: Path) -> None:
    """One vector of every layer but the last for each of 7 windows, if a trial may ask for them."""
    raw = raw_spec | {"teacher": {"model": str(saved_model(tmp_path / "teacher"))}, "student": {"init": "scratch"}}
    raw["settings"] = raw.get("settings", {}) | {"hidden_weight": 10.0}
    planned = make_plan(study_from_dict(raw, where="here"), say=lambda text: None)
    assert 7 * 1 * 64 * 2 == planned["disk_bytes"]["states"]
    assert 3 == planned["sizes"]["refused"]  # of one layer
    plain = make_plan(study_from_dict(raw_spec, where="here"), say=lambda text: None)
    assert 0 == plain["disk_bytes"]["states"]
