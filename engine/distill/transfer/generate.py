"""The kind `generate`: texts sampled from a causal language model that was tuned on the training texts.

Tuned models and samples are cached; an interrupted sampling continues with the next part. It trains no students.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import write_json
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import Text
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.families.resolve import resolve
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training.checkpoints import model_sha256
from bertdistill.engine.distill.transfer.material import Material

BATCH = 16
"""Texts of one optimiser step."""
PART = 64
"""Texts sampled and written at once."""
PARTS_A_ROW = 4
"""Samples for each wanted row, at most: some are duplicates or empty."""
LONG = 0.95
"""Quantile of the training texts' lengths in tokens up to which texts are generated."""


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """Sampled texts; in pairs each replaces one of the sentences of a random row."""
    draw = random.Random(spec.seed)
    for text in _samples(spec, material, named):
        yield material.beside(draw, text)


def _samples(spec: TransferSpec, material: Material, named: str) -> Iterator[str]:
    run = material.run
    base = resolve(spec.model, spec.revision, f"{named}.model")
    sides = list(dict.fromkeys(material.sides()))
    tuned = _tuned(run, spec, Path(base), sides, named) if spec.epochs else Path(base)
    key = cache_key(model=model_sha256(tuned), temperature=spec.temperature, seed=spec.seed, length=_digest(sides))
    folder = run.caches / "generated" / key
    folder.mkdir(parents=True, exist_ok=True)
    sampler: _Sampler | None = None
    report = run.progress("generating texts", "texts")
    most = -(-spec.rows * PARTS_A_ROW // PART)
    for number in range(most):
        path = folder / f"part-{number:06d}.json"
        if not path.exists():
            sampler = sampler or _Sampler(run, tuned, sides, spec, named)
            write_json(path, {"texts": sampler.part(number)})
        report(min((number + 1) * PART, spec.rows), spec.rows)
        yield from json.loads(path.read_text(encoding="utf-8"))["texts"]


def _digest(sides: Sequence[str]) -> str:
    return cache_key(texts=list(sides))


def _tuned(run: Run, spec: TransferSpec, base: Path, sides: Sequence[str], named: str) -> Path:
    """The model tuned on the training texts."""
    key = cache_key(
        model=model_sha256(base),
        texts=_digest(sides),
        epochs=spec.epochs,
        learning_rate=spec.learning_rate,
        seed=spec.seed,
        length=run.spec.data.max_length,
    )

    def build(temporary: Path) -> None:
        language = _Language(run, base, named)
        language.tune(sides, spec)
        language.save(temporary)

    return build_once(run.caches / "generators" / key, build, run.warn)


class _Language:
    """A causal language model and its tokenizer; a text stands between two marks of its end."""

    def __init__(self, run: Run, folder: Path, named: str) -> None:
        self.run = run
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self.net: Any = AutoModelForCausalLM.from_pretrained(
                folder, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ConfigError(
                f"{named}.model = {str(folder)!r} cannot be loaded as a causal language model: {error}",
                hint="give a GPT-like model with a tokenizer, weights as safetensors",
            ) from error
        self.end = self.tokenizer.eos_token_id
        if self.end is None:
            raise ConfigError(f"{named}.model: its tokenizer has no end-of-text token", hint="use another model")
        to_device(self.net, run.device)
        positions = getattr(self.net.config, "max_position_embeddings", None) or run.spec.data.max_length
        self.longest = min(run.spec.data.max_length, positions - 1)

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return [self.end, *found[: self.longest - 2], self.end]

    def tune(self, sides: Sequence[str], spec: TransferSpec) -> None:
        """Next-token training, linear decay of the learning rate."""
        rows = [self.ids(text) for text in sides]
        generator = np.random.default_rng(spec.seed)
        steps = max(1, round(spec.epochs * -(-len(rows) // BATCH)))
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=spec.learning_rate, fused=True)
        report = self.run.progress("tuning the language model", "steps")
        order: list[int] = []
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(spec.seed)
            self.net.train()
            for step in range(steps):
                report(step, steps)
                order = order or generator.permutation(len(rows)).tolist()
                chosen, order = order[:BATCH], order[BATCH:]
                optimizer.param_groups[0]["lr"] = spec.learning_rate * (1 - step / steps)
                ids, mask = self._padded([rows[i] for i in chosen])
                loss = self.net(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
                torch.autograd.backward(loss)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        self.net.eval()

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self.end] * (width - len(row))] for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        return ids.to(self.run.device), mask.to(self.run.device)

    def save(self, folder: Path) -> None:
        self.net.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


class _Sampler(_Language):
    """Samples in parts, each from its own seed, so that a part does not depend on the others."""

    def __init__(self, run: Run, folder: Path, sides: Sequence[str], spec: TransferSpec, named: str) -> None:
        super().__init__(run, folder, named)
        self.net.eval()
        self.spec = spec
        self.tokens = max(1, int(np.quantile([len(self.ids(text)) for text in sides], LONG)) - 1)

    def part(self, number: int) -> list[str]:
        start = torch.full((PART, 1), self.end, device=self.run.device)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(self.spec.seed * 1_000_003 + number)
            found = self.net.generate(
                start,
                attention_mask=torch.ones_like(start),
                do_sample=True,
                temperature=self.spec.temperature,
                max_new_tokens=self.tokens,
                pad_token_id=self.end,
                eos_token_id=self.end,
            )
        decoded: list[str] = self.tokenizer.batch_decode(found[:, 1:], skip_special_tokens=True)
        return [" ".join(text.split()) for text in decoded]
