"""Smaller WordPiece vocabularies: which pieces stay, in what order, and the tokenizer that has only these.

A word whose pieces all stay is divided as before, because WordPiece takes the longest piece that fits; any other falls
into shorter ones. As every character stays, alone and inside words, no word becomes unknown that was not. It makes no
batches and knows no networks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from bertdistill.engine.distill.data.caches import Say, build_once, cache_key
from bertdistill.engine.distill.data.units import by_frequency
from bertdistill.engine.distill.data.vocabulary import learn_pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 1
"""Part of the cache keys: increment it when the same texts give other pieces."""

Ints = npt.NDArray[np.integer[Any]]


def refused(tokenizer: PreTrainedTokenizerBase) -> str:
    """Why its vocabulary cannot be made smaller; empty if it can."""
    content = _content(tokenizer)
    kind = content["model"]["type"]
    if kind == "BPE":
        return "its tokenizer is BPE, which merges pieces out of shorter ones, so that none can be left out alone"
    if kind != "WordPiece":
        return f"its tokenizer is {kind}, and not WordPiece"
    processor = (content.get("post_processor") or {}).get("type")
    if processor not in ("TemplateProcessing", "BertProcessing", None):
        return f"its tokenizer adds special tokens by {processor}"
    return ""


def inner_mark(tokenizer: PreTrainedTokenizerBase) -> str:
    """What a piece inside a word starts with: ##."""
    return str(_content(tokenizer)["model"]["continuing_subword_prefix"])


def staying(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What every smaller vocabulary keeps, by id: special and added tokens, and all characters."""
    content = _content(tokenizer)
    prefix = inner_mark(tokenizer)
    added = {one["content"] for one in content["added_tokens"]} | {*tokenizer.all_special_tokens}
    vocabulary = tokenizer.get_vocab()
    kept = [piece for piece in vocabulary if piece in added or len(piece.removeprefix(prefix)) == 1]
    return sorted(kept, key=vocabulary.__getitem__)


def ranked_pieces(tokenizer: PreTrainedTokenizerBase, labelled: Ints, others: Ints) -> tuple[list[str], int]:
    """Pieces of the initial vocabulary in the order in which smaller ones take them, and how many labelled texts need.

    First those that always stay, then the others that occur in `labelled` (token ids), the most frequent first, then
    those that occur only in `others`.
    """
    first = staying(tokenizer)
    numbers = tokenizer.get_vocab()
    left_out = [numbers[piece] for piece in first]
    with_label = by_frequency(labelled, left_out).tolist()
    more = by_frequency(others, [*left_out, *with_label]).tolist()
    pieces = [*first, *tokenizer.convert_ids_to_tokens([*with_label, *more])]
    return pieces, len(first) + len(with_label)


def new_pieces(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> tuple[list[str], int]:
    """Pieces of a WordPiece vocabulary trained on the texts, as many as the initial one has or as can be learnt.

    Texts are normalised and divided into words as before. Returns also how many stay in every smaller vocabulary: those
    of `staying`, and the characters of the texts.
    """
    prefix = inner_mark(tokenizer)
    words = _words(tokenizer, texts)
    first = staying(tokenizer)
    known = {*first}
    characters = sorted({character for word in words for character in word})
    for form in ("", prefix):
        first += [form + one for one in characters if form + one not in known]
    return learn_pieces(words, first, len(tokenizer), prefix), len(first)


def _words(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> Counter[str]:
    backend = tokenizer.backend_tokenizer
    counts: Counter[str] = Counter()
    for text in texts:
        normal = backend.normalizer.normalize_str(text) if backend.normalizer else text
        counts.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(normal))
    return counts


# ------------------------------------------------------------------------------------------------------------- on disk


def save_pieces(folder: Path, kind: str, pieces: Sequence[str]) -> None:
    """Write the pieces of a kind of vocabulary into the folder."""
    (folder / f"{kind}.json").write_text(json.dumps(list(pieces), ensure_ascii=True), encoding="utf-8")


def load_pieces(folder: Path, kind: str) -> list[str]:
    """What `save_pieces` wrote."""
    found: list[str] = json.loads((folder / f"{kind}.json").read_text(encoding="utf-8"))
    return found


def smaller_tokenizer(
    initial: str, pieces: Sequence[str], caches: Path, say: Say = lambda text: None
) -> tuple[PreTrainedTokenizerBase, Path]:
    """The tokenizer in the folder `initial` with these pieces alone, numbered in this order, and its folder."""
    from transformers import AutoTokenizer  # only where it is needed: it takes a second

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(initial, trust_remote_code=False)
    key = cache_key(
        version=VERSION,
        tokenizer=_content(tokenizer),
        around=[type(tokenizer).__name__, tokenizer.model_input_names, tokenizer.model_max_length],
        pieces=list(pieces),
    )
    folder = caches / "tokenizers" / key
    build_once(folder, lambda temporary: _write(tokenizer, pieces, temporary), say)
    found: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return found, folder


def _write(tokenizer: PreTrainedTokenizerBase, pieces: Sequence[str], folder: Path) -> None:
    """Its files with another vocabulary: normalisation, words, special tokens and their places are as before."""
    tokenizer.save_pretrained(folder)
    for stale in folder.glob("vocab*"):
        stale.unlink()
    content = _content(tokenizer)
    numbers = {piece: index for index, piece in enumerate(pieces)}
    content["model"]["vocab"] = numbers
    for one in content["added_tokens"]:
        one["id"] = numbers[one["content"]]
    _renumber(content.get("post_processor") or {}, numbers)
    Tokenizer.from_str(json.dumps(content)).save(str(folder / "tokenizer.json"))


def _renumber(processor: dict[str, Any], numbers: dict[str, int]) -> None:
    for one in processor.get("special_tokens", {}).values():
        one["ids"] = [numbers[token] for token in one["tokens"]]
    for name in ("cls", "sep"):
        if isinstance(pair := processor.get(name), list):
            processor[name] = [pair[0], numbers[pair[0]]]


def _content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Its tokenizer.json, without what changes by use."""
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return content | {"truncation": None, "padding": None}
