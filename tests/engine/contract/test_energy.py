"""Counters of energy, in a folder that looks like Linux's."""

from pathlib import Path

from bertdistill.engine.contract.energy import counters


def package(root: Path, name: str, energy: str, limit: str = "1000") -> None:
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(energy)
    (folder / "max_energy_range_uj").write_text(limit)


def test_each_package_counts_once(tmp_path: Path) -> None:
    """Cores and memory of a package are in its count."""
    package(tmp_path, "intel-rapl:0", "70")
    package(tmp_path, "intel-rapl:1", "30")
    package(tmp_path, "intel-rapl:0:0", "60")
    found, reason = counters(tmp_path)
    assert ([70, 30], [1000, 1000], "") == ([one.read() for one in found], [one.limit for one in found], reason)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A machine without counters, and one whose counters are someone else's."""
    assert counters(tmp_path) == ((), f"{tmp_path} has no processor packages")
    package(tmp_path, "intel-rapl:0", "not a number")
    found, reason = counters(tmp_path)
    assert (found, "energy_uj cannot be read" in reason) == ((), True)
