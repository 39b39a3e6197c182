"""Masks: how many, of which tokens, read as what; drawn again from the same seed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tests.tiny import make_tokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.pretraining.masking import masking_of

TOKENIZER = make_tokenizer("bert")


def drawn(probability: float = 0.15, rows: int = 4000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids that begin and end with special tokens and have an unknown one, what is read, and what is predicted."""
    generator = torch.Generator().manual_seed(1)
    ordinary = masking_of(TOKENIZER, probability).ordinary
    ids = ordinary[torch.randint(len(ordinary), (rows, 20), generator=generator)]
    ids[:, 0], ids[:, -2], ids[:, -1] = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.pad_token_id
    ids[:, 7] = TOKENIZER.unk_token_id
    read, chosen = masking_of(TOKENIZER, probability).draw(ids, generator)
    return ids, read, chosen


@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_rates_are_those_of_the_paper(probability: float) -> None:
    """A plain reading: of the tokens 15 % are chosen; of these 80 % masked, 10 % any other, 10 % as they are."""
    ids, read, chosen = drawn(probability)
    counts = {"masked": 0, "same": 0, "other": 0, "left alone": 0}
    for before, after, predicted in zip(ids.flatten().tolist(), read.flatten().tolist(), chosen.flatten(), strict=True):
        if not predicted:
            assert before == after
            counts["left alone"] += before not in TOKENIZER.all_special_ids
        else:
            kind = "masked" if after == TOKENIZER.mask_token_id else "same" if after == before else "other"
            counts[kind] += 1
    predicted = counts["masked"] + counts["same"] + counts["other"]
    ordinary = len(masking_of(TOKENIZER, probability).ordinary)
    assert predicted / (predicted + counts["left alone"]) == pytest.approx(probability, abs=0.01)
    assert counts["masked"] / predicted == pytest.approx(0.8, abs=0.01)
    assert counts["other"] / predicted == pytest.approx(0.1 * (1 - 1 / ordinary), abs=0.01)
    assert counts["same"] / predicted == pytest.approx(0.1 * (1 + 1 / ordinary), abs=0.01)


def test_special_tokens_are_neither_predicted_nor_put_in() -> None:
    """Not padding, not separators, not unknown words."""
    ids, read, chosen = drawn(0.9)
    special = torch.isin(ids, torch.tensor(TOKENIZER.all_special_ids))
    assert special.sum() == 4 * len(ids)
    assert not chosen[special].any()
    assert torch.equal(ids[special], read[special])
    put_in = read[chosen & (read != TOKENIZER.mask_token_id)]
    assert len(put_in)
    assert not torch.isin(put_in, torch.tensor(TOKENIZER.all_special_ids)).any()


def test_the_same_seed_draws_the_same_masks() -> None:
    """From a generator, or from torch's own, whose state checkpoints keep."""
    masking, ids = masking_of(TOKENIZER, 0.3), drawn()[0]
    first, second = (masking.draw(ids, torch.Generator().manual_seed(seed)) for seed in (3, 3))
    assert all(map(torch.equal, first, second))
    torch.manual_seed(3)
    assert all(map(torch.equal, first, masking.draw(ids)))
    assert not torch.equal(first[1], masking.draw(ids)[1])


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    words = SimpleNamespace(mask_token_id=None, name_or_path="words")
    with pytest.raises(ConfigError, match="needs a tokenizer with a mask token, and that of 'words' has none"):
        masking_of(words, 0.15)
