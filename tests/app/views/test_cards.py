"""A study and a trial in a few facts: what stands beside their lists."""

from __future__ import annotations

from dataclasses import replace

from bertdistill.app.views.study_card import ENDED_KEYS, diagnosis_words, ended_words, smaller, study_card
from bertdistill.app.views.trial_card import trial_card
from bertdistill.app.views.view import read_view
from bertdistill.store.db import Database
from bertdistill.store.rows import StudyState


def test_a_study_in_a_few_facts(db: Database) -> None:
    """Its best and smallest student, the teacher, what runs."""
    facts = dict(study_card(read_view(db, "demo"), ascii_only=True))
    assert ("#0 · 90.00 · 120k", "#2 · 50.00 · 15.0k", "95.00") == (facts["best"], facts["smallest"], facts["teacher"])
    assert "#6 50%" == facts["running"]
    assert facts["hypervolume"].startswith("0.577 ")
    assert "problem" not in facts


def test_a_search_that_ended_says_what_is_next(db: Database) -> None:
    """Its best trial and the keys; while it runs, nothing; without a feasible trial, what to change."""
    view = read_view(db, "demo")
    keys = {name: name for name in ENDED_KEYS}
    assert "" == ended_words(view, keys)
    ended = replace(view, study=replace(view.study, state=StudyState.COMPLETE))
    words = ended_words(ended, keys)
    assert words.startswith("Complete. Best: #0 · 90.00 · 120k. promote promotes the trial under the cursor")
    assert words.endswith("analysis analyses all, copy writes a report.")
    assert "promote" not in ended_words(replace(ended, study=replace(ended.study, kind="program")), keys)
    assert "settings changes them" in ended_words(replace(ended, trials=()), keys)
    assert "No trial has scores" in ended_words(replace(ended, trials=(), ranked={}), keys)
    early = replace(ended, cause="The study is complete after 6 of 8 trials: no other values are left.")
    assert ended_words(early, keys).startswith(f"{early.cause} Best: #0")
    assert early.cause == dict(study_card(early))["ended"]


def test_a_complete_trial_in_a_few_facts(db: Database) -> None:
    """Its rank, scores against teacher and baseline, and what differs from the baseline."""
    view = read_view(db, "demo")
    trial = view.trial(2)
    assert trial is not None
    facts = dict(trial_card(view, trial))
    assert "3 of 6, on the frontier" == facts["rank"]
    assert "50.00 · -45.00 to the teacher · -40.00 to the baseline #0" == facts["exact"]
    assert "15.0k · 8 times smaller than the baseline #0" == facts["params"]


def test_trials_that_are_not_complete(db: Database) -> None:
    """The state, with the share done or the reason of the end."""
    view = read_view(db, "demo")
    words = {n: dict(trial_card(view, trial))["state"] for n in (5, 6) if (trial := view.trial(n)) is not None}
    assert words[6].endswith("running, 50%")
    assert "killed" in words[5]


def test_a_factor_is_said_from_twice_on() -> None:
    """Of sizes and costs; never of a score, nor without a value."""
    assert ["", "2 times smaller", "282 times smaller"] == [smaller("params", v, 282.0) for v in (142.0, 141.0, 1.0)]
    assert ["", "", ""] == [smaller("accuracy", 1.0, 90.0), smaller("params", None, 3.0), smaller("params", 0.0, 3.0)]


def test_a_diagnosis_names_keys_and_no_shell_command() -> None:
    """What the record says is for a shell, too; the app has a key for both ways out."""
    text = "The disk is too full. Free disk space or lower runner.min_free_gb, then: bertdistill-tui engine resume toy"
    words = diagnosis_words(text, {"pause-study": "z", "settings": "E"})
    assert words.endswith("lower runner.min_free_gb (E), then: z resumes it")
