"""The columns that the list of trials shows before anyone chooses."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import study_spec

from bertdistill.app.views.trial_columns import default_columns
from bertdistill.app.views.view import make_view
from bertdistill.engine.study.config import dump
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import Study


def columns_of(spec: StudySpec) -> tuple[str, ...]:
    """The default columns of a study without trials."""
    study = Study(name=spec.name, task=spec.task, spec=dump(spec), created_at=0.0)
    return default_columns(make_view(study, outline(study), []))


def test_a_mixed_study_shows_the_family(tmp_path: Path) -> None:
    """Right after the objectives; with a single family it would say nothing."""
    mixed = study_spec(
        tmp_path, search={"family": {"choices": ["transformer", "bilstm"]}}, baseline={"family": "transformer"}
    )
    assert columns_of(mixed)[1:4] == ("accuracy", "params", "family")
    assert "family" not in columns_of(study_spec(tmp_path))


def test_what_the_trials_differ_in_has_columns(tmp_path: Path) -> None:
    """In the order of the study file, recipe and family first; a note comes last, what is fixed not at all."""
    assert columns_of(study_spec(tmp_path)) == (
        "state",
        "accuracy",
        "params",
        "layers",
        "learning_rate",
        "gain",
        "note",
    )


def test_a_loss_is_shown_where_nothing_ranks() -> None:
    """Beside objectives nobody compares it."""
    study = Study(name="p", task="", kind="program", spec={"objectives": [{"metric": "accuracy"}]}, created_at=0.0)
    logged = Study(name="p", task="", kind="log", spec={}, created_at=0.0)
    views = [make_view(one, outline(one), []) for one in (study, logged)]
    assert [False, True] == ["loss" in default_columns(view, {0: 0.5}) for view in views]
