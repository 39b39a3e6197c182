"""Scores of sub-networks on the validation split, without training them: what the search knows before its first trial.

They are evaluated in parts that begin alike, so that layers are computed once for several of them, until a limit of CPU
time is used up. Each part is kept at once, so that an interrupted screening continues. It trains nothing, and decides
nothing about the search.
"""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bertdistill.engine.contract.folder import write_json
from bertdistill.engine.distill.data.batches import by_length, collate, pad_edges
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.supernet.network import SharedEncoder
from bertdistill.engine.distill.supernet.readings import Reading
from bertdistill.engine.distill.supernet.shared_training import Sharing, open_shared
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.terms.step import MASKED
from bertdistill.engine.families.supernet import Net
from bertdistill.engine.tasks.table import TASKS

KIND, RESULT = "screened", "screened.json"
TOGETHER = 24
"""Sub-networks evaluated together at most: their outputs are held in memory."""
BATCH_TOKENS = 8192
TASK_OUTPUTS = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Screened:
    """A sub-network that was evaluated."""

    settings: Mapping[str, Any]
    layers: tuple[int, ...]
    metrics: Mapping[str, float]
    examples: int
    seconds: float
    """CPU time; of those that were evaluated together each has an equal part."""

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Screened:
        return Screened(**{**raw, "layers": tuple(raw["layers"])})


def screen(sharing: Sharing, folder: Path) -> tuple[str, list[Screened]]:
    """The cache folder of the scores, and the scores; "" and none if nothing is to be evaluated.

    `folder` is that of the supernet. Raises Stopped if the attempt is asked to stop.
    """
    run, spec = sharing.run, sharing.spec
    if not spec.screen:
        return "", []
    target = run.caches / KIND / scores_key(sharing, folder)
    parts = target.with_name(f"{target.name}.parts")

    def build(temporary: Path) -> None:
        parts.mkdir(mode=0o700, exist_ok=True)
        found = _evaluate(sharing, folder, parts)
        (temporary / RESULT).write_text(json.dumps([dataclasses.asdict(one) for one in found]), encoding="utf-8")

    build_once(target, build, run.warn, run.waiting("screening"))
    shutil.rmtree(parts, ignore_errors=True)
    raw = json.loads((target / RESULT).read_text(encoding="utf-8"))
    return str(target), [Screened.from_dict(one) for one in raw]


def scores_key(sharing: Sharing, folder: Path) -> str:
    """Of everything that the scores depend on; for answers, also how they are found in the outputs."""
    run, data = sharing.run, sharing.evaluator.data
    spec, spans = sharing.spec, TASKS[run.spec.task].spans
    return cache_key(
        supernet=folder.name,
        limits=[spec.screen, spec.screen_examples, spec.screen_minutes, spec.seed],
        search={name: one.search.folder.name for name, one in sharing.readings.items()},
        **({"answers": [data.n_best, data.max_answer_length]} if spans else {}),
    )


def screening_order(nets: Sequence[Net], most: int, seed: int) -> list[list[int]]:
    """The sub-networks in the parts in which they are evaluated, at most so many: first the widest of each set of
    layers, which show what depth alone can do; then those of one width after the other, in random order.
    """
    widest: dict[tuple[int, ...], int] = {}
    for index, net in enumerate(nets):
        best = widest.setdefault(net.layers, index)
        if _width(net) > _width(nets[best]):
            widest[net.layers] = index
    alike: dict[Any, list[int]] = {}
    for index, net in enumerate(nets):
        if index not in widest.values():
            alike.setdefault((net.units, net.cells[0]), []).append(index)
    others = list(alike.values())
    random.Random(seed).shuffle(others)
    first: dict[str, list[int]] = {}
    for index in widest.values():
        first.setdefault(nets[index].units, []).append(index)
    found: list[list[int]] = []
    for part in (*first.values(), *others):
        left = most - sum(map(len, found))
        kept = part[:left]
        found += [kept[start : start + TOGETHER] for start in range(0, len(kept), TOGETHER)]
    return found


def _width(net: Net) -> int:
    return sum(cell.heads * net.plan.head_size * 2 + cell.neurons for cell in net.cells) // len(net.cells)


def _evaluate(sharing: Sharing, folder: Path, parts: Path) -> list[Screened]:
    """All parts, as far as the CPU time goes; what an earlier attempt has evaluated is read."""
    run, spec, nets = sharing.run, sharing.spec, sharing.nets
    order = screening_order(nets, spec.screen, spec.seed)
    total, found = sum(map(len, order)), list[Screened]()
    report = run.progress("screening sub-networks", "sub-networks")
    model: SharedEncoder | None = None
    for number, part in enumerate(order):
        if sum(one.seconds for one in found) >= spec.screen_minutes * 60:
            run.notice(
                "info",
                f"{len(found):,} of {total:,} sub-networks were screened within supernet.screen_minutes = "
                f"{spec.screen_minutes:g}",
            )
            break
        path = parts / f"{number:05d}.json"
        if not path.exists():
            model = model or open_shared(sharing, folder)
            mine = _score(sharing, model, [nets[index] for index in part])
            write_json(path, {"screened": [dataclasses.asdict(one) for one in mine]})
        found += [Screened.from_dict(one) for one in json.loads(path.read_text(encoding="utf-8"))["screened"]]
        report(len(found), total)
    return found


def _score(sharing: Sharing, model: SharedEncoder, nets: Sequence[Net]) -> list[Screened]:
    began = time.process_time()
    evaluator = _on_some(sharing.evaluator, sharing.readings[nets[0].units], sharing.spec.screen_examples)
    outputs = predict_many(model, nets, evaluator.features, sharing.run, evaluator.pad_id, sharing.precision)
    metrics = [evaluator.score(one).metrics for one in outputs]
    seconds = round((time.process_time() - began) / len(nets), 3)
    examples = len(evaluator.examples.rows)
    return [
        Screened(dict(net.settings), net.layers, found, examples, seconds)
        for net, found in zip(nets, metrics, strict=True)
    ]


def _on_some(evaluator: Evaluator, reading: Reading, most: int) -> Evaluator:
    """The evaluator of the first examples, whose order the split has drawn at random; 0 is all of them."""
    features, examples = reading.search, evaluator.examples
    if most and most < len(examples.rows):
        inputs = int(np.searchsorted(features.example_index, most))
        features = features.part(0, inputs)
        examples = dataclasses.replace(examples, rows=examples.rows[:most])
    return dataclasses.replace(evaluator, examples=examples, features=features)


@torch.inference_mode()
def predict_many(
    model: SharedEncoder, nets: Sequence[Net], features: Features, run: Run, pad_id: int, precision: torch.dtype
) -> list[TASK_OUTPUTS]:
    """Of each sub-network its outputs as `training.train.predict` has them; layers they begin with are computed once.

    Raises Stopped if the attempt is asked to stop meanwhile.
    """
    features = features_for(model, features)
    torch.nn.Module.eval(model.net)
    span, lengths = features.targets.ndim == 2, features.lengths
    cells, edges = [net.cells for net in nets], pad_edges(lengths)
    shape = (int(features.offsets[-1]), 2) if span else (len(features), -1)
    found: list[TASK_OUTPUTS] = [np.full(shape, MASKED, np.float32) for _ in nets] if span else []
    for rows in by_length(lengths, max(1, BATCH_TOKENS // len(nets))):
        if run.stop.is_set():
            raise Stopped
        batch = collate(features, rows, edges=edges, pad_id=pad_id).to(run.device)
        with torch.autocast(run.device.type, precision, enabled=precision != torch.float32):
            logits = [one.logits.float().cpu().numpy() for one in model.many(batch, cells)]
        if not found:
            found = [np.full((len(features), one.shape[1]), MASKED, np.float32) for one in logits]
        for one, values in zip(found, logits, strict=True):
            _place(one, values, features, rows, span=span)
    return found


def _place(target: TASK_OUTPUTS, values: TASK_OUTPUTS, features: Features, rows: Any, *, span: bool) -> None:
    if not span:
        target[rows] = values
        return
    for index, row in enumerate(rows):
        start, stop = features.offsets[row], features.offsets[row + 1]
        target[start:stop] = values[index, : stop - start]
