"""Rows of the workers screen: slots with their workers, what waits, and the course of the load. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable

from rich.cells import cell_len

from bertdistill.app.report.workers import (
    BAR,
    WorkersNow,
    device_words,
    item_name,
    memory_words,
    phase_words,
    rate_words,
    state_words,
    why_words,
)
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.engine.launch.slots import SlotState
from bertdistill.engine.runner.waiting import Waiting

SLOT_COLUMNS = (
    Column("slot", "slot", 7),
    Column("worker", "worker", 14),
    Column("progress", "progress", BAR + 5),
    Column("state", "state", 10),
    Column("phase", "phase", 20, grow=True),
    Column("rate", "rate", 9, "right"),
    Column("memory", "memory", 9),
    Column("time", "time", 8, "right"),
    Column("device", "device", 12),
)
QUEUE_COLUMNS = (Column("item", "waits", 18), Column("why", "why", 40, grow=True))
LEVELS = ("▁▂▃▄▅▆▇█", "_.:-=+*#")


def slot_columns(news: WorkersNow) -> tuple[Column, ...]:
    """With names in full where slots are on other machines, up to a limit."""
    longest = max((len(place.slot.name) for place in news.capacity.slots if "/" in place.slot.name), default=0)
    first = SLOT_COLUMNS[0]
    return (dataclasses.replace(first, width=max(first.width, min(20, longest))), *SLOT_COLUMNS[1:])


def queue_columns(news: WorkersNow) -> tuple[Column, ...]:
    """With the names of what waits in full, up to a limit."""
    longest = max((cell_len(safe_line(item_name(item), 60)) for item in news.queue), default=0)
    first = QUEUE_COLUMNS[0]
    return (dataclasses.replace(first, width=max(first.width, min(32, longest))), *QUEUE_COLUMNS[1:])


def slot_row(news: WorkersNow, slot_state: SlotState, *, ascii_only: bool) -> Row:
    """A slot, with its worker if it has one."""
    worker = news.worker_in(slot_state)
    device = Cell(device_words(slot_state, news.load), "dim")
    words = state_words(slot_state, worker)
    if worker is None:
        state, _, reason = words.partition(": ")
        cells = (Cell(""), Cell(""), Cell(state, "warn" if reason else "dim"), Cell(reason, "warn"))
        return Row(
            slot_state.slot.name,
            (Cell(safe_line(slot_state.slot.name, 20)), *cells, Cell(""), Cell(""), Cell(""), device),
        )
    tone: Tone = "warn" if worker.attempt.stop_reason else "plain"
    glyph = fmt.STATES["running"][ascii_only]
    return Row(
        slot_state.slot.name,
        (
            Cell(safe_line(slot_state.slot.name, 20)),
            Cell(safe_line(worker.name, 60), "bright"),
            Cell(f"{fmt.bar(worker.share, BAR, ascii_only=ascii_only)} {worker.share:4.0%}"),
            Cell(f"{glyph} {words.partition(' (')[0]}", tone),
            Cell(phase_words(worker)),
            Cell(rate_words(worker)),
            Cell(memory_words(worker)),
            Cell(fmt.duration(news.at - worker.attempt.started_at)),
            device,
        ),
    )


def queue_key(item: Waiting) -> Hashable:
    """What identifies an item while its reason changes."""
    return (item.study, item.item, item.trial)


def queue_row(item: Waiting) -> Row:
    """A waiting item, with the reason."""
    tones: dict[str, Tone] = {"next": "good", "no runner": "bad", "failed": "bad", "paused": "warn", "busy": "warn"}
    cells = (Cell(safe_line(item_name(item), 60)), Cell(why_words(item), tones.get(item.reason, "plain")))
    return Row(queue_key(item), cells)


def slot_held(news: WorkersNow, slot_state: SlotState) -> str:
    """What a slot can be found by: its name and device, and what its worker does."""
    worker = news.worker_in(slot_state)
    own = (worker.name, phase_words(worker)) if worker is not None else ()
    return " ".join((slot_state.slot.name, device_words(slot_state, news.load), state_words(slot_state, worker), *own))


def slot_value(news: WorkersNow, slot_state: SlotState, column: str) -> str | float | None:
    """What a column sorts slots by; None where nothing works."""
    worker = news.worker_in(slot_state)
    match column:
        case "slot":
            return slot_state.slot.name
        case "device":
            return device_words(slot_state, news.load)
        case "state":
            return state_words(slot_state, worker)
    if worker is None:
        return None
    match column:
        case "worker":
            return worker.name
        case "progress":
            return worker.share
        case "phase":
            return phase_words(worker)
        case "rate":
            return worker.attempt.rate
        case "memory":
            return worker.memory
    return -worker.attempt.started_at


def queue_held(item: Waiting) -> str:
    """What an item can be found by: its name, and why it waits."""
    return f"{item_name(item)} {why_words(item)}"


def queue_value(item: Waiting, column: str) -> str:
    """What a column sorts what waits by."""
    return item_name(item) if column == "item" else why_words(item)


def trace(samples: Iterable[float | None], width: int, *, ascii_only: bool = False) -> str:
    """The newest `width` percents, each as high as it is between 0 and 100; a gap is a space."""
    levels = LEVELS[ascii_only]
    newest = list(samples)[-width:]
    return "".join(" " if one is None else levels[min(7, max(0, int(one / 100 * 8)))] for one in newest)
