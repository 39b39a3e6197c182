"""A study on one page: the best so far, who ran when and where and how it ended, and which parameter comes first."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.timeline import timeline_drawing
from bertdistill.app.views.overview import by_importance, history, history_points, overview_rows, spans
from bertdistill.app.views.view import StudyView, make_view
from bertdistill.engine.search.importances import Importances, Weight
from bertdistill.engine.study.outline import outline
from bertdistill.store.rows import Attempt, AttemptState, Study, Trial, TrialState

SPEC = {
    "task": "text-classification",
    "objectives": [{"metric": "accuracy", "direction": "maximize", "threshold": 50.0}],
}


def a_study(scores: list[float | None], **more: Any) -> StudyView:
    """Trials with these accuracies; one without failed."""
    study = Study(id=1, name="demo", task="text-classification", created_at=0.0, spec={"name": "demo", **SPEC, **more})
    trials = [
        Trial(
            id=number + 1,
            study_id=1,
            number=number,
            state=TrialState.FAILED if score is None else TrialState.COMPLETE,
            metrics={} if score is None else {"accuracy": score},
            created_at=0.0,
            finished_at=10.0 * number + 10,
        )
        for number, score in enumerate(scores)
    ]
    return make_view(study, outline(study), trials)


def an_attempt(
    row: int, trial: int | None, start: float, end: float | None, slot: str = "cpu0", **more: Any
) -> Attempt:
    state = AttemptState.RUNNING if end is None else AttemptState.ENDED
    kind = "prepare" if trial is None else "trial"
    row_id = None if trial is None else trial + 1
    return Attempt(
        id=row, study_id=1, trial_id=row_id, kind=kind, number=1, folder="", state=state, slot=slot,
        started_at=start, ended_at=end, **more,
    )  # fmt: skip


def test_the_best_so_far() -> None:
    """A trial that misses a threshold is no best, and one without a score is none at all."""
    found = history(a_study([40.0, 60.0, None, 55.0, 70.0]))
    assert [(one.number, one.score, one.best) for one in found] == [
        (0, 40.0, 40.0),
        (1, 60.0, 60.0),
        (3, 55.0, 60.0),
        (4, 70.0, 70.0),
    ]
    assert [(point.label, point.edge) for point in history_points(found)] == [
        ("", False),
        ("#1", True),
        ("", False),
        ("#4", True),
    ]


def test_attempts_with_their_slots_and_ends() -> None:
    """The last attempt of a trial ended as the trial did, one before it as itself; one that runs ends now."""
    view = a_study([60.0, None, 70.0])
    ran = spans(
        view,
        [
            an_attempt(1, None, 0.0, 5.0, exit_class="complete"),
            an_attempt(2, 0, 5.0, 9.0, exit_class="lost"),
            an_attempt(3, 0, 9.0, 12.0, exit_class="complete"),
            an_attempt(4, 1, 5.0, 6.0, "cpu1", exit_class="crashed"),
            an_attempt(5, 2, 12.0, None),
            an_attempt(6, 7, 12.0, 13.0),  # of a trial that was deleted
        ],
        now=20.0,
    )
    assert [(one.name, one.slot, one.end, one.state) for one in ran] == [
        ("prepare", "cpu0", 5.0, "complete"),
        ("#0", "cpu0", 9.0, "failed"),
        ("#1", "cpu1", 6.0, "failed"),
        ("#0", "cpu0", 12.0, "complete"),
        ("#2", "cpu0", 20.0, "running"),
    ]
    rows = overview_rows(history(view), ran)
    assert [(row["trial"], row["score"], row["best"]) for row in rows[1:4:2]] == [(0, None, None), (0, 60.0, 60.0)]


def test_runs_without_a_slot_are_side_by_side() -> None:
    view = a_study([60.0, 61.0, 62.0])
    ran = spans(view, [an_attempt(n, n, start, start + 5, "") for n, start in ((0, 0.0), (1, 2.0), (2, 6.0))], 20.0)
    assert [one.slot for one in ran] == ["run 1", "run 2", "run 1"]


def test_the_parameter_that_matters_most_to_any_objective_is_the_first() -> None:
    def weighed(objective: str, **shares: float) -> Importances:
        weights = tuple(Weight(name, share, 9, conditional=False) for name, share in shares.items())
        return Importances(objective, "ped-anova", 9, weights)

    found = by_importance([weighed("accuracy", layers=0.6, lr=0.4), weighed("params", width=0.9, layers=0.1)])
    assert found == ["width", "layers", "lr"]


@pytest.mark.parametrize("look", [Look(60, 8, frame=False), Look(60, 8, ascii_only=True, frame=False)])
def test_a_line_a_slot(look: Look) -> None:
    """Each bar ends in what became of it, the name stands in it where it fits."""
    view = a_study([60.0, None])
    attempts = [
        an_attempt(1, 0, 0.0, 600.0),
        an_attempt(2, 1, 0.0, 900.0, "cpu10"),
        an_attempt(3, None, 0.0, 1.0, "cpu9"),
    ]
    drawing = timeline_drawing(spans(view, attempts, 0.0), look)
    lines = [line for line in drawing.text.splitlines() if line.strip().startswith("cpu")]
    assert [line.split()[0][:4] for line in lines] == ["cpu0", "cpu9", "cpu1"]  # the last one is cpu10
    assert "#0" in lines[0]
    ends = {"* frontier", "x failed"} if look.plain else {"★ frontier", "✗ failed"}
    assert ends == {word.text for word in drawing.legend}
    assert drawing.text.isascii() == look.plain
    assert "15m" in drawing.text


def test_nothing_has_run() -> None:
    assert not timeline_drawing([], Look()).drawn
