"""Feed-forward widths of a student by layer: how many neurons are left where the initial model has more.

Pure arithmetic on what the preparation reported; which neurons are left is decided in `distill.families.selection`.
"""

from __future__ import annotations

from collections.abc import Sequence

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings

BLOCKS = 64
"""Neurons of a layer are allocated in so many blocks: a study stores 64 numbers a layer instead of thousands."""


def importance_blocks(neurons: Sequence[float]) -> tuple[float, ...]:
    """Mean importance of the neurons of one layer in `BLOCKS` equal blocks, the most important ones first."""
    ranked = sorted(map(float, neurons), reverse=True)
    means = (sum(ranked[start:end]) / (end - start) for start, end in _edges(len(ranked)))
    return tuple(float(f"{mean:.4g}") for mean in means)  # more digits would only make every spec.json longer


def ffn_widths(
    full: int, kept_layers: Sequence[int], settings: Settings, blocks: Sequence[Sequence[float]]
) -> tuple[int, ...]:
    """Neurons left in each layer of which the initial model has `full`.

    even: `ffn_size` in each. global: so many on average, those of all layers with the highest importance. list: those
    of `ffn_list`. `blocks` are the `importance_blocks` of the initial model's layers; where they are unknown, and in a
    layer that is not one of them, every layer gets `ffn_size`. ConfigError if the initial model has fewer, or if a list
    is not one of these layers.
    """
    if settings.ffn_choice == "list":
        return _listed(full, len(kept_layers), settings)
    wanted = settings.ffn_size or full
    if wanted > full:
        raise ConfigError(
            f"settings.ffn_size is {wanted}, but the feed-forward layers of the initial model have {full} neurons",
            hint=f'use 1 to {full}, omit ffn_size, or set student.init = "scratch"',
        )
    widths = [wanted] * len(kept_layers)
    if settings.ffn_choice == "global" and wanted < full:
        known = [place for place, layer in enumerate(kept_layers) if 0 <= layer < len(blocks)]
        found = _allocated(full, [blocks[kept_layers[place]] for place in known], wanted)
        for place, width in zip(known, found, strict=True):
            widths[place] = width
    return tuple(widths)


def _listed(full: int, layers: int, settings: Settings) -> tuple[int, ...]:
    widths = tuple(settings.ffn_list)
    if len(widths) != layers or not all(1 <= width <= full for width in widths):
        raise ConfigError(
            f"settings.ffn_list is {list(widths)}, but the student has {layers} layers of at most {full} neurons",
            hint=f"list {layers} numbers from 1 to {full}",
        )
    if settings.ffn_size:
        raise ConfigError(
            f'settings.ffn_size is {settings.ffn_size}, but settings.ffn_choice is "list"',
            hint="omit settings.ffn_size",
        )
    return widths


def _allocated(full: int, layers: Sequence[Sequence[float]], mean: int) -> list[int]:
    """Widths whose sum is `mean` for each layer. Blocks of a layer descend, so what is kept of it is the highest."""
    edges = _edges(full)
    widths = [min(mean, edges[0][1])] * len(layers)  # no layer may lose all of its neurons
    left = mean * len(layers) - sum(widths)
    ranked = sorted((-value, block, place) for place, row in enumerate(layers) for block, value in enumerate(row))
    for _, block, place in ranked:
        start, end = edges[block]
        size = min(left, end - max(start, widths[place]))
        if size > 0:
            widths[place] += size
            left -= size
    return widths


def _edges(neurons: int) -> list[tuple[int, int]]:
    count = min(BLOCKS, neurons)
    return [(neurons * block // count, neurons * (block + 1) // count) for block in range(count)]
