"""The embeddings of a smaller vocabulary, taken from those of the initial one. It trains nothing.

A piece that both have keeps its embedding; of any other it is the mean over its old pieces: fast vocabulary transfer
(Gee et al. 2022, arXiv 2402.09977).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.families.vocabulary import size_of


def open_tokenizer(folder: str | Path) -> Any:
    """The tokenizer in a folder; ConfigError if it has none."""
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: its tokenizer cannot be loaded: {error}", hint="rerun the trial") from error


def own_vocabulary(facts: Prepared, units: str) -> tuple[Any, Any] | None:
    """The tokenizers of the initial model and of these units; None if the units are not a smaller vocabulary."""
    if not size_of(units)[1]:
        return None
    return open_tokenizer(facts.vocabulary.tokenizer), open_tokenizer(facts.units_of(units).tokenizer)


def replace_embeddings(net: PreTrainedModel, before: Any, after: Any) -> None:
    """Give the model the vocabulary of the tokenizer `after` in place of that of `before`, in place."""
    old: Any = net.get_input_embeddings()
    pad = after.pad_token_id
    new = nn.Embedding(len(after), old.weight.shape[1], padding_idx=pad)
    with torch.no_grad():
        new.weight.copy_(_rows(old.weight, before, after))
    net.set_input_embeddings(new)
    config: Any = net.config
    config.vocab_size, config.pad_token_id = len(after), pad


def _rows(table: Tensor, before: Any, after: Any) -> Tensor:
    known, model = before.get_vocab(), before.backend_tokenizer.model

    def old(piece: str) -> list[int]:
        # Of a piece inside a word, WordPiece finds the part with the mark, "##tion", among its entries as well.
        return [known[piece]] if piece in known else [part.id for part in model.tokenize(piece)]

    return torch.stack([table[old(piece)].mean(0) for piece in after.convert_ids_to_tokens(range(len(after)))])
