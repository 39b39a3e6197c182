"""Narrowed ranges: what a person may type, what is kept of it, and how it is told again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict, study_spec
from tests.spaces import parse_search

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import dump, load_study, study_from_dict, to_toml
from bertdistill.engine.study.ranges import dump_range, inside, narrow, present, range_text, read_ranges, typed

SPACE = parse_search(
    {
        "layers": {"low": 1, "high": 6},
        "alpha": {"low": 0, "high": 1},
        "warmup_fraction": {"low": 0.0, "high": 0.4, "step": 0.1},
        "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
        "batch_size": {"choices": [8, 16, 32]},
        "head_choice": {"choices": ["random", "importance"]},
        "head_seed": {"low": 1, "high": 5, "when": {"head_choice": ["random"]}},
    }
)
NAMED = {parameter.name: parameter for parameter in SPACE}


@pytest.mark.parametrize(
    ("name", "text", "kept", "told"),
    [
        ("layers", "2..4", {"low": 2, "high": 4}, "2..4"),
        ("layers", "3", 3, "3"),
        ("layers", "3..3", 3, "3"),
        ("layers", "..4", {"low": 1, "high": 4}, "1..4"),
        ("layers", {"low": 5}, {"low": 5, "high": 6}, "5..6"),
        ("alpha", "0.5", 0.5, "0.5"),
        ("alpha", 1, 1.0, "1"),
        ("learning_rate", "1e-5..1e-4", {"low": 1e-5, "high": 1e-4}, "1e-05..0.0001"),
        ("warmup_fraction", "0.1..0.3", {"low": 0.1, "high": 0.3}, "0.1..0.3"),
        ("batch_size", "32,8", {"choices": [8, 32]}, "8,32"),
        ("batch_size", "8..16", {"choices": [8, 16]}, "8,16"),
        ("batch_size", [16], 16, "16"),
        ("head_choice", "random", "random", "random"),
        ("head_choice", '["random"]', "random", "random"),
        ("batch_size", "[32, 16]", {"choices": [16, 32]}, "16,32"),
        ("layers", "{ low = 2, high = 4 }", {"low": 2, "high": 4}, "2..4"),
    ],
)
def test_what_may_be_typed(name: str, text: Any, kept: Any, told: str) -> None:
    """Each form gives the same part when it is read back, and the letters that are shown can be typed again."""
    found = narrow(NAMED[name], typed(text))
    assert (kept, told) == (dump_range(found), range_text(kept))
    assert found == narrow(NAMED[name], kept)
    assert found == narrow(NAMED[name], typed(told))
    assert NAMED[name].when == found.when


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("layers", "2..9", "= 9 is outside the range in the study file: 1 to 6"),
        ("layers", "4..2", "give the lower end first"),
        ("layers", "2,3", r"is a range; give its two ends \(2..3\)"),
        ("layers", "2.5", "must be a whole number"),
        ("layers", "true", "must be a whole number"),
        ("layers", {}, "is empty"),
        ("layers", {"lower": 2}, "has no key lower"),
        ("layers", {"low": 2, "choices": [3]}, "give one of them"),
        ("alpha", "some", "must be a number"),
        ("alpha", "nan..1", "must be a number"),
        ("warmup_fraction", "0.15..0.3", "outside the range"),
        ("batch_size", "9..10", "has no value in that range"),
        ("batch_size", "8,64", "= 64 is outside"),
        ("batch_size", [], "has no values"),
        ("head_choice", "a..b", "is not ordered"),
        ("head_choice", "worst", "is not valid"),
    ],
)
def test_what_is_refused(name: str, text: Any, words: str) -> None:
    """The words follow the parameter's name and say what is possible."""
    with pytest.raises(ValueError, match=words):
        narrow(NAMED[name], typed(text))


def test_the_whole_range_is_no_narrowing() -> None:
    """It leaves nothing behind in the spec."""
    assert ((), []) == read_ranges({"layers": {"low": 1, "high": 6}, "batch_size": {"choices": [32, 16, 8]}}, SPACE)
    assert typed("") is None


def test_a_part_lies_over_the_space() -> None:
    """Same parameters, same order; what lies inside is told by it."""
    ranges, problems = read_ranges({"layers": 3, "alpha": {"high": 0.5}}, SPACE)
    now = present(SPACE, ranges)
    assert ([], [one.name for one in SPACE]) == (problems, [one.name for one in now])
    assert [True, False, False] == [inside(now, one) for one in ({"layers": 3}, {"layers": 4}, {"alpha": 0.6})]


def test_ranges_are_a_part_of_the_study_file(tmp_path: Path) -> None:
    """They survive the database and an exported file; the space that trials are judged by stays whole."""
    spec = study_spec(tmp_path, ranges={"layers": {"low": 2, "high": 3}, "learning_rate": 1e-4})
    assert spec == study_from_dict(dump(spec), where="test")
    (tmp_path / "study.toml").write_text(to_toml(spec))
    assert spec == load_study(tmp_path / "study.toml")
    assert [4, 3] == [space[0].high for space in (spec.search, spec.proposable)]
    assert "ranges" not in dump(study_spec(tmp_path))


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        ({"layer": 2}, r"\[ranges\] layer is not searched in this study; did you mean layers\?"),
        ({"layers": 9}, r"\[ranges\] layers = 9 is outside the range in the study file: 1 to 4"),
        ([], r"\[ranges\] must be a table"),
    ],
)
def test_a_wrong_range_names_its_key(tmp_path: Path, ranges: Any, words: str) -> None:
    """As every other error of a study file."""
    with pytest.raises(ConfigError, match=words):
        study_from_dict({**study_dict(tmp_path), "ranges": ranges}, where="file")
