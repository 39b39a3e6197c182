"""Examples as tokens: flat, unpadded arrays on disk, tokenised once and memory-mapped by every trial.

It knows no models and makes no batches.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.caches import Say, build_once
from bertdistill.engine.distill.data.examples import Examples, QAExample
from bertdistill.engine.tasks.table import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 1000
"""Examples tokenised at once; memory use is dominated by the tokenizer's Python lists of one batch."""

FORMAT = 1
"""Part of every cache key: increment it when the meaning of the arrays changes."""

Array = NDArray[Any]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Features:
    """The inputs of one split. An input is a window of a passage with its question, or a sentence (pair).

    `offsets[i]:offsets[i + 1]` are the tokens of input i in every token array.
    """

    folder: Path
    input_ids: Array
    """(tokens,) uint16 if the vocabulary fits, else int32."""
    token_types: Array | None
    """(tokens,) uint8, or None if the tokenizer has none."""
    offsets: Array
    """(n + 1,) int64."""
    example_index: Array
    """(n,) int32: row of the example, ascending."""
    targets: Array
    """int32. Questions (n, 2): first and last token of the answer in the window, (0, 0) without one. Classes (n,)."""
    char_spans: Array | None
    """Questions only, (tokens, 2) int32: character span of a token in the passage, -1 outside the passage."""

    def __len__(self) -> int:
        return len(self.example_index)

    @property
    def lengths(self) -> Array:
        """(n,) int64: number of tokens of every input."""
        lengths: Array = np.diff(self.offsets)
        return lengths

    def part(self, start: int, stop: int) -> Features:
        """The inputs from `start` to `stop`, as a view; `example_index` still counts from the first of all."""
        if (start, stop) == (0, len(self)):
            return self
        first, last = int(self.offsets[start]), int(self.offsets[stop])
        return dataclasses.replace(
            self,
            input_ids=self.input_ids[first:last],
            token_types=None if self.token_types is None else self.token_types[first:last],
            offsets=self.offsets[start : stop + 1] - first,
            example_index=self.example_index[start:stop],
            targets=self.targets[start:stop],
            char_spans=None if self.char_spans is None else self.char_spans[first:last],
        )


def feature_key(tokenizer: PreTrainedTokenizerBase, data: DataSpec, task: str, part: str, examples_digest: str) -> str:
    """Name of the cache folder: equal if and only if the arrays would be the same."""
    lengths = [data.max_length]
    if TASKS[task].spans:
        lengths += [data.doc_stride, data.max_question_length]
    content = json.dumps(
        [FORMAT, _content(tokenizer), tokenizer.model_input_names, task, lengths, examples_digest],
        ensure_ascii=True,
        sort_keys=True,
    )
    return f"{part}-{hashlib.blake2b(content.encode(), digest_size=12).hexdigest()}"


def tokenizer_sha256(tokenizer: PreTrainedTokenizerBase) -> str:
    """A checksum of everything that determines its tokens."""
    return hashlib.sha256(json.dumps(_content(tokenizer), sort_keys=True).encode()).hexdigest()


def _content(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Its tokenizer.json, without what changes by use."""
    content = json.loads(_fast(tokenizer).backend_tokenizer.to_str())
    return {key: value for key, value in content.items() if key not in ("truncation", "padding")}


def build_features(
    examples: Examples,
    tokenizer: PreTrainedTokenizerBase,
    data: DataSpec,
    *,
    folder: Path,
    progress: Progress,
    say: Say = lambda text: None,
) -> Features:
    """Tokenise into `folder` (named by `feature_key`), or open it if it exists: only complete folders do.

    `progress` is called with the number of examples done and in total, `say` if a damaged folder is rebuilt. Raises
    ConfigError if the lengths in `data` do not fit the tokenizer. Memory use is that of one batch; two processes that
    need the same folder build it only once.
    """

    def build(temporary: Path) -> None:
        _write(examples, _fast(tokenizer), data, temporary, progress)
        _fast(tokenizer).backend_tokenizer.no_truncation()  # otherwise it would be saved with the tokenizer

    return open_features(build_once(folder, build, say))


def mean_first_length(features: Features) -> float:
    """Mean number of tokens of the first segment of an input; 0 if the tokenizer does not mark segments."""
    types = features.token_types
    if types is None or not np.any(types):
        return 0.0
    return float(np.count_nonzero(types == 0) / len(features))


def padding_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The padding token id; 0 for a tokenizer without one."""
    pad: Any = tokenizer.pad_token_id
    return int(pad or 0)


def open_features(folder: Path) -> Features:
    """Memory-map the arrays of a complete folder."""

    def array(name: str) -> Array | None:
        path = folder / f"{name}.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None

    def needed(name: str) -> Array:
        found: Array = np.load(folder / f"{name}.npy", mmap_mode="r")
        return found

    return Features(
        folder=folder,
        input_ids=needed("input_ids"),
        token_types=array("token_types"),
        offsets=needed("offsets"),
        example_index=needed("example_index"),
        targets=needed("targets"),
        char_spans=array("char_spans"),
    )


# ---------------------------------------------------------------------------------------------------------- tokenising


@dataclass(frozen=True)
class Part:
    """The features of some examples: arrays named as in Features, with lengths instead of offsets."""

    arrays: dict[str, Array]
    lengths: Array


def _fast(tokenizer: PreTrainedTokenizerBase) -> Any:
    if not tokenizer.is_fast:
        raise ConfigError(
            f"the tokenizer of {tokenizer.name_or_path!r} has no fast version, which is needed for windows and answer "
            "positions. Choose another teacher.model."
        )
    return tokenizer


def _write(examples: Examples, tokenizer: Any, data: DataSpec, folder: Path, progress: Progress) -> None:
    span = TASKS[examples.task].spans
    rows = cut_questions(examples.rows, tokenizer, data) if span else examples.rows
    _check_lengths(rows if span else [], tokenizer, data)
    starts = range(0, len(rows), BATCH)
    make = _windows if span else _sentences
    write_parts(
        folder,
        (make(rows[first : first + BATCH], first, tokenizer, data) for first in starts),
        lambda parts: progress(min(parts * BATCH, len(rows)), len(rows)),
    )


def write_parts(folder: Path, parts: Iterable[Part], progress: Callable[[int], None]) -> None:
    """Write the arrays of `Features` from those of its parts; `progress` is called with the number of parts written."""
    files: dict[str, _ArrayFile] = {}
    lengths: list[Array] = []
    try:
        for done, batch in enumerate(parts, 1):
            for name, values in batch.arrays.items():
                if name not in files:
                    files[name] = _ArrayFile(folder / f"{name}.npy", values.dtype, values.shape[1:])
                files[name].append(values)
            lengths.append(batch.lengths)
            progress(done)
        files["offsets"] = _ArrayFile(folder / "offsets.npy", np.int64, ())
        files["offsets"].append(np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64))
    finally:
        for file in files.values():
            file.close()


def cut_questions(rows: Sequence[QAExample], tokenizer: Any, data: DataSpec) -> list[tuple[str, QAExample]]:
    """Every example with its question stripped and truncated to `max_question_length` tokens."""
    questions = [row.question.strip() for row in rows]
    cut: list[tuple[str, QAExample]] = []
    for first in range(0, len(rows), BATCH):
        batch = questions[first : first + BATCH]
        encodings = tokenizer(
            batch,
            add_special_tokens=False,
            truncation=True,
            max_length=data.max_question_length,
        ).encodings
        for question, encoding, row in zip(batch, encodings, rows[first : first + BATCH], strict=True):
            whole = not encoding.overflowing
            cut.append((question if whole else question[: encoding.offsets[-1][1]], row))
    return cut


def _check_lengths(rows: Sequence[tuple[str, QAExample]], tokenizer: Any, data: DataSpec) -> None:
    """Refuse lengths that leave no room: the tokenizer would panic or make windows without a passage."""
    if data.max_length > tokenizer.model_max_length:
        raise ConfigError(
            f"data.max_length = {data.max_length}, but {tokenizer.name_or_path!r} reads at most "
            f"{tokenizer.model_max_length} tokens. Lower data.max_length."
        )
    longest = min(data.max_question_length, max((len(question) for question, _ in rows), default=0))
    if not rows:
        return
    if longest + data.doc_stride >= data.max_length - 4:  # only then are the exact lengths needed
        longest = max(len(ids) for ids in tokenizer([q for q, _ in rows], add_special_tokens=False)["input_ids"])
    room = data.max_length - tokenizer.num_special_tokens_to_add(pair=True) - longest
    if data.doc_stride >= room:
        raise ConfigError(
            f"data.max_length = {data.max_length} leaves {max(room, 0)} passage tokens next to the longest question, "
            f"and data.doc_stride = {data.doc_stride} of them would overlap. Raise data.max_length, or lower "
            "data.doc_stride or data.max_question_length."
        )


def _windows(rows: Sequence[tuple[str, QAExample]], first: int, tokenizer: Any, data: DataSpec) -> Part:
    encoded = tokenizer(
        [question for question, _ in rows],
        [row.context for _, row in rows],
        truncation="only_second",
        max_length=data.max_length,
        stride=data.doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    encodings = encoded.encodings
    lengths = np.array([len(encoding.ids) for encoding in encodings])
    example = np.array(encoded["overflow_to_sample_mapping"])
    spans = np.array(list(chain.from_iterable(e.offsets for e in encodings)), np.int32).reshape(-1, 2)
    sequence = chain.from_iterable(e.sequence_ids for e in encodings)
    outside = np.fromiter((part != 1 for part in sequence), bool, int(lengths.sum()))
    spans[outside] = -1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    if not all(encoding.special_tokens_mask[0] for encoding in encodings):
        raise ConfigError(
            f"the tokenizer of {tokenizer.name_or_path!r} puts no special token first, but unanswerable questions "
            "point to it. Choose a BERT or RoBERTa model as teacher.model."
        )
    answers = np.array([answer_of(row) for _, row in rows], np.int32)[example]
    arrays = {
        **token_arrays([e.ids for e in encodings], [e.type_ids for e in encodings], tokenizer),
        "example_index": (example + first).astype(np.int32),
        "targets": answer_tokens(spans, starts, answers),
        "char_spans": spans,
    }
    return Part(arrays, lengths)


def answer_of(row: QAExample) -> tuple[int, int]:
    """The characters of its first answer, from and up to; (-1, -1) without one."""
    return (-1, -1) if row.impossible else (row.starts[0], row.starts[0] + len(row.answers[0]))


def answer_tokens(spans: Array, starts: Array, answers: Array) -> Array:
    """(n, 2): first and last answer token, in windows that contain the whole answer; (0, 0) elsewhere."""
    targets = np.zeros((len(answers), 2), np.int32)
    for window, (begin, end) in enumerate(answers):
        if begin < 0:
            continue
        span = spans[starts[window] : starts[window + 1]]
        inside = span[:, 0] >= 0
        touching = np.flatnonzero(inside & (span[:, 1] > begin) & (span[:, 0] < end))
        # The end may be past the last token only by white space, which no token covers.
        if len(touching) and span[inside, 0].min() <= begin and span[inside, 1].max() >= end:
            targets[window] = touching[0], touching[-1]
    return targets


def _sentences(rows: Sequence[Any], first: int, tokenizer: Any, data: DataSpec) -> Part:
    paired = any(row.pair is not None for row in rows)
    encodings = tokenizer(
        [row.text for row in rows],
        [row.pair or "" for row in rows] if paired else None,
        truncation="longest_first",
        max_length=data.max_length,
    ).encodings
    lengths = np.array([len(encoding.ids) for encoding in encodings])
    arrays = {
        **token_arrays([e.ids for e in encodings], [e.type_ids for e in encodings], tokenizer),
        "example_index": np.arange(first, first + len(rows), dtype=np.int32),
        "targets": np.array([row.label for row in rows], np.int32),
    }
    return Part(arrays, lengths)


def token_arrays(ids: Sequence[Any], types: Sequence[Any], tokenizer: Any) -> dict[str, Array]:
    """Numbers and segment types of the tokens of some inputs, as `Features` has them."""
    total = sum(map(len, ids))
    small = len(tokenizer) <= 1 << 16
    found = {"input_ids": np.fromiter(chain.from_iterable(ids), np.uint16 if small else np.int32, total)}
    if "token_type_ids" in tokenizer.model_input_names:
        found["token_types"] = np.fromiter(chain.from_iterable(types), np.uint8, total)
    return found


class _ArrayFile:
    """An .npy file that grows along its first axis; `close` writes the final length and syncs."""

    def __init__(self, path: Path, dtype: DTypeLike, row_shape: tuple[int, ...]) -> None:
        self._file: IO[bytes] = path.open("wb")
        self._dtype = np.dtype(dtype)
        self._row_shape = row_shape
        self._rows = 0
        self._write_header()

    def append(self, values: Array) -> None:
        self._file.write(np.ascontiguousarray(values, self._dtype).tobytes())
        self._rows += len(values)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _write_header(self) -> None:
        # NumPy pads headers so that the first axis can grow in place.
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self._rows, *self._row_shape)}
        np.lib.format.write_array_header_1_0(self._file, header)
