"""Which published points stand beside a study."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bertdistill.app.views.survey import published_data, published_rows
from bertdistill.engine.contract.errors import ActionRefused


def view(task: str, score: str, measured: dict[int, dict[str, float | None]], *, pairs: bool = False) -> Any:
    """What the choice reads of a study."""
    objectives = (SimpleNamespace(metric=score, direction="maximize", constraint=False),)
    return SimpleNamespace(
        study=SimpleNamespace(task=task),
        objectives=objectives,
        outline=SimpleNamespace(spec=None),
        measured=measured,
        facts=SimpleNamespace(pairs=pairs),
    )


@pytest.mark.parametrize(
    ("task", "score", "measured", "pairs", "data"),
    [
        ("question-answering", "f1", {0: {"f1": 80.0}}, False, "SQuAD 1.1"),
        ("question-answering", "f1", {0: {}, 3: {"no_answer_f1": 60.0}}, False, "SQuAD 2.0"),
        ("text-classification", "accuracy", {}, False, "SST-2"),
        ("text-classification", "accuracy", {}, True, "MNLI-m"),
        ("text-classification", "matthews", {}, False, "CoLA"),
    ],
)
def test_the_data_set_most_like_that_of_the_study(
    monkeypatch: pytest.MonkeyPatch, task: str, score: str, measured: Any, pairs: bool, data: str
) -> None:
    """Whether questions may have no answer shows in the scores of any trial, not of the first alone."""
    monkeypatch.setattr("bertdistill.app.views.survey.score_and_size", lambda _: (score, "params"))
    assert data == published_data(view(task, score, measured, pairs=pairs))


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(ActionRefused, match="no published points on 'ImageNet'"):
        published_rows("ImageNet")
    assert {"method", "paper", "kept"} <= published_rows("SST-2")[0].keys()
