"""Slots, workers, queue and load of the workspace, and what can be done about them. It decides nothing.

Pausing, stopping and the number of workers are actions of the engine; the reasons in the queue come from there as well.
It is longer than 400 lines because every key of the screen is a method of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.curves import curves_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.report.machines import MachineNow, machine_line
from bertdistill.app.report.worker_card import worker_card
from bertdistill.app.report.workers import (
    Worker,
    WorkersNow,
    gather,
    item_name,
    load_lines,
    look_at_slots,
    phase_words,
    runner_words,
    wanted,
    why_words,
)
from bertdistill.app.screens.dialogues import Choice, Confirm
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.screens.study_header import load_words
from bertdistill.app.screens.worker_rows import (
    QUEUE_COLUMNS,
    SLOT_COLUMNS,
    queue_columns,
    queue_held,
    queue_key,
    queue_row,
    queue_value,
    slot_columns,
    slot_held,
    slot_row,
    slot_value,
    trace,
)
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.curves import PREPARATION, TrialCurve
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.tail import Tail
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.curve_chart import curve_of, in_order
from bertdistill.app.widgets.inspector import Inspector
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.app.widgets.trial_facts import wrapped
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.launch.fleet import onlooker
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.load import Load, read_load
from bertdistill.engine.launch.slots import Capacity, SlotState
from bertdistill.engine.runner.rules import slot_settings
from bertdistill.engine.runner.waiting import StudyNow, Waiting, newest_worker, own_slots, workers_of
from bertdistill.engine.steering import actions
from bertdistill.store import reads
from bertdistill.store.rows import Attempt, StudyState, Trial

SAMPLES = 60
"""Samples kept of the load."""
CURVE_COLUMNS = 60
"""Points read of the curve of a worker."""
SLOTS_SECONDS = 5.0
"""How long the list of slots is cached: NVML is slow."""
REMEDIES = {
    "paused": "z resumes the study",
    "stopped": "z resumes the study",
    "failed": "z resumes the study once the cause is fixed",
    "no runner": "R starts one",
    "leaving": "R starts one once it is gone",
    "slots": "+ allows one more worker",
    "hours": "raise budget.hours in the settings of the study",
}
"""Which key helps, by the reason for waiting."""


@dataclass(frozen=True)
class Close:
    """What is read of the worker under the cursor only."""

    attempt: int
    view: StudyView
    trial: Trial | None
    log: tuple[str, ...]
    curves: list[TrialCurve]


class WorkersScreen(LiveScreen):
    """Which worker is in which slot, and why the rest waits."""

    PLACE = "workers"
    BINDINGS: ClassVar = bindings("workers")
    HELP = """
The upper table has every slot with its worker, the lower one everything that waits and why. `+`, `-`, `z` and `Z` act
on the study of the row under the cursor. Stopping lets a worker write a checkpoint first; killing does
not. Workers and runner are separate processes: closing this app does not stop them.
"""

    def __init__(self) -> None:
        super().__init__()
        self.news: WorkersNow | None = None
        self._samples: dict[str, deque[float | None]] = {}
        self._capacity: tuple[Hashable, float, Capacity] | None = None
        self._wanted: Worker | None = None
        """The worker under the cursor, whose log and trial are read."""
        self._tail: Tail | None = None
        self._read_of: Close | None = None
        self._slots_shown = Listing[SlotState](
            "slot",
            "slots",
            WordFilter("demo running", self._slot_held, self._worker_names),
            columns=lambda: [column.key for column in SLOT_COLUMNS],
            sorts={column.key for column in SLOT_COLUMNS}.__contains__,
            value=lambda place, column: slot_value(self.news, place, column) if self.news else None,
            changed=self._again,
            usual="slot",
        )
        self._queue_shown = Listing[Waiting](
            "waiting item",
            "waiting items",
            WordFilter(
                "demo -slot", queue_held, lambda: [item_name(item) for item in self.news.queue] if self.news else ()
            ),
            columns=lambda: [column.key for column in QUEUE_COLUMNS],
            sorts={column.key for column in QUEUE_COLUMNS}.__contains__,
            value=queue_value,
            changed=self._again,
        )
        self.listings = {"slots": self._slots_shown, "queue": self._queue_shown}

    def _slot_held(self, place: SlotState) -> str:
        return slot_held(self.news, place) if self.news is not None else ""

    def _worker_names(self) -> list[str]:
        return [worker.name for worker in self.news.workers] if self.news is not None else []

    def _queue_names(self) -> list[str]:
        return [item_name(item) for item in self.news.queue] if self.news is not None else []

    def _again(self) -> None:
        if self.news is not None:
            self.show(self.news)

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        yield Static("", id="load", classes="pane", markup=False)
        with Split(id="workers-body"):
            with Split(id="workers-lists", upright=True):
                yield LineTable(id="slots", classes="pane")
                yield LineTable(id="queue", classes="pane")
            yield Inspector(id="worker", classes="pane inspector")
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.query_one("#slots").focus()

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, reader: Reader) -> WorkersNow:
        load, runner = read_load(), reader.runner()
        known = reader.studies()
        if not known:
            return WorkersNow(time.time(), runner, load, self._slots(reader, (), (), ""), (), (), ())
        with reader.session() as session:
            live = reads.live_attempts(session)
        views = [reader.view(study.name) for study in wanted(known, live)]
        studies = tuple(StudyNow(view.study, view.spec, view.trials) for view in views if view.outline.spec)
        capacity = self._slots(reader, studies, live, runner.host if runner.alive else "")
        self._read_of = self._look_closer(reader)
        with reader.session() as session:
            return gather(
                session, reader.workspace, studies, runner=runner, load=load, capacity=capacity, now=time.time()
            )

    def _look_closer(self, reader: Reader) -> Close | None:
        """The log and the trial of the worker under the cursor."""
        worker = self._wanted
        if worker is None or not worker.study:
            return None
        log = RunPaths(reader.workspace.run_folder(worker.attempt.folder)).log
        if self._tail is None or self._tail.path != log:
            self._tail = Tail(log)
        view = reader.view(worker.study)
        trial = None if worker.trial is None else view.trial(worker.trial)
        number = PREPARATION if trial is None else trial.number
        curves, _ = reader.curves(view, (number,), lambda names: in_order(names, view.scores)[:1], CURVE_COLUMNS)
        return Close(worker.attempt.id, view, trial, tuple(line for _, line in self._tail.read()), curves)

    def _slots(self, reader: Reader, studies: Sequence[StudyNow], live: Sequence[Attempt], host: str) -> Capacity:
        mark = (host, *(slot_settings(s.spec) for s in studies), *(a.id for a in live))
        kept = self._capacity
        if kept is None or kept[0] != mark or time.monotonic() - kept[1] > SLOTS_SECONDS:
            kept = (
                mark,
                time.monotonic(),
                look_at_slots(onlooker(reader.workspace.path, make_launcher()), studies, live, host),
            )
            self._capacity = kept
        return kept[2]

    # ---------------------------------------------------------------------------------------------------- showing

    def show(self, news: WorkersNow) -> None:
        self.news = news
        ascii_only = self.ui.ascii_only
        self.header(self._header(news))
        self._show_load(news.load, news.machines)
        self._show_slots(news)
        listing, columns = self._queue_shown, queue_columns(news)
        self._table("queue").show(
            listing.heads(columns, ascii_only=ascii_only),
            [queue_row(item) for item in listing.shown(news.queue)],
            empty=listing.no_match(self.key_for) if news.queue else "Nothing is waiting.",
        )
        title = listing.title("Queue", f"Queue: {len(news.queue)}", columns, self.key_for)
        entitle(self._table("queue"), title=title)
        self._show_chosen()

    def _show_slots(self, news: WorkersNow) -> None:
        listing, ascii_only = self._slots_shown, self.ui.ascii_only
        self._table("slots").show(
            listing.heads(slot_columns(news), ascii_only=ascii_only),
            [slot_row(news, place, ascii_only=ascii_only) for place in listing.shown(news.capacity.slots)],
            empty=listing.no_match(self.key_for) if listing.text else "",
        )

    def follow(self) -> None:
        """The worker under the cursor, or why something waits."""
        self._wanted = self._worker()
        if not self.inspected:
            return
        inspector, item = self.query_one(Inspector), self._item()
        if self._wanted is not None:
            self._show_worker(inspector, self._wanted)
        elif item is not None:
            remedy = REMEDIES.get(item.reason, "")
            facts = [("waits for", safe(why_words(item), 400)), ("what helps", remedy)]
            inspector.inspect(item_name(item), [fact for fact in facts if fact[1]])
        else:
            inspector.inspect("No worker", [("", "This slot is free.")])

    def _show_worker(self, inspector: Inspector, worker: Worker) -> None:
        close = self._read_of if self._read_of is not None and self._read_of.attempt == worker.attempt.id else None
        if close is None:
            self.ui.look_again()  # for its log
        view, trial, log, curves = (close.view, close.trial, close.log, close.curves) if close else (None, None, (), [])
        facts = worker_card(worker, view, trial, log, time.time(), ascii_only=self.ui.ascii_only)
        drawn = [curve_of(one, "step", name=one.series.partition("/")[2] or one.series) for one in curves]
        make = partial(curves_drawing, drawn, "step") if drawn else None
        inspector.inspect(worker.name, facts, make, (worker.attempt.id, curves), empty="")

    def _table(self, name: str) -> LineTable:
        return self.query_one(f"#{name}", LineTable)

    def _header(self, news: WorkersNow) -> Text:
        words = runner_words(news)
        gone = not news.runner.alive and news.needs_runner
        text = Text(no_wrap=True, overflow="ellipsis")
        glyph = fmt.STATES["failed" if gone else "running" if news.runner.alive else "waiting"][self.ui.ascii_only]
        text.append(f"{glyph} {words}", "bold red" if gone else "green" if news.runner.alive else "")
        text.append(", R starts one" if gone else "", "bold red")
        text.append(f"   {'  '.join(load_words(news.load))}")
        return text

    def _show_load(self, load: Load, machines: Sequence[MachineNow]) -> None:
        """A line each for the processor and every GPU, with its recent load, and for every other machine."""
        percents: list[float | None] = [load.cpu_percent, *(gpu.percent for gpu in load.gpus)]
        names = ["cpu", *(gpu.uuid for gpu in load.gpus)]
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, percent, line in zip(names, percents, load_lines(load), strict=True):
            samples = self._samples.setdefault(name, deque(maxlen=SAMPLES))
            samples.append(percent)
            text.append("\n" if text else "")
            text.append(f"{trace(samples, 20, ascii_only=self.ui.ascii_only):>20} now ", "cyan")
            text.append(line)
        for one in machines:
            samples = self._samples.setdefault(f"{one.machine.name}/cpu", deque(maxlen=SAMPLES))
            samples.append(one.seen.load.cpu_percent if one.seen.load else None)
            text.append(f"\n{trace(samples, 20, ascii_only=self.ui.ascii_only):>20}     ", "cyan")
            lines = wrapped(machine_line(one), max(20, self.size.width - 29))
            text.append(f"\n{'':25}".join(lines), "yellow" if one.problem else "")
        self.query_one("#load", Static).update(text)
        self.query_one("#load").border_title = Text("Load")

    def _show_chosen(self) -> None:
        """The row under the cursor in full, and the study that the keys act on."""
        news = self.news
        if news is None:
            return
        worker, item, now = self._worker(), self._item(), self._now()
        text = Text()
        if item is not None:
            remedy = REMEDIES.get(item.reason, "")
            text.append(
                f"{safe_line(item_name(item), 80)}: {safe(why_words(item), 400)}" + (f"; {remedy}" if remedy else "")
            )
        elif worker is not None:
            text.append(
                f"{safe_line(worker.name, 80)}: {phase_words(worker)}, in {safe_line(worker.attempt.folder, 120)}"
            )
        self.query_one("#detail", Static).update(text)
        usual, columns = f"Workers: {len(news.workers)}", slot_columns(news)
        title = self._slots_shown.title("Workers", usual, columns, self.key_for)
        if now is not None:
            running, own = len(workers_of(now, self._live())), own_slots(now, news.capacity)
            state = fmt.state(now.study.state.value, ascii_only=self.ui.ascii_only)
            title += f"   {safe_line(now.study.name, 40)} {state}, {running} of {own}; + - change that"
        entitle(self._table("slots"), title=Text(title))
        self.refresh_keys()
        self.follow()

    @on(LineTable.Moved)
    def moved(self) -> None:
        self.at_rest(self._show_chosen)

    def on_descendant_focus(self) -> None:
        self._show_chosen()

    # --------------------------------------------------------------------------------------------------- what is chosen

    def _live(self) -> list[Attempt]:
        return [worker.attempt for worker in self.news.workers] if self.news else []

    def _in_queue(self) -> bool:
        return self.list_used == "queue"

    def _worker(self) -> Worker | None:
        """The worker under the cursor, when the slots have, or had, the focus."""
        if self.news is None or self._in_queue():
            return None
        key = self._table("slots").cursor_key
        place = next((one for one in self.news.capacity.slots if one.slot.name == key), None)
        return self.news.worker_in(place) if place is not None else None

    def _item(self) -> Waiting | None:
        """What waits under the cursor, when the queue has, or had, the focus."""
        if self.news is None or not self._in_queue():
            return None
        key = self._table("queue").cursor_key
        return next((item for item in self.news.queue if queue_key(item) == key), None)

    def _now(self) -> StudyNow | None:
        """The study that the keys act on: of the row under the cursor, else a running one, else the newest."""
        if self.news is None:
            return None
        chosen = self._worker() or self._item()
        named = [one for one in self.news.studies if chosen is not None and one.study.name == chosen.study]
        running = [one for one in self.news.studies if one.study.state == StudyState.RUNNING]
        return next(iter([*named, *reversed(running), *reversed(self.news.studies)]), None)

    @property
    def study_name(self) -> str:
        """Name of that study, empty when there is none."""
        now = self._now() if self.is_mounted else None
        return now.study.name if now is not None else ""

    # -------------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        now = self._now() if self.is_mounted else None
        match action:
            case "pause_study" | "slots":
                return now is not None
            case "stop_study":
                return now is not None and now.study.state in (StudyState.RUNNING, StudyState.PAUSED)
            case "stop_worker":
                item = self._item() if self.is_mounted else None
                return self.is_mounted and (self._worker() is not None or (item is not None and item.trial is not None))
            case "stop_runner":
                return self.news is not None and (self.news.runner.alive or bool(self.news.workers))
            case "start_runner":
                return self.news is not None and not self.news.runner.alive and bool(self.news.studies)
        return True

    def copies(self) -> list[tuple[str, str]]:
        ws = self.ui.workspace
        found = [("command", command_line("workers", ws=ws))]
        if worker := self._worker():
            folder = ws.absolute(worker.attempt.folder)
            found = [("worker", worker.name), ("folder", str(folder)), ("log", str(folder / "log.txt")), *found]
        if item := self._item():
            found = [("why it waits", f"{item_name(item)}: {why_words(item)}"), *found]
        return found

    @on(LineTable.Chosen)
    def chosen(self) -> None:
        """Open the trial of the row."""
        row = self._worker() or self._item()
        if row is not None and row.trial is not None:
            self.ui.open_trial(row.study, row.trial)
        elif row is not None:
            self.ui.open_study(row.study)
        else:
            self.ui.tell("There is no worker in this slot, so nothing opens.")

    def action_pause_study(self) -> None:
        if now := self._now():
            self.ui.toggle_study(now.study.name, now.study.state)

    def action_stop_study(self) -> None:
        self.ui.ask_to_stop_study(self.study_name)

    def action_start_runner(self) -> None:
        self.ui.start_runner()

    def action_stop_runner(self) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.act(
                    lambda: actions.stop_runner(self.ui.workspace, who=self.ui.who),
                    lambda _: "The workers write a checkpoint and exit, then the runner exits. R starts it again.",
                )

        question = "Stop all workers and the runner? They write a checkpoint first; R resumes from there."
        self.ui.push_screen(Confirm(question, yes="Stop all", no="Let them run"), answered)

    def action_stop_worker(self) -> None:
        worker, item = self._worker(), self._item()
        if worker is not None and worker.trial is None:
            self.ui.ask_to_stop_study(worker.study)  # a preparation belongs to the study: it has no trial to stop
        elif worker is not None:
            self._ask_how(worker)
        elif item is not None and item.trial is not None:
            self._ask_to_drop(item.study, item.trial)

    def _ask_how(self, worker: Worker) -> None:
        number = worker.trial or 0
        polite = () if worker.attempt.stop_reason else (("s", "Stop it after a checkpoint"),)
        choices = (("n", "Let it run"), *polite, ("k", "Kill it now, without a checkpoint"))

        def answered(key: str | None) -> None:
            if key in ("s", "k"):
                self._stop(worker.study, number, at_once=key == "k")

        question = f"End trial #{number} of {worker.study} for good? Its results so far are kept."
        self.ui.push_screen(Choice(question, choices), answered)

    def _ask_to_drop(self, study: str, number: int) -> None:
        def answered(yes: bool | None) -> None:
            if yes:
                self._stop(study, number, at_once=False)

        question = f"Remove trial #{number} of {study} from the queue for good?"
        self.ui.push_screen(Confirm(question, yes="Remove it", no="Keep it"), answered)

    def _stop(self, study: str, number: int, *, at_once: bool) -> None:
        said = "was killed" if at_once else "was asked to stop; a worker writes a checkpoint first"
        self.ui.act(
            lambda: actions.stop_trial(self.ui.workspace, study, number, at_once=at_once, who=self.ui.who),
            lambda late: late or f"Trial #{number} of {study} {said}.",
        )

    def action_slots(self, by: int) -> None:
        now, news = self._now(), self.news
        if now is None or news is None:
            return
        number = own_slots(now, news.capacity) + by
        if number < 1:
            self.ui.tell("One worker is the minimum; z pauses the study.", severity="warning")
        elif by > 0 and self._gpus_are_all(now, news):
            hint = "Every GPU has a worker; to let several share one, raise runner.slots_per_gpu."
            self.ui.tell(hint, severity="warning")
        elif by < 0 and len(_trials(now, self._live())) > number:
            self._ask_who_leaves(now, number)
        else:
            self._set_slots(now.study.name, number, stop_newest=False)

    def _gpus_are_all(self, now: StudyNow, news: WorkersNow) -> bool:
        """Whether the study may use every GPU slot already, so that a larger number would mean nothing."""
        gpus = [place for place in news.capacity.slots if place.slot.device.kind == "cuda"]
        return bool(gpus) and not news.capacity.elsewhere and own_slots(now, news.capacity) >= news.capacity.most

    def _ask_who_leaves(self, now: StudyNow, number: int) -> None:
        name, newest = now.study.name, newest_worker(now, self._live())
        trial = (
            next((one.trial for one in self.news.workers if newest and one.attempt.id == newest.id), None)
            if self.news
            else None
        )
        choices = (
            ("n", "Change nothing"),
            ("f", "Let all finish; start fewer afterwards"),
            ("s", f"Stop the newest, #{trial}, after a checkpoint; it resumes later"),
        )

        def answered(key: str | None) -> None:
            if key in ("f", "s"):
                self._set_slots(name, number, stop_newest=key == "s")

        self.ui.push_screen(Choice(f"{name}: {_workers(number)} at most from now on.", choices), answered)

    def _set_slots(self, name: str, number: int, *, stop_newest: bool) -> None:
        self.ui.act(
            lambda: actions.set_slots(self.ui.workspace, name, number, stop_newest=stop_newest, who=self.ui.who),
            lambda _: f"{name} may have {_workers(number)} at once. u undoes this.",
        )


def _trials(now: StudyNow, live: Sequence[Attempt]) -> list[Attempt]:
    return [one for one in workers_of(now, live) if one.trial_id is not None and not one.stop_reason]


def _workers(number: int) -> str:
    return "1 worker" if number == 1 else f"{number} workers"
