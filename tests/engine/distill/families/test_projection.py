"""The projection of hidden states onto their principal components, against plain readings of its formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import Kind, make_checkpoint
from torch import Tensor, nn

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.projection import Projection, norms_of, projection_of
from bertdistill.engine.distill.families.transformer import (
    build_student,
    load_encoder,
    load_student,
    read_shape,
    save_student,
)
from bertdistill.engine.families.encoder_plan import plan_student
from bertdistill.engine.families.encoder_sizes import plan_metrics
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

KINDS: tuple[Kind, ...] = ("bert", "distilbert", "roberta")
LABELS = ("a", "b", "c")
IDS = torch.randint(5, 40, (12, 9), generator=torch.Generator().manual_seed(0))
MASK = (torch.arange(9) < torch.randint(4, 10, (12, 1), generator=torch.Generator().manual_seed(1))).long()

Rows = np.ndarray[Any, np.dtype[np.float64]]


def teacher_of(tmp_path: Path, kind: Kind, task: str = TEXT_CLASSIFICATION, *, plain: bool = False) -> tuple[Path, Any]:
    """Its LayerNorms scale and shift, unless they shall be `plain`, as those of new models are."""
    folder = make_checkpoint(tmp_path / kind, kind, layers=3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = load_encoder(folder, task, () if TASKS[task].spans else LABELS)
        for norm in [] if plain else norms_of(model):  # with 1 and 0 many a wrong formula would do
            norm.weight.data.uniform_(0.5, 1.5)
            norm.bias.data.normal_(0, 0.3)
    model.save_pretrained(folder)
    return folder, model


def read(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    model(input_ids=batch[0], attention_mask=batch[1])
    return batch[1]


def found_for(model: Any) -> Projection:
    return projection_of(model, [(IDS[:5], MASK[:5]), (IDS[5:], MASK[5:])], read)


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        found = model.eval()(input_ids=IDS, attention_mask=MASK)
    return found.logits if hasattr(found, "logits") else torch.stack((found.start_logits, found.end_logits), -1)


def seen_by(model: Any) -> list[tuple[Rows, Rows]]:
    """Normalised input and output of every LayerNorm, a token a row, without padding."""
    seen: list[tuple[Rows, Rows]] = []

    def keep(norm: nn.LayerNorm, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rows, states = inputs[0][MASK.bool()].double().numpy(), output[MASK.bool()].double().numpy()
        rows = (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + norm.eps)
        seen.append((rows, states))

    handles = [norm.register_forward_hook(keep) for norm in norms_of(model)]
    logits(model)
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_components_and_moments_are_those_of_the_tokens(tmp_path: Path, kind: Kind) -> None:
    """Token by token, whatever the batches; padding does not count."""
    _, model = teacher_of(tmp_path, kind)
    found, seen = found_for(model), seen_by(model)
    assert 7 == len(seen)
    total = sum((states.T @ states) / (states**2).sum() for _, states in seen)
    values, vectors = np.linalg.eigh(np.asarray(total))
    basis = found.basis.double().numpy()
    assert np.allclose(np.abs((basis * vectors[:, ::-1]).sum(0)), 1, atol=1e-3)
    assert (np.diff(values) > 0).all()
    for row, (inputs, states) in enumerate(seen):
        u, x = inputs @ basis, states @ basis
        covariances = ((u - u.mean(0)) * (x - x.mean(0))).mean(0)
        for value, plain in zip(
            (found.mean, found.variance, found.covariance, found.target),
            (u.mean(0), u.var(0), covariances, x.mean(0)),
            strict=True,
        ):
            np.testing.assert_allclose(value[row], plain, atol=1e-5)


def test_layer_norms_are_fitted_by_least_squares(tmp_path: Path) -> None:
    """Scale and bias are those of a line through the targets over what the narrow LayerNorm sees."""
    folder, model = teacher_of(tmp_path, "bert")
    found, width = found_for(model), 20
    small = build(folder, found, Settings(hidden_size=width))
    basis = found.basis[:, :width].double().numpy()
    for norm, (inputs, states) in zip(norms_of(small), seen_by(model), strict=True):
        z, target = inputs @ basis, states @ basis
        deviation = np.sqrt((z**2).mean() - z.mean() ** 2)  # over tokens and coordinates
        v = (z - z.mean()) / deviation
        lines = [np.polyfit(v[:, i], target[:, i], 1) for i in range(width)]
        np.testing.assert_allclose(norm.weight.detach(), [slope for slope, _ in lines], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(norm.bias.detach(), [bias for _, bias in lines], rtol=1e-3, atol=1e-3)


def build(folder: Path, found: Projection | None, settings: Settings, task: str = TEXT_CLASSIFICATION) -> Any:
    labels = () if TASKS[task].spans else LABELS
    neurons = np.random.default_rng(0).random((3, 64), np.float32)
    shape = read_shape(folder)
    return build_student(folder, settings, task=task, labels=labels, shape=shape, projection=found, neurons=neurons)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_linears_are_exact_for_what_is_kept(tmp_path: Path, kind: Kind) -> None:
    """A linear reads from z what it read from the state P z, and writes P' of what it wrote."""
    folder, model = teacher_of(tmp_path, kind)
    found, width = found_for(model), 20
    basis = found.basis[:, :width]
    small = build(folder, found, Settings(hidden_size=width))
    z, kinds = torch.randn(4, width, generator=torch.Generator().manual_seed(2)), set()
    for (owner, name, kind_of), (other, _, _) in zip(
        standalone.stream_of(model), standalone.stream_of(small), strict=True
    ):
        old, new = getattr(owner, name), getattr(other, name)
        kinds.add(kind_of)
        match kind_of:
            case "embeds":
                assert_fp32_equal(new.weight, old.weight @ basis)
                assert old.padding_idx == new.padding_idx
            case "reads":
                assert_fp32_equal(new(z), old(z @ basis.T))
            case "writes":
                inputs = torch.randn(4, old.in_features, generator=torch.Generator().manual_seed(3))
                assert_fp32_equal(new(inputs), old(inputs) @ basis)
    assert {"embeds", "norm", "reads", "writes", "pools", "classifies"} == kinds


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_more_width_is_nearer_to_the_teacher(tmp_path: Path, kind: Kind, task: str) -> None:
    """Without any training. The states of a random model have no small components, so even one less shows."""
    folder, model = teacher_of(tmp_path, kind, task, plain=True)
    whole, found = logits(model), found_for(model)
    errors = [
        float((logits(build(folder, found, Settings(hidden_size=width), task)) - whole).norm() / whole.norm())
        for width in (31, 8)
    ]
    assert errors[0] < 0.5
    assert errors[0] < errors[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_projected_student_comes_back(tmp_path: Path, kind: Kind, task: str) -> None:
    """With fewer heads and neurons, and with new layers; its size is the planned one, and every weight is trained."""
    folder, model = teacher_of(tmp_path, kind, task)
    found, labels = found_for(model), () if TASKS[task].spans else LABELS
    found.save(tmp_path / "cache")
    settings = Settings(layers=4, heads=3, head_choice="random", ffn_size=40, hidden_size=23)
    small = build(folder, Projection.load(tmp_path / "cache"), settings, task)
    assert logits(small).isfinite().all()
    save_student(small, [[0, 1, 2]] * 4, tmp_path / "saved")
    assert torch.equal(logits(small), logits(load_student(tmp_path / "saved")[0]))
    plan = plan_student(read_shape(folder), settings, scratch=False)
    known = plan_metrics(plan, task=task, labels=len(labels), mean_length=9)
    assert known["params"] == sum(weight.numel() for weight in small.parameters() if weight.requires_grad)
    with pytest.raises(ConfigError, match="already"):
        read_shape(tmp_path / "saved")


def test_a_projection_is_needed_and_must_fit(tmp_path: Path) -> None:
    """Nothing is guessed without it, or with that of another model."""
    folder, model = teacher_of(tmp_path, "bert", QUESTION_ANSWERING)
    with pytest.raises(ConfigError, match="no projection"):
        build(folder, None, Settings(hidden_size=8))
    other = make_checkpoint(tmp_path / "other", "bert", hidden=16, layers=3)
    with pytest.raises(ConfigError, match="does not fit"):
        build(other, found_for(model), Settings(hidden_size=8))
    with pytest.raises(ValueError, match="at least one batch"):
        projection_of(model, [], read)
