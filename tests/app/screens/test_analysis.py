"""The analysis: seven tabs over one study, their keys, what they say while a process computes, and hostile answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.app.conftest import NOW
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, until, words_on
from textual.pilot import Pilot

from bertdistill.app.draw.parallel import HEAD
from bertdistill.app.screens import (
    difficulty_tab,
    errors_tab,
    growth_tab,
    importance_tab,
    parallel_tab,
    scenarios_tab,
    slices_tab,
)
from bertdistill.app.screens.analysis import AnalysisScreen
from bertdistill.app.screens.parallel_tab import Strands
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.app.widgets import error_rows
from bertdistill.engine.analysis.coordinates import Axis, Line
from bertdistill.engine.analysis.error_analysis import Classified, Question
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.predictions import Predictions
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import Importances, Method, Weight
from bertdistill.engine.search.outlook import Outlook
from bertdistill.engine.steering.changes import set_threshold
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION
from bertdistill.engine.tasks.word_order import Shuffling, WordOrder
from bertdistill.store import writes
from bertdistill.store.rows import Study, TrialState
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]

NOTE = "5 trials for 3 parameters: with fewer than 15, the order may be due to chance"
QUESTIONS = (
    Question("q1", "Normans", "Who came?", ("the Normans",), "Normans"),
    Question("q2", "Normans", "When did they come?", ("in the year 1066",), "year 1066"),
    Question(
        "q3",
        "Normans",
        "Where?",
        ("Hastings",),
        "France",
        Passage(f"From France to Hastings. {'They stayed. ' * 20}Then home.", ((15, 23),), (5, 11), 1),
    ),
    Question(
        "q4",
        f"Oxygen {HOSTILE}",
        f"Why {HOSTILE}?",
        (),
        f"because {HOSTILE}",
        Passage(f"So {HOSTILE} it is", (), (3, 9)),
    ),
    Question("q5", f"Oxygen {HOSTILE}", "What burns?", (f"wood {HOSTILE}",), ""),
)
TEXTS = (
    Classified("t1", "a fine film", "good", "good"),
    Classified("t2", f"dull {HOSTILE}", "bad", "good"),
    Classified("t3", "not bad", "good", "bad"),
)


class Child:
    """Stands for the child process: what it was asked, and an answer when the test lets it give one."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        self.asked: list[Any] = []
        self.ended: list[Any] = []
        self.free = asyncio.Event()
        self.free.set()
        self._answer = answer

    async def __call__(self, _: Workspace, study: str, what: Any) -> Any:
        self.asked.append(what)
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.ended.append(what)
            raise
        return self._answer(what)


def weights(method: Method) -> list[Importances]:
    """Shares that differ by method."""
    share = 0.75 if method == "ped-anova" else 0.5
    found = (Weight("layers", share, 5, False), Weight("learning_rate", 1 - share, 3, True))
    return [
        Importances("exact", method, 5, found, missed=1, problem=NOTE),
        Importances("params", method, 5, (Weight("hidden_size", 1.0, 5, False),), without_effect=("learning_rate",)),
    ]


@pytest.fixture
def importances(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Importances without optuna, and the outlook without scipy."""
    child = Child(weights)
    monkeypatch.setattr(importance_tab, "ask_importances", child)

    async def outlook(*_: Any) -> Outlook:
        return Outlook(10, 0.004, 0.0, 0.011, 0.5, 2100.0)

    monkeypatch.setattr(growth_tab, "ask_outlook", outlook)
    return child


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Child:
    """Answers to five questions, whichever trial is asked."""
    child = Child(lambda _: Predictions(QUESTION_ANSWERING, 9, questions=QUESTIONS))
    monkeypatch.setattr(errors_tab, "ask_predictions", child)
    return child


def row(pilot: Pilot[None], first: str) -> str:
    """The line whose first word, behind gutter and star, is this one."""
    for line in words_on(pilot).replace("|", "│").replace("││", "\n").split("\n"):
        words = line.replace("│", " ").strip("›> ").split()
        if words and words[0].lstrip("★*") == first:
            return " ".join(words)
    return ""


def command(pilot: Pilot[None]) -> str:
    """The first thing that `copy` offers."""
    screen: Any = pilot.app.screen
    return str(dict(reversed(screen.copies()))["command"])


def finish(session: Writing, trial_id: int = 7, exact: float = 92.0) -> None:
    """The running trial, number 6, completes as the best of all."""
    writes.set_trial_metrics(session, trial_id, {"exact": exact, "latency_ms": 1.0}, progress=1.0)
    writes.set_trial_state(session, trial_id, TrialState.COMPLETE, now=NOW + 500)


# ----------------------------------------------------------------------------------------------------------- importance


async def test_importance_says_what_it_rests_on(ws: Workspace, importances: Child) -> None:
    """A share and a bar a parameter, the feasible trials, and the caution of the objective under the cursor."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await shown(pilot, "by PED-ANOVA")
        await until(pilot, lambda: row(pilot, "layers"), "the shares")
        assert row(pilot, "layers").startswith("layers 75% ███")
        assert row(pilot, "learning_rate").endswith("active in 3")
        assert "5 feasible trials, 1 more miss a threshold" in row(pilot, "exact")
        assert f"exact: {NOTE}." in words_on(pilot)
        await pilot.press("G")
        await shown(pilot, "params is known before training; without effect: learning_rate.")


async def test_too_few_trials_start_no_computation(ws: Workspace, importances: Child) -> None:
    """It says how many are needed and how many there are, also when a threshold takes the old shares away."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await until(pilot, lambda: row(pilot, "layers"), "the shares")
        await asyncio.to_thread(set_threshold, ws, "demo", "exact", 87.0, who="test")
        await shown(pilot, "Importance needs 5 complete feasible trials, there are ")
        assert "that miss a threshold." in words_on(pilot)
        assert not row(pilot, "layers")
        await pilot.press("t")
        await shown(pilot, "importance by fANOVA")
        assert ["ped-anova"] == importances.asked


async def test_the_other_method_is_asked_once(ws: Workspace, importances: Child) -> None:
    """What a method gave is kept while no trial completes."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await until(pilot, lambda: "75%" in row(pilot, "layers"), "PED-ANOVA")
        await pilot.press("t")
        await until(pilot, lambda: "50%" in row(pilot, "layers"), "fANOVA")
        assert "importance by fANOVA" in words_on(pilot)
        await pilot.press("t")
        await until(pilot, lambda: "75%" in row(pilot, "layers"), "PED-ANOVA again")
        assert ["ped-anova", "fanova"] == importances.asked


async def test_it_says_that_it_computes(ws: Workspace, importances: Child) -> None:
    """And a computation that nobody waits for any more is given up."""
    importances.free.clear()
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await shown(pilot, "Computing PED-ANOVA over 6 complete trials")
        await pilot.press("t")
        await shown(pilot, "Computing fANOVA over 6 complete trials")
        await pilot.press("escape")
        await until(pilot, lambda: importances.ended == ["ped-anova", "fanova"], "both to be given up")


async def test_it_computes_again_when_a_trial_completes(ws: Workspace, importances: Child, edit: Edit) -> None:
    """The old shares stay on the screen meanwhile."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await until(pilot, lambda: row(pilot, "layers"), "the shares")
        importances.free.clear()
        edit(finish)
        await shown(pilot, "recomputing: more trials are complete")
        assert "75%" in row(pilot, "layers")
        importances.free.set()
        await until(pilot, lambda: "recomputing" not in words_on(pilot), "the new shares")
        assert 2 == len(importances.asked)


async def test_a_failed_computation_is_told(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its words made harmless; nothing is shown in its place."""

    async def fail(*_: Any) -> list[Importances]:
        raise WorkerFailed(f"no optuna {HOSTILE}", hint="Install it.")

    monkeypatch.setattr(importance_tab, "ask_importances", fail)
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await shown(pilot, f"Not computed: no optuna {HARMLESS}")
        await shown(pilot, "Install it.")
        assert set() == control_codes(pilot)


async def test_enter_on_a_parameter_shows_its_slices(ws: Workspace, importances: Child) -> None:
    """For the objective that it stands under."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await until(pilot, lambda: row(pilot, "layers"), "the shares")
        await pilot.press("G", "enter")
        await shown(pilot, "params along hidden_size (2 of 3)")


# ------------------------------------------------------------------------------------------------- parallel coordinates


async def test_parallel_follows_the_cursor(ws: Workspace, importances: Child) -> None:
    """A line a complete trial over parameters and objectives; enter opens the trial under the cursor."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("2")
        await shown(pilot, "Lines: 6 trials")
        await shown(pilot, "exact ↑")
        await shown(pilot, "learning_rate")
        screen: Any = pilot.app.screen
        assert screen.parallel.number == 0
        await pilot.press("j")
        await until(pilot, lambda: ("layers", 1) in dict_of(screen), "the readings of trial 1")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        assert 1 == getattr(pilot.app.screen, "number", None)


async def test_a_range_of_an_axis_chooses_trials(ws: Workspace, importances: Child) -> None:
    """By keys and by dragging: in the list here, and in the study behind; escape takes it back, then leaves."""
    study = StudyScreen("demo")
    async with playing(ws, study) as pilot:
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnalysisScreen), "the analysis")
        await pilot.press("2")
        await shown(pilot, "Lines: 6 trials")
        screen: Any = pilot.app.screen
        chart, table = screen.query_one("#parallel-chart"), screen.query_one("#parallel-trials")
        chart.focus()
        await pilot.press(*["down"] * 10, "space", *["up"] * 4, "space")
        await shown(pilot, "of 6 trials in layers")
        assert "layers>=1 layers<=" in study._listing.text
        await pilot.press("escape")
        await until(pilot, lambda: "of 6 trials in" not in words_on(pilot), "every trial")
        assert "" == study._listing.text
        x, top = chart.content_region.x - chart.region.x + 3, chart.content_region.y - chart.region.y + HEAD
        await pilot.mouse_down(chart, offset=(x, top))
        await pilot.hover(chart, offset=(x, top + 2))
        await pilot.mouse_up(chart, offset=(x, top + 2))
        await shown(pilot, "of 6 trials in layers")
        await until(pilot, lambda: f" {len(table._rows)} of 6 trials in layers" in words_on(pilot), "their number")
        assert len(table._rows) < 6
        assert study.news is not None
        assert {2} == {trial.params["layers"] for trial in study._chosen(study.news.view)}
        assert table.cursor_key is not None
        await pilot.press("escape", "escape")
        await until(pilot, lambda: pilot.app.screen is study, "the study")


def dict_of(screen: Any) -> set[tuple[str, Any]]:
    """What the chart of the parallel coordinates reads under its cursor."""
    return set(screen.query_one("#parallel-chart").drawing.readings)


async def test_axes_are_chosen(ws: Workspace, importances: Child) -> None:
    """The dialogue turns axes off; the command says the same."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("2")
        await shown(pilot, "learning_rate")
        await pilot.press("C")
        await shown(pilot, "Axes; parameters come first:")
        await pilot.press("space", "enter")
        await until(pilot, lambda: "layers" not in words_on(pilot), "the axis to go")
        assert "learning_rate" in words_on(pilot)
        assert "--part parallel --parameter hidden_size --parameter learning_rate --metric exact" in command(pilot)


def test_axes_are_named_without_their_family_where_that_is_clear() -> None:
    """Those of other families than that of the trial are left out; without it, those of the best one count."""
    families = Axis("family", "choice", choices=("mlp", "bilstm"))
    names = ("mlp.width", "mlp.layers", "bilstm.layers", "epochs")
    axes = (families, *(Axis(name, "number") for name in names), Axis("exact", "number", better="maximize"))
    lines = (
        Line(1, True, True, (), ("mlp", 1, 1, None, 1, 1)),
        Line(2, True, True, (), ("bilstm", None, None, 1, 1, 1)),
    )
    found = Strands(axes, lines, (), (), 5)
    assert ["family", "width", "mlp.layers", "bilstm.layers", "epochs", "exact"] == found.titles
    assert ([0, 1, 2, 4], [0, 3, 4]) == (found.of_family(None), found.of_family(2))
    assert range(4) == Strands(axes[1:], lines, (), (), 4).of_family(2)


async def test_axes_that_do_not_fit_come_by_turning(ws: Workspace, importances: Child) -> None:
    """Objectives stay, the parameters go by."""
    async with playing(ws, AnalysisScreen("demo"), (40, 24)) as pilot:
        await pilot.press("2")
        await shown(pilot, "3 of 5 axes")
        head = words_on(pilot).split("\n")[3]
        assert "layers" in head
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: "layers" not in words_on(pilot).split("\n")[3], "the next axes")
        assert "exact" in words_on(pilot).split("\n")[3]
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: head == words_on(pilot).split("\n")[3], "the axes before")


# --------------------------------------------------------------------------------------------------------------- slices


async def test_slices_go_through_parameters_and_metrics(ws: Workspace, importances: Child) -> None:
    """Left, right and the brackets change the parameter, Y the metric; a logarithmic search has a logarithmic axis."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("3")
        await shown(pilot, "exact along layers (1 of 3)")
        assert "exact, best and median: 1: 88.00 (#1), " in words_on(pilot)
        await pilot.press("left")
        await shown(pilot, "exact along learning_rate (3 of 3)")
        await shown(pilot, "exact ↑ along learning_rate (log x)")
        await pilot.press("right")
        await shown(pilot, "exact along layers (1 of 3)")
        await pilot.press("right_square_bracket")
        await shown(pilot, "exact along hidden_size (2 of 3)")
        await pilot.press("Y")
        await shown(pilot, "params along hidden_size (2 of 3)")
        assert "threshold" not in words_on(pilot).split("Trials by")[0]
        await pilot.press("left_square_bracket")
        await shown(pilot, "params along layers (1 of 3)")
        assert "analysis demo --part slices --parameter layers --metric params" in command(pilot)


async def test_the_trial_goes_along_from_tab_to_tab(ws: Workspace, importances: Child) -> None:
    """A trial that was under the cursor of one tab is under that of the next."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        screen: Any = pilot.app.screen
        await pilot.press("3")
        await shown(pilot, "exact along layers")
        await until(pilot, lambda: screen.slices.number is not None, "the trials")
        await pilot.press("G")
        chosen = screen.slices.number
        await pilot.press("2")
        await until(pilot, lambda: screen.parallel.number == chosen, "the same trial")
        await pilot.press("4")
        await until(pilot, lambda: screen.growth.number == chosen, "the same trial")
        await pilot.press("3", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        assert chosen == getattr(pilot.app.screen, "number", None)


def wait_again(session: Writing) -> None:
    """The running trial waits: no trial that ended is another."""
    assert writes.set_trial_state(session, 7, TrialState.WAITING, now=NOW + 400)


def start_and_finish(session: Writing) -> None:
    """It runs again and completes."""
    assert writes.set_trial_state(session, 7, TrialState.RUNNING, now=NOW + 450)
    finish(session, exact=91.0)


async def test_nothing_is_computed_or_drawn_again_without_a_change(
    ws: Workspace, importances: Child, answers: Child, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While trials run and start a tab keeps its values and its chart; a trial that ends gives it new ones."""
    made: list[str] = []

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, **more: made.append(name) or real(*given, **more))

    counted(parallel_tab, "read_strands")
    counted(parallel_tab, "draw_strands")
    counted(slices_tab, "read_slice")
    counted(slices_tab, "slice_points")
    counted(growth_tab, "study_growth")
    counted(growth_tab, "stairs")
    counted(scenarios_tab, "study_scenarios")
    counted(error_rows, "chosen_questions")
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        screen: Any = pilot.app.screen
        for key, waited, computed in (
            ("2", "Lines: 6 trials", ["read_strands", "draw_strands"]),
            ("3", "exact along layers", ["read_slice", "slice_points"]),
            ("4", "after 7 trials", ["study_growth", "stairs"]),
            ("5", "smallest feasible", ["study_scenarios"]),
            ("6", "Examples: wrong (4)", ["chosen_questions"]),
        ):
            await pilot.press(key)
            await shown(pilot, waited)
            await until(pilot, lambda some=computed: set(some) <= set(made), "the first values")
            await pilot.pause()
        made.clear()
        for place, change in enumerate((wait_again, start_and_finish)):
            edit(change)
            for key in "23456":
                await pilot.press(key)
                before = screen.news
                screen.ui.look_again()
                await until(pilot, lambda old=before: screen.news is not old, "the next look")
                await pilot.pause()
            assert bool(place) is bool(made)
        assert {"read_strands", "read_slice", "study_growth", "study_scenarios", "slice_points", "stairs"} <= set(made)


# ---------------------------------------------------------------------------------------------- hypervolume, scenarios


async def test_hypervolume_over_trials_and_hours(ws: Workspace, importances: Child) -> None:
    """t changes the axis, s puts the largest gain first; a trial that failed gained nothing."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("4")
        await shown(pilot, "Hypervolume over trials")
        await shown(pilot, "the next 10 trials are expected to add 0.8 % (0.0 to 2.2) to the hypervolume")
        assert "–" == row(pilot, "5").split()[1]
        assert "Trials as they ended" in words_on(pilot)
        await pilot.press("t")
        await shown(pilot, "Hypervolume over worker-hours")
        await pilot.press("s")
        await shown(pilot, "Trials by gain")
        gains = [
            line.split("+")[1].split()[0] for line in words_on(pilot).split("\n") if "│" in line and " +0." in line
        ]
        assert gains == sorted(gains, reverse=True)
        assert len(gains) == 3  # those that gained
        await pilot.press("s")
        await shown(pilot, "Trials as they ended")


async def test_new_trials_appear(ws: Workspace, importances: Child, edit: Edit) -> None:
    """The screen is live."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("4")
        await shown(pilot, "after 7 trials")
        edit(finish)
        await shown(pilot, "after 8 trials")
        await pilot.press("5")
        await until(pilot, lambda: "★#6" in row(pilot, "best"), "the new best trial")


async def test_scenarios_against_the_baseline(ws: Workspace, importances: Child) -> None:
    """The trial, what it gains, and the rule of the row under the cursor; enter opens it."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: row(pilot, "smallest"), "the table")
        assert "smallest feasible ★#2 50.00 -40.00 (-44.4 %) 15.0k -105k (-87.5 %)" == row(pilot, "smallest")
        assert row(pilot, "near").startswith("near the teacher – –")
        await pilot.press("G")
        await shown(pilot, "the closest is #0")
        await pilot.press("g")
        await pilot.press("j", "j", "j")
        await shown(pilot, "smallest feasible: lowest params.")
        await shown(pilot, "#2: exact 50.00, -40.00 (-44.4 %) to the baseline")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
        assert 2 == getattr(pilot.app.screen, "number", None)


# --------------------------------------------------------------------------------------------------------------- errors


async def test_errors_of_the_best_frontier_trial(ws: Workspace, importances: Child, answers: Child) -> None:
    """Classes with counts and shares, and the examples of the class under the cursor."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("6")
        await shown(pilot, "#0: 5 questions, cut at F1 0.5")
        assert [0] == answers.asked
        assert row(pilot, "right").startswith("right 1 20.0% ━━")
        assert "mostly correct 1 20.0%" in row(pilot, "mostly")
        assert "Examples: wrong (4)" in words_on(pilot)
        await pilot.press("g")
        await shown(pilot, "Examples: right (1)")
        await shown(pilot, "right, F1 1.00; Normans; q1")
        await pilot.press("j", "j")
        await shown(pilot, "Examples: mostly wrong (1)")
        await shown(pilot, "«given»: France")
        await shown(pilot, "From «France» to [Hastings]. They stayed.")


async def test_the_cut_moves(ws: Workspace, importances: Child, answers: Child) -> None:
    """An F1 of 0.8 is mostly correct up to a cut of 0.8; nothing is read again."""
    async with playing(ws, AnalysisScreen("demo", 0)) as pilot:
        await until(pilot, lambda: "mostly correct 1" in row(pilot, "mostly"), "the classes")
        await pilot.press(*["plus"] * 7)
        await shown(pilot, "cut at F1 0.85")
        await until(pilot, lambda: "mostly correct 0" in row(pilot, "mostly"), "the other class")
        await pilot.press(*["minus"] * 1)
        await shown(pilot, "cut at F1 0.8")
        await until(pilot, lambda: "mostly correct 1" in row(pilot, "mostly"), "the first class")
        assert [0] == answers.asked
        assert "errors demo/0 --cut 0.8" in command(pilot)
        await pilot.press("y")
        await shown(pilot, "Copy (enter)")


async def test_by_article(ws: Workspace, importances: Child, answers: Child) -> None:
    """t groups by article, the worst first; class and article together choose the examples."""
    async with playing(ws, AnalysisScreen("demo", 0)) as pilot:
        await shown(pilot, "5 questions")
        await pilot.press("t")
        await shown(pilot, "all articles")
        await pilot.press("j")
        await shown(pilot, "wrong (2)")
        await shown(pilot, f"Examples of Oxygen {HARMLESS}")
        await pilot.press("j")
        await shown(pilot, "Examples of Normans: wrong (2)")
        await pilot.press("t")
        await until(pilot, lambda: row(pilot, "mostly"), "the classes again")
        assert "Examples of Normans: wrong (2)" in words_on(pilot)


async def test_hostile_answers_are_harmless(ws: Workspace, importances: Child, answers: Child) -> None:
    """Questions, answers, golds and articles are words of others."""
    async with playing(ws, AnalysisScreen("demo", 0)) as pilot:
        await shown(pilot, "Examples: wrong (4)")
        await pilot.press("tab", "j", "j")
        await shown(pilot, f"«given»: because {HARMLESS}")
        assert "markup[/]" in words_on(pilot).split("So «")[1]
        assert set() == control_codes(pilot)
        await pilot.press("j")
        await shown(pilot, f"[right]: wood {HARMLESS}")
        assert "no passage was recorded" in words_on(pilot)
        await pilot.press("shift+tab", "t")
        await shown(pilot, "all articles")
        assert set() == control_codes(pilot)


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_passage_scrolls(ws: Workspace, importances: Child, answers: Child, size: tuple[int, int]) -> None:
    """Where it does not fit, it has the focus after another tab, more room, and the arrow keys; marks are ASCII."""
    async with playing(ws, AnalysisScreen("demo", 0), size, marker="ascii") as pilot:
        screen: Any = pilot.app.screen
        await shown(pilot, "When did")
        await pilot.press("tab", "j", "tab")
        words = screen.query_one("#error-words")
        assert screen.focused is words
        await pilot.press("end")
        await shown(pilot, "mostly wrong, F1 0.00; Normans; q3")
        await until(pilot, lambda: words.scroll_offset.y == words.max_scroll_y, "the end of the text")
        await pilot.press("home")
        await shown(pilot, "<France>")


async def test_confusion_of_a_classifier(ws: Workspace, importances: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts, precision and recall of each class, and the texts of the class under the cursor that are wrong."""
    child = Child(lambda _: Predictions(TEXT_CLASSIFICATION, 9, texts=TEXTS, labels=("bad", "good")))
    monkeypatch.setattr(errors_tab, "ask_predictions", child)
    async with playing(ws, AnalysisScreen("demo", 1)) as pilot:
        await shown(pilot, "#1: 3 texts, 33.33 % right")
        await until(pilot, lambda: row(pilot, "bad").startswith("bad [0] 1 1 0.00 0.00 0.00"), "the scores of bad")
        assert "good 1 [1] 2 50.00 50.00 50.00" == row(pilot, "good")
        assert "Examples: wrong (2)" in words_on(pilot)
        await pilot.press("j")
        await shown(pilot, "Examples of bad: wrong (1)")
        await shown(pilot, f"dull {HARMLESS}")
        assert "+ cut" not in words_on(pilot)
        assert set() == control_codes(pilot)


async def test_other_trials_are_looked_at(ws: Workspace, importances: Child, answers: Child) -> None:
    """Brackets go by rank; e in another tab looks at its trial; what was read is kept."""
    async with playing(ws, AnalysisScreen("demo", 0)) as pilot:
        await shown(pilot, "#0: 5 questions")
        await pilot.press("right_square_bracket")
        await shown(pilot, "#1: 5 questions")
        await pilot.press("left_square_bracket")
        await shown(pilot, "#0: 5 questions")
        assert [0, 1] == answers.asked
        await pilot.press("4")
        await shown(pilot, "Hypervolume over trials")
        await pilot.press("G", "e")
        await until(pilot, lambda: len(answers.asked) == 3, "the trial under the cursor to be asked")
        await shown(pilot, f"#{answers.asked[-1]}: 5 questions")


async def test_while_the_answers_are_read(ws: Workspace, importances: Child, answers: Child) -> None:
    """It says so; leaving gives them up."""
    answers.free.clear()
    async with playing(ws, AnalysisScreen("demo", 3)) as pilot:
        await shown(pilot, "Reading the answers of #3")
        await pilot.press("escape")
        await until(pilot, lambda: [3] == answers.ended, "it to be given up")


async def test_answers_that_are_gone_are_told(
    ws: Workspace, importances: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What and why, with the remedy; enter still opens the trial."""

    async def fail(*_: Any) -> Predictions:
        raise WorkerFailed("the best checkpoint of demo/3 was removed", hint="Rerun it.")

    monkeypatch.setattr(errors_tab, "ask_predictions", fail)
    async with playing(ws, AnalysisScreen("demo", 3)) as pilot:
        await until(pilot, lambda: "Rerun it." in words_on(pilot), "the remedy")
        assert "Examples" in words_on(pilot)


# ------------------------------------------------------------------------------------------------------- difficulty


class Passes:
    """Stands for the child that runs a model: what it was asked, and the same number for everything."""

    def __init__(self) -> None:
        self.asked: list[tuple[int | None, int]] = []

    async def __call__(self, _: Workspace, study: str, number: int | None, shuffling: Shuffling) -> WordOrder:
        self.asked.append((number, shuffling.ngram))
        if number == 1:
            raise WorkerFailed("demo/1 has no best checkpoint", hint="Rerun it.")
        return WordOrder(0.2, 90.0, 0.5, 300, 2, shuffling, notes=(f"no example of {HOSTILE}",))


@pytest.fixture
def passes(ws: Workspace, edit: Edit, monkeypatch: pytest.MonkeyPatch) -> Passes:
    """The sample study as one of classification with a teacher."""

    def classify(session: Writing) -> None:
        facts = {"teacher_folder": "/teacher", "teacher_metrics": {"exact": 95.0, "accuracy": 91.0}}
        writes.set_prepared(session, 1, facts)
        session.change(Study, 1, task=TEXT_CLASSIFICATION)

    edit(classify)
    found = Passes()
    monkeypatch.setattr(difficulty_tab, "ask_difficulty", found)
    return found


async def test_difficulty_of_the_teacher_and_of_trials(ws: Workspace, importances: Child, passes: Passes) -> None:
    """Asked once for each question; t shuffles groups of words; brackets lead to the trials; failures say why."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: row(pilot, "word").startswith("word order sensitivity 0.200"), "the number")
        await shown(pilot, "a bag of words or a Bi-LSTM")
        await shown(pilot, "validation split")  # no fact is cut
        assert "difficulty demo" in command(pilot)
        assert set() == control_codes(pilot)
        await pilot.press("t")
        await shown(pilot, "groups of 2 words shuffled")
        await until(pilot, lambda: (None, 2) in passes.asked, "the other question")
        await pilot.press("t", "t")
        await shown(pilot, "single words shuffled")
        await pilot.press("right_square_bracket")
        await shown(pilot, "Word order of #0")
        await until(pilot, lambda: row(pilot, "word").startswith("word order sensitivity 0.200"), "the number")
        assert "bag of words" not in words_on(pilot)
        await pilot.press("right_square_bracket")
        await shown(pilot, "Not available: demo/1 has no best checkpoint. Rerun it.")
        assert 1 == passes.asked.count((None, 1))
        assert "difficulty demo --trial 1" in command(pilot)


async def test_difficulty_lists_the_families_under_a_title(
    ws: Workspace, importances: Child, passes: Passes, edit: Edit
) -> None:
    """Each by its best trial; the title names every column, also where there is little room."""
    edit(lambda session: writes.set_trial_metrics(session, 1, {"accuracy": 88.0}, progress=1.0))
    async with playing(ws, AnalysisScreen("demo"), size=(80, 24)) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: row(pilot, "transformer").startswith("transformer #0 88.00 -3.00"), "the family")
        assert row(pilot, "best").startswith("best of each family accuracy to the teacher params")


async def test_difficulty_of_questions_is_not_measured(ws: Workspace, importances: Child) -> None:
    """It says so, and starts no process."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("7")
        await shown(pilot, "Word order sensitivity is defined for text classification only.")


# ----------------------------------------------------------------------------------------------------------- everywhere


@pytest.mark.parametrize("size", SIZES)
async def test_every_tab_is_usable_everywhere(
    ws: Workspace,
    importances: Child,
    answers: Child,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int],
) -> None:
    """Charts and cursors are on screen at any size, in ASCII and without colour."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with playing(ws, AnalysisScreen("demo"), size, marker="ascii") as pilot:
        screen: Any = pilot.app.screen
        await until(pilot, lambda: row(pilot, "layers"), "the shares")
        assert row(pilot, "layers").startswith("layers 75% ###")
        for key, chart in (("2", "parallel"), ("3", "slice"), ("4", "growth")):
            await pilot.press(key)
            await until(pilot, lambda c=chart: screen.query_one(f"#{c}-chart").drawing.drawn, "the chart")
            assert screen.query_one(f"#{chart}-chart").drawing.text.isascii()
            assert screen.query_one(f"#{chart}-trials").size.height >= 2
            number = str(screen.tab.number)
            await until(pilot, lambda n=number: row(pilot, n), "the row under the cursor")
        await pilot.press("5")
        await until(pilot, lambda: row(pilot, "smallest"), "the scenarios")
        await pilot.press("6")
        await shown(pilot, "[6 errors]")
        await until(pilot, lambda: "Who came" in words_on(pilot) or "When did" in words_on(pilot), "an example")


async def test_maximise_gives_the_chart_the_room(ws: Workspace, importances: Child) -> None:
    """And m again takes it back; the list keeps its cursor."""
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("2")
        await shown(pilot, "Lines: 6 trials")
        chart = pilot.app.screen.query_one("#parallel-chart")
        before = chart.size.height
        await pilot.press("m")
        await until(pilot, lambda: chart.size.height > before, "more room")
        assert pilot.app.screen.query_one("#parallel-trials").size.height >= 2
        await pilot.press("m")
        await until(pilot, lambda: chart.size.height == before, "the room before")


@pytest.mark.parametrize("size", SIZES)
async def test_maximised_tabs_keep_their_cursor(
    ws: Workspace, importances: Child, answers: Child, size: tuple[int, int]
) -> None:
    """The row under the cursor is on screen beside the large chart; of the errors the examples stay and move."""
    async with playing(ws, AnalysisScreen("demo"), size) as pilot:
        screen: Any = pilot.app.screen
        await pilot.press("m")
        for key, chart in (("2", "parallel"), ("3", "slice"), ("4", "growth")):
            await pilot.press(key)
            await until(pilot, lambda c=chart: screen.query_one(f"#{c}-chart").drawing.drawn, "the chart")
            inside = screen.tab.region
            assert inside.contains_region(screen.query_one(f"#{chart}-chart").region)
            assert inside.contains_region(screen.query_one(f"#{chart}-trials").region)
            await until(pilot, lambda: row(pilot, str(screen.tab.number)), "the row under the cursor")
        await pilot.press("m", "6")
        await shown(pilot, "F1")
        await pilot.press("m", "j")
        await until(pilot, lambda: "Where?" in words_on(pilot), "the next example")
        assert screen.focused is screen.query_one("#error-examples")


async def test_whole_numbers_have_whole_ticks(
    ws: Workspace, importances: Child, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no student with one and a half layers."""
    monkeypatch.setenv("NO_COLOR", "1")
    async with playing(ws, AnalysisScreen("demo")) as pilot:
        await pilot.press("3")
        screen: Any = pilot.app.screen
        await until(pilot, lambda: screen.query_one("#slice-chart").drawing.drawn, "the chart")
        assert ["1", "2"] == screen.query_one("#slice-chart").drawing.text.split("\n")[-1].split()


async def test_the_study_and_the_trial_screen_lead_here(ws: Workspace, importances: Child, answers: Child) -> None:
    """a on a study shows importances, on a trial its errors."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.press("a")
        await shown(pilot, "[1 importance]")
        await pilot.press("escape")
        pilot.app.push_screen(TrialScreen("demo", 2))
        await shown(pilot, "hidden_size")
        await pilot.press("a")
        await shown(pilot, "[6 errors]")
        await shown(pilot, "#2: 5 questions")


async def test_a_study_without_complete_trials(ws: Workspace, importances: Child, answers: Child, edit: Edit) -> None:
    """Every tab says what it waits for."""

    def make(session: Writing) -> None:
        from bertdistill.store import reads

        spec = {**reads.study(session, "demo").spec, "name": "young"}
        writes.create_study(session, name="young", task=QUESTION_ANSWERING, spec=spec, now=NOW)

    edit(make)
    async with playing(ws, AnalysisScreen("young")) as pilot:
        await shown(pilot, "Importance needs 5 complete feasible trials, there are 0.")
        for key, words in (
            ("2", "No trial is complete yet."),
            ("3", "No complete trial has this"),
            ("4", "No trial has ended yet."),
            ("5", "not complete yet"),
            ("6", "No trial is on the frontier yet."),
        ):
            await pilot.press(key)
            await shown(pilot, words)
