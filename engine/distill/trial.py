"""One trial: build the student, train it on labels and cached teacher outputs, evaluate and measure it.

No teacher runs here, and nothing is decided about the search. Modules that only some trials need are imported where
they are used, because every attempt pays for what is at the top: transformers alone takes 2 s.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import torch

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import STARTED
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.metrics import LATENCIES, LATENCY_CACHED
from bertdistill.engine.contract.terms import online, signals, transfer_share, with_network
from bertdistill.engine.contract.versions import versions
from bertdistill.engine.distill.compression.table import passes_of, removed
from bertdistill.engine.distill.compression.weights import rounded, save_packed
from bertdistill.engine.distill.data.batches import Batch, IntArray, by_length, collate, pad_edges
from bertdistill.engine.distill.data.caches import refuse_damage
from bertdistill.engine.distill.data.features import Features, open_features
from bertdistill.engine.distill.data.signals import prepared_file
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.families.model import Fitted, Model, Servable
from bertdistill.engine.distill.families.table import BUILDERS, load_model
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training.checkpoints import resumable
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.fit import fit, one_step
from bertdistill.engine.distill.training.layerwise import layerwise
from bertdistill.engine.distill.training.measure import example_batch, latency, peak_memory_mb, throughput
from bertdistill.engine.distill.training.schedule import schedule
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.training.train import Evaluation, Job, train
from bertdistill.engine.distill.with_teacher import mixer_of, start_of
from bertdistill.engine.families.supernet import start_of as start_of_student
from bertdistill.engine.families.supernet import starts_alone
from bertdistill.engine.families.table import cuts_vocabulary, pretrained, weights_of
from bertdistill.engine.families.vocabulary import size_of
from bertdistill.engine.tasks.table import TASKS

if TYPE_CHECKING:
    from bertdistill.engine.distill.families.encoder import Encoder

MEASURABLE = frozenset({*LATENCIES, LATENCY_CACHED, "throughput"})
MEASURED_TOKENS = 4096
MEASURED_BATCHES = 8
ALONE = (
    "this student starts from the teacher itself: the supernet was not trained for its layers, or sharing ruined them"
)


def run_trial(run: Run) -> dict[str, float]:
    """Train and measure; the returned metrics are those of the best checkpoint."""
    refuse_damage(_caches(run))
    run = _in_its_tokens(run)
    spec, facts = run.spec, run.spec.prepared
    torch.manual_seed(spec.settings.seed)
    if starts_alone(facts, spec.settings):
        run.notice("info", ALONE)
    model = BUILDERS[spec.settings.family].build(spec)
    to_device(model.net, run.device)
    gone = removed(spec.settings, model.net)
    params = sum(p.numel() for p in model.net.parameters()) - gone
    if spec.expected_params and params != spec.expected_params:
        raise ConfigError(f"the built student has {params:,} parameters, but {spec.expected_params:,} were expected")
    resume = resumable(Path(spec.resume_from), run.notice) if spec.resume_from else None
    seconds = 0.0
    if resume is None and pretrained(spec.settings):
        from bertdistill.engine.distill.pretraining.pretrain import pretrain

        seconds = pretrain(run, cast("Encoder", model))
    passes = passes_of(spec.settings, model.net)
    pad_id = facts.units_of(model.units).pad_id
    every = open_features(Path(facts.features_of("train", model.units)))
    transfer = facts.transfer_features if transfer_share(spec.settings) else 0
    labelled = len(every) - facts.transfer_features
    train_features = every.part(0, labelled + transfer)
    if not online(spec.settings):  # where the teacher runs beside the student, each is given what it reads
        train_features = features_for(model, train_features)
    search = search_examples(spec)
    evaluator = Evaluator(
        examples=search,
        features=open_features(Path(facts.features_of("search", model.units))),
        data=spec.data,
        select=spec.select_metric or TASKS[spec.task].scores[0],
        direction=spec.select_direction,
        pad_id=pad_id,
    )
    fitted = isinstance(model, Fitted)
    compared = layerwise(
        model,
        spec.settings,
        facts.teacher_shape,
        lambda: _load_teacher(run, facts),
        start=start_of(spec, model),
        mixer=mixer_of(run, model),
    )
    precision = torch.float32 if fitted else choose_precision(spec.settings.precision, run, width_of(model.net))
    layers = compared.compared if compared else ()
    plan = one_step(len(train_features)) if fitted else schedule(labelled, spec.settings, transfer, layers)
    run.events.emit(
        STARTED,
        device=str(run.device),
        params=params,
        steps=plan.steps,
        examples=plan.examples(plan.steps),
        precision=str(precision).removeprefix("torch."),
        versions=versions(),
    )
    form = weights_of(spec.settings)

    def evaluate() -> Evaluation:
        with rounded(model.net, form):
            return evaluator.evaluate(model, run, precision)

    position = (fit if fitted else train)(
        Job(
            model=model,
            features=train_features,
            settings=spec.settings,
            paths=run.paths,
            events=run.events,
            stop=run.stop,
            device=run.device,
            precision=precision,
            pad_id=pad_id,
            evaluate=evaluate,
            save_best=partial(save_best, model, form, smaller=gone > 0),
            teacher=_teacher(facts, signals(spec.settings), len(train_features)),
            transfer=transfer,
            layerwise=compared,
            passes=passes,
            resume_from=resume,
            seconds=seconds,
        )
    )
    nonzero = params - sum(one.zeros() for one in passes)
    known = {
        "nonzero_params": nonzero,
        "train_minutes": position.seconds / 60,
        "cpu_seconds": position.cpu_seconds,
        "peak_memory_mb": peak_memory_mb(run.device),
    }
    if position.energy_wh is not None:
        known["energy_wh"] = position.energy_wh
    measured = measure(run, Path(position.best_folder), evaluator.features, set(spec.measure), facts)
    if size_of(model.units)[1] and model.units in facts.tokenizer_ms:
        measured["tokenizer_ms"] = facts.tokenizer_ms[model.units]
    return {**(position.best_metrics or {}), "params": params, **known, **measured}


def _in_its_tokens(run: Run) -> Run:
    """The attempt with the tokens of its student among the facts."""
    if not cuts_vocabulary(run.spec.settings.family):
        return run
    from bertdistill.engine.distill.vocabularies import for_trial

    return for_trial(run)


def save_best(model: Model, form: str, folder: Path, *, smaller: bool) -> None:
    """What is scored, measured and promoted; `smaller` is without the heads and neurons that were pruned as a whole."""
    if smaller:
        from bertdistill.engine.distill.compression.removal import without_empty

        model = without_empty(model)
    save_packed(model, form, folder)


def _caches(run: Run) -> list[Path]:
    """The cache folders that this trial reads; a model folder given by the user is not one of them."""
    facts = run.spec.prepared
    named = [
        *facts.features.values(),
        facts.split,
        facts.outputs,
        facts.states,
        facts.importance,
        facts.projection,
        start_of_student(facts, run.spec.settings),
    ]
    if with_network(run.spec.settings):
        named.append(facts.teacher_folder)
    named += [facts.vocabulary.pieces, facts.vocabulary.transfer]
    if pretrained(run.spec.settings):
        named.append(facts.corpus.folder)
    for one in facts.units.values():
        named += [one.frequent, one.ngrams.folder, one.whole_ngrams.folder, *one.vectors.values()]
    return [Path(folder) for folder in named if folder and Path(folder).is_relative_to(run.caches)]


def _teacher(facts: Prepared, needed: frozenset[str], inputs: int) -> dict[str, npt.NDArray[np.float16]]:
    """The cached signals that the loss reads, memory-mapped: those of the first `inputs` if a transfer set follows."""
    found = {name: np.load(prepared_file(facts, name), mmap_mode="r") for name in sorted(needed)}
    return {name: signal[:inputs] for name, signal in found.items()} if facts.transfer_features else found


def measured_rows(lengths: IntArray) -> list[IntArray]:
    """Batches of all lengths: only the longest inputs would make every student look slow."""
    parts = list(by_length(lengths, MEASURED_TOKENS))
    # From the middle of each eighth: the last batch may be incomplete and not representative of the shortest.
    chosen = np.unique(((np.arange(MEASURED_BATCHES) + 0.5) * len(parts) / MEASURED_BATCHES).astype(int))
    return [parts[i] for i in chosen]


def _load_teacher(run: Run, facts: Prepared) -> Encoder:
    from bertdistill.engine.distill.families.encoder import Encoder
    from bertdistill.engine.distill.families.transformer import load_encoder

    return Encoder(load_encoder(facts.teacher_folder, run.spec.task, facts.labels, need_head=True))


def measure(run: Run, folder: Path, features: Features, wanted: set[str], facts: Prepared) -> dict[str, float]:
    """Latencies and throughput of the student in `folder`, as far as requested; `features` are in its units."""
    if not wanted & MEASURABLE:
        return {}
    reference = None
    if "latency_ratio" in wanted:
        teacher = _load_teacher(run, facts)
        own = open_features(Path(facts.features_of("search")))
        reference = (teacher, example_batch(teacher, own, facts.mean_length, facts.pad_id))
    return measure_model(run, load_model(folder), features, wanted, facts, reference=reference)


def measure_model(
    run: Run,
    model: Model,
    features: Features,
    wanted: set[str],
    facts: Prepared,
    *,
    reference: tuple[Servable, Batch] | None = None,
) -> dict[str, float]:
    """Those of a model in memory; `reference` is another one with an example, which is timed in turns."""
    units = facts.units_of(model.units)
    result: dict[str, float] = {}
    if wanted & set(LATENCIES):
        run.progress("latency", "runs")
        example = example_batch(model, features, units.mean_length, units.pad_id)
        result |= latency(model, example, reference=reference).metrics()
    if LATENCY_CACHED in wanted:
        from bertdistill.engine.distill.families.separate import with_passage

        run.progress("latency", "runs")
        example = example_batch(model, features, units.mean_length, units.pad_id)
        result[LATENCY_CACHED] = latency(with_passage(model, example), example).cpu_ms
    if "throughput" in wanted:
        run.progress("throughput", "examples")
        seen, edges = features_for(model, features), pad_edges(features.lengths)
        rows = measured_rows(features.lengths)
        batches = [collate(seen, part, edges=edges, pad_id=units.pad_id) for part in rows]
        to_device(model.net, run.device)
        result["throughput"] = throughput(model, batches, run.device)
    return result
