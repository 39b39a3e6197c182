"""The noise of a study is read from what its workers left, and what is damaged or missing is no reason to stop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests import joined_study

from bertdistill.app.views.certain import certain, chance, chance_words, interval_words, luck_words, points_of
from bertdistill.app.views.view import StudyView, read_view
from bertdistill.engine.analysis.noise_inputs import Kept, _alone, _varying, read_moves
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.pareto.frontier import optimised
from bertdistill.store.db import open_db


def look(made: joined_study.JoinedStudy, kept: Kept | None = None) -> tuple[StudyView, dict[str, list[int]]]:
    """The view, and by metric how many seeds of each point have results on single examples."""
    db = open_db(made.workspace.path, read_only=True)
    view = read_view(db, "toy")
    with db.read() as session:
        trials = {trial.number: trial for trial in view.trials}
        found = read_moves(
            session,
            made.workspace,
            view.study,
            trials,
            points_of(view),
            optimised(view.objectives),
            {} if kept is None else kept,
        )
    seen = certain(db, view, made.workspace)
    db.close()
    return seen, {name: [len(one.moves) for one in rows] for name, rows in found.items()}


def test_single_results_come_from_stored_logits(tmp_path: Path) -> None:
    """Of the score, not of the latency, which has no repeats here; every interval has the width of a share."""
    view, moves = look(joined_study.make(tmp_path))
    assert {"accuracy": [1, 1, 1]} == moves
    certainty = view.certainty
    assert certainty is not None
    assert (joined_study.COUNT, "accuracy") == (certainty.examples, certainty.metric)
    for trial in view.trials:
        score = view.values(trial)["accuracy"] or 0.0
        low, high = certainty.intervals[trial.number]["accuracy"]
        width = 2 * 1.96 * (score * (100 - score) / joined_study.COUNT) ** 0.5
        assert (pytest.approx(score), pytest.approx(width, rel=1e-3)) == ((low + high) / 2, high - low)


def test_words_of_certainty(tmp_path: Path) -> None:
    """The fastest is on the frontier whatever it scores; three points say nothing about luck."""
    view, _ = look(joined_study.make(tmp_path))
    fastest = view.trial(0)
    assert fastest is not None
    assert (1.0, "> 99 %", "") == (chance(view, fastest), chance_words(view, fastest), luck_words(view, fastest))
    assert " to " in interval_words(view, fastest, "accuracy")
    assert "" == interval_words(view, fastest, "latency_cpu_ms")


def test_a_share_stands_in_for_results_that_are_gone(tmp_path: Path) -> None:
    """Removed with their checkpoint, damaged, or on another number of examples: the trial keeps its interval."""
    made = joined_study.make(tmp_path)
    (made.folder(0) / CLASS_LOGITS).unlink()
    (made.folder(1) / CLASS_LOGITS).write_bytes(b"not an array")
    np.save(made.folder(2) / CLASS_LOGITS, np.zeros((7, 2), np.float32))
    view, moves = look(made)
    assert {"accuracy": [0, 0, 0]} == moves
    assert view.certainty is not None
    assert 0 == view.certainty.examples
    assert 3 == len(view.certainty.intervals)


def test_a_perfect_score_is_not_certain() -> None:
    """All right on 100 examples may be 99 %; single results that are all right say nothing else."""
    facts = Prepared(search_examples=100)
    [perfect, middle, none] = [_alone(value, "accuracy", facts, ["accuracy"]) for value in (100.0, 50.0, 0.0)]
    assert [pytest.approx(0.95, abs=0.01)] * 2 == [perfect, none]
    assert pytest.approx(24.5, abs=0.1) == middle
    zeros, some = np.zeros(3), np.array([1.0, -1.0, 0.0])
    assert () == _varying([zeros, zeros])
    assert 2 == len(_varying([zeros, some]))


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """Of a growing study only new checkpoints are read."""
    made = joined_study.make(tmp_path)
    kept: Kept = {}
    look(made, kept)
    assert 3 == len(kept)
    (made.folder(0) / CLASS_LOGITS).unlink()
    assert [1, 1, 1] == look(made, kept)[1]["accuracy"]
