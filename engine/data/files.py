"""Data files: locating them and reading them, decompressed, as text or JSON. It does not interpret the content."""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import itertools
import json
import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec

Part = Literal["train", "report"]

COMPRESSED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
"""Magic bytes of the supported compressed files; file names do not matter."""
SUFFIXES = (".gz", ".bz2", ".xz")
NOT_READ = {
    b"PK\x03\x04": "a zip archive (.xlsx files are zip archives too)",
    b"\x28\xb5\x2f\xfd": "compressed with Zstandard",
    b"PAR1": "a Parquet file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}
LARGEST = 8 << 30
"""Maximum number of decompressed bytes: a small file can expand to any size."""

MOST_NAMES = 1000
"""Names in a folder that a mistyped one is compared with."""

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def source_name(data: DataSpec, part: Part) -> str:
    """The data source as named in error messages."""
    if data.hub:
        split = data.train_split if part == "train" else data.report_split
        return f"{data.hub} (data.hub), split {split!r} (data.{part}_split)"
    return f"{getattr(data, part)} (data.{part})"


def source_file(data: DataSpec, part: Part) -> Path:
    """The local file of a part; ConfigError if none is named or it does not exist."""
    named: str = getattr(data, part)
    if not named:
        raise ConfigError(f"data.{part} is empty. Set it to a local file, or set data.hub to a dataset.")
    path = Path(named)
    if not path.is_file():
        raise ConfigError(f"{path} (data.{part}) is not a file. {did_you_mean(path) or 'Correct the path.'}")
    return path


def did_you_mean(path: Path) -> str:
    """`Did you mean films.csv?` for a path that is not there; of a folder that is missing the whole path.

    Empty if nothing is alike.
    """
    missing = path
    while missing.parent != missing and not missing.parent.is_dir():
        missing = missing.parent
    try:
        names = {entry.name.casefold(): entry for entry in itertools.islice(missing.parent.iterdir(), MOST_NAMES)}
    except OSError:
        return ""
    close = difflib.get_close_matches(missing.name.casefold(), names, 1, 0.6)
    if not close:
        return ""
    near = names[close[0]]
    return f"Did you mean {near.name if missing == path else near}?"


def kind(path: Path) -> str:
    """The suffix that gives the file format: `.jsonl` for `train.jsonl.gz`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in SUFFIXES else suffix


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, decompressed; ConfigError names the file and the remedy."""
    content = _content(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(8)
        for magic, name in NOT_READ.items():
            if head.startswith(magic):
                raise ConfigError(f"{path} is {name}. Unpack it, or save it as CSV or JSON Lines.")
        opener = next((opener for magic, opener in COMPRESSED.items() if head.startswith(magic)), None)
        if opener is None:
            return path.read_bytes()
        with opener(path) as packed:
            content = packed.read(LARGEST + 1)
    except (zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Replace it with a complete copy.") from error
    if len(content) > LARGEST:
        raise ConfigError(f"{path} decompresses to more than {LARGEST >> 30} GB. Use a smaller file.")
    return content


# ---------------------------------------------------------------------------------------------------------------- JSON


def parse_json(text: str) -> Any:
    """`json.loads` that raises only ValueError, even for huge numbers and deep nesting."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("brackets are nested too deeply") from None


def read_json(path: Path, source: str, *, lines: bool = False) -> tuple[Any, tuple[str, ...]]:
    """The JSON value of a file (with `lines`, possibly a list of one value per line), and notices.

    Lone surrogates, which no tokenizer accepts, are each replaced with U+FFFD, so that offsets stay valid.
    ConfigError names `source` and the line.
    """
    text = read_text(path)
    try:
        raw = parse_json(text)
    except ValueError as error:
        if not lines:
            raise ConfigError(f"{source} is not JSON: {error}.") from error
        raw = _json_lines(text, source)
    if not ESCAPED_SURROGATE.search(text):
        return raw, ()
    raw, count = repaired(raw)
    return raw, (f"{source}: {count} lone surrogate(s) were replaced with U+FFFD",) if count else ()


def _json_lines(text: str, source: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [parse_json(line)] if line.strip() else []
        except ValueError as error:
            raise ConfigError(f"{source}, line {number} is not JSON: {error}") from error
    return rows


def repaired(value: Any) -> tuple[Any, int]:
    """A JSON value without lone surrogates, and how many were replaced."""
    if isinstance(value, str):
        return LONE_SURROGATE.subn("\ufffd", value)
    if isinstance(value, dict):
        parts = [(repaired(key), repaired(item)) for key, item in value.items()]
        return {key: item for (key, _), (item, _) in parts}, sum(k + v for (_, k), (_, v) in parts)
    if isinstance(value, list):
        items = [repaired(item) for item in value]
        return [item for item, _ in items], sum(count for _, count in items)
    return value, 0
