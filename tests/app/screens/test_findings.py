"""What the form of a new study says of its file, its data and its models."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.app.children.plan_process import Answer
from bertdistill.app.screens.findings import Findings, question
from bertdistill.app.views.study_check import Checked
from bertdistill.engine.study.study_spec import StudySpec

SIZES = {"smallest": 1_000_000, "largest": 2_000_000, "baseline": 2_000_000}
TIME = {"trial_seconds": 60.0, "seconds": 600.0, "study": "before", "trials": 3}


def plan(cached: bool = True, problem: str = "", **more: Any) -> Answer:
    """The answer of a plan whose teacher comes from the hub."""
    teacher = {"key": "teacher.model", "model": "some/teacher", "cached": cached, "problem": problem}
    return Answer({"sizes": SIZES, "steps": None, "models": [teacher], **more})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "✓ no problem in the file; checking its data and models …"),
        (plan(), "✓ file and data are valid: 8 trials of 1.00M to 2.00M parameters"),
        (plan(cached=False), "✓ file and data are valid; downloaded when it starts: the teacher: 8 trials"),
        (plan(False, "no route"), "! file and data are valid, but the teacher cannot be downloaded now: 8 trials"),
        (Answer(notes=("no time",)), "! the file is valid, but the data and the models could not be checked: 8"),
    ],
)
def test_valid_is_only_what_was_checked(spec: StudySpec, answer: Answer | None, words: str) -> None:
    """A teacher that nobody has is no reason for a tick."""
    assert Findings(Checked(spec), answer, ()).verdict().startswith(words)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "Its data and models have not been checked yet."),
        (plan(), "How long it takes is shown once the first trial has ended."),
        (plan(time=TIME), "About 10m 00s, as trials on this data took before."),
        (plan(time=TIME | {"seconds": None}), "A trial takes about 1m 00s."),
        (plan(False, "no route"), "The teacher, some/teacher, is not on this machine and cannot be downloaded now"),
    ],
)
def test_a_start_is_asked_with_its_time_and_its_risk(spec: StudySpec, answer: Answer | None, words: str) -> None:
    """No minutes are made up."""
    asked = question(spec, answer, goes_on=False)
    assert asked.startswith(f"Start study {spec.name}? 8 trials")
    assert words in asked
