"""The pre-training of a student as a masked language model, done once for all trials that would do the same.

A cache folder holds the weights of the encoder and the curve. While it is being made its lock is held, and other trials
wait, because they would occupy the machine with the same work. A pre-training that was killed or stopped continues from
its checkpoint, whichever trial needs it next. Nothing of it depends on labels.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.features import Features, open_features, padding_id
from bertdistill.engine.distill.families.embeddings import open_tokenizer
from bertdistill.engine.distill.families.encoder import UNITS, Encoder
from bertdistill.engine.distill.pretraining.curve import Curve, replay
from bertdistill.engine.distill.pretraining.masking import masking_of
from bertdistill.engine.distill.pretraining.network import MaskedModel, masked_model
from bertdistill.engine.distill.pretraining.objective import Objective
from bertdistill.engine.distill.pretraining.texts import corpus_features
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.training import checkpoints
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.training.train import Job, train
from bertdistill.engine.families.phases import pretraining_bytes

VERSION = 1
"""Part of the cache key: increment it when the same settings give other weights."""
KIND, WEIGHTS, STATE = "pretrained", "encoder.safetensors", "state.json"
EVALUATIONS = 4
PHASE = "pre-training"
ENCODER, POOLER = "encoder.", "encoder.pooler."
"""How the names of these weights begin in the network that is pre-trained. The pooler belongs to the task's head."""
ELSEWHERE = frozenset(
    {"architectures", "id2label", "label2id", "num_labels", "problem_type", "initializer_range", "dtype", UNITS}
    | {"_name_or_path", "transformers_version"}
)
"""Keys of config.json that change nothing in an encoder without dropout."""


@dataclass(frozen=True)
class Pretraining:
    """Everything that decides the result."""

    settings: Settings
    features: Features
    objective: Objective

    @property
    def model(self) -> MaskedModel:
        return self.objective.model

    @property
    def key(self) -> str:
        """Of the texts, the initial weights of student and head, how they compute, the masks and the settings."""
        config: dict[str, Any] = self.model.net.encoder.config.to_dict()
        read = {key: value for key, value in config.items() if key not in ELSEWHERE and "dropout" not in key}
        mine = self.settings
        return cache_key(
            version=VERSION,
            texts=self.features.folder.name,
            held_out=self.objective.held_out.folder.name,
            weights=_digest(self.model.net),
            network=json.dumps(read, sort_keys=True, default=str),
            masked=self.objective.masking.probability,
            settings=[mine.epochs, mine.learning_rate, mine.batch_size, mine.seed, EVALUATIONS],
            precision=str(self.objective.precision),
        )


def pretrain(run: Run, student: Encoder) -> float:
    """Give the student's encoder the weights of its pre-training; returns the seconds that it took whoever did it.

    Raises Stopped, Diverged, or ConfigError if it cannot be done or the disk is too small.
    """
    wanted = _wanted(run, student)
    folder = run.caches / KIND / wanted.key
    training = RunPaths(folder.with_name(f"{folder.name}.training"))
    made: list[float] = []

    def build(temporary: Path) -> None:
        _check_room(run, wanted.model)
        training.folder.mkdir(mode=0o700, exist_ok=True)
        made.append(_build(run, wanted, training, temporary))

    build_once(folder, build, run.warn, run.waiting("pre-training"))
    shutil.rmtree(training.folder, ignore_errors=True)  # weights and optimiser
    student.net.base_model.load_state_dict(load_file(folder / WEIGHTS), strict=False)  # it has no pooler
    if not made:
        run.notice("info", f"the same pre-training was done before: it is in {folder}")
        replay(folder, run.events)
    return float(json.loads((folder / STATE).read_text(encoding="utf-8"))["seconds"])


def _wanted(run: Run, student: Encoder) -> Pretraining:
    facts, settings = run.spec.prepared, run.spec.settings
    tokenizer = student.tokenizer or open_tokenizer(facts.vocabulary.tokenizer)
    init = None if run.spec.student.init == SCRATCH else Path(facts.init_folder)
    return Pretraining(
        as_settings(settings),
        corpus_features(run, facts.corpus, tokenizer, settings.pretrain_max_length),
        Objective(
            masked_model(student, init, settings.seed),
            masking_of(tokenizer, settings.mask_probability).to(run.device),
            open_features(Path(facts.features_of("search", student.units))),
            choose_precision(settings.precision, run, width_of(student.net)),
            padding_id(tokenizer),
        ),
    )


def as_settings(settings: Settings) -> Settings:
    """Those of the pre-training as the common loop reads them; everything else has its default."""
    return Settings(
        batch_size=settings.pretrain_batch_size,
        epochs=settings.pretrain_epochs,
        learning_rate=settings.pretrain_learning_rate,
        seed=settings.seed,
        checkpoint_minutes=settings.checkpoint_minutes,
        evaluations=EVALUATIONS,
    )


def _build(run: Run, wanted: Pretraining, work: RunPaths, temporary: Path) -> float:
    """Train, and write the cache; returns the seconds that it took."""
    run.progress(PHASE, "texts")
    curve = Curve(work.folder, run.events)
    position = train(
        Job(
            model=wanted.model,
            features=wanted.features,
            settings=wanted.settings,
            paths=work,
            events=curve,
            stop=run.stop,
            device=run.device,
            precision=wanted.objective.precision,
            pad_id=wanted.objective.pad_id,
            evaluate=lambda: wanted.objective.evaluate(run),
            losses=wanted.objective.losses,
            resume_from=checkpoints.resumable(work.last.resolve(), run.notice) if work.last.exists() else None,
            phase=PHASE,
        )
    )
    curve.keep(temporary)
    save_file(_encoder(load_file(Path(position.best_folder) / "model.safetensors")), temporary / WEIGHTS)
    state = {"seconds": position.seconds, "steps": position.step, "scores": position.best_metrics}
    (temporary / STATE).write_text(json.dumps(state), encoding="utf-8")
    return position.seconds


def _encoder(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the encoder by its own names."""
    found = {name: one for name, one in tensors.items() if name.startswith(ENCODER) and not name.startswith(POOLER)}
    return {name[len(ENCODER) :]: one for name, one in found.items()}


def _digest(net: nn.Module) -> str:
    state = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(net.state_dict().items()):
        if not name.startswith(POOLER):
            state.update(f"{name} {tuple(tensor.shape)}".encode())
            state.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def _check_room(run: Run, model: MaskedModel) -> None:
    params = sum(one.numel() for one in model.net.parameters())
    needed, free = pretraining_bytes(params), shutil.disk_usage(run.caches).free
    if needed > free:
        raise ConfigError(
            f"pre-training {params:,} weights takes {needed / 1e9:.2f} GB while it runs, and {run.caches} has "
            f"{free / 1e9:.2f} GB left",
            hint="free some space (see prune), use a smaller student, or set pretrain_epochs = 0",
        )
