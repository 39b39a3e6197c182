"""The method of a trial, in words: its recipe, or which of the known compressions its settings use.

Pure. A new method is one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bertdistill.engine.families.table import FAMILIES

WHOLE = "whole model"
"""A student of the initial model's sizes in fp32, trained without intermediate losses."""
NONE = ("none", "fp32", "", None)

Word = Callable[[Any], str]
"""What a value means, '' if it changes nothing."""


def _on(word: str) -> Word:
    return lambda value: word if isinstance(value, (int, float)) and value > 0 else ""


def _itself(value: Any) -> str:
    return "" if value in NONE else str(value)


METHODS: tuple[tuple[str, Word], ...] = (
    ("layers", _on("layers")),
    ("layer_list", lambda value: "layers" if value else ""),
    ("heads", _on("heads")),
    ("ffn_size", _on("FFN")),
    ("ffn_list", lambda value: "FFN" if value else ""),
    ("hidden_size", _on("width")),
    ("embedding_rank", _on("low-rank embeddings")),
    ("vocab_size", _on("vocabulary")),
    ("weights", _itself),
    ("pruning", lambda value: f"{_itself(value)} pruning" if _itself(value) else ""),
    ("separate_layers", _on("DeFormer")),
    ("hidden_weight", _on("PKD")),
    ("states_weight", _on("TinyBERT")),
    ("attention_weight", _on("TinyBERT")),
    ("relation_weight", _on("MiniLM")),
    ("map_weight", _on("MobileBERT")),
    ("attention_map_weight", _on("MobileBERT")),
    ("projection_weight", _on("shared projection")),
    ("dual_share", _on("dual training")),
)
"""Settings of a transformer that make a method of their own, in the order in which they are named."""


def method_of(settings: Mapping[str, Any]) -> str:
    """The recipe, else the family of other networks, else the compressions in use, such as `FFN + vocabulary + int8`.

    Empty for a trial without a family, logged by another program.
    """
    if recipe := str(settings.get("recipe") or ""):
        return recipe
    family = str(settings.get("family") or "")
    if family != "transformer":
        return family
    used = FAMILIES[family].settings
    named = [word(settings[key]) for key, word in METHODS if key in used and key in settings]
    return " + ".join(_each(named)) or WHOLE


def _each(words: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(word for word in words if word)
