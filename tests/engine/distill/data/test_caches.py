"""Cache folders: built once, checked by size and content, built again or refused when damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.data.caches import MANIFEST, build_once, damage, lock_of, refuse_damage


def build(folder: Path) -> None:
    """Two files, one of them empty."""
    (folder / "values.npy").write_bytes(bytes(range(200)))
    (folder / "nothing.txt").touch()


def flip(folder: Path) -> None:
    path = folder / "values.npy"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(bytes(content))


def cut(folder: Path) -> None:
    path = folder / "values.npy"
    path.write_bytes(path.read_bytes()[:-1])


def lose(folder: Path) -> None:
    (folder / "values.npy").unlink()


def scribble(folder: Path) -> None:
    (folder / MANIFEST).write_text("[]")


DAMAGES = [(flip, "values.npy is damaged: its content"), (cut, "values.npy is damaged: it has 199 bytes, but 200"),
           (lose, "values.npy is missing"), (scribble, "manifest.json is damaged")]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), DAMAGES)
def test_a_damaged_cache_is_refused_by_a_trial_and_built_again_by_a_preparation(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    """Flipped bits would train silently, and a cut file would crash without its name."""
    folder, said = build_once(tmp_path / "key", build), list[str]()
    spoil(folder)
    with pytest.raises(ConfigError, match=message) as caught:
        refuse_damage([folder])
    assert str(folder) in caught.value.hint
    build_once(folder, build, said.append)
    assert message in said[0]
    assert ("", bytes(range(200))) == (damage(folder), (folder / "values.npy").read_bytes())


def test_a_whole_cache_is_used_and_an_old_one_without_a_manifest_too(tmp_path: Path) -> None:
    """Nothing is built twice, and nothing is said."""
    folder, said = build_once(tmp_path / "key", build), list[str]()
    inode = (folder / "values.npy").stat().st_ino
    for _ in range(2):
        refuse_damage([build_once(folder, build, said.append)])
        (folder / MANIFEST).unlink(missing_ok=True)
    assert ([], inode) == (said, (folder / "values.npy").stat().st_ino)


def test_whoever_waits_for_another_builder_can_end_it(tmp_path: Path) -> None:
    """It is asked again and again, and takes over when the lock is free."""
    folder, asked = tmp_path / "key", list[int]()

    def waiting() -> None:
        asked.append(1)
        raise KeyboardInterrupt

    with FileLock(lock_of(folder)), pytest.raises(KeyboardInterrupt):
        build_once(folder, build, waiting=waiting)
    assert (not folder.exists(), [1]) == (True, asked)
    assert build_once(folder, build, waiting=waiting).is_dir()
