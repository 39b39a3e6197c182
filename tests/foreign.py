"""Tiny random classifiers of architectures that students are not cut from, with a tokenizer of their own kind each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    DebertaV2Config,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
)

SIZES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "initializer_range": 0.3,
}
POSITIONS = {"max_position_embeddings": 64}
OFFSET = {"max_position_embeddings": 66, "pad_token_id": 1}

CONFIGS: dict[str, Callable[..., Any]] = {
    "albert": lambda **more: AlbertConfig(embedding_size=8, **SIZES, **POSITIONS, **more),
    "deberta-v2": lambda **more: DebertaV2Config(
        relative_attention=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, **SIZES, **POSITIONS, **more
    ),
    "electra": lambda **more: ElectraConfig(embedding_size=8, **SIZES, **POSITIONS, **more),
    "modernbert": lambda **more: ModernBertConfig(**SIZES, **POSITIONS, **more),
    "mpnet": lambda **more: MPNetConfig(**SIZES, **{**OFFSET, **more, "pad_token_id": 1}),
    "xlm-roberta": lambda **more: XLMRobertaConfig(**SIZES, **{**OFFSET, **more, "pad_token_id": 1}),
}
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def unigram_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """As SentencePiece models have it: no words, but pieces with a mark for blanks."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = zip(("bos_token", "pad_token", "eos_token", "unk_token", "mask_token"), SPECIAL, strict=True)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer, cls_token="<s>", sep_token="</s>", **dict(names)
    )


def make_foreign(folder: Path, kind: str, texts: Sequence[str], labels: Sequence[str] = ("neg", "pos")) -> Path:
    """Write a random classifier of the architecture `kind` that reads 64 tokens at most; returns `folder`."""
    tokenizer = unigram_tokenizer(texts)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    config = CONFIGS[kind](vocab_size=len(tokenizer), pad_token_id=1, **names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
