"""Numbers, times and states read as a person expects."""

from __future__ import annotations

import math

import pytest

from bertdistill.app.text import format as fmt


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (66_364_418, "66.4M"),
        (51_401_474, "51.4M"),
        (14_210, "14.2k"),
        (999, "999"),
        (999_999, "1.00M"),
        (110_000_000, "110M"),
        (0, "0"),
        (None, "–"),
        (math.nan, "–"),
    ],
)
def test_count(value: float | None, expected: str) -> None:
    """Three digits and a suffix."""
    assert expected == fmt.count(value)


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("transformer.layers", 18, "transformer.layers"),
        ("transformer.layers", 13, "trans….layers"),
        ("transformer.learning_rate", 9, "t….learning_rate"),
        ("learning_rate", 9, "learning_rate"),
    ],
)
def test_brief_names_keep_their_key(name: str, width: int, expected: str) -> None:
    """The family is cut first; the rest is cut by the owner."""
    assert expected == fmt.brief(name, width)


def test_exact_count_keeps_every_digit() -> None:
    """The promised size is shown in full."""
    assert "66,364,418" == fmt.exact(66_364_418)


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("exact", 70.613, False, "70.61"),
        ("exact", 70.613, True, "70.61 %"),
        ("params", 66_364_418, True, "66.4M"),
        ("size_mb", 0.0568, True, "0.0568 MB"),
        ("exact", 0.0, False, "0.00"),
        ("exact", None, True, "–"),
        ("exact", math.inf, False, "–"),
        ("something_else", 0.123456, False, "0.1235"),
        ("gflops", 4.3e-08, True, "4.3e-08 GFLOP"),
    ],
)
def test_metric(name: str, value: float | None, unit: bool, expected: str) -> None:
    """Each metric has its own digits and unit; tiny sizes keep digits; what is not finite is a dash."""
    assert expected == fmt.metric(name, value, unit=unit)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3e-05, "3e-05"), (0.25, "0.25"), (True, "true"), ([0, 2], "[0, 2]"), ("even", "even"), (None, "–"), (4, "4")],
)
def test_setting(value: object, expected: str) -> None:
    """A value reads as a person would type it."""
    assert expected == fmt.setting(value)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "0s"),
        (59.4, "59s"),
        (59.9, "1m 00s"),
        (185, "3m 05s"),
        (11_520, "3h 12m"),
        (187_200, "2d 4h"),
        (None, "–"),
    ],
)
def test_duration(seconds: float | None, expected: str) -> None:
    """Two units at most."""
    assert expected == fmt.duration(seconds)


@pytest.mark.parametrize(
    ("number", "expected"), [(12_000, "12.0 kB"), (1.4e9, "1.4 GB"), (350e6, "350 MB"), (7, "7 B")]
)
def test_size(number: float, expected: str) -> None:
    """Bytes in powers of ten."""
    assert expected == fmt.size(number)


def test_bar_is_cut_to_its_range() -> None:
    """More than all is all, less than nothing is nothing, NaN is nothing."""
    assert ["####", "....", "##..", "...."] == [fmt.bar(f, 4, ascii_only=True) for f in (1.7, -1, 0.5, math.nan)]


def test_state_has_a_glyph_and_the_word() -> None:
    """Colour or font alone never carries the meaning."""
    assert ("✗ failed", "x failed", "unheard-of") == (
        fmt.state("failed"),
        fmt.state("failed", ascii_only=True),
        fmt.state("unheard-of"),
    )


def test_value_of_takes_finite_numbers_only() -> None:
    """Text, flags and NaN are no values."""
    values = {"a": 1, "b": math.nan, "c": "x", "d": True}
    assert [1.0, None, None, None, None] == [fmt.value_of(values, name) for name in "abcde"]


def test_signed_and_arrow() -> None:
    """Differences carry their sign; objectives their direction, in ASCII as a word."""
    assert ("+1.20", "-0.35", "↓", "max") == (
        fmt.signed(1.2),
        fmt.signed(-0.35),
        fmt.arrow("minimize"),
        fmt.arrow("maximize", ascii_only=True),
    )


@pytest.mark.parametrize(("value", "expected"), [(15_081.4, "15,081"), (410.3, "410"), (12.5, "12.5"), (0.25, "0.25")])
def test_rate_has_no_exponent(value: float, expected: str) -> None:
    """Many small examples a second are a plain number."""
    assert expected == fmt.rate(value)


@pytest.mark.parametrize(
    ("state", "alive", "kinds", "words"),
    [
        ("running", True, ["trial"], "running"),
        ("running", True, ["prepare"], "preparing"),
        ("running", True, [], "waiting"),
        ("running", False, ["trial"], "no runner"),
        ("paused", False, [], "paused"),
    ],
)
def test_a_study_has_one_word_for_what_it_does(state: str, alive: bool, kinds: list[str], words: str) -> None:
    """One that waits for a slot does not look as if it ran."""
    assert words == fmt.study_state(state, alive=alive, kinds=kinds)
    assert fmt.state(words).endswith(f" {words}")


@pytest.mark.parametrize(
    ("gain", "shown"),
    [
        (None, ""),
        (-0.0321, "-0.032"),
        (-0.0004, "0"),
        (0.0, "0"),
        (0.0004, "<0.001"),
        (0.001, "+0.001"),
        (0.1216, "+0.122"),
    ],
)
def test_a_small_gain_is_not_none(gain: float | None, shown: str) -> None:
    assert shown == fmt.gain(gain)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("accuracy", 0.5727, "0.57"),
        ("accuracy", 0.0637, "0.06"),
        ("accuracy", 0.0012, "0.0012"),
        ("params", 1e6, "1.00M"),
    ],
)
def test_a_spread_has_the_digits_of_its_metric(name: str, value: float, shown: str) -> None:
    """Next to 87.30 a standard deviation of 0.5727 is 0.57."""
    assert shown == fmt.spread(name, value)


@pytest.mark.parametrize(("value", "shown"), [(0.0448, "0.045"), (1.02, "1.020"), (0.0, "0.000"), (0.00012, "0.00012")])
def test_losses_below_each_other_can_be_compared(value: float, shown: str) -> None:
    """As many decimals for each; a tiny one keeps its digits."""
    assert shown == fmt.loss(value)


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("/a/b.csv", 8, "/a/b.csv"),
        ("/long/folder/b.csv", 8, "…r/b.csv"),
        ("/a/本本.csv", 8, "…本.csv"),
        ("/a/b", 0, "…"),
    ],
)
def test_the_end_of_a_path_has_its_name(path: str, width: int, shown: str) -> None:
    """Where it does not fit; wide characters take two cells."""
    assert shown == fmt.end_of_path(path, width)
