"""The n-grams of the training texts, counted once by the preparation and chosen from by every student of `linear`.

A count is the number of texts that contain the n-gram, as for `min_df` and the idf of scikit-learn. It fits nothing.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertdistill.engine.contract.facts import NGramCounts, Prepared, Units
from bertdistill.engine.contract.spec import MOST_COUNT
from bertdistill.engine.distill.data.batches import collate, pad_edges
from bertdistill.engine.distill.data.caches import Say, build_once, cache_key
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.linear_net import NO_KEY, NGrams
from bertdistill.engine.families.linear import LinearPlan

ROWS = 1000
"""Texts whose n-grams are found at once."""
KEYS, COUNTS = "keys.npy", "counts.npy"

Longs = npt.NDArray[np.int64]


def ngrams_of(units: Units, *, pairs: bool) -> NGrams:
    """How n-grams of these units are numbered."""
    return NGrams(units.size, units.special_ids, units.separator_id, 2 if pairs else 1)


def with_ngrams(
    units: Units,
    features: Features,
    labelled: int,
    longest: int,
    caches: Path,
    say: Say = lambda text: None,
    *,
    pairs: bool,
) -> Units:
    """`units` with the n-grams of the training features, the first `labelled` of which have labels."""
    ngrams, whole = (
        _ngrams(units, features, count, longest, caches, say, pairs=pairs) for count in (labelled, len(features))
    )
    return dataclasses.replace(units, ngrams=ngrams, whole_ngrams=whole)


def _ngrams(
    units: Units, features: Features, texts: int, longest: int, caches: Path, say: Say, *, pairs: bool
) -> NGramCounts:
    """The n-grams of the first `texts` features, cached. The files hold shorter ones first, then more frequent ones."""
    numbering = ngrams_of(units, pairs=pairs)
    key = cache_key(
        features=features.folder.name,
        texts=texts,
        longest=longest,
        special=list(units.special_ids),
        separator=units.separator_id,
        pairs=pairs,
    )

    def build(temporary: Path) -> None:
        keys, counts = _counted(numbering, features, texts, longest, units.pad_id)
        orders = numbering.order(torch.from_numpy(keys)).numpy()
        order = np.lexsort((keys, -counts, orders))
        np.save(temporary / KEYS, keys[order])
        np.save(temporary / COUNTS, counts[order].astype(np.int32))

    folder = build_once(caches / "ngrams" / key, build, say)
    keys, counts = _read(folder)
    orders = numbering.order(torch.from_numpy(keys)).numpy()
    table = tuple(_at_least(counts[orders == n]) for n in range(1, longest + 1))
    return NGramCounts(table, texts, str(folder))


def chosen(plan: LinearPlan, facts: Prepared) -> tuple[Tensor, Tensor]:
    """The features of a student: keys (features,) in ascending order, and their inverse document frequencies.

    idf = ln((1 + texts) / (1 + count)) + 1, the smooth idf of scikit-learn.
    """
    units, source = facts.units_of(plan.units), plan.counts(facts)
    keys, counts = _read(Path(source.folder))
    orders = ngrams_of(units, pairs=bool(facts.pairs)).order(torch.from_numpy(keys)).numpy()
    allowed = np.flatnonzero((orders <= plan.ngrams) & (counts >= plan.min_count))
    kept = allowed[np.argsort(-counts[allowed], kind="stable")[: plan.features]]
    kept = kept[np.argsort(keys[kept])]
    idf = np.log((1 + source.texts) / (1 + counts[kept])) + 1
    return torch.from_numpy(keys[kept]), torch.from_numpy(idf.astype(np.float32))


def _counted(numbering: NGrams, features: Features, texts: int, longest: int, pad_id: int) -> tuple[Longs, Longs]:
    """The distinct n-grams and the number of texts that contain each."""
    edges, found = pad_edges(features.lengths), []
    for first in range(0, texts, ROWS):
        batch = collate(features, np.arange(first, min(first + ROWS, texts)), edges=edges, pad_id=pad_id)
        keys = numbering.keys(batch.input_ids, batch.attention_mask, longest).sort(dim=1).values
        repeated = torch.zeros_like(keys, dtype=torch.bool)
        repeated[:, 1:] = keys[:, 1:] == keys[:, :-1]
        found.append(keys[(keys != NO_KEY) & ~repeated].numpy())
    return np.unique(np.concatenate(found), return_counts=True)


def _at_least(counts: npt.NDArray[np.int32]) -> tuple[int, ...]:
    """How many of the counts reach 1, 2 … MOST_COUNT."""
    return tuple(int(np.count_nonzero(counts >= least)) for least in range(1, MOST_COUNT + 1))


def _read(folder: Path) -> tuple[Longs, npt.NDArray[np.int32]]:
    return np.load(folder / KEYS, allow_pickle=False), np.load(folder / COUNTS, allow_pickle=False)
