"""Turn a student's folder into a standalone model: weights, tokenizer, config, model card and optionally ONNX.

It scores nothing and changes no weights: model.safetensors is copied byte for byte.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import torch

from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.folder import sync_files, sync_folder
from bertdistill.engine.distill.export.card import NULL_THRESHOLD, CardFacts, model_card
from bertdistill.engine.distill.export.format import Format
from bertdistill.engine.distill.export.formats import open_format
from bertdistill.engine.distill.export.onnx_file import write_checked
from bertdistill.engine.tasks.table import TASKS

READING = "bertdistill"
"""Our extra key in an exported config.json: what `answer` needs to tokenise a text as in training."""
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
    int8: Callable[[Path], Mapping[str, str]] | None = None,
) -> list[str]:
    """Build `target`, complete or not at all, and return its file names.

    Its files are those of the `Format` of its family; a model that transformers cannot load comes with `modeling.py`.
    ONNX is written if its packages are installed; otherwise `say` is called with the reason. `int8` then writes a file
    in 8 bits beside the one it is given and returns what the card says of it. Raises ActionRefused if `target` exists
    and `replace` is off, WorkerFailed if the copy's outputs differ from the student's.
    """
    if target.exists() and not replace:
        raise ActionRefused(f"{target} already exists", hint="choose a folder that does not exist yet")
    model = open_format(student_folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    try:
        _write_files(model, student_folder, temporary, card_facts)
        model.tokenizer(tokenizer).save_pretrained(temporary)
        written = write_checked(model, temporary / "model.onnx", say or _ignore) if onnx else False
        if written and int8:
            card_facts = replaced(card_facts, onnx_int8=int8(temporary / "model.onnx"))
        card = model_card(card_facts, model.describe(card_facts, onnx=written))
        (temporary / "README.md").write_text(card, encoding="utf-8")
        _check_copy(model, temporary)
        _finish(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(file.name for file in target.iterdir())


def _ignore(_: str) -> None:
    return None


def _write_files(model: Format, source: Path, folder: Path, facts: CardFacts) -> None:
    config = model.config()
    if model.modeling:
        shutil.copyfile(model.modeling, folder / MODELING)
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


def _check_copy(model: Format, folder: Path) -> None:
    inputs = model.probe(1, 8)
    with torch.inference_mode():
        here, there = model.logits(inputs), model.exported(folder, inputs)
    if not all(torch.allclose(mine, other, atol=COPY_TOLERANCE) for mine, other in zip(here, there, strict=True)):
        raise WorkerFailed(
            f"{folder}: the outputs of the exported copy differ from the student's; nothing was exported"
        )


def _finish(temporary: Path, target: Path) -> None:
    for file in temporary.iterdir():
        file.chmod(0o600)
    sync_files(temporary)
    if target.exists():
        shutil.rmtree(target)
    temporary.rename(target)
    sync_folder(target.parent)
