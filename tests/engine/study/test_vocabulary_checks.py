"""What is refused about `vocab_size` and `vocabulary`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import wanted_vocabularies

RATE = {"learning_rate": {"low": 1e-4, "high": 1e-2}}
BOTH = {"choices": ["transformer", "mlp"]}


def read(folder: Path, settings: dict[str, Any], search: dict[str, Any]) -> Any:
    raw = study_dict(folder, settings=settings, search={**RATE, **search})
    return study_from_dict({**raw, "baseline": None}, where="here")


@pytest.mark.parametrize(
    ("settings", "search", "problem"),
    [
        (
            {},
            {"vocab_size": {"low": 0, "high": 9000}},
            "[search.vocab_size] starts at 0, which means the whole vocabulary; start higher, or list choices",
        ),
        (
            {"family": "mlp", "vocab_size": 2},
            {},
            "[settings] vocab_size = 2 leaves mlp no row for units; use 3 or more, or 0 for 5000 rows",
        ),
        (
            {"vocabulary": "new"},
            {},
            '[settings] vocabulary = "new" has no effect while vocab_size is 0, the whole vocabulary; set both or none',
        ),
        (
            {"mlp": {"vocab_size": 300}},
            {"family": BOTH, "vocabulary": {"choices": ["cut", "new"]}},
            "[search.vocabulary] has no effect while vocab_size is 0, the whole vocabulary; set both or none",
        ),
    ],
)
def test_refusals(settings: dict[str, Any], search: dict[str, Any], problem: str, tmp_path: Path) -> None:
    """Each names table, key and remedy."""
    with pytest.raises(ConfigError) as no:
        read(tmp_path, settings, search)
    assert f"here: {problem}" == str(no.value)


@pytest.mark.parametrize(
    ("settings", "search", "wanted"),
    [
        ({}, {}, {}),
        ({"vocab_size": 8000}, {}, {"cut": [8000]}),
        ({"vocabulary": "new"}, {"vocab_size": {"choices": [0, 300]}}, {"new": [300]}),
        ({"vocab_size": 400}, {"vocabulary": {"choices": ["cut", "new"]}}, {"cut": [400], "new": [400]}),
        ({"mlp": {"vocab_size": 300}}, {"family": BOTH}, {}),
        (
            {"mlp": {"vocab_size": 300}},
            {"family": BOTH, "transformer": {"vocab_size": {"choices": [0, 900]}}},
            {"cut": [900]},
        ),
        ({"family": "mlp", "vocab_size": 300}, {}, {}),
    ],
)
def test_what_the_preparation_counts(
    settings: dict[str, Any], search: dict[str, Any], wanted: dict[str, list[int]], tmp_path: Path
) -> None:
    """Only what a transformer of the study may have."""
    assert wanted == wanted_vocabularies(read(tmp_path, settings, search))


def test_a_range_is_counted_at_its_ends_and_between(tmp_path: Path) -> None:
    """Lengths change most where vocabularies are small."""
    sizes = wanted_vocabularies(read(tmp_path, {}, {"vocab_size": {"low": 1000, "high": 8000}}))["cut"]
    assert (1000, 8000, 8) == (sizes[0], sizes[-1], len(sizes))
    assert sizes[1] - sizes[0] < sizes[-1] - sizes[-2]
