"""A trial whose loss compares layers with the teacher, from the preparation to a verified export, in this process."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from safetensors import safe_open
from tests.preparing import make_run, split_report

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import CHECKPOINT, METRICS_LOGGED, EventWriter, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import FineTuneSpec, Settings, TeacherSpec
from bertdistill.engine.contract.terms import CLS, LOGITS
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.table import TASKS

TEACHER = TeacherSpec(
    "scratch", vocab_size=90, layers=4, hidden_size=16, ffn_size=16, head_size=8, fine_tune=FineTuneSpec(epochs=0.5)
)
NARROW = Settings(
    layers=2,
    hidden_size=8,
    ffn_size=8,
    head_size=4,
    batch_size=16,
    epochs=1,
    evaluations=1,
    hidden_weight=10.0,
    states_weight=0.1,
    attention_weight=0.1,
    relation_weight=0.1,
)
"""Half as deep and half as wide as the teacher."""


def test_a_narrow_student_learns_from_layers_and_is_exported_without_them(tmp_path: Path) -> None:
    """Every term is logged; projections and teacher are neither counted nor written, and scores repeat without them."""
    run = split_report(make_run(tmp_path / "run", TEACHER))
    run = dataclasses.replace(run, spec=dataclasses.replace(run.spec, signals=[CLS, LOGITS]))
    facts = prepare(run)
    plan = TRANSFORMER.plan(facts, NARROW, scratch=True)
    params = int(TRANSFORMER.known(plan, TASKS[run.spec.task], facts)["params"])
    spec = dataclasses.replace(run.spec, kind="trial", trial=0, prepared=facts, settings=NARROW, expected_params=params)
    paths = RunPaths(tmp_path / "trial")
    paths.folder.mkdir()
    trial = Run(spec, paths, EventWriter(paths.events), threading.Event(), run.device)
    metrics = run_trial(trial)
    assert params == metrics["params"]
    events = [one for line in paths.events.read_bytes().splitlines() if (one := parse_event(line))]
    logged = next(one["values"] for one in events if one["k"] == METRICS_LOGGED)
    terms = [f"train/{name}_loss" for name in ("hidden", "states", "attention", "relation")]
    weights = [NARROW.hidden_weight, NARROW.states_weight, NARROW.attention_weight, NARROW.relation_weight]
    assert all(logged[name] > 0 for name in terms)
    plain = NARROW.alpha * logged["train/soft_loss"] + (1 - NARROW.alpha) * logged["train/hard_loss"]
    compared = sum(weight * logged[name] for weight, name in zip(weights, terms, strict=True))
    assert plain + compared == pytest.approx(logged["train/loss"], rel=1e-5)
    best = [one for one in events if one["k"] == CHECKPOINT and one["role"] == "best"][-1]
    order = Promotion(Path(best["folder"]), best["sha256"], tmp_path / "v1", "narrow", 1, metrics, samples=20)
    promoted = dataclasses.replace(spec, kind="promote", promote=order)
    found = verify(promoted, trial.events, paths, stop=trial.stop, device=run.device)
    assert "" == found["report"]["problem"]
    with safe_open(tmp_path / "v1" / "model.safetensors", "pt") as file:
        assert params == sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - it is no mapping


def test_a_damaged_teacher_is_refused(tmp_path: Path) -> None:
    """It is read by the trial, so its checksum counts, but only where it runs."""
    run = split_report(make_run(tmp_path / "run", TEACHER))
    facts = prepare(run)
    weights = Path(facts.teacher_folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    settings = dataclasses.replace(NARROW, hidden_weight=0.0)
    spec = dataclasses.replace(run.spec, kind="trial", trial=0, prepared=facts, settings=settings)
    with pytest.raises(ConfigError, match=r"model\.safetensors is damaged"):
        run_trial(dataclasses.replace(run, spec=spec))
