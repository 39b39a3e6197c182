"""One trial as rows of a table: its facts, rank, metrics and settings next to those of others, and its runs.

Pure: values in, rows out. It reads no store and ranks nothing.
"""

from __future__ import annotations

import signal
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, chop_cells

from bertdistill.app.report.summary import progress_text
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.rank_card import Fact, short_gap
from bertdistill.app.views.view import StudyView, all_metrics, differences
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.trial_table import TONES
from bertdistill.engine.analysis.outcomes import difference
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.scopes import setting_of, split, uses
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import ModelVersion, Trial

NAME_WIDTH, NARROW_NAME, VALUE_WIDTH = 18, 13, 11
"""Least cells of the columns; where there is room, they are as wide as what they hold."""
NARROW = 60
"""Cells of a pane below which names are cut."""
OTHER_WIDTH, WIDEST = 15, 40
TAIL_LINES = 12
"""Lines of the log of an attempt that ended badly."""
SAME = "="
"""Shown for a setting that is the same in the other trial."""


@dataclass(frozen=True)
class Other:
    """What the trial is compared with: the title of the column, its metrics, and its settings where it has any."""

    title: str
    values: Mapping[str, float | None]
    settings: Mapping[str, Any] | None = None


def others(view: StudyView, trial: Trial) -> list[Other]:
    """Baseline, parent and teacher, those that exist and are not the trial itself."""
    found = []
    baseline, parent = view.baseline, view.parent(trial)
    if baseline is not None and baseline.id != trial.id:
        both = ", parent" if parent is not None and parent.id == baseline.id else ""
        found.append(Other(f"baseline #{baseline.number}{both}", all_metrics(baseline), baseline.settings))
    if parent is not None and (baseline is None or parent.id != baseline.id):
        found.append(Other(f"parent #{parent.number}", all_metrics(parent), parent.settings))
    if given := view.teacher:
        found.append(Other("teacher", given))
    return found


def trial_of(key: Hashable) -> int | None:
    """The trial that a row mentions, which enter opens."""
    return int(key[1]) if isinstance(key, tuple) and key[0] == "trial" else None


# --------------------------------------------------------------------------------------------------------------- facts


def facts_columns(trial: Trial, compared: Sequence[Other], width: int) -> list[Column]:
    """Name, value, and a column for each of the others; `width` in cells."""
    name, value = _widths(trial, compared, width)
    return [
        Column("name", "", name),
        Column("value", f"#{trial.number}", value, "right"),
        *(Column(other.title, other.title, _other_width(other), "right") for other in compared),
    ]


def _widths(trial: Trial, compared: Sequence[Other], width: int) -> tuple[int, int]:
    """Cells of names and values: whole names first, then whole values, in what the others leave free."""
    name = NARROW_NAME if width < NARROW else NAME_WIDTH
    free = width - 3 - name - VALUE_WIDTH - sum(_other_width(other) + 1 for other in compared)
    names = [*trial.params, *all_metrics(trial), *(key for key in trial.settings if _used(trial, key))]
    wider = _wider(map(cell_len, names), name, free)
    words = [
        fmt.setting(_value(trial.settings, key, trial.params.get(key))) for key in (*trial.params, *trial.settings)
    ]
    return name + wider, VALUE_WIDTH + _wider(map(cell_len, words), VALUE_WIDTH, free - wider)


def _other_width(other: Other) -> int:
    return max(OTHER_WIDTH, len(other.title))


def _wider(lengths: Iterable[int], least: int, free: int) -> int:
    """How much more than `least` the longest that is not a path or a sentence needs, if that is free."""
    longest = max((length for length in lengths if length <= WIDEST), default=0)
    return max(0, min(longest - least, free))


def facts_rows(
    view: StudyView, trial: Trial, card: Sequence[Fact], compared: Sequence[Other], width: int, *, ascii_only: bool
) -> list[Row]:
    """Everything that does not change with every training step; long text spans several rows."""
    name, value = _widths(trial, compared, width)
    room = max(10, width - name - 3)
    aims = _metrics(view, trial, compared, aims=True, ascii_only=ascii_only)
    rest = _metrics(view, trial, compared, aims=False, ascii_only=ascii_only)
    legend = ["(difference)" for _ in compared]
    return [
        *_remarks(trial, room),
        *_section("objectives", "Objectives", "", *legend),
        *aims,
        *_searched(view, trial, compared, (value, room)),
        *_section("rank", "Why this rank"),
        *(row for fact in card for row in _sentence(fact.name, fact.words, room, trial=fact.trial)),
        *_section("origin", "Origin"),
        *_origin(view, trial, room),
        *_lineage(view, trial, room, ascii_only=ascii_only),
        *_section("metrics", "Other metrics", "", *legend),
        *rest,
        *_settings(trial, compared, (value, room)),
    ]


def first_row(rows: Sequence[Row], height: int) -> Hashable | None:
    """Where the cursor begins: the first of `height` rows from which enter leads on, else that below the first head."""
    keys = [row.key for row in rows]
    leading = (key for key in keys[:height] if trial_of(key) is not None)
    plain = (key for key in keys if not (isinstance(key, tuple) and key[0] == "section"))
    return next(leading, next(plain, None))


def _section(key: str, *titles: str) -> Iterator[Row]:
    yield Row(("section", key), tuple(Cell(title, "header") for title in titles))


def _sentence(name: str, words: str, room: int, *, tone: Tone = "plain", trial: int | None = None) -> Iterator[Row]:
    """A name and a text of any length, already safe."""
    kind = ("text", name) if trial is None else ("trial", trial, name)
    for index, line in enumerate(wrapped(words, room)):
        yield Row((*kind, index), (Cell("" if index else name), Cell(line, tone)), wide=True)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces if there are any; line breaks of the text are kept."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            if line and cell_len(line) + 1 + cell_len(word) <= width:
                line += f" {word}"
                continue
            if line:
                lines.append(line)
            *full, line = chop_cells(word, width) if cell_len(word) > width else [word]
            lines += full
        lines.append(line)
    return lines


def _remarks(trial: Trial, room: int) -> Iterator[Row]:
    """Why it ended badly, and what people wrote."""
    if trial.reason or trial.detail:
        words = safe_line(f"{trial.reason}: {trial.detail}".strip(": "), 2000)
        yield from _sentence("ended", words, room, tone=TONES[trial.state.value])
    if trial.archived:
        yield from _sentence("archived", "yes; A restores it", room)
    if trial.tags:
        yield from _sentence("tags", safe_line(" ".join(trial.tags), 1000), room)
    if trial.note:
        yield from _sentence("note", safe(trial.note, 8000).strip(), room)


def _origin(view: StudyView, trial: Trial, room: int) -> Iterator[Row]:
    words = trial.origin + (f", {trial.sampler}" if trial.sampler else "")
    words += f", seed {trial.proposal_seed}" if trial.sampler and trial.proposal_seed is not None else ""
    yield from _sentence("made by", safe_line(words), room)
    if trial.busy_seconds:
        name = "time" if view.study.kind == LOG else "worker time"
        yield from _sentence(name, fmt.duration(trial.busy_seconds), room)


def _lineage(view: StudyView, trial: Trial, room: int, *, ascii_only: bool) -> Iterator[Row]:
    """Parents up to the first, then the reruns of this trial, each with what it changed."""
    child, seen = trial, {trial.id}
    while (parent := view.parent(child)) is not None and parent.id not in seen:
        seen.add(parent.id)
        name = "parent" if child.id == trial.id else f"parent of #{child.number}"
        words = f"{_one(view, parent, ascii_only=ascii_only)}; then {_changes(child, parent)}"
        yield from _sentence(name, words, room, trial=parent.number)
        child = parent
    for other in (t for t in view.trials if t.parent_id == trial.id):
        words = f"{_one(view, other, ascii_only=ascii_only)}; with {_changes(other, trial)}"
        yield from _sentence("rerun", words, room, trial=other.number)


def _one(view: StudyView, trial: Trial, *, ascii_only: bool) -> str:
    values = all_metrics(trial)
    scores = "".join(f", {o.metric} {fmt.metric(o.metric, values.get(o.metric))}" for o in view.objectives)
    return f"#{trial.number} {fmt.state(trial.state.value, ascii_only=ascii_only)}{scores}"


def _changes(child: Trial, parent: Trial) -> str:
    """`alpha 0.5 to 0.25`."""
    changed = differences(child.settings, parent.settings)
    words = [f"{name} {fmt.setting(before)} to {fmt.setting(after)}" for name, (before, after) in changed.items()]
    return safe_line(", ".join(words) or "the same settings", 600)


def _metrics(
    view: StudyView, trial: Trial, compared: Sequence[Other], *, aims: bool, ascii_only: bool
) -> Iterator[Row]:
    """The objectives, or every other metric."""
    values = all_metrics(trial)
    better = {o.metric: o.direction for o in view.objectives}
    for name in better if aims else (n for n in values if n not in better):
        side = better.get(name) or (METRICS[name].direction if name in METRICS else "")
        title = safe_line(name, 40) + (f" {fmt.arrow(side, ascii_only=ascii_only)}" if aims else "")
        mine = values.get(name)
        tone: Tone = "bright" if aims else "plain"
        cells = [Cell(_against(name, mine, other.values.get(name))) for other in compared]
        first = next((other for other in compared if other.values.get(name) is not None), None)
        judged = tone if first is None else _tone(mine, first, name, side, otherwise=tone)
        yield Row(("metric", name), (Cell(title, tone), Cell(_metric(name, mine), judged), *cells))


def _metric(name: str, value: float | None) -> str:
    return fmt.exact(value) if name in ("params", "nonzero_params") and value is not None else fmt.metric(name, value)


def _against(name: str, mine: float | None, theirs: float | None) -> str:
    """`86.99 (-4.62)`: the other's value, and how far this one is above or below it."""
    if theirs is None:
        return ""
    gap = short_gap(name, difference(name, mine, theirs))
    return fmt.metric(name, theirs) + (f" ({gap})" if gap else "")


def _tone(mine: float | None, other: Other, name: str, better: str, *, otherwise: Tone) -> Tone:
    """Whether this trial is better or worse; the other one is not judged."""
    gap = difference(name, mine, other.values.get(name))
    if gap is None or not gap.absolute or not better:
        return otherwise
    return "good" if (gap.absolute > 0) == (better == "maximize") else "bad"


def _searched(view: StudyView, trial: Trial, compared: Sequence[Other], room: tuple[int, int]) -> Iterator[Row]:
    """The parameters that the study searches, or those that a run was logged with; without any no rows.

    They are what a trial is: never dimmed, also where they are the same in another one.
    """
    if trial.params:
        title = "Parameters" if view.study.kind == LOG else "Searched"
        yield from _section("searched", title, "", *_legend(compared))
    for name in trial.params:
        yield from _setting(trial, name, compared, room, dim=False)


def _settings(trial: Trial, compared: Sequence[Other], room: tuple[int, int]) -> Iterator[Row]:
    """All others that its family uses; first those that differ from any of the compared."""
    searched = {split(name)[1] for name in trial.params}
    rest = [name for name in trial.settings if name not in searched and _used(trial, name)]
    if rest:
        yield from _section("settings", "Other settings", "", *_legend(compared))
    for name in sorted(rest, key=lambda name: not _differs(trial, name, compared)):
        yield from _setting(trial, name, compared, room, dim=not _differs(trial, name, compared))


def _used(trial: Trial, name: str) -> bool:
    return uses(trial.settings.get("family"), name)


def _legend(compared: Sequence[Other]) -> list[str]:
    return ["" if other.settings is None else f"{SAME} is the same" for other in compared]


def _setting(trial: Trial, name: str, compared: Sequence[Other], room: tuple[int, int], *, dim: bool) -> Iterator[Row]:
    """Its value beside those of the others; one that is longer than its column (`room`) has lines of its own."""
    (column, line_width), differs = room, _differs(trial, name, compared)
    mine = _value(trial.settings, name, trial.params.get(name))
    words = safe_line(fmt.setting(mine), 1000)
    tone: Tone = "plain" if dim else "bright"
    cells = [Cell(_theirs(trial, name, other), "accent" if differs else "plain") for other in compared]
    if cell_len(words) <= column:
        yield Row(("setting", name), (Cell(safe_line(name, 40)), Cell(words, tone), *cells), dim=dim)
        return
    for index, line in enumerate(wrapped(words, line_width)):
        yield Row(
            ("setting", name, index),
            (Cell("" if index else safe_line(name, 40)), Cell(line, tone)),
            dim=dim,
            wide=True,
        )
    if any(cell.text for cell in cells):
        yield Row(("setting", name, "others"), (Cell(""), Cell(""), *cells), dim=dim)


def _differs(trial: Trial, name: str, compared: Sequence[Other]) -> bool:
    return any(
        other.settings is not None and _value(other.settings, name) != _value(trial.settings, name)
        for other in compared
    )


def _theirs(trial: Trial, name: str, other: Other) -> str:
    if other.settings is None:
        return ""
    theirs = _value(other.settings, name)
    return SAME if theirs == _value(trial.settings, name) else safe_line(fmt.setting(theirs))


def _value(settings: Mapping[str, Any], name: str, otherwise: Any = None) -> Any:
    """The value of a setting, or of the setting that a parameter of one family sets; of logged runs, what they say."""
    key = split(name)[1]
    return setting_of(settings, key) if key in settings else otherwise


# ---------------------------------------------------------------------------------------------------------------- runs


RUN_COLUMNS = (
    Column("attempt", "attempt", 11),
    Column("state", "state", 11),
    Column("slot", "slot", 12),
    Column("time", "time", 8, "right"),
    Column("end", "end", 16, grow=True),
)


def runs_rows(details: Mapping[str, Any], models: Sequence[ModelVersion], width: int, *, ascii_only: bool) -> list[Row]:
    """Attempts, the newest first, each bad end with its cause and the last lines of its log; checkpoints; models."""
    room = max(10, width - RUN_COLUMNS[0].width - 3)
    rows = [row for attempt in reversed(details["attempts"]) for row in _attempt(attempt, room, ascii_only=ascii_only)]
    if details["checkpoints"]:
        rows += _section("checkpoints", "checkpoint", "step", "", "size", "scores")
        rows += [_checkpoint(checkpoint) for checkpoint in reversed(details["checkpoints"])]
    if models:
        rows += _section("models", "model")
        rows += [row for model in models for row in _model(model, room)]
    return rows


def _model(model: ModelVersion, room: int) -> Iterator[Row]:
    words = f"{safe_line(model.name, 60)}:{model.version} {model.state} {safe_line(model.note, 200)}".rstrip()
    for index, line in enumerate(wrapped(words, room)):
        yield Row(("model", model.id, index), (Cell(""), Cell(line)), wide=True)


def _attempt(row: Mapping[str, Any], room: int, *, ascii_only: bool) -> Iterator[Row]:
    number = row["attempt"]
    bad = row["exit_class"] not in ("", "complete", "stopped")
    running = row["state"] == "running"
    state = fmt.state("running", ascii_only=ascii_only) if running else "ended"
    end = progress_text(row) if running else row["exit_class"] or "not recorded"
    if row["stop_reason"]:
        end += f", requested by {row['stop_reason']}"
    tone: Tone = "bad" if bad else "accent" if running else "plain"
    cells = (Cell(f"attempt {number}", "bright"), Cell(state, tone), Cell(safe_line(row["slot"], 40)))
    yield Row(("attempt", number), (*cells, Cell(fmt.duration(row["seconds"])), Cell(safe_line(end), tone)))
    if bad:
        yield from _sentence_of(number, "cause", [_cause(row)], room)
        tail = safe(row["log_tail"], 20_000).strip().splitlines()[-TAIL_LINES:]
        yield from _sentence_of(number, "last lines", tail, room)


def _sentence_of(number: int, name: str, lines: Sequence[str], room: int) -> Iterator[Row]:
    parts = [part for line in lines for part in wrapped(line.replace("\t", " "), room)]
    for index, part in enumerate(parts):
        yield Row(("run", number, name, index), (Cell("" if index else name, "dim"), Cell(part, "plain")), wide=True)


def _cause(row: Mapping[str, Any]) -> str:
    """Class, signal and exit status in words, with the peak memory."""
    words = [safe_line(row["exit_class"])]
    if row["exit_signal"] is not None:
        words.append(f"signal {row['exit_signal']} ({signal_name(row['exit_signal'])})")
    if row["exit_code"] is not None:
        words.append(f"exit status {row['exit_code']}")
    if row["max_rss_mb"] is not None:
        words.append(f"peak memory {row['max_rss_mb']:,.0f} MB")
    return ", ".join(words)


def signal_name(number: int) -> str:
    """`SIGKILL`, or `unknown`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _checkpoint(row: Mapping[str, Any]) -> Row:
    scores = {name: fmt.metric(name, fmt.value_of(row["metrics"], name)) for name in row["metrics"]}
    words = safe_line("  ".join(f"{name} {value}" for name, value in scores.items()), 400)
    gone = row["dropped_at"] is not None
    cells = (
        Cell(safe_line(row["role"], 20)),
        Cell(f"{row['step']:,}"),
        Cell("removed" if gone else "on disk"),
        Cell(fmt.size(row["size_bytes"])),
        Cell(words),
    )
    return Row(("checkpoint", row["folder"]), cells, dim=gone)
