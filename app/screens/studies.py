"""The studies of the workspace: the first screen. It reads one row per study and starts nothing by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.plane import frontier_drawing
from bertdistill.app.draw.sparks import sparkline
from bertdistill.app.reader import Reader
from bertdistill.app.screens import study_header, study_rows
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.points import chart_axis, no_point
from bertdistill.app.views.study_card import study_card
from bertdistill.app.views.study_order import ORDERS, age, changed_at, held, newest_first
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.views.welcome import PURPOSE, TITLE, WAYS, example, welcome_facts
from bertdistill.app.widgets.cells import Cell, Row, whole_width
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.inspector import Inspector
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.launch.load import Load, read_load
from bertdistill.engine.runner.lease import RunnerStatus
from bertdistill.store import reads
from bertdistill.store.rows import Attempt

ROOMY = 90
"""Cells of the list from which on the name of a study's best score stands beside it."""
WELCOME_COLUMNS = (Column("what", "How do you want to begin?", 36), Column("about", "", 40, grow=True))
NONE_YET = "There are no studies here yet; press n to create one."
OF_A_STUDY = ("open", "overview", "history", "archive", "delete", "pause_study", "stop_study", "undo")
"""Actions on the study under the cursor."""
ALL_AWAY = "All studies are archived. Press H to see them."


@dataclass(frozen=True)
class StudiesNews:
    """All that the screen shows."""

    views: list[StudyView]
    archived: set[int]
    """Row ids of the archived ones."""
    runner: RunnerStatus
    load: Load
    live: Mapping[int, Sequence[Attempt]]
    """Running attempts, by row id of their study."""


class StudiesScreen(LiveScreen):
    """Every study with its state and best points."""

    PLACE = "studies"
    BINDINGS: ClassVar = bindings("studies")
    HELP = """
Every study of the workspace. `n` creates one from a study file; `enter` opens one. Studies keep running when this app
is closed: the runner and its workers are separate processes.

The study that changed last is the first; `s` sorts by the next column, `S` reverses. `/` keeps the studies whose name,
state, task or note hold every word that is typed, and none that has a minus before it.
"""

    def __init__(self) -> None:
        super().__init__()
        self.news: StudiesNews | None = None
        self._archived = False
        self._listing = Listing(
            "study",
            "studies",
            WordFilter(
                "sst2 -failed", self._held, lambda: [view.study.name for view in self.news.views] if self.news else []
            ),
            columns=lambda: [column.key for column in self._columns],
            sorts=ORDERS.__contains__,
            value=lambda view, column: ORDERS[column](view),
            changed=self.follow,
            usual="changed",
        )
        self.listings = {"studies": self._listing}

    def _study_names(self) -> list[str]:
        return [view.study.name for view in self.news.views] if self.news is not None else []

    def body(self) -> Iterable[Widget]:
        with Split(id="studies-body"):
            yield LineTable(id="studies", classes="pane")
            yield Inspector(id="inspector", classes="pane inspector")

    def on_mount(self) -> None:
        self.query_one(LineTable).focus()

    def on_resize(self) -> None:
        """Other columns fit."""
        self.call_after_refresh(self.follow)

    def read(self, reader: Reader) -> StudiesNews:
        views = [reader.view(study.name) for study in reader.studies()]
        archived = reader.archived() if views else set()
        live: dict[int, list[Attempt]] = {}
        for attempt in _live_attempts(reader) if views else []:
            live.setdefault(attempt.study_id, []).append(attempt)
        return StudiesNews(views, archived, reader.runner(), read_load(), live)

    def show(self, news: StudiesNews) -> None:
        self.news = news
        self.header(self._header(news))
        self.ending = "" if news.views else PURPOSE
        table = self.query_one(LineTable)
        every = [view for view in news.views if self._archived or view.study.id not in news.archived]
        own = self._columns
        columns = self._listing.heads(own, ascii_only=self.ui.ascii_only)
        views = self._listing.shown(newest_first(every))
        if news.views:
            empty = self._listing.no_match(self.key_for) if every else ALL_AWAY
            keys, named = [column.key for column in own], self._named
            rows = [self._row(view, news, keys, named=named) for view in views]
            self.query_one(Split).suit(whole_width(columns, rows))
            table.show(columns, rows, empty=empty)
        else:
            rows = [Row(("begin", key), (Cell(what, "bright"), Cell(about))) for key, what, about in WAYS]
            table.show(WELCOME_COLUMNS[: 1 if self.inspected else 2], rows)
        self.call_after_refresh(self._inspect)  # the list is painted before the chart is drawn
        hidden = len(news.views) - len(every)
        title = self._listing.title("Studies", "Studies", own, self.key_for) if news.views else "Welcome"
        entitle(table, title=title, subtitle=f"{hidden} archived, H shows them" if hidden else "")
        self.refresh_keys()

    def _header(self, news: StudiesNews) -> Text:
        runner = news.runner
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{safe_line(str(self.ui.workspace.path))}  ", "bold")
        if runner.silence is not None:
            text.append(f"{study_header.silent_words(runner)}  ", "bold red")
        elif runner.alive:
            text.append(f"runner {runner.pid} on {safe_line(runner.host, 40)}  ", "green")
        elif any(view.needs_runner for view in news.views):
            gone = f"runner gone: pid {runner.pid} on {safe_line(runner.host, 40)}, R starts one  "
            text.append(gone if runner.pid else "no runner, R starts one  ", "bold red")
        text.append("  ".join(study_header.load_words(news.load)))
        return text

    def _row(self, view: StudyView, news: StudiesNews, keys: Sequence[str], *, named: bool) -> Row:
        """The cells of these columns; `named`: with the name of the best score."""
        study, ascii_only = view.study, self.ui.ascii_only
        live = news.live.get(study.id, ())
        growth = study_rows.growth_of(view)
        cells = (
            Cell(safe_line(study.name, 60), "bright"),
            self._state(view, news),
            Cell(f"{view.finished}/{view.outline.trials or len(view.trials)}"),
            Cell(age(time.time() - changed_at(view))),
            Cell(study_rows.top_of(view, named=named)),
            Cell(study_rows.smallest_of(view)),
            Cell(
                f"{fmt.bar(view.progress(), 10, ascii_only=ascii_only)} {view.progress():4.0%}",
                "accent" if live else "dim",
            ),
            Cell(study_rows.left_of(view, live)),
            Cell(str(len(view.frontier))),
            Cell(study_rows.best_of(view)),
            Cell(f"{view.hypervolume:.3f} {sparkline(growth, 8, ascii_only=ascii_only)}" if growth else ""),
            Cell(
                safe_line(study.diagnosis or view.cause or view.outline.note, 200), "bad" if study.diagnosis else "dim"
            ),
        )
        by_key = {column.key: cell for column, cell in zip(study_rows.COLUMNS, cells, strict=True)}
        return Row(study.name, tuple(by_key[key] for key in keys), dim=study.id in news.archived)

    def _state(self, view: StudyView, news: StudiesNews) -> Cell:
        live = news.live.get(view.study.id, ())
        return study_rows.state_of(view, live, alive=news.runner.alive, ascii_only=self.ui.ascii_only)

    def _held(self, view: StudyView) -> str:
        """What a study is found by; its state as the list shows it, too."""
        return f"{held(view)} {self._state(view, self.news).text}" if self.news is not None else held(view)

    @property
    def _columns(self) -> Sequence[Column]:
        if not self.inspected:
            said = ("top", "smallest") if self.has_class("-wide") else ("best",)  # `best points` says both
            # Where it is narrow, the trials are seen, too.
            name = replace(study_rows.COLUMNS[0], width=24 if self.has_class("-wide") else 14, grow=True, most=40)
            return [name, *(column for column in study_rows.COLUMNS[1:] if column.key not in said)]
        named = {column.key: column for column in study_rows.COLUMNS}
        if not self._named:
            score = study_rows.shared_score_of(self.news.views if self.news else ())
            named["top"] = Column(
                "top", score if 0 < len(score) <= 12 else "best", max(6, len(score)) if len(score) <= 12 else 6, "right"
            )
        views = self.news.views if self.news else ()
        ends = any(view.needs_runner for view in views)
        first, state, *others = (named[key] for key in study_rows.LISTED if key != "left" or ends)
        longest = max((len(view.study.name) for view in views), default=0)
        name = replace(first, width=max(14, min(longest, study_rows.WHOLE_NAME)), grow=True, most=40)
        return [name, replace(state, width=11), *others]

    @property
    def _named(self) -> bool:
        """Whether the name of each best score fits, too."""
        return not self.inspected or self.query_one(Split).room >= ROOMY

    @on(LineTable.Moved)
    def moved(self) -> None:
        self.at_rest(self._inspect)

    def _inspect(self) -> None:
        """What the study under the cursor has found; without any, what the way to begin takes."""
        key = self.query_one(LineTable).cursor_key
        if self.inspected and isinstance(key, tuple):
            make = partial(example, ascii_only=self.ui.ascii_only)
            self.query_one(Inspector).inspect(TITLE, welcome_facts(key[1]), make, (TITLE, self.ui.ascii_only))
        view = self._view()
        if view is None and self.inspected and self.news is not None and self.news.views:
            why = self._why_none
            self.query_one(Inspector).inspect("Study", (), mark=why, empty=why)
        if view is None or not self.inspected:
            return
        x, y = chart_axes(view)
        across, up = (chart_axis(view, name, ascii_only=self.ui.ascii_only) for name in (x, y))
        points, groups = frontier_points(view, x, y)
        make = partial(frontier_drawing, points, across, up, groups=groups)
        title = f"{view.study.name}: {up.title} over {across.title}" if x and y else view.study.name
        facts = study_card(view, ascii_only=self.ui.ascii_only)
        mark = (points, groups, title, across.lines, up.lines)
        self.query_one(Inspector).inspect(title, facts, make, mark, empty=no_point(view))

    # -------------------------------------------------------------------------------------------------------- actions

    def follow(self) -> None:
        if self.news is not None:
            self.show(self.news)

    @property
    def study_name(self) -> str:
        """The study under the cursor, empty when there is none."""
        table = next(iter(self.query(LineTable)), None)  # called by the footer of a screen that this one covers
        key = table.cursor_key if table is not None else None
        return key if isinstance(key, str) else ""

    def _view(self) -> StudyView | None:
        name = self.study_name
        return next((v for v in self.news.views if v.study.name == name), None) if self.news else None

    def why_not(self, action: str) -> str:
        view = self._view() if self.is_mounted else None
        if view is not None and (words := study_header.why_only_a_search(action, view.study)):
            return words
        match action:
            case "undo" if self.ui.deleted:
                return ""
            case "filter" | "sort" | "sort_reverse" if self.news is None or not self.news.views:
                return NONE_YET
            case "open" if view is None and self.news is not None and not self.news.views:
                return ""
            case "open" | "overview" | "history" | "archive" | "delete" | "pause_study" | "stop_study" | "undo" if (
                view is None
            ):
                return NONE_YET if self.news is None or not self.news.views else self._why_none
            case "show_archived" if self.news is not None and not self.news.archived:
                return "No study is archived; A archives one."
            case "stop_study" if view is not None:
                return study_header.why_not_stop(view.study)
            case "start_runner" if self.news is not None:
                return study_header.why_no_runner(self.news.runner, idle=not self.news.views)
        return ""

    @property
    def _why_none(self) -> str:
        return self._listing.no_match(self.key_for) if self._listing.text else ALL_AWAY

    def copies(self) -> list[tuple[str, str]]:
        ws = self.ui.workspace
        found = [("workspace", str(ws.path)), ("command", command_line("status", ws=ws))]
        if name := self.study_name:
            found = [("study", name), ("frontier", command_line("frontier", name, ws=ws)), *found]
        return found

    @on(LineTable.Chosen)
    def chosen(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        key = self.query_one(LineTable).cursor_key
        if isinstance(key, str):
            self.ui.open_study(key)
        elif isinstance(key, tuple):
            self._begin(key[1])

    def _begin(self, how: str) -> None:
        """One of the ways to begin."""
        if how == "demo":
            from bertdistill.app.views.configs import demo_file

            self.ui.open_new_study(str(demo_file()))
        else:
            from bertdistill.app.screens.new_study import OWN_DATA

            self.ui.open_new_study(OWN_DATA if how == "own" else "")

    def action_new_study(self) -> None:
        self.ui.open_new_study()

    def action_overview(self) -> None:
        if name := self.study_name:
            self.ui.open_overview(name)

    def action_history(self) -> None:
        self.ui.open_history(self.study_name)

    def action_archive(self) -> None:
        view, name = self._view(), self.study_name
        if view is not None and self.news is not None:
            from bertdistill.engine.steering import actions

            away = view.study.id not in self.news.archived
            self.ui.act(
                lambda: actions.archive_study(self.ui.workspace, name, archived=away, who=self.ui.who),
                lambda _: f"{name} is {'archived; H shows it' if away else 'restored'}.",
            )

    def action_delete(self) -> None:
        from bertdistill.app.screens.delete import ask_to_delete

        if name := self.study_name:
            ask_to_delete(self.ui, name)

    def action_show_archived(self) -> None:
        self._archived = not self._archived
        self.ui.look_again()

    def action_pause_study(self) -> None:
        if view := self._view():
            self.ui.toggle_study(view.study.name, view.study.state)

    def action_stop_study(self) -> None:
        self.ui.ask_to_stop_study(self.study_name)

    def action_start_runner(self) -> None:
        self.ui.start_runner()


def _live_attempts(reader: Reader) -> list[Attempt]:
    with reader.session() as session:
        return reads.live_attempts(session)
