"""The App: screens, themes and keys, one poll of the store, and the only way in which screens change anything.

It draws nothing itself and holds no data about a study: screens read those, actions of the engine change them. It is
longer than 400 lines because polling, acting and leaving share one state, and most screens are opened here.
"""

from __future__ import annotations

import gc
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rich.terminal_theme import TerminalTheme
from rich.text import Text
from textual.app import App, SuspendNotSupported
from textual.binding import Binding
from textual.css.query import NoMatches
from textual.events import DescendantFocus, Event, Key, Paste
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from bertdistill.app.bindings import GATHERING, LEAST, ActionCommands, Palette, bindings, has_room, is_typing, key_of
from bertdistill.app.draw.plain import HarmlessLines, PlainLines
from bertdistill.app.memory import THEME, Memory
from bertdistill.app.preferences import Marker, Options
from bertdistill.app.reader import Reader
from bertdistill.app.screens.host import Host
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.terminal import terminal
from bertdistill.app.terminal.alert import alert_sequence
from bertdistill.app.terminal.key_order import LOADING_SECONDS, PATIENCE_SECONDS, WAITED_FOR, KeyOrder
from bertdistill.app.terminal.streams import say, who
from bertdistill.app.terminal.themes import ADDED, OURS, in_order, named_colours
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import error_line, error_words, pasted, safe, safe_line
from bertdistill.app.views.alerts import Glance, alerts
from bertdistill.app.widgets.table import MOVEMENTS, LineTable
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import StudyState

if TYPE_CHECKING:
    from bertdistill.engine.runner.lease import RunnerStatus
    from bertdistill.engine.runner.logged import LoggedRuns

Found = TypeVar("Found")
GATHER_SECONDS = 1.0
"""How often the app asks, without a runner, whether logged runs have reported anything."""
CALM_SECONDS = 5.0
"""Longest time between two reads when nothing was committed: clocks and ages change too."""
READY_SECONDS = 1.0
"""How long after the first paint what only actions need is loaded (0.4 s of SQLAlchemy), so that none waits for it."""
RESIZE_SECONDS = 0.1
"""How long after the app the screen has taken on a new size, usually; when not, the next look does the rest."""
FINISHING = "The last action is still in progress; the app exits when it is finished."
BLIND = frozenset({"leave", "interrupt", "suspend_process"})
"""Actions that make sense in a window that shows nothing."""
MARKERS: tuple[Marker, ...] = ("braille", "hd", "ascii")
_LOG = logging.getLogger(__name__)


@dataclass
class SnapshotRead(Message):
    """A thread has read what a screen shows; a newer one replaces it."""

    screen: LiveScreen
    news: Any

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotRead) and message.screen is self.screen


class BertDistill(App[None]):
    """The terminal app on one workspace."""

    CSS_PATH = "ui.tcss"
    LATER_CSS = Path(__file__).with_name("later.tcss")
    """Styles of everything behind the first screen."""
    TITLE = "bertdistill-tui"
    PLACE = "app"
    BINDINGS: ClassVar = bindings("app")
    COMMANDS: ClassVar = {ActionCommands}
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (LEAST[0], "-fit")]  # noqa: RUF012 - as Textual types it; for dialogues
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST[1], "-low"), (30, "-tall")]  # noqa: RUF012 - as the line above

    def __init__(self, options: Options) -> None:
        self._named_colours: dict[str, TerminalTheme] = {}
        super().__init__(driver_class=terminal.driver_class())
        for theme in ADDED:
            self.register_theme(theme)
        self.options = options
        self.workspace = Workspace(options.workspace)
        self.reader = Reader(self.workspace)
        self.memory = Memory(options.workspace)
        usual = OURS[terminal.theme_name(options.theme, os.environ)]
        chosen = self.memory.recall(THEME, "") if options.theme == "auto" else ""
        self.theme = chosen if chosen in self.available_themes else usual
        self.who = who()
        self.deleted = 0
        self.marker = options.marker
        self._harmless, self._plain = HarmlessLines(), PlainLines()
        self.paused = False
        self._reading = False
        self._seen: tuple[Any, Any, float] = (None, None, 0.0)
        self._problem = ""
        self._glances: dict[str, Glance] | None = None
        """The studies at the last look, for alerts; None before the first."""
        self._had_focus: Widget | None = None
        self._keys = KeyOrder(
            self, self._hand_on, is_own=self._is_own, is_pending=self._is_pending, is_loading=self._is_loading
        )
        self._is_storing = self._is_styled = False
        self._unstored: set[str] = set()
        self._acts: dict[Callable[[], Any], float] = {}
        """What is being done, with when it began."""
        self._changed_at: float | None = None
        """When something was changed that no screen shows yet."""
        self.refused: list[Exception] = []
        """An error after the last screen was closed."""

    # ------------------------------------------------------------------------------------------------------ life

    def on_mount(self) -> None:
        self.set_keymap(self.options.keymap)
        self.set_interval(1 / self.options.refresh, self._poll)
        self.set_interval(GATHER_SECONDS, self._gather_logged)
        if self.options.open_study:
            self.open_study(self.options.open_study)
        else:
            from bertdistill.app.screens.studies import StudiesScreen

            self.push_screen(StudiesScreen())
        if self.options.study_file is not None:
            self.open_new_study(str(self.options.study_file))

    def on_unmount(self) -> None:
        self.reader.close()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self._had_focus = event.widget

    def on_descendant_blur(self) -> None:
        if self.screen_stack:  # the last blur comes while the app is taken down
            self.screen.call_after_refresh(self._focus_again)

    def on_resize(self) -> None:
        self.set_timer(RESIZE_SECONDS, self._focus_again)

    def _focus_again(self) -> None:
        """A pane that a small window hides loses the focus; without one, half of the keys are dead."""
        if not self.screen_stack or self.screen.focused is not None:
            return
        chain = self.screen.focus_chain
        if chain:
            self.screen.set_focus(self._had_focus if self._had_focus in chain else chain[0])

    def push_screen(self, *screen: Any, **options: Any) -> Any:
        if screen and isinstance(screen[0], LiveScreen) and isinstance(self.screen_stack[-1], ModalScreen):
            return None  # a click on a list that a dialogue has covered meanwhile; the dialogue comes first
        if len(self.screen_stack) > 1:  # what is below is Textual's own screen and our first one
            self._style_the_rest()
        return super().push_screen(*screen, **options)

    def _style_the_rest(self) -> None:
        """Once; another theme parses all that was read."""
        if not self._is_styled:
            self._is_styled = True
            self.stylesheet.read(self.LATER_CSS)

    @property
    def is_plain(self) -> bool:
        """Whether colour must carry nothing: NO_COLOR, or a palette of the terminal's own."""
        return self.no_color or self.current_theme.ansi

    @property
    def ansi_theme(self) -> TerminalTheme:
        """The green of a line of text is that of the table below it."""
        theme = self.current_theme
        if theme.ansi:
            return super().ansi_theme
        if theme.name not in self._named_colours:  # textual asks for every line, and shades take milliseconds
            self._named_colours[theme.name] = named_colours(theme)
        return self._named_colours[theme.name]

    @property
    def ascii_only(self) -> bool:
        """Whether glyphs must stay within ASCII."""
        return self.marker == "ascii"

    def get_line_filters(self) -> Sequence[LineFilter]:
        """No widget shows a control character; with ASCII markers borders and scrollbars are ASCII, too."""
        return [*super().get_line_filters(), self._harmless, *([self._plain] if self.ascii_only else [])]

    # ------------------------------------------------------------------------------------------------------- news

    @property
    def _seen_screen(self) -> LiveScreen | None:
        """The screen on top, or the one behind its dialogues: who decides there looks at it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, LiveScreen):
                return screen
            if not isinstance(screen, ModalScreen):
                break
        return None

    def look_again(self) -> None:
        """Read what the screen shows at once, changed or not."""
        self._seen = (None, None, 0.0)
        self.call_later(self._poll)

    def _poll(self) -> None:
        if not self.screen_stack:  # the app is being taken down
            return
        self._focus_again()
        screen = self._seen_screen
        if self._reading or screen is None or not screen.is_mounted:
            return
        first = self._seen[0] is not screen
        if self.paused and not first:
            return
        try:
            version = self.reader.version()
        except BertDistillError as error:
            self._seen = (screen, None, 0.0)  # as soon as it can be read again, it is
            self._tell_problem(screen, error)
            return
        now = time.monotonic()
        if not first and self._seen[1] == version and now - self._seen[2] < CALM_SECONDS:
            return
        self._seen = (screen, version, now)
        self._reading = True
        self.run_worker(partial(self._read, screen), thread=True, group="read", exit_on_error=False)

    def _read(self, screen: LiveScreen) -> None:
        """In a thread. One of the three places with a broad except: a bad read must not end the app."""
        try:
            news = screen.read(self.reader)
            self._look_out()
        except BertDistillError as error:
            self.call_from_thread(self._tell_problem, screen, error)
        except Exception as error:  # noqa: BLE001 - the edge of the UI poll
            _LOG.exception("cannot read what %s shows", type(screen).__name__)
            self.call_from_thread(self._tell_problem, screen, error)
        else:
            self.post_message(SnapshotRead(screen, news))
        finally:
            self._reading = False

    def _look_out(self) -> None:
        """In a thread: call for attention, if wanted, when a study ends, fails or pauses, or a trial fails."""
        if self.options.notify == "none":
            return
        before, self._glances = self._glances, self.reader.glances()
        if before is not None and (found := alerts(before, self._glances)):
            self.call_from_thread(self.write_to_terminal, alert_sequence(self.options.notify, "; ".join(found)))

    @cached_property
    def _logged(self) -> LoggedRuns:
        from bertdistill.engine.runner.logged import LoggedRuns  # not at the top: the first paint needs none of it

        return LoggedRuns(self.workspace)

    def _gather_logged(self) -> None:
        """A few stats; only what they show to be new is stored, in a thread."""
        if not self._is_storing and self._logged.stirs() and not process.held(self.workspace.runner_lock):
            self._is_storing = True
            self.run_worker(self._store_logged, thread=True, group="logged", exit_on_error=False)

    def _store_logged(self) -> None:
        try:
            self._logged.catch_up()
        except (BertDistillError, OSError) as error:
            self.call_from_thread(self._tell_unstored, error)
        finally:
            self._is_storing = False

    def _tell_unstored(self, error: Exception) -> None:
        """Once: what is stored already is shown all the same."""
        if str(error) not in self._unstored:
            self._unstored.add(str(error))
            self.tell_error(error, title="Logged runs are not stored")

    def on_snapshot_read(self, message: SnapshotRead) -> None:
        screen = message.screen
        # One that is being taken down has no widgets, and then no screen may be left at all.
        if screen.is_current and screen is self._seen_screen and screen.display:
            self._problem = ""
            screen.show(message.news)
            screen.trouble()
            if self._seen[0] is None:  # asked for again meanwhile
                self.call_later(self._poll)
            else:
                self._changed_at = None
            if not gc.isenabled():  # see `cli`: what was made by now lives as long as the app
                gc.freeze()
                gc.enable()
                self.set_timer(READY_SECONDS, partial(self.run_worker, _load_actions, thread=True, group="ready"))
                self.set_timer(READY_SECONDS, self._style_the_rest)
        else:
            self.call_later(self._poll)  # the screen on top could not be read meanwhile

    def _handle_exception(self, error: Exception) -> None:
        """A screen that opens while the app exits finds its widgets gone, which is not an error."""
        if isinstance(error, NoMatches) and (self._exit or not self._running):
            _LOG.debug("a screen was left while it opened: %s", error)
            return
        super()._handle_exception(error)

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """In a window that is too small to show anything, only leaving works: other effects would be invisible."""
        if not has_room(self.size) and not any(name in BLIND for *_, name in self._bound(key)):
            return True
        return await super()._check_bindings(key, priority) or (not priority and self._explain(key))

    def _explain(self, key: str) -> bool:
        """Explain why a key does nothing now; False when it has no meaning here at all."""
        for owner, binding, name in self._bound(key):
            place = getattr(owner, "PLACE", "")
            in_table = place == "table" or (place, name) == ("log", "choose")  # the screen knows what it would open
            if not place or in_table or owner.check_action(name, ()):
                continue
            words = owner.why_not(name) if hasattr(owner, "why_not") else ""
            self.tell(words or f"{binding.description}: not possible now.", severity="warning")
            return True
        return False

    def _bound(self, key: str) -> Iterator[tuple[Any, Binding, str]]:
        """Whoever has a binding for a key, the binding, and the name of its action; the focused widget first."""
        for owner, keys in self.screen._modal_binding_chain:
            for binding in keys.key_to_bindings.get(key, ()):
                yield owner, binding, binding.action.partition("(")[0]

    async def on_event(self, event: Event) -> None:
        """Keys and pastes go in order, see `key_order`."""
        if isinstance(event, (Key, Paste)) and not event.is_forwarded:
            self._keys.take(event)
        else:
            await super().on_event(event)

    async def _hand_on(self, event: Key | Paste) -> None:
        """To the focused widget. Textual's fields draw what is pasted as it is, so this is where it is cleaned."""
        if not self.screen_stack:  # the app has closed its screens while the key waited
            return
        if isinstance(event, Paste):
            event.text = pasted(event.text, one_line=isinstance(self.focused, Input))
        await super().on_event(event)

    def _is_own(self, event: Key | Paste) -> bool:
        """Whether only the cursor of the focused field or list moves."""
        focused = self.focused
        if not isinstance(event, Key) or focused is None:
            return False
        if isinstance(focused, LineTable):
            owner, _, name = next(self._bound(event.key), (None, None, ""))
            return owner is focused and name in MOVEMENTS
        return event.is_printable and is_typing(focused)

    def _is_loading(self) -> bool:
        """Whether an action waits for its code, or a new screen for what it shows."""
        screen = self.screen if self.screen_stack else None
        is_new = isinstance(screen, LiveScreen) and screen.made > time.monotonic() - LOADING_SECONDS
        is_coming = is_new and getattr(screen, "news", None) is None and not self._problem
        return math.inf in self._acts.values() or (is_coming and not self._exit)

    def _is_pending(self) -> bool:
        """Whether what the next key may mean is still being read or written. Nothing is waited for twice for long."""
        if self._exit or not self.screen_stack:
            return False
        screen, since = self.screen, time.monotonic() - PATIENCE_SECONDS
        made = (one for one in self.workers if one.node is screen and not one.is_finished)
        return any(one.name == WAITED_FOR or one.group == GATHERING for one in made) or any(
            began > since for began in (*self._acts.values(), self._changed_at or 0.0)
        )

    def _tell_problem(self, screen: LiveScreen, error: Exception) -> None:
        """On the screen that has it, as long as it lasts; in full only once, not twice a second."""
        if screen not in self.screen_stack:  # it was closed in the meantime
            return
        text = f"{type(error).__name__}: {error}"
        if screen.is_mounted:
            screen.trouble(f"{'x' if self.ascii_only else '✗'} cannot be read: {error_line(error)}")
        if text != self._problem:
            self._problem = text
            if not screen.tells:  # the line under its header says it already
                self.tell_error(error, title="Cannot be read")

    # ---------------------------------------------------------------------------------------------------- actions

    def act(
        self,
        work: Callable[[], Found],
        done: Callable[[Found], str | None] | None = None,
        refused: Callable[[Exception], None] | None = None,
    ) -> None:
        """Do `work` (an action of the engine) in a thread; then say what `done` returns, or why it was refused.

        `refused` says that in the place of this app, as a dialogue that keeps what was typed.
        """
        self._acts[work] = math.inf  # until it begins: loading what it needs takes seconds on a busy machine
        self.run_worker(partial(self._act, work, done, refused), thread=True, group="act", exit_on_error=False)

    def _act(
        self,
        work: Callable[[], Found],
        done: Callable[[Found], str | None] | None,
        refused: Callable[[Exception], None] | None,
    ) -> None:
        _load_actions()
        self._acts[work] = time.monotonic()
        try:
            result = work()
        except BertDistillError as error:
            self._refuse(error, refused)
        except Exception as error:  # noqa: BLE001 - the edge of an action
            _LOG.exception("an action failed")
            self._refuse(error, refused)
        else:
            if not self._exit:
                self.call_from_thread(self._acted, result, done)
        finally:
            del self._acts[work]

    def _refuse(self, error: Exception, refused: Callable[[Exception], None] | None) -> None:
        """In a thread, perhaps after the app was left: a change that waited for a lock is still tried to its end."""
        if self._exit:
            self.refused.append(error)
        else:
            self.call_from_thread(refused or self.tell_error, error)

    def _acted(self, result: Any, done: Callable[[Any], str | None] | None) -> None:
        if done is not None and (words := done(result)):
            self.tell(words)
        self._changed_at = time.monotonic()
        self.look_again()

    def write_to_terminal(self, sequence: str) -> None:
        """Send a control sequence of our own, such as a copy, past the screen."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def tell(self, words: str, *, severity: str = "information") -> None:
        """A short-lived sentence, in the line of the screen or in a toast; never markup."""
        if not isinstance(self.screen, LiveScreen) or not self.screen.tell(words):
            self.notify(safe_line(words, 400), severity=severity, timeout=5, markup=False)  # type: ignore[arg-type]  # a Literal

    def tell_error(self, error: Exception, *, title: str = "Not done") -> None:
        """Show the error and its hint."""
        mark = "x" if self.ascii_only else "✗"
        words = f"{mark} {title}: {error_line(error)}"
        if not isinstance(self.screen, LiveScreen) or not self.screen.tell(words):
            self.notify(safe(error_words(error), 800), title=title, severity="error", timeout=8, markup=False)

    # ---------------------------------------------------------------------------------------------------- screens

    def open_study(self, name: str) -> None:
        from bertdistill.app.screens.study import StudyScreen

        self.push_screen(StudyScreen(name))

    def open_new_study(self, file: str = "") -> None:
        from bertdistill.app.screens.new_study import NewStudyScreen

        self.push_screen(NewStudyScreen(file))

    def open_trial(self, study: str, number: int) -> None:
        from bertdistill.app.screens.trial import TrialScreen

        self.push_screen(TrialScreen(study, number))

    def open_rerun(self, study: str, number: int) -> None:
        from bertdistill.app.screens.rerun import RerunScreen

        self.push_screen(RerunScreen(study, number))

    def open_promote(self, study: str, number: int) -> None:
        from bertdistill.app.screens.promote import PromoteScreen

        self.push_screen(PromoteScreen(study, number))

    def open_compare(self, study: str, numbers: tuple[int, ...]) -> None:
        from bertdistill.app.screens.compare import CompareScreen

        self.push_screen(CompareScreen(study, numbers))

    def open_series(self, study: str, numbers: tuple[int, ...]) -> None:
        from bertdistill.app.screens.series import SeriesScreen

        self.push_screen(SeriesScreen(study, numbers))

    def open_cascade(self, study: str, number: int, other: int | None = None) -> None:
        from bertdistill.app.screens.cascade import CascadeScreen

        self.push_screen(CascadeScreen(study, number, other))

    def open_analysis(self, study: str, number: int | None = None) -> None:
        from bertdistill.app.screens.analysis import AnalysisScreen

        self.push_screen(AnalysisScreen(study, number))

    def open_overview(self, study: str) -> None:
        from bertdistill.app.screens.analysis import AnalysisScreen
        from bertdistill.app.screens.overview_tab import OverviewTab

        self.push_screen(AnalysisScreen(study, tab=OverviewTab.NAME))

    def open_history(self, study: str) -> None:
        from bertdistill.app.screens.history import HistoryScreen

        self.push_screen(HistoryScreen(study))

    async def action_back(self) -> None:
        """What going back means is for the screen to say; Textual's own would leave the last screen, too."""
        if isinstance(self.screen, LiveScreen):
            self.screen.action_back()

    def filter_study(self, name: str, text: str) -> None:
        """Let the open screen of that study show only what matches."""
        for screen in self.screen_stack:
            if getattr(screen, "study_name", "") == name and hasattr(screen, "filter_by"):
                screen.filter_by(text)

    def leave_screen(self) -> None:
        """One screen back; at the end of all ways back are the studies, which stay."""
        from bertdistill.app.screens.studies import StudiesScreen

        if len(self.screen_stack) > 2:  # the first one is Textual's own and empty
            self.pop_screen()
        elif not isinstance(self.screen, StudiesScreen):
            self.switch_screen(StudiesScreen())

    def toggle_study(self, name: str, state: str | None) -> None:
        """Pause a running study; resume any other."""
        from bertdistill.engine.steering import actions

        if state == StudyState.RUNNING:
            self.act(
                lambda: actions.pause_study(self.workspace, name, who=self.who),
                lambda late: late or f"{name} is paused: no new trials start, running trials finish. z resumes it.",
            )
        elif state == StudyState.COMPLETE:
            keys = {one: key_of(one, self.options.keymap, ascii_only=self.ascii_only) for one in ("settings", "rerun")}
            more = f"{keys['settings']} raises budget.trials, {keys['rerun']} runs a trial with one change"
            self.tell(f"{name} is complete, so nothing is paused or resumed. In the study, {more}; either resumes it.")
        else:
            self.act(lambda: self._resume(name), lambda _: f"{name} is resumed.")

    def ask_to_stop_study(self, name: str) -> None:
        from bertdistill.app.screens.dialogues import Confirm
        from bertdistill.engine.steering import actions

        def answered(yes: bool | None) -> None:
            if yes:
                self.act(
                    lambda: actions.stop_study(self.workspace, name, who=self.who),
                    lambda late: late or f"{name} is stopping: its workers write a checkpoint and exit. z resumes it.",
                )

        question = f"Stop study {name}? Its workers write a checkpoint and exit; it can be resumed later."
        self.push_screen(Confirm(question, yes="Stop it", no="Keep running"), answered)

    def start_runner(self) -> None:
        from bertdistill.engine.steering import actions

        def words(status: RunnerStatus) -> str:
            return f"The runner is running: pid {status.pid}."

        self.act(lambda: actions.ensure_runner(self.workspace), words)

    def _resume(self, name: str) -> None:
        from bertdistill.engine.steering import actions

        actions.resume_study(self.workspace, name, who=self.who)
        actions.ensure_runner(self.workspace)

    def action_workers(self) -> None:
        from bertdistill.app.screens.workers import WorkersScreen

        self.push_screen(WorkersScreen())

    def action_models(self) -> None:
        from bertdistill.app.screens.models import ModelsScreen

        self.push_screen(ModelsScreen())

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette) and has_room(self.size):
            self.push_screen(Palette(id="--command-palette"))

    def action_help(self) -> None:
        from bertdistill.app.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    async def run_action(self, *words: Any, **options: Any) -> bool:
        """None once the app is being left: a screen that is opened then never gets its widgets, and fails."""
        if self._exit:
            return False
        screen, done = self.screen, await super().run_action(*words, **options)
        if done and words and isinstance(screen, LiveScreen):
            screen.acted(str(words[0]))
        return done

    def action_leave(self) -> None:
        """Leave the app. Workers and runner are processes of their own, and the last line on the terminal says so."""
        self.exit(return_code=0, message=Text(FINISHING) if self._acts else None)

    def action_interrupt(self) -> None:
        """ctrl+c: text that is selected is copied; without any, the app is left."""
        selected = getattr(self.focused, "selected_text", "") or self.screen.get_selected_text() or ""
        if not selected:
            self.action_leave()
        elif (sequence := terminal.copy_sequence(selected, os.environ)) is not None:
            self.write_to_terminal(sequence)
            self.tell("Copied. Press ctrl+c without a selection to quit.")

    def action_pause_view(self) -> None:
        self.paused = not self.paused
        self.tell("Repainting is paused; studies keep running." if self.paused else "Repainting is resumed.")
        if isinstance(self.screen, LiveScreen):
            self.screen.refresh_keys()
        self.look_again()

    def edit_text(self, text: str, name: str) -> str | None:
        """The text as the person's editor left it; None where there is none, which is said."""
        from bertdistill.app.terminal.driver import SteadyDriver
        from bertdistill.app.terminal.editor import edited, editor

        found: str | BertDistillError
        try:
            words = editor(os.environ)
            with self._driver.lent() if isinstance(self._driver, SteadyDriver) else nullcontext(), self.suspend():
                try:
                    found = edited(text, name, words)
                except BertDistillError as error:  # one that left `suspend` would leave the terminal to nobody
                    found = error
        except SuspendNotSupported:
            self.tell("There is no terminal here that an editor could use.", severity="warning")
            return None
        except BertDistillError as error:
            found = error
        if isinstance(found, str):
            return found
        self.tell_error(found, title="No editor")
        return None

    def action_jump(self) -> None:
        from bertdistill.app.screens.jump import JumpScreen

        if isinstance(self.screen, LiveScreen) and (jumps := self.screen.jumps()):
            self.push_screen(JumpScreen(jumps))

    def action_choose_theme(self) -> None:
        from bertdistill.app.screens.themes import ThemePicker

        self.push_screen(ThemePicker())

    @property
    def theme_names(self) -> list[str]:
        """Every theme, ours first."""
        return in_order(self.available_themes)

    def keep_theme(self, name: str) -> None:
        """Wear this theme, from now on."""
        self.theme = name
        self.memory.keep(THEME, name)

    def use_background(self, background: terminal.Background) -> None:
        """The terminal replied after the app had started: apply the theme it implies, unless another one was chosen."""
        remembered = self.memory.recall(THEME, "")
        if (
            self.options.theme == "auto"
            and not remembered
            and self.theme == OURS[terminal.theme_name("auto", os.environ)]
        ):
            self.theme = OURS[terminal.theme_name("auto", os.environ, background)]

    def action_next_marker(self) -> None:
        self.marker = MARKERS[(MARKERS.index(self.marker) + 1) % len(MARKERS)]
        if isinstance(self.screen, LiveScreen):
            self.screen.use_marker()
        self.refresh_css(animate=False)  # lines that were drawn before are not to be shown again
        self.look_again()
        self.tell(f"Charts are drawn with {self.marker} markers.")

    def action_picture(self) -> None:
        path = self.workspace.path / "pictures" / f"{time.strftime('%Y%m%d-%H%M%S')}.svg"
        picture = self.export_screenshot()

        def write() -> str:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(picture, encoding="utf-8")
            return str(path)

        self.act(write, lambda where: f"Picture: {where}")

    def action_copy(self) -> None:
        from bertdistill.app.screens.dialogues import CopyDialogue

        screen = self.screen
        items, files = (screen.copies(), screen.files()) if isinstance(screen, LiveScreen) else ([], [])
        if items or files:
            self.push_screen(CopyDialogue(items, files))
        else:
            self.tell("Nothing to copy here.")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return not self.why_not(action)

    def why_not(self, action: str) -> str:
        """Undo works where it is plain which study it changes; no screen opens itself once more."""
        screen = self.screen if self.screen_stack else None
        match action:
            case "undo" if screen is not None and not self.deleted and not getattr(screen, "study_name", ""):
                return "Open a study first; u then undoes its newest change."
            case "workers" | "models" if getattr(screen, "PLACE", "") == action:
                return f"The {action} are on this screen; escape goes back."
        return ""

    def action_undo(self) -> None:
        from bertdistill.engine.steering import actions

        study: str = "" if self.deleted else getattr(self.screen, "study_name", "")
        number, self.deleted = self.deleted or None, 0

        def undo() -> tuple[actions.Entry, str]:
            """The undo, and who had made the change: several people may be at one workspace."""
            entry = actions.undo(self.workspace, study, number, who=self.who)
            with closing(Reader(self.workspace)) as reader:
                return entry, next((e.who for e in reader.changes(study) if e.id == entry.undoes), self.who)

        def words(done: tuple[actions.Entry, str]) -> str:
            entry, who = done
            whose = "" if who == self.who else f" (changed by {who})"
            where = "" if entry.trial is None else f" on #{entry.trial}"
            return (
                f"Undone{where}{whose}: {entry.words.partition(': ')[2]}. Press u again to undo the change before it."
            )

        self.act(undo, words)


if TYPE_CHECKING:
    _is_host: type[Host] = BertDistill  # what screens are promised


def _load_actions() -> None:
    for name in ("bertdistill.engine.steering.actions", "bertdistill.store.writing"):
        import_module(name)


def run(options: Options) -> int:
    """Show the app until it is left; the true exit status."""
    app = BertDistill(options)
    app.run(mouse=options.mouse)
    for error in app.refused:
        say(f"error: not done: {error_words(error)}")
    if app.return_code == 0 and process.held(app.workspace.runner_lock):
        say(f"Running studies continue without the app. Show them with `{command_line('status', ws=app.workspace)}`.")
    return terminal.exit_status(app) or (1 if app.refused else 0)
