"""Ask a cascade from its folder; exports include this file as `modeling.py`.

It imports only torch, transformers and what is in the folder, because it must also run where this project is not
installed.

    from modeling import load
    print(load(".")("A wonderful story."))
"""

from __future__ import annotations

import importlib.util
import inspect
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Member:
    """One of the two models: its logits of a text, read as in training."""

    def __init__(self, folder: Path, max_length: int) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        self.max_length = max_length
        own = folder / "modeling.py"
        if own.is_file():  # a network that transformers does not know
            spec = importlib.util.spec_from_file_location(f"{folder.name}_modeling", own)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            loaded = module.load(folder)
            self.model = getattr(loaded, "net", loaded)
        else:
            kind, fp32 = AutoModelForSequenceClassification, torch.float32  # the file may hold fp16
            self.model = kind.from_pretrained(folder, dtype=fp32, trust_remote_code=False).eval()

    def logits(self, text: str, pair: str | None) -> torch.Tensor:
        """(labels,)."""
        reading = {"truncation": "longest_first", "max_length": self.max_length, "return_tensors": "pt"}
        read = inspect.signature(self.model.forward).parameters
        inputs = {key: value for key, value in self.tokenizer(text, pair, **reading).items() if key in read}
        with torch.inference_mode():
            outputs = self.model(**inputs)
        logits = outputs if isinstance(outputs, torch.Tensor) else outputs.logits
        return logits[0].double()


class Cascade:
    """The small model answers if it is sure, else the large one does."""

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.router: dict[str, Any] = json.loads((folder / "router.json").read_text(encoding="utf-8"))
        self.small, self.large = (Member(folder / name, self.router["max_length"]) for name in ("small", "large"))

    def __call__(self, text: str, pair: str | None = None) -> dict[str, Any]:
        """The label with its probabilities, who answered, and how sure the small model was."""
        logits = self.small.logits(text, pair)
        sure = float((logits / self.router["temperature"]).softmax(-1).max())
        passed = sure < self.router["threshold"]
        shares = (self.large.logits(text, pair) if passed else logits).softmax(-1).tolist()
        labels = self.router["labels"]
        return {
            "label": labels[max(range(len(shares)), key=shares.__getitem__)],
            "probabilities": dict(zip(labels, shares, strict=True)),
            "answered_by": "large" if passed else "small",
            "confidence": sure,
        }


def load(folder: str | Path) -> Cascade:
    """The cascade in `folder`: router.json, small and large."""
    return Cascade(folder)
