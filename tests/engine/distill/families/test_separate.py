"""Separate lower layers (DeFormer) against a plain reading of the paper: two encoders, then one."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import make_checkpoint
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.separate import with_passage
from bertdistill.engine.distill.families.standalone import layers_of, separate
from bertdistill.engine.distill.families.transformer import build_student, load_student, read_shape, save_student
from bertdistill.engine.distill.training.dropout import cheap_dropout
from bertdistill.engine.families.encoder_plan import Shape, plan_student
from bertdistill.engine.families.encoder_sizes import plan_metrics
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING as QA
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION as CLASSIFY

IDS = torch.tensor([[2, 9, 8, 3, 40, 41, 42, 43, 3], [2, 30, 31, 32, 33, 3, 7, 3, 0]])
TYPES = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1, 1, 0]])
MASK = (IDS != 0).long()
FIRST, LENGTHS = (4, 6), (9, 8)
SILENT = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}


@pytest.fixture(scope="module")
def initial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of four layers."""
    return make_checkpoint(tmp_path_factory.mktemp("separate") / "bert", "bert", layers=4)


def student(initial: Path, task: str = QA, **changes: Any) -> Any:
    """One with three separate layers, fewer neurons and fewer heads."""
    settings = Settings(**{"separate_layers": 3, "heads": 3, "head_choice": "random", **SILENT, **changes})
    labels = () if task == QA else ("a", "b", "c")
    return build_student(initial, settings, task=task, labels=labels, shape=read_shape(initial))[0].eval()


def by_the_paper(model: Any, row: int, separate_layers: int) -> Tensor:
    """Hidden states of one input: each segment on its own through the lower layers, both through the upper ones.

    The hooks of `model` do not act here, because its encoder is not called as a whole.
    """
    bert, ids = model.bert, IDS[row : row + 1]
    parts = []
    for segment, (start, stop) in enumerate(((0, FIRST[row]), (FIRST[row], LENGTHS[row]))):
        own = ids[:, start:stop]
        table = bert.embeddings
        hidden = (
            table.word_embeddings(own)
            + table.position_embeddings.weight[: stop - start]
            + table.token_type_embeddings.weight[segment]
        )
        hidden = table.LayerNorm(hidden)
        for layer in bert.encoder.layer[:separate_layers]:
            hidden = layer(hidden, None)
        parts.append(hidden)
    hidden = torch.cat(parts, dim=1)
    for layer in bert.encoder.layer[separate_layers:]:
        hidden = layer(hidden, None)
    return hidden


@pytest.mark.parametrize("way", ["sdpa", "eager", "cpu"])
@pytest.mark.parametrize("separate_layers", [1, 3])
def test_as_two_encoders_and_one(initial: Path, way: str, separate_layers: int) -> None:
    """The logits of every token, with every attention of training, with and without padding."""
    model = student(initial, separate_layers=separate_layers)
    expected = [model.qa_outputs(by_the_paper(model, row, separate_layers))[0] for row in (0, 1)]
    model.set_attn_implementation("eager" if way == "eager" else "sdpa")
    model.train(way == "cpu")
    for mask in (MASK, None):
        rows = (0, 1) if mask is not None else (0,)
        inputs = {"input_ids": IDS[: len(rows)], "token_type_ids": TYPES[: len(rows)], "attention_mask": mask}
        with cheap_dropout(model, torch.device("cpu")):
            found = model(**inputs)
        logits = torch.stack((found.start_logits, found.end_logits), dim=-1)
        for row in rows:
            assert_fp32_equal(logits[row, : LENGTHS[row]], expected[row], 16)


def test_a_passage_does_not_depend_on_the_question(initial: Path) -> None:
    """Its states below the upper layers are the same whatever the length of the question, those above are not."""
    model, seen = student(initial), []
    ids = torch.tensor([[2, 9, 3, 40, 41, 3]])
    for question in ([2, 9, 3], [2, 30, 31, 32, 33, 3]):
        ids = torch.tensor([[*question, 40, 41, 42, 3]])
        types = torch.tensor([[0] * len(question) + [1] * 4])
        found = model(input_ids=ids, token_type_ids=types, output_hidden_states=True)
        seen.append([layer[0, -4:] for layer in found.hidden_states])
    for below, (one, other) in enumerate(zip(*seen, strict=True)):
        assert torch.allclose(one, other, atol=1e-6) == (below <= 3), below


def test_classifiers_read_the_first_position(initial: Path) -> None:
    """The last layer, which is not separate, may be computed for [CLS] alone."""
    model = student(initial, CLASSIFY)
    inputs = {"input_ids": IDS, "token_type_ids": TYPES, "attention_mask": MASK}
    whole = model(**inputs).logits
    with first_position(model):
        assert_fp32_equal(model(**inputs).logits, whole, 16)
    pooled = torch.cat([model.bert.pooler(by_the_paper(model, row, 3)) for row in (0, 1)])
    assert_fp32_equal(whole, model.classifier(pooled), 16)


def test_gradients(initial: Path) -> None:
    """By finite differences in float64, through mask, positions and layers."""
    model = student(initial, CLASSIFY).double()
    weight = layers_of(model)[0].attention.self.value.bias

    def logits(bias: Tensor) -> Tensor:
        changed = {"bert.encoder.layer.0.attention.self.value.bias": bias}
        inputs = {"input_ids": IDS, "token_type_ids": TYPES, "attention_mask": MASK}
        found: Tensor = torch.func.functional_call(model, changed, (), inputs).logits
        return found

    assert torch.autograd.gradcheck(logits, weight.detach().clone().requires_grad_())


def test_saved_loaded_and_copied(initial: Path, tmp_path: Path) -> None:
    """The folder says how many layers are separate, and a deep copy keeps them so."""
    model = student(initial, heads=0)
    save_student(model, [[0, 1, 2, 3]] * 4, tmp_path / "student")
    inputs = {"input_ids": IDS, "token_type_ids": TYPES, "attention_mask": MASK}
    expected = model(**inputs).start_logits
    for one in (load_student(tmp_path / "student")[0], copy.deepcopy(model)):
        assert 3 == one.config.separate_layers
        assert torch.equal(expected, one(**inputs).start_logits)
    with pytest.raises(ConfigError, match="read the two segments of an input separately"):
        read_shape(tmp_path / "student")


@pytest.mark.parametrize("task", [QA, CLASSIFY])
def test_with_a_passage_read_before(initial: Path, task: str) -> None:
    """The same logits as of the whole input; what is computed is what the plan says, with and without the passage."""
    model, shape = student(initial, task, embedding_rank=9), read_shape(initial)
    batch = Batch(np.arange(1), False, IDS[:1], MASK[:1], TYPES[:1], torch.zeros(1, dtype=torch.long))
    encoder = Encoder(model)
    served = with_passage(encoder, batch)
    assert (served is not encoder, model) == (True, served.net)
    with torch.inference_mode():
        assert_fp32_equal(served(batch).logits, encoder(batch).logits, 16)
    plan = plan_student(shape, Settings(separate_layers=3, heads=3, embedding_rank=9), scratch=False)
    known = plan_metrics(plan, task=task, labels=3, mean_length=9, first_length=4)
    model.set_attn_implementation("eager")
    for one, name in ((encoder, "gflops"), (served, "gflops_cached")):
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            one(batch)
        assert counter.get_total_flops() == pytest.approx(known[name] * 1e9), name
    assert known["gflops_cached"] < known["gflops"]


def test_a_model_that_reads_both_at_once_has_read_no_passage(initial: Path) -> None:
    """It is measured as it is, and so is a separate one without a second segment."""
    batch = Batch(np.arange(1), False, IDS[:1], MASK[:1], TYPES[:1], torch.zeros(1, dtype=torch.long))
    plain = Encoder(student(initial, separate_layers=0))
    assert plain is with_passage(plain, batch)
    separated = Encoder(student(initial))
    assert separated is with_passage(separated, replace(batch, token_types=torch.zeros_like(TYPES[:1])))


def test_segments_are_needed(initial: Path) -> None:
    """Without them every token would be of the first one, and the answer another."""
    model = student(initial)
    with pytest.raises(ValueError, match="token_type_ids"):
        model(input_ids=IDS)
    with pytest.raises(ValueError, match="4 of 4 layers"):
        separate(model, 4)


@pytest.mark.parametrize(
    ("shape", "settings", "text"),
    [
        ({}, {"separate_layers": 4}, "separate_layers is 4, but the student has 4 layers"),
        ({}, {"separate_layers": 2, "layers": 2}, "use 1 to 1, or 0 for none"),
        ({"architecture": "distilbert", "types": 0}, {"separate_layers": 1}, "(segment ids)"),
        ({"architecture": "roberta", "types": 1}, {"separate_layers": 1}, "use a bert model"),
    ],
)
def test_refused(shape: dict[str, Any], settings: dict[str, Any], text: str) -> None:
    """Students with too few layers, or that read no segments."""
    initial = Shape(**{**Shape("bert", 100, 128, 2, 32, 64, 4, 4, 8).to_dict(), **shape})
    with pytest.raises(ConfigError) as refused:
        plan_student(initial, Settings(**settings), scratch=False)
    assert re.search(re.escape(text), f"{refused.value} {refused.value.hint}")
