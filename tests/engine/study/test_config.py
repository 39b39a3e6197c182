"""Study files: what is accepted, what is refused in which words, overrides, and the way back to a file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.spec import SEARCHABLE, FineTuneSpec
from bertdistill.engine.families import phases, sparsity
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.config import (
    changed,
    dump,
    load_study,
    nearest,
    parse_override,
    select_metric,
    study_from_dict,
    to_toml,
)
from bertdistill.engine.study.space import SETTING, Parameter
from bertdistill.engine.study.study_text import write_toml
from bertdistill.engine.tasks.table import METRICS

GOOD = """
name = "tiny"
task = "question-answering"
objectives = [{ metric = "exact", threshold = 60 }, { metric = "params" }]
[data]
train = "/data/train.json"
report = "/data/report.json"
[teacher]
model = "org/teacher"
[settings]
head_seed = 4
[search]
layers = { low = 1, high = 6 }
learning_rate = { low = 1e-5, high = 1e-3, log = true }
head_choice = { choices = ["random", "importance"] }
heads = { low = 1, high = 12 }
head_seed = { choices = [1, 2], when = { head_choice = ["random"] } }
"""


EXACT, SIZE = {"metric": "exact"}, {"metric": "params"}


def study_file(folder: Path, text: str = GOOD) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, *overrides: str, text: str = GOOD) -> list[str]:
    """The lines of the error for a study file."""
    with pytest.raises(ConfigError) as caught:
        load_study(study_file(folder, text), overrides)
    return str(caught.value).splitlines()


def raw_study(**more: Any) -> dict[str, Any]:
    return {**tomllib.loads(GOOD), **more}


def problems_of(**more: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        study_from_dict(raw_study(**more), where="here")
    return [line.removeprefix("here: ") for line in str(caught.value).splitlines()]


def test_a_good_file(tmp_path: Path) -> None:
    """Types, defaults, directions and the order of the space come out as written."""
    spec = load_study(study_file(tmp_path))
    assert (Objective("exact", "maximize", 60.0), Objective("params", "minimize")) == spec.objectives
    assert ["layers", "learning_rate", "head_choice", "heads", "head_seed"] == [p.name for p in spec.search]
    assert Parameter("learning_rate", "float", 1e-5, 1e-3, log=True) == spec.search[1]
    assert (40, "auto", 4, "teacher") == (
        spec.budget.trials,
        spec.sampler.kind,
        spec.settings.head_seed,
        spec.student.init,
    )


def test_the_words_of_a_refusal(tmp_path: Path) -> None:
    """File, table, key, value, limit and remedy are all in the message."""
    text = GOOD.replace("[settings]", "[settings]\ntemperature = 0.01")
    expected = f"{tmp_path}/study.toml: [settings] temperature = 0.01 is below 0.1; use 0.1 to 100"
    assert [expected] == refusal(tmp_path, text=text)


def test_all_problems_are_told_together(tmp_path: Path) -> None:
    """One reading of a file is enough to mend it."""
    text = GOOD.replace("tiny", "no name").replace(
        "[settings]", "[setings]\nx = 1\n[settings]\nalpha = 2\ntemprature = 3"
    )
    found = refusal(tmp_path, text=text)
    assert 4 == len(found)
    assert any("setings is not a known key; did you mean settings?" in line for line in found)
    assert any('name = "no name" is not a valid name' in line for line in found)
    assert any("[settings] alpha = 2 is above 1" in line for line in found)
    assert any("[settings] temprature is not a known key; did you mean temperature?" in line for line in found)


def test_syntax_errors_name_the_line(tmp_path: Path) -> None:
    """TOML mistakes say where they are; missing, binary and huge files say what they are."""
    assert "at line 3, column" in refusal(tmp_path, text='name = "x"\ntask = "y"\nnote = unquoted text')[0]
    with pytest.raises(ConfigError, match=r"nothing\.toml: no such file"):
        load_study(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_study(tmp_path / "binary.toml")
    (tmp_path / "huge.toml").write_bytes(b"#" * 2_000_000)
    with pytest.raises(ConfigError, match="2,000,000 bytes long; too large for a study file"):
        load_study(tmp_path / "huge.toml")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"name": "con"}, 'name = "con" is a reserved device name'),
        ({"name": 3}, "name = 3 must be text"),
        ({"task": "question-answerin"}, "is not a task; did you mean question-answering?"),
        ({"objectives": [EXACT]}, "objectives needs at least two metrics"),
        ({"objectives": "exact"}, "objectives must be a list"),
        ({"objectives": ["exact", "params"]}, "[objectives.0] must be a table"),
        ({"objectives": [EXACT, EXACT]}, "objectives has exact twice"),
        ({"objectives": [{"metric": ["exact"]}, SIZE]}, '[objectives.0] metric = ["exact"] is not a metric'),
        ({"objectives": [{"metric": "exat"}, SIZE]}, "[objectives.0] metric = \"exat\" is not a metric; did"),
        ({"objectives": [{"metrc": "exact"}, SIZE]}, "[objectives.0] metrc is not a known key; did you mean"),
        ({"objectives": [{"metric": "accuracy"}, SIZE]}, "does not exist for question-answering"),
        ({"objectives": [{"metric": "null_threshold"}, SIZE]}, "is tuned, so neither direction is better"),
        ({"objectives": [{"metric": "latency_load"}, SIZE]}, "ran during the measurement; use latency_ratio"),
        (
            {"objectives": [EXACT, {"metric": "params", "direction": "maximize"}]},
            "is wrong for params; remove it or use minimize",
        ),
        ({"objectives": [{"metric": "exact", "threshold": 0.6}, SIZE]}, "is a fraction; scores are"),
        ({"objectives": [{"metric": "exact", "threshold": 600}, SIZE]}, "is above 100"),
        ({"objectives": [{"metric": "exact", "threshold": "6"}, SIZE]}, 'threshold of exact = "6" must be a number'),
        ({"metrics": {"stored": ["f2"]}}, '[metrics] stored = "f2" is not a metric'),
        ({"metrics": {"stored": "f1"}}, '[metrics] stored = "f1" must be a list'),
        ({"metrics": {"select": "params"}}, "is not available at evaluations; use exact, f1"),
        ({"data": {}}, "[data] needs hub (a Hub id) or train"),
        ({"data": {"hub": "squad", "train": "x"}}, "[data] has both hub and train"),
        ({"data": {"train": "x"}}, "[data] report is missing"),
        ({"data": {"train": "x", "report": "x"}}, "[data] report is the training file"),
        ({"data": {"hub": "x", "report": "y"}}, "with hub, set report_split"),
        ({"data": {"hub": "x", "report_split": ""}}, "[data] report_split is missing"),
        ({"data": {"hub": "x", "report_split": "train"}}, "[data] report_split is the training split"),
        ({"data": {"hub": "x", "max_length": 128}}, "[data] doc_stride = 128 is too large for windows to advance"),
        ({"data": {"hub": "x", "label_column": "y"}}, "[data] label_column applies to text-classification only"),
        ({"data": {"hub": "x", "labels": "y"}}, '[data] labels = "y" must be a list'),
        ({"data": {"hub": "x", "labels": [1]}}, "[data] labels has 1, which is not text"),
        ({"data": 3}, "[data] must be a table"),
        ({"teacher": {}}, "[teacher] model is missing: Hub id or folder"),
        ({"teacher": {"model": ""}}, "[teacher] model is missing"),
        ({"teacher": {"model": "scratch"}}, "[teacher] fine_tune is missing: a scratch teacher must be trained"),
        ({"teacher": {"model": "scratch", "fine_tune": {}, "hidden_size": 100}}, "head_size = 64 does not divide"),
        ({"teacher": {"model": "x", "fine_tune": {"epoch": 1}}}, "[teacher.fine_tune] epoch is not a known key"),
        ({"teacher": {"model": "x", "fine_tune": {"epochs": 1e-3}}}, "[teacher.fine_tune] epochs = 0.001 is below"),
        ({"student": {"family": "lstm"}}, '[settings] family = "lstm" is not a family; use transformer'),
        ({"settings": {"layers": 3}}, "[settings] layers is fixed here and searched in [search.layers]"),
        ({"settings": {"layer_choice": "list"}}, "[settings] layer_list is missing"),
        ({"settings": {"ffn_choice": "list"}}, "[settings] ffn_list is missing"),
        ({"settings": {"layer_list": [1, 1]}}, "must be distinct indices"),
        ({"settings": {"batch_size": 8.0}}, "[settings] batch_size = 8 must be a whole number"),
        ({"settings": {"alpha": True}}, "[settings] alpha = true must be a number"),
        ({"settings": {"alpha": float("nan")}}, "[settings] alpha = nan must be a finite number"),
        ({"settings": {"head_size": 32}}, '[settings] head_size needs [student] init = "scratch"'),
        ({"search": {"head_size": {"low": 16, "high": 64}}}, 'needs [student] init = "scratch"'),
        ({"search": 3}, "[search] must be a table"),
        ({"search": {"head_seed": {"choices": [1, 2]}}, "settings": {}}, "has no effect unless head_choice"),
        ({"search": {"head_choice": {"choices": ["random", "importance"]}}}, "has no effect with heads = 0"),
        ({"search": {"ffn_choice": {"choices": ["even", "global"]}}}, "has no effect with ffn_size = 0"),
        ({"search": {"embedding_rank": {"low": 0, "high": 64}}}, "[search.embedding_rank]"),
        ({"search": {"layer_choice": {"choices": ["first", "even"]}}}, "has no effect with layers = 0"),
        ({"baseline": {"layer": 3}}, "[baseline] layer is not a setting; did you mean layers?"),
        ({"baseline": {"layers": 90}}, "[baseline] layers = 90 is above 48"),
        ({"baseline": 3}, "[baseline] must be a table"),
        ({"budget": {"trials": 0}}, "[budget] trials = 0 is below 1; use 1 to 100000"),
        ({"budget": {"trials": "3"}}, '[budget] trials = "3" must be a whole number'),
        ({"budget": {"hours": "3"}}, '[budget] hours = "3" must be a number'),
        ({"budget": {"trial": 3}}, "[budget] trial is not a known key; did you mean trials?"),
        ({"sampler": {"kind": "tpee"}}, '[sampler] kind = "tpee" is not valid; use auto, tpe'),
        ({"sampler": {"kind": "grid"}}, "[sampler] kind = grid needs choices or a step for learning_rate"),
        ({"stopping": {"quantile": 0.0}}, "[stopping] quantile = 0 is below 0.01"),
        ({"runner": {"slots": 500}}, "[runner] slots = 500 is above 256"),
        ({"references": [{"name": "x"}]}, "[references.0] metrics of x is missing"),
        ({"references": [{"name": "x", "metrics": {"prams": 1.0}}]}, "[references.0.metrics] prams of x is not a"),
        ({"references": {"name": "x"}}, "references must be a list of tables"),
        ({"transfer": {"kind": "words"}}, "transfer must be a list of tables"),
        ({"transfer": [{"kind": "word"}]}, '[transfer.0] kind = "word" is not valid; use file, hub'),
        ({"transfer": [{"kind": "words"}]}, "[transfer] is for text-classification only"),
        ({"settings": {"transfer_share": 0.5}}, "[settings] transfer_share is above 0, but there is no [[transfer]]"),
        (
            {"settings": {"soft_loss": "mse"}, "search": {"temperature": {"low": 1, "high": 2}}},
            '[search.temperature] has no effect with soft_loss = "mse"',
        ),
    ],
)  # fmt: skip
def test_refusals(more: dict[str, Any], expected: str) -> None:
    """Each mistake is refused with its table, key and remedy."""
    assert any(expected in line for line in problems_of(**more)), problems_of(**more)


def test_missing_sections() -> None:
    """An empty file is told everything that it needs."""
    with pytest.raises(ConfigError) as caught:
        study_from_dict({}, where="here")
    for words in (
        "name is missing",
        "task is missing",
        "[data] is missing",
        "[teacher] is missing",
        "objectives is miss",
    ):
        assert words in str(caught.value)


def test_grids_have_an_end() -> None:
    """A grid of millions is refused before it fills the memory."""
    big = {name: {"low": 1, "high": 400} for name in ("batch_size", "accumulation")} | {"layers": {"low": 1, "high": 9}}
    found = problems_of(search=big, sampler={"kind": "grid"})
    assert [
        "[sampler] kind = grid would have to try 1,440,000 parameter sets; use another sampler or fewer values"
    ] == found


SCRATCH: dict[str, Any] = {
    "teacher": {"model": "scratch", "hidden_size": 64, "head_size": 16, "fine_tune": {}},
    "student": {"init": "scratch"},
    "settings": {"head_size": 16},
}


def test_widths_that_heads_divide() -> None:
    """From scratch every width in the space must be a multiple of the head size, known before anything runs."""
    good = {"hidden_size": {"choices": [16, 32]}, "layers": {"low": 1, "high": 2}}
    study_from_dict(raw_study(**SCRATCH, search=good), where="here")
    found = problems_of(**SCRATCH, search={"hidden_size": {"choices": [16, 40]}})
    assert ["[search] allows head_size = 16 with hidden_size = 40, which it does not divide"] == found
    found = problems_of(
        **SCRATCH, search={"hidden_size": {"low": 16, "high": 64, "step": 16}, "heads": {"low": 1, "high": 2}}
    )
    assert "[search] allows heads = 2 with hidden_size = 16, which has 1" in found[0]
    found = problems_of(**SCRATCH, search={}, baseline={"hidden_size": 50})
    assert ["[baseline] allows head_size = 16 with hidden_size = 50, which it does not divide"] == found


def test_conditions_can_keep_heads_within_the_width() -> None:
    """Heads may be searched where the width has room for them."""
    when = {"hidden_size": [64]}
    search = {"hidden_size": {"choices": [16, 64]}, "heads": {"low": 1, "high": 4, "when": when}}
    spec = study_from_dict(raw_study(**SCRATCH, search=search), where="here")
    assert when == {name: list(values) for name, values in spec.search[1].when.items()}


def test_choices_that_mean_nothing_from_scratch() -> None:
    """New layers are all alike, so there is nothing to choose."""
    search = {"layers": {"low": 1, "high": 2}, "layer_choice": {"choices": ["first", "even"]}}
    assert [
        "[search.layer_choice] has no effect from scratch: all new layers and heads are interchangeable; remove it"
    ] == problems_of(**SCRATCH, search=search)


@pytest.mark.parametrize(
    ("text", "keys", "value"),
    [
        ("budget.trials=3", ("budget", "trials"), 3),
        ("settings.learning_rate=3e-5", ("settings", "learning_rate"), 3e-5),
        ("data.train=/x y.json", ("data", "train"), "/x y.json"),
        ("data.train=a=b", ("data", "train"), "a=b"),
        ('name="quoted"', ("name",), "quoted"),
        ("search.heads.choices=[1, 2]", ("search", "heads", "choices"), [1, 2]),
        ("settings.x=true", ("settings", "x"), True),
        ("note=", ("note",), None),
        ("note=1\nname=2", ("note",), "1\nname=2"),
    ],
)
def test_override_values(text: str, keys: tuple[str, ...], value: Any) -> None:
    """TOML values keep their type, bare words are text, and nothing after the sign removes the key."""
    override = parse_override(text)
    assert (keys, value) == (override.keys, override.value)
    assert type(value) is type(override.value)


@pytest.mark.parametrize("text", ["budget.trials", "=3", "a..b=3", "a.b=[1, 2", 'a.b="x'])
def test_override_mistakes(text: str) -> None:
    """An override that is none says how one looks."""
    with pytest.raises(ConfigError, match=r"--set .*(is not dotted\.key=value|the value is not valid TOML)"):
        parse_override(text)


def test_overrides_reach_every_kind_of_key(tmp_path: Path) -> None:
    """Sections, ranges, list items and whole new tables."""
    spec = load_study(
        study_file(tmp_path),
        [
            "search.layers.high=4",
            "objectives.0.threshold=55.5",
            "budget.trials=3",
            "teacher.fine_tune.epochs=1",
            "search.head_choice.choices=['importance', 'random']",
            "baseline.layers=6",
            "data.train=/other.json",
        ],
    )
    assert 4 == spec.search[0].high
    assert 55.5 == spec.objectives[0].threshold
    assert FineTuneSpec(epochs=1.0) == spec.teacher.fine_tune
    assert {"layers": 6} == spec.baseline
    assert "/other.json" == spec.data.train


def test_overrides_remove_keys(tmp_path: Path) -> None:
    """An empty value takes a parameter out of the search, or a threshold off an objective."""
    spec = load_study(study_file(tmp_path), ["search.layers=", "settings.layers=4", "objectives.0.threshold="])
    assert "layers" not in [parameter.name for parameter in spec.search]
    assert 4 == spec.settings.layers
    assert spec.objectives[0].threshold is None


def test_errors_of_overrides_name_the_command_line(tmp_path: Path) -> None:
    """Who typed it on the command line is not sent to the file."""
    remedy = "remove one (on the command line, --set search.layers= removes it from the search)"
    assert [f"--set: [settings] layers is fixed here and searched in [search.layers]; {remedy}"] == refusal(
        tmp_path, "settings.layers=3"
    )
    assert ["--set: setings is not a known key; did you mean settings?"] == refusal(tmp_path, "setings.layers=3")
    assert ["--set: [budget] trails is not a known key; did you mean trials?"] == refusal(tmp_path, "budget.trails=3")
    assert ["--set: trials is not a known key; did you mean budget.trials?"] == refusal(tmp_path, "trials=3")
    assert ["--set: layrs is not a known key; did you mean settings.layers?"] == refusal(tmp_path, "layrs=3")
    assert ["--set objectives.7.threshold: objectives is a list; use 0 or 1, not 7"] == refusal(
        tmp_path, "objectives.7.threshold=3"
    )
    assert ["--set name.first: name is a value, not a table"] == refusal(tmp_path, "name.first=3")


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data is looked for in the working directory, then beside the file, and becomes absolute either way."""
    there, here = tmp_path / "studies", tmp_path / "work"
    there.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    (there / "report.json").touch()
    (here / "train.json").touch()
    (there / "train.json").touch()
    (there / "model").mkdir()
    (there / "model" / "config.json").touch()
    text = GOOD.replace("/data/", "").replace("org/teacher", "model")
    spec = load_study(study_file(there, text))
    assert (str(here / "train.json"), str(there / "report.json")) == (spec.data.train, spec.data.report)
    assert str(there / "model") == spec.teacher.model
    assert "org/teacher" == load_study(study_file(there, text), ["teacher.model=org/teacher"]).teacher.model
    assert str(here / "x") == load_study(study_file(there, text), ["teacher.model=./x"]).teacher.model
    assert str(here / "nowhere.json") == load_study(study_file(there, text), ["data.train=nowhere.json"]).data.train


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "x" * 64, "7"])
def test_names(name: str) -> None:
    """Names are folders: letters, digits and three marks."""
    assert "" == name_problem(name)


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "a/b", "a b", "x" * 65, "a\n", "ä", "a.", "NUL", "con.txt", "../a", "a\0"]
)
def test_names_that_are_none(name: str) -> None:
    """Nothing that leaves its folder, hides, or breaks a terminal."""
    assert "" != name_problem(name)


def test_changes_are_checked(tmp_path: Path) -> None:
    """A changed study is a checked study; the old one stays as it was."""
    spec = load_study(study_file(tmp_path))
    assert 9 == changed(spec, "budget.trials", 9).budget.trials
    assert 40 == spec.budget.trials
    assert changed(spec, "objectives.0.threshold", None).objectives[0].threshold is None
    with pytest.raises(ConfigError, match=r"\[budget\] trials = 0 is below 1"):
        changed(spec, "budget.trials", 0)


def test_the_metric_that_selects(tmp_path: Path) -> None:
    """The first score among the objectives, unless [metrics] names one, or the task's first."""
    spec = load_study(study_file(tmp_path))
    assert METRICS["exact"] == select_metric(spec)
    assert METRICS["search_loss"] == select_metric(changed(spec, "metrics.select", "search_loss"))
    sizes = [SIZE, {"metric": "latency_ms"}]
    assert METRICS["exact"] == select_metric(changed(spec, "objectives", sizes))


def test_nearest() -> None:
    """Slips of the finger and beginnings are recognised, other words are not."""
    assert "learning_rate" == nearest("lerning_rate", SEARCHABLE)
    assert "accumulation" == nearest("acc", SEARCHABLE)
    assert nearest("zzz", SEARCHABLE) is None
    assert nearest("", SEARCHABLE) is None


# ---------------------------------------------------------------------------------------------------- the way back

plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def numbers_for(draw: st.DrawFn, name: str) -> Any:
    """A value that the setting allows."""
    field = SETTING[name]
    low, high = field.metadata["low"], field.metadata["high"]
    top = high if high is not None else 1000
    if field.type == "int":
        return draw(st.integers(low, top))
    return draw(st.floats(low, top, allow_subnormal=False))


@st.composite
def studies(draw: st.DrawFn) -> dict[str, Any]:
    """Raw studies that are valid: ranges or choices for some numbers, fixed values for others."""
    numeric = [
        n
        for n in SEARCHABLE
        if SETTING[n].type != "str" and n not in ("hidden_size", "ffn_size", "head_size", "embedding_rank")
    ]
    numeric = [n for n in numeric if n not in ("head_seed", "layers", "heads", "transfer_share", "vocab_size")]
    numeric = [n for n in numeric if n not in ("relation_heads", "relation_layer", "layerwise_share")]  # no effect at 0
    numeric = [n for n in numeric if n not in ("projection_weight", "dual_share")]  # need other keys
    numeric = [n for n in numeric if n != "separate_layers"]  # fewer than layers
    numeric = [n for n in numeric if n in FAMILIES["transformer"].settings - sparsity.KEYS - phases.NEEDS.keys()]
    names = draw(st.lists(st.sampled_from(numeric), unique=True, max_size=6))
    cut = draw(st.integers(0, len(names)))
    search: dict[str, Any] = {"layers": {"low": 1, "high": 6}}
    for name in names[:cut]:
        two = draw(st.lists(numbers_for(name), min_size=2, max_size=2, unique=True).map(sorted))
        if draw(st.booleans()):
            search[name] = {"choices": two, "when": {"layers": [1, 3]}}
        else:
            search[name] = {"low": two[0], "high": two[1], "log": two[0] > 0 and draw(st.booleans())}
    raw = raw_study(
        note=draw(plain_text),
        search=search,
        settings={name: draw(numbers_for(name)) for name in names[cut:]},
        budget={"trials": draw(st.integers(1, 1000)), "hours": draw(st.floats(0, 1e6))},
        references=[{"name": draw(plain_text), "metrics": {"params": draw(st.floats(-1e9, 1e9))}}],
    )
    if draw(st.booleans()):
        raw["baseline"] = {name: draw(numbers_for(name)) for name in names}
    if draw(st.booleans()):
        raw["teacher"]["fine_tune"] = {"epochs": draw(st.floats(0.01, 1000))}
    return raw


@settings(max_examples=60, deadline=None)
@given(studies())
def test_dump_and_toml_round_trip(raw: dict[str, Any]) -> None:
    """A study written as JSON or as TOML and read again is the same study."""
    spec = study_from_dict(raw, where="here")
    assert spec == study_from_dict(json.loads(json.dumps(dump(spec), allow_nan=False)), where="here")
    assert spec == study_from_dict(tomllib.loads(to_toml(spec)), where="here")


def test_inactive_fallbacks_survive_the_round_trip(tmp_path: Path) -> None:
    """A conditional parameter keeps the fixed setting that it falls back to."""
    spec = load_study(study_file(tmp_path))
    again = study_from_dict(dump(spec), where="here")
    assert 4 == again.settings.head_seed
    assert {"head_choice": ("random",)} == dict(again.search[4].when)


values = st.recursive(
    plain_text | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(plain_text, values, max_size=4))
def test_written_toml_is_read_back(tables: dict[str, Any]) -> None:
    """Any nested tables, any text: quotes, control characters, emoji, strange keys."""
    assert tables == tomllib.loads(write_toml(tables))


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"objectives": [{"metric": "accuracy"}, {"metric": "params", "threshold": 10**400}]}, "threshold"),
        ({"search": {"max_grad_norm": {"low": 0, "high": 10**400}}}, "search.max_grad_norm"),
        ({"settings": {"seed": 10**400}}, "seed"),
    ],
)
def test_a_number_that_nothing_can_hold_is_refused(tmp_path: Path, section: dict[str, Any], words: str) -> None:
    """TOML knows no largest whole number."""
    with pytest.raises(ConfigError, match=words):
        study_from_dict(study_dict(tmp_path, **section), where="t")


def test_no_epochs_of_fine_tuning_are_no_fine_tuning() -> None:
    """As a form says it, where a table cannot be removed; its other keys are still checked."""
    table = {"epochs": 0, "learning_rate": 1e-4}
    raw = raw_study(teacher={"model": "some/model", "fine_tune": table})
    assert study_from_dict(raw, where="x").teacher.fine_tune is None
    raw["teacher"]["fine_tune"] = {**table, "sead": 1}
    with pytest.raises(ConfigError, match="did you mean seed"):
        study_from_dict(raw, where="x")
