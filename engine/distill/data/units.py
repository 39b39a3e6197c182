"""The units of texts as tiny students count them: which ids the training texts hold, the most frequent first.

It makes no batches and knows no networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bertdistill.engine.contract.facts import Units
from bertdistill.engine.distill.data.caches import Say, build_once, cache_key
from bertdistill.engine.distill.data.features import Features, padding_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE, COUNT = "frequent.npy", "labelled.npy"
"""The ids, and how many of them the labelled texts hold."""
VERSION = 2
"""Part of the cache key."""

Ids = npt.NDArray[np.int32]


def count_units(
    tokenizer: PreTrainedTokenizerBase,
    folder: str,
    features: Features,
    labelled: int,
    caches: Path,
    say: Say = lambda text: None,
) -> Units:
    """The facts of the tokenizer in `folder` on the training features, the first `labelled` of which have labels.

    Counts are cached in `caches`. Ids that only the others have, the transfer set, stand behind those of the labelled.
    """
    special = sorted({*tokenizer.all_special_ids} - {tokenizer.unk_token_id})
    last = int(features.offsets[labelled])
    key = cache_key(
        version=VERSION,
        features=features.folder.name,
        labelled=labelled,
        special=special,
        unknown=tokenizer.unk_token_id,
    )

    def build(temporary: Path) -> None:
        left_out = [*special, *({tokenizer.unk_token_id} - {None})]
        with_label = by_frequency(features.input_ids[:last], left_out)
        others = by_frequency(features.input_ids[last:], [*left_out, *with_label.tolist()])
        np.save(temporary / FILE, np.concatenate([with_label, others]))
        np.save(temporary / COUNT, len(with_label))

    frequent = build_once(caches / "units" / key, build, say)
    ends = (tokenizer.sep_token_id, tokenizer.eos_token_id)  # T5 ends every text of a pair with its only mark
    pads = (tokenizer.pad_token_id, *special, padding_id(tokenizer))  # never a unit that texts contain, if possible
    return Units(
        vocabulary=int(np.load(frequent / COUNT, allow_pickle=False)) + 2,
        whole_vocabulary=len(frequent_ids(frequent)) + 2,
        size=len(tokenizer),
        mean_length=last / max(labelled, 1),
        pad_id=next(one for one in pads if one is not None),
        separator_id=next((one for one in ends if one is not None), -1),
        special_ids=tuple(special),
        tokenizer=folder,
        frequent=str(frequent),
    )


def by_frequency(ids: npt.NDArray[np.integer], left_out: list[int]) -> Ids:
    """The distinct `ids` without those `left_out`, the most frequent first, in a tie the smaller id."""
    counts = np.bincount(ids)
    counts[[one for one in left_out if one < len(counts)]] = 0
    order = np.argsort(-counts, kind="stable")
    found: Ids = order[: np.count_nonzero(counts)].astype(np.int32)
    return found


def frequent_ids(folder: Path) -> Ids:
    """The ids stored by `count_units`, the most frequent first."""
    found: Ids = np.load(folder / FILE, allow_pickle=False)
    return found
