"""A rerun: one setting of a trial changed, and everything known about the result before it starts.

It decides nothing: the engine forecasts, refuses and starts; the words are in `rerun_outlook`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import on
from textual.containers import Vertical, VerticalScroll
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import Worker

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.canvas import Word
from bertdistill.app.draw.plane import frontier_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.live_screen import Line, LiveScreen
from bertdistill.app.terminal.key_order import WAITED_FOR, Work
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views import rerun_outlook
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.points import chart_axis, no_point
from bertdistill.app.views.rerun_outlook import Choice, Outlook
from bertdistill.app.views.trial_card import trial_card
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.inspector import Facts
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.steering import actions
from bertdistill.store.errors import BertDistillError, NotFound
from bertdistill.store.rows import Trial

COLUMNS = (
    Column("setting", "setting", 18),
    Column("now", "now", 12),
    Column("range", "can be", 20, grow=True),
    Column("baseline", "baseline", 12),
)
VALUES: Mapping[str, Callable[[Choice], str | None]] = {
    "setting": lambda choice: choice.key,
    "now": lambda choice: choice.now or None,
    "baseline": lambda choice: choice.baseline or None,
}
"""What a column sorts by."""
CHECK_SECONDS = 0.15
"""Pause in typing after which the value is forecast."""


@dataclass(frozen=True)
class RerunNews:
    """All that the screen shows before anything is typed."""

    view: StudyView
    trial: Trial
    choices: tuple[Choice, ...]


class RerunScreen(LiveScreen):
    """Pick a setting, type a value, see its forecast, start it."""

    PLACE = "rerun"
    tells = True
    BINDINGS: ClassVar = bindings("rerun")
    HELP = """
A rerun differs from its parent in exactly one setting. Choose it with `enter`, type the value, and see the forecast:
the size is exact, time and memory are estimated from complete trials, the score is only a guess from the nearest
trials. `enter` asks, then starts it. It is not counted against the budget; if a trial has exactly these settings, that
trial is opened instead.
"""

    def __init__(self, study_name: str, number: int) -> None:
        super().__init__()
        self.study_name, self.number = study_name, number
        self.news: RerunNews | None = None
        self.outlook: Outlook | None = None
        self._key = ""
        self._listing: Listing[Choice] = Listing(
            "setting",
            "settings to change",
            WordFilter("learning", held, lambda: [one.key for one in self.news.choices] if self.news else []),
            columns=lambda: [column.key for column in COLUMNS],
            sorts=VALUES.__contains__,
            value=lambda choice, column: VALUES[column](choice),
            changed=self.follow,
        )
        self.listings = {"settings-list": self._listing}

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Split(id="rerun-body"):
            with Vertical(id="rerun-left"):
                yield LineTable(id="settings-list", classes="pane")
                yield Input(id="value", compact=True, select_on_focus=True, max_length=200)
                yield Line(id="verdict")
                with VerticalScroll(id="forecast-pane"):
                    yield Static(id="forecast", markup=False)
            with Split(id="rerun-right", upright=True):
                yield Facts(id="parent", classes="pane inspector")
                yield Chart(id="landing", classes="pane")

    def on_mount(self) -> None:
        self.query_one("#landing").can_focus = False  # display only; the arrows belong to the list
        self.query_one("#settings-list").focus()

    # ------------------------------------------------------------------------------------------- reading, showing

    def read(self, reader: Reader) -> RerunNews:
        view = reader.view(self.study_name)
        trial = view.trial(self.number)
        if trial is None:
            raise NotFound(f"study {self.study_name!r} has no trial {self.number}")
        return RerunNews(view, trial, rerun_outlook.choices(view, trial))

    def show(self, news: RerunNews) -> None:
        first, self.news = self.news is None, news
        state = fmt.state(news.trial.state.value, ascii_only=self.ui.ascii_only)
        name = safe_line(self.study_name, 40)
        self.header(Text.assemble((f"Rerun #{self.number} of {name} with one change  ", "bold"), state))
        table = self.query_one("#settings-list", LineTable)
        heads = self._listing.heads(COLUMNS, ascii_only=self.ui.ascii_only)
        rows = [choice_row(one) for one in self._listing.shown(news.choices)]
        table.show(heads, rows, empty=self._listing.no_match(self.key_for))
        title = self._listing.title("Which setting", "Which setting", COLUMNS, self.key_for)
        entitle(table, title=title, subtitle="enter, then type a value")
        if first or str(table.cursor_key or "") != self._key:
            self._take_choice()
        parent = self.query_one("#parent", Facts)
        parent.tell(trial_card(news.view, news.trial, ascii_only=self.ui.ascii_only))
        entitle(parent, title=f"The parent, #{self.number}")
        self._show_outlook()

    def follow(self) -> None:
        """Another filter or order."""
        if self.news is not None:
            self.show(self.news)

    def _show_outlook(self) -> None:
        news, outlook = self.news, self.outlook
        if news is None:
            return
        verdict = self.query_one("#verdict", Line)
        if outlook is None:
            verdict.say(Text(self._range_words(), "dim"))
        else:
            good = outlook.forecast is not None and not outlook.problem
            glyph = fmt.STATES["complete" if good else "waiting" if outlook.twin is not None else "failed"]
            words = safe_line(f"{glyph[self.ui.ascii_only]} {rerun_outlook.verdict(outlook)}", 400)
            verdict.say(Text(words, "bold" if good else "bold red"))
        self.query_one("#forecast", Static).update(self._forecast(news, outlook))
        self._draw(news, outlook)
        self.refresh_keys()

    def _forecast(self, news: RerunNews, outlook: Outlook | None) -> Table:
        grid = Table.grid(padding=(0, 1, 0, 0))
        for what, words in rerun_outlook.lines(news.view, news.trial, outlook) if outlook is not None else ():
            grid.add_row(Text(what, "dim"), Text(words if not self.ui.ascii_only else words.replace("→", "->")))
        return grid

    def _draw(self, news: RerunNews, outlook: Outlook | None) -> None:
        """The frontier with a line at the exact size; a point only where the score can be guessed."""
        chart, view = self.query_one("#landing", Chart), news.view
        x, y = chart_axes(view)
        ascii_only = self.ui.ascii_only
        axis_x, axis_y = (chart_axis(view, name, ascii_only=ascii_only) for name in (x, y))
        at = rerun_outlook.landing(view, outlook).get(x) if outlook is not None else None
        if at is not None:
            axis_x = dataclasses.replace(axis_x, lines=(*axis_x.lines, (at, f"the rerun: {fmt.count(at)}")))
        points, cursor = rerun_outlook.points(view, outlook)
        make = partial(frontier_drawing, points, axis_x, axis_y, cursor=cursor)
        chart.draw(make, empty=no_point(view))
        entitle(chart, title=f"Where it would land: {axis_y.title} over {axis_x.title}")

    @on(Chart.Drawn)
    def name_marks(self, event: Chart.Drawn) -> None:
        guess = self.outlook is not None and bool(self.outlook.neighbours)
        words = [word for word in event.drawing.legend if word.key != "running"]
        entitle(event.chart, subtitle=event.chart.legend([*([Word("[ ] guess")] if guess else []), *words]))

    # ---------------------------------------------------------------------------------------------------- choosing

    @property
    def choice(self) -> Choice | None:
        """The setting whose value is typed."""
        return next((one for one in self.news.choices if one.key == self._key), None) if self.news else None

    def _range_words(self) -> str:
        choice = self.choice
        return safe_line(f"{choice.key}: {choice.now} now; can be {choice.range}" if choice is not None else "", 300)

    @on(LineTable.Moved, "#settings-list")
    def moved(self) -> None:
        self._take_choice()
        self._show_outlook()

    def _take_choice(self) -> None:
        """Put the setting under the cursor in the line below; nothing is forecast until it is changed."""
        self._key = str(self.query_one("#settings-list", LineTable).cursor_key or "")
        choice, field = self.choice, self.query_one("#value", Input)
        self.workers.cancel_group(self, "judge")
        self.outlook = None
        if choice is not None:
            field.suggester = SuggestFromList(choice.options, case_sensitive=False) if choice.options else None
            with self.prevent(Input.Changed):
                field.value = choice.now
            field.placeholder = choice.range

    @on(LineTable.Chosen, "#settings-list")
    def action_change(self) -> None:
        """Type a value for the setting under the cursor."""
        self.query_one("#value", Input).focus()

    def action_setting(self, by: int) -> None:
        """The setting above or below, from the line of the value."""
        self.query_one("#settings-list", LineTable).action_step(by)

    def action_back(self) -> None:
        table = self.query_one("#settings-list")
        if table.has_focus:
            super().action_back()
        else:
            table.focus()

    # ----------------------------------------------------------------------------------------------------- judging

    @on(Input.Changed, "#value")
    def value_typed(self, event: Input.Changed) -> None:
        self._judge_soon(CHECK_SECONDS)

    def _judge_soon(self, rest: float, *, start: bool = False) -> None:
        """Forecast what is typed, and with `start` ask whether to start; a newer call replaces an older one."""
        name = WAITED_FOR if start else ""
        work: Work = partial(self._judge, rest, start)
        _: Worker[None] = self.run_worker(work, name, exclusive=True, group="judge", exit_on_error=False)

    async def _judge(self, rest: float, start: bool) -> None:
        news, key, text = self.news, self._key, self.query_one("#value", Input).value.strip()
        if news is None or not key:
            return
        await asyncio.sleep(rest)
        outlook = await asyncio.to_thread(self._look_ahead, news, key, text)
        self.outlook = outlook
        self._show_outlook()
        if start:
            self._ask(news, outlook)

    def _look_ahead(self, news: RerunNews, key: str, text: str) -> Outlook:
        try:
            forecast = actions.forecast_rerun(self.ui.workspace, self.study_name, self.number, key, text)
        except BertDistillError as error:
            return Outlook(key, text, problem=error_line(error))
        except (KeyError, TypeError) as error:  # a study prepared by another version of this program
            return Outlook(key, text, problem=f"it cannot be forecast: the study lacks {error}")
        return rerun_outlook.look_ahead(news.view, news.trial, text, forecast)

    @on(Input.Submitted, "#value")
    def value_entered(self) -> None:
        self._judge_soon(0.0, start=True)

    # ---------------------------------------------------------------------------------------------------- starting

    def _ask(self, news: RerunNews, outlook: Outlook) -> None:
        if (number := outlook.twin) is not None:
            words = f"Trial #{number} has exactly these settings. Open it?"
            self.ui.push_screen(Confirm(words, yes="Open it", no="Stay here"), self._open_if)
        elif not outlook.problem:  # a refusal is already shown below the value
            words = rerun_outlook.question(news.trial, outlook)
            asked = Confirm(words, yes="Start it", no="Not yet")
            self.ui.push_screen(asked, lambda yes: self._start(news, outlook) if yes else None)

    def _open_if(self, yes: bool | None) -> None:
        if yes:
            self.action_open_twin()

    def _start(self, news: RerunNews, outlook: Outlook) -> None:
        def work() -> Trial:
            made = actions.rerun(
                self.ui.workspace, self.study_name, self.number, outlook.key, outlook.text, who=self.ui.who
            )
            actions.ensure_runner(self.ui.workspace)
            return made

        def done(made: Trial) -> str:
            if self.ui.screen is self:
                from bertdistill.app.screens.trial import TrialScreen

                self.ui.switch_screen(TrialScreen(self.study_name, made.number))
            return rerun_outlook.started(news.view, made.number)

        self.ui.act(work, done)

    # ----------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "open_twin":
                return self.outlook is not None and self.outlook.twin is not None
            case "setting":
                return self.news is not None
            case "change":
                return self.news is not None and self.query_one("#settings-list").has_focus
        return True

    def action_open_twin(self) -> None:
        if self.outlook is not None and (number := self.outlook.twin) is not None:
            self.ui.open_trial(self.study_name, number)

    def copies(self) -> list[tuple[str, str]]:
        outlook = self.outlook
        if self.news is None or outlook is None:
            return []
        change = f"{outlook.key}={outlook.text}"
        trial = f"{self.study_name}/{self.number}"
        return [
            ("command", command_line("rerun", trial, "--set", change, ws=self.ui.workspace)),
            *rerun_outlook.lines(self.news.view, self.news.trial, outlook),
        ]


def held(choice: Choice) -> str:
    """What a setting can be found by: its key, its value and what it can be."""
    return " ".join((choice.key, choice.now, choice.range))


def choice_row(choice: Choice) -> Row:
    """One setting; marked where it differs from the baseline, pale where it has no effect, searched ones bright."""
    now = f"{choice.now} (no effect)" if choice.idle else choice.now
    cells = (
        Cell(safe_line(choice.key, 60), "bright" if choice.searched else "plain"),
        Cell(safe_line(now, 80)),
        Cell(safe_line(choice.range, 200), "dim"),
        Cell(safe_line(choice.baseline, 80), "dim"),
    )
    return Row(choice.key, cells, dim=choice.idle, mark=bool(choice.baseline) and choice.now != choice.baseline)
