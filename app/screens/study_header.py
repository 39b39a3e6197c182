"""The top line of the study screen: states, budget, time left, hypervolume, load, how far numbers are stored. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.titles import in_line
from bertdistill.engine.launch.load import Load
from bertdistill.engine.runner.lease import RunnerStatus
from bertdistill.engine.study.outline import LOG, PROGRAM
from bertdistill.store.rows import Attempt, Study, StudyState

if TYPE_CHECKING:
    from bertdistill.app.screens.study import StudyNews

STYLES = {"running": "cyan", "complete": "green", "failed": "red", "infeasible": "yellow"}


def line(view: StudyView, news: StudyNews, width: int, *, ascii_only: bool = False) -> Text:
    """What fits into `width`, the most important first."""
    parts = [
        Text(safe_line(view.study.name, 40), "bold"),
        _states(view, news, ascii_only=ascii_only),
        _budget(view, ascii_only=ascii_only),
    ]
    left = view.seconds_left(len([a for a in news.attempts if a.trial_id is not None]) or view.outline.slots or 1)
    if left is not None:
        parts.append(Text(f"{fmt.duration(left)} left"))
    if view.ranked:
        parts.append(_hypervolume(view))
    parts += [Text(words) for words in load_words(news.load)]
    if stored := _stored_to(view, news):
        parts.append(Text(stored))
    return in_line(parts, width)


def _states(view: StudyView, news: StudyNews, *, ascii_only: bool) -> Text:
    text = Text()
    study = view.study
    if not news.runner.alive and view.needs_runner:
        last = f"runner gone (pid {news.runner.pid} on {safe_line(news.runner.host, 30)})"
        gone = f"{last if news.runner.pid and not news.runner.released else 'no runner'}, R starts one"
        text.append(f"{fmt.STATES['failed'][ascii_only]} {gone} ", "bold red")
    elif news.runner.silence is not None:
        text.append(f"{fmt.STATES['failed'][ascii_only]} {silent_words(news.runner)} ", "bold red")
    elif study.state != StudyState.RUNNING or not news.attempts:
        state = fmt.study_state(study.state.value, alive=True, kinds=[a.kind for a in news.attempts])
        text.append(fmt.state(state, ascii_only=ascii_only) + " ", STYLES.get(state, "yellow"))
    for name, number in view.tally.items():
        glyph = fmt.STATES[name][ascii_only]
        word = f" {name}" if name in ("running", "waiting") else ""
        text.append(f"{glyph}{number}{word} ", STYLES.get(name, ""))
    if view.weak_teacher:
        text.append("weak teacher ", "bold red")
    for attempt in news.attempts:
        if attempt.trial_id is None:
            text.append(f"preparing: {progress_words(attempt)}", "cyan")
    text.rstrip()
    return text


def _budget(view: StudyView, *, ascii_only: bool) -> Text:
    bar = fmt.bar(view.progress(), 12, ascii_only=ascii_only)
    extra = len(view.extra)
    words = f" + {extra} rerun{'s' * (extra > 1)}" if extra else ""
    return Text(f"{bar} {view.finished}/{view.outline.trials or len(view.trials)}{words}")


def _hypervolume(view: StudyView) -> Text:
    """The hypervolume and what the newest trial added to it."""
    text = Text(f"hypervolume {view.hypervolume:.3f}")
    if view.certainty is not None and view.certainty.hypervolume is not None:
        low, high = view.certainty.hypervolume
        text.append(f" (true {low:.3f} to {high:.3f})", "dim")  # mostly below: the observed one is made of maxima
    newest = list(view.gain.values())[-1:]  # they are in the order of finishing
    if newest and newest[0] > 0:
        text.append(f" {fmt.gain(newest[0])}", "green")
    return text


def load_words(load: Load) -> list[str]:
    """`GPU0 94% 21/80 GB` for each GPU; the processor where there is none."""
    words = []
    for gpu in load.gpus:
        percent = fmt.NONE if gpu.percent is None else f"{gpu.percent:.0f}%"
        memory = ""
        if gpu.memory_used is not None and gpu.memory_total:
            memory = f" {gpu.memory_used / 1e9:.0f}/{gpu.memory_total / 1e9:.0f} GB"
        words.append(f"GPU{gpu.index} {percent}{memory}")
    if not words:
        memory = f"{load.memory_used / 1e9:.0f}/{load.memory_total / 1e9:.0f} GB"
        words.append(f"CPU {load.cpu_percent:.0f}% RAM {memory}")
    return words


def _stored_to(view: StudyView, news: StudyNews) -> str:
    """Up to which step the numbers of the newest running trial are stored, and survive any kill."""
    running = {t.number for t in view.running}
    steps = [c.points[-1].step for c in news.curves if c.trial in running and c.points]
    return f"stored to step {max(steps):,}" if steps else ""


def preparation(attempt: Attempt, *, ascii_only: bool = False) -> str:
    """`Preparing, once for all trials: teacher ███░░ 1,200/4,000 examples, 2m 10s left.`"""
    words = f"Preparing, once for all trials: {safe_line(attempt.phase or 'starting', 60)}"
    if attempt.total:
        words += f" {fmt.bar(attempt.done / attempt.total, 10, ascii_only=ascii_only)}"
        words += f" {attempt.done:,.0f}/{attempt.total:,.0f} {safe_line(attempt.unit, 20)}".rstrip()
        if attempt.rate > 0 and attempt.done < attempt.total:
            words += f", {fmt.duration((attempt.total - attempt.done) / attempt.rate)} left"
    return f"{words}."


def progress_words(attempt: Attempt) -> str:
    """`training 1,200/4,000 steps`, as far as it is known."""
    words = safe_line(attempt.phase or "starting", 60)
    if attempt.total:
        words += f" {attempt.done:,.0f}/{attempt.total:,.0f} {safe_line(attempt.unit, 20)}".rstrip()
    return words


SEARCH_ONLY = frozenset(
    {"rerun", "promote", "cascade", "stop_trial", "queue_trial", "settings", "pause_study", "stop_study"}
)
"""Actions on what a runner runs."""


MODELS_ONLY = frozenset({"promote", "cascade"})
"""Actions on the models that students are."""


def why_only_a_search(action: str, study: Study | None) -> str:
    """Why an action is unavailable for logged runs, or for a program; empty for a search of students."""
    if study is not None and study.kind == PROGRAM and action in MODELS_ONLY:
        return f"{safe_line(study.name, 40)} searches a program: its trials are no models to promote or to join."
    if study is None or study.kind != LOG or action not in SEARCH_ONLY:
        return ""
    return f"{safe_line(study.name, 40)} is a collection of logged runs, which their own programs control: no search."


def why_not_stop(study: Study) -> str:
    """Why a study cannot be stopped, empty when it can."""
    if study.state in (StudyState.RUNNING, StudyState.PAUSED):
        return ""
    return f"The study is {study.state}: nothing is running, so there is nothing to stop."


def silent_words(runner: RunnerStatus) -> str:
    """How long a runner that holds its lock has been silent."""
    return f"runner {runner.pid} has not answered for {fmt.duration(runner.silence)}"


def why_no_runner(runner: RunnerStatus, *, idle: bool = False) -> str:
    """Why no runner should be started, empty if one should."""
    if runner.alive:
        return f"A runner is already running here: pid {runner.pid} on {safe_line(runner.host, 40)}."
    return "A runner would have nothing to do: n creates a study." if idle else ""
