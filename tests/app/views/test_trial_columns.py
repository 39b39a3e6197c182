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


def test_a_program_that_logs_no_loss_has_no_column_of_it() -> None:
    """It would be empty; with a loss it is there."""
    study = Study(name="p", task="", kind="program", spec={"objectives": [{"metric": "accuracy"}]}, created_at=0.0)
    view = make_view(study, outline(study), [])
    assert [False, True] == ["loss" in default_columns(view, losses) for losses in ({}, {0: 0.5})]
