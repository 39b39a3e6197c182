"""Order, padding and contents of batches."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertdistill.engine.contract.terms import LOGITS, transfer_rows
from bertdistill.engine.distill.data.batches import (
    EDGES,
    MULTIPLE,
    batches_per_epoch,
    by_length,
    collate,
    epoch_order,
    pad_edges,
)
from bertdistill.engine.distill.data.features import Features

LENGTHS = np.random.default_rng(0).integers(5, 200, size=1003)


def make_features(lengths: list[int], *, span: bool) -> Features:
    """Features whose token ids count up, so that a misplaced token shows."""
    total = sum(lengths)
    return Features(
        folder=Path(),
        input_ids=np.arange(1, total + 1, dtype=np.uint16),
        token_types=np.ones(total, np.uint8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example_index=np.arange(len(lengths), dtype=np.int32),
        targets=np.ones((len(lengths), 2), np.int32) if span else np.arange(len(lengths), dtype=np.int32),
        char_spans=None,
    )


@given(count=st.integers(1, 900), batch_size=st.integers(1, 20), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_an_epoch_holds_every_feature_once(count: int, batch_size: int, seed: int, epoch: int) -> None:
    """Whatever the sizes, the batches are a partition, and their number is known beforehand."""
    batches = epoch_order(LENGTHS[:count], batch_size, seed=seed, epoch=epoch)
    assert list(range(count)) == sorted(np.concatenate(batches).tolist())
    assert batches_per_epoch(count, batch_size) == len(batches)
    assert max(len(batch) for batch in batches) <= batch_size


@given(
    labelled=st.integers(1, 300),
    transfer=st.integers(1, 300),
    batch_size=st.integers(2, 20),
    share=st.floats(0.05, 0.95),
)
def test_every_batch_has_its_share_of_the_transfer_set(
    labelled: int, transfer: int, batch_size: int, share: float
) -> None:
    """Labelled features occur once an epoch, the others equally often over all epochs."""
    drawn = transfer_rows(batch_size, share)
    assert 0 <= drawn < batch_size
    if not drawn:
        return
    others: list[int] = []
    for epoch in range(3):
        batches = epoch_order(
            LENGTHS[: labelled + transfer], batch_size, seed=1, epoch=epoch, transfer=transfer, from_transfer=drawn
        )
        assert batches_per_epoch(labelled, batch_size - drawn) == len(batches)
        assert {drawn} == {int((batch >= labelled).sum()) for batch in batches}
        rows = np.concatenate(batches)
        assert list(range(labelled)) == sorted(rows[rows < labelled].tolist())
        others += rows[rows >= labelled].tolist()
    times = np.bincount(np.array(others) - labelled, minlength=transfer)
    assert times.max() - times.min() <= 1


def test_a_transfer_set_that_is_not_drawn_from_changes_nothing() -> None:
    """Features behind the labelled ones do not move the order."""
    with_it = epoch_order(LENGTHS, 8, seed=1, epoch=2, transfer=200)
    without = epoch_order(LENGTHS[:803], 8, seed=1, epoch=2)
    assert all(np.array_equal(a, b) for a, b in zip(with_it, without, strict=True))


def test_order_follows_from_seed_and_epoch() -> None:
    """Same seed and epoch, same order; another epoch or seed, another order."""

    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate(epoch_order(LENGTHS, 8, seed=seed, epoch=epoch)).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_batches_are_of_like_length() -> None:
    """Less than a tenth of the tokens is padding, where random batches of these lengths waste more than a third."""
    batches = epoch_order(LENGTHS, 8, seed=0, epoch=0)
    padded = sum(LENGTHS[batch].max() * len(batch) for batch in batches)
    assert padded < 1.1 * LENGTHS.sum()


def test_few_padded_lengths() -> None:
    """At most EDGES distinct shapes, each a multiple, the last one long enough for all."""
    edges = pad_edges(LENGTHS)
    assert len(edges) <= EDGES
    assert 0 == (edges % MULTIPLE).max()
    assert edges[-1] >= LENGTHS.max()


def test_prediction_batches_come_longest_first_and_hold_all() -> None:
    """A memory failure shows in the first batch; nobody is left out."""
    batches = list(by_length(LENGTHS, 1000))
    assert list(range(len(LENGTHS))) == sorted(np.concatenate(batches).tolist())
    assert LENGTHS.max() == LENGTHS[batches[0][0]]


def test_prediction_makes_few_shapes_within_the_budget() -> None:
    """Every other shape costs a CPU worker memory that it never gives back; padding counts as tokens, too."""
    edges = pad_edges(LENGTHS)
    shapes = [(len(rows), int(edges[np.searchsorted(edges, LENGTHS[rows[0]])])) for rows in by_length(LENGTHS, 1000)]
    assert len(set(shapes)) <= EDGES + 1  # the last batch may be smaller
    assert max(rows * width for rows, width in shapes) <= 1000


def test_collate_cuts_and_pads_spans() -> None:
    """Ids, mask, segment ids and teacher outputs of the right tokens, padding elsewhere."""
    features = make_features([3, 6, 2], span=True)
    teacher = np.arange(22, dtype=np.float16).reshape(11, 2)
    batch = collate(features, np.array([2, 0]), edges=np.array([4, 8]), pad_id=99, teacher={LOGITS: teacher})
    assert [[10, 11, 99, 99], [1, 2, 3, 99]] == batch.input_ids.tolist()
    assert [[1, 1, 0, 0], [1, 1, 1, 0]] == batch.attention_mask.tolist()
    assert batch.token_types is not None
    assert [[1, 1, 0, 0], [1, 1, 1, 0]] == batch.token_types.tolist()
    assert [[[18, 19], [20, 21], [0, 0], [0, 0]], [[0, 1], [2, 3], [4, 5], [0, 0]]] == batch.teacher[LOGITS].tolist()
    assert batch.padded


def test_collate_of_classes_takes_one_teacher_row_each() -> None:
    """Classifier outputs belong to whole features."""
    features = make_features([4, 4], span=False)
    batch = collate(
        features, np.array([1]), edges=np.array([4]), pad_id=0, teacher={LOGITS: np.array([[1, 2], [3, 4]], np.float16)}
    )
    assert [[3.0, 4.0]] == batch.teacher[LOGITS].tolist()
    assert [1] == batch.targets.tolist()
    assert not batch.padded
    assert torch.int64 == batch.targets.dtype


@pytest.mark.parametrize("count", [1, 7, 8, 9, 400, 401])
def test_batch_count_of_boundary_sizes(count: int) -> None:
    """The formula agrees with the order at the edges of batches and pools."""
    assert batches_per_epoch(count, 8) == len(epoch_order(LENGTHS[:count], 8, seed=0, epoch=0))
