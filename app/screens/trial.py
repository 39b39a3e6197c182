"""One trial: facts and rank card, curves, attempts and checkpoints, the log of its worker. It decides nothing.

Every action goes through `engine.actions`, as in the commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.report.summary import progress_text
from bertdistill.app.screens import study_header, trial_actions
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import study_scenarios
from bertdistill.app.views.curves import TrialCurve
from bertdistill.app.views.rank_card import Fact, rank_card
from bertdistill.app.views.tail import Tail
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.app.widgets import trial_facts
from bertdistill.app.widgets.curve_chart import CurvesChart
from bertdistill.app.widgets.log import LogPane
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle, in_line
from bertdistill.app.widgets.trial_facts import trial_of
from bertdistill.engine.analysis.scenarios import ScenarioTable
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.outline import LOG, SEARCH
from bertdistill.store import reads
from bertdistill.store.rows import ModelVersion, Trial, TrialState

PANES = ("facts", "curves", "runs", "log")
NO_LINES = "The worker has not written anything."
NO_OUTPUT = "A run that logs itself keeps its output where it was started; its metrics are here."
STYLES = {"running": "cyan", "complete": "green", "failed": "red", "infeasible": "yellow"}


@dataclass(frozen=True)
class TrialNews:
    """All that the screen shows."""

    view: StudyView
    trial: Trial
    details: Mapping[str, Any]
    """As `show --json` prints them."""
    card: list[Fact]
    models: list[ModelVersion]
    """Versions that were promoted from it."""
    curves: list[TrialCurve]
    series: list[str]
    log: list[tuple[int, str]]
    log_title: str


class TrialScreen(LiveScreen):
    """A trial of a study; `J` and `K` go to its neighbours in the ranked list."""

    PLACE = "trial"
    BINDINGS: ClassVar = bindings("trial")
    panes: ClassVar = {name: f"trial-{name}" for name in PANES}
    HELP = """
The facts compare the trial with the baseline, the trial that it is a rerun of, and the teacher. A difference in
brackets is how far this trial lies above or below the other; `=` means the same setting. A metric of this trial is
green where it is better than that of the first of the others, red where it is worse. `size_mb` counts every parameter
as 4 bytes, `bytes` is the size of the exported weights, and the size of a checkpoint is that of its folder. `enter` on
a line that mentions another trial opens it, `escape` returns.
"""

    def __init__(self, study_name: str, number: int) -> None:
        super().__init__()
        self.study_name = study_name
        self.number = number
        self.news: TrialNews | None = None
        self._scenarios: tuple[Any, ScenarioTable] | None = None
        self._tail: Tail | None = None
        self._ranked: Any = None
        self._facts: tuple[Any, ...] = ()
        self._curves = CurvesChart(id="trial-curves", classes="pane")

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Split(id="trial-body"):
            with Split(id="trial-left", upright=True):
                yield LineTable(id="trial-facts", classes="pane")
                yield LineTable(id="trial-runs", classes="pane")
            with Split(id="trial-right", upright=True):
                yield self._curves
                yield LogPane(id="trial-log", classes="pane")

    def on_mount(self) -> None:
        self.add_class("-show-facts")
        for name in ("runs", "log"):
            self.query_one(f"#trial-{name}", LineTable).opens = False
        self.query_one("#trial-facts").focus()

    def on_resize(self) -> None:
        """Long words are wrapped again."""
        self.call_after_refresh(self._again)

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, reader: Reader) -> TrialNews:
        number = self.number
        view = reader.certain(self.study_name)
        trial, details = reader.details(view, number)
        with reader.session() as session:
            done = trial.state == TrialState.COMPLETE
            models = [m for m in reads.model_versions(session) if m.trial_id == trial.id] if done else []
        curves, names = reader.curves(
            view, [number], lambda names: self._curves.wanted(names, 1, view.scores), self._curves.columns
        )
        log, title = self._log(reader.workspace, details["attempts"])
        card = rank_card(view, trial, self._table(view))
        return TrialNews(view, trial, details, card, models, curves, names, log, title)

    def _table(self, view: StudyView) -> ScenarioTable:
        """The scenarios, recomputed only when a trial has ended."""
        if self._scenarios is None or self._scenarios[0] is not view.ranked:
            self._scenarios = (view.ranked, study_scenarios(view))
        return self._scenarios[1]

    def _log(self, ws: Workspace, attempts: list[dict[str, Any]]) -> tuple[list[tuple[int, str]], str]:
        """The log of the newest attempt, or what the runner kept of it if its folder is gone."""
        if not attempts:
            return [], "Log"
        attempt = attempts[-1]
        path = RunPaths(ws.absolute(attempt["folder"])).log
        if self._tail is None or self._tail.path != path:
            self._tail = Tail(path)
        title, lines = f"Log of attempt {attempt['attempt']}", self._tail.read()
        if not lines and attempt["log_tail"]:
            return list(enumerate(attempt["log_tail"].splitlines(), start=1)), f"{title}, as kept by the runner"
        return lines, f"{title}, its end" if self._tail.cut else title

    # ---------------------------------------------------------------------------------------------------- showing

    def show(self, news: TrialNews) -> None:
        if news.trial.number != self.number:
            return  # read before the person moved to the next trial
        self.news = news
        self.header(in_line(_header(news, ascii_only=self.ui.ascii_only), self.size.width - 2, gap=2))
        self._show_facts(news)
        self._show_runs(news)
        self._curves.show(news.curves, news.series, news.view)
        log = self.query_one(LogPane)
        log.show_lines(news.log, empty=NO_OUTPUT if news.view.study.kind == LOG else NO_LINES)
        log.call_it(news.log_title)
        self.refresh_keys()

    def _show_facts(self, news: TrialNews) -> None:
        table, ascii_only = self.query_one("#trial-facts", LineTable), self.ui.ascii_only
        width = self._width(table)
        facts = (width, ascii_only, *_facts_of(news))
        if self._ranked is news.view.ranked and facts == self._facts:
            return
        self._ranked, self._facts = news.view.ranked, facts
        compared = trial_facts.others(news.view, news.trial)
        rows = trial_facts.facts_rows(news.view, news.trial, news.card, compared, width, ascii_only=ascii_only)
        is_first = table.cursor_key is None
        table.show(trial_facts.facts_columns(news.trial, compared, width), rows)
        if is_first:
            table.move_to(trial_facts.first_row(rows, table.size.height - 1))
        entitle(table, title=f"Trial #{news.trial.number}")
        self._name_target()

    def _show_runs(self, news: TrialNews) -> None:
        table = self.query_one("#trial-runs", LineTable)
        rows = trial_facts.runs_rows(news.details, news.models, self._width(table), ascii_only=self.ui.ascii_only)
        table.show(trial_facts.RUN_COLUMNS, rows, empty="No attempt yet: it waits for a free slot.")
        entitle(table, title="Attempts and checkpoints")

    def _width(self, widget: Widget) -> int:
        return widget.size.width or max(20, self.size.width - 2)

    def _again(self) -> None:
        if self.news is not None:
            self.show(self.news)

    # --------------------------------------------------------------------------------------------------- lineage

    @on(LineTable.Moved, "#trial-facts")
    def moved(self) -> None:
        self._name_target()
        self.refresh_keys()

    def _name_target(self) -> None:
        """The lower border says what enter opens."""
        number, table = self._target, self.query_one("#trial-facts", LineTable)
        table.opens = number is not None
        entitle(table, subtitle="" if number is None else f"enter opens #{number}")

    @property
    def _target(self) -> int | None:
        """The trial that the line under the cursor mentions."""
        return trial_of(self.query_one("#trial-facts", LineTable).cursor_key) if self.is_mounted else None

    @on(LineTable.Chosen, "#trial-facts")
    def action_open(self) -> None:
        if (number := self._target) is not None:
            self.ui.open_trial(self.study_name, number)

    def action_step_trial(self, by: int) -> None:
        """Replace this screen with that of a neighbour in the ranked list."""
        if self.news is None:
            return
        numbers = [t.number for t in self.news.view.trials if not t.archived or t.number == self.number]
        place = numbers.index(self.number) + by
        if not 0 <= place < len(numbers):
            self.ui.tell("This is the last trial of the list." if by > 0 else "This is the first trial of the list.")
            return
        self.number = numbers[place]
        self.ui.look_again()

    # --------------------------------------------------------------------------------------------------- actions

    @property
    def trial(self) -> Trial | None:
        """The trial as it was read last."""
        return self.news.trial if self.news is not None and self.news.trial.number == self.number else None

    def why_not(self, action: str) -> str:
        if self.news is not None and (words := study_header.why_only_a_search(action, self.news.view.study)):
            return words
        if action == "open" and self.is_mounted:
            if self.focused is not None and self.focused.id in ("trial-runs", "trial-log"):
                return "There is nothing to open here; y copies the folders and the log."
            if self._target is None:
                return "This line mentions no other trial; enter opens one where the lower border says so."
        return trial_actions.why_not(action, self.trial)

    def copies(self) -> list[tuple[str, str]]:
        trial, ws = self.trial, self.ui.workspace
        if trial is None or self.news is None:
            return []
        name = f"{self.study_name}/{trial.number}"
        found = [
            ("trial", name),
            ("parameters", fmt.settings(trial.params)),
            ("settings", fmt.settings(trial.settings)),
            ("metrics", fmt.settings(all_metrics(trial))),
            ("command", command_line("show", name, ws=ws)),
        ]
        if trial.detail:
            found.append(("reason", f"{trial.reason}: {trial.detail}"))
        if self.news.log:
            found.append(("log", "\n".join(line for _, line in self.news.log)))
        folders = [("folder of attempt", a["attempt"], a["folder"]) for a in self.news.details["attempts"]]
        return found + [(f"{what} {number}", str(ws.absolute(folder))) for what, number, folder in folders]

    def action_all_series(self) -> None:
        self.ui.open_series(self.study_name, (self.number,))

    def action_rerun(self) -> None:
        self.ui.open_rerun(self.study_name, self.number)

    def action_promote(self) -> None:
        self.ui.open_promote(self.study_name, self.number)

    def action_cascade(self) -> None:
        """With the teacher; `[` and `]` there join another one."""
        self.ui.open_cascade(self.study_name, self.number)

    def action_analysis(self) -> None:
        """Its errors; of what gave no predictions, the parameters."""
        predicts = self.news is not None and self.news.view.study.kind == SEARCH
        self.ui.open_analysis(self.study_name, self.number if predicts else None)

    def action_stop_trial(self) -> None:
        trial_actions.ask_to_stop(self.ui, self.study_name, self.number)

    def action_note(self) -> None:
        if trial := self.trial:
            trial_actions.annotate(self.ui, self.study_name, trial)

    def action_delete(self) -> None:
        if self.trial is not None:
            trial_actions.delete(self.ui, self.study_name, self.trial)

    def action_archive(self) -> None:
        if trial := self.trial:
            trial_actions.archive(self.ui, self.study_name, trial)

    # ------------------------------------------------------------------------------------------------------ view

    def action_pane(self, name: str) -> None:
        """Focus a pane; where only one fits, show that one."""
        self.remove_class("-without-log")
        for other in PANES:
            self.set_class(other == name, f"-show-{other}")
        self.query_one(f"#trial-{name}").focus()
        self.call_after_refresh(self._again)

    def action_log(self) -> None:
        """In a narrow window, go to the log and back; in a wide one, give its space to the curves and back."""
        if self.has_class("-narrow") or self.has_class("-maximised"):
            self.action_pane("facts" if self.has_class("-show-log") else "log")
        elif not self.query_one("#trial-log").display:  # by this key, or because the window is low
            self.action_pane("log")
        else:
            if self.focused is self.query_one("#trial-log"):
                self.action_pane("curves")
            self.add_class("-without-log")

    def action_maximise(self) -> None:
        name = (self.focused.id or "" if self.focused is not None else "").removeprefix("trial-")
        self.toggle_class("-maximised")
        self.action_pane(name if name in PANES else "facts")


def _facts_of(news: TrialNews) -> tuple[Any, ...]:
    """The facts that may change while no trial changes its state; progress is not one of them."""
    view, trial = news.view, news.trial
    related = (view.baseline, view.parent(trial), *(view.trial(number) for number in news.details["children"]))
    scores = tuple(other.metrics for other in related if other is not None)
    return trial.number, trial.state, trial.metrics, trial.busy_seconds, view.study.prepared, scores


def _header(news: TrialNews, *, ascii_only: bool) -> Iterator[Text]:
    """Name, state, place, scores; for a running trial, its progress."""
    trial, view = news.trial, news.view
    yield Text(f"{safe_line(view.study.name, 40)}/{trial.number}", "bold")
    text = Text(fmt.state(trial.state.value, ascii_only=ascii_only), STYLES.get(trial.state.value, ""))
    if trial.state == TrialState.RUNNING:
        text.append(f" {fmt.bar(trial.progress, 10, ascii_only=ascii_only)} {trial.progress:.0%}")
        if news.details["attempts"]:
            text.append(f" {progress_text(news.details['attempts'][-1])}")
    yield text
    if (place := view.position(trial.number)) is not None:
        star = ("*" if ascii_only else "★") if view.ranked[trial.number].on_frontier else ""
        yield Text(f"{star}{place} of {view.points}")
    values = all_metrics(trial)
    for objective in view.objectives:
        yield Text(f"{objective.metric} {fmt.metric(objective.metric, values.get(objective.metric))}")
    if (gain := view.gain.get(trial.number)) is not None:
        yield Text(f"gain {fmt.gain(gain)}")
    if trial.archived:
        yield Text("archived", "dim")
