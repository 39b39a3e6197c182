"""Checks of untrusted model folders before a library reads them: sizes, regular files, no code, complete weights.

Standard library only; it loads no weights and contacts no Hub. Whether a folder holds an encoder is checked in `Shape`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.families import bottleneck_sizes
from bertdistill.engine.families.encoder_plan import (
    ARCHITECTURES,
    COMPARABLE,
    EMBEDDING_RANK,
    FFN_SIZES,
    KEPT_WIDTH,
    OWN_KEYS,
    SEPARATE_LAYERS,
    Shape,
)
from bertdistill.engine.families.encoder_sizes import embedding_params, layer_params

READ = (".json", ".txt", ".model", ".safetensors", ".jinja")
"""Suffixes of the files that a library may open in a model folder."""
LARGEST_CONFIG = 16 << 20
LARGEST_HEADER = 100_000_000
"""Maximum header size of a safetensors file in bytes, the library's own limit."""
BOUNDS = {
    "num_hidden_layers": 512,
    "n_layers": 512,
    "num_attention_heads": 1024,
    "n_heads": 1024,
    "hidden_size": 1 << 16,
    "dim": 1 << 16,
    "intermediate_size": 1 << 18,
    "hidden_dim": 1 << 18,
    "vocab_size": 1 << 24,
    "max_position_embeddings": 1 << 20,
}
"""Upper limits far beyond any real encoder. Building what a config describes costs time and memory."""
FROM_ZERO = {"type_vocab_size": 1024, "pad_token_id": 1 << 24}
MOST_CLASSES = 100_000
CODE = "the project never runs code from a model folder; remove auto_map if the standard architecture is the right one"


def check_folder(folder: Path, named: str) -> None:
    """Refuse a model folder that no loader should open; ConfigError gives it as `named`, the file and the remedy."""
    for path in _files(folder, named):
        if path.name == "adapter_config.json":
            raise ConfigError(
                f"{named}: this is an adapter (adapter_config.json), not a full model",
                hint="merge the adapter into its base model and save that",
            )
    config = read_config(folder, named)
    if "auto_map" in _json_file(folder / "tokenizer_config.json", named, missing={}):
        raise ConfigError(f"{named}: tokenizer_config.json refers to custom code (auto_map)", hint=CODE)
    _check_index(folder, named)
    held = sum(weights_in(path, named) for path in sorted(folder.glob("*.safetensors")))
    _check_amount(config, held, named)


def read_config(folder: Path, named: str) -> dict[str, Any]:
    """The validated config.json of a folder; ConfigError gives the folder as `named`, and the key."""
    config = _json_file(folder / "config.json", named)
    check_config(config, named)
    return config


def check_config(config: Mapping[str, Any], named: str) -> None:
    """Refuse a config.json with custom code, without an architecture, or with sizes that no encoder has."""
    if "auto_map" in config:
        raise ConfigError(f"{named}: config.json refers to custom code (auto_map)", hint=CODE)
    if config.get("quantization_config") is not None:
        raise ConfigError(f"{named}: its weights are quantised", hint="use the original model with unquantised weights")
    if not config.get("model_type"):
        raise ConfigError(
            f"{named}: config.json has no model_type",
            hint=f"add the one that matches its weights: {', '.join(ARCHITECTURES)}",
        )
    for key, low, high in [*((k, 1, v) for k, v in BOUNDS.items()), *((k, 0, v) for k, v in FROM_ZERO.items())]:
        value = config.get(key, low)
        if value is None and key in FROM_ZERO:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(
                f"{named}: config.json has {key} = {_short(value)}; it must be a whole number from {low} to {high:,}",
                hint="download the model again",
            )
    _check_tables(config, named)


def _check_tables(config: Mapping[str, Any], named: str) -> None:
    names, kept = config.get("id2label") or {}, config.get("kept_heads") or []
    whole = isinstance(names, Mapping) and len(names) <= MOST_CLASSES and all(str(key).isdecimal() for key in names)
    if not whole:
        raise ConfigError(f"{named}: config.json has no usable id2label", hint="download the model again")
    if not isinstance(kept, list) or not all(isinstance(layer, list) for layer in kept):
        raise ConfigError(f"{named}: config.json has no usable kept_heads", hint="export the model again")
    sizes = config.get(FFN_SIZES) or []
    most = BOUNDS["intermediate_size"]
    if not isinstance(sizes, list) or not all(type(size) is int and 1 <= size <= most for size in sizes):
        raise ConfigError(f"{named}: config.json has no usable {FFN_SIZES}", hint="export the model again")
    for key in (KEPT_WIDTH, EMBEDDING_RANK, SEPARATE_LAYERS):
        size = config.get(key)
        if size is not None and not (type(size) is int and 1 <= size <= BOUNDS["hidden_size"]):
            raise ConfigError(f"{named}: config.json has no usable {key}", hint="export the model again")


def _check_amount(config: Mapping[str, Any], held: int, named: str) -> None:
    """A loader first builds what the config describes, so that must not be far more than the weight files hold."""
    cut = any(config.get(key) for key in OWN_KEYS)
    if not held or config.get("model_type") not in COMPARABLE or cut:
        return
    try:
        shape = Shape.from_config(config)
    except ConfigError as error:
        raise ConfigError(f"{named}: {error}", hint=error.hint) from error
    if shape.bottleneck:
        described = bottleneck_sizes.embedding_params(shape) + shape.layers * bottleneck_sizes.layer_params(shape)
    else:
        described = embedding_params(shape) + shape.layers * layer_params(shape, shape.heads, shape.ffn_size)
    if described > 2 * held:
        raise ConfigError(
            f"{named}: config.json describes {described:,} weights, but its weight files hold {held:,}",
            hint="download the model again",
        )


# --------------------------------------------------------------------------------------------------------------- files


def _files(folder: Path, named: str) -> Iterator[Path]:
    """The files that a library may open, checked; links may only point to where the Hub's cache keeps files."""
    root = folder.resolve()
    homes = [root, root.parent.parent / "blobs"] if root.parent.name == "snapshots" else [root]
    try:
        paths = sorted(path for path in root.iterdir() if path.name.endswith(READ))
    except OSError as error:
        raise ConfigError(f"{named}: cannot be read: {error.strerror}", hint="correct the path") from error
    for path in paths:
        if path.is_symlink() and not any(path.resolve().is_relative_to(home) for home in homes):
            raise ConfigError(
                f"{named}: {path.name} is a link to {path.resolve()}, outside the folder",
                hint="copy the file into the folder",
            )
        if path.is_dir():
            continue
        if not path.is_file():
            raise ConfigError(f"{named}: {path.name} is not a regular file", hint="replace it with one, or remove it")
        yield path


def _json_file(path: Path, named: str, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        if not path.is_file() and missing is not None:
            return missing
        if path.stat().st_size > LARGEST_CONFIG:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        reason = "its brackets are nested too deeply"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    else:
        if isinstance(found, dict):
            return found
        reason = "it is not a JSON object"
    raise ConfigError(f"{named}: {path.name} cannot be read: {reason}", hint="give the folder of a saved model")


def _check_index(folder: Path, named: str) -> None:
    """An index's file names are joined to the folder: each must name a file in it, not a path."""
    index = _json_file(folder / "model.safetensors.index.json", named, missing={})
    files = index.get("weight_map", {})
    for name in set(map(str, files.values())) if isinstance(files, Mapping) else ():
        if Path(name).name != name or not (folder / name).is_file():
            raise ConfigError(
                f"{named}: model.safetensors.index.json names {_short(name)}, which is not a file of the folder",
                hint="download the model again",
            )


def weights_in(path: Path, named: str) -> int:
    """The number of weights in a safetensors file, from its header; ConfigError if it is truncated or damaged."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, LARGEST_HEADER):
                raise ValueError("its header is truncated")
            header = json.loads(file.read(length))
        tensors = [one for name, one in header.items() if name != "__metadata__"]
        end = max((one["data_offsets"][1] for one in tensors), default=0)
        if 8 + length + end != size:
            raise ValueError(f"it has {size:,} bytes, but its header says {8 + length + end:,}")
        return sum(math.prod(one["shape"]) for one in tensors)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{named}: {path.name} is truncated or damaged: {_short(error)}", hint="download or copy the file again"
        ) from error


def _short(value: Any) -> str:
    try:
        text = str(value)
    except ValueError:  # an integer with more digits than Python prints
        return "a huge number"
    return text if len(text) <= 80 else f"{text[:77]}..."
