"""The form of a study file: its lines, and the `--set` changes that lead to what was typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.views.study_form import changes, concerns, field, form, known_keys, plain, toml
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import load_study, to_toml
from bertdistill.engine.study.config import study_from_dict as study
from bertdistill.engine.study.study_text import read_toml


@pytest.fixture
def raw(raw_spec: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The sample study as its file says it."""
    path = tmp_path / "sample.toml"
    path.write_text(to_toml(study(raw_spec, where="test")))
    return read_toml(path)


def test_lines_follow_the_file(raw: dict[str, Any]) -> None:
    """Searched keys have no line; every objective has its threshold; values stand as one would type them."""
    lines = {line.key.name: line.value for line in form(raw)}
    assert "settings.learning_rate" not in lines
    assert lines["search.learning_rate"] == toml(raw["search"]["learning_rate"])
    assert ("20.0", "", "8", "scratch") == (
        lines["objectives.0.threshold"],
        lines["objectives.1.threshold"],
        lines["budget.trials"],
        lines["teacher.model"],
    )


def test_a_range_can_be_changed_and_taken_out(raw: dict[str, Any], tmp_path: Path) -> None:
    """A searched parameter is one line; problems with it are shown there; an emptied line fixes the setting again."""
    path, lines = tmp_path / "sample.toml", form(raw)
    typed = "{ low = 2, high = 3 }"
    narrow = load_study(path, changes(lines, {"search.layers": typed})).search
    assert [(2, 3)] == [(p.low, p.high) for p in narrow if p.name == "layers"]
    without = load_study(path, changes(lines, {"search.layers": ""})).search
    assert "layers" not in [p.name for p in without]
    assert "low = " in field(raw, "search.layers").key.help
    with pytest.raises(ConfigError) as refusal:
        load_study(path, ["search.layers={ low = 9, high = 3 }"])
    assert concerns(str(refusal.value).removeprefix("--set: "), "search.layers")
    nested = {"search": {"mlp": {"hidden_size": {"low": 8, "high": 64}}, "layers": {"low": 1, "high": 4}}}
    assert [line.key.name for line in form(nested) if line.key.name.startswith("search.")] == [
        "search.mlp.hidden_size",
        "search.layers",
    ]


def test_keys_of_one_family(raw: dict[str, Any]) -> None:
    """They are offered for the families that use them, and their values are read from the family's table."""
    assert "settings.mlp.hidden_size" in known_keys()
    assert "settings.mlp.heads" not in known_keys()
    assert "settings.mlp.family" not in known_keys()
    line = field({**raw, "settings": {"mlp": {"hidden_size": 32}}}, "settings.mlp.hidden_size")
    assert ("32", known_keys()["settings.hidden_size"].help) == (line.value, line.key.help)


def test_columns_have_lines_where_the_data_is_a_table(raw: dict[str, Any]) -> None:
    """SQuAD has no columns to name."""
    names = ["data.text_column", "data.text_pair_column", "data.label_column"]
    assert [] == [line.key.name for line in form(raw) if line.key.name in names]
    assert names == [line.key.name for line in form(raw | {"task": "text-classification"}) if line.key.name in names]
    assert [] == [line.key.name for line in form({"task": 3}) if line.key.name in names]


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        ("/a/d.csv (data.train): set data.label_column; the columns are a, b.", "data.label_column"),
        ("/a/d.csv (data.train): set data.label_column; the columns are a, b.", "data.train"),
        ("/a/d.csv (data.train): no column 'x' for data.text_column. It has: a.", "data.text_column"),
        ("data.report = /a/d.csv is not a file. Correct the path.", "data.report"),
    ],
)
def test_faults_of_the_data_concern_the_key_of_the_file_and_the_key_to_set(problem: str, name: str) -> None:
    """Their lines in the form are marked."""
    assert concerns(problem, name)
    assert not concerns(problem, "data.text_pair_column")


def test_a_file_that_is_all_wrong_has_a_form(raw: dict[str, Any]) -> None:
    """Tables that are values and lists that are text break nothing: they can be mended there."""
    wrong = {"name": 3, "data": "x", "search": 1, "objectives": "exact", "teacher": [1], "budget": {"trials": {}}}
    assert "3" == field(wrong, "name").value
    assert [] == [line for line in form(wrong) if line.key.name.startswith("objectives")]


def test_an_objective_is_named_by_its_metric(raw: dict[str, Any]) -> None:
    """Its place in the list says nothing to a person; the problem is still found at its line."""
    raw["objectives"][0]["threshold"] = 0.5
    raw["references"] = [{"name": "published", "metrics": {"exact": "x"}}]
    with pytest.raises(ConfigError) as caught:
        study(raw, where="test")
    threshold, reference = [line.removeprefix("test: ") for line in reversed(str(caught.value).splitlines())]
    assert "threshold of exact = 0.5 is a fraction; scores are percentages: 50" == plain(threshold)
    assert concerns(threshold, "objectives.0.threshold")
    assert plain(reference).startswith('metrics.exact of published = "x" must be a number')
    assert "threshold of exact" == field(raw, "objectives.0.threshold").key.label
    assert "[objectives.0] must be a table" == plain("[objectives.0] must be a table")
    assert "no limit" == known_keys()["budget.hours"].default


def test_nothing_typed_changes_nothing(raw: dict[str, Any]) -> None:
    """What the file says already is no change, however often it is typed again."""
    lines = form(raw)
    assert [] == changes(lines, {})
    assert [] == changes(lines, {line.key.name: line.value for line in lines})


def test_typed_values_arrive(raw: dict[str, Any], tmp_path: Path) -> None:
    """Text that looks like a number stays text; an emptied line takes its key out; a list is a list."""
    path = tmp_path / "sample.toml"
    typed = {
        "name": "2024",
        "note": 'a "quoted" [note] = 漢字',
        "budget.trials": "12",
        "objectives.0.threshold": "",
        "data.labels": "",
        "metrics.stored": '["latency_ms", "throughput"]',
    }
    found = load_study(path, changes(form(raw, ["metrics.stored", "data.labels"]), typed))
    assert ("2024", typed["note"], 12) == (found.name, found.note, found.budget.trials)
    assert found.objectives[0].threshold is None
    assert ["latency_ms", "throughput"] == found.metrics.stored


def test_problems_find_their_line(raw: dict[str, Any], tmp_path: Path) -> None:
    """A problem is about the key that it names and no other."""
    assert concerns("[data] train is missing: Local training file", "data.train")
    assert concerns("data.report = x is not a file", "data.report")
    assert concerns("name = 3 must be text", "name")
    assert not concerns("[data] train_split is missing", "data.train")
    assert not concerns("[teacher] name is not a known key", "name")


def test_what_is_shown_drives_no_terminal_and_changes_nothing(raw: dict[str, Any]) -> None:
    """A note with escape sequences is shown without them; only what a person types replaces it."""
    raw["note"] = "a\x1b[31mb\nc"
    assert "ab c" == field(raw, "note").value
    assert [] == changes(form(raw), {})


def test_every_key_has_its_help() -> None:
    """Defaults are as a file spells them, and no key is without words."""
    keys = known_keys()
    assert [] == [name for name, key in keys.items() if not key.help]
    assert ("16", "auto", "[]") == (
        keys["settings.batch_size"].default,
        keys["sampler.kind"].default,
        keys["data.labels"].default,
    )


def test_tables_in_one_line() -> None:
    """A searched range can be typed in one line, so it is shown in one."""
    assert '{ low = 1, choices = ["a", true] }' == toml({"low": 1, "choices": ["a", True]})
