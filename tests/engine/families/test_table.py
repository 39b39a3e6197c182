"""Every family, by the same tests: what it promises before training is what the worker builds."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests import two_layers
from tests.closeness import assert_fp32_equal
from tests.texts import made_features

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.spec import WEIGHTS, DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.compression.weights import rounded, save_packed, tensor_bytes
from bertdistill.engine.distill.data import units as units_module
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.ngrams import with_ngrams
from bertdistill.engine.distill.families.table import BUILDERS, load_model
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.table import FAMILIES, cuts_vocabulary, foreign, weights_of
from bertdistill.engine.tasks.table import TASKS

SHAPE = bert_shape(vocab_size=60, positions=32, hidden_size=16, ffn_size=32, layers=2, head_size=8).to_dict()
FACTS = Prepared(labels=("a", "b", "c"), mean_length=9.0, teacher_shape=SHAPE, init_shape=SHAPE)
SMALL = Settings(
    layers=1, hidden_size=8, head_size=8, vocab_size=40, dropout=0.0, attention_dropout=0.0, classifier_dropout=0.0
)
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mlp": [{"pooling": "attention"}, {"vocab_size": 1000}, {"vocab_size": 3}, {"embedding_size": 5, "hidden_size": 3}],
    "bottleneck": [
        {"bottleneck_size": 4, "ffn_count": 1, "layers": 3},
        {"embedding_rank": 8, "normalization": "layer_norm", "ffn_size": 7},
    ],
    "linear": [
        {"ngrams": 2},
        {"max_features": 7},
        {"min_count": 30},
        {"ngrams": 2, "min_count": 40, "units": "teacher"},
    ],
    "bilstm": [{"layers": 2}, {"pooling": "max"}, {"ffn_size": 7, "embedding_size": 5}, {"layers": 2, "dropout": 0.5}],
}
"""Settings that give a student of the family other sizes."""


def spec_of(family: str, task: str, **changes: Any) -> AttemptSpec:
    facts = changes.pop("facts", FACTS)
    if cuts_vocabulary(family):
        changes = {"vocab_size": 0, **changes}  # smaller ones need a preparation: see test_vocabularies
    return AttemptSpec(
        kind="trial",
        study="s",
        task=task,
        data=DataSpec(),
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(init="scratch"),
        settings=dataclasses.replace(SMALL, family=family, **changes),
        device=Device(),
        caches="",
        prepared=facts,
    )


def batch(rows: int, length: int) -> Batch:
    ids = torch.arange(rows * length).reshape(rows, length) % 50 + 5
    return Batch(np.arange(rows), False, ids, torch.ones_like(ids), None, torch.zeros(rows, dtype=torch.long))


@pytest.fixture(autouse=True)
def _units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids 5 to 54 of 60 are in the training texts; 0 to 4 are those of a BERT tokenizer."""
    np.save(tmp_path / units_module.FILE, np.arange(54, 4, -1, dtype=np.int32))
    units = Units(
        vocabulary=52, size=60, mean_length=9.0, separator_id=3, special_ids=(0, 2, 3, 4), frequent=str(tmp_path)
    )
    features = made_features(tmp_path, [list(range(5 + n % 50, 55)) for n in range(60)])
    units = with_ngrams(units, features, len(features), 2, tmp_path, pairs=False)
    facts = dataclasses.replace(FACTS, units={"": units, "words": units}, train_features=len(features))
    monkeypatch.setattr(sys.modules[__name__], "FACTS", facts)


@pytest.fixture(autouse=True)
def _a_second_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, two_layers.NAME, two_layers.TwoLayers())
    monkeypatch.setitem(BUILDERS, two_layers.NAME, two_layers.Builder())


def test_the_two_tables_have_the_same_names() -> None:
    """One for everybody, one for the worker."""
    assert list(FAMILIES) == list(BUILDERS)


@pytest.mark.parametrize("family", [*FAMILIES, two_layers.NAME])
class TestFamily:
    """What each family must do."""

    def test_its_settings_are_settings(self, family: str) -> None:
        """No key is misspelt."""
        assert FAMILIES[family].settings <= {field.name for field in dataclasses.fields(Settings)}

    @pytest.mark.parametrize("task", TASKS)
    def test_known_sizes_are_those_of_what_is_built(self, family: str, task: str) -> None:
        """To the last parameter, for every task that it fits."""
        row, spec = FAMILIES[family], spec_of(family, task)
        if not row.fits(TASKS[task]):
            return
        known = row.known(row.plan(FACTS, spec.settings, scratch=True), TASKS[task], FACTS)
        model = BUILDERS[family].build(spec)
        assert known["params"] == sum(weight.numel() for weight in model.net.parameters())
        assert known["size_mb"] == pytest.approx(known["params"] * 4 / 1e6)
        logits = model(batch(2, 7)).logits
        assert ((2, 7, 2) if TASKS[task].spans else (2, 3)) == tuple(logits.shape)

    def test_the_units_are_those_of_what_is_built(self, family: str) -> None:
        """By their name in the facts, which "auto" and "teacher" are not."""
        for units in ("auto", "teacher", "words"):
            spec = spec_of(family, "text-classification", units=units)
            found = FAMILIES[family].units(FACTS, spec.settings)
            assert found in FACTS.units
            assert found == BUILDERS[family].build(spec).units

    def test_pairs_need_a_separator(self, family: str) -> None:
        """A student that reads units alone could not tell the two texts apart."""
        settings = dataclasses.replace(SMALL, family=family)
        if family not in ("mlp", "bilstm", "linear"):
            return
        units = {name: dataclasses.replace(one, separator_id=-1) for name, one in FACTS.units.items()}
        with pytest.raises(ConfigError, match="has no separator"):
            FAMILIES[family].plan(dataclasses.replace(FACTS, units=units, pairs=True), settings, scratch=True)

    @pytest.mark.parametrize("scratch", [False, True])
    def test_what_has_no_effect_from_a_start_is_among_its_settings(self, family: str, scratch: bool) -> None:
        """A key of another family has no effect anyway."""
        assert FAMILIES[family].start_idle(scratch=scratch) <= FAMILIES[family].settings

    @pytest.mark.parametrize("pairs", [False, True])
    def test_known_sizes_hold_for_every_variant(self, family: str, pairs: bool) -> None:
        """Poolings, layers and pairs, and vocabularies larger than that of the texts."""
        facts = dataclasses.replace(FACTS, pairs=pairs)
        for changes in VARIANTS.get(family, []):
            spec = spec_of(family, "text-classification", facts=facts, **changes)
            student = FAMILIES[family].plan(facts, spec.settings, scratch=True)
            known = FAMILIES[family].known(student, TASKS["text-classification"], facts)
            model = BUILDERS[family].build(spec)
            assert known["params"] == sum(weight.numel() for weight in model.net.parameters()), changes
            assert tuple(model(batch(2, 7)).logits.shape) == (2, 3)

    @pytest.mark.parametrize("pairs", [False, True])
    def test_known_bytes_are_those_of_the_file(self, family: str, pairs: bool, tmp_path: Path) -> None:
        """To the last byte, in every number format; a family without that setting has fp32. And it is loaded again."""
        facts, task = dataclasses.replace(FACTS, pairs=pairs), TASKS["text-classification"]
        for changes, form in itertools.product([{}, *VARIANTS.get(family, [])], WEIGHTS):
            spec = spec_of(family, "text-classification", facts=facts, weights=form, **changes)
            row, used = FAMILIES[family], weights_of(spec.settings)
            contents = row.contents(row.plan(facts, spec.settings, scratch=True), task, facts)
            model = BUILDERS[family].build(spec)
            save_packed(model, used, tmp_path)
            assert contents.bytes(used) == tensor_bytes(tmp_path / "model.safetensors"), (changes, form)
            again = load_model(tmp_path)
            with rounded(model.net.eval(), used):
                assert_fp32_equal(again(batch(2, 7)).logits, model(batch(2, 7)).logits)

    def test_first_weights_follow_from_the_seed_alone(self, family: str) -> None:
        """And torch's own random state is left as it was. A student that is fitted has none, and no use for a seed."""
        state = torch.get_rng_state()
        one, same, other = (
            BUILDERS[family].build(spec_of(family, "text-classification", seed=seed)).net.state_dict()
            for seed in (1, 1, 2)
        )
        assert torch.equal(state, torch.get_rng_state())
        assert all(torch.equal(one[name], same[name]) for name in one)
        settings = dataclasses.replace(SMALL, family=family)
        student = FAMILIES[family].plan(FACTS, settings, scratch=True)
        seeded = "seed" not in FAMILIES[family].idle(settings, student)
        assert seeded == any(not torch.equal(one[name], other[name]) for name in one)

    def test_what_is_saved_is_loaded(self, family: str, tmp_path: Path) -> None:
        """By its own family, in evaluation mode, with the same outputs."""
        model = BUILDERS[family].build(spec_of(family, "text-classification"))
        model.net.eval()
        model.save(tmp_path)
        again = load_model(tmp_path)
        assert type(again) is type(model)
        assert not again.net.training
        assert_fp32_equal(again(batch(2, 7)).logits, model(batch(2, 7)).logits)

    def test_every_family_is_chosen_and_seeded(self, family: str) -> None:
        """Otherwise two families, or two seeds, would count as one student."""
        assert {"family", "seed"} <= FAMILIES[family].settings

    def test_settings_of_other_families_are_idle(self, family: str) -> None:
        """They change nothing here, so two parameter sets that differ in them are one."""
        mine = FAMILIES[family].settings
        assert not foreign(dataclasses.replace(SMALL, family=family)) & mine

    def test_equal_plans_are_equal(self, family: str) -> None:
        """The search recognises students that were built already."""
        row = FAMILIES[family]
        one, same = (row.plan(FACTS, dataclasses.replace(SMALL, family=family), scratch=True) for _ in range(2))
        assert (one, hash(one)) == (same, hash(same))


def test_each_setting_is_used_by_some_family() -> None:
    """A setting that no family uses would have no effect anywhere."""
    used = frozenset[str]().union(*(family.settings for family in FAMILIES.values()))
    assert used | {"recipe"} == {field.name for field in dataclasses.fields(Settings)}  # which names other settings
