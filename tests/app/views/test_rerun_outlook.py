"""What a rerun may change in a study over several families, and in which words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import House, study_spec
from tests.paper_family import PaperFamily

from bertdistill.app.screens.queue_trial import first_values, look_ahead
from bertdistill.app.views import rerun_outlook
from bertdistill.app.views.trial_columns import known_columns, sort_value
from bertdistill.app.views.view import StudyView, differences, read_view
from bertdistill.app.widgets.trial_facts import fact_rows
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.steering import actions


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
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
    one = House(tmp_path, spec)
    yield one.start().run()
    one.close()


@pytest.fixture
def view(house: House) -> StudyView:
    return read_view(house.db, "toy")


def of_paper(view: StudyView) -> int:
    return next(trial.number for trial in view.trials if trial.params["family"] == "paper")


def test_only_keys_of_the_family_can_be_changed(view: StudyView) -> None:
    """Searched ones first, by their key; their range is that of the family's own parameter."""
    trial = view.trials[of_paper(view)]
    found = {one.key: one for one in rerun_outlook.choices(view, trial)}
    assert ["family", "alpha", "hidden_size"] == [one.key for one in found.values() if one.searched]
    assert "8, 16 or 32, only when family is paper" == found["hidden_size"].range
    assert (str(trial.settings["hidden_size"]), "0") == (found["hidden_size"].now, found["hidden_size"].baseline)
    assert {"dropout", "epochs"} <= found.keys()
    assert not {"layers", "heads", "attention_dropout"} & found.keys()
    base = {one.key for one in rerun_outlook.choices(view, view.trials[0])}
    assert "layers" in base
    assert "hidden_size" not in base  # these transformers are cut from a trained model


def test_another_family_says_what_becomes_of_the_other_keys(house: House, view: StudyView) -> None:
    """The estimate is made from the nearest trials of the whole study."""
    trial = view.trials[of_paper(view)]
    forecast = actions.forecast_rerun(house.workspace, "toy", trial.number, "family", "transformer")
    outlook = rerun_outlook.look_ahead(view, trial, "transformer", forecast)
    words = dict(rerun_outlook.lines(view, trial, outlook))
    assert (
        f"family paper → transformer, keys of both families as in #{trial.number}, the others as fixed in the study"
        == words["change"]
    )
    assert outlook.neighbours
    forecast = actions.forecast_rerun(house.workspace, "toy", trial.number, "paper.hidden_size", "32")
    assert "hidden_size" == forecast.key


def test_columns_of_a_family(view: StudyView) -> None:
    """A trial of another family has no value there; a setting has that in force, whatever sets it."""
    paper, base = view.trials[of_paper(view)], view.trials[0]
    assert {"paper.hidden_size", "layers", "family"} <= set(known_columns(view))

    def value(number: int, name: str) -> object:
        return sort_value(view, view.trials[number], name, {})

    width = paper.params["paper.hidden_size"]
    assert [width, width, None] == [
        value(paper.number, name) for name in ("paper.hidden_size", "hidden_size", "layers")
    ]
    assert [None, 4] == [value(0, name) for name in ("paper.hidden_size", "layers")]
    found = differences(paper.settings, base.settings)
    assert ((4, None), (0.1, 0.0)) == (found["layers"], found["dropout"])


def test_facts_of_a_trial_leave_out_keys_of_other_families(view: StudyView) -> None:
    """Each of its settings once: the searched ones by their name, the others that its family uses."""
    rows = [str(row.key[1]) for row in fact_rows(view, view.trials[of_paper(view)]) if row.key[0] == "setting"]
    assert {"paper.hidden_size", "family", "alpha", "dropout"} <= set(rows)
    assert not {"hidden_size", "layers", "heads"} & set(rows)


def test_a_queued_trial_starts_from_one_of_either_family(view: StudyView) -> None:
    """The values of the trial where it has them; those without effect are not part of the forecast."""
    number = of_paper(view)
    trial, values = view.trials[number], first_values(view, number)
    assert trial.params == {name: values[name] for name in trial.params}
    outlook = look_ahead(view, {**values, "paper.hidden_size": 32 if trial.params["paper.hidden_size"] != 32 else 16})
    assert outlook.forecast is not None
    assert trial.params.keys() == outlook.forecast.after.keys()
    assert 4 == first_values(view, 0)["layers"]


def test_a_queued_trial_has_a_twin(view: StudyView) -> None:
    """As it stands, a form filled from a trial is that trial."""
    number = of_paper(view)
    outlook = look_ahead(view, first_values(view, number))
    assert outlook.forecast is not None
    assert number == outlook.forecast.repeats
    assert dataclasses.asdict(outlook)["problem"].startswith(f"trial #{number} ")
