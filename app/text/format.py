"""Numbers, times and states to short text with units. Pure: it reads no clock and prints nothing."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from bertdistill.engine.contract.metrics import COUNTS
from bertdistill.engine.tasks.table import METRICS

NONE = "–"
"""Stands for a value that is not there; zero is a value."""

STATES: dict[str, tuple[str, str]] = {
    "waiting": ("…", "."),
    "running": ("▶", ">"),
    "complete": ("✓", "+"),
    "pruned": ("✂", "/"),
    "infeasible": ("⊘", "o"),
    "failed": ("✗", "x"),
    "stopped": ("■", "#"),
    "paused": ("‖", "="),
    "preparing": ("▶", ">"),
    "no runner": ("✗", "x"),
}
"""Glyph of each state, and the one for terminals without Unicode. The word always stands beside it."""

_SIZES = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def state(name: str, *, ascii_only: bool = False) -> str:
    """`✓ complete`: a glyph and the word, so that neither colour nor font carries the meaning."""
    glyphs = STATES.get(name)
    return name if glyphs is None else f"{glyphs[ascii_only]} {name}"


def study_state(state: str, *, alive: bool, kinds: Collection[str]) -> str:
    """What a study does now, in one word everywhere. `kinds` are those of its attempts that run now.

    One that is to run may have no runner, prepare its data, or wait until a slot is free.
    """
    if state != "running":
        return state
    return "no runner" if not alive else "preparing" if "prepare" in kinds else "running" if kinds else "waiting"


def count(value: float | None) -> str:
    """A count in three digits: `66.4M`, `14.2k`, `999`."""
    if value is None or not math.isfinite(value):
        return NONE
    for suffix, size in _SIZES:
        if abs(value) >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.{2 if abs(scaled) < 9.995 else 1 if abs(scaled) < 99.95 else 0}f}{suffix}"
    return f"{value:.0f}"


def exact(value: float | None) -> str:
    """A count with every digit: `66,364,418`."""
    return NONE if value is None or not math.isfinite(value) else f"{int(value):,}"


def metric(name: str, value: float | None, *, unit: bool = False) -> str:
    """A metric's value with the digits that mean something; counts of parameters are shortened."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return NONE
    if name in COUNTS:
        return count(value)
    if name == "bytes":
        return size(value)
    known = METRICS.get(name)
    if known is None:
        return setting(value)
    if (
        known.unit == "%" and known.direction == "maximize" and 0 < abs(value) <= 1
    ):  # a logged run counts it from 0 to 1
        return f"{value:.{known.decimals + 2}f}"
    # A tiny model has tiny sizes: three digits there say more than 0.0 would.
    tiny = 0 < abs(value) < 10**-known.decimals
    text = f"{value:.3g}" if tiny else f"{value:.{known.decimals}f}"
    return text + (f" {known.unit}" if unit and known.unit else "")


def spread(name: str, value: float | None) -> str:
    """How far a metric varies, with the digits of the metric itself: next to 87.30, 0.0637 is 0.06."""
    known = METRICS.get(name)
    if known is None or known.unit != "%" or not isinstance(value, (int, float)) or not math.isfinite(value):
        return metric(name, value)
    return f"{value:.{known.decimals}f}" if not value or abs(value) >= 10**-known.decimals else f"{value:.2g}"


def loss(value: float) -> str:
    """A loss with three decimals, so that those below each other can be compared; a tiny one with its digits."""
    return f"{value:.3f}" if value == 0 or 0.0095 <= abs(value) < 1000 else f"{value:.2g}"


def rate(value: float) -> str:
    """Units a second: `12.5`, `410`, `15,080`; never with an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else setting(value)


def setting(value: Any) -> str:
    """A parameter's value as a person would type it: `3e-05`, `0.25`, `even`, `true`, `[0, 2]`."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return f"{value:.0f}" if 1e4 <= abs(value) < 1e6 else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(setting(item) for item in value) + "]"
    return str(value)


def settings(values: Mapping[str, Any]) -> str:
    """`alpha=0.5 layers=4`, in the order given."""
    return " ".join(f"{name}={setting(value)}" for name, value in values.items())


def brief(name: str, width: int, *, ascii_only: bool = False) -> str:
    """A parameter's name for `width` cells: the family is cut, not the key, as in `trans….layers`.

    A long key may still need more; its owner cuts it as any text.
    """
    family, dot, key = name.partition(".")
    if not dot or len(name) <= width:
        return name
    return f"{family[: max(1, width - len(key) - 2)]}{'~' if ascii_only else '…'}.{key}"


def end_of_path(path: str, width: int) -> str:
    """A path in `width` cells: of one that is longer the end, which tells files of one folder apart."""
    from rich.cells import cell_len  # only foreign names need it

    if cell_len(path) <= width:
        return path
    kept = path[len(path) - max(0, width - 1) :] if width > 1 else ""
    while cell_len(kept) > max(0, width - 1):
        kept = kept[1:]
    return f"…{kept}"


def duration(seconds: float | None) -> str:
    """`45s`, `3m 05s`, `3h 12m`, `2d 4h`."""
    if seconds is None or not math.isfinite(seconds):
        return NONE
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def size(number: float | None) -> str:
    """Bytes in powers of ten: `1.4 GB`, `350 MB`, `12 kB`."""
    if number is None or not math.isfinite(number):
        return NONE
    for suffix, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(number) >= factor:
            scaled = number / factor
            return f"{scaled:.1f} {suffix}" if scaled < 99.95 else f"{scaled:.0f} {suffix}"
    return f"{number:.0f} B"


def signed(value: float | None, decimals: int = 2) -> str:
    """A difference with its sign: `+1.20`, `-0.35`."""
    return NONE if value is None or not math.isfinite(value) else f"{value:+.{decimals}f}"


def gain(value: float | None) -> str:
    """What a trial added to the hypervolume: `+0.021`, `<0.001`, or `0`; `-0.032` where a repeat took from it. Empty
    without one.
    """
    if value is None:
        return ""
    if value <= -SMALLEST_GAIN:
        return f"{value:.3f}"
    return f"+{value:.3f}" if value >= SMALLEST_GAIN else f"<{SMALLEST_GAIN:g}" if value > 0 else "0"


def bar(fraction: float, width: int = 14, *, ascii_only: bool = False) -> str:
    """A progress bar of `width` characters; `fraction` is cut to 0–1."""
    full = round(min(1.0, max(0.0, fraction)) * width) if math.isfinite(fraction) else 0
    on, off = ("#", ".") if ascii_only else ("━", "─")
    return on * full + off * (width - full)


def arrow(direction: str, *, ascii_only: bool = False) -> str:
    """How an objective points: up to maximise, down to minimise."""
    words = ("max", "min") if ascii_only else ("↑", "↓")
    return words[direction == "minimize"]


def value_of(metrics: Mapping[str, Any], name: str) -> float | None:
    """The finite value of a metric, or None."""
    value = metrics.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


SMALLEST_GAIN = 0.001
