"""A preparation in this process, on sixty sentences of two classes."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path

import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec, TransferSpec
from bertdistill.engine.distill.run import Run

LINES = [f"a {word} film number {n};{label}" for n in range(30) for word, label in (("good", "pos"), ("dull", "neg"))]


def make_run(
    folder: Path,
    teacher: TeacherSpec,
    *,
    init: str = "scratch",
    max_length: int = 16,
    importance: bool = False,
    labels: Sequence[str] = ("neg", "pos"),
    transfer: Sequence[TransferSpec] = (),
) -> Run:
    """A preparation in this process: sixty sentences of two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    train = folder.parent / "train.txt"
    train.write_text("\n".join(LINES), encoding="utf-8")
    paths = RunPaths(folder)
    spec = AttemptSpec(
        kind="prepare",
        study="tiny",
        task="text-classification",
        data=DataSpec(train=str(train), report=str(train), max_length=max_length, labels=list(labels)),
        teacher=teacher,
        student=StudentSpec(init=init, importance_examples=8),
        settings=Settings(),
        device=Device(),
        caches=str(folder.parent / "caches"),
        importance=importance,
        transfer=list(transfer),
    )
    return Run(spec, paths, EventWriter(paths.events), threading.Event(), torch.device("cpu"))


def split_report(run: Run) -> Run:
    """The report split is a file of its own."""
    report = Path(run.spec.data.train).with_name("report.txt")
    report.write_text("\n".join(LINES[:10]).replace("film", "play"), encoding="utf-8")
    return dataclasses.replace(
        run, spec=dataclasses.replace(run.spec, data=dataclasses.replace(run.spec.data, report=str(report)))
    )
