"""Actions over a real database and real processes; only the training is fake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, behave, wait_for
from tests.paper_family import PaperFamily

from bertdistill.engine.contract.errors import ActionRefused, BertDistillError, ConfigError, InvalidRequest
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.launch import process
from bertdistill.engine.runner import requests
from bertdistill.engine.search import proposals
from bertdistill.engine.steering import actions, history
from bertdistill.engine.study.config import changed
from bertdistill.store import reads
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import ModelVersion, StudyState, Trial, TrialState

WHO = {"who": "ada"}
Make = Callable[..., Workbench]


def verbs(of: Workbench) -> list[str]:
    with of.db.read() as session:
        return [request.verb for request in reads.requests(session, 1)]


def newest(of: Workbench) -> dict[str, Any]:
    with of.db.read() as session:
        request = reads.requests(session, 1)[-1]
    return {"who": request.who, "verb": request.verb, "arguments": request.arguments, "before": request.before}


# -------------------------------------------------------------------------------------------------------------- studies


def test_starting_twice_is_starting_once(bench: Make) -> None:
    """The same file again is the same study; another file under its name is refused with the first difference."""
    of = bench({"budget": {"trials": 1}}).finish()
    assert actions.start_study(of.workspace, of.spec, **WHO).id == of.study().id
    other = changed(of.spec, "settings.batch_size", 99)
    with pytest.raises(ActionRefused, match=r"settings\.batch_size is 16 in the study and 99 in the file"):
        actions.start_study(of.workspace, other, **WHO)


def test_a_file_with_a_larger_budget_goes_on(bench: Make) -> None:
    """Budget and runner say nothing about what a trial is, so a complete study takes them over and continues."""
    of = bench({"budget": {"trials": 1}}).finish()
    assert of.study().state == StudyState.COMPLETE
    actions.start_study(of.workspace, changed(of.spec, "budget.trials", 3), **WHO)
    assert of.study().state == StudyState.RUNNING
    assert newest(of)["verb"] == "settings"
    assert len(of.run().trials()) == 3


def test_the_report_data_may_change_until_a_trial_is_promoted(bench: Make, tmp_path: Path) -> None:
    """Only a promotion reads it, so a report without labels must not cost a whole study; a score on it binds."""
    of = bench({"budget": {"trials": 1}}).finish()
    other = changed(of.spec, "data.report", str(tmp_path / "other.tsv"))
    actions.start_study(of.workspace, other, **WHO)
    assert str(tmp_path / "other.tsv") == of.study().spec["data"]["report"]
    with pytest.raises(ActionRefused, match=r"data\.max_length is"):
        actions.start_study(of.workspace, changed(other, "data.max_length", 17), **WHO)
    actions.promote(of.workspace, "toy", 0, name="model", **WHO)
    third = changed(other, "data.report", str(tmp_path / "third.tsv"))
    with pytest.raises(ActionRefused, match=r"report data of study 'toy' cannot change: model:1 was scored on it"):
        actions.start_study(of.workspace, third, **WHO)
    actions.start_study(of.workspace, other, **WHO)


def test_a_larger_budget_and_a_retry_go_on_by_themselves(bench: Make, tmp_path: Path) -> None:
    """The budget has set the study running already, so there is nothing to resume."""
    of = bench({"budget": {"trials": 2}, "runner": {"retries": 0}}, crash=[1]).run()
    behave(tmp_path)
    actions.start_study(of.workspace, changed(of.spec, "budget.trials", 3), retry_failed=True, **WHO)
    assert of.study().state == StudyState.RUNNING
    assert verbs(of)[-2:] == ["settings", "retry"]


def test_a_study_that_never_began_takes_the_mended_file(bench: Make) -> None:
    """A typo in a path must not use up the name of the study."""
    of = bench(refuse_prepare=True).run()
    assert of.study().state == StudyState.FAILED
    mended = changed(of.spec, "settings.batch_size", 8)
    actions.start_study(of.workspace, mended, **WHO)
    assert of.study().spec["settings"]["batch_size"] == 8
    assert of.study().state == StudyState.RUNNING


def test_a_runner_is_started_and_outlives_us(bench: Make) -> None:
    """It runs the study to its end by itself; a second call finds the first runner."""
    of = bench({"budget": {"trials": 1}})
    first = actions.ensure_runner(of.workspace)
    assert first.alive
    assert actions.ensure_runner(of.workspace).pid == first.pid
    wait_for(lambda: of.study().state == StudyState.COMPLETE, "the study to end")
    wait_for(lambda: not actions.runner_status(of.workspace).alive, "the runner to leave")


def test_pause_and_resume_without_a_runner(bench: Make) -> None:
    """Nobody has to be started for what only changes a row."""
    of = bench()
    actions.pause_study(of.workspace, "toy", **WHO)
    assert of.study().state == StudyState.PAUSED
    with pytest.raises(ActionRefused, match="is paused"):
        actions.pause_study(of.workspace, "toy", **WHO)
    actions.resume_study(of.workspace, "toy", **WHO)
    assert of.study().state == StudyState.RUNNING
    assert not process.held(of.workspace.runner_lock)
    assert verbs(of) == ["start", "pause", "resume"]


def test_two_commands_without_a_runner_leave_nothing_behind(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second takes the first, which holds the lock just then, for the runner and leaves its request to it."""
    of = bench()
    honour = requests.honour_all

    def and_meanwhile(*given: Any, **more: Any) -> Any:
        found = honour(*given, **more)
        monkeypatch.setattr(requests, "honour_all", honour)
        of.ask("resume", study_id=of.study().id)
        return found

    monkeypatch.setattr(requests, "honour_all", and_meanwhile)
    actions.pause_study(of.workspace, "toy", **WHO)
    with of.db.read() as session:
        assert reads.pending_requests(session) == []
    assert of.study().state == StudyState.RUNNING


def test_stop_reaches_workers_without_a_runner(bench: Make, tmp_path: Path) -> None:
    """The runner is gone, a worker runs: stopping starts a runner that stops it and leaves."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"budget": {"trials": 1}}, hold=str(hold))
    of.tick_until(lambda: of.at_half(1), "the trial at half")
    actions.stop_study(of.workspace, "toy", **WHO)
    wait_for(lambda: not of.live(), "the worker to leave")
    assert (of.study().state, of.trial(0).state) == (StudyState.STOPPED, TrialState.WAITING)


def test_stopping_the_runner(bench: Make, tmp_path: Path) -> None:
    """Refused when there is none; else workers save, the runner leaves and the study stays running."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"budget": {"trials": 1}}, hold=str(hold))
    with pytest.raises(ActionRefused, match="no runner and no workers"):
        actions.stop_runner(of.workspace, **WHO)
    actions.ensure_runner(of.workspace)
    wait_for(lambda: of.study().prepared and of.at_half(1), "the trial at half")
    actions.stop_runner(of.workspace, **WHO)
    wait_for(lambda: not process.held(of.workspace.runner_lock), "the runner to leave")
    assert (of.study().state, of.trial(0).state) == (StudyState.RUNNING, TrialState.WAITING)


def test_failed_trials_are_retried_on_request(bench: Make, tmp_path: Path) -> None:
    """`retry_failed` lets them wait again, and a complete study goes on."""
    of = bench({"budget": {"trials": 2}, "runner": {"retries": 0}}, crash=[1]).finish()
    assert of.trial(1).state == TrialState.FAILED
    behave(tmp_path)
    with pytest.raises(ActionRefused, match="is complete"):
        actions.resume_study(of.workspace, "toy", **WHO)
    actions.resume_study(of.workspace, "toy", retry_failed=True, **WHO)
    of.run()
    assert (of.study().state, of.trial(1).state) == (StudyState.COMPLETE, TrialState.COMPLETE)


def test_threshold_budget_and_slots_keep_what_was(bench: Make) -> None:
    """Each change is recorded with its author and the value before; the spec in force is valid."""
    of = bench()
    actions.set_threshold(of.workspace, "toy", "accuracy", 80.0, **WHO)
    expected = {"metric": "accuracy", "threshold": None}
    assert newest(of) == {**WHO, "verb": "threshold", "arguments": {**expected, "threshold": 80.0}, "before": expected}
    actions.set_budget(of.workspace, "toy", trials=7, **WHO)
    assert (newest(of)["arguments"], newest(of)["before"]) == ({"trials": 7}, {"trials": 5})
    actions.set_slots(of.workspace, "toy", 3, **WHO)
    assert (newest(of)["arguments"], newest(of)["before"]) == ({"slots": 3}, {"slots": 2})
    spec = of.study().spec
    assert (spec["objectives"][0]["threshold"], spec["budget"]["trials"], spec["runner"]["slots"]) == (80.0, 7, 3)
    actions.set_threshold(of.workspace, "toy", "accuracy", None, **WHO)
    assert of.study().spec["objectives"][0].get("threshold") is None
    with pytest.raises(ActionRefused, match="not an objective"):
        actions.set_threshold(of.workspace, "toy", "macro_f1", 1.0, **WHO)
    with pytest.raises(ConfigError):
        actions.set_budget(of.workspace, "toy", trials=0, **WHO)


def test_a_larger_budget_goes_on(bench: Make) -> None:
    """A complete study runs again when there is room."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.set_budget(of.workspace, "toy", trials=2, **WHO)
    assert of.study().state == StudyState.RUNNING
    of.run()
    assert [TrialState.COMPLETE] * 2 == [trial.state for trial in of.trials()]


# --------------------------------------------------------------------------------------------------------------- trials


def test_a_rerun_changes_one_setting(bench: Make) -> None:
    """It keeps its parent, comes on top of the budget, sets a finished study running and ends complete."""
    of = bench({"budget": {"trials": 2}}).finish()
    made = actions.rerun(of.workspace, "toy", 0, "layers", "3", **WHO)
    assert (made.number, made.origin, made.parent_id) == (2, "rerun", of.trial(0).id)
    differing = {key for key in made.settings if made.settings[key] != of.trial(0).settings[key]}
    assert differing == {"layers"}
    assert made.params == {"layers": 3, "learning_rate": 1e-4}
    assert made.known["params"] < of.trial(0).known["params"]
    assert of.study().state == StudyState.RUNNING
    of.run()
    assert (of.study().state, of.trial(2).state) == (StudyState.COMPLETE, TrialState.COMPLETE)
    assert newest(of)["before"] == {"layers": 4}


def test_a_fixed_setting_can_be_rerun_too(bench: Make) -> None:
    """It is checked against the range of its key."""
    of = bench({"budget": {"trials": 1}}).finish()
    made = actions.rerun(of.workspace, "toy", 0, "dropout", "0.2", **WHO)
    assert (made.settings["dropout"], made.params) == (0.2, of.trial(0).params)
    with pytest.raises(InvalidRequest, match=r"dropout = 7 is above 0\.9"):
        actions.rerun(of.workspace, "toy", 0, "dropout", "7", **WHO)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("layers", "4", "already"),
        ("layers", "9", "outside the search space"),
        ("layers", "many", "not a whole number; allowed: 1 to 4"),
        ("batch_size", "", "batch_size is empty; allowed: 1 to 4096"),
        ("head_size", "32", "does not apply to students from a trained model"),
        ("layer", "2", "not a setting"),
        ("name", "x", "not a setting"),
    ],
)
def test_a_rerun_that_makes_no_sense_is_refused(bench: Make, key: str, value: str, words: str) -> None:
    """Nothing is created."""
    of = bench({"budget": {"trials": 1}}).finish()
    with pytest.raises(ActionRefused, match=words):
        actions.rerun(of.workspace, "toy", 0, key, value, **WHO)
    assert len(of.trials()) == 1


def test_a_rerun_of_what_ran_is_refused_with_its_number(bench: Make) -> None:
    """The second rerun with the same change, and the way back to the parent."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.rerun(of.workspace, "toy", 0, "layers", 2, **WHO)
    with pytest.raises(ActionRefused, match="trial 1 "):
        actions.rerun(of.workspace, "toy", 0, "layers", "2", **WHO)
    with pytest.raises(ActionRefused, match="trial 0 "):
        actions.rerun(of.workspace, "toy", 1, "layers", 4, **WHO)


CONDITIONAL = {
    "search": {
        "layers": {"low": 1, "high": 4},
        "head_choice": {"choices": ["importance", "random"]},
        "head_seed": {"low": 1, "high": 9, "when": {"head_choice": ["random"]}},
    },
    "settings": {"heads": 2},
    "student": {"init": "some/model"},
    "budget": {"trials": 1},
}


def test_a_rerun_knows_conditions(bench: Make) -> None:
    """What has no effect is refused; what a change makes inactive takes the fixed setting, so equal trials are seen."""
    of = bench(CONDITIONAL | {"baseline": {"layers": 4, "head_choice": "random", "head_seed": 7}}).finish()
    made = actions.rerun(of.workspace, "toy", 0, "head_choice", "importance", **WHO)
    assert (made.params, made.settings["head_seed"]) == ({"layers": 4, "head_choice": "importance"}, 1)
    with pytest.raises(ActionRefused, match="head_seed has no effect in trial 1"):
        actions.rerun(of.workspace, "toy", 1, "head_seed", 3, **WHO)
    other = actions.rerun(of.workspace, "toy", 0, "head_seed", 3, **WHO)
    with pytest.raises(ActionRefused, match="trial 1 "):
        actions.rerun(of.workspace, "toy", other.number, "head_choice", "importance", **WHO)


RECIPES = {
    "search": {"recipe": {"choices": ["plain", "short"]}, "layers": {"low": 1, "high": 4}},
    "recipes": {"plain": {"alpha": 0.0}, "short": {"layers": 2, "temperature": 4.0}},
    "baseline": {"recipe": "short", "layers": None, "learning_rate": None},
    "budget": {"trials": 1},
}


def test_a_rerun_with_another_recipe_or_with_one_of_its_values_changed(bench: Make) -> None:
    """The first has the settings of the other recipe; the second no longer is of this recipe."""
    of = bench(RECIPES).run()
    first = of.trial(0)
    assert ({"recipe": "short"}, 2, 4.0) == (first.params, first.settings["layers"], first.settings["temperature"])
    other = actions.rerun(of.workspace, "toy", 0, "recipe", "plain", **WHO)
    assert {"recipe": "plain", "layers": 0} == other.params
    assert (0.0, 2.0) == (other.settings["alpha"], other.settings["temperature"])
    changed = actions.rerun(of.workspace, "toy", 0, "temperature", "3", **WHO)
    assert ("", 2, 3.0) == tuple(changed.settings[key] for key in ("recipe", "layers", "temperature"))
    with pytest.raises(InvalidRequest, match="recipe = tall is outside the search space: plain or short"):
        actions.rerun(of.workspace, "toy", 0, "recipe", "tall", **WHO)


MIXED = {
    "search": {
        "family": {"choices": ["transformer", "paper"]},
        "layers": {"low": 1, "high": 4},
        "alpha": {"choices": [0.0, 0.5, 1.0]},
        "paper": {"hidden_size": {"choices": [8, 16, 32]}, "batch_size": {"choices": [4, 8]}},
    },
    "settings": {"dropout": 0.3, "batch_size": 2, "paper": {"dropout": 0.0, "epochs": 2.0}},
    "baseline": {"family": "paper", "hidden_size": 16, "layers": None, "learning_rate": None},
    "budget": {"trials": 1},
}


@pytest.fixture
def mixed(bench: Make, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A study over two families with a baseline of the second."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    return bench(MIXED).finish()


def test_a_baseline_has_the_settings_of_its_family(mixed: Workbench) -> None:
    """Its table first, then what [baseline] says; its parameters are those of the family alone."""
    first = mixed.trial(0)
    assert {"family": "paper", "alpha": 0.5, "paper.hidden_size": 16, "paper.batch_size": 2} == first.params
    wanted = Settings(family="paper", alpha=0.5, hidden_size=16, batch_size=2, dropout=0.0, epochs=2.0)
    assert wanted == Settings(**first.settings)


def test_a_rerun_names_a_key_with_or_without_its_family(mixed: Workbench) -> None:
    """The record holds the setting; a key of another family, or that this one does not use, is refused."""
    made = actions.rerun(mixed.workspace, "toy", 0, "paper.hidden_size", "32", **WHO)
    assert (32, 32) == (made.params["paper.hidden_size"], made.settings["hidden_size"])
    assert ({"hidden_size": 16}, 32) == (newest(mixed)["before"], newest(mixed)["arguments"]["hidden_size"])
    assert 8 == actions.rerun(mixed.workspace, "toy", 0, "hidden_size", "8", **WHO).settings["hidden_size"]
    with pytest.raises(ActionRefused, match=r"paper\.hidden_size = 9 is outside the search space: 8, 16 or 32"):
        actions.rerun(mixed.workspace, "toy", 0, "hidden_size", "9", **WHO)
    for key in ("layers", "transformer.alpha"):
        with pytest.raises(InvalidRequest, match=f"{key} has no effect in trial 0: its family is paper"):
            actions.rerun(mixed.workspace, "toy", 0, key, "1", **WHO)
    assert 0.1 == actions.rerun(mixed.workspace, "toy", 0, "dropout", "0.1", **WHO).settings["dropout"]


def test_a_rerun_with_another_family(mixed: Workbench) -> None:
    """Keys of both families stay; all others, and those with a table, take the fixed settings of the new family."""
    varied = actions.rerun(mixed.workspace, "toy", 0, "alpha", "1", **WHO)
    made = actions.rerun(mixed.workspace, "toy", varied.number, "family", "transformer", **WHO)
    assert {"family": "transformer", "alpha": 1.0, "layers": 0} == made.params
    assert Settings(alpha=1.0, batch_size=2, dropout=0.3) == Settings(**made.settings)
    found = actions.forecast_rerun(mixed.workspace, "toy", made.number, "family", "paper")
    assert ("paper", 2_000.0 * 4) == (found.after, found.known["params"])
    back = actions.rerun(mixed.workspace, "toy", made.number, "family", "paper", **WHO)
    assert Settings(family="paper", alpha=1.0, batch_size=2, dropout=0.0, epochs=2.0) == Settings(**back.settings)
    with pytest.raises(ActionRefused, match="trial 1 "):
        actions.rerun(mixed.workspace, "toy", back.number, "hidden_size", 16, **WHO)


def test_a_rerun_keeps_what_was_changed_besides_the_search(mixed: Workbench) -> None:
    """The width of a transformer is searched for the other family only, so it is not reset."""
    other = actions.rerun(mixed.workspace, "toy", 0, "family", "transformer", **WHO)
    dropped = actions.rerun(mixed.workspace, "toy", other.number, "batch_size", "7", **WHO)
    made = actions.rerun(mixed.workspace, "toy", dropped.number, "layers", "2", **WHO)
    assert (7, 2) == (made.settings["batch_size"], made.settings["layers"])


def test_queued_trials_of_a_family(mixed: Workbench) -> None:
    """Missing values are filled in for its family; values of the other have no effect and are refused."""
    actions.set_budget(mixed.workspace, "toy", trials=9, **WHO)
    made = actions.queue_trial(mixed.workspace, "toy", {"family": "transformer", "layers": "2"}, **WHO)
    assert {"family": "transformer", "layers": 2, "alpha": 0.5} == made.params
    own = actions.queue_trial(mixed.workspace, "toy", {"paper.hidden_size": "8", "paper.batch_size": 4}, **WHO)
    assert {"family": "paper", "alpha": 0.5, "paper.hidden_size": 8, "paper.batch_size": 4} == own.params
    with pytest.raises(InvalidRequest, match=r'paper\.hidden_size has no effect here because family is "transformer"'):
        actions.queue_trial(mixed.workspace, "toy", {"family": "transformer", "paper.hidden_size": 8}, **WHO)
    with pytest.raises(InvalidRequest, match="layers has no effect with these parameters"):
        actions.queue_trial(mixed.workspace, "toy", {"layers": 3}, **WHO)


def test_the_range_of_a_family_changes_and_comes_back(mixed: Workbench) -> None:
    """It is named as in the study file, kept in its table, and undone like any other."""
    actions.set_range(mixed.workspace, "toy", "paper.hidden_size", "8,16", **WHO)
    assert {"paper": {"hidden_size": {"choices": [8, 16]}}} == mixed.study().spec["ranges"]
    history.undo(mixed.workspace, "toy", **WHO)
    assert "ranges" not in mixed.study().spec
    with pytest.raises(InvalidRequest, match="'hidden_size' is not searched in study 'toy'"):
        actions.set_range(mixed.workspace, "toy", "hidden_size", "8", **WHO)


def test_a_rerun_of_a_fixed_setting_teaches_the_optimiser_nothing(bench: Make) -> None:
    """Its score came from more epochs, not from its parameters; a rerun of a searched one is told."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.rerun(of.workspace, "toy", 0, "epochs", 9, **WHO)
    actions.rerun(of.workspace, "toy", 0, "layers", 2, **WHO)
    told = [trial.params["layers"] for trial in proposals.history(of.trials(), of.spec)]
    assert told == [4, 2]


def test_a_rerun_is_forecast(bench: Make) -> None:
    """Exact size; minutes in proportion to work; the trial that has the settings already."""
    of = bench({"budget": {"trials": 2}}).finish()
    found = actions.forecast_rerun(of.workspace, "toy", 0, "layers", "2")
    assert (found.before, found.after, found.judged_by) == (4, 2, 2)
    assert found.known["params"] < found.parent_known["params"]
    assert found.minutes is not None
    assert 0 < found.minutes < 0.2
    assert (found.memory_mb, found.repeats, len(of.trials())) == (None, None, 2)
    same, longer = (actions.forecast_rerun(of.workspace, "toy", 0, "finetune_epochs", n).minutes for n in ("1", "9"))
    assert same is not None
    assert longer is not None
    assert longer > same


def test_queued_trials_count_and_are_checked(bench: Make) -> None:
    """Inside the space, new, within the budget, and not before the study is prepared."""
    of = bench({"budget": {"trials": 2}})
    queue: Callable[..., Trial] = lambda **params: actions.queue_trial(of.workspace, "toy", params, **WHO)  # noqa: E731
    with pytest.raises(ActionRefused, match="not prepared"):
        queue(layers=1, learning_rate=1e-4)
    of.tick_until(lambda: len(of.trials()) == 1, "the baseline")
    with pytest.raises(ActionRefused):
        queue(layers=99, learning_rate=1e-4)
    with pytest.raises(ActionRefused, match="trial 0"):
        queue(layers=4)
    made = queue(layers=1)
    assert made.params == {"layers": 1, "learning_rate": 1e-4}  # the rest comes from the baseline
    assert (made.number, made.origin, Settings(**made.settings).layers) == (1, "queued", 1)
    with pytest.raises(ActionRefused, match="budget of 2 trials"):
        queue(layers=2, learning_rate=1e-4)
    of.run()
    assert len(of.trials()) == 2


def test_a_stopped_trial_is_gone_before_it_runs(bench: Make) -> None:
    """A waiting trial is stopped at once; a trial that has ended cannot be stopped."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.rerun(of.workspace, "toy", 0, "layers", 1, **WHO)
    actions.stop_trial(of.workspace, "toy", 1, **WHO)
    assert of.trial(1).state == TrialState.STOPPED
    with pytest.raises(ActionRefused, match="trial 0 is complete"):
        actions.stop_trial(of.workspace, "toy", 0, **WHO)


def test_notes_keep_what_was(bench: Make) -> None:
    """Note and tags change, archived stays; the request holds the values before."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.annotate(of.workspace, "toy", 0, note="good", tags=["a"], **WHO)
    actions.annotate(of.workspace, "toy", 0, note="better", **WHO)
    assert (of.trial(0).note, of.trial(0).tags, of.trial(0).archived) == ("better", ["a"], False)
    assert newest(of) == {**WHO, "verb": "note", "arguments": {"note": "better"}, "before": {"note": "good"}}


@pytest.mark.parametrize("action", [actions.stop_study, actions.pause_study, actions.resume_study])
def test_unknown_studies_are_named(bench: Make, action: Callable[..., Any]) -> None:
    """The error offers the nearest name."""
    of = bench()
    with pytest.raises(NotFound) as found:
        action(of.workspace, "tyo", **WHO)
    assert "toy" in found.value.hint


# ----------------------------------------------------------------------------------------------------------- promotions


def promoted(of: Workbench, name: str = "model", **more: Any) -> ModelVersion:
    """Promote trial 0 and wait for the verdict."""
    made = actions.promote(of.workspace, "toy", 0, name, **WHO, **more)
    assert made.state in ("verifying", "verified")

    def settled() -> ModelVersion | None:
        found = actions.settle_promotion(of.workspace, made.id)
        return None if found.state == "verifying" else found

    version: ModelVersion = wait_for(settled, "the verification")
    return version


def test_a_promotion_is_verified_and_exported(bench: Make) -> None:
    """The version has folder, hash and numbers; the alias follows it; versions count up."""
    of = bench({"budget": {"trials": 1}}).finish()
    first = promoted(of, alias="production", note="first")
    assert (first.state, first.version, first.folder) == ("verified", 1, "models/model/v1")
    assert (of.workspace.path / first.folder / "model.safetensors").is_file()
    assert len(first.sha256) == 64
    second = promoted(of)
    assert (second.version, second.state) == (2, "verified")
    with of.db.read() as session:
        assert reads.model_version(session, "model@production").version == 1
    actions.set_alias(of.workspace, "model", "production", 2, **WHO)
    actions.undo_alias(of.workspace, "model", "production", **WHO)
    with of.db.read() as session:
        assert reads.model_version(session, "model@production").version == 1


def test_a_mismatch_is_refused_unless_forced(bench: Make, tmp_path: Path) -> None:
    """The worker's sentence is kept; an alias never points to a refused version."""
    of = bench({"budget": {"trials": 1}}).finish()
    behave(tmp_path, worse=3.0)
    refused = promoted(of, alias="production")
    assert (refused.state, refused.folder) == ("refused", "")
    assert "differs from the record" in refused.detail
    with of.db.read() as session:
        assert reads.aliases(session) == []
    with pytest.raises(ActionRefused, match="is refused"):
        actions.set_alias(of.workspace, "model", "production", 1, **WHO)
    assert promoted(of, force=True).state == "verified"


def test_a_promotion_that_dies_has_failed(bench: Make) -> None:
    """Its worker was killed: settled once, with the class of its end."""
    of = bench({"budget": {"trials": 1}}).finish()
    checkpoint = next((of.paths(of.attempts(0)[0]).checkpoints).iterdir())
    (checkpoint / "model.safetensors").unlink()
    failed = promoted(of)
    assert failed.state == "failed"
    assert "FileNotFoundError" in failed.detail
    assert actions.settle_promotion(of.workspace, failed.id).finished_at == failed.finished_at


def test_what_cannot_be_promoted(bench: Make, tmp_path: Path) -> None:
    """Hostile names, a trial that still runs, a checkpoint that is gone."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"budget": {"trials": 1}}, hold=str(hold))
    of.tick_until(lambda: of.at_half(1), "the trial at half")
    with pytest.raises(BertDistillError):
        actions.promote(of.workspace, "toy", 0, "../up", **WHO)
    with pytest.raises(ActionRefused, match="trial 0 is running"):
        actions.promote(of.workspace, "toy", 0, "model", **WHO)
    hold.unlink()
    of.run()
    with pytest.raises(ActionRefused, match="no last checkpoint"):
        actions.promote(of.workspace, "toy", 0, "model", checkpoint="last", **WHO)
    with of.db.read() as session:
        assert reads.model_versions(session) == []


def test_a_model_that_the_database_forgot_is_not_overwritten(bench: Make) -> None:
    """A new database in an old workspace counts versions from 1 again."""
    of = bench({"budget": {"trials": 1}}).finish()
    old = of.workspace.models_folder("model", 1)
    old.mkdir(parents=True)
    with pytest.raises(ActionRefused, match="already exists"):
        actions.promote(of.workspace, "toy", 0, "model", **WHO)
    with of.db.read() as session:
        assert reads.model_versions(session) == []


def test_the_order_says_what_was_recorded(bench: Make) -> None:
    """Hash, scores and device of the checkpoint are in the spec of the verifying worker."""
    of = bench({"budget": {"trials": 1}}).finish()
    version = promoted(of, note="n")
    spec = json.loads((of.workspace.absolute(version.attempt_folder) / "spec.json").read_text())
    with of.db.read() as session:
        best = reads.best_checkpoint(session, of.trial(0).id)
    assert best is not None
    order = spec["promote"]
    assert (order["sha256"], order["device"], order["note"]) == (best.sha256, "cpu", "n")
    assert order["recorded"]["accuracy"] == best.metrics["accuracy"]
    assert Prepared.from_dict(spec["prepared"]) == Prepared.from_dict(of.study().prepared)
