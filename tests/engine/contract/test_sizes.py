"""How much of the disk folders hold, with real files."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.sizes import Sizes


def test_every_file_counts_once(tmp_path: Path) -> None:
    """Hard links, folders measured again, and links to elsewhere."""
    inside, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    inside.mkdir()
    elsewhere.write_bytes(b"x" * 900_000)
    (inside / "a").write_bytes(b"x" * 100_000)
    (inside / "b").hardlink_to(inside / "a")
    (inside / "c").symlink_to(elsewhere)
    sizes = Sizes()
    assert 100_000 <= sizes.of(inside) < 150_000
    assert (0, 0) == (sizes.of(inside / "b"), sizes.of(tmp_path / "nothing"))
    assert sizes.of(elsewhere) >= 900_000
