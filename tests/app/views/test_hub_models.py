"""What a plan says of models that are named by a hub id."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bertdistill.app.views import hub_models
from bertdistill.app.views.hub_models import HubModel, model_words, out_of_reach
from bertdistill.engine.contract.spec import StudentSpec, TeacherSpec
from bertdistill.engine.study.study_spec import StudySpec

NAME = "nobody/nothing"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, which cannot be reached."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub_models, "_no_answer", lambda endpoint: f"{endpoint} does not respond")
    return tmp_path / "hub"


def downloaded(cache: Path, *names: str) -> None:
    """Leave these files in the cache, as a download does."""
    folder = cache / "models--nobody--nothing"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / "snapshots" / "abc" / name).write_text("{}")


def of(spec: StudySpec, **init: str) -> StudySpec:
    """The study with a teacher of the hub."""
    student = StudentSpec(**init) if init else spec.student
    return dataclasses.replace(spec, teacher=TeacherSpec(model=NAME), student=student)


def test_a_model_is_here_once_its_weights_are(spec: StudySpec, cache: Path) -> None:
    """A config.json alone, as an earlier plan leaves it, trains nothing; students that start from the same one count
    once."""
    downloaded(cache, "config.json")
    [found] = hub_models.hub_models(of(spec, init=NAME))
    assert (found.key, found.cached) == ("teacher.model", False)
    assert "does not respond" in found.problem
    downloaded(cache, "model.safetensors")
    assert [HubModel("teacher.model", NAME, cached=True)] == hub_models.hub_models(of(spec))
    assert [] == hub_models.hub_models(spec)


def test_without_a_network_for_good_it_is_a_problem(
    spec: StudySpec, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that does not respond now may do so at the start; another machine may have what this one lacks."""
    study = of(spec)
    assert [] == out_of_reach(study, hub_models.hub_models(study))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    [problem] = out_of_reach(study, hub_models.hub_models(study))
    assert problem.startswith("teacher.model = 'nobody/nothing' is not in the cache of this machine")
    assert "unset HF_HUB_OFFLINE" in problem
    far = dataclasses.replace(study, runner=dataclasses.replace(study.runner, prepare_on="gpu-box"))
    assert [] == out_of_reach(far, hub_models.hub_models(far))


@pytest.mark.parametrize(
    ("cached", "problem", "words"),
    [
        (True, "", f"{NAME}, downloaded before"),
        (False, "", f"{NAME}, downloaded when the study starts"),
        (
            False,
            "no route: 7",
            f"{NAME}: not on this machine, and cannot be downloaded now (no route). Give the folder",
        ),
    ],
)
def test_where_it_comes_from_is_said(cached: bool, problem: str, words: str) -> None:
    """Nothing is called valid that was not looked at."""
    assert model_words(HubModel("teacher.model", NAME, cached, problem).to_dict()).startswith(words)
