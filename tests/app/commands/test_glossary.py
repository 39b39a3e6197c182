"""The command that explains words."""

from __future__ import annotations

import json

import pytest
from tests.app.commands.typing_words import Type, typist


@pytest.fixture(name="type_")
def typing(capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command: exit status, stdout, stderr."""
    return typist(capsys, "glossary")


def test_words_metrics_and_settings(type_: Type) -> None:
    """Each with where to read on."""
    status, out, err = type_("gain", "latency_cpu_ms", "mlp.units")
    assert (0, "") == (status, err)
    assert ["gain", "latency_cpu_ms", "units"] == [line for line in out.splitlines() if line[:1].strip()]
    assert "See docs/guide/study.md." in " ".join(out.split())


def test_several_words_are_one_name_if_there_is_one(type_: Type) -> None:
    assert type_("report", "split")[1].startswith("report split, ")


def test_all_of_them(type_: Type) -> None:
    """As objects, by name."""
    found = json.loads(type_("--json")[1])
    names = [one["name"] for one in found]
    assert sorted(names, key=str.casefold) == names
    assert {"hypervolume", "nonzero_params", "alpha"} <= set(names)


def test_an_unknown_word_names_its_neighbours(type_: Type) -> None:
    status, _, err = type_("volum")
    assert (2, True) == (status, "Near it: hypervolume, volume." in err)
