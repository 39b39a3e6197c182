"""A worker in full: what it works on, how far it is, what it uses, and the end of its log. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from bertdistill.app.report.workers import Worker, memory_words, phase_words, rate_words
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.trial_card import trial_card
from bertdistill.app.views.view import StudyView
from bertdistill.store.rows import Trial

MOST_LINES = 12
"""Of the log."""
BAR = 20


def worker_card(
    worker: Worker,
    view: StudyView | None,
    trial: Trial | None,
    log: Sequence[str],
    now: float,
    *,
    ascii_only: bool = False,
) -> list[tuple[str, str]]:
    """Pairs of a name and words; `log` are its newest lines, `now` is in Unix seconds."""
    found = [(name, safe_line(words, 400)) for name, words in _facts(worker, now, ascii_only=ascii_only) if words]
    if view is not None and trial is not None:
        found += [fact for fact in trial_card(view, trial, ascii_only=ascii_only) if fact[0] != "state"]
    if log:
        found.append(("log", "\n".join(safe(line, 200) for line in log[-MOST_LINES:])))
    return found


def _facts(worker: Worker, now: float, *, ascii_only: bool) -> Iterator[tuple[str, str]]:
    attempt = worker.attempt
    yield "does", phase_words(worker)
    if attempt.total:
        yield "done", f"{fmt.bar(worker.share, BAR, ascii_only=ascii_only)} {worker.share:.0%}"
    if attempt.rate > 0 and attempt.done < attempt.total:
        yield "left", f"{fmt.duration((attempt.total - attempt.done) / attempt.rate)} of this phase"
    yield "speed", " ".join(filter(None, (rate_words(worker), attempt.unit)))
    yield "memory", memory_words(worker)
    started = time.strftime("%m-%d %H:%M:%S", time.localtime(attempt.started_at))
    yield "since", f"{started}, {fmt.duration(now - attempt.started_at)} ago"
    yield "stops", attempt.stop_reason
    yield "folder", attempt.folder
