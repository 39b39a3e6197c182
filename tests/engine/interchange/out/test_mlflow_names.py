"""Any name becomes one that MLflow takes, and no two the same."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertdistill.engine.interchange.out.mlflow_names import LONGEST_NAME, Names, allowed, cut


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("train/loss", "train/loss"),
        ("a b.c-d:e", "a b.c-d:e"),
        ("50%", "50_"),
        ("../../etc/x", "______etc_x"),
        ("/root", "_root"),
        ("", "_"),
        (".", "_"),
        ("é", "é"),
    ],
)
def test_what_a_name_becomes(name: str, expected: str) -> None:
    """Those that are allowed stay."""
    assert expected == allowed(name)


@given(st.lists(st.text(max_size=300), max_size=8, unique=True))
def test_every_name_is_allowed_and_different(names: list[str]) -> None:
    """As `mlflow.utils.validation` tests it."""
    given_names = Names()
    found = [given_names.of(name) for name in names]
    assert len(set(found)) == len(names)
    assert found == [given_names.of(name) for name in names]
    for one in found:
        assert 0 < len(one) <= LONGEST_NAME
        assert posixpath.normpath(one) == one
        assert not one.startswith(("..", "/"))


def test_long_texts_are_cut() -> None:
    """With a mark."""
    assert ("abc", "ab…") == (cut("abc", 3), cut("abcd", 3))
