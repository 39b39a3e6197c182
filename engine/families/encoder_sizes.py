"""Size and cost of planned encoders, exactly as for the built network. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import Plan, Shape, plan_student
from bertdistill.engine.families.sparsity import HEADS, NEURONS, gone
from bertdistill.engine.families.stored import Contents, Size
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.task import SPAN_LOGITS

BYTES_PER_WEIGHT = 4


def known_metrics(
    init: Shape, settings: Settings, *, scratch: bool, task: str, labels: int, mean_length: float
) -> dict[str, float]:
    """Metrics that follow from the settings alone: params, encoder_params, size_mb, gflops and, unless training decides
    it, nonzero_params. Raises like plan_student.

    `labels` is the number of classes of text classification; `mean_length` is in tokens.
    """
    plan = plan_student(init, settings, scratch=scratch)
    return plan_metrics(plan, task=task, labels=labels, mean_length=mean_length)


def plan_metrics(
    plan: Plan, *, task: str, labels: int, mean_length: float, first_position: bool = True, first_length: float = 0.0
) -> dict[str, float]:
    """The same for an existing plan; `first_position` as in `flops`, `first_length` is that of the first segment."""
    plan = trained(plan)
    encoder = encoder_params(plan)
    params = (
        embedding_params(plan.shape, plan.embedding_rank) + encoder + head_params(plan.shape, task=task, labels=labels)
    )
    zeros = plan.pruning.zeros(prunable(plan)) if plan.pruning else 0
    return {
        "params": params,
        "encoder_params": encoder,
        "size_mb": params * BYTES_PER_WEIGHT / 1e6,
        "gflops": flops(plan, task=task, labels=labels, length=mean_length, first_position=first_position) / 1e9,
        "gflops_cached": flops(
            plan,
            task=task,
            labels=labels,
            length=mean_length,
            first_position=first_position,
            below=first_length if plan.separate and first_length else None,
        )
        / 1e9,
        **({} if zeros is None else {"nonzero_params": params - zeros}),
    }


def trained(plan: Plan) -> Plan:
    """What is left of it after the training: without the heads and neurons that its pruning removes."""
    pruning = plan.pruning
    if pruning is None or not pruning.structures:
        return plan

    def left(numbers: tuple[int, ...], kind: str) -> tuple[int, ...]:
        if kind not in pruning.structures:
            return numbers
        return tuple(number - gone(number, pruning.sparsity) for number in numbers)

    heads, neurons = left(plan.heads_left, HEADS), left(plan.ffn_left, NEURONS)
    return dataclasses.replace(plan, heads_left=heads, ffn_left=neurons, pruning=None)


def embedding_params(shape: Shape, rank: int = 0) -> int:
    """Word embeddings, whole or of this rank, position and segment embeddings and one LayerNorm."""
    hidden = shape.hidden_size
    words = (shape.vocab_size + hidden) * rank if rank else shape.vocab_size * hidden
    return words + (shape.positions + shape.types) * hidden + 2 * hidden


def encoder_params(plan: Plan) -> int:
    """All encoder layers."""
    return sum(layer_params(plan.shape, *left) for left in zip(plan.heads_left, plan.ffn_left, strict=True))


def layer_params(shape: Shape, heads_left: int, ffn: int) -> int:
    """Query, key, value, attention output, feed-forward and two LayerNorms of one layer."""
    hidden, attention = shape.hidden_size, heads_left * shape.head_size
    projections = 3 * (hidden * attention + attention) + (attention * hidden + hidden)
    feed_forward = (hidden * ffn + ffn) + (ffn * hidden + hidden)
    return projections + feed_forward + 4 * hidden


def prunable(plan: Plan) -> Iterator[int]:
    """Sizes of the matrices in the scope of the pruning of single weights: linear layers, then word embeddings."""
    hidden = plan.shape.hidden_size
    for heads, ffn in zip(plan.heads_left, plan.ffn_left, strict=True):
        yield from (hidden * heads * plan.shape.head_size,) * 4
        yield from (hidden * ffn,) * 2
    if plan.pruning and plan.pruning.embeddings:
        yield plan.shape.vocab_size * (plan.embedding_rank or hidden)


def head_params(shape: Shape, *, task: str, labels: int) -> int:
    """The task head: two span logits, or a dense layer (pooler, pre_classifier, dense) and `labels` classes."""
    hidden = shape.hidden_size
    if TASKS[task].spans:
        return hidden * SPAN_LOGITS + SPAN_LOGITS
    return (hidden * hidden + hidden) + (hidden * labels + labels)


def contents(plan: Plan, *, task: str, labels: int) -> Contents:
    """The tensors of its model file; together they are the parameters."""
    plan = trained(plan)
    shape, hidden, rank = plan.shape, plan.shape.hidden_size, plan.embedding_rank
    words = (shape.vocab_size, rank or hidden)
    embeddings = [words, *((rows, hidden) for rows in (shape.positions, shape.types) if rows)]
    layers = zip(plan.heads_left, plan.ffn_left, strict=True)
    matrices = [size for heads, ffn in layers for size in _layer_matrices(shape, heads, ffn)]
    matrices += [(SPAN_LOGITS, hidden)] if TASKS[task].spans else [(hidden, hidden), (labels, hidden)]
    biases = sum(rows for rows, _ in matrices)  # every linear layer but that of the factors has one for each output
    norms = 2 * hidden * (1 + 2 * len(plan.heads_left))
    factors = ((hidden, rank),) if rank else ()
    return Contents((*matrices, *factors), tuple(embeddings), biases + norms)


def _layer_matrices(shape: Shape, heads_left: int, ffn: int) -> list[Size]:
    hidden, attention = shape.hidden_size, heads_left * shape.head_size
    return [*[(attention, hidden)] * 3, (hidden, attention), (ffn, hidden), (hidden, ffn)]


def flops(
    plan: Plan, *, task: str, labels: int, length: float, first_position: bool = True, below: float | None = None
) -> float:
    """Floating point operations of the matrix products for one input of `length` tokens, two per multiply-add.

    Softmax, LayerNorm, biases and activations are not counted, as is customary. The last layer of a classifier is
    computed for its first position only, as in `distill.families.first_position`, or else is counted whole. Separate
    layers compute what others do, because a mask separates them; but if the second segment was computed before, they
    read only `below` tokens.
    """
    hidden = plan.shape.hidden_size
    sizes = [(heads * plan.shape.head_size, ffn) for heads, ffn in zip(plan.heads_left, plan.ffn_left, strict=True)]
    spans = TASKS[task].spans
    lower = length if below is None else below
    read = [lower] * plan.separate + [length] * (len(sizes) - plan.separate)
    computed = [*read[:-1], 1.0 if first_position and not spans else length]
    layers = sum(
        4 * hidden * width * tokens  # keys and values
        + 4 * hidden * (width + ffn) * positions  # queries, output, feed-forward
        + 4 * width * tokens * positions  # scores and weighted values
        for (width, ffn), tokens, positions in zip(sizes, read, computed, strict=True)
    )
    embeddings = 2 * lower * plan.embedding_rank * hidden
    return embeddings + layers + (2 * length * hidden * SPAN_LOGITS if spans else 2 * hidden * (hidden + labels))
