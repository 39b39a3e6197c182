"""The study files that are shipped: all load, and what they promise in their comments holds."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.encoder_sizes import known_metrics
from bertdistill.engine.study.config import dump, load_study, study_from_dict
from bertdistill.engine.study.space import count, resolve
from bertdistill.engine.study.student import known, may_cut, wanted_signals, wanted_vocabularies
from bertdistill.engine.study.study_spec import StudySpec

FOLDER = Path(__file__).parents[3] / "sample_configs"
FILES = sorted(FOLDER.glob("*.toml"))
MINILM = Shape("bert", 30522, 512, 2, 384, 1536, 6, 12, 32)
DISTILBERT = Shape("distilbert", 30522, 512, 0, 768, 3072, 6, 12, 64)


def load(name: str) -> StudySpec:
    return load_study(FOLDER / name)


def test_the_four_named_files_are_there() -> None:
    """The demo, the original experiment, SST-2 and one for a small GPU."""
    names = {path.name for path in FILES}
    assert {"demo.toml", "squad2-distilbert.toml", "sst2-distilbert.toml", "gpu-8gb.toml"} <= names


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads(path: Path) -> None:
    """Each file is a valid study that survives being stored."""
    spec = load_study(path)
    assert spec == study_from_dict(dump(spec), where=path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_says_what_it_is_for(path: Path) -> None:
    """A file opens with a comment and names a baseline to compare with."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "baseline" in tomllib.loads(text)
    assert max(len(line) for line in text.splitlines()) <= 120


def test_the_demo_is_small_and_offline() -> None:
    """At least 12 students from scratch, on files that the demo writes, with nothing from a hub."""
    spec = load("demo.toml")
    assert spec.budget.trials >= 12
    assert ("scratch", "scratch", "") == (spec.teacher.model, spec.student.init, spec.data.hub)
    assert ("train.json", "report.json") == (Path(spec.data.train).name, Path(spec.data.report).name)
    assert {"demo-data"} == {Path(spec.data.train).parent.name, Path(spec.data.report).parent.name}


def test_the_defects_of_the_original_experiment_are_fixed() -> None:
    """No inert parameter, sane ranges, a threshold above always abstaining, students no larger than the baseline."""
    spec = load("squad2-distilbert.toml")
    space = {parameter.name: parameter for parameter in spec.search}
    assert {"beta_1", "beta_2", "head_seed", "initializer_range"}.isdisjoint(space)
    assert all((space[name].high or 1) <= 0.3 for name in ("dropout", "attention_dropout", "classifier_dropout"))
    assert (space["learning_rate"].high or 1) < 1e-3
    assert (spec.objectives[0].threshold or 0) > 100 * 5945 / 11873
    largest = resolve(spec.search, {"layers": space["layers"].high, "heads": space["heads"].high}, spec.fixed)
    found = known_metrics(DISTILBERT, largest, scratch=False, task=spec.task, labels=0, mean_length=150.0)
    assert 66_364_418 == found["params"]


def test_the_published_students_have_their_exact_sizes() -> None:
    """The reference points carry the parameter counts that their layers and heads give."""
    spec = load("squad2-distilbert.toml")
    given = [point.metrics["params"] for point in spec.references]
    for (layers, heads), params in zip([(6, 12), (6, 12), (6, 11), (4, 11)], given, strict=True):
        settings = resolve(spec.search, {"layers": layers, "heads": heads}, spec.fixed)
        found = known_metrics(DISTILBERT, settings, scratch=False, task=spec.task, labels=0, mean_length=150.0)
        assert params == found["params"]


def test_the_baseline_of_the_original() -> None:
    """Trial 0 is the published baseline: 6 layers of 12 heads, learning rate 5e-5, batch 8, temperature 1."""
    baseline = load("squad2-distilbert.toml").baseline or {}
    found = [baseline[key] for key in ("layers", "heads", "learning_rate", "batch_size", "temperature")]
    assert [6, 12, 5e-5, 8, 1.0] == found


def test_one_study_surveys_all_methods() -> None:
    """Its preparation makes what any recipe needs, every recipe is searched, and each one can be built."""
    spec = load("survey-sst2.toml")
    searched = next(one for one in spec.search if one.name == "recipe")
    assert set(spec.recipes) == set(searched.choices)
    assert spec.budget.trials == count(spec.search, spec.fixed) == 3 * len(spec.recipes)
    assert {"cut": [8000, 11000], "new": [8000, 11000]} == wanted_vocabularies(spec)
    assert ["cls", "logits"] == wanted_signals(spec)
    assert all(may_cut(spec, key) for key in ("ffn_size", "hidden_size"))
    facts = Prepared(labels=("0", "1"), mean_length=24, init_shape=MINILM.to_dict(), teacher_shape=MINILM.to_dict())
    found = {name: known(spec, facts, spec.fixed.baseline({"recipe": name, "seed": 1})) for name in spec.recipes}
    assert found["whole"]["params"] == max(one["params"] for one in found.values()) == 22_713_986
    assert found["a-third-of-ffn"]["params"] == found["gradual-neurons"]["params"]
    assert {"iterative-80", "gradual-80"} < {
        name for name, one in found.items() if one.get("nonzero_params", one["params"]) < one["params"]
    }


def test_local_files_replace_the_hub() -> None:
    """The overrides that the comment names work."""
    spec = load_study(FOLDER / "sst2-distilbert.toml", ["data.hub=", "data.train=/t.tsv", "data.report=/d.tsv"])
    assert ("", "/t.tsv", "/d.tsv") == (spec.data.hub, spec.data.train, spec.data.report)
