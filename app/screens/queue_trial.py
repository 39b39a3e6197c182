"""A form for a trial with chosen parameters, with its forecast before it is queued. It checks nothing itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Ask
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.rerun_outlook import as_typed, cost, size, sizes
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.scenarios import NO_BASELINE
from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.runner.budget import used
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.reruns import Forecast, changed_beside, filled, forecast_queued
from bertdistill.engine.study.space import Parameter, active, coerce, contains, describe
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import StudyState, Trial

COLUMNS = (
    Column("parameter", "parameter", 16, grow=True, most=30),
    Column("value", "value", 12, grow=True, most=28),
    Column("baseline", "baseline", 12),
    Column("space", "search space", 24, grow=True),
)


@dataclass(frozen=True)
class QueueNews:
    """All that the screen shows."""

    view: StudyView


@dataclass(frozen=True)
class Outlook:
    """The forecast for the values in the form. `problem` says why they cannot be queued, empty if they can."""

    forecast: Forecast | None = None
    problem: str = ""


class QueueTrialScreen(LiveScreen):
    """Every searched parameter with a value, and the forecast of that trial."""

    PLACE = "queue"
    tells = True
    BINDINGS: ClassVar = bindings("queue")
    HELP = """
A trial with values that you choose, inside the search space. It starts with those of the trial that was under the
cursor, also for settings that are not searched; `b` takes the baseline's. Size and cost are exact, time and memory are
estimated from complete trials. It runs before proposed trials and counts against the budget.
"""

    def __init__(self, study_name: str, selected: int | None = None) -> None:
        super().__init__()
        self.study_name, self._selected = study_name, selected
        self.news: QueueNews | None = None
        self.values: dict[str, Any] = {}
        self.beside: dict[str, Any] = {}
        """Settings of the selected trial that the study fixes otherwise; the new trial has them, too."""
        self.outlook = Outlook()

    def body(self) -> Iterable[Widget]:
        with Vertical():
            yield LineTable(id="parameters", classes="pane")
            yield Static("", id="forecast", markup=False)

    def on_mount(self) -> None:
        self.query_one("#parameters").focus()

    def read(self, reader: Reader) -> QueueNews:
        view = reader.view(self.study_name)
        _ = view.spec  # refused here, where the screen can say why there is none
        return QueueNews(view)

    def show(self, news: QueueNews) -> None:
        if self.news is None:
            self.values = first_values(news.view, self._selected)
            self.beside = kept_beside(news.view, self._selected, self.values)
        self.news = news
        self.outlook = look_ahead(news.view, {**self.values, **self.beside})
        spec = news.view.spec
        effective = active(spec.search, self.values, spec.fixed)
        origin = "" if self._selected is None else f", from #{self._selected}"
        self.header(Text(f"Queue a trial in {safe_line(self.study_name, 40)}{origin}", "bold"))
        table = self.query_one(LineTable)
        base = first_values(news.view, None) if spec.baseline is not None else {}
        rows = [parameter_row(one, self.values, base, effective) for one in spec.search]
        table.show(COLUMNS, [*rows, *(beside_row(*one, self._selected) for one in self.beside.items())])
        entitle(table, title="Values")
        self.query_one("#forecast", Static).update(outlook_text(news.view, self.outlook))
        self.refresh_keys()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "edit" | "queue":
                return bool(self.values)
            case "from_baseline":
                return not self.why_not(action)
            case "open_twin":
                return self._twin() is not None
        return True

    def why_not(self, action: str) -> str:
        has_one = self.news is not None and self.news.view.spec.baseline is not None
        missing = f"{NO_BASELINE[0].upper()}{NO_BASELINE[1:]}."
        return missing if action == "from_baseline" and not has_one else super().why_not(action)

    def copies(self) -> list[tuple[str, str]]:
        words = [word for name, value in self._chosen().items() for word in ("--set", f"{name}={as_typed(value)}")]
        command = command_line("queue", self.study_name, *words, ws=self.ui.workspace)
        values = ("values", fmt.settings({**self._chosen(), **self.beside}))
        return [values] if self.beside else [values, ("command", command)]  # it can set searched parameters only

    # -------------------------------------------------------------------------------------------------------- actions

    def _chosen(self) -> dict[str, Any]:
        """The values that have an effect in this combination."""
        if self.news is None:
            return {}
        return dict(active(self.news.view.spec.search, self.values, self.news.view.spec.fixed))

    def _twin(self) -> int | None:
        return self.outlook.forecast.repeats if self.outlook.forecast is not None else None

    @on(LineTable.Chosen)
    def enter(self) -> None:
        self.action_edit()

    def action_edit(self) -> None:
        key = self.query_one(LineTable).cursor_key
        spec = self.news.view.spec if self.news else None
        parameter = next((one for one in spec.search if one.name == key), None) if spec else None
        if parameter is None:
            return

        def answered(text: str | None) -> None:
            if text is not None:
                self._take({parameter.name: typed(parameter, text)})

        title = f"{parameter.name}: {describe(parameter)}"
        value = as_typed(self.values[parameter.name])
        self.ui.push_screen(Ask(title, value=value, check=lambda text: typed(parameter, text)), answered)

    def action_from_baseline(self) -> None:
        if self.news is not None:
            self.beside = {}
            self._take(first_values(self.news.view, None))

    def _take(self, values: Mapping[str, Any]) -> None:
        self.values = {**self.values, **values}
        if self.news is not None:
            self.show(self.news)

    def action_open_twin(self) -> None:
        if (number := self._twin()) is not None:
            self.ui.open_trial(self.study_name, number)

    def action_queue(self) -> None:
        if self.outlook.problem:  # a message, not a question: that would take the keys that are meant for the values
            self.ui.tell(f"{'x' if self.ui.ascii_only else '✗'} Not queued: {self.outlook.problem}")
        elif self.values:
            self.ui.act(self._queue, self._queued)

    def _queue(self) -> Trial:
        trial = actions.queue_trial(
            self.ui.workspace, self.study_name, self._chosen(), beside=self.beside, who=self.ui.who
        )
        state = self.news.view.study.state if self.news else None
        if state in (StudyState.RUNNING, StudyState.COMPLETE):  # a complete study runs again, and needs a runner
            actions.ensure_runner(self.ui.workspace)
        return trial

    def _queued(self, trial: Trial) -> str:
        if self.ui.screen is self:
            self.ui.leave_screen()
        return f"Trial #{trial.number} is queued, ahead of proposed ones. u undoes this until it starts."


# ---------------------------------------------------------------------------------------------------------- the values


def first_values(view: StudyView, selected: int | None) -> dict[str, Any]:
    """A value for every searched parameter: of that trial, else of the baseline, else the middle of its range.

    A value of the trial outside the search space is ignored.
    """
    values = filled(view.spec, {})
    trial = view.trial(selected) if selected is not None else None
    if trial is not None:
        family = str(trial.settings.get("family", ""))
        found = {one.name: trial.settings.get(one.key) for one in view.spec.search if one.applies(family)}
        values |= {one.name: found[one.name] for one in view.spec.search if contains(one, found.get(one.name))}
    return values


def kept_beside(view: StudyView, selected: int | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """What that trial has set beside the searched parameters, as a rerun does; empty without one."""
    trial = view.trial(selected) if selected is not None else None
    return {} if trial is None else changed_beside(view.spec, trial.settings, values)


def typed(parameter: Parameter, text: str) -> Any:
    """The value that was typed; InvalidRequest says what is possible."""
    try:
        return coerce(parameter, text)
    except ValueError as error:
        raise InvalidRequest(str(error)) from error


def look_ahead(view: StudyView, values: Mapping[str, Any]) -> Outlook:
    """The forecast for these values, and the first reason why they cannot be queued."""
    try:
        forecast = forecast_queued(view.study, view.spec, view.trials, values)
    except BertDistillError as error:
        return Outlook(problem=error_line(error))
    return Outlook(forecast, _problem(view, view.spec, forecast, values))


def _problem(view: StudyView, spec: StudySpec, forecast: Forecast, values: Mapping[str, Any]) -> str:
    for parameter in spec.search:
        try:
            if parameter.name in forecast.after:
                coerce(parameter, str(values[parameter.name]))
        except ValueError as error:
            return str(error)
    if forecast.repeats is not None:
        twin = view.trial(forecast.repeats)
        state = f" ({twin.state.value})" if twin is not None else ""
        return f"trial #{forecast.repeats}{state} has exactly these values; o opens it"
    if forecast.excluded:
        return f"{forecast.excluded}; choose a smaller student, or loosen the threshold in the settings"
    if used(view.trials) >= spec.budget.trials:
        return f"the budget of {spec.budget.trials} trials is used up; raise budget.trials in the settings"
    return ""


# --------------------------------------------------------------------------------------------------------------- words


def parameter_row(
    parameter: Parameter, values: Mapping[str, Any], base: Mapping[str, Any], effective: Mapping[str, Any]
) -> Row:
    """One parameter; pale where it has no effect, marked where it differs from the baseline (`base`, perhaps empty)."""
    name = parameter.name
    idle, differs = name not in effective, name in base and values[name] != base[name]
    value = f"{as_typed(values[name])}" + (" (no effect)" if idle else "")
    cells = (
        Cell(safe_line(name, 60)),
        Cell(safe_line(value, 80), "plain" if idle else "bright"),
        Cell(safe_line(as_typed(base[name]), 80) if name in base else "", "dim"),
        Cell(safe_line(describe(parameter), 200), "dim"),
    )
    return Row(name, cells, dim=idle, mark=differs)


def beside_row(name: str, value: Any, selected: int | None) -> Row:
    """A setting that is not searched: it comes from the selected trial, and the baseline takes it away."""
    words = f"not searched; as in #{selected}"
    cells = (Cell(safe_line(name, 60)), Cell(safe_line(as_typed(value), 80)), Cell(""), Cell(words, "dim"))
    return Row(name, cells, mark=True)


def outlook_text(view: StudyView, outlook: Outlook) -> Text:
    """Whether it can be queued, its exact size, expected time and memory."""
    text = Text()
    if outlook.problem:
        text.append(f"Cannot be queued: {safe_line(outlook.problem, 500)}", "bold red")
    else:
        left = view.spec.budget.trials - used(view.trials)
        text.append(f"Q queues it; {left} of {view.spec.budget.trials} trials of the budget are left.", "bold")
    if (forecast := outlook.forecast) is not None:
        params, *others = sizes(forecast.known).items()
        text.append(f"\n{size(*params)}{_against(view, forecast)}, {', '.join(size(*one) for one in others)}")
        text.append(f"\n{cost(forecast)}")
    return text


def _against(view: StudyView, forecast: Forecast) -> str:
    """` (43% of the baseline)`."""
    base = all_metrics(view.baseline).get("params") if view.baseline is not None else None
    return f" ({forecast.known['params'] / base:.0%} of the baseline)" if base else ""
