"""The splits of a study as token ids, each tokenised once for everybody who reads it. It knows no models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertdistill.engine.distill.data.examples import Examples, digest
from bertdistill.engine.distill.data.features import Features, build_features, feature_key
from bertdistill.engine.distill.run import Run

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PARTS = {"train": "training", "search": "validation", "report": "report"}
"""The splits as people name them."""


def tokenised(run: Run, examples: Examples, tokenizer: PreTrainedTokenizerBase, part: str) -> Features:
    """The examples in the tokens of this tokenizer, from the cache if they are there. `part` is a key of PARTS."""
    key = feature_key(tokenizer, run.spec.data, run.spec.task, part, digest(examples))
    return build_features(
        examples,
        tokenizer,
        run.spec.data,
        folder=run.caches / "features" / key,
        progress=run.progress(f"tokenising the {PARTS[part]} split", "examples"),
        say=run.warn,
    )
