"""What can be changed of a study, in full: what it does, what it is now and was, what was tried. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bertdistill.app.draw.sparks import sparkline
from bertdistill.app.text import format as fmt
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView
from bertdistill.engine.study.sections import shown
from bertdistill.engine.study.space import Parameter, describe

STRIP = 24
"""Cells of the strip of values that were tried."""


def space_facts(view: StudyView, name: str, *, ascii_only: bool = False) -> Iterator[tuple[str, str]]:
    """Of a searched parameter: all it can be, and which values trials had."""
    parameter = next((one for one in view.outline.search if one.name == name), None)
    if parameter is None:
        return
    yield "whole range", describe(parameter)
    found = [value for trial in view.trials if (value := value_of(trial, parameter.name)) is not None]
    if found:
        yield "tried", tried(parameter, found, ascii_only=ascii_only)
        yield "", f"in {len(found)} of {len(view.trials)} trials"


def tried(parameter: Parameter, values: Sequence[Any], *, ascii_only: bool = False) -> str:
    """How often each value was tried: choices by name, numbers as a strip from the lowest to the highest."""
    counts = Counter(values)
    if parameter.kind == "choice" or len(counts) <= STRIP // 4:
        order = list(parameter.choices) or sorted(counts)
        return "  ".join(f"{fmt.setting(value)} ({counts.get(value, 0)})" for value in order)
    low, high = (_place(parameter, end) for end in (parameter.low, parameter.high))
    bins = [0.0] * STRIP
    for value in values:
        share = (_place(parameter, value) - low) / (high - low) if high > low else 0.5
        bins[min(STRIP - 1, max(0, int(share * STRIP)))] += 1
    strip = sparkline(bins, STRIP, ascii_only=ascii_only)
    return f"{fmt.setting(parameter.low)} {strip} {fmt.setting(parameter.high)}"


def _place(parameter: Parameter, value: Any) -> float:
    return math.log(value) if parameter.log else float(value)


def key_facts(section: Any, name: str) -> Iterator[tuple[str, str]]:
    """Of a key of the study file: its default and limits."""
    field = next((one for one in dataclasses.fields(section) if one.name == name), None)
    if field is None:
        return
    if field.default is not dataclasses.MISSING:
        yield "by itself", shown(field.default) or "empty"
    low, high = field.metadata.get("low"), field.metadata.get("high")
    ends = [f"at least {shown(low)}"] * (low is not None) + [f"at most {shown(high)}"] * (high is not None)
    yield "limits", ", ".join(ends)
    if choices := field.metadata.get("choices"):
        yield "can be", ", ".join(map(shown, choices))
