"""The hypervolume after every trial, over trials or worker-hours, and what each trial added. It computes no volume."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from bertdistill.app.children.analysis_process import ask_outlook
from bertdistill.app.draw.canvas import Drawing
from bertdistill.app.draw.curves import Curve, curves_drawing
from bertdistill.app.draw.sparks import bar_cells
from bertdistill.app.report.analysis_text import outlook_text, since_words
from bertdistill.app.screens.analysis_tab import ChartTab, Rest, numbered
from bertdistill.app.text import format as fmt
from bertdistill.app.views.analysis import study_growth
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.growth import Step
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import TrialState

BAR = 12


class GrowthTab(ChartTab):
    """A curve of steps, and a row with its gain for each trial that ended."""

    NAME: ClassVar[str] = "hypervolume"

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name, "growth")
        self._hours = False
        self._by_gain = False
        self._steps: list[Step] = []
        self._front: frozenset[int] = frozenset()
        self._true: tuple[float, float] | None = None
        """The interval of the hypervolume of true scores."""
        self._began = False
        self._listed: tuple[Any, ...] = (None,)
        self._rest = Rest()
        self._asked: list[Step] | None = None
        """The steps after which was asked what the next trials are worth."""
        self._asking = False
        self._outlook = ""
        self._complete = 0

    def read(self, view: StudyView) -> list[Step]:
        return self.made_once(view, lambda: study_growth(view))

    def show(self, view: StudyView, content: list[Step]) -> None:
        self._front = frozenset(number for number, row in view.ranked.items() if row.on_frontier)
        self._true = None if view.certainty is None else view.certainty.hypervolume
        self._steps = content
        self._complete = sum(trial.state == TrialState.COMPLETE for trial in view.trials)
        if content and content is not self._asked and not self._asking and self._rest.over(time.monotonic()):
            self._asked, self._asking, self._outlook = content, True, ""
            self.run_worker(self._ask(), exclusive=True, group="outlook")
        self.again()

    async def _ask(self) -> None:
        """In a process of its own, as the model needs libraries that the app does not load."""
        began = time.monotonic()
        try:
            self._outlook = outlook_text(await ask_outlook(self.ui.workspace, self._study), self._complete)
        except (BertDistillError, OSError) as error:
            self._outlook = str(error)
        self._asking = False
        self._rest = Rest(began, time.monotonic())
        self.again()

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        how = (self._by_gain, self.ui.ascii_only)
        if self._listed[0] is not self._steps or self._listed[1:] != how:
            self._listed = (self._steps, *how)
            self._list()
        if self._wanted is None and not self._began and self._steps:
            self._wanted = max(self._steps, key=lambda s: (s.gain or 0.0, s.trials)).number
        self._began = self._began or bool(self._steps)
        self.go_where_wanted()
        self.draw()

    def _list(self) -> None:
        most = max((abs(step.gain or 0.0) for step in self._steps), default=0.0)
        steps = sorted(self._steps, key=lambda s: -(s.gain or 0.0)) if self._by_gain else self._steps
        columns = [
            Column("number", "#", 5, "right"),
            Column("gain", "gain", 7, "right"),
            Column("bar", "", BAR),
            Column("volume", "volume", 6, "right"),
            Column("hours", "hours", 7, "right"),
        ]
        self._table.show(columns, [self._row(step, most) for step in steps], empty="No trial has ended yet.")

    def _row(self, step: Step, most: float) -> Row:
        gain, front = step.gain, step.number in self._front
        tone: Tone = "dim" if not gain else "good" if gain > 0 else "bad"
        cells = (
            Cell(
                numbered(step.number, frontier=front, ascii_only=self.ui.ascii_only),
                "bright" if front else "plain",
            ),
            Cell("0" if gain == 0 else fmt.signed(gain, 4), tone),
            Cell(bar_cells(gain, most, BAR, ascii_only=self.ui.ascii_only), tone),
            Cell(f"{step.hypervolume:.3f}"),
            Cell(f"{step.worker_hours:.3f}"),
        )
        return Row(step.number, cells, dim=not gain)

    def draw(self) -> None:
        if self.is_drawn(self._steps, self._hours, self._by_gain, self.number):
            return
        axis = "worker-hours" if self._hours else "trials"
        step = self._step
        at = None if step is None else step.worker_hours if self._hours else float(step.trials)
        empty = "The curve begins with the first trial that ends."
        if self._steps:
            curve = stairs(self._steps, hours=self._hours)
            self._chart.draw(partial(curves_drawing, [curve], axis, crosshair=at), empty=empty)
        else:
            self._chart.draw(None, empty=empty)
        entitle(self._chart, title=f"Hypervolume over {axis}")
        entitle(self._table, title="Trials by gain" if self._by_gain else "Trials as they ended")

    @property
    def _step(self) -> Step | None:
        """The step of the trial under the cursor."""
        return next((one for one in self._steps if one.number == self.number), None)

    def subtitle(self, drawing: Drawing) -> str:
        """There is only one curve: its value under the cursor is more useful than its name."""
        step = self._step
        if step is None:
            return ""
        hours = f"{step.worker_hours:.3f} worker-hours"
        return f"after #{step.number}: {step.hypervolume:.3f}, {step.trials} trials, {hours}"

    # ------------------------------------------------------------------------------------------------------- actions

    def headline(self) -> str:
        if not self._steps:
            return "hypervolume"
        last = self._steps[-1]
        ends = "" if self._true is None else f" (true {self._true[0]:.3f} to {self._true[1]:.3f})"
        news = self._outlook or since_words(self._steps)  # the outlook tells more, once it is known
        return f"hypervolume {last.hypervolume:.3f}{ends} after {last.trials} trials; {news}"

    def can(self, action: str) -> bool:
        return action in ("other_view", "sort") and bool(self._steps)

    def toggle(self) -> None:
        """Over trials, or over worker time."""
        self._hours = not self._hours
        self.draw()

    def sort(self) -> None:
        """The largest gain first, or as they ended."""
        self._by_gain = not self._by_gain
        self.again()

    def commands(self) -> list[tuple[str, ...]]:
        return [("analysis", self._study, "--part", "hypervolume")]


def stairs(steps: Sequence[Step], *, hours: bool) -> Curve:
    """The volume stays as it is until a trial ends, so the curve goes across and then up; not empty."""
    xs: list[float] = []
    ys: list[float] = []
    for step in steps:
        at = step.worker_hours if hours else float(step.trials)
        xs += [at, at]
        ys += [ys[-1] if ys else step.hypervolume, step.hypervolume]
    return Curve("hypervolume", xs, ys, f"{ys[-1]:.3f}")
