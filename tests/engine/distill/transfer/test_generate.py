"""Texts of a language model: a tiny random GPT-2, tuned, sampled, interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.tiny import TEXTS, make_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.distill.transfer import generate
from bertdistill.engine.distill.transfer.material import Material
from bertdistill.engine.distill.transfer.table import transfer_texts

Make = Callable[..., Material]


@pytest.fixture(name="gpt", scope="module")
def _gpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpt")
    tokenizer = make_tokenizer("roberta", TEXTS)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=1, n_head=2)
    torch.manual_seed(0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_texts_are_sampled_from_the_tuned_model(material: Make, gpt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same texts; what was sampled and tuned before a kill is not done again."""
    spec = TransferSpec(kind="generate", rows=70, model=str(gpt), epochs=2.0)
    made = material(spec, max_length=16)
    found = transfer_texts(made, {})
    assert 70 == len({text for text, _ in found})
    [folder] = (made.run.caches / "generated").iterdir()
    [tuned] = (one for one in (made.run.caches / "generators").iterdir() if not one.name.startswith("."))
    assert (tuned / "model.safetensors").is_file()
    (folder / "part-000001.json").unlink()
    sampled: list[int] = []
    part = generate._Sampler.part

    def counted(self: generate._Sampler, number: int) -> list[str]:
        sampled.append(number)
        return part(self, number)

    monkeypatch.setattr(generate._Sampler, "part", counted)
    assert found == transfer_texts(material(spec, max_length=16), {})
    assert [1] == sampled


def test_tuning_brings_the_model_closer_to_the_texts(material: Make, gpt: Path) -> None:
    made = material(max_length=32)
    sides = list(made.sides())
    language = generate._Language(made.run, gpt, "transfer.0")

    def loss() -> float:
        ids, mask = language._padded([language.ids(text) for text in sides])
        with torch.no_grad():
            return float(language.net(input_ids=ids, labels=ids.masked_fill(mask == 0, -100)).loss)

    before = loss()
    language.tune(sides, TransferSpec(kind="generate", rows=1, epochs=20.0, learning_rate=1e-2))
    assert loss() < before - 0.5


def test_another_kind_of_model_is_refused(material: Make, tmp_path: Path) -> None:
    spec = TransferSpec(kind="generate", rows=1, model=str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"transfer\.0\.model"):
        transfer_texts(material(spec), {})
