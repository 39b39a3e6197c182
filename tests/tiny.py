"""Tiny random checkpoints with fitting tokenizers, in the plain transformers layout. It trains nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    BertTokenizer,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertModel,
    MobileBertConfig,
    MobileBertForQuestionAnswering,
    MobileBertForSequenceClassification,
    MobileBertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaModel,
    RobertaTokenizer,
)

Kind = Literal["bert", "distilbert", "roberta", "mobilebert"]
Head = Literal["none", "qa", "cls"]

TEXTS = (
    "The quick brown fox jumps over the lazy dog near the old river.",
    "Where does the fox jump? Who sleeps under the tall tree in May?",
    "In 1912 a clever engineer built 42 bridges of steel, wood and stone!",
    "A good film, a bad film: what a dull, bright and wonderful story.",
)
MODELS: dict[tuple[str, str], type[PreTrainedModel]] = {
    ("bert", "none"): BertModel,
    ("bert", "qa"): BertForQuestionAnswering,
    ("bert", "cls"): BertForSequenceClassification,
    ("distilbert", "none"): DistilBertModel,
    ("distilbert", "qa"): DistilBertForQuestionAnswering,
    ("distilbert", "cls"): DistilBertForSequenceClassification,
    ("roberta", "none"): RobertaModel,
    ("roberta", "qa"): RobertaForQuestionAnswering,
    ("roberta", "cls"): RobertaForSequenceClassification,
    ("mobilebert", "none"): MobileBertModel,
    ("mobilebert", "qa"): MobileBertForQuestionAnswering,
    ("mobilebert", "cls"): MobileBertForSequenceClassification,
}


def make_checkpoint(
    folder: Path,
    kind: Kind,
    *,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    ffn: int = 64,
    texts: Sequence[str] = TEXTS,
    head: Head = "none",
    labels: int = 2,
    positions: int = 128,
    seed: int = 0,
) -> Path:
    """Write a random checkpoint of `kind` and the tokenizer trained on `texts`; returns `folder`.

    `positions` is the longest input in tokens. Weights are drawn wide, so that outputs differ visibly.
    """
    tokenizer = make_tokenizer(kind, texts)
    config = _config(kind, len(tokenizer), tokenizer.pad_token_id, layers, hidden, heads, ffn, positions)
    config.num_labels = 2 if head == "qa" else labels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS[kind, head](config)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(kind: Kind, texts: Sequence[str] = TEXTS) -> Any:
    """A WordPiece (bert, distilbert) or byte-level BPE (roberta) tokenizer that knows every character of `texts`."""
    return _byte_level(texts) if kind == "roberta" else _word_piece(texts)


def _word_piece(texts: Sequence[str]) -> BertTokenizer:
    """Every word and every character of the texts. Not trained: the trainer's ids change from call to call."""
    normalizer, splitter = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))}
    characters = {character for word in words for character in word}
    pieces = sorted(words | characters | {f"##{character}" for character in characters})
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *pieces])}
    return BertTokenizer(vocab=vocab, model_max_length=512)


def _byte_level(texts: Sequence[str]) -> RobertaTokenizer:
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = [tuple(pair) for pair in _merges(tokenizer)]
    return RobertaTokenizer(vocab=_by_id(tokenizer), merges=merges, model_max_length=512)


def _by_id(tokenizer: Tokenizer) -> dict[str, int]:
    return dict(sorted(tokenizer.get_vocab().items(), key=lambda item: item[1]))


def _merges(tokenizer: Tokenizer) -> list[list[str]]:
    return list(json.loads(tokenizer.to_str())["model"]["merges"])


def _config(
    kind: Kind, vocab: int, pad: int, layers: int, hidden: int, heads: int, ffn: int, positions: int
) -> BertConfig | DistilBertConfig | RobertaConfig | MobileBertConfig:
    if kind == "distilbert":
        return DistilBertConfig(
            vocab_size=vocab,
            max_position_embeddings=positions,
            dim=hidden,
            hidden_dim=ffn,
            n_layers=layers,
            n_heads=heads,
            pad_token_id=pad,
            initializer_range=0.2,
        )
    if kind == "mobilebert":
        return MobileBertConfig(
            vocab_size=vocab,
            max_position_embeddings=positions,
            hidden_size=hidden,
            intermediate_size=ffn,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            pad_token_id=pad,
            embedding_size=hidden // 4,
            intra_bottleneck_size=hidden // 2,
            num_feedforward_networks=2,
            initializer_range=0.2,
        )
    offset, types, cls = (pad + 1, 1, RobertaConfig) if kind == "roberta" else (0, 2, BertConfig)
    return cls(
        vocab_size=vocab,
        max_position_embeddings=positions + offset,
        type_vocab_size=types,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        pad_token_id=pad,
        initializer_range=0.2,
    )
