"""Following a study on stderr until it ends: bars on a terminal, plain lines elsewhere. It starts and stops nothing.

What happened once (a trial ended, a notice) is a line that stays; what moves (progress) is a bar, or a line every few
seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from bertdistill.app.report.records import attempt_row
from bertdistill.app.report.summary import progress_text
from bertdistill.app.terminal.streams import say
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.view import StudyView, all_metrics, read_view
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import StudyState, Trial

POLL_SECONDS = 0.5
CALM_SECONDS = 10.0


class Stage(Protocol):
    """Where news goes."""

    def line(self, text: str) -> None: ...
    def moving(self, view: StudyView, rows: list[dict[str, Any]]) -> None: ...
    def close(self) -> None: ...


@dataclass
class Lines:
    """For pipes, logs and `--plain`: one progress line for all workers every `every` seconds."""

    every: float = CALM_SECONDS
    clock: Callable[[], float] = time.monotonic
    _last: float = field(default=float("-inf"))

    def line(self, text: str) -> None:
        say(text)

    def moving(self, view: StudyView, rows: list[dict[str, Any]]) -> None:
        if not rows or self.clock() - self._last < self.every:
            return
        self._last = self.clock()
        parts = [f"{_label(row)} {progress_text(row)}".strip() for row in rows]
        say(f"  {view.study.name} {view.progress():.0%}: " + "; ".join(parts))

    def close(self) -> None:
        """Nothing to restore."""


class Bars:
    """For a terminal: one bar for the study, one for each worker."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[words]}", markup=False),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}
        self._progress.start()

    def line(self, text: str) -> None:
        from rich.text import Text

        self._progress.console.print(Text(safe_line(text, 2000)), soft_wrap=True)

    def moving(self, view: StudyView, rows: list[dict[str, Any]]) -> None:
        counts = ", ".join(f"{number} {name}" for name, number in view.tally.items())
        self._set(view.study.name, view.progress(), counts + _of_budget(view))
        for row in rows:
            share = row["done"] / row["total"] if row["total"] else 0.0
            self._set(_label(row), share, progress_text(row))
        for gone in set(self._tasks) - {view.study.name, *(_label(row) for row in rows)}:
            self._progress.remove_task(self._tasks.pop(gone))

    def close(self) -> None:
        self._progress.stop()

    def _set(self, name: str, share: float, words: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(safe_line(name), total=1.0, words="")
        self._progress.update(self._tasks[name], completed=share, words=safe_line(words))


def stage(*, plain: bool = False, every: float = CALM_SECONDS) -> Stage:
    """Bars if stderr is a terminal that can redraw a line and plain lines were not requested."""
    able = sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return Bars() if able and not plain else Lines(every)


def follow(
    db: Database,
    name: str,
    target: Stage,
    *,
    runner_alive: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
    since: float = float("inf"),
) -> StudyView:
    """Report events until the study is no longer running or its runner is gone; returns the last view.

    What ended before this call but after `since` (Unix time) is reported as well.

    KeyboardInterrupt passes through after the stage is closed: the caller says what detaching means.
    """
    news = _News(db, name, since)
    seen_version, missing = -1, 0
    try:
        view = news.view
        while True:
            version = db.data_version()
            if version != seen_version:
                seen_version, view = version, news.tell(target)
            target.moving(view, news.moving())
            if view.study.state != StudyState.RUNNING and not news.awaited():
                return view
            # Two looks: between the last commit and the end of a runner the state may lag by a moment.
            missing = 0 if runner_alive() else missing + 1
            if missing > 2:
                return news.tell(target)
            sleep(POLL_SECONDS)
    finally:
        target.close()


class _News:
    """What has already been reported."""

    def __init__(self, db: Database, name: str, since: float) -> None:
        self._db, self._name = db, name
        self.view = read_view(db, name)
        self._told = {t.number for t in self.view.trials if t.finished_at is not None and t.finished_at < since}
        with db.read() as session:
            old = reads.notices(session, study_id=self.view.study.id)
        self._notice = max((n.id for n in old if n.at < since), default=0)

    def tell(self, target: Stage) -> StudyView:
        """One line for every trial that ended and every notice since the last call."""
        self.view = read_view(self._db, self._name)
        ended = [t for t in self.view.trials if t.finished_at is not None and t.number not in self._told]
        for trial in sorted(ended, key=lambda t: (t.finished_at or 0.0, t.number)):
            self._told.add(trial.number)
            target.line(ended_line(self.view, trial))
        with self._db.read() as session:
            fresh = reads.notices(session, after_id=self._notice, study_id=self.view.study.id)
        for notice in sorted(fresh, key=lambda n: n.id):
            self._notice = max(self._notice, notice.id)
            target.line(f"{notice.level}: {safe_line(notice.text, 500)}")
        return self.view

    def awaited(self) -> bool:
        """Whether a request about this study, such as a resume, is still pending with the runner."""
        with self._db.read() as session:
            return any(r.study_id == self.view.study.id for r in reads.pending_requests(session))

    def moving(self) -> list[dict[str, Any]]:
        """The live attempts of this study."""
        numbers = {t.id: t.number for t in self.view.trials}
        with self._db.read() as session:
            live = [a for a in reads.live_attempts(session) if a.study_id == self.view.study.id]
        return [attempt_row(a, numbers.get(a.trial_id or 0), now=time.time()) for a in live]


def ended_line(view: StudyView, trial: Trial) -> str:
    """`#7 complete: exact 92.10, params 14.2k, on the frontier (8 of 13)`."""
    values = all_metrics(trial)
    ranked = view.ranked.get(trial.number)
    words = [f"{o.metric} {fmt.metric(o.metric, values.get(o.metric))}" for o in view.objectives]
    if ranked and ranked.on_frontier:
        words.append("on the frontier")
    elif trial.reason:
        words.append(safe_line(f"{trial.reason} {trial.detail}".strip()))
    return f"#{trial.number} {trial.state.value}: {', '.join(words)} ({view.finished}{_of_budget(view)})"


def _of_budget(view: StudyView) -> str:
    return f" of {view.outline.trials}" if view.outline.trials else ""


def _label(row: dict[str, Any]) -> str:
    return "prepare" if row["trial"] is None else f"#{row['trial']}"
