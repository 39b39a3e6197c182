"""Files as they are shared: compressed, cut, or of a form that is not read."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.data import files


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_compressed_text_is_read_whatever_its_name_is(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    """The first bytes say what it is."""
    path = tmp_path / "d.csv"
    path.write_bytes(compress("text,label\nné,1\n".encode()))
    assert "text,label\nné,1\n" == files.read_text(path)


def test_a_cut_or_a_bursting_archive_is_refused_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a download, and one that would fill the memory."""
    path = tmp_path / "d.csv.gz"
    path.write_bytes(gzip.compress(b"words " * 5000)[:-20])
    with pytest.raises(ConfigError, match=r"d\.csv\.gz cannot be read"):
        files.read_text(path)
    path.write_bytes(gzip.compress(bytes(100)))
    monkeypatch.setattr(files, "LARGEST", 99)
    with pytest.raises(ConfigError, match="decompresses to more than"):
        files.read_text(path)


@pytest.mark.parametrize("magic", files.NOT_READ)
def test_forms_that_are_not_read_are_named(tmp_path: Path, magic: bytes) -> None:
    """Better than "not UTF-8": an .xlsx, a Parquet file, a zip."""
    path = tmp_path / "d.csv"
    path.write_bytes(magic + b"\xff\xfe")
    with pytest.raises(ConfigError, match=f"is {files.NOT_READ[magic][:10]}"):
        files.read_text(path)


def test_the_layout_is_named_before_the_compression() -> None:
    """`train.jsonl.gz` holds JSON Lines."""
    assert [".jsonl", ".csv", ".tsv"] == [files.kind(Path(name)) for name in ("a.jsonl.gz", "a.b.CSV", "t.tsv.xz")]


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("film.csv", "films.csv"),
        ("FILMS.CVS", "films.csv"),
        ("dta/films.csv", "{}/data"),
        ("zzz", ""),
        ("data/x/y", ""),
    ],
)
def test_a_mistyped_path_is_like_one_that_is_there(tmp_path: Path, typed: str, near: str) -> None:
    """Of a path into a folder that is missing, the folder."""
    (tmp_path / "films.csv").touch()
    (tmp_path / "data").mkdir()
    wanted = f"Did you mean {near.format(tmp_path)}?" if near else ""
    assert wanted == files.did_you_mean(tmp_path / typed)
