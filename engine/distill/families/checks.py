"""Whether model, tokenizer and classes fit together, checked before any training. It loads no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.engine.contract.errors import ConfigError


def check_vocabulary_size(tokenizer: Any, rows: int, named: str) -> None:
    """Refuse a tokenizer with ids beyond the embeddings: lookups would crash, on a GPU with an assertion."""
    vocabulary = tokenizer.get_vocab()
    beyond = sorted((index, token) for token, index in vocabulary.items() if index >= rows)
    if beyond:
        raise ConfigError(
            f"{named}: its tokenizer has {len(vocabulary)} entries, but the model has {rows} embeddings: none for "
            f"{', '.join(repr(token) for _, token in beyond[:3])}",
            hint="call resize_token_embeddings and save the model again, or restore the original tokenizer files",
        )


def class_order(config: Mapping[str, Any], labels: Sequence[str], *, given: bool, named: str) -> str:
    """A warning if classes can only be matched by position, "" if by name or in an order given by the user.

    Raises ConfigError if positions would be a guess: the model numbers its classes (LABEL_0 ...), and the labels are
    words in sorted order.
    """
    raw = config.get("id2label") or _unnamed(config)
    stored = [str(raw[key]).casefold() for key in sorted(raw, key=int)]
    wanted = [name.casefold() for name in labels]
    if given or len(stored) != len(wanted) or sorted(stored) == sorted(wanted):
        return ""
    numbered, numbers = _numbered(stored), _numbered(wanted)
    if numbered and not numbers:
        raise ConfigError(
            f"{named} names its classes {raw_names(raw)}, so it is unknown which of them are {', '.join(labels)}",
            hint="list the labels in data.labels in the order of the model's classes, or add [teacher.fine_tune]",
        )
    if numbers and not numbered:
        return (
            f"{named}: the labels {', '.join(labels)} are matched to its classes {raw_names(raw)} by position; "
            "if that is wrong, list the names in data.labels in the order of the data's numbers"
        )
    return ""


def raw_names(names: Mapping[str, Any]) -> str:
    """The classes of a config.json in order."""
    return ", ".join(str(names[key]) for key in sorted(names, key=int))


def _unnamed(config: Mapping[str, Any]) -> Mapping[str, str]:
    """The classes of a config without names: transformers omits the names of two numbered ones."""
    headed = any(str(name).endswith("ForSequenceClassification") for name in config.get("architectures") or ())
    return {"0": "LABEL_0", "1": "LABEL_1"} if headed else {}


def _numbered(names: Sequence[str]) -> bool:
    return all(name.removeprefix("label_") == str(i) for i, name in enumerate(names))
