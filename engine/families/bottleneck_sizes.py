"""Size and cost of planned MobileBERTs, exactly as for the built network. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.engine.families.bottleneck_shape import Bottleneck
from bertdistill.engine.families.encoder_plan import Plan, Shape
from bertdistill.engine.families.encoder_sizes import BYTES_PER_WEIGHT
from bertdistill.engine.families.stored import Contents, Size
from bertdistill.engine.tasks.task import SPAN_LOGITS, Task


def inner(shape: Shape) -> Bottleneck:
    """What only a MobileBERT has."""
    assert shape.bottleneck is not None, "not the shape of a MobileBERT"
    return shape.bottleneck


def contents(plan: Plan, task: Task, labels: int) -> Contents:
    """The tensors of its model file; together they are the parameters."""
    shape, hidden = plan.shape, plan.shape.hidden_size
    narrow = inner(shape)
    tables = ((shape.vocab_size, narrow.embedding_size), (shape.positions, hidden), (shape.types, hidden))
    layers = [*_layer_matrices(shape)] * shape.layers
    matrices = [(hidden, _embedded(narrow)), *layers, *_head(shape, task, labels)]
    biases = sum(rows for rows, _ in matrices)  # every linear layer has one for each output
    norms = 2 * hidden + shape.layers * _layer_norms(shape)
    return Contents(tuple(matrices), tables, biases + norms)


def metrics(plan: Plan, task: Task, labels: int, length: float) -> dict[str, float]:
    """Size and cost by the names of the contract; `length` is the mean number of tokens."""
    params = contents(plan, task, labels).weights
    zeros = plan.pruning.zeros(prunable(plan)) if plan.pruning else 0
    return {
        "params": params,
        "encoder_params": plan.shape.layers * layer_params(plan.shape),
        "size_mb": params * BYTES_PER_WEIGHT / 1e6,
        "gflops": flops(plan, task, labels, length) / 1e9,
        **({} if zeros is None else {"nonzero_params": params - zeros}),
    }


def layer_params(shape: Shape) -> int:
    """Weights of one layer."""
    matrices = [*_layer_matrices(shape)]
    return sum(rows * columns + rows for rows, columns in matrices) + _layer_norms(shape)


def embedding_params(shape: Shape) -> int:
    """All embeddings, with the linear layer and the normalisation behind them."""
    hidden, narrow = shape.hidden_size, inner(shape)
    return (
        shape.vocab_size * narrow.embedding_size
        + (shape.positions + shape.types) * hidden
        + (_embedded(narrow) + 1) * hidden
        + 2 * hidden
    )


def prunable(plan: Plan) -> Iterator[int]:
    """Sizes of the matrices in the scope of the pruning of single weights: linear layers, then word embeddings."""
    for _ in range(plan.shape.layers):
        yield from (rows * columns for rows, columns in _layer_matrices(plan.shape))
    if plan.pruning and plan.pruning.embeddings:
        yield plan.shape.vocab_size * inner(plan.shape).embedding_size


def flops(plan: Plan, task: Task, labels: int, length: float) -> float:
    """Floating point operations of the matrix products for one input of `length` tokens, two per multiply-add.

    As for other encoders: the last layer of a classifier is computed for its first position alone, but for keys, values
    and the bottlenecks that they read.
    """
    shape, hidden, narrow = plan.shape, plan.shape.hidden_size, inner(plan.shape)
    read = 2 if narrow.shared and not narrow.narrow_values else 1  # bottlenecks; with both, one has no reader
    every = read * hidden * narrow.size + narrow.size**2 + _value_width(shape) * narrow.size
    one = 2 * narrow.size**2 + 2 * narrow.size * shape.ffn_size * narrow.ffn_count + narrow.size * hidden
    computed = [length] * (shape.layers - 1) + [length if task.spans else 1.0]
    layers = sum(every * length + (one + 2 * narrow.size * length) * positions for positions in computed)
    head = sum(rows * columns for rows, columns in _head(shape, task, labels)) * (length if task.spans else 1)
    return 2 * (_embedded(narrow) * hidden * length + layers + head)


def _embedded(narrow: Bottleneck) -> int:
    """Numbers that become one hidden state."""
    return narrow.embedding_size * (3 if narrow.trigram else 1)


def _value_width(shape: Shape) -> int:
    narrow = inner(shape)
    return narrow.size if narrow.narrow_values else shape.hidden_size


def _layer_matrices(shape: Shape) -> Iterator[Size]:
    """Bottlenecks, attention, feed-forward networks, and back to the hidden size."""
    hidden, narrow, ffn = shape.hidden_size, inner(shape), shape.ffn_size
    size = narrow.size
    yield from ((size, hidden),) * (2 if narrow.shared else 1)
    yield from ((size, size), (size, size), (size, _value_width(shape)), (size, size))
    yield from ((ffn, size), (size, ffn)) * narrow.ffn_count
    yield hidden, size


def _layer_norms(shape: Shape) -> int:
    """Weights and biases of its normalisations: of the bottlenecks, attention, each feed-forward network, the end."""
    narrow = inner(shape)
    return 2 * narrow.size * ((2 if narrow.shared else 1) + 1 + narrow.ffn_count) + 2 * shape.hidden_size


def _head(shape: Shape, task: Task, labels: int) -> tuple[Size, ...]:
    hidden = shape.hidden_size
    if task.spans:
        return ((SPAN_LOGITS, hidden),)
    return (*(((hidden, hidden),) if inner(shape).pooler else ()), (labels, hidden))
