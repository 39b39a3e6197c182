"""What can be changed in a study while it runs, and who changed what. It checks no value itself.

Every change goes through `engine.changes`, which records it with what it replaced.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import frontier_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Ask, Change
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.points import chart_axis
from bertdistill.app.views.setting_card import key_facts, space_facts
from bertdistill.app.views.study_form import plain
from bertdistill.app.views.view import StudyView, all_metrics, chart_axes
from bertdistill.app.widgets.cells import Cell, Row, whole_width
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.inspector import Inspector
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.runner.budget import used
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.actions import Entry
from bertdistill.engine.steering.changes import SECTIONS, ZERO_MEANS, read_change, settled
from bertdistill.engine.study.config import parse_override
from bertdistill.engine.study.ranges import dump_range, range_text
from bertdistill.engine.study.sections import shown
from bertdistill.engine.study.space import describe
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import StudyState

Make = Callable[[Look], Drawing]
COLUMNS = (
    Column("key", "setting", 28),
    Column("value", "now", 18, grow=True, most=40),
    Column("filed", "study file", 22, grow=True),
    Column("changed", "changed", 34),
)
FIRST = ("budget.trials", "budget.hours", "runner.slots")
"""Of the sections, what is changed most."""


@dataclass(frozen=True)
class Setting:
    """One thing that can be changed: `key` as `set` spells it, values as they are typed."""

    key: str
    value: str
    filed: str
    change: Entry | None = None
    """The last change, if it differs from the study file."""


@dataclass(frozen=True)
class SettingsNews:
    """All that the screen shows."""

    view: StudyView
    settings: Sequence[Setting]


class SettingsScreen(LiveScreen):
    """Threshold, budget, slots, ranges and note of a study."""

    PLACE = "settings"
    tells = True
    BINDINGS: ClassVar = bindings("settings")
    HELP = """
What may change while a study runs. `enter` edits the value in one line, which is checked while you type; an empty line
removes a threshold or restores the whole range. Every change is recorded, `u` undoes the newest, `h` lists them all.
"""

    def __init__(self, study_name: str, key: str = "") -> None:
        """`key`: where the cursor is at first."""
        super().__init__()
        self.study_name, self._first = study_name, key
        self.news: SettingsNews | None = None
        self._listing: Listing[Setting] = Listing(
            "setting",
            "settings",
            WordFilter("range learning", held, lambda: [one.key for one in self.news.settings] if self.news else []),
            columns=lambda: [column.key for column in self._columns],
            sorts={column.key for column in COLUMNS}.__contains__,
            value=setting_value,
            changed=self.follow,
        )
        self.listings = {"settings": self._listing}

    def body(self) -> Iterable[Widget]:
        with Split(id="settings-body"):
            yield LineTable(id="settings", classes="pane")
            yield Inspector(id="setting", classes="pane inspector")
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        self.query_one("#settings").focus()

    def read(self, reader: Reader) -> SettingsNews:
        view = reader.view(self.study_name)
        return SettingsNews(
            view, settings_of(view.spec, reader.filed(self.study_name), reader.changes(self.study_name))
        )

    def show(self, news: SettingsNews) -> None:
        self.news = news
        state = fmt.state(news.view.study.state.value, ascii_only=self.ui.ascii_only)
        self.header(Text.assemble((f"Settings of {safe_line(self.study_name, 40)}  ", "bold"), state))
        table, listing, columns = self.query_one(LineTable), self._listing, self._columns
        heads = listing.heads(columns, ascii_only=self.ui.ascii_only)
        rows = [setting_row(one, self._left_out) for one in listing.shown(news.settings)]
        self.query_one(Split).suit(whole_width(heads, rows))
        table.show(heads, rows, empty=listing.no_match(self.key_for))
        if self._first:
            table.move_to(self._first)
            self._first = ""
        changed = sum(one.change is not None for one in news.settings)
        entitle(table, title=listing.title("Settings", f"Settings: {changed} changed", columns, self.key_for))
        self._show_chosen()

    @property
    def _left_out(self) -> set[str]:
        """Columns that the inspector says, or that are empty."""
        changed = self.news is not None and any(one.change is not None for one in self.news.settings)
        return {*(["filed"] if self.inspected else []), *([] if changed else ["changed"])}

    @property
    def _columns(self) -> list[Column]:
        left_out = self._left_out
        return [column for column in COLUMNS if column.key not in left_out]

    def _show_chosen(self) -> None:
        setting, text = self.chosen, Text()
        if setting is not None and self.news is not None:
            text.append(f"{setting.key}: {meaning(self.news.view, setting.key)}")
            text.append(f"\n{change_words(setting)}" if setting.change else "", "dim")
        self.query_one("#detail", Static).update(text)
        self.refresh_keys()
        self._inspect()

    def follow(self) -> None:
        if self.news is not None:
            self.show(self.news)

    def _inspect(self) -> None:
        setting, news = self.chosen, self.news
        if setting is None or news is None or not self.inspected:
            return
        facts = setting_facts(news.view, setting, ascii_only=self.ui.ascii_only)
        make, mark = self._chart(news.view, setting.key)
        self.query_one(Inspector).inspect(setting.key, facts, make, mark)

    def _chart(self, view: StudyView, key: str) -> tuple[Make | None, object]:
        """What the setting decides about: the score along a parameter, the frontier with a threshold; and its mark."""
        section, _, name = key.partition(".")
        ascii_only = self.ui.ascii_only
        if section == "range":
            score = chart_axes(view)[1]
            from bertdistill.app.screens.slices_tab import read_slice, slice_chart  # only some settings need it

            found = read_slice(view, name, score).found
            mark = (key, view.ranked, ascii_only)
            return (None if found is None else slice_chart(view, found, None, ascii_only=ascii_only)[1]), mark
        if section == "threshold":
            x, y = chart_axes(view)
            across, up = (chart_axis(view, one, ascii_only=ascii_only) for one in (x, y))
            points, groups = frontier_points(view, x, y)
            return partial(frontier_drawing, points, across, up, groups=groups), (key, points, across.lines, up.lines)
        return None, key

    @on(LineTable.Moved)
    def moved(self) -> None:
        self.at_rest(self._show_chosen)

    @property
    def chosen(self) -> Setting | None:
        """The setting under the cursor."""
        return self.under_cursor(self.news.settings if self.news else (), lambda one: one.key)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.chosen is not None if action == "edit" else super().check_action(action, parameters)

    def copies(self) -> list[tuple[str, str]]:
        name, ws = self.study_name, self.ui.workspace
        found = [("study file", command_line("export", name, "--format", "toml", ws=ws))]
        if setting := self.chosen:
            word = f"{setting.key}={setting.value}"
            found = [("setting", word), ("command", command_line("set", name, word, ws=ws)), *found]
        return found

    @on(LineTable.Chosen)
    def enter(self) -> None:
        self.action_edit()

    def action_history(self) -> None:
        self.ui.open_history(self.study_name)

    def action_edit(self) -> None:
        setting, news = self.chosen, self.news
        if setting is None or news is None:
            return

        title = f"{setting.key}: {meaning(news.view, setting.key)}"
        spec = news.view.spec
        asked = Ask(
            title,
            value=setting.value,
            placeholder=hint(setting.key),
            check=lambda text: check(spec, setting.key, text),
            write=partial(self._change, setting.key),
        )
        self.ui.push_screen(asked)

    def _change(self, key: str, text: str) -> Change:
        complete = self.news is not None and self.news.view.study.state == StudyState.COMPLETE

        def work() -> int:
            made = actions.change_study(self.ui.workspace, self.study_name, {key: typed(key, text)}, who=self.ui.who)
            if made and complete:  # with budget left again it resumes, which needs a runner
                actions.ensure_runner(self.ui.workspace)
            return len(made)

        def words(made: int) -> str:
            return f"{key} is changed; u undoes this." if made else f"{key} already has that value."

        return work, words


# ---------------------------------------------------------------------------------------------------------- the values


def typed(key: str, text: str) -> Any:
    """The text typed for a key, as `change_study` takes it."""
    return text if key == "note" else parse_override(f"{key}={text.strip()}").value


def check(spec: StudySpec, key: str, text: str) -> None:
    """Raise our error if this change cannot be applied."""
    try:
        settled(spec, read_change(key, typed(key, text)))
    except ConfigError as error:
        words = str(error).removeprefix(f"{spec.name}: ").replace("--set: ", "").replace("--set ", "")
        raise ConfigError(plain(words), hint=error.hint) from error


def settings_of(spec: StudySpec, filed: StudySpec, changes: Sequence[Entry]) -> tuple[Setting, ...]:
    """Everything that can be changed, the most often changed first."""
    before = dict(_values(filed))
    found = []
    for key, value in _values(spec):
        was = before.get(key, "")
        change = None if value == was else _newest(changes, key)
        if key.startswith("range."):
            was = describe(next(one for one in spec.search if one.name == key.removeprefix("range.")))
        found.append(Setting(key, value, was, change))
    return tuple(found)


def _values(spec: StudySpec) -> Iterator[tuple[str, str]]:
    """(key, value as typed) of everything that can be changed."""
    for objective in spec.objectives:
        yield f"threshold.{objective.metric}", "" if objective.threshold is None else shown(objective.threshold)
    sections = {f"{name}.{key}": value for name in SECTIONS for key, value in vars(getattr(spec, name)).items()}
    if spec.program is None:
        del sections["stopping.metric"]
    for key in FIRST:
        yield key, _plain(sections[key])
    narrowed = {one.name: range_text(dump_range(one)) for one in spec.ranges}
    for parameter in spec.search:
        yield f"range.{parameter.name}", narrowed.get(parameter.name, "")
    yield "note", safe_line(spec.note, 1000)
    for key, value in sections.items():
        if key not in FIRST:
            yield key, _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def _newest(changes: Sequence[Entry], key: str) -> Entry | None:
    """The newest request that changed a key; preferably one that is still in force."""
    touching = [one for one in changes if one.trial is None and key in _keys(one)]
    standing = [one for one in touching if one.undone_by is None and one.undoes is None]
    return next(iter([*reversed(standing), *reversed(touching)]), None)


def _keys(entry: Entry) -> set[str]:
    """The settings that a request changes."""
    match entry.about:
        case "threshold":
            return {f"threshold.{entry.after.get('metric')}"}
        case "range":
            return {f"range.{entry.after.get('parameter')}"}
        case "slots":
            return {"runner.slots"}
        case "note":
            return {"note"}
        case "budget" | "runner" | "stopping":
            return {f"{entry.about}.{name}" for name in entry.after}
    return set()


# --------------------------------------------------------------------------------------------------------------- words


def setting_row(setting: Setting, left_out: Container[str] = ()) -> Row:
    """One setting, without some of its columns; a changed one is marked and shows who and when.

    A range that is not narrowed is that of the study file.
    """
    whole = setting.filed if setting.key.startswith("range.") else ""
    now, filed = (ZERO_MEANS.get(setting.key, "0") if text == "0" else text for text in (setting.value, setting.filed))
    now, filed = ("none" if text in ("", "[]") else safe_line(text, 200) for text in (now or whole, filed))
    cells = {
        "key": Cell(setting.key),
        "value": Cell(now, "bright" if setting.change else "plain"),
        "filed": Cell(filed, "dim"),
        "changed": Cell(change_words(setting)),
    }
    kept = tuple(cell for name, cell in cells.items() if name not in left_out)
    return Row(setting.key, kept, mark=setting.change is not None)


def held(setting: Setting) -> str:
    """What a setting can be found by: its key and value, and who changed it."""
    return " ".join((setting.key, setting.value, change_words(setting)))


def setting_value(setting: Setting, column: str) -> str | float | None:
    """What a column sorts by: the newest change first."""
    match column:
        case "changed":
            return -setting.change.at if setting.change else None
        case "filed":
            return setting.filed or None
    return setting.key if column == "key" else setting.value or None


def change_words(setting: Setting) -> str:
    """`by ada 11-20 14:02 (#7)`, empty for values as in the study file."""
    entry = setting.change
    if entry is None:
        return ""
    when = time.strftime("%m-%d %H:%M", time.localtime(entry.at))
    return f"by {safe_line(entry.who, 40)} {when} (#{entry.id})"


def setting_facts(view: StudyView, setting: Setting, *, ascii_only: bool = False) -> list[tuple[str, str]]:
    """What the setting under the cursor does, with its values now and before, and those that were tried."""
    section, _, name = setting.key.partition(".")
    empty = "the whole range" if section == "range" else "none"
    zero = ZERO_MEANS.get(setting.key, "0")
    values = (zero if value == "0" else value for value in (setting.value, setting.filed))
    now, filed = (empty if value in ("", "[]") else value for value in values)
    found = [("does", meaning(view, setting.key)), ("now", now), ("study file", filed)]
    found.append(("changed", change_words(setting)))
    if section == "range":
        found += [one for one in space_facts(view, name, ascii_only=ascii_only) if one[0] != "whole range"]
    elif section in SECTIONS:
        found += key_facts(getattr(view.spec, section), name)
    return [(what, safe_line(words, 1000)) for what, words in found if words]


def hint(key: str) -> str:
    """A hint, shown in an empty line."""
    if key.startswith("threshold."):
        return "empty: none"
    return "empty: the whole range, or 2..4, or 16,32" if key.startswith("range.") else ""


def meaning(view: StudyView, key: str) -> str:
    """What a setting does, with the numbers that it affects."""
    section, _, name = key.partition(".")
    match section:
        case "threshold":
            objective = next(one for one in view.objectives if one.metric == name)
            side = "at least" if objective.direction == "maximize" else "at most"
            values = [all_metrics(trial).get(name) for trial in view.trials if trial.number in view.ranked]
            feasible = sum(objective.feasible(value) for value in values if value is not None)
            return f"a feasible trial has {side} this; {feasible} of {len(values)} complete trials do now"
        case "range":
            parameter = next(one for one in view.spec.search if one.name == name)
            return f"later proposals are drawn from this part of {describe(parameter)}; earlier trials are kept"
        case "note":
            return "what readers should know about the study"
    keys = {field.name: field for field in dataclasses.fields(getattr(view.spec, section))}
    words = str(keys[name].metadata["help"])
    return f"{words} {used(view.trials)} are used." if key == "budget.trials" else words
