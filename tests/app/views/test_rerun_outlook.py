"""What a rerun may change in a study over several families, and in which words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes import Workbench, study_spec
from tests.paper_family import PaperFamily

from bertdistill.app.screens.queue_trial import first_values, look_ahead
from bertdistill.app.views import rerun_outlook
from bertdistill.app.views.trial_columns import known_columns, sort_value
from bertdistill.app.views.view import StudyView, differences, read_view
from bertdistill.app.widgets.trial_facts import facts_rows
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.steering import actions
from bertdistill.store.rows import Trial, TrialState


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """A study over two families with trials of both."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    spec = study_spec(
        tmp_path,
        search={
            "family": {"choices": ["transformer", "paper"]},
            "layers": {"low": 1, "high": 4},
            "alpha": {"low": 0, "high": 1},
            "paper": {"hidden_size": {"choices": [8, 16, 32]}},
        },
        settings={"paper": {"dropout": 0.0}},
        baseline={"layers": 4, "learning_rate": None},
        budget={"trials": 8},
        sampler={"kind": "random"},
    )
    one = Workbench(tmp_path, spec)
    yield one.start().finish()
    one.close()


@pytest.fixture
def view(bench: Workbench) -> StudyView:
    return read_view(bench.db, "toy")


@pytest.fixture
def paper(view: StudyView) -> Trial:
    """A trial of the second family; the baseline is of the first."""
    return next(trial for trial in view.trials if trial.params["family"] == "paper")


def test_only_keys_of_the_family_can_be_changed(view: StudyView, paper: Trial) -> None:
    """Searched ones first, by their key; their range is that of the family's own parameter."""
    found = {one.key: one for one in rerun_outlook.choices(view, paper)}
    assert ["family", "alpha", "hidden_size"] == [one.key for one in found.values() if one.searched]
    assert "8, 16 or 32, only when family is paper" == found["hidden_size"].range
    assert (str(paper.settings["hidden_size"]), "0") == (found["hidden_size"].now, found["hidden_size"].baseline)
    assert {"dropout", "epochs"} <= found.keys()
    assert not {"layers", "heads", "attention_dropout"} & found.keys()
    assert view.baseline is not None
    base = {one.key for one in rerun_outlook.choices(view, view.baseline)}
    assert "layers" in base
    assert "head_size" not in base  # these transformers are cut from a trained model


def test_another_family_says_what_becomes_of_the_other_keys(bench: Workbench, view: StudyView, paper: Trial) -> None:
    """The estimate is made from the nearest trials of the whole study."""
    forecast = actions.forecast_rerun(bench.workspace, "toy", paper.number, "family", "transformer")
    outlook = rerun_outlook.look_ahead(view, paper, "transformer", forecast)
    words = dict(rerun_outlook.lines(view, paper, outlook))
    assert (
        f"family paper → transformer, keys of both families as in #{paper.number}, the others as fixed in the study"
        == words["change"]
    )
    assert outlook.neighbours
    forecast = actions.forecast_rerun(bench.workspace, "toy", paper.number, "paper.hidden_size", "32")
    assert "hidden_size" == forecast.key


def test_costs_are_judged_by_trials_of_the_same_family(bench: Workbench, view: StudyView, paper: Trial) -> None:
    """The pace of a bag of words says nothing about an encoder."""
    transformers = [t for t in view.trials if t.params["family"] == "transformer" and t.state == TrialState.COMPLETE]
    forecast = actions.forecast_rerun(bench.workspace, "toy", paper.number, "family", "transformer")
    assert len(transformers) == forecast.judged_by > 0
    alone = replace(forecast, minutes=None, memory_mb=None)
    assert "no complete trial of its family to estimate time and memory from" == rerun_outlook.cost(alone)


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (100.0, "params 100"),
        (150.0, "params 150 (+50.0%)"),
        (25.0, "params 25 (-75.0%)"),
        (5e4, "params 50,000 (500 ti"),
    ],
)
def test_a_much_larger_size_is_a_multiple(
    bench: Workbench, view: StudyView, paper: Trial, after: float, words: str
) -> None:
    """Percents with seven digits are not read."""
    forecast = actions.forecast_rerun(bench.workspace, "toy", paper.number, "family", "transformer")
    forecast = replace(forecast, known={"params": after}, parent_known={"params": 100.0})
    outlook = rerun_outlook.look_ahead(view, paper, "transformer", forecast)
    assert dict(rerun_outlook.lines(view, paper, outlook))["size"].startswith(words)


def test_columns_of_a_family(view: StudyView, paper: Trial) -> None:
    """A trial of another family has no value there; a setting has that in force, whatever sets it."""
    base = view.baseline
    assert base is not None
    assert {"paper.hidden_size", "layers", "family"} <= set(known_columns(view))
    width, names = paper.params["paper.hidden_size"], ("paper.hidden_size", "hidden_size", "layers")
    assert [width, width, None] == [sort_value(view, paper, name, {}) for name in names]
    assert [None, 0, 4] == [sort_value(view, base, name, {}) for name in names]
    found = differences(paper.settings, base.settings)
    assert ((4, None), (0.1, 0.0)) == (found["layers"], found["dropout"])


def test_facts_of_a_trial_leave_out_keys_of_other_families(view: StudyView, paper: Trial) -> None:
    """Each of its settings once: the searched ones by their name, the others that its family uses."""
    found = facts_rows(view, paper, (), (), 80, ascii_only=False)
    rows = [row.key[1] for row in found if isinstance(row.key, tuple) and row.key[0] == "setting"]
    assert {"paper.hidden_size", "family", "alpha", "dropout"} <= set(rows)
    assert not {"hidden_size", "layers", "heads"} & set(rows)


def test_a_queued_trial_starts_from_one_of_either_family(view: StudyView, paper: Trial) -> None:
    """The values of the trial where it has them; those without effect are not part of the forecast."""
    values = first_values(view, paper.number)
    assert paper.params == {name: values[name] for name in paper.params}
    outlook = look_ahead(view, values)
    assert outlook.forecast is not None
    assert (paper.params, paper.number) == (outlook.forecast.after, outlook.forecast.repeats)
    other = look_ahead(view, {**values, "family": "transformer"})
    assert other.forecast is not None
    assert {"family", "layers", "alpha"} == other.forecast.after.keys()
    assert 4 == first_values(view, 0)["layers"]
