"""Changes of a study while it runs, over a real database and fake workers; and taking them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, behave, wait_for

from bertdistill.engine.contract.errors import ActionRefused, ConfigError, InvalidRequest
from bertdistill.engine.runner.budget import used
from bertdistill.engine.search import proposals
from bertdistill.engine.search.past import Proposal
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.actions import Entry
from bertdistill.engine.study.config import changed, dump, study_from_dict
from bertdistill.store import reads, writes
from bertdistill.store.rows import StudyState, TrialState

WHO = {"who": "ada"}
Make = Callable[..., Workbench]


def entries(of: Workbench) -> list[Entry]:
    return actions.history(of.db, "toy")


def change(of: Workbench, **changes: Any) -> list[int]:
    """Change the study; dots are written as double underscores. The ids of the requests."""
    given = {key.replace("__", "."): value for key, value in changes.items()}
    return [one.id for one in actions.change_study(of.workspace, "toy", given, **WHO)]


def undo(of: Workbench, request: int | None = None) -> Entry:
    return actions.undo(of.workspace, "toy", request, who="bob")


def spec_of(of: Workbench) -> Any:
    return study_from_dict(of.study().spec, where="test")


# -------------------------------------------------------------------------------------------------------------- changes


def test_the_report_file_can_be_set_and_taken_back(bench: Make, tmp_path: Path) -> None:
    """As `engine set STUDY data.report=FILE`; a file that is not there is refused."""
    of = bench()
    before, report = spec_of(of).data.report, tmp_path / "other.tsv"
    with pytest.raises(InvalidRequest, match=r"data\.report = .* is not a file"):
        change(of, data__report=str(report))
    with pytest.raises(InvalidRequest, match="cannot be changed"):
        change(of, data__train=str(report))
    report.touch()
    change(of, data__report=str(report))
    assert str(report) == spec_of(of).data.report
    words = entries(of)[-1].words  # long paths are cut
    assert (True, 2) == (words.startswith(f'data.report "{before[:20]}'), len(words.split(" -> ")))
    undo(of)
    assert before == spec_of(of).data.report


def test_several_changes_are_one(bench: Make) -> None:
    """Each is recorded with who and what it replaced; one that is wrong leaves all undone."""
    of = bench()
    change(of, threshold__accuracy=60, range__layers="2..3", budget__hours=2, runner__slots=1, note="hm")
    spec = spec_of(of)
    assert (60.0, 2.0, 1, "hm") == (spec.objectives[0].threshold, spec.budget.hours, spec.runner.slots, spec.note)
    assert [
        "threshold.accuracy none -> 60",
        "range.layers whole range -> 2..3",
        "budget.hours no limit -> 2",
        "runner.slots 2 -> 1",
        'note none -> "hm"',
    ] == [one.words for one in entries(of)[1:]]
    assert {"ada"} == {one.who for one in entries(of)}
    with pytest.raises(ConfigError, match=r"toy: \[budget\] trials = 0 is below 1"):
        change(of, note="other", budget__trials=0)
    assert ("hm", 6) == (spec_of(of).note, len(entries(of)))


@pytest.mark.parametrize(("typed", "value"), [("60M", 60e6), ("40k", 40e3), ("0.5G", 5e8), ("1.5b", 1.5e9)])
def test_a_threshold_may_have_a_unit(bench: Make, typed: str, value: float) -> None:
    """As the app prints numbers, and the filter takes them; the same number in digits is no change."""
    of = bench()
    change(of, threshold__params=typed)
    assert value == next(one.threshold for one in spec_of(of).objectives if one.metric == "params")
    assert [] == change(of, threshold__params=value)


@pytest.mark.parametrize(
    ("metric", "example"), [("params", "threshold.params=60M"), ("accuracy", "threshold.accuracy=60")]
)
def test_a_threshold_that_is_no_number_names_metric_and_example(bench: Make, metric: str, example: str) -> None:
    """With what to type instead."""
    of = bench()
    with pytest.raises(InvalidRequest, match=f"threshold.{metric} = '60 bits' is not a number") as caught:
        change(of, **{f"threshold__{metric}": "60 bits"})
    assert example in caught.value.hint


def test_what_is_in_force_is_not_recorded(bench: Make) -> None:
    """A second click changes nothing, and neither does a range that is the whole one."""
    of = bench()
    assert [] == change(of, budget__trials=5, range__layers="1..4", threshold__accuracy=None)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("budgets.trials", 3, "cannot be changed; did you mean budget"),
        ("trials", 3, "cannot be changed; did you mean budget.trials?"),
        ("data.train", "x", "cannot be changed"),
        ("threshold", 3, "cannot be changed"),
        ("threshold.macro_f1", 3, "not an objective"),
        ("range.dropout", 0.1, "not searched"),
    ],
)
def test_unknown_keys_are_misuse(bench: Make, key: str, value: Any, words: str) -> None:
    """They name what there is."""
    of = bench()
    with pytest.raises(InvalidRequest, match=words) as caught:
        actions.change_study(of.workspace, "toy", {key: value}, **WHO)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("range.layers", "2..9", r"\[ranges\] layers = 9 is outside the range in the study file: 1 to 4"),
        ("budget.trails", 3, "no key 'trails'; did you mean trials"),
        ("runner.grace_seconds", 0, "grace_seconds"),
        ("threshold.accuracy", 0.5, "percentages"),
        ("runner.slots", "two", "whole number"),
    ],
)
def test_wrong_values_are_refused_as_in_a_file(bench: Make, key: str, value: Any, words: str) -> None:
    """The same checks, the same words."""
    of = bench()
    with pytest.raises(ConfigError, match=words):
        actions.change_study(of.workspace, "toy", {key: value}, **WHO)
    assert ["start"] == [one.verb for one in entries(of)]


def test_later_proposals_keep_to_a_narrowed_range(bench: Make) -> None:
    """Earlier trials stay and are told to the optimiser; reruns and queued trials use the whole range."""
    of = bench({"budget": {"trials": 3}}).finish()
    actions.set_range(of.workspace, "toy", "layers", 2, **WHO)
    actions.set_range(of.workspace, "toy", "learning_rate", "1e-4..2e-4", **WHO)
    actions.set_budget(of.workspace, "toy", trials=7, **WHO)
    of.run()
    later = [trial.params for trial in of.trials()[3:]]
    assert 4 == len(later)
    assert {2} == {params["layers"] for params in later}
    assert all(1e-4 <= params["learning_rate"] <= 2e-4 for params in later)
    assert 7 == len(proposals.history(of.trials(), spec_of(of)))
    assert 3 == actions.rerun(of.workspace, "toy", 0, "layers", 3, **WHO).params["layers"]
    actions.set_budget(of.workspace, "toy", trials=8, **WHO)
    queued = actions.queue_trial(of.workspace, "toy", {"layers": "1"}, **WHO)
    assert (1, 1e-4) == (queued.params["layers"], queued.params["learning_rate"])
    of.run()


def test_a_proposal_from_before_the_narrowing_is_dropped(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked for with the old range and is asked for again."""
    of = bench({"budget": {"trials": 2}})
    of.tick_until(lambda: of.trials(), "the baseline")
    actions.set_range(of.workspace, "toy", "layers", 1, **WHO)
    honest = proposals.Record.next_proposal
    answers = [Proposal({"layers": 3, "learning_rate": 5e-4}, 1, "random")]
    monkeypatch.setattr(proposals.Record, "next_proposal", lambda *given: answers.pop() if answers else honest(*given))
    of.run()
    assert ([], [4, 1]) == (answers, [trial.params["layers"] for trial in of.trials()])


def test_a_study_that_ran_out_of_space_goes_on_when_a_range_widens(bench: Make) -> None:
    """Narrowing can exhaust a finite space; widening is the way on."""
    search = {"layers": {"low": 1, "high": 4}, "batch_size": {"choices": [8, 16]}}
    of = bench({"search": search, "baseline": {"layers": 4, "batch_size": 8}, "budget": {"trials": 6}})
    of.tick_until(lambda: of.trials(), "the baseline")
    change(of, range__layers=2, range__batch_size=8)
    of.run()
    before = len(of.trials())
    assert (StudyState.COMPLETE, True) == (of.study().state, before < 6)
    change(of, range__batch_size=None)
    assert StudyState.RUNNING == of.study().state
    of.run()
    assert [2] == [trial.params["layers"] for trial in of.trials()[before:]]


def test_fewer_slots_stop_the_newest_when_asked(bench: Make, tmp_path: Path) -> None:
    """Its trial waits with its checkpoint and goes on later; without asking, what runs goes on."""
    hold = tmp_path / "hold"
    hold.touch()
    of = bench({"budget": {"trials": 2}}, hold=str(hold))
    of.tick_until(lambda: of.at_half(2), "two trials at half")
    actions.set_slots(of.workspace, "toy", 1, **WHO)
    of.runner.tick()
    assert [True, True] == [not attempt.stop_reason for attempt in of.live()]
    with pytest.raises(InvalidRequest, match="does not give a number"):
        actions.set_slots(of.workspace, "toy", 0, stop_newest=True, **WHO)
    assert 1 == spec_of(of).runner.slots
    actions.set_slots(of.workspace, "toy", 1, stop_newest=True, **WHO)  # starts a runner, which stops it
    wait_for(lambda: len(of.live()) == 1, "one worker to leave")
    assert [TrialState.RUNNING, TrialState.WAITING] == [trial.state for trial in of.trials()]
    hold.unlink()
    wait_for(lambda: of.study().state == StudyState.COMPLETE, "the study to end")
    assert [TrialState.COMPLETE] * 2 == [trial.state for trial in of.trials()]
    assert [1, 2] == [len(of.attempts(number)) for number in (0, 1)]
    assert "slots" == of.attempts(1)[0].stop_reason


def test_tags_are_words(bench: Make) -> None:
    """Added once, taken off by name; what is no word is refused."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.tag_trial(of.workspace, "toy", 0, add=["keep", "v1.0", "keep"], **WHO)
    assert ["v1.0"] == actions.tag_trial(of.workspace, "toy", 0, remove=["keep"], **WHO).tags
    assert ["v1.0"] == of.trial(0).tags
    for wrong in ("two words", "", "a,b", "x" * 33, "\x1b[2J"):
        with pytest.raises(InvalidRequest, match="is not a valid tag"):
            actions.tag_trial(of.workspace, "toy", 0, add=[wrong], **WHO)
    with pytest.raises(ActionRefused, match="has no tag 'keep'"):
        actions.tag_trial(of.workspace, "toy", 0, remove=["keep"], **WHO)


def test_archiving(bench: Make) -> None:
    """A trial and a study go and come back; a study that runs cannot go."""
    of = bench({"budget": {"trials": 1}})
    with pytest.raises(ActionRefused, match="is running"):
        actions.archive_study(of.workspace, "toy", **WHO)
    of.run()
    actions.archive_trial(of.workspace, "toy", 0, **WHO)
    actions.archive_study(of.workspace, "toy", **WHO)
    with of.db.read() as session:
        assert {of.study().id} == reads.archived_studies(session)
    for action in (actions.archive_study, lambda *given, **more: actions.archive_trial(*given, 0, **more)):
        with pytest.raises(ActionRefused, match="is already archived"):
            action(of.workspace, "toy", **WHO)
    actions.archive_study(of.workspace, "toy", archived=False, **WHO)
    actions.archive_trial(of.workspace, "toy", 0, archived=False, **WHO)
    with of.db.read() as session:
        assert (set(), False) == (reads.archived_studies(session), of.trial(0).archived)


def test_queued_trials_take_the_rest_from_baseline_or_middle(bench: Make) -> None:
    """Typed words become values; what has no effect or a wrong value is refused."""
    search = {
        "layers": {"low": 1, "high": 4},
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "head_choice": {"choices": ["importance", "random"]},
        "head_seed": {"low": 1, "high": 9, "when": {"head_choice": ["random"]}},
    }
    more = {"settings": {"heads": 2}, "student": {"init": "some/model"}, "baseline": {"layers": 4}}
    of = bench({"search": search, "budget": {"trials": 4}, **more})
    of.tick_until(lambda: of.trials(), "the baseline")
    made = actions.queue_trial(of.workspace, "toy", {"layers": "2"}, **WHO)
    assert {"layers": 2, "learning_rate": 1e-4, "head_choice": "importance"} == made.params
    other = actions.queue_trial(of.workspace, "toy", {"head_choice": "random"}, **WHO)
    assert {"layers": 4, "learning_rate": 1e-4, "head_choice": "random", "head_seed": 5} == other.params
    for params, words in (
        ({"head_seed": 3}, "head_seed has no effect"),
        ({"layers": 9}, "outside the search space"),
        ({"layer": 2}, "did you mean layers"),
        ({"epochs": 2}, "not searched"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            actions.queue_trial(of.workspace, "toy", params, **WHO)
    of.run()


def test_a_rerun_that_breaks_a_size_limit_is_refused(bench: Make) -> None:
    """Its size is known, so it costs no training; the forecast says it before."""
    of = bench({"budget": {"trials": 1}}).finish()
    limit = of.trial(0).known["params"] - 1
    actions.rerun(of.workspace, "toy", 0, "layers", 2, **WHO)
    change(of, threshold__params=limit)
    assert "above the threshold" in actions.forecast_rerun(of.workspace, "toy", 0, "learning_rate", "2e-4").excluded
    with pytest.raises(ActionRefused, match="above the threshold"):
        actions.rerun(of.workspace, "toy", 0, "learning_rate", "2e-4", **WHO)
    assert "" == actions.forecast_rerun(of.workspace, "toy", 0, "layers", 3).excluded
    of.run()


# ----------------------------------------------------------------------------------------------------------------- undo


def test_undo_takes_back_the_newest_first(bench: Make) -> None:
    """Each time one more, past what is undone already; then nothing is left."""
    of = bench()
    spec = of.study().spec
    first, second = change(of, budget__trials=9, range__layers=3)
    assert f"undo #{second}: range.layers 3 -> whole range" == undo(of).words
    assert f"undo #{first}: budget.trials 9 -> 5" == undo(of).words
    assert spec == of.study().spec
    with pytest.raises(ActionRefused, match="nothing to undo"):
        undo(of)
    assert [None, None, second, first] == [one.undoes for one in entries(of)[1:]]
    assert ["ada", "ada", "bob", "bob"] == [one.who for one in entries(of)[1:]]


def test_the_undo_of_an_undo_is_a_redo(bench: Make) -> None:
    """By its number; then the change can be undone again."""
    of = bench()
    [made] = change(of, threshold__accuracy=60)
    back = undo(of)
    again = undo(of, back.id)
    assert (60.0, back.id) == (spec_of(of).objectives[0].threshold, again.undoes)
    assert {made: None, back.id: again.id} == {one.id: one.undone_by for one in entries(of)[1:3]}
    assert made == undo(of).undoes
    assert spec_of(of).objectives[0].threshold is None
    with pytest.raises(ActionRefused, match=f"#{made}: it was undone by"):
        undo(of, made)


def test_a_later_change_of_the_same_thing_stands_over(bench: Make) -> None:
    """It is named; another thing does not matter, and neither do two that cancel each other."""
    of = bench()
    [first] = change(of, budget__trials=9)
    change(of, budget__hours=1.0)
    [second] = change(of, budget__trials=12)
    with pytest.raises(ActionRefused, match=f"a later change overrides it: #{second} "):
        undo(of, first)
    back = undo(of, second)
    assert 9 == spec_of(of).budget.trials
    down = undo(of, first)
    assert (5, 1.0) == (spec_of(of).budget.trials, spec_of(of).budget.hours)
    with pytest.raises(ActionRefused, match=f"overrides it: #{down.id} "):
        undo(of, back.id)
    undo(of, down.id)
    undo(of, back.id)
    assert 12 == spec_of(of).budget.trials


def test_a_study_file_stands_over_what_it_replaced(bench: Make) -> None:
    """What the file changed since cannot be undone by an older change of the same section."""
    of = bench()
    [made] = change(of, budget__trials=9)
    actions.start_study(of.workspace, changed(of.spec, "budget.trials", 12), **WHO)
    with pytest.raises(ActionRefused, match=r"overrides it: #\d+ \(settings\)"):
        undo(of, made)


def test_trial_notes_tags_and_archiving_are_undone(bench: Make) -> None:
    """Field by field: an older note can be undone under a newer tag."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.annotate(of.workspace, "toy", 0, note="good", **WHO)
    actions.tag_trial(of.workspace, "toy", 0, add=["a"], **WHO)
    actions.archive_trial(of.workspace, "toy", 0, **WHO)
    note, tag, _ = [one.id for one in entries(of)[1:]]
    undo(of, note)
    assert ("", ["a"], True) == (of.trial(0).note, of.trial(0).tags, of.trial(0).archived)
    undo(of)
    undo(of, tag)
    assert ([], False) == (of.trial(0).tags, of.trial(0).archived)


def test_archiving_a_study_is_undone(bench: Make) -> None:
    """And redone; the state follows from the requests alone."""
    of = bench({"budget": {"trials": 1}}).finish()
    actions.archive_study(of.workspace, "toy", **WHO)
    back = undo(of)
    with of.db.read() as session:
        assert set() == reads.archived_studies(session)
    undo(of, back.id)
    with of.db.read() as session:
        assert {of.study().id} == reads.archived_studies(session)


def test_a_pause_is_undone(bench: Make) -> None:
    """Unless something else has changed the state since."""
    of = bench()
    actions.pause_study(of.workspace, "toy", **WHO)
    back = undo(of)
    assert (StudyState.RUNNING, "undo #2: state paused -> running") == (of.study().state, back.words)
    undo(of, back.id)
    assert StudyState.PAUSED == of.study().state
    actions.resume_study(of.workspace, "toy", **WHO)
    with pytest.raises(ActionRefused, match=r"overrides it: #\d+ \(resume\)"):
        undo(of, 2)


def test_a_trial_that_waits_is_taken_out_of_the_queue(bench: Make) -> None:
    """It counts against no budget, is not retried, may be queued again, and comes back by a redo."""
    of = bench({"budget": {"trials": 2}})
    of.tick_until(lambda: of.trials(), "the baseline")
    actions.pause_study(of.workspace, "toy", **WHO)
    of.run()
    actions.queue_trial(of.workspace, "toy", {"layers": 2}, **WHO)
    back = undo(of)
    assert (TrialState.STOPPED, "undone", 1) == (of.trial(1).state, of.trial(1).reason, used(of.trials()))
    undo(of, back.id)
    assert (TrialState.WAITING, 2) == (of.trial(1).state, used(of.trials()))
    undo(of)
    actions.queue_trial(of.workspace, "toy", {"layers": 2}, **WHO)
    with pytest.raises(ActionRefused, match="trial 2 has exactly these settings"):
        undo(of, entries(of)[-2].id)
    actions.resume_study(of.workspace, "toy", retry_failed=True, **WHO)
    of.run()
    assert [TrialState.COMPLETE, TrialState.STOPPED, TrialState.COMPLETE] == [one.state for one in of.trials()]
    made = next(one for one in reversed(entries(of)) if one.verb == "queue")
    words = "trial 2 has run since it was requested and is complete; its results are kept"
    assert (words, True) == (made.obstacle, "engine archive STUDY/2" in made.instead)
    with pytest.raises(ActionRefused, match=words):
        undo(of, made.id)


def test_a_trial_that_has_begun_is_not_taken_back(bench: Make) -> None:
    """Neither while it runs nor while it waits to go on: it can be stopped, and the history says so before."""
    of = bench({"budget": {"trials": 3}})
    of.tick_until(lambda: of.trials(), "the baseline")
    made = actions.queue_trial(of.workspace, "toy", {"layers": 2}, **WHO)
    assert "" == entries(of)[-1].obstacle
    for state, words in (
        (TrialState.RUNNING, "has started"),
        (TrialState.WAITING, "has started and waits to be resumed"),
    ):
        with of.db.write() as session:
            writes.set_trial_state(session, made.id, state, now=2.0)
        assert f"trial {made.number} {words}" == entries(of)[-1].obstacle
        with pytest.raises(ActionRefused, match=f"trial {made.number} {words}$"):
            undo(of)


def test_an_alias_is_undone(bench: Make, tmp_path: Path) -> None:
    """To where it was, or away; a promotion with that alias overrides it."""
    of = bench({"budget": {"trials": 1}}).finish()
    for _ in range(2):
        made = actions.promote(of.workspace, "toy", 0, "model", **WHO)
        wait_for(lambda: actions.settle_promotion(of.workspace, made.id).state == "verified", "a version")  # noqa: B023 - used at once

    def points_to() -> list[int]:
        with of.db.read() as session:
            return [one.version_id for one in reads.aliases(session, "model")]

    actions.set_alias(of.workspace, "model", "live", 1, **WHO)
    actions.set_alias(of.workspace, "model", "live", 2, **WHO)
    first, second = (one.id for one in entries(of)[-2:])
    with pytest.raises(ActionRefused, match=f"overrides it: #{second} "):
        undo(of, first)
    undo(of, second)
    assert [1] == points_to()
    gone = undo(of, first)
    assert [] == points_to()
    undo(of, gone.id)
    assert [1] == points_to()
    behave(tmp_path)
    actions.promote(of.workspace, "toy", 0, "model", alias="live", **WHO)
    with pytest.raises(ActionRefused, match=r"\(promote\)"):
        undo(of, first)


def test_what_cannot_be_undone_says_what_to_do(bench: Make) -> None:
    """Starts, stops and what changed nothing; unknown numbers too."""
    of = bench({"budget": {"trials": 1}})
    actions.stop_study(of.workspace, "toy", **WHO)
    for number, words in ((1, "start cannot be undone"), (2, "stop_study cannot be undone")):
        with pytest.raises(ActionRefused, match=words) as caught:
            undo(of, number)
        assert caught.value.hint
    with pytest.raises(ActionRefused, match="no request #99"):
        undo(of, 99)
    of.ask("pause", study_id=of.study().id)
    with pytest.raises(ActionRefused, match="not processed"):
        undo(of, 3)
    of.runner.tick()
    with pytest.raises(ActionRefused, match="changed nothing"):
        undo(of, 3)


# ------------------------------------------------------------------------------------------------- the file, run again


def test_running_the_same_file_again_keeps_the_changes(bench: Make) -> None:
    """It attaches; only what has changed in the file since is taken over."""
    of = bench()
    change(of, threshold__accuracy=60, budget__trials=9, range__layers=3, note="running")
    before = of.study().spec
    actions.start_study(of.workspace, of.spec, **WHO)
    assert before == of.study().spec
    edited = changed(of.spec, "runner.retries", 5)
    actions.start_study(of.workspace, edited, **WHO)
    assert {**before, "runner": {**before["runner"], "retries": 5}} == of.study().spec
    change(of, runner__slots=1)
    actions.start_study(of.workspace, edited, **WHO)
    assert (5, 1, 9) == (spec_of(of).runner.retries, spec_of(of).runner.slots, spec_of(of).budget.trials)
    undo(of)
    actions.start_study(of.workspace, changed(edited, "budget.trials", 12), **WHO)
    assert (12, 60.0) == (spec_of(of).budget.trials, spec_of(of).objectives[0].threshold)
    assert [3] == [one["layers"] for one in [dump(spec_of(of))["ranges"]]]


def test_an_exported_file_with_ranges_is_the_same_study(bench: Make) -> None:
    """What is in force, run again, takes nothing back."""
    of = bench()
    change(of, range__layers=3, threshold__accuracy=60)
    before = of.study().spec
    actions.start_study(of.workspace, spec_of(of), **WHO)
    assert before == of.study().spec
