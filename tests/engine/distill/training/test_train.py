"""The training loop: schedule, exact resume, stopping, divergence, and the loss that it really minimises."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.closeness import assert_fp32_equal
from tests.engine.distill.training.jobs import (
    COUNT,
    StopAfter,
    events,
    make_features,
    make_job,
    make_model,
    weights,
)
from transformers import get_linear_schedule_with_warmup

from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.events import CHECKPOINT, METRICS_LOGGED, PROGRESS
from bertdistill.engine.contract.folder import CLASS_LOGITS, RunPaths
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.removal import without_empty
from bertdistill.engine.distill.compression.table import passes_of
from bertdistill.engine.distill.compression.weights import rounded, save_packed
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.checkpoints import read_position
from bertdistill.engine.distill.training.schedule import schedule
from bertdistill.engine.distill.training.train import (
    Diverged,
    Evaluation,
    Job,
    make_optimizer,
    predict,
    train,
)


@pytest.fixture(name="threads", autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class SavedBy(Encoder):
    """An encoder whose saving is that of a test."""

    def __init__(self, net: Any, write: Callable[[Path], None]) -> None:
        super().__init__(net)
        object.__setattr__(self, "write", write)

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        self.write(folder)  # type: ignore[attr-defined]  # set above, around the frozen dataclass


def cut_model() -> Encoder:
    """The same with unequal layers, smaller hidden states and word embeddings of low rank."""
    model = make_model()
    with torch.random.fork_rng():
        torch.manual_seed(4)
        standalone.prune_neurons(model.net, [range(20), range(9)])
        standalone.narrow(model.net, 13)
        standalone.factorise(model.net, 5)
    return model


def separate_job(folder: Path, **changes: Any) -> Job:
    """A model whose first layer is separate, and inputs of two segments."""
    model, features = make_model(), make_features()
    standalone.separate(model.net, 1)
    within = np.concatenate([np.arange(length) for length in features.lengths])
    return make_job(
        folder, model=model, features=replace(features, token_types=(within > 2).astype(np.uint8)), **changes
    )


def test_a_run_with_separate_layers_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """Their masks hold no state."""
    whole, first = separate_job(tmp_path / "whole"), separate_job(tmp_path / "first", stop=StopAfter(5))
    train(whole)
    with pytest.raises(Stopped):
        train(first)
    second = separate_job(tmp_path / "second", resume_from=first.paths.last.resolve())
    train(second)
    assert all(torch.equal(a, weights(second)[name]) for name, a in weights(whole).items())
    assert 1 == json.loads((first.paths.last / "config.json").read_text())["separate_layers"]


@pytest.mark.parametrize(("asks", "make"), [(1, make_model), (4, make_model), (9, make_model), (5, cut_model)])
def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path, asks: int, make: Callable[[], Encoder]) -> None:
    """Killed in the middle and resumed, in another process's place, the weights are equal to the last bit."""
    whole = make_job(tmp_path / "whole", model=make())
    train(whole)
    first = make_job(tmp_path / "first", stop=StopAfter(asks), model=make())
    with pytest.raises(Stopped):
        train(first)
    second = make_job(tmp_path / "second", resume_from=first.paths.last.resolve(), model=make())
    torch.manual_seed(99)  # whatever the new process did before must not matter
    train(second)
    assert all(torch.equal(a, weights(second)[name]) for name, a in weights(whole).items())
    curve = {e["step"]: e["values"]["train/loss"] for e in events(whole, METRICS_LOGGED) if "train/loss" in e["values"]}
    parts = [e for job in (first, second) for e in events(job, METRICS_LOGGED) if "train/loss" in e["values"]]
    assert curve == {event["step"]: event["values"]["train/loss"] for event in parts}


@pytest.mark.parametrize("form", ["fp16", "int8", "int4-embeddings"])
def test_a_run_that_is_evaluated_in_another_number_format_resumes_to_the_same_weights(
    tmp_path: Path, form: str
) -> None:
    """Rounding is for the evaluation alone: training continues with the fp32 weights, and a resume finds them."""

    def rounding(folder: Path, **changes: Any) -> Job:
        model = make_model()
        scores = iter(range(100))

        def evaluate() -> Evaluation:
            with rounded(model.net, form):
                return Evaluation(float(next(scores)), {"exact": 1.0}, {})

        save = partial(save_packed, model, form)
        return make_job(folder, model=model, evaluate=evaluate, save_best=save, **changes)

    whole, first = rounding(tmp_path / "whole"), rounding(tmp_path / "first", stop=StopAfter(5))
    position = train(whole)
    with pytest.raises(Stopped):
        train(first)
    second = rounding(tmp_path / "second", resume_from=first.paths.last.resolve())
    train(second)
    plain = make_job(tmp_path / "plain")
    train(plain)
    for other in (second, plain):
        assert all(torch.equal(a, weights(other)[name]) for name, a in weights(whole).items())
    assert form == json.loads((Path(position.best_folder) / "config.json").read_text())["bertdistill_weights"]


@pytest.mark.parametrize("asks", [1, 5])
def test_a_run_with_a_transfer_set_resumes_to_the_same_weights(tmp_path: Path, asks: int) -> None:
    """The draw from the set is a function of the epoch, too."""
    settings = Settings(batch_size=8, epochs=3, evaluations=3, learning_rate=1e-3, transfer_share=0.4)
    more: dict[str, Any] = {"settings": settings, "transfer": 25}
    whole = make_job(tmp_path / "whole", **more)
    train(whole)
    first = make_job(tmp_path / "first", stop=StopAfter(asks), **more)
    with pytest.raises(Stopped):
        train(first)
    second = make_job(tmp_path / "second", resume_from=first.paths.last.resolve(), **more)
    train(second)
    assert all(torch.equal(a, weights(second)[name]) for name, a in weights(whole).items())
    seen = events(whole, METRICS_LOGGED)[-1]["values"]["examples"]
    assert 3 * (35 + 7 * 3) == seen  # 35 labelled features, 5 a batch, and 3 of the set with them


def test_a_stop_during_an_evaluation_repeats_it_before_the_next_step(tmp_path: Path) -> None:
    """The evaluation that a stop cut short comes again at the very same step."""

    def interrupted() -> Evaluation:
        raise Stopped

    first = make_job(tmp_path / "first", evaluate=interrupted)
    with pytest.raises(Stopped):
        train(first)
    second = make_job(tmp_path / "second", resume_from=first.paths.last.resolve())
    train(second)
    evaluated = [e["step"] for e in events(second, METRICS_LOGGED) if "search/exact" in e["values"]]
    assert list(schedule(COUNT, second.settings).evaluate_after) == evaluated


def test_a_flipped_byte_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    """Neither torch nor safetensors checks the bytes; the checksum does."""
    job = make_job(tmp_path / "run", stop=StopAfter(3))
    with pytest.raises(Stopped):
        train(job)
    file = job.paths.last / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-5] ^= 1
    file.write_bytes(raw)
    with pytest.raises(WorkerFailed, match="checksum"):
        train(make_job(tmp_path / "again", resume_from=job.paths.last.resolve()))


def test_the_best_checkpoint_is_that_of_the_best_score(tmp_path: Path) -> None:
    """Scores 1, 3, 2: the second evaluation's weights stay, with its predictions beside them."""
    scores = iter([1.0, 3.0, 2.0])
    seen: list[dict[str, torch.Tensor]] = []
    job = make_job(tmp_path / "run")

    def evaluate() -> Evaluation:
        seen.append(weights(job))
        score = next(scores)
        return Evaluation(score, {"exact": score}, {"predictions.json": json.dumps({"q": str(score)})})

    position = train(replace(job, evaluate=evaluate))
    best = Path(position.best_folder)
    stored = load_file(best / "model.safetensors")
    assert all(torch.equal(tensor, stored[name]) for name, tensor in seen[1].items())
    assert {"q": "3.0"} == json.loads((best / "predictions.json").read_text())
    assert {"exact": 3.0} == position.best_metrics
    assert best == job.paths.best.resolve()
    roles = [event["role"] for event in events(job, CHECKPOINT)]
    assert ["best", "last", "best", "last"] == roles


def test_the_best_that_the_last_checkpoint_names_stays_until_the_next_last(tmp_path: Path) -> None:
    """Killed between the two, a resumed run may score lower (a GPU repeats nothing exactly) and needs the old best."""
    first = make_job(tmp_path / "first")
    written: list[Path] = []

    def write(target: Path) -> None:
        if len(written) == 3:  # best, last, a better best, and now the second last
            raise KeyboardInterrupt
        written.append(target)
        Encoder(first.model.net).save(target)

    with pytest.raises(KeyboardInterrupt):
        train(replace(first, model=SavedBy(first.model.net, write)))
    resumed = make_job(tmp_path / "second", resume_from=first.paths.last.resolve())
    position = train(replace(resumed, evaluate=lambda: Evaluation(-1.0, {"exact": -1.0}, {})))
    assert (Path(position.best_folder) / "model.safetensors").is_file()
    train(make_job(tmp_path / "whole"))
    kept = [entry.name for entry in RunPaths(tmp_path / "whole").checkpoints.iterdir() if not entry.is_symlink()]
    assert 1 == sum(name.startswith("last-") for name in kept)
    assert 2 >= sum(name.startswith("best-") for name in kept)


def test_logits_are_stored_with_the_best_checkpoint_or_the_old_ones_stay(tmp_path: Path) -> None:
    """Killed while a better checkpoint is written, the link still points to a whole one with its own logits."""
    job, scores = make_job(tmp_path / "run"), iter([1.0, 2.0])
    bests: list[Path] = []

    def write(target: Path) -> None:
        bests.extend([target] if "best" in target.name else [])
        if len(bests) == 2:
            raise KeyboardInterrupt
        Encoder(job.model.net).save(target)

    def evaluate() -> Evaluation:
        score = next(scores)
        return Evaluation(score, {"exact": score}, {CLASS_LOGITS: f"{score}".encode()})

    with pytest.raises(KeyboardInterrupt):
        train(replace(job, model=SavedBy(job.model.net, write), evaluate=evaluate))
    assert b"1.0" == (job.paths.best / CLASS_LOGITS).read_bytes()
    assert 2 == len(bests)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(8, 2), (8, 5), (50, 1), (64, 1)])
def test_examples_are_counted_by_passes_over_the_data(tmp_path: Path, batch_size: int, accumulation: int) -> None:
    """Three epochs of 60 are 180 examples for every batch size, so that curves and progress end at the same place."""
    settings = Settings(batch_size=batch_size, accumulation=accumulation, epochs=3, evaluations=3)
    job = make_job(tmp_path / "run", settings=settings)
    train(job)
    seen = [event["values"]["examples"] for event in events(job, METRICS_LOGGED)]
    done = events(job, PROGRESS)[-1]
    assert sorted(seen) == seen
    assert [180, 180, 180] == [seen[-1], done["done"], done["total"]]


def test_a_hopeless_learning_rate_diverges(tmp_path: Path) -> None:
    """A loss that is not finite ends the run with the step and the rate."""
    job = make_job(tmp_path / "run", settings=Settings(batch_size=8, epochs=50, learning_rate=1.0, max_grad_norm=0))
    with torch.no_grad():
        next(job.model.net.parameters()).fill_(float("inf"))
    with pytest.raises(Diverged, match="step 1"):
        train(job)


def test_betas_and_decay_groups_reach_the_optimiser() -> None:
    """What the original experiment searched in vain: betas are passed; bias and LayerNorm are not decayed."""
    settings = Settings(beta_1=0.7, beta_2=0.8, adam_epsilon=1e-5, weight_decay=0.1)
    model = make_model()
    decayed, plain = make_optimizer(model.net, settings).param_groups
    names = {id(p): name for name, p in model.net.named_parameters()}
    assert (0.7, 0.8) == decayed["betas"]
    assert 1e-5 == decayed["eps"]
    assert [0.1, 0.0] == [decayed["weight_decay"], plain["weight_decay"]]
    assert all("bias" in names[id(p)] or "LayerNorm" in names[id(p)] for p in plain["params"])
    assert len(names) == len(decayed["params"]) + len(plain["params"])


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.55, 1.0])
def test_learning_rate_is_that_of_transformers(warmup: float) -> None:
    """The same rate at every step as `get_linear_schedule_with_warmup`, so that recipes carry over."""
    plan = schedule(80, Settings(batch_size=8, epochs=2, warmup_fraction=warmup))
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-5)
    theirs = get_linear_schedule_with_warmup(optimizer, plan.phases[0].warmup, plan.steps)
    expected = []
    for _ in range(plan.steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert expected == pytest.approx([plan.phases[0].rate(step, 3e-5) for step in range(plan.steps)])


@pytest.mark.parametrize(
    ("epochs", "accumulation", "passes"), [(3, 5, [5, 5, 5, 5, 4]), (0.25, 4, [2]), (1, 16, [8]), (1.1, 3, [3, 3, 3])]
)
def test_accumulation_ends_with_the_epochs(epochs: float, accumulation: int, passes: list[int]) -> None:
    """The last step takes the batches that are left, never one of an epoch that was not asked for."""
    plan = schedule(COUNT, Settings(batch_size=8, epochs=epochs, accumulation=accumulation))
    assert passes == [plan.phases[0].passes_of(step) for step in range(plan.steps)]


def test_no_epoch_is_started_for_a_rounding_error() -> None:
    """10 batches and 1.1 epochs are 11 batches, although the product of the floats is larger than 11."""
    assert 11 == schedule(80, Settings(batch_size=8, epochs=1.1)).phases[0].passes


def test_accumulated_batches_weigh_by_their_examples(tmp_path: Path) -> None:
    """60 examples in batches of 16, 16, 16 and 12 have the loss and the gradient of one batch of 60."""

    def only_step(name: str, batch_size: int, accumulation: int) -> dict[str, float]:
        settings = Settings(batch_size=batch_size, accumulation=accumulation, epochs=1, evaluations=1, alpha=0.3)
        model = make_model(dropout=0.0)
        job = make_job(tmp_path / name, settings=settings, model=model)
        train(job)
        (values,) = [e["values"] for e in events(job, METRICS_LOGGED) if "train/loss" in e["values"]]
        return {name: values[f"train/{name}"] for name in ("loss", "hard_loss", "soft_loss", "gradient_norm")}

    assert only_step("whole", 60, 1) == pytest.approx(only_step("parts", 16, 4), rel=1e-4)


def test_evaluations_are_spaced_by_examples_whatever_the_batch() -> None:
    """Two batch sizes are looked at after the same share of the examples."""
    small, large = (schedule(6400, Settings(batch_size=size, epochs=1, evaluations=4)) for size in (8, 32))
    assert [200, 400, 600, 800] == list(small.evaluate_after)
    assert [step * 4 for step in large.evaluate_after] == list(small.evaluate_after)


def test_prediction_does_not_depend_on_the_batch() -> None:
    """Every token gets the logits that its window would get alone."""
    model, features = make_model(), make_features()
    together = predict(model, features, device=torch.device("cpu"), batch_tokens=4000)
    alone = predict(model, features, device=torch.device("cpu"), batch_tokens=1)
    assert together.shape == (len(features.input_ids), 2)
    assert_fp32_equal(together, alone)


def test_only_the_student_is_trained_towards_the_teacher(tmp_path: Path) -> None:
    """With alpha 1 the soft loss falls, and the hard labels are not learned."""
    job = make_job(tmp_path / "run", settings=Settings(batch_size=8, epochs=20, alpha=1.0, learning_rate=3e-3))
    train(job)
    soft = [e["values"]["train/soft_loss"] for e in events(job, METRICS_LOGGED) if "train/soft_loss" in e["values"]]
    assert soft[-1] < soft[0]


def test_a_second_stop_at_one_step_keeps_the_checkpoint_until_the_next_is_whole(tmp_path: Path) -> None:
    """A teacher goes on in the folder of the attempt before; killed while it writes, it has what it resumed from."""

    def interrupted() -> Evaluation:
        raise Stopped

    def killed(target: Path) -> None:
        raise KeyboardInterrupt

    first = make_job(tmp_path / "run", evaluate=interrupted)
    with pytest.raises(Stopped):
        train(first)
    left = first.paths.last.resolve()
    with pytest.raises(KeyboardInterrupt):
        train(
            make_job(tmp_path / "run", evaluate=interrupted, resume_from=left, model=SavedBy(make_model().net, killed))
        )
    assert left == first.paths.last.resolve()
    with pytest.raises(Stopped):
        train(make_job(tmp_path / "run", evaluate=interrupted, resume_from=left))
    assert [first.paths.last.resolve()] == list(first.paths.checkpoints.glob("last-*"))
    assert read_position(left.parent / first.paths.last.resolve().name).step > 0


class Noting:
    """A pass that notes when it is called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, now: Moment) -> None:
        self.calls.append(("before", now.step))
        assert 0 <= now.step < now.steps

    def before_update(self) -> None:
        self.calls.append(("update", -1))

    def after_step(self, now: Moment) -> None:
        self.calls.append(("after", now.step))

    def at_end(self) -> None:
        self.calls.append(("end", -1))

    def settled(self, step: int, steps: int) -> bool:
        return True

    def zeros(self) -> int:
        return 0

    def series(self) -> dict[str, float]:
        return {}

    def state(self) -> Mapping[str, torch.Tensor]:
        return {}

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        assert {} == state


def test_a_pass_is_called_around_every_step_and_before_the_last_evaluation(tmp_path: Path) -> None:
    """What is scored last has been through the end of the pass; a resumed run calls it again at the same step."""
    whole, seen = Noting(), list[int]()

    def evaluate() -> Evaluation:
        seen.append(len(whole.calls))
        return Evaluation(1.0, {"exact": 1.0}, {})

    position = train(make_job(tmp_path / "whole", passes=(whole,), evaluate=evaluate))
    around = [(("before", n), ("update", -1), ("after", n)) for n in range(position.step)]
    assert [*(call for step in around for call in step), ("end", -1)] == whole.calls
    assert len(whole.calls) == seen[-1]
    first, rest = Noting(), Noting()
    stopped = make_job(tmp_path / "first", passes=(first,), stop=StopAfter(4))
    with pytest.raises(Stopped):
        train(stopped)
    train(make_job(tmp_path / "rest", passes=(rest,), resume_from=stopped.paths.last.resolve()))
    assert whole.calls == [*first.calls, *rest.calls]


def pruned_job(folder: Path, pruning: str, **changes: Any) -> Job:
    """12 steps, of which 1 to 6 prune, with dropout, weight decay and accumulation."""
    settings = Settings(
        batch_size=8,
        epochs=3,
        evaluations=3,
        learning_rate=3e-3,
        weight_decay=0.1,
        accumulation=2,
        pruning=pruning,
        sparsity=0.6,
        pruning_begin=0.1,
        pruning_end=0.6,
        pruning_rounds=3,
        pruning_scope=changes.pop("scope", scope_of(pruning)),
        pruning_when=changes.pop("when", "before"),
    )
    model = make_model()
    return make_job(folder, model=model, settings=settings, passes=passes_of(settings, model.net), **changes)


PRUNED = [(name, "before") for name in ("magnitude", "gradual", "iterative", "movement", "proximal")]
PRUNED += [("random", "during"), ("random", "after")]


@pytest.mark.parametrize(("pruning", "when"), PRUNED)
def test_a_pruning_resumes_to_the_same_weights(tmp_path: Path, pruning: str, when: str) -> None:
    """Masks, scores, weights behind masks and the weights of the norm survive, within the schedule and after it."""
    whole = pruned_job(tmp_path / "whole", pruning, when=when)
    train(whole)
    zeros = whole.passes[0].zeros()
    assert zeros == sum(int((weight == 0).sum()) for weight in pruned_weights(whole, pruning))
    assert zeros > 0
    for asks in (3, 9):
        first = pruned_job(tmp_path / f"first-{asks}", pruning, when=when, stop=StopAfter(asks))
        with pytest.raises(Stopped):
            train(first)
        second = pruned_job(tmp_path / f"second-{asks}", pruning, when=when, resume_from=first.paths.last.resolve())
        with torch.no_grad():
            for weight in pruned_weights(second, pruning):  # whatever was there must not matter
                weight.fill_(0.5)
        train(second)
        assert all(torch.equal(a, weights(second)[name]) for name, a in weights(whole).items()), asks
        assert zeros == second.passes[0].zeros()


@pytest.mark.parametrize("pruning", ["gradual", "movement"])
def test_a_pruning_of_heads_and_neurons_resumes_to_the_same_weights(tmp_path: Path, pruning: str) -> None:
    """Within the schedule, in which masked ones may return; nothing is removed until the model is saved."""
    whole = pruned_job(tmp_path / "whole", pruning, scope="heads-and-neurons")
    train(whole)
    first = pruned_job(tmp_path / "first", pruning, scope="heads-and-neurons", stop=StopAfter(4))
    with pytest.raises(Stopped):
        train(first)
    second = pruned_job(tmp_path / "second", pruning, scope="heads-and-neurons", resume_from=first.paths.last.resolve())
    train(second)
    assert all(torch.equal(a, weights(second)[name]) for name, a in weights(whole).items())
    smaller = without_empty(second.model)
    assert [[1, 1], [32 - 19] * 2] == [
        [len(kept) for kept in smaller.kept_heads],  # type: ignore[attr-defined]  # of an encoder
        [layer.output.dense.in_features for layer in standalone.layers_of(smaller.net)],  # type: ignore[union-attr]
    ]


def scope_of(pruning: str) -> str:
    """The row of padding is 0 without pruning, so zeros that are drawn are not all zeros of the table."""
    return "linears" if pruning in ("random", "movement") else "embeddings"


def pruned_weights(job: Job, pruning: str) -> list[torch.nn.Parameter]:
    """The matrices in scope."""
    named = job.model.net.named_parameters()
    found = {name: weight for name, weight in named if weight.ndim == 2 and ".layer." in name}
    table = [job.model.net.bert.embeddings.word_embeddings.weight]  # type: ignore[union-attr]  # of BERT
    return [*found.values(), *(table if scope_of(pruning) == "embeddings" else [])]  # type: ignore[list-item]  # of an Embedding


@pytest.mark.parametrize(("pruning", "when"), PRUNED)
def test_only_what_is_pruned_as_asked_is_the_best(tmp_path: Path, pruning: str, when: str) -> None:
    """The first of three evaluations, at step 4, is within the schedule, and scores highest."""
    scores = iter([3.0, 2.0, 1.0])
    job = pruned_job(tmp_path / "run", pruning, when=when)
    position = train(replace(job, evaluate=lambda: Evaluation((score := next(scores)), {"exact": score}, {})))
    expected = {"before": 3.0, "during": 2.0, "after": 1.0}[when if pruning in ("magnitude", "random") else "during"]
    assert expected == position.best_score
    stored = load_file(Path(position.best_folder) / "model.safetensors")
    named = {id(weight): name for name, weight in job.model.net.named_parameters()}
    kept = [stored[named[id(weight)]] for weight in pruned_weights(job, pruning)]
    assert job.passes[0].zeros() == sum(int((weight == 0).sum()) for weight in kept)
    curve = [e["values"]["train/sparsity"] for e in events(job, METRICS_LOGGED) if "train/sparsity" in e["values"]]
    assert len(curve) == 12
    assert curve == sorted(curve)
