"""A cascade of two models: score against cost over its thresholds, and the promotion of one. It routes nothing.

Left and right move the threshold; the engine computes every curve from stored outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.children.analysis_process import ask_oracle
from bertdistill.app.draw.curves import curves_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.screens.dialogues import Ask
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.chart import Chart
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.workspace import checked
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import ModelVersion

if TYPE_CHECKING:  # they load numpy, which the first screens do not need
    from bertdistill.engine.analysis.cascade import Cascade, Cut

SHORT_ROWS = 18
"""Windows with fewer have no room for the chart."""
PANES = {"table": "cuts", "chart": "cascade-chart"}
"""Name of each pane in the key table, with the id of its widget."""
TEACHER = None
"""Stands for the teacher among the numbers of trials."""


@dataclass(frozen=True)
class CascadeNews:
    """All that the screen shows; without `found`, `problem` says why."""

    view: StudyView
    found: Cascade | None
    problem: str = ""
    oracle: Cut | None = None
    """None until it was measured."""


class CutTable(LineTable):
    """A row a threshold; left and right go along it, too."""

    PLACE = "cuts"
    BINDINGS: ClassVar = bindings("cuts")
    HELP = "`left` and `right` move the threshold, as `j` and `k` do."


class CascadeScreen(LiveScreen):
    """Two members of one study, the cheaper one asked first."""

    PLACE = "cascade"
    BINDINGS: ClassVar = bindings("cascade")
    panes: ClassVar = PANES
    HELP = """
The cheaper model always runs; what it is less sure of than the threshold goes to the other one. The chart shows the
score against the mean cost, by confidence and at random; `left` and `right` move the threshold, `[` and `]` join
another model instead, `P` promotes the cascade of the threshold under the cursor. `o` measures the shuffle oracle, by a
pass of the teacher: what the switch of the original posts would bring.

Everything is computed from stored outputs of the validation split, on which the threshold is chosen, too; a promotion
measures it on the report split. The cost counts the tokenizer where it was measured in milliseconds.
"""

    def __init__(self, study_name: str, number: int, other: int | None = TEACHER) -> None:
        super().__init__()
        self.study_name = study_name
        self.number, self.other = number, other
        self.news: CascadeNews | None = None
        self._kept: tuple[Any, CascadeNews] | None = None
        self._cuts: dict[float, Cut] = {}
        self._listed: Cascade | None = None
        self._chart = Chart(id="cascade-chart", classes="pane")
        self._chart.can_focus = False

    def body(self) -> Iterable[Widget]:
        yield self._chart
        yield CutTable(id="cuts", classes="pane")

    def on_mount(self) -> None:
        self.query_one("#cuts").focus()

    def on_resize(self) -> None:
        self.set_class(self.size.height < SHORT_ROWS, "-short")

    # ------------------------------------------------------------------------------------------------ reading, showing

    def read(self, reader: Reader) -> CascadeNews:
        """Computed again only when a member has changed."""
        from bertdistill.engine.analysis.cascade_inputs import cascade_in
        from bertdistill.engine.analysis.difficulty import read_hard

        view, pair = reader.view(self.study_name), (self.number, self.other)
        trials = [view.trial(number) for number in pair if number is not None]
        mark = (pair, view.study.prepared, [trial and (trial.metrics, trial.state) for trial in trials])
        if self._kept is not None and self._kept[0] == mark:
            return self._kept[1]
        try:
            with reader.session() as session:
                found = cascade_in(session, reader.workspace, view.study, *pair)
            flags = read_hard(reader.workspace, self.study_name)
            news = CascadeNews(view, found, oracle=None if flags is None else found.oracle(flags))
        except ActionRefused as error:
            news = CascadeNews(view, None, error_line(error))
        self._kept = (mark, news)
        return news

    def show(self, news: CascadeNews) -> None:
        self.news, found = news, news.found
        self.diagnosis = news.problem
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{safe_line(news.view.study.name, 40)}  ", "bold")
        self.header(text.append(safe_line(self._headline(found), 300)))
        if found is not self._listed or found is None:
            self._listed = found
            self._list(found)
        self._draw()
        self.refresh_keys()

    def _headline(self, found: Cascade | None) -> str:
        if found is None:
            return f"cascade of #{self.number} and {self._other_name}"
        from bertdistill.app.report.cascade_text import heading

        return heading(found)

    @property
    def _other_name(self) -> str:
        return "teacher" if self.other is TEACHER else f"#{self.other}"

    def _list(self, found: Cascade | None) -> None:
        from bertdistill.app.report.cascade_text import cost_words, cut_cells, cut_titles

        table = self.query_one("#cuts", CutTable)
        self._cuts = {} if found is None else {cut.threshold: cut for cut in found.curve()}
        if found is None:
            table.show([], [], empty="No cascade.")
            return
        columns = [Column(title, title, max(7, len(title)), "right") for title in cut_titles(found)]
        rows = [Row(at, tuple(Cell(text) for text in cut_cells(found, cut))) for at, cut in self._cuts.items()]
        table.show(columns, rows)
        table.move_to(found.at_share(0.2).threshold)
        names = f"Thresholds of {found.small.name}, then {found.large.name}"
        entitle(table, title=names, subtitle=safe_line(cost_words(found.cost), 200))

    @property
    def cut(self) -> Cut | None:
        """The one under the cursor."""
        key = self.query_one("#cuts", CutTable).cursor_key if self.is_mounted else None
        return self._cuts.get(key) if isinstance(key, float) else None

    @on(LineTable.Moved, "#cuts")
    def moved(self) -> None:
        self._draw()

    def _draw(self) -> None:
        from bertdistill.app.report.cascade_text import cascade_curves

        found, cut = self._listed, self.cut
        if found is None or cut is None:
            self._chart.draw(None, empty="There is no curve to draw.")
            return
        axis = f"mean cost ({found.cost.unit})"
        self._chart.draw(partial(curves_drawing, cascade_curves(found), axis, crosshair=cut.cost), empty="")
        entitle(self._chart, title=f"{found.scores[0]} over {axis}{self._oracle_words(found)}")

    def _oracle_words(self, found: Cascade) -> str:
        from bertdistill.app.report.cascade_text import oracle_figures

        best = self.news.oracle if self.news is not None else None
        return "" if best is None else f"; shuffle oracle: {oracle_figures(found, best)}"

    @on(Chart.Drawn)
    def name_curves(self) -> None:
        """The lower border says what the threshold brings."""
        from bertdistill.app.report.cascade_text import chosen_words

        if self._listed is not None and (cut := self.cut) is not None:
            words = chosen_words(self._listed, cut).partition(". It was")[0]
            entitle(self._chart, subtitle=words.partition(": ")[2])  # the threshold stands under the cursor

    def copies(self) -> list[tuple[str, str]]:
        words = [str(self.number), "teacher" if self.other is TEACHER else str(self.other)]
        share = ["--share", f"{self.cut.share:.4g}"] if self.cut is not None else []
        return [
            ("command", command_line("cascade", self.study_name, *words, *share, ws=self.ui.workspace)),
            ("study", self.study_name),
        ]

    # ------------------------------------------------------------------------------------------------------ actions

    def why_not(self, action: str) -> str:
        match action:
            case "promote" if self.cut is None:
                return "There is no cascade to promote."
            case "oracle" if self._listed is None:
                return "There is no cascade to compare it with."
            case "oracle" if self.news is not None and self.news.oracle is not None:
                return "The shuffle oracle was measured; its figures are above the chart."
            case "turn" if len(self._others) < 2:
                return "There is no other model to join."
        return ""

    @property
    def _others(self) -> list[int | None]:
        """What the trial can be joined with: frontier trials and the teacher."""
        view = self.news.view if self.news is not None else None
        front = [] if view is None else [trial.number for trial in view.frontier if trial.number != self.number]
        return [*dict.fromkeys([*front, *([] if self.other is TEACHER else [self.other])]), TEACHER]

    def action_turn(self, by: int) -> None:
        """Join the next model instead."""
        others = self._others
        self.other = others[(others.index(self.other) + by) % len(others)]
        self.ui.look_again()

    def action_oracle(self) -> None:
        """Run the teacher over shuffled texts in a process of its own; what it finds is stored for the study."""
        self.ui.tell("The teacher reads the validation split with its words shuffled.")
        self.run_worker(self._measure(), exclusive=True, group="oracle")

    async def _measure(self) -> None:
        try:
            await ask_oracle(self.ui.workspace, self.study_name, self.number)
        except (BertDistillError, OSError) as error:
            self.ui.tell_error(error)
        self._kept = None
        self.ui.look_again()

    def action_promote(self) -> None:
        """Ask for a name, then start the verification."""
        from bertdistill.engine.steering.cascades import promote_cascade

        cut, pair = self.cut, (self.number, self.other)
        if cut is None:
            return

        def answered(name: str | None) -> None:
            if not name:
                return

            def work() -> ModelVersion:
                return promote_cascade(
                    self.ui.workspace,
                    self.study_name,
                    *pair,
                    name,
                    lambda found: found.at_share(cut.share),
                    who=self.ui.who,
                )

            self.ui.act(work, lambda made: f"{made.name}:{made.version} is being verified; M shows it.")

        title = f"Name of the model: {cut.share:.1%} passed on. The report split is read once."
        question = Ask(title, value=f"{self.study_name}-cascade", check=lambda text: checked(text, "model name"))
        self.ui.push_screen(question, answered)

    def action_open(self) -> None:
        self.ui.open_trial(self.study_name, self.number)
