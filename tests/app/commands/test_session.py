"""Names of trials on the command line."""

from __future__ import annotations

import pytest

from bertdistill.app.commands.session import TrialName, parse_trial
from bertdistill.app.errors import UsageError


@pytest.mark.parametrize(
    ("text", "study", "known", "expected"),
    [
        ("demo/7", "", ["a", "demo"], TrialName("demo", 7)),
        ("demo#7", "", [], TrialName("demo", 7)),
        ("7", "demo", ["a", "demo"], TrialName("demo", 7)),
        ("#7", "", ["only"], TrialName("only", 7)),
        ("demo/7", "demo", [], TrialName("demo", 7)),
    ],
)
def test_trial_names(text: str, study: str, known: list[str], expected: TrialName) -> None:
    """Study and number in one word, or the number where the study is clear."""
    assert expected == parse_trial(text, study, known)


@pytest.mark.parametrize(
    ("text", "study", "known"),
    [("seven", "", ["demo"]), ("7", "", ["a", "b"]), ("7", "", []), ("a/7", "b", ["a", "b"]), ("a/", "", ["a"])],
)
def test_unclear_trials_are_misuse(text: str, study: str, known: list[str]) -> None:
    """No guess is made; the hint shows how to write it."""
    with pytest.raises(UsageError) as caught:
        parse_trial(text, study, known)
    assert caught.value.hint
