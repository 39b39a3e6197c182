"""A study of text classification around a tiny random model whose every prediction is right: the labels are its own."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tests.stored import best_checkpoint
from tests.tiny import make_checkpoint
from transformers import AutoTokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.data.examples import Examples, TextExample, cut, digest, load_examples
from bertdistill.engine.distill.export.word_order import Reader
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Servable
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION
from bertdistill.store import writes
from bertdistill.store.db import open_db

CLASSIFY = TEXT_CLASSIFICATION
LABELS = ("bad", "good")
WORDS = [
    "a",
    "good",
    "bad",
    "film",
    "story",
    "with",
    "great",
    "dull",
    "bright",
    "clever",
    "and",
    "the",
    "or",
    "very",
    "not",
    "so",
]


def teacher(folder: Path) -> Path:
    """A random encoder with a tokenizer of these words, and the classes by name."""
    make_checkpoint(folder, "bert", texts=[" ".join([*WORDS, "."])], head="cls", seed=3)
    path = folder / "config.json"
    names = {str(i): name for i, name in enumerate(LABELS)}
    classes = {"id2label": names, "label2id": {name: int(i) for i, name in names.items()}}
    path.write_text(json.dumps(json.loads(path.read_text()) | classes))
    model = encoder(folder)
    balance(model, model.net.classifier, AutoTokenizer.from_pretrained(folder))
    model.net.save_pretrained(folder)
    return folder


def encoder(folder: Path) -> Encoder:
    """The teacher as a model."""
    return Encoder(load_encoder(folder, CLASSIFY, LABELS, dropout=0.0, need_head=True))


def balance(model: Servable, head: Any, tokenizer: Any) -> None:
    """Shift the bias of the head so that both classes are given equally often: a random model gives only one."""
    texts, pairs = zip(*sentences(200), strict=True)
    encoded = tokenizer(list(texts), padding=True, return_tensors="pt")
    ids, mask = encoded["input_ids"], encoded["attention_mask"]
    model.net.eval()
    with torch.no_grad():
        logits = model(Batch(np.arange(len(pairs)), True, ids, mask, None, torch.zeros(len(ids)))).logits
        head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()


def sentences(count: int, *, pairs: bool = False) -> list[tuple[str, str | None]]:
    """Different random texts of four to nine words."""
    draw = random.Random(5)

    def one() -> str:
        return " ".join([*draw.choices(WORDS, k=draw.randint(4, 9)), "."])

    return [(one(), one() if pairs else None) for _ in range(count)]


def study_spec(
    root: Path, folder: Path, model: Servable, tokenizer: Any, *, count: int = 120, pairs: bool = False
) -> AttemptSpec:
    """Data labelled by the model itself, and a spec with what the preparation of such a study reports."""
    data = DataSpec(train=str(root / "train.tsv"), max_length=32, search_fraction=0.5)
    facts = Prepared(labels=LABELS, teacher_folder=str(folder))
    spec = AttemptSpec(
        kind="trial",
        study="order",
        task=CLASSIFY,
        data=data,
        teacher=TeacherSpec(model=str(folder)),
        student=StudentSpec(),
        settings=Settings(),
        device=Device(),
        caches=str(root / "caches"),
        prepared=facts,
    )
    texts = sentences(count, pairs=pairs)
    rows = [TextExample(str(i), text, pair, 0) for i, (text, pair) in enumerate(texts)]
    reader = Reader(model, tokenizer, spec)
    chosen = reader.classes(reader.tokenised(Examples(CLASSIFY, rows, LABELS)))
    _write(Path(data.train), texts, [LABELS[int(one)] for one in chosen])
    _, search = cut(load_examples(data, CLASSIFY, "train", labels=LABELS), data)
    return replace(spec, prepared=replace(facts, search_digest=digest(search)))


def _write(path: Path, texts: Sequence[tuple[str, str | None]], labels: Sequence[str]) -> None:
    head = ["sentence1", "sentence2", "label"] if texts[0][1] is not None else ["sentence", "label"]
    rows = [[*filter(None, text), label] for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join("\t".join(row) for row in [head, *rows]) + "\n")


def order_workspace(root: Path) -> Workspace:
    """A workspace with a prepared study `order`; trial 0 has a checkpoint with the weights of the teacher."""
    folder = teacher(root / "teacher")
    spec = study_spec(root, folder, encoder(folder), AutoTokenizer.from_pretrained(folder))
    found = Workspace(root / "runs")
    _rows(found, asdict(spec.data), spec.prepared.to_dict(), folder)
    return found


def _rows(ws: Workspace, data: dict[str, Any], facts: dict[str, Any], folder: Path) -> None:
    """The rows of the study."""
    raw = {
        "name": "order",
        "task": CLASSIFY,
        "data": {
            "train": data["train"],
            "report": "report.tsv",
            "max_length": data["max_length"],
            "search_fraction": data["search_fraction"],
        },
        "teacher": {"model": str(folder)},
        "search": {"layers": {"low": 1, "high": 2}},
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "params", "direction": "minimize"},
        ],
    }
    spec = study_from_dict(raw, where="test")
    db = open_db(ws.path)
    with db.write() as session:
        study = writes.create_study(session, name="order", task=CLASSIFY, spec=dump(spec), now=1.0)
        writes.set_prepared(session, study.id, facts)
        for number in range(2):
            settings = asdict(spec.settings)
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin="sampler",
                params={},
                settings=settings,
                known={"params": 9},
                now=1.0,
                proposal_seed=1,
                sampler="tpe",
            )
            if number == 0:
                _checkpoint(ws, session, trial, folder)
    db.close()


def _checkpoint(ws: Workspace, session: Any, trial: Any, teacher_folder: Path) -> None:
    """A best checkpoint of the trial with the teacher's weights."""
    target = ws.path / "runs/order/0000-1/checkpoints/best-00000001"
    encoder(teacher_folder).save(target)
    best_checkpoint(session, trial, "runs/order/0000-1", ws.relative(target))
