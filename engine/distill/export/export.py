"""Turn a student's folder into a standalone model: weights, tokenizer, config, model card and optionally ONNX.

It scores nothing and changes no weights: model.safetensors is copied byte for byte.
"""

from __future__ import annotations

import copy
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.folder import sync_folder
from bertdistill.engine.distill.export.card import NULL_THRESHOLD, CardFacts, is_pruned, model_card
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.transformer import KEPT_HEADS, accepts_token_types, load_student
from bertdistill.engine.families.transformer import Shape
from bertdistill.engine.tasks.table import TASKS

READING = "bertdistill"
"""Our extra key in an exported config.json: what `answer` needs to tokenise a text as in training."""
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")
ONNX_TOLERANCE = 1e-3
COPY_TOLERANCE = 1e-4
"""Not 0: the same weights at different memory addresses may round the last bit differently."""
MODELING = "modeling.py"


def export_model(
    student_folder: Path,
    target: Path,
    *,
    card_facts: CardFacts,
    tokenizer: Any,
    onnx: bool = True,
    replace: bool = False,
    say: Callable[[str], None] | None = None,
) -> list[str]:
    """Build `target`, complete or not at all, and return its file names.

    A student with all its heads is in plain transformers format; one with pruned heads comes with `modeling.py`. ONNX
    is written if its packages are installed; otherwise `say` is called with the reason. Raises ActionRefused if
    `target` exists and `replace` is off, WorkerFailed if the copy's outputs differ from the student's.
    """
    if target.exists() and not replace:
        raise ActionRefused(f"{target} already exists", hint="choose a folder that does not exist yet")
    model, kept_heads = load_student(student_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    try:
        _write_weights(model, kept_heads, student_folder, temporary, card_facts)
        _write_tokenizer(model, tokenizer, temporary)
        written = _write_onnx(model, temporary / "model.onnx", say or _ignore) if onnx else False
        (temporary / "README.md").write_text(model_card(card_facts, model, onnx=written), encoding="utf-8")
        _check_copy(model, temporary)
        _finish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(file.name for file in target.iterdir())


def _ignore(_: str) -> None:
    return None


def _write_weights(
    model: Any, kept_heads: Sequence[Sequence[int]], source: Path, folder: Path, facts: CardFacts
) -> None:
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config.pop(KEPT_HEADS, None)
    if is_pruned(model, kept_heads):
        config[KEPT_HEADS] = [list(kept) for kept in kept_heads]
        shutil.copyfile(standalone.__file__, folder / MODELING)
    if facts.null_threshold is not None:
        config[NULL_THRESHOLD] = facts.null_threshold
    data = facts.data
    reading = {"task": facts.task, "max_length": data.max_length}
    if TASKS[facts.task].spans:
        for key in ("doc_stride", "max_question_length", "max_answer_length", "n_best"):
            reading[key] = getattr(data, key)
    config[READING] = reading
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copyfile(source / "model.safetensors", folder / "model.safetensors")


def _write_tokenizer(model: Any, tokenizer: Any, folder: Path) -> None:
    """The teacher's tokenizer, but with the inputs and the maximum length of this student."""
    own = copy.deepcopy(tokenizer)
    if not accepts_token_types(model):
        own.model_input_names = [name for name in own.model_input_names if name != "token_type_ids"]
        own.init_kwargs["model_input_names"] = own.model_input_names
    shape = Shape.from_config({**model.config.to_dict(), KEPT_HEADS: None})
    own.model_max_length = min(own.model_max_length, shape.longest_input)
    own.save_pretrained(folder)


def _check_copy(model: Any, folder: Path) -> None:
    inputs = _probe(model, 1, 8)
    with torch.inference_mode():
        here, there = _logits(model, inputs), _logits(standalone.load(folder), inputs)
    if not all(torch.allclose(mine, other, atol=COPY_TOLERANCE) for mine, other in zip(here, there, strict=True)):
        raise WorkerFailed(
            f"{folder}: the outputs of the exported copy differ from the student's; nothing was exported"
        )


def _finish(temporary: Path, target: Path) -> None:
    for file in temporary.iterdir():
        file.chmod(0o600)
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    sync_folder(target.parent)


# ---------------------------------------------------------------------------------------------------------------- probe


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
        inputs["token_type_ids"] = torch.zeros_like(ids)
    return inputs


def _logits(model: Any, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    result = model(**inputs)
    return (result.logits,) if hasattr(result, "logits") else (result.start_logits, result.end_logits)


# ----------------------------------------------------------------------------------------------------------------- ONNX


def missing_for_onnx() -> list[str]:
    """Packages of the extra `onnx` that are not installed."""
    return [name for name in ONNX_PACKAGES if find_spec(name) is None]


class _Positional(nn.Module):
    """The model with positional inputs and a tuple of logits, as the exporter requires."""

    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return _logits(self.model, dict(zip(self.names, inputs, strict=True)))


def _write_onnx(model: Any, path: Path, say: Callable[[str], None]) -> bool:
    """Write and check the ONNX file; reports the reason if there is none."""
    missing = missing_for_onnx()
    if missing:
        say(
            f"No ONNX file: {', '.join(missing)} not installed. Install the extra: pip install 'bertdistill-tui[onnx]'."
        )
        return False
    inputs = _probe(model, 2, 9)
    free = tuple({0: "batch", 1: "length"} for _ in inputs)
    outputs = ["start_logits", "end_logits"] if hasattr(model, "qa_outputs") else ["logits"]
    with _only_errors("torch.onnx"):
        torch.onnx.export(
            _Positional(model, list(inputs)).eval(),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=(free,),  # one entry for *inputs
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    difference = _onnx_difference(model, path)
    if difference < ONNX_TOLERANCE:
        return True
    path.unlink()
    say(f"No ONNX file: its outputs differ from the model's by {difference:.2g}, more than {ONNX_TOLERANCE}.")
    return False


def _onnx_difference(model: Any, path: Path) -> float:
    """Largest difference of any logit over two shapes other than the traced one."""
    import onnxruntime  # part of the extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch, length in ((1, 5), (3, 17)):
        inputs = _probe(model, batch, length)
        got = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.inference_mode():
            wanted = _logits(model, inputs)
        seen = inputs["attention_mask"].bool().numpy()  # outputs at padding are never read
        for mine, other in zip(wanted, got, strict=True):
            gap = np.abs(mine.numpy() - other)
            largest = max(largest, float(gap[seen].max() if gap.shape == seen.shape else gap.max()))
    return largest


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
