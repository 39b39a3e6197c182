"""The family `transformer` in an export: plain transformers format, or `modeling.py` where that cannot express it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.contract.spec import FP16, FP32, INT4, INT8
from bertdistill.engine.distill.export.card import CardFacts, Description
from bertdistill.engine.distill.export.onnx_file import trace
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.encoder import UNITS
from bertdistill.engine.distill.families.model import FORM
from bertdistill.engine.distill.families.transformer import KEPT_HEADS, accepts_token_types, load_student
from bertdistill.engine.families.encoder_plan import (
    EMBEDDING_RANK,
    FFN_SIZES,
    KEPT_WIDTH,
    SEPARATE_LAYERS,
    Shape,
    unpruned_shape,
)
from bertdistill.engine.families.table import unused
from bertdistill.engine.families.vocabulary import size_of
from bertdistill.engine.tasks.table import TASKS


class EncoderFormat:
    """See `distill.export.format.Format`."""

    def __init__(self, folder: Path) -> None:
        self.model: Any
        self.model, self.kept_heads = load_student(folder)
        self._config = json.loads((folder / "config.json").read_text(encoding="utf-8"))

    @property
    def outputs(self) -> tuple[str, ...]:
        return ("start_logits", "end_logits") if hasattr(self.model, "qa_outputs") else ("logits",)

    @property
    def pruned(self) -> bool:
        """Whether plain transformers cannot load it, as its config does not describe sizes that were cut."""
        own = ffn_sizes(self.model) or size_in(self.model, KEPT_WIDTH) or size_in(self.model, EMBEDDING_RANK)
        return is_pruned(self.model, self.kept_heads) or bool(own)

    @property
    def separate(self) -> int:
        """The number of its layers that read the segments of an input separately, which transformers does not know."""
        return size_in(self.model, SEPARATE_LAYERS)

    @property
    def form(self) -> str:
        """Number format of the weights in the file."""
        return str(self._config.get(FORM, FP32))

    @property
    def plain(self) -> bool:
        """Whether transformers can load it."""
        return not self.pruned and not self.separate and self.form in (FP32, FP16)

    @property
    def modeling(self) -> str:
        return "" if self.plain else standalone.__file__

    def config(self) -> dict[str, Any]:
        plain = {key: value for key, value in self._config.items() if key != KEPT_HEADS}
        return plain | (
            {KEPT_HEADS: [list(kept) for kept in self.kept_heads]} if is_pruned(self.model, self.kept_heads) else {}
        )

    def tokenizer(self, tokenizer: Any) -> Any:
        own = copy.deepcopy(tokenizer)
        if not accepts_token_types(self.model):
            own.model_input_names = [name for name in own.model_input_names if name != "token_type_ids"]
            own.init_kwargs["model_input_names"] = own.model_input_names
        shape = unpruned(self.model)
        own.model_max_length = min(own.model_max_length, shape.longest_input)
        return own

    def probe(self, batch: int, length: int) -> dict[str, Tensor]:
        return _probe(self.model, batch, length)

    def logits(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return _logits(self.model, inputs)

    def exported(self, folder: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return _logits(standalone.load(folder), inputs)

    def write_onnx(self, path: Path) -> None:
        inputs = self.probe(2, 9)
        trace(_Positional(self.model, list(inputs)), inputs, self.outputs, path)

    def describe(self, facts: CardFacts, *, onnx: bool) -> Description:
        config = self.model.config
        pruned, sizes = is_pruned(self.model, self.kept_heads), ffn_sizes(self.model)
        left = ", ".join(str(len(kept)) for kept in self.kept_heads) if pruned else config.num_attention_heads
        widths = f", feed-forward sizes {', '.join(map(str, sizes))} (by layer)" if sizes else ""
        apart = f", the lower {self.separate} layers read question and passage separately" if self.separate else ""
        return Description(
            f"A {config.model_type} model for {facts.task} with {config.num_hidden_layers} layers of width "
            f"{unpruned(self.model).hidden_size}{widths} and {left} attention heads"
            f"{' (by layer)' if pruned else ''}{apart}",
            self.loading(facts, onnx=onnx),
            _settings_rows(facts, self.model, pruned=pruned),
            "transformers" if self.plain else "pytorch",
            (
                *["pruned-heads"] * pruned,
                *["pruned-feed-forward"] * bool(sizes),
                *["projected"] * bool(size_in(self.model, KEPT_WIDTH)),
                *["low-rank-embeddings"] * bool(size_in(self.model, EMBEDDING_RANK)),
                *["separate-layers"] * bool(self.separate),
                *[self.form] * (self.form != FP32),
            ),
        )

    def loading(self, facts: CardFacts, *, onnx: bool) -> str:
        """How it is loaded and asked, for its card."""
        why = [*[_PRUNED] * self.pruned, *[_APART] * bool(self.separate)]
        why += [_PACKED[self.form]] if self.form in _PACKED else []
        code = _load_code(facts, "" if why else type(self.model).__name__)
        parts = [*why, _OWN, code] if why else [code]
        return "\n\n".join([*parts, *([_ONNX] if onnx else [])])


def is_pruned(model: Any, kept_heads: Sequence[Sequence[int]]) -> bool:
    """Whether any layer has fewer heads than its config says."""
    return any(len(kept) < model.config.num_attention_heads for kept in kept_heads)


def ffn_sizes(model: Any) -> list[int]:
    """Feed-forward size of every layer; empty if all have the same."""
    return list(getattr(model.config, FFN_SIZES, None) or ())


def unpruned(model: Any) -> Shape:
    """The shape that its config describes, without what was removed from single layers."""
    shape = unpruned_shape(model.config.to_dict())
    return replace(shape, hidden_size=size_in(model, KEPT_WIDTH) or shape.hidden_size)


def size_in(model: Any, key: str) -> int:
    """The value of one of our own keys in its config; 0 where it is as plain transformers have it."""
    return int(getattr(model.config, key, None) or 0)


def _settings_rows(facts: CardFacts, model: Any, *, pruned: bool) -> dict[str, Any]:
    """The effective settings: sizes are those of the model, and settings without effect are omitted."""
    rows, settings, config = asdict(facts.settings), facts.settings, model.config
    shape = unpruned(model)
    kept = getattr(config, KEPT_HEADS, None)
    rows |= {"layers": shape.layers, "heads": [len(layer) for layer in kept] if pruned and kept else shape.heads}
    rows |= {
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.hidden_size,
        "ffn_size": ffn_sizes(model) or shape.ffn_size,
        "head_size": shape.head_size,
    }
    idle = {"layer_choice", "ffn_choice"} if not facts.init else set()
    idle |= {"ffn_choice"} if not (settings.ffn_size or settings.ffn_list) else set()
    idle |= {"ffn_list"} if settings.ffn_choice != "list" else set()
    idle |= {key for key in ("embedding_rank", "separate_layers") if not getattr(settings, key)}
    idle |= {"layer_list"} if settings.layer_choice != "list" else set()
    idle |= {"head_choice"} if not pruned else set()
    idle |= {"head_seed"} if not pruned or settings.head_choice != "random" else set()
    idle |= {"vocab_size", "vocabulary"} if not size_of(str(getattr(config, UNITS, "")))[1] else set()
    idle |= unused(settings)
    return {name: value for name, value in rows.items() if name not in idle}


_ASK = {
    True: """question, passage = "Who wrote it?", "Ada wrote it."
inputs = tokenizer(question, passage, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
start, end = outputs.start_logits[0], outputs.end_logits[0]
inside = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])  # tokens of the passage
spans = (inside[:, None] & inside).triu().tril({reach})  # at most {length} tokens
scores = (start[:, None] + end).masked_fill(~spans, -torch.inf)
first, last = divmod(int(scores.argmax()), len(end))
answer = passage[inputs.token_to_chars(0, first).start : inputs.token_to_chars(0, last).end].strip()
""",
    False: """inputs = tokenizer("A wonderful story.", return_tensors="pt")
probabilities = model(**inputs).logits[0].softmax(-1)
print({model.config.id2label[i]: round(p, 3) for i, p in enumerate(probabilities.tolist())})""",
}


_ABSTAIN = """null_score = start[0] + end[0]
if null_score - scores.max() > {threshold!r}:  # null_threshold in config.json
    answer = ""  # the passage does not say
"""


def _ask_code(facts: CardFacts) -> list[str]:
    """Example code for one question or text, by the rule that scored the model (for a passage of one window)."""
    if not TASKS[facts.task].spans:
        return [_ASK[TASKS[facts.task].spans]]
    length = facts.data.max_answer_length
    code = _ASK[TASKS[facts.task].spans].format(reach=length - 1, length=length)
    code += "" if facts.null_threshold is None else _ABSTAIN.format(threshold=facts.null_threshold)
    return [f"{code}print(answer)"]


_PRUNED = (
    "Attention heads were removed from this model, its layers have different feed-forward sizes, its hidden states are "
    "smaller than its heads together, or its word embeddings are of low rank, which the plain format cannot express. "
    "`from_pretrained` of transformers refuses it (and with `ignore_mismatched_sizes` would fill it with random "
    "weights)."
)
_APART = (
    "The lower layers of this model read the two segments of an input separately, each with positions from 0, which "
    "the plain format cannot express: `from_pretrained` of transformers would load it and give other answers."
)
_PACKED = {
    INT8: "Its weights are packed: 8 bits with a scale for each row, vectors in fp16.",
    INT4: "Its weights are packed: embeddings in 4 bits with a scale for each 32, other matrices in 8 bits with a "
    "scale for each row, vectors in fp16.",
}
_OWN = "`modeling.py` next to this file builds it, in fp32. It needs torch, transformers and safetensors."
_ONNX = "`model.onnx` holds the same model for ONNX Runtime; batch size and length are dynamic."


def _load_code(facts: CardFacts, class_name: str) -> str:
    """Code that loads the model by that class of transformers, or without one by `modeling.py`, and asks it."""
    lines = ["```python", 'folder = "."  # the folder of this file', ""]
    lines += [] if class_name else ["import sys", ""]
    lines += ["import torch"] if TASKS[facts.task].spans or class_name else []
    if class_name:
        lines += [f"from transformers import AutoTokenizer, {class_name}", ""]
        lines += [f"model = {class_name}.from_pretrained(folder, dtype=torch.float32).eval()"]
    else:
        lines += ["from transformers import AutoTokenizer", "", "sys.path.insert(0, folder)"]
        lines += ["from modeling import load", "", "model = load(folder)"]
    lines += ["tokenizer = AutoTokenizer.from_pretrained(folder)", *_ask_code(facts), "```"]
    return "\n".join(lines)


def _probe(model: Any, batch: int, length: int) -> dict[str, Tensor]:
    """Synthetic inputs of (batch, length) whose last row ends in padding if there is room."""
    config = model.config
    length = min(length, config.max_position_embeddings - (config.pad_token_id or 0) - 1)
    pad = config.pad_token_id or 0
    ids = torch.arange(batch * length).reshape(batch, length) % max(config.vocab_size - pad - 1, 1) + pad + 1
    mask = torch.ones_like(ids)
    if batch > 1 and length > 2:
        ids[-1, -2:], mask[-1, -2:] = pad, 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if accepts_token_types(model):
        inputs["token_type_ids"] = (torch.arange(length) >= length // 2).long().expand_as(ids).contiguous()
    return inputs


def _logits(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    result = model(**inputs)
    return (result.logits,) if hasattr(result, "logits") else (result.start_logits, result.end_logits)


class _Positional(nn.Module):
    """The model with positional inputs and a tuple of logits, as the exporter requires."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return _logits(self.model, dict(zip(self.names, inputs, strict=True)))
