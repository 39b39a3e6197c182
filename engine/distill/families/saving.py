"""The folder of a network that is no transformer: config.json, model.safetensors, its tokenizer. It builds nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn


def save_net(net: nn.Module, config: Mapping[str, Any], folder: Path, tokenizer: Any | None) -> None:
    """Write `config`, the weights and buffers of `net` and, if there is one, its tokenizer into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
