"""A new study: choose a study file, change its keys in a form, see what is wrong and what it would cost, start it.

It changes no file: what was typed is kept as `--set` changes, and the equivalent command is always shown.
It is longer than 400 lines because list and form are one screen: typed values must survive switching between them.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group
from rich.text import Text
from textual import on, work
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import Key
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, Static
from textual.worker import Worker

from bertdistill.app.bindings import bindings, key_of
from bertdistill.app.children import plan_process
from bertdistill.app.children.plan_process import Answer
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Ask, Choice, Confirm
from bertdistill.app.screens.findings import Findings, question
from bertdistill.app.screens.live_screen import Line, LiveScreen
from bertdistill.app.terminal.key_order import WAITED_FOR, Work
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import LONGEST_LINE, safe, safe_line
from bertdistill.app.views import study_form
from bertdistill.app.views.configs import (
    DATA,
    SHIPPED,
    Config,
    checked_path,
    find_configs,
    find_data,
    own_study,
    shipped_folder,
)
from bertdistill.app.views.study_check import Checked, Taken, check, problems, taken
from bertdistill.app.views.study_form import Field
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.study_lines import FieldLabel, Form, PathSuggester, field_line
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.demo_study import DEMOS
from bertdistill.engine.study.config import to_toml
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.study_text import parse_override, read_toml
from bertdistill.engine.study.template import COLUMNS as COLUMN_KEYS
from bertdistill.engine.study.template import HeaderUnclear, Template, is_data
from bertdistill.store.errors import BertDistillError

COLUMNS = (Column("config", "file", 20), Column("where", "from", 9), Column("about", "what it is", 20, grow=True))
BEGIN_PATHS = ("/", "~", ".")
HEADER_EDGES = 4
"""Columns of the top line beside title and path."""
DRAFTS = "studies"
"""Folder of the workspace with the study files that were written here."""
OWN_DATA = " "
"""In place of a study file: begin with the path of the data."""
FORMS = "forms"
"""What is remembered of the forms of studies that were started: by path, the typed values by key."""
MOST_FORMS = 50
TICK_SECONDS = 1.0
CHECK_SECONDS, PLAN_SECONDS = 0.2, 0.5
"""Pause after the last key press before the file is checked, and from there until its plan is requested."""


@dataclass(frozen=True)
class NewStudyNews:
    """The study files, the existing studies, and the current content of the chosen file."""

    configs: tuple[Config, ...]
    studies: Mapping[str, Taken]
    path: Path | None = None
    raw: Mapping[str, Any] | None = None
    """Its tables; None while nothing is chosen and when it cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


class NewStudyScreen(LiveScreen):
    """First the list of study files, then the form of the chosen one. Nothing typed is lost between them."""

    PLACE = "new"
    tells = True
    BINDINGS: ClassVar = bindings("new")
    HELP = """
Choose a study file, or type the path of one; or that of your own data, a CSV, TSV, JSONL, text;label or SQuAD file:
the columns, labels and lengths are read from it, and a study file is written into the workspace.

Each line of the form is a key of the file; clearing a line removes the key. Any other key is added at the bottom as
`key=value`. Findings and costs are updated while you type. `f5` starts the study; `f4` returns to the list and keeps
your changes. The file itself is never changed.
"""

    def __init__(self, file: str = "") -> None:
        super().__init__()
        self.news: NewStudyNews | None = None
        self.config: Config | None = None
        self.checked: Checked | None = None
        self.answer: Answer | None = None
        self._checked_as: tuple[Path, list[str]] | None = None
        """The file and the changes that `checked` refers to."""
        self._file = file
        self._raw: dict[str, Any] = {}
        self._whole: StudySpec | None = None
        """The study when it was last valid: `copies` still offers it when its file is gone."""
        self._gone = ""
        """Why the chosen file cannot be read any more, empty while it can."""
        self._drafted: Path | None = None
        """The study file that was written last."""
        self._left = ""
        """Name of the file whose form was left last."""
        self._sought: Path | None = None
        """That file, until it is in the list and the cursor on it."""
        self._doing = ("", 0.0)
        """What is being done, if anything, and since when."""
        self._asked: Confirm | None = None
        """The question whether to start, as long as it is open."""
        self._starting = False
        """While it is: the workspace then holds the study, which is not to be judged as one that was there before."""
        self._typed: dict[Path, dict[str, str]] = {}
        self._added: dict[Path, list[str]] = {}

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="new-body"):
            with Vertical(id="new-left"):
                yield LineTable(id="configs", classes="pane")
                path = Input(
                    id="path",
                    placeholder="or the path of a study file, or of your data",
                    suggester=PathSuggester(),
                    max_length=LONGEST_LINE,
                    select_on_focus=False,  # the focus comes after the first character of a path
                )
                yield path
                with Form(id="form", classes="pane"):
                    yield Vertical(id="fields")
                    keys = SuggestFromList([f"{name}=" for name in study_form.known_keys()])
                    yield Input(
                        id="other-key",
                        placeholder="any other key=value, then enter",
                        suggester=keys,
                        max_length=LONGEST_LINE,
                    )
                    yield Button("Start the study", id="start", variant="primary")
            with VerticalScroll(id="plan", classes="pane"):
                yield Static(id="findings", markup=False)
        yield Line(id="hint")
        yield Line(id="verdict")

    def on_mount(self) -> None:
        self.add_class("-choosing")
        self.query_one("#configs").border_title = Text("Begin from")
        self.query_one("#plan").border_title = Text("What it is")
        self.query_one("#configs").focus()
        self.set_interval(TICK_SECONDS, self._count_seconds)
        if self._file == OWN_DATA:
            forms = "CSV, TSV, JSONL, text;label or SQuAD JSON"
            if find_data(Path()):
                self._verdict(f"Choose a data file of this folder, or type the path of one below (tab): {forms}.")
            else:
                self.query_one("#path", Input).focus()
                self._verdict(f"Type the path of your data file: {forms}. This folder has none.")
        elif self._file:
            self._open(self._file)

    # ------------------------------------------------------------------------------------------- reading, showing

    def read(self, reader: Reader) -> NewStudyNews:
        workspace = reader.workspace.path
        configs = find_configs([("here", Path()), ("workspace", workspace), ("workspace", workspace / DRAFTS)])
        mine, data = [one for one in configs if one.where != SHIPPED], find_data(Path())
        own = (*data, *mine) if self._file == OWN_DATA else (*mine, *data)
        found = (*own, *(one for one in configs if one.where == SHIPPED))
        studies = taken(reader.studies())
        path = self.config.path if self.config is not None else None
        try:
            return NewStudyNews(found, studies, path, None if path is None else read_toml(path))
        except ConfigError as error:
            return NewStudyNews(found, studies, path, problem=str(error))

    def show(self, news: NewStudyNews) -> None:
        fresh = self.news is None or self.news.studies.keys() != news.studies.keys()
        self.news = news
        rows = [
            Row(str(c.path), (Cell(safe_line(c.name), "bright"), Cell(c.where), Cell(safe_line(c.first_sentence))))
            for c in news.configs
        ]
        table = self.query_one("#configs", LineTable)
        table.show(COLUMNS, rows, empty="No study file found. Type the path of one.")
        if self._sought is not None and any(one.path == self._sought for one in news.configs):
            table.move_to(str(self._sought))
            self._sought = None
        self._title()
        if self.config is None:
            self._preview()
        elif not self._starting and (self._take_file(news) or fresh):
            self._judge()
        self.refresh_keys()

    def _take_file(self, news: NewStudyNews) -> bool:
        """Whether the chosen file was removed, restored or changed: then the form shows it, too.

        Typed values are kept, and so are the values of a file that is gone.
        """
        if self.config is None or news.path != self.config.path:
            return False
        before, self._gone = self._gone, news.problem
        if news.raw is None or news.raw == self._raw:
            return before != self._gone
        self._raw = dict(news.raw)
        elsewhere = getattr(self.focused, "id", "") in ("other-key", "start")
        self._lay_out(None if elsewhere else getattr(self.focused, "name", None) or "")
        self.ui.tell(f"{self.config.path.name} was changed on disk: its new values are shown, your changes kept.")
        return False

    def _title(self) -> None:
        text = Text("New study", "bold", no_wrap=True, overflow="ellipsis")
        if self.config is not None:
            path = safe_line(str(self.config.path), 300)
            text.append(f"  {fmt.end_of_path(path, self.size.width - text.cell_len - HEADER_EDGES)}")
        self.header(text)

    def _preview(self) -> None:
        """The comment at the top of the highlighted file."""
        config = self._highlighted()
        self._findings(Text(safe(config.about, 6000) or "This file has no comment at its top.") if config else Text())

    def _highlighted(self) -> Config | None:
        return self.under_cursor(self.news.configs if self.news else (), lambda one: str(one.path), "#configs")

    def _findings(self, text: Text | Group) -> None:
        self.query_one("#findings", Static).update(text)

    def _verdict(self, words: str, style: str = "", *, busy: bool = False) -> None:
        """The line above the footer; of what is `busy` the seconds are counted, because it can take many."""
        if not busy or words != self._doing[0]:
            self._doing = (words if busy else "", time.monotonic())
        self.query_one("#verdict", Line).say(Text(safe_line(words, 400), style))

    def _count_seconds(self) -> None:
        words, since = self._doing
        if words:
            self.query_one("#verdict", Line).say(Text(safe_line(f"{words} {time.monotonic() - since:.0f} s", 400)))

    # ---------------------------------------------------------------------------------------------------- choosing

    @on(LineTable.Moved, "#configs")
    def moved(self) -> None:
        self._preview()

    @on(LineTable.Chosen, "#configs")
    def chosen(self) -> None:
        self.action_open()

    def on_key(self, event: Key) -> None:
        """A path that is typed without going to its line first is not a row of commands."""
        if event.character in BEGIN_PATHS and self.focused is self.query_one("#configs"):
            event.stop()
            path = self.query_one("#path", Input)
            path.focus()
            path.insert_text_at_cursor(event.character)

    def action_open(self) -> None:
        """Edit the highlighted file."""
        config = self._highlighted()
        if config is not None and config.where == DATA:
            self._draft(config.path)
        elif config is not None:
            self._edit(config)

    @on(Input.Submitted, "#path")
    def path_typed(self, event: Input.Submitted) -> None:
        self._open(event.value)

    def _open(self, text: str) -> None:
        """Edit the file at this path, or show what is wrong with the path."""
        try:
            path = checked_path(text).absolute()
        except (BertDistillError, OSError, RuntimeError) as error:  # `~nobody` has no home: RuntimeError
            self._refuse(text, error)
        else:
            if is_data(path):
                self._draft(path)
            else:
                self._edit(Config(path, SHIPPED if path.resolve().parent == shipped_folder() else "typed"))

    def _draft(self, data: Path, changes: tuple[str, ...] = ()) -> None:
        """Write a study file for this data and edit it; what is not clear is asked for."""
        self._verdict(f"Reading {data.name}: columns, labels, lengths …", busy=True)
        folder = self.ui.workspace.path / DRAFTS

        def drafted(found: tuple[Path, Template]) -> str:
            path, made = found
            self._drafted = path
            self._verdict("")
            self._edit(Config(path, "drafted"))
            return f"{path.name} is written. " + "; ".join(made.guesses)

        self.ui.act(lambda: own_study(data, folder, changes), drafted, lambda error: self._ask(data, changes, error))

    def _ask(self, data: Path, changes: tuple[str, ...], error: Exception) -> None:
        """What the first row is or which column is meant, if that is what is not clear; another error is shown."""
        if isinstance(error, HeaderUnclear):
            self._ask_header(data, changes, error)
            return
        key = next((key for key in COLUMN_KEYS if f"data.{key}" in str(error)), "")
        if not key:
            self._refuse(str(data), error)
            return

        def answered(column: str | None) -> None:
            if column:
                self._draft(data, (*changes, f"data.{key}={column}"))
            else:
                self._refuse(str(data), error)

        self._verdict("")
        self.ui.push_screen(Ask(safe(str(error), 900), placeholder=f"name of the column for data.{key}"), answered)

    def _ask_header(self, data: Path, changes: tuple[str, ...], unclear: HeaderUnclear) -> None:
        """The likelier answer has the cursor."""
        first, second = (", ".join(cell[:40] for cell in row) for row in (unclear.first, unclear.second))
        answers = [("h", "the names of the columns"), ("e", "an example; the columns have no names")]
        words = f"{data.name} begins with these rows:\n\n1: {first}\n2: {second}\n\nThe first row is"

        def answered(letter: str | None) -> None:
            if letter is None:
                self._verdict(f"Nothing was written for {data.name}: enter asks again.")
                self.query_one("#path", Input).value = safe_line(str(data), 4000)
            else:
                self._draft(data, (*changes, f"data.header={'yes' if letter == 'h' else 'no'}"))

        self._verdict("")
        self.ui.push_screen(Choice(words, answers if unclear.headed else answers[::-1]), answered)

    def _refuse(self, text: str, error: Exception) -> None:
        self._verdict(f"{str(error).rstrip('.')}. {getattr(error, 'hint', '')}".strip(), "bold red")
        field = self.query_one("#path", Input)
        field.value = safe_line(text, 4000)
        field.focus()

    def _edit(self, config: Config) -> None:
        """Show the form of a file, with what was typed for it before."""
        known = self.news.configs if self.news else ()
        config = next((c for c in known if c.path == config.path.resolve()), config)
        try:
            self._raw = read_toml(config.path)
        except BertDistillError as error:
            self._refuse(str(config.path), ConfigError("\n".join(problems(error, config.path))))
            return
        self.config, self._gone, self._whole = config, "", None
        if (typed := self._started().get(str(config.path))) and config.path not in self._typed:
            self._typed[config.path] = dict(typed)
            self._added[config.path] = list(typed)  # some have no line of their own
        if config.demo:
            paths = config.demo.data_paths(self.ui.workspace)
            self._typed.setdefault(config.path, paths)
            self._added.setdefault(config.path, list(paths))  # some are no common keys
        self.remove_class("-choosing")
        self.add_class("-editing", "-show-form")
        self.query_one("#plan").border_title = Text("Plan")
        self._findings(Text("Checking the file …", "dim"))
        self._title()
        self._lay_out()

    def action_edit_file(self) -> None:
        """In the person's own editor. A file that comes with the program stays as it is: a copy gets the changes."""
        config = self.config
        if config is None:
            return
        try:
            before = config.path.read_text(encoding="utf-8")
            text = self.ui.edit_text(before, config.path.name)
            if text is None or text == before:
                return
            path = config.path
            if path.resolve().parent == shipped_folder():
                path = free_path(self.ui.workspace.path / DRAFTS, path)
                self.ui.tell(f"The changes are in a copy of your own: {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.ui.tell_error(error, title="Not edited")
        else:
            self._edit(config if path == config.path else Config(path, "edited"))

    def action_other(self) -> None:
        """Back to the list; what was typed is kept."""
        self.workers.cancel_group(self, "judge")
        self.workers.cancel_group(self, "plan")
        last = self.config
        self.config, self.checked, self.answer, self._checked_as = None, None, None, None
        self.remove_class("-editing", "-show-form", "-show-plan")
        self.add_class("-choosing")
        self.query_one("#plan").border_title = Text("What it is")
        self.query_one("#hint", Line).say(Text())
        self._left = last.path.name if last else ""
        self._verdict(self._way_back())
        self._title()
        self._preview()
        table = self.query_one("#configs", LineTable)
        table.focus()
        self._sought = last.path.resolve() if last else None
        self.ui.look_again()  # a file that was drafted a moment ago is not in the list yet
        self.refresh_keys()

    def action_back(self) -> None:
        if self.config is not None and self.has_class("-show-plan"):
            self.action_next_pane()
        elif self.config is not None:
            self.action_other()
        elif any(self._typed_words()):
            words = f"Leave? What you typed will be lost: {', '.join(self._typed_words())}"
            self.ui.push_screen(Confirm(words, yes="Leave", no="Stay"), self._leave)
        else:
            self._leave(True)

    def _leave(self, yes: bool | None) -> None:
        """Either way it is said how to come back to the form."""
        if yes:
            self.ui.leave_screen()
            if self._drafted:
                self.ui.tell(f"{self._drafted.name} is kept in the workspace: n lists it.")
        else:
            self._verdict(self._way_back())

    def _started(self) -> dict[str, dict[str, str]]:
        """The typed values of forms whose studies were started: a file says nothing of them."""
        kept = self.ui.memory.recall(FORMS, dict[str, Any]())
        whole = {path: typed for path, typed in kept.items() if isinstance(typed, dict)}
        return {path: {k: v for k, v in typed.items() if isinstance(v, str)} for path, typed in whole.items()}

    def _remember(self, path: Path, typed: Mapping[str, str]) -> None:
        others = [one for one in self._started().items() if one[0] != str(path)]
        self.ui.memory.keep(FORMS, dict([*others[1 - MOST_FORMS :], (str(path), dict(typed))]))

    def _way_back(self) -> str:
        return f"{self._left} is in the list, with what you typed: enter returns to its form." if self._left else ""

    def _typed_words(self) -> list[str]:
        """The changes typed so far in any file, without those that a demo starts with."""
        own = {pair for demo in DEMOS.values() for pair in demo.data_paths(self.ui.workspace).items()}
        own |= {pair for typed in self._started().values() for pair in typed.items()}
        every = (pair for typed in self._typed.values() for pair in typed.items())
        return [f"{key}={value}" for key, value in every if (key, value) not in own]

    # -------------------------------------------------------------------------------------------------------- form

    @property
    def fields(self) -> list[Field]:
        """The lines of the form."""
        added = self._added.get(self.config.path, []) if self.config else []
        return study_form.form(self._raw, added)

    @property
    def _words(self) -> dict[str, str]:
        return self._typed.setdefault(self.config.path, {}) if self.config else {}

    @property
    def changes(self) -> list[str]:
        """What was typed, as `--set` takes it."""
        return study_form.changes(self.fields, self._words)

    @work(name=WAITED_FOR, exclusive=True, group="form")
    async def _lay_out(self, focus: str | None = "") -> None:
        """Replace all lines, with the focus on that one or else the first; None leaves it where it is.

        When the form appears, the field of the path that is hidden passes its focus on to any widget that is there.
        """
        box = self.query_one("#fields", Vertical)
        words = self._words
        longest = max((len(field.key.label or field.key.name) for field in self.fields), default=0)
        rows = [field_line(field, words.get(field.key.name, field.value), longest) for field in self.fields]
        async with self.batch():
            await box.remove_children()
            await box.mount_all(rows)
        self.query_one("#form").border_title = Text(safe_line(self.config.path.name if self.config else "", 80))
        inputs = {str(i.name): i for i in box.query(Input)}
        chosen = None if focus is None else inputs.get(focus) or next(iter(inputs.values()), None)
        if chosen is not None:
            chosen.focus()
        self._judge()
        self.refresh_keys()

    @on(Input.Changed, ".value")
    def typed(self, event: Input.Changed) -> None:
        field = next((f for f in self.fields if f.key.name == event.input.name), None)
        if field is None:
            return
        if event.value == self._words.get(field.key.name, field.value):
            return
        if event.value == field.value:
            del self._words[field.key.name]
        else:
            self._words[field.key.name] = event.value
        self._judge()

    @on(Input.Submitted, ".value")
    def submitted(self) -> None:
        self.action_field(1)

    @on(Input.Submitted, "#other-key")
    def add_key(self, event: Input.Submitted) -> None:
        """One more line; the check reports an unknown key."""
        if self.config is None:
            return
        try:
            override = parse_override(event.value)
        except ConfigError as error:
            self._verdict(f"{str(error).removeprefix('--set ')}. {error.hint}", "bold red")
            return
        name, value = override.path, event.value.partition("=")[2].strip()
        if name not in [field.key.name for field in self.fields]:
            self._added.setdefault(self.config.path, []).append(name)
        self._words[name] = str(override.value) if isinstance(override.value, str) else value
        event.input.value = ""
        self._lay_out(name)

    def action_field(self, by: int) -> None:
        """The line above or below; it stays at the ends."""
        line = [w for w in self.query("#form Input, #form Button") if w.display and w.focusable]
        here = line.index(self.focused) if self.focused in line else 0
        if line and 0 <= here + by < len(line):
            line[here + by].focus()

    def action_next_pane(self) -> None:
        """Form or plan, where only one of them fits."""
        plan = self.has_class("-show-form")
        self.set_class(plan, "-show-plan")
        self.set_class(not plan, "-show-form")
        self.query_one("#plan" if plan else "#fields Input").focus()
        self.refresh_keys()

    def on_descendant_focus(self) -> None:
        """The help text of the focused key."""
        name = getattr(self.focused, "name", None) or ""
        if self.config is not None:
            key = next((field.key for field in self.fields if field.key.name == name), None)
            words = f"{key.name}: {key.help or 'see docs/study-file.md'}" if key else ""
            self.query_one("#hint", Line).say(Text(safe_line(words, 300), "dim", no_wrap=True, overflow="ellipsis"))

    # ----------------------------------------------------------------------------------------------------- judging

    def _judge(self, *, start: bool = False) -> None:
        """Check the file, and with `start` ask whether to start; a newer call replaces an older one."""
        self.workers.cancel_group(self, "plan")
        work: Work = partial(self._check, start)
        _: Worker[None] = self.run_worker(work, WAITED_FOR if start else "", exclusive=True, group="judge")

    async def _check(self, start: bool) -> None:
        """Check the file, at once or when typing pauses, then request its plan."""
        if self.config is None:
            return
        path, changes = self.config.path, self.changes
        await asyncio.sleep(0 if start else CHECK_SECONDS)
        try:
            if (demo := self.config.demo) and not demo.has_data(self.ui.workspace):
                await asyncio.to_thread(demo.write_data, self.ui.workspace)
            studies = self.news.studies if self.news else {}
            self.checked, self.answer = await asyncio.to_thread(check, path, changes, studies), None
            self._checked_as = (path, changes)
            self._whole = self.checked.spec or self._whole
            self._show_findings()
            if start:
                self._ask_to_start()
        except (BertDistillError, OSError) as error:  # a full disk, a study of the workspace that cannot be read
            self.ui.tell_error(error)
        else:
            if self.checked.spec is not None:
                work: Work = partial(self._plan, path, changes)
                _: Worker[None] = self.run_worker(work, exclusive=True, group="plan")

    async def _plan(self, path: Path, changes: list[str]) -> None:
        """What it would cost, computed in another process so that keys do not wait."""
        await asyncio.sleep(PLAN_SECONDS)
        try:
            self.answer = await plan_process.ask(path, changes, workspace=self.ui.workspace.path)
        except (BertDistillError, OSError) as error:
            self.ui.tell_error(error)
        else:
            self._show_findings()

    @property
    def problems(self) -> list[str]:
        """What must be fixed before the study can start."""
        if self._gone:
            return [f"{self._gone}. Your changes are kept: restore the file, or f4 chooses another"]
        checked = self.checked.problems if self.checked else ()
        return list(dict.fromkeys([*checked, *(self.answer.problems if self.answer else ())]))

    def _show_findings(self) -> None:
        if self.checked is None or self.config is None or not self.query("#verdict"):
            return  # without a verdict the screen is being taken down
        findings = Findings(self.checked, self.answer, tuple(self.problems), self.ui.ascii_only)
        planning = self.answer is None and self.checked.spec is not None and not findings.problems
        for label in self.query("#fields Label").results(FieldLabel):
            label.tell(findings.sign(label.key), wrong=findings.concern(label.key))
        self._verdict(findings.verdict(), "bold red" if findings.problems else "", busy=planning)
        self._findings(findings.report(self.command))
        self._ask_anew()

    def _ask_anew(self) -> None:
        """The plan came while the start was asked: ask with what it says, or not at all if something is to be fixed."""
        asked, spec = self._asked, self.checked.spec if self.checked else None
        if asked is not None and asked.is_current:
            if self.problems or spec is None:
                asked.action_no()
            else:
                asked.reword(self._question(spec))

    @property
    def command(self) -> str:
        """The command line that starts the same study."""
        if self.config is None:
            return ""
        words = [word for change in self.changes for word in ("--set", change)]
        return command_line("run", str(self.config.path), *words, ws=self.ui.workspace)

    # -------------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        editing = self.config is not None
        match action:
            case "open":
                return not editing
            case "start" | "other" | "field" | "edit_file":
                return editing
            case "next_pane":
                return editing and not self.has_class("-wide")
        return True

    def copies(self) -> list[tuple[str, str]]:
        if self.config is None:
            return []
        found = [("command", self.command), ("path", str(self.config.path))]
        return found if self._whole is None else [*found, ("study file", to_toml(self._whole))]

    @on(Button.Pressed, "#start")
    def start_pressed(self) -> None:
        self.action_start()

    def action_start(self) -> None:
        """Confirm with the costs, then start and open it: as it is now, not as it was last checked."""
        if self.config is not None and self._checked_as == (self.config.path, self.changes):
            self._ask_to_start()
        else:
            self._judge(start=True)

    def _ask_to_start(self) -> None:
        spec = self.checked.spec if self.checked else None
        if self.problems or spec is None:  # the first of them is already shown above the footer
            return
        self._asked = Confirm(self._question(spec), yes="Start it", no="Not yet")
        self.ui.push_screen(self._asked, lambda yes: self._start(spec, yes))

    def _question(self, spec: StudySpec) -> str:
        return question(spec, self.answer, goes_on=bool(self.checked and self.checked.goes_on))

    def _start(self, spec: StudySpec, yes: bool | None) -> None:
        def work() -> str:
            name = actions.start_study(self.ui.workspace, spec, who=self.ui.who).name
            actions.ensure_runner(self.ui.workspace)
            return name

        def done(name: str) -> str:
            if self.ui.screen is self:
                from bertdistill.app.screens.study import StudyScreen

                self.ui.switch_screen(StudyScreen(name))
            else:  # a dialogue or another screen was opened meanwhile: the form is still below it
                self._starting = False
                self._verdict("")
            hints = key_of("next-hint", self.ui.options.keymap, ascii_only=self.ui.ascii_only)
            return f"Study {name} has started. {hints} explains its screen in four hints."

        def refused(error: Exception) -> None:
            self._starting = False
            self.ui.tell_error(error)
            self._judge()

        self._asked = None
        if yes and self.config is not None:
            self._remember(self.config.path, self._words)
            self._starting = True
            self._verdict(f"Starting study {spec.name} …", busy=True)
            self.ui.act(work, done, refused)


def free_path(folder: Path, like: Path) -> Path:
    """A file in this folder that is not there yet, named like that one."""
    names = (f"{like.stem}{'' if place == 1 else f'-{place}'}{like.suffix}" for place in itertools.count(1))
    return next(path for name in names if not (path := folder / name).exists())
