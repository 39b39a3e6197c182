"""The teacher's hidden states of the first token, cached for the hidden loss. It trains nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.terms import CLS
from bertdistill.engine.distill.data.batches import by_length, collate, pad_edges
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.features import padding_id
from bertdistill.engine.distill.data.signals import signal_file
from bertdistill.engine.distill.families.model import Servable
from bertdistill.engine.distill.families.transformer import read_any_shape
from bertdistill.engine.distill.labelling import Labels, ModelLabels, Texts
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.forward import forward
from bertdistill.engine.families.encoder_plan import COMPARABLE, Shape
from bertdistill.engine.families.layer_pairs import states_bytes

KEY = "settings.hidden_weight"
REMEDY = "set hidden_weight = 0"


def cls_states(run: Run, labels: Labels, texts: Texts) -> str:
    """The folder of the states of these texts after every layer but the last, (features, layers - 1, width) in fp16.

    Empty if no trial can ask for them. ConfigError if the teacher has none, or if the disk is too small for them.
    """
    if CLS not in run.spec.signals:
        return ""
    if not isinstance(labels, ModelLabels):
        raise ConfigError(f"{KEY} needs the states of one teacher.model, not a file or an average", hint=REMEDY)
    shape = read_any_shape(labels.folder)
    if not shape.comparable or shape.layers < 2:
        raise ConfigError(
            f"{KEY} compares layers below the last one with those of the teacher, which is a {shape.architecture} "
            f"with {shape.layers} of them",
            hint=f"use a teacher of {', '.join(COMPARABLE)} with 2 or more layers, or {REMEDY}",
        )

    def build(temporary: Path) -> None:
        _check_room(run, shape, len(texts.features))
        _write(run, labels, texts, signal_file(temporary, CLS), shape)

    key = cache_key(model=labels.sha256, features=texts.features.folder.name, signal=CLS)
    return str(build_once(run.caches / "states" / key, build, run.warn))


def _check_room(run: Run, shape: Shape, features: int) -> None:
    needed, free = states_bytes(features, shape.layers, shape.hidden_size), shutil.disk_usage(run.caches).free
    if needed > free:
        raise ConfigError(
            f"the teacher's states for {KEY} take {needed:,} bytes, and {run.caches} has {free:,} left",
            hint=f"free some space, lower data.max_train_examples, or {REMEDY}",
        )


@torch.inference_mode()
def _write(run: Run, labels: ModelLabels, texts: Texts, path: Path, shape: Shape) -> None:
    """Straight to the file: the states of all texts may exceed the memory."""
    model: Servable = labels.model
    features = features_for(model, texts.features)
    model.net.eval()
    precision = labels.precision(texts)
    out = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float16, shape=(len(features), shape.layers - 1, shape.hidden_size)
    )
    report, done = run.progress("teacher states", "windows"), 0
    edges, pad_id = pad_edges(features.lengths), padding_id(labels.tokenizer)
    for rows in by_length(features.lengths, run.spec.teacher.batch_size * run.spec.data.max_length):
        batch = collate(features, rows, edges=edges, pad_id=pad_id).to(run.device)
        hidden = forward(model, batch, precision=precision, hidden=True).hidden[1:-1]
        out[rows] = torch.stack([states[:, 0] for states in hidden], dim=1).float().cpu().numpy()
        done += len(rows)
        report(done, len(features))
    out.flush()
