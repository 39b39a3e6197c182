"""Passages that a model with separate layers has read: the states of every window, stored in a folder of their own.

The folder belongs to one model, whose digest it holds. It answers no questions; `passages` does.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import file_sha256, sync_files, sync_folder, write_json
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.files import kind, read_json, read_text
from bertdistill.engine.data.questions import questions
from bertdistill.engine.distill.data.batches import by_length, pad_edges
from bertdistill.engine.distill.families.separate import SECOND, segment_states

VERSION = 1
INDEX, TEXTS, STATES = "index.json", "passages.json", "states.npy"
NUMBERS: dict[str, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}
BATCH_TOKENS = 4096

Array = NDArray[Any]


@dataclass(frozen=True)
class Windows:
    """Passages as second segments of inputs, windows that end in a separator. Flat, as in `data.features.Features`."""

    ids: Array
    """(tokens,) int32."""
    char_spans: Array
    """(tokens, 2) int32, -1 at the separators."""
    offsets: Array
    """(n + 1,) int64."""
    passage: Array
    """(n,) int32: the passage of each window, ascending."""

    def __len__(self) -> int:
        return len(self.passage)

    def save(self, folder: Path) -> None:
        for name in ("ids", "char_spans", "offsets", "passage"):
            np.save(folder / f"{name}.npy", getattr(self, name))


@dataclass(frozen=True)
class PassageCache:
    """An open folder."""

    texts: tuple[str, ...]
    windows: Windows
    states: Array
    """(tokens, width), memory-mapped: what the separate layers made of the tokens."""


def read_passages(path: Path) -> tuple[str, ...]:
    """The distinct passages of a SQuAD file, or the lines of a text file that are not blank; ConfigError if none."""
    if not path.is_file():
        raise ConfigError(f"{path} is not a file", hint="correct the path")
    if kind(path) in (".json", ".jsonl"):
        raw, _ = read_json(path, str(path), lines=True)
        found = [one.context for one in questions(raw, str(path))]
    else:
        found = [line.strip() for line in read_text(path).splitlines()]
    texts = tuple(dict.fromkeys(text for text in found if text.strip()))
    if not texts:
        raise ConfigError(f"{path} contains no passages", hint="give SQuAD JSON, or a text file with one on each line")
    return texts


def windows_of(texts: Sequence[str], tokenizer: Any, data: DataSpec) -> Windows:
    """Every passage in windows with room for the longest question, which overlap by `doc_stride`."""
    room = data.max_length - data.max_question_length - tokenizer.num_special_tokens_to_add(pair=True)
    step = max(1, room - (data.doc_stride if data.doc_stride < room else room // 2))
    encodings = tokenizer(list(texts), add_special_tokens=False, verbose=False).encodings
    parts: list[tuple[Array, Array]] = []
    passage: list[int] = []
    for number, encoding in enumerate(encodings):
        ids, spans = np.array(encoding.ids, np.int32), np.array(encoding.offsets, np.int32).reshape(-1, 2)
        for start in range(0, max(1, len(ids) - room + step), step):
            own = slice(start, start + room)
            parts.append((np.append(ids[own], tokenizer.sep_token_id), np.append(spans[own], [[-1, -1]], axis=0)))
            passage.append(number)
    return Windows(
        np.concatenate([ids for ids, _ in parts]).astype(np.int32),
        np.concatenate([spans for _, spans in parts]).astype(np.int32),
        np.cumsum([0, *(len(ids) for ids, _ in parts)]).astype(np.int64),
        np.array(passage, np.int32),
    )


def digest_of(model: Path) -> str:
    """One checksum of what the states depend on: weights, sizes and tokenizer of an exported folder."""
    names = ("model.safetensors", "config.json", "tokenizer.json")
    return hashlib.sha256("".join(file_sha256(model / name) for name in names).encode()).hexdigest()


def write_cache(
    folder: Path,
    texts: Sequence[str],
    windows: Windows,
    net: Any,
    *,
    model: str,
    numbers: str,
    pad_id: int,
    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
) -> dict[str, Any]:
    """Read all windows with the separate layers of `net` into a new `folder`, complete or not at all; its index.

    `model` is the digest, `numbers` one of NUMBERS. ConfigError if `folder` exists, or does not fit on the disk.
    """
    if folder.exists():
        raise ConfigError(f"{folder} already exists", hint="name a folder that does not exist yet, or delete it")
    width = int(net.base_model.embeddings.LayerNorm.weight.shape[0])
    size = len(windows.ids) * (width * np.dtype(NUMBERS[numbers]).itemsize + 12)
    parent = next(path for path in folder.absolute().parents if path.is_dir())
    if (left := free(parent)) < size:
        remedy = "use fp16, which takes half" if numbers == "fp32" else "free some space, or split the passages"
        raise ConfigError(f"{folder} needs {size:,} bytes, but only {left:,} are free", hint=remedy)
    index = {"version": VERSION, "model": model, "numbers": numbers, "passages": len(texts), "windows": len(windows)}
    index |= {"tokens": len(windows.ids), "width": width, "bytes": size, "bytes_per_passage": round(size / len(texts))}
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True, mode=0o700)
    try:
        windows.save(temporary)
        _write_states(temporary / STATES, windows, net, (len(windows.ids), width), NUMBERS[numbers], pad_id)
        write_json(temporary / TEXTS, {"passages": list(texts)})
        write_json(temporary / INDEX, index)
        sync_files(temporary)
        temporary.rename(folder)
        sync_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return index


def _write_states(path: Path, windows: Windows, net: Any, shape: tuple[int, int], dtype: Any, pad_id: int) -> None:
    states: Any = np.lib.format.open_memmap(path, "w+", dtype, shape)
    lengths = np.diff(windows.offsets)
    edges = pad_edges(lengths)
    for rows in by_length(lengths, BATCH_TOKENS):
        columns = np.arange(int(edges[np.searchsorted(edges, lengths[rows].max())]))
        mask = columns < lengths[rows][:, None]
        places = np.where(mask, windows.offsets[rows][:, None] + columns, 0)
        ids = torch.from_numpy(np.where(mask, windows.ids[places], pad_id).astype(np.int64))
        with torch.inference_mode():
            found = segment_states(net, ids, torch.from_numpy(mask.astype(np.int64)), SECOND)
        states[places[mask]] = found.numpy()[mask]
    states.flush()


def open_cache(folder: Path, model: str) -> PassageCache:
    """The cache in `folder`, which must be of the model with this digest; ConfigError otherwise."""
    again = "build it again: engine passages build MODEL FILE -o FOLDER"
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["version"] != VERSION:
            raise ConfigError(f"{folder} was built by another version", hint=again)
        if index["model"] != model:
            raise ConfigError(f"{folder} was built with another model: its states mean nothing to this one", hint=again)
        texts = tuple(json.loads((folder / TEXTS).read_text(encoding="utf-8"))["passages"])
        parts = {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in Windows.__annotations__}
        states = np.load(folder / STATES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} holds no complete passages: {error}", hint=again) from error
    windows = Windows(**parts)
    if states.shape != (len(windows.ids), index["width"]) or windows.offsets[-1] != len(states):
        raise ConfigError(f"{folder} is damaged: its files do not belong together", hint=again)
    return PassageCache(texts, windows, states)
