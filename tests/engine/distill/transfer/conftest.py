"""Training texts to draw from."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec, TransferSpec
from bertdistill.engine.distill.data.examples import TextExample
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.transfer.material import Material

TEXTS = (
    "The quick brown fox jumped over the lazy dog .",
    "A good film, a bad film: what a dull and wonderful story!",
    "She was walking slowly and talking quickly in 1912.",
    "I don't know a better story than the old one.",
)

Make = Callable[..., Material]


@pytest.fixture
def material(tmp_path: Path) -> Make:
    """The four texts, with `tables` as the transfer sets of their study; in pairs, with `paired`."""

    def make(*tables: TransferSpec, paired: bool = False, texts: tuple[str, ...] = TEXTS, **data: Any) -> Material:
        spec = AttemptSpec(
            kind="prepare",
            study="tiny",
            task="text-classification",
            data=DataSpec(**data),
            teacher=TeacherSpec(model="scratch"),
            student=StudentSpec(),
            settings=Settings(),
            device=Device(),
            caches=str(tmp_path / "caches"),
            transfer=list(tables),
        )
        paths = RunPaths(tmp_path)
        run = Run(spec, paths, EventWriter(paths.events), threading.Event(), torch.device("cpu"))
        rows = [TextExample(str(i), text, texts[i - 1] if paired else None, i % 2) for i, text in enumerate(texts)]
        return Material(rows, ("no", "yes"), "[MASK]", run)

    return make
