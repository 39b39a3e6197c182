"""Study files and `--set` words that cost minutes or a traceback: one sentence each, at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.study.test_config import GOOD

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study import limits
from bertdistill.engine.study.config import load_study, parse_override

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"x = {DIGITS}", "thousands of digits"),
        (f"x = 0x{'f' * 5000}", "x does not fit in 64 bits"),
        ("x = 9223372036854775808", "does not fit in 64 bits"),
        (f"x = {'[' * 900}{']' * 900}", "nested too deeply|nested more than"),
        (f"x = {'[' * 100}{']' * 100}", "x.0.0.0... is nested more than 32 levels deep"),
        (f"x = {'{a=' * 100}1{'}' * 100}", "nested more than 32 levels deep"),
        (f"{'.'.join('a' * 8000)} = 1", "line 1 has a dotted key of more than 32 parts"),
        (f"\n[{' . '.join(['b'] * 8000)}]", "line 2 has a dotted key"),
        (f"""{'."q".'.join("a" * 40)} = 1""", "dotted key"),
        (f"{'k' * 100_000} = 1", "is a key of 100,000 characters"),
        (f'[teacher]\nmodel = "{"m" * 100_000}"', "teacher.model has 100,000 characters; use 4,096 at most"),
        (f'note = "{"n" * 100_000}"', "note has 100,000 characters"),
    ],
)
def test_a_file_beyond_the_limits_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    """In a moment, with the place, in words that fit on a screen."""
    path = tmp_path / "study.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_study(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 600 + len(str(path))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (f"budget.trials={DIGITS}", "--set budget.trials=9.*: it has an integer with thousands of digits"),
        (f"budget.trials=0x{'f' * 5000}", "does not fit in 64 bits"),
        (f"budget.trials={'[' * 900}{']' * 900}", "nested"),
        (f"{'.'.join('a' * 8000)}=1", "--set a.a.*dotted key of more than 32 parts"),
        (f"{'.'.join('é' * 8000)}=1", "nested more than 32 levels deep"),
        (f"{'k' * 100_000}=1", "is a key of 100,000 characters"),
        (f"teacher.model={'m' * 100_000}", "teacher.model has 100,000 characters"),
        (f'teacher.model="{"m" * 5000}"', "teacher.model has 5,000 characters"),
        (":", "':' is not dotted.key=value"),
        ("k" * 100_000, "is not dotted.key=value"),
        (f"a=[{'1,' * 5000}x", "not valid TOML"),
    ],
)
def test_an_override_beyond_the_limits_is_refused(word: str, message: str) -> None:
    """Typed in the app or after `--set`, the same sentences."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_override(word)
    assert str(caught.value).startswith("--set ")
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("teacher.model=~nobody9/x", r"\[teacher\] model = \"~nobody9/x\" is not a valid path: .*home"),
        ("data.train=~nobody9/x", r"\[data\] train"),
        (f"teacher.model={'m' * 300}", r"\[teacher\] model = .* is not a valid path: File name too long"),
        (f"data.report={'m' * 300}", r"\[data\] report = .* is not a valid path"),
    ],
)
def test_what_cannot_be_a_path_is_refused_with_its_key(tmp_path: Path, word: str, message: str) -> None:
    """An unknown home, a name longer than any file system takes."""
    path = tmp_path / "study.toml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match=message):
        load_study(path, [word])


@pytest.mark.parametrize("text", [("a." * 31 + "= 1 \n") * 15_000, "a" * 1_000_000, '"' * 1_000_000, "'a\"" * 300_000])
def test_looking_for_long_keys_takes_linear_time(text: str) -> None:
    """The look before the parser must not be what it guards against: a megabyte of almost-keys would take hours."""
    assert "" == limits.text_problem(text)
