"""The training that all students share: of sub-networks drawn step by step, on the teacher's cached outputs.

The result is a cache: an ordinary checkpoint of the teacher's shape, whose heads and neurons keep their places. An
interrupted training continues from its checkpoint. It scores no sub-network.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import CHECKPOINT
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Settings, SupernetSpec
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import Batch, collate, pad_edges
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.families.embeddings import open_tokenizer
from bertdistill.engine.distill.families.importance import load_importance, load_neurons
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.supernet.network import SharedEncoder, shared_encoder
from bertdistill.engine.distill.supernet.readings import Reading
from bertdistill.engine.distill.training import checkpoints
from bertdistill.engine.distill.training.checkpoints import Position, model_sha256
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.losses import Losses, losses_of
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.distill.training.precision import choose_precision
from bertdistill.engine.distill.training.train import Evaluation, Job, Reporter, train
from bertdistill.engine.families.supernet import Net, groups, supernet_bytes

VERSION = 1
"""Part of the cache key: increment it when the same inputs give other weights."""
KIND, STATE = "supernet", "supernet.json"
PHASE = "supernet"
SERIES = {"train/loss": "train/supernet_loss", "train/learning_rate": "train/supernet_learning_rate"}
"""What the training loop reports, and the series that it becomes: the teacher may have been trained in this attempt."""


@dataclass(frozen=True)
class Sharing:
    """What the training reads besides the settings of `[supernet]`."""

    run: Run
    facts: Prepared
    nets: Sequence[Net]
    readings: Mapping[str, Reading]
    evaluator: Evaluator

    @property
    def spec(self) -> SupernetSpec:
        return self.run.spec.supernet

    @property
    def key(self) -> str:
        """Of the weights and signals that it starts from, the order of heads and neurons, and what is trained how.

        What is screened afterwards changes nothing.
        """
        mine = {k: v for k, v in dataclasses.asdict(self.spec).items() if not k.startswith("screen")}
        return cache_key(
            version=VERSION,
            model=model_sha256(Path(self.facts.init_folder)),
            outputs=Path(self.facts.outputs).name,
            importance=Path(self.facts.importance).name,
            readings={name: one.train.folder.name for name, one in self.readings.items()},
            nets=[[dataclasses.astuple(cell) for cell in net.cells] + [net.units] for net in self.nets],
            settings=mine,
            precision=str(self.precision),
        )

    @property
    def precision(self) -> torch.dtype:
        return choose_precision(self.run.spec.settings.precision, self.run, int(self.facts.init_shape["hidden_size"]))


def open_shared(sharing: Sharing, folder: str | Path) -> SharedEncoder:
    """The teacher, or a supernet made from it, in the order of importance."""
    facts, run = sharing.facts, sharing.run
    net: PreTrainedModel = load_encoder(folder, run.spec.task, facts.labels, dropout=0.0, seed=sharing.spec.seed)
    importance = Path(facts.importance) if facts.importance else None
    model = shared_encoder(
        net,
        load_importance(importance) if importance else None,
        load_neurons(importance) if importance and facts.ffn_importance else None,
    )
    to_device(model.net, run.device)
    return model


def train_shared(sharing: Sharing) -> tuple[Path, float]:
    """The folder of the supernet, trained now unless the same was before, and the seconds that its training took."""
    run = sharing.run
    folder = run.caches / KIND / sharing.key
    work = RunPaths(folder.with_name(f"{folder.name}.training"))

    def build(temporary: Path) -> None:
        model = open_shared(sharing, sharing.facts.init_folder)
        _check_room(run, model)
        work.folder.mkdir(mode=0o700, exist_ok=True)
        position = _train(sharing, model, work)
        model.save_as_before(temporary, open_tokenizer(sharing.facts.vocabulary.tokenizer))
        state = {"seconds": position.seconds, "steps": position.step, "scores": position.best_metrics}
        (temporary / STATE).write_text(json.dumps(state), encoding="utf-8")

    build_once(folder, build, run.warn, run.waiting("supernet"))
    shutil.rmtree(work.folder, ignore_errors=True)  # weights and optimiser: several times the result
    return folder, float(json.loads((folder / STATE).read_text(encoding="utf-8"))["seconds"])


def as_settings(spec: SupernetSpec) -> Settings:
    """The training as settings of the common loop; it is evaluated once, at its end."""
    return Settings(
        alpha=spec.alpha,
        temperature=spec.temperature,
        epochs=spec.epochs,
        learning_rate=spec.learning_rate,
        batch_size=spec.batch_size,
        seed=spec.seed,
        evaluations=1,
    )


def _train(sharing: Sharing, model: SharedEncoder, work: RunPaths) -> Position:
    run, whole = sharing.run, sharing.readings[""]
    run.progress(PHASE, "examples")
    return train(
        Job(
            model=model,
            features=features_for(model, whole.train),
            settings=dataclasses.replace(
                as_settings(sharing.spec), checkpoint_minutes=run.spec.settings.checkpoint_minutes
            ),
            paths=work,
            events=_Renamed(run.events),
            stop=run.stop,
            device=run.device,
            precision=sharing.precision,
            pad_id=whole.pad_id,
            evaluate=lambda: _evaluation(sharing, model),
            teacher={LOGITS: whole.teacher},
            losses=SharedLoss(sharing, model),
            resume_from=checkpoints.resumable(work.last.resolve(), run.notice) if work.last.exists() else None,
            phase=PHASE,
        )
    )


def _evaluation(sharing: Sharing, model: SharedEncoder) -> Evaluation:
    """Of the whole network: its score belongs into the log, and chooses nothing."""
    found = sharing.evaluator.evaluate(model, sharing.run, sharing.precision)
    return Evaluation(0.0, {"supernet": found.metrics[sharing.evaluator.select]}, {})


class SharedLoss:
    """The loss of one step: the mean over the sub-networks that are drawn for it.

    They are drawn from torch's generator, whose state checkpoints keep. A group of them reads the tokens of its own
    vocabulary.
    """

    def __init__(self, sharing: Sharing, model: SharedEncoder) -> None:
        self._nets, self._readings, self._model = sharing.nets, sharing.readings, model
        self._groups = groups(sharing.nets, every_depth=sharing.spec.every_depth)
        self._draws, self._settings = sharing.spec.nets_per_step, as_settings(sharing.spec)
        self._precision, self._device = sharing.precision, sharing.run.device
        self._edges = {name: pad_edges(one.train.lengths) for name, one in self._readings.items()}

    def __call__(self, batch: Batch) -> Losses:
        return self.of([self._draw() for _ in range(self._draws)], batch)

    def of(self, drawn: Sequence[Sequence[int]], batch: Batch) -> Losses:
        """The mean loss of these groups of sub-networks."""
        every = [one for group in drawn for one in self._each(group, batch)]
        parts = {name: torch.stack([one.parts[name] for one in every]).mean() for name in every[0].parts}
        return Losses(torch.stack([one.total for one in every]).mean(), parts)

    def _draw(self) -> list[int]:
        return self._groups[int(torch.randint(len(self._groups), ()))]

    def _each(self, group: Sequence[int], batch: Batch) -> list[Losses]:
        nets = [self._nets[index] for index in group]
        read = self._read(nets[0].units, batch)
        device = read.input_ids.device.type
        with torch.autocast(device, self._precision, enabled=self._precision != torch.float32):
            outputs = self._model.many(read, [net.cells for net in nets])
        return [losses_of(Step(one, read, self._settings)) for one in outputs]

    def _read(self, units: str, batch: Batch) -> Batch:
        """The examples of the batch in these tokens."""
        if not units:
            return batch
        mine = self._readings[units]
        features, teacher = features_for(self._model, mine.train), {LOGITS: mine.teacher}
        edges = self._edges[units]
        return collate(features, batch.rows, edges=edges, pad_id=mine.pad_id, teacher=teacher).to(self._device)


class _Renamed:
    """Where the training loop reports to. Its checkpoints belong to a cache, and to no trial."""

    def __init__(self, events: Reporter) -> None:
        self._events = events

    def emit(self, kind: str, **fields: Any) -> None:
        if kind != CHECKPOINT:
            self._events.emit(kind, **fields)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        named = {SERIES.get(name, name): value for name, value in values.items()}
        kept = {name: value for name, value in named.items() if "supernet" in name}
        if kept:
            self._events.metrics(step, kept)


def _check_room(run: Run, model: SharedEncoder) -> None:
    needed = supernet_bytes(sum(one.numel() for one in model.net.parameters()))["running_bytes"]
    free = shutil.disk_usage(run.caches).free
    if needed > free:
        raise ConfigError(
            f"training a supernet takes {needed / 1e9:.2f} GB while it runs, and {run.caches} has {free / 1e9:.2f} GB "
            "left",
            hint='free some space (see prune), or use student.init = "teacher"',
        )
