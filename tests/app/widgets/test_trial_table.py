"""The ranked list as a table: what repeats of a point show, and how wide its columns are."""

from __future__ import annotations

from collections.abc import Sequence

from bertdistill.app.views.view import StudyView, make_view
from bertdistill.app.widgets.trial_table import RowKeeper, table_columns
from bertdistill.engine.study.outline import outline
from bertdistill.store.rows import Study, Trial, TrialState

NAMES = ("state", "accuracy", "bytes", "recipe", "seed")


def a_view(scores: Sequence[tuple[str, int, float]], state: TrialState = TrialState.COMPLETE) -> StudyView:
    """A study of recipes, each trial with its recipe, seed and accuracy."""
    spec = {
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "bytes", "direction": "minimize"},
        ],
        "search": {"recipe": {"choices": ["half-the-layers-tinybert", "narrow"]}, "seed": {"choices": [1, 2]}},
    }
    study = Study(id=1, name="survey", task="classification", spec=spec, created_at=0.0)
    trials = [
        Trial(
            id=number + 1,
            study_id=1,
            number=number,
            state=state,
            params={"recipe": recipe, "seed": seed},
            settings={"recipe": recipe, "seed": seed},
            metrics={"accuracy": score, "bytes": 1e6},
            created_at=float(number),
        )
        for number, (recipe, seed, score) in enumerate(scores)
    ]
    return make_view(study, outline(study), trials)


def lines(view: StudyView, *, pooled: bool = True) -> list[list[str]]:
    rows = RowKeeper().rows(view, view.trials, NAMES, {}, frozenset(), ascii_only=False, pooled=pooled)
    return [[cell.text for cell in row.cells] for row in rows]


def test_repeats_stand_below_the_mean_of_all() -> None:
    """The first of a point has the mean, its spread and how many seeds there are; sorted, each stands for itself."""
    view = a_view([("narrow", 1, 80.0), ("half-the-layers-tinybert", 1, 90.0), ("narrow", 2, 82.0)])
    assert [line[0] for line in lines(view)] == ["★1", "0", "└2"]
    first, below = lines(view)[1:]
    assert (first[2], first[5]) == ("81.00 ± 1.41", "2 seeds")
    assert (below[2], below[5]) == ("82.00", "2")
    assert [(line[0], line[2]) for line in lines(view, pooled=False)] == [
        ("★1", "90.00"),
        ("0", "80.00"),
        ("2", "82.00"),
    ]


def test_states_are_a_glyph_once_all_are_complete() -> None:
    """No number and no recipe is cut."""
    done, running = a_view([("narrow", 1, 80.0), ("narrow", 2, 82.0)]), a_view([("narrow", 1, 1.0)], TrialState.RUNNING)
    assert lines(done)[0][1] == "✓"
    assert lines(running)[0][1] == "▶ running"
    widths = {c.key: c.width for c in table_columns(done, NAMES)}
    assert widths["state"] == 1
    assert widths["recipe"] == len("half-the-layers-tinybert")
    assert widths["accuracy"] == len("81.00 ± 1.41")
