"""Whether a study file may start: told in lines without the file's name, with the names that are taken."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.views.study_check import Taken, check, free_name, taken
from bertdistill.engine.study.config import dump, study_from_dict, to_toml
from bertdistill.store.rows import Study, StudyState


@pytest.fixture
def file(raw_spec: dict[str, Any], tmp_path: Path) -> Path:
    """The sample study as a file."""
    path = tmp_path / "sample.toml"
    path.write_text(to_toml(study_from_dict(raw_spec, where="test")))
    return path


def test_a_right_file_may_start(file: Path) -> None:
    """No problem, and nothing is there already."""
    found = check(file, ["budget.trials=3"], {})
    assert found.spec is not None
    assert (3, (), False) == (found.spec.budget.trials, found.problems, found.goes_on)


def test_files_that_are_missing_are_problems_at_once(file: Path) -> None:
    """Not only when the plan has come: "valid" must not stand meanwhile. All of them are named."""
    found = check(file, ["data.train=/nowhere/a.json", "data.report=/nowhere/b.json"], {})
    assert ["data.train = /nowhere/a.json is", "data.report = /nowhere/b.json is"] == [
        " ".join(line.split(" ")[:4]) for line in found.problems
    ]


def test_every_problem_is_a_line(file: Path) -> None:
    """Changes and file are told alike, without the path before each line."""
    found = check(file, ["name=no/name", "sampler.kinds=tpe"], {})
    assert found.spec is None
    assert [line.split(" ")[0] for line in found.problems] == ["name", "[sampler]"]


def test_a_missing_file_and_bad_toml(file: Path, tmp_path: Path) -> None:
    """The hint follows the problem."""
    assert ("no such file. give the path of a study file (TOML)",) == check(tmp_path / "no.toml", [], {}).problems
    file.write_text("name = \n")
    (problem,) = check(file, [], {}).problems
    assert problem.startswith("not valid TOML")


def test_names_that_are_taken(file: Path, raw_spec: dict[str, Any]) -> None:
    """The same study goes on; another of the name is refused with what differs and a name that is free."""
    there = {"demo": Taken(dump(study_from_dict(raw_spec, where="test"))), "demo-2": Taken({})}
    assert check(file, [], there).goes_on
    assert check(file, ["budget.trials=99", "runner.slots=1"], there).goes_on
    (problem,) = check(file, ["settings.epochs=9", "data.max_length=128"], there).problems
    assert (
        'name = "demo" is taken by a study that differs in data, settings; use another name, such as demo-3' == problem
    )


def test_a_study_that_ended_before_it_was_prepared_gives_its_name(file: Path, raw_spec: dict[str, Any]) -> None:
    """A mistyped path may be mended under the same name."""
    spec = dump(study_from_dict(raw_spec, where="test"))
    row = Study(name="demo", task="question-answering", spec=spec, state=StudyState.FAILED, created_at=1.0)
    assert taken([row])["demo"].fresh
    assert () == check(file, ["settings.epochs=9"], taken([row])).problems
    running = {"demo": dataclasses.replace(taken([row])["demo"], fresh=False)}
    assert len(check(file, ["settings.epochs=9"], running).problems) == 1


def test_a_long_name_stays_within_its_limit() -> None:
    """Sixty-four characters are allowed."""
    assert 64 >= len(free_name("x" * 64, {f"{'x' * 60}-2": 1}))
