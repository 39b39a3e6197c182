"""One study: the ranked list, the frontier, the curves of the chosen trials, and the log. It decides nothing.

Every action goes through `engine.actions`, as in the commands. It is longer than 400 lines because every key
of the screen is a method of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings, one_pane
from bertdistill.app.reader import Reader
from bertdistill.app.screens import study_header, trial_actions
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.screens.tour import Tour
from bertdistill.app.screens.trial_filter import TrialFilter
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views import trial_columns
from bertdistill.app.views.curves import PREPARATION, TrialCurve
from bertdistill.app.views.habits import IMPORTANCE, Habits, read_habits
from bertdistill.app.views.study_card import DIAGNOSED_KEYS, ENDED_KEYS, diagnosis_words, ended_words, named_setting
from bertdistill.app.views.study_log import study_log
from bertdistill.app.views.trial_card import trial_card
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets import trial_table
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.curve_chart import CurvesChart
from bertdistill.app.widgets.frontier_chart import FrontierChart
from bertdistill.app.widgets.inspector import Facts
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.log import LogPane
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.outcomes import FEWEST_COMPARED, MOST_COMPARED
from bertdistill.engine.launch.load import Load, read_load
from bertdistill.engine.runner.lease import RunnerStatus
from bertdistill.engine.study.outline import LOG
from bertdistill.store import reads
from bertdistill.store.rows import Attempt, Notice, StudyState, Trial

if TYPE_CHECKING:
    from bertdistill.engine.analysis.joined import Joined
    from bertdistill.engine.steering.history import Entry

PANES = ("trials", "frontier", "curves", "log")
BY_RANK = "★ frontier, then by distance to it"


@dataclass(frozen=True)
class StudyNews:
    """Everything that the screen shows."""

    view: StudyView
    losses: dict[int, float]
    attempts: list[Attempt]
    """The running ones, including the preparation."""
    notices: list[Notice]
    runner: RunnerStatus
    load: Load
    curves: list[TrialCurve] = field(default_factory=list)
    series: list[str] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    """The requests, oldest first."""
    cascades: list[Joined] = field(default_factory=list)
    """Of pairs of frontier trials and the teacher, where the chart has a place for them."""
    preparation: Attempt | None = None
    """The newest one; this and `entries` only for the log, while it is seen."""


class StudyScreen(LiveScreen):
    """The live study. `1`–`4` go to a pane, and choose the only one where the window is narrow."""

    PLACE = "study"
    BINDINGS: ClassVar = bindings("study")
    panes: ClassVar = {name: name for name in PANES}
    HELP = """
The ranked list has the frontier first (`★`), then the other trials by their distance to it: how far they must improve
to equal a frontier trial, as fractions of the objectives' ranges, sizes on a log scale. Thus a small trial ranks
high if nothing as small is much better, however weak it is. Trials that miss a threshold follow, then those without a
rank.
The chart shows the same trials; the cursor of both is the same trial. Closing this screen or the app stops nothing.

Of logged runs the metrics on the axes of the chart (`X`, `Y` there) are the objectives: the list is ranked by them.
"""

    def __init__(self, study_name: str) -> None:
        super().__init__()
        self.add_class("-show-trials")
        self.study_name = study_name
        self.marked: tuple[int, ...] = ()
        self.news: StudyNews | None = None
        self._selected: int | None = None
        self._columns: tuple[str, ...] | None = None
        self._listing = Listing(
            "trial",
            "trials",
            TrialFilter(lambda: (self.news.view, self.news.losses) if self.news else None),
            columns=lambda: ["trial", *self._names],
            sorts=bool,
            value=self._value,
            changed=self._again,
        )
        self.listings = {"trials": self._listing}
        self._archived = False
        self._log_of: tuple[Any, ...] = ()
        self._chosen_axes: tuple[StudyView, tuple[str, str], StudyView] | None = None
        """A view, the metrics, and the view ranked by them."""
        self._rows = trial_table.RowKeeper()
        self._frontier = FrontierChart(id="frontier", classes="pane")
        self._curves = CurvesChart(id="curves", classes="pane")
        self._log = LogPane(id="log", classes="pane")

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Split(id="study-body"):
            with Split(id="listed", upright=True):
                yield LineTable(id="trials", classes="pane")
                yield Facts(id="card", classes="pane")
            with Split(id="charts", upright=True):
                yield self._frontier
                yield self._curves
        yield self._log
        yield Tour(self.ui.options.keymap, ascii_only=self.ui.ascii_only, state=self.ui.options.state)

    def on_mount(self) -> None:
        self._recall()
        self.query_one("#trials").focus()

    def _recall(self) -> None:
        """Look at the study as it was looked at last."""
        kept = read_habits(self.ui.memory.recall(f"study.{self.study_name}", {}))
        self._columns, self._listing.by, self._listing.reverse = kept.columns or None, kept.sort, kept.reverse
        self._frontier.use(kept.x, kept.y, kept.log, kept.by)

    def _remember(self) -> None:
        chart, listing = self._frontier, self._listing
        kept = Habits(
            self._columns or (), listing.by, listing.reverse, *chart.axes, log=chart.scale, by=chart.coloured_by
        )
        self.ui.memory.keep(f"study.{self.study_name}", kept.to_dict())

    def _forget_unknown(self, view: StudyView) -> None:
        """Another study may have got the name since, with other metrics."""
        known = {name for trial in view.trials for name in view.values(trial)}
        x, y = self._frontier.axes
        if known and not {x, y} - {""} <= known:
            self._frontier.use("", "", None, None)
        columns = set(trial_columns.known_columns(view))
        if view.trials and self._columns:
            self._columns = tuple(name for name in self._columns if name in columns) or None
        if view.trials and self._listing.by not in {*columns, "trial"}:
            self._listing.by = ""

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, reader: Reader) -> StudyNews:
        # From the second look on: neither certainty nor cascades may hold up the first picture.
        late = self.news is not None
        view = self._by_axes(reader.certain(self.study_name) if late else reader.view(self.study_name))
        with reader.session() as session:
            live = [a for a in reads.live_attempts(session) if a.study_id == view.study.id]
            notices = reads.notices(session, study_id=view.study.id, limit=100)
            preparation = reads.attempt_for_prepare(session, view.study.id) if self._log.display else None
        numbers = self._drawn(view)
        several = 3 if numbers == (PREPARATION,) else len(numbers)  # a teacher has no soft loss: one curve is enough
        curves, names = reader.curves(
            view, numbers, lambda names: self._curves.wanted(names, several, view.scores), self._curves.columns
        )
        return StudyNews(
            view,
            reader.losses(self.study_name),
            live,
            notices,
            reader.runner(),
            read_load(),
            curves,
            names,
            reader.changes(self.study_name) if self._log.display else [],
            self._joined(reader, view),
            preparation,
        )

    def _by_axes(self, view: StudyView) -> StudyView:
        """Logged runs are ranked by the metrics on the axes: they have no other objectives than people choose."""
        x, y = self._frontier.axes
        if view.study.kind != LOG or not (x and y):
            return view
        kept = self._chosen_axes
        from bertdistill.app.views.analysis import over  # most studies need none of it

        if kept is None or kept[0] is not view or kept[1] != (x, y):
            kept = self._chosen_axes = (view, (x, y), over(view, x, y))
        return kept[2]

    def _joined(self, reader: Reader, view: StudyView) -> list[Joined]:
        """From the second look on: computing them must not hold up the first picture."""
        wanted = self.news is not None and view.classifies and self._frontier.places_cascades(view)
        return reader.cascades(view) if wanted else []

    def _drawn(self, view: StudyView) -> tuple[int, ...]:
        """Trials whose curves are drawn: marked ones, else the one under the cursor and the running ones.

        Before the first trial, the teacher's.
        """
        if self.marked:
            return self.marked
        if not view.trials:
            return (PREPARATION,)
        chosen = self._chosen(view)
        if not chosen:
            return ()
        kept = {t.number for t in chosen}
        running = [t.number for t in view.running if t.number in kept]
        selected = _first(view, chosen) if self._selected is None else self._selected
        return tuple(dict.fromkeys([selected, *running]))[:2]

    # ---------------------------------------------------------------------------------------------------- showing

    def show(self, news: StudyNews) -> None:
        is_first, self.news = self.news is None, news
        if is_first:
            self._forget_unknown(news.view)
        study = news.view.study
        state = fmt.state(study.state.value, ascii_only=self.ui.ascii_only)
        why = diagnosis_words(study.diagnosis, {name: self.key_for(name) for name in DIAGNOSED_KEYS})
        self.diagnosis = f"{state}: {why}" if why else ""
        self.ending = ended_words(news.view, {name: self.key_for(name) for name in ENDED_KEYS})
        self._show_header(news)
        self._show_trials(news)
        if is_first:  # the list is painted before the charts are drawn
            self.call_after_refresh(self._show_charts)
            self.call_after_refresh(self.ui.look_again)
        else:
            self._show_charts()
        self._show_log(news)
        self.refresh_keys()
        if self._tour.is_due:  # at once: while the data is prepared, there is time to read
            self._tour.turn()
        self.call_after_refresh(self._place_hint)

    def _show_header(self, news: StudyNews) -> None:
        self.header(study_header.line(news.view, news, self.size.width, ascii_only=self.ui.ascii_only))

    def _show_charts(self) -> None:
        if self.news is not None:
            self._show_frontier(self.news)
            self._inspect()
            hidden = self._hides_all and not self.marked
            curves = [] if hidden else self.news.curves
            self._curves.show(curves, self.news.series, self.news.view, self._no_match if hidden else "")

    def _show_log(self, news: StudyNews) -> None:
        """Rebuilt only when a line may have changed; most refreshes bring only progress. A hidden log is not built."""
        if not self._log.display:
            return
        view, ready = news.view, news.preparation and (news.preparation.id, news.preparation.ended_at)
        made_of = (view.ranked, view.tally, view.study.state, [n.id for n in news.notices], news.entries, ready)
        if made_of != self._log_of:
            self._log_of = made_of
            self._log.show_events(study_log(view, news.notices, news.entries, news.preparation))

    def _show_frontier(self, news: StudyNews) -> None:
        text = self._listing.text
        kept = {trial.number for trial in self._chosen(news.view)} if text else None
        self._frontier.show(news.view, self._selected, kept, text, news.cascades)

    def _show_trials(self, news: StudyNews) -> None:
        view, table = news.view, self.query_one("#trials", LineTable)
        names, listing, ascii_only = self._names, self._listing, self.ui.ascii_only
        trials = listing.shown([t for t in view.trials if self._archived or not t.archived], len(view.trials))
        columns = trial_table.table_columns(view, names)
        pooled = not listing.by and not listing.reverse
        marked = frozenset(self.marked)
        rows = self._rows.rows(view, trials, names, news.losses, marked, ascii_only=ascii_only, pooled=pooled)
        table.show(listing.heads(columns, ascii_only=ascii_only), rows, empty=self._empty_words(news))
        if self._selected is None and rows:
            self._selected = _first(view, trials)
            table.move_to(self._selected)
        elif all(trial.number != self._selected for trial in trials):  # a filter removed it
            key = table.cursor_key
            self._selected = key if isinstance(key, int) else None
        named = [Column("trial", "number", 0), *columns[1:]]
        title = listing.title("Trials", "Trials by rank", named, self.key_for)
        entitle(table, title=title, subtitle=self._marked_words())

    @property
    def _names(self) -> Sequence[str]:
        """The columns of the list behind the number."""
        if self.news is None:
            return self._columns or ()
        return self._columns or trial_columns.default_columns(self.news.view, self.news.losses, self._important)

    @property
    def _important(self) -> list[str]:
        """Its parameters, the most important first, as the analysis found them last."""
        kept: list[Any] = self.ui.memory.recall(f"{IMPORTANCE}.{self.study_name}", [])
        return [name for name in kept if isinstance(name, str)]

    def _value(self, trial: Trial, column: str) -> Any:
        """What the list is sorted by."""
        return trial_columns.sort_value(self.news.view, trial, column, self.news.losses) if self.news else None

    def _inspect(self) -> None:
        """The trial under the cursor in a few facts, below the list; without any, why there is none."""
        trial, card = self.selected, self.query_one("#card", Facts)
        self.set_class(trial is None and not self._hides_all, "-bare")
        if trial is None or self.news is None:
            card.tell((("filter", self._no_match),) if self._hides_all else ())
            entitle(card, title="Trial")
            return
        card.tell(trial_card(self.news.view, trial, ascii_only=self.ui.ascii_only))
        entitle(card, title=f"#{trial.number}")

    def _marked_words(self) -> str:
        """The marked trials in the order of their columns when they are compared; without any, what ranks them."""
        if not self.marked:
            return "" if self._listing.by else BY_RANK
        numbers = " ".join(f"#{number}" for number in self.marked)
        return f"marked: {numbers}, c compares them" if len(self.marked) > 1 else f"marked: {numbers}, mark another"

    def _chosen(self, view: StudyView) -> list[Trial]:
        return self._listing.matching(t for t in view.trials if self._archived or not t.archived)

    def _empty_words(self, news: StudyNews) -> str:
        if self._listing.text:
            return self._no_match
        for attempt in news.attempts:
            if attempt.trial_id is None:
                words = study_header.preparation(attempt, ascii_only=self.ui.ascii_only)
                return f"{words} The first trials follow; each one that ends becomes a point in the chart."
        if not news.runner.alive and news.view.needs_runner:
            return "Nothing runs: there is no runner. Press R to start one."
        if news.view.study.state == StudyState.FAILED:
            return f"The study failed: {safe_line(news.view.study.diagnosis, 300)}"
        return "No trial yet; the runner prepares the data and the teacher first."

    # ---------------------------------------------------------------------------------------------------- choosing

    @property
    def selected(self) -> Trial | None:
        """The trial under the cursor."""
        number = self._under_cursor
        return None if self.news is None or number is None else self.news.view.trial(number)

    @property
    def _under_cursor(self) -> int | None:
        """Read from the pane itself: with fast typing its message arrives after the next key."""
        if self.focused is self._frontier and self._frontier.selected is not None:
            return self._frontier.selected
        key = self.query_one("#trials", LineTable).cursor_key if self.is_mounted else None
        return key if isinstance(key, int) else None

    @on(LineTable.Moved, "#trials")
    def moved(self, event: LineTable.Moved) -> None:
        self._select(event.key)

    @on(LineTable.Chosen, "#trials")
    def chosen(self, event: LineTable.Chosen) -> None:
        self._select(event.key)
        self.action_open()

    @on(LineTable.Chosen, "#log")
    def line_chosen(self) -> None:
        number = self._log.trial
        if number is None:
            self.ui.tell("This line is not about a trial, so nothing opens.")
        else:
            self.ui.open_trial(self.study_name, number)

    @on(FrontierChart.Moved)
    def point_moved(self, event: FrontierChart.Moved) -> None:
        self.query_one("#trials", LineTable).move_to(event.number)
        self._select(event.number)
        if self.news is not None:  # this chart is what the person looks at
            self._show_frontier(self.news)

    @on(FrontierChart.Axes)
    def axes_changed(self) -> None:
        self._remember()
        if self.news is not None and self.news.view.study.kind == LOG:
            self.ui.look_again()

    @on(FrontierChart.Opened)
    def point_opened(self) -> None:
        self.action_open()

    def _select(self, key: Any) -> None:
        if self._selected == key:
            return
        self._selected = key
        self.at_rest(self.follow)

    def follow(self) -> None:
        """The other panes show the trial that the cursor has come to."""
        if self.news is not None:
            self._show_frontier(self.news)
            self._inspect()
        self.refresh_keys()
        self.ui.look_again()

    def copies(self) -> list[tuple[str, str]]:
        trial = self.selected
        found = [("study", self.study_name)]
        if trial is not None:
            name = f"{self.study_name}/{trial.number}"
            found = [
                ("trial", name),
                ("parameters", fmt.settings(trial.params)),
                ("command", command_line("show", name, ws=self.ui.workspace)),
                *found,
            ]
        if self._log.display and (log := self._log.text):  # a hidden one is not rebuilt
            found.append(("log", log))
        chosen = ("--filter", self._listing.text) if self._listing.text else ()
        return [*found, ("list", command_line("trials", self.study_name, *chosen, "--csv", ws=self.ui.workspace))]

    def files(self) -> list[tuple[str, str, Callable[[], Path]]]:
        workspace, name = self.ui.workspace, self.study_name

        def write() -> Path:
            from bertdistill.app.report.study_pages import write_report_here

            return write_report_here(workspace, name)

        return [("report", "the whole study as a page, into reports/", write)]

    # ------------------------------------------------------------------------------------------------------ actions

    def why_not(self, action: str) -> str:
        """Why an action is unavailable, for the trial under the cursor."""
        if self.news is not None and (words := study_header.why_only_a_search(action, self.news.view.study)):
            return words
        match action:
            case "compare" if len(self._compared()) < FEWEST_COMPARED:
                return "A comparison needs two trials: mark another with space, then press c."
            case "cascade" if self.news is not None and not self.news.view.classifies:
                return "A cascade joins classifiers; this is a study of another task."
            case "cascade" if len(self.marked) > 2:
                return "A cascade has two members: unmark the others with space."
            case "show_archived" if self.news is not None and not any(t.archived for t in self.news.view.trials):
                return "No trial is archived; A archives one."
            case "no_hints" if self._tour.at < 0:
                return "No hint is shown; T shows them."
            case "unmark" if not self.marked:
                return "No trial is marked; space marks one."
            case "start_runner" if self.news is not None:
                return study_header.why_no_runner(self.news.runner)
            case "stop_study" if self.news is not None:
                return study_header.why_not_stop(self.news.view.study)
        words = trial_actions.why_not(action, self.selected)
        return self._no_match if words and self._hides_all else words

    @property
    def _no_match(self) -> str:
        return self._listing.no_match(self.key_for)

    @property
    def _hides_all(self) -> bool:
        return self.news is not None and bool(self._listing.text) and not self._chosen(self.news.view)

    def action_open(self) -> None:
        if self._under_cursor is not None:
            self.ui.open_trial(self.study_name, self._under_cursor)

    def action_rerun(self) -> None:
        if self._under_cursor is not None:
            self.ui.open_rerun(self.study_name, self._under_cursor)

    def action_promote(self) -> None:
        if self._under_cursor is not None:
            self.ui.open_promote(self.study_name, self._under_cursor)

    def _compared(self) -> tuple[int, ...]:
        """What `compare` takes: two or more marked trials; else the one marked, or the baseline, and the cursor's."""
        if len(self.marked) >= FEWEST_COMPARED or self._under_cursor is None or self.news is None:
            return self.marked
        baseline = self.news.view.baseline
        first = self.marked or (() if baseline is None else (baseline.number,))
        return tuple(dict.fromkeys([*first, self._under_cursor]))

    def action_compare(self) -> None:
        self.ui.open_compare(self.study_name, self._compared())

    def action_all_series(self) -> None:
        numbers = self.marked or ((self._under_cursor,) if self._under_cursor is not None else ())
        self.ui.open_series(self.study_name, numbers or (PREPARATION,))

    def action_cascade(self) -> None:
        """The two marked trials; else the one marked or under the cursor, and the teacher."""
        first, *rest = self.marked or (self._under_cursor,)
        if first is not None:
            self.ui.open_cascade(self.study_name, first, rest[0] if rest else None)

    def action_analysis(self) -> None:
        self.ui.open_analysis(self.study_name)

    def action_overview(self) -> None:
        self.ui.open_overview(self.study_name)

    def action_history(self) -> None:
        self.ui.open_history(self.study_name)

    def action_mark(self) -> None:
        number = self._under_cursor
        if number is None:
            return
        if number in self.marked:
            self.marked = tuple(n for n in self.marked if n != number)
        elif len(self.marked) == MOST_COMPARED:
            self.ui.tell("Six trials are already marked; unmark one, or all with U.", severity="warning")
        else:
            self.marked = (*self.marked, number)
        self._again()

    def action_unmark(self) -> None:
        self.marked = ()
        self._again()

    def action_stop_trial(self) -> None:
        if self._under_cursor is not None:
            trial_actions.ask_to_stop(self.ui, self.study_name, self._under_cursor)

    def action_stop_study(self) -> None:
        self.ui.ask_to_stop_study(self.study_name)

    def action_pause_study(self) -> None:
        self.ui.toggle_study(self.study_name, self.news.view.study.state if self.news else None)

    def action_start_runner(self) -> None:
        self.ui.start_runner()

    # ---------------------------------------------------------------------------------------------------------- tour

    @property
    def _tour(self) -> Tour:
        return self.query_one(Tour)

    @on(Tour.Asked)
    def action_next_hint(self) -> None:
        self._tour.turn()
        self._place_hint()

    def action_no_hints(self) -> None:
        self._tour.dismiss()
        self._place_hint()

    def acted(self, action: str) -> None:
        if self._tour.used(action):
            self.call_after_refresh(self._place_hint)

    def _place_hint(self) -> None:
        """Above the footer; the pane that it explains is marked."""
        pane = self._tour.place(lambda selector: self.query_one(selector).is_on_screen)
        beside = self.query_one(pane) if pane else None
        for other in self.query(".-explained"):
            if other is not beside:  # taking the class away and giving it back would repaint the pane at every look
                other.remove_class("-explained")
        if beside is not None:
            beside.add_class("-explained")

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._place_hint)
        if self.news is not None:
            self._show_header(self.news)

    # --------------------------------------------------------------------------------------------------------- view

    def action_pane(self, name: str) -> None:
        """Focus a pane; where only one fits, show that one."""
        for other in PANES:
            self.set_class(other == name, f"-show-{other}")
        if name == "log":
            self.add_class("-log")
        self.query_one(f"#{name}").focus()
        self._again()

    def action_log(self) -> None:
        """Below the other panes; where one pane is shown at a time, go to it and back."""
        if one_pane(self):
            self.action_pane("trials" if self._log.display else "log")
        else:
            self.toggle_class("-log")

    def action_maximise(self) -> None:
        name = self.focused.id if self.focused is not None and self.focused.id in PANES else "trials"
        self.toggle_class("-maximised")
        self.action_pane(name)

    def recall_order(self, listing: Listing[Any]) -> None:
        """It is among the habits of the study."""

    def keep_order(self, listing: Listing[Any]) -> None:
        self._remember()

    def action_show_archived(self) -> None:
        self._archived = not self._archived
        self._again()

    def _again(self) -> None:
        """Redraw what is known, and read what else is needed."""
        if self.news is not None:
            self.show(self.news)
        self.ui.look_again()

    def action_columns(self) -> None:
        if self.news is None:
            return
        from bertdistill.app.screens.choose import ChooseColumns

        def answered(names: tuple[str, ...] | None) -> None:
            if names is not None:
                self._columns = names or None
                self._remember()
                self._again()

        self.ui.push_screen(ChooseColumns(trial_columns.known_columns(self.news.view), self._names), answered)

    def filter_by(self, text: str) -> None:
        """Keep the trials that match; a screen behind another one shows that when it is seen again."""
        self._listing.narrow(text)

    def action_back(self) -> None:
        """One step at a time: the filter, the marks, then the screen."""
        if self.clear_filter():
            return
        if self.marked:
            self.action_unmark()
        else:
            super().action_back()

    def action_note(self) -> None:
        if trial := self.selected:
            trial_actions.annotate(self.ui, self.study_name, trial)

    def action_archive(self) -> None:
        if trial := self.selected:
            trial_actions.archive(self.ui, self.study_name, trial)

    def action_delete(self) -> None:
        if trial := self.selected:
            trial_actions.delete(self.ui, self.study_name, trial)

    def action_queue_trial(self) -> None:
        from bertdistill.app.screens.queue_trial import QueueTrialScreen

        self.ui.push_screen(QueueTrialScreen(self.study_name, self._under_cursor))

    def action_settings(self) -> None:
        from bertdistill.app.screens.settings import SettingsScreen

        diagnosis = self.news.view.study.diagnosis if self.news is not None else ""
        self.ui.push_screen(SettingsScreen(self.study_name, named_setting(diagnosis)))


def _first(view: StudyView, trials: Sequence[Trial]) -> int:
    """The initial position of the cursor: the best trial of the frontier."""
    return view.frontier[0].number if view.frontier else trials[0].number
