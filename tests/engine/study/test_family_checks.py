"""A study over several families: which keys mean something to which, and how those that do not are refused."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict
from tests.paper_family import PaperFamily

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.config import changed, dump, load_study, study_from_dict, to_toml
from bertdistill.engine.study.study_spec import StudySpec

BOTH = {"choices": ["transformer", "paper"]}
LAYERS, WIDTHS = {"low": 1, "high": 4}, {"choices": [16, 32]}
PAPER = {"settings": {"family": "paper"}, "baseline": {"layers": None}}


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())


def study(folder: Path, **sections: Any) -> StudySpec:
    raw = study_dict(folder, **sections)
    return study_from_dict({**raw, "baseline": sections.get("baseline")}, where="here")


def problems(folder: Path, **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        study(folder, **sections)
    return [line.removeprefix("here: ") for line in str(caught.value).splitlines()]


def test_plain_keys_apply_to_every_family_that_uses_them(tmp_path: Path) -> None:
    """A pretrained transformer has no free head size, the paper family no layers, and its table fixes alpha."""
    search = {"family": BOTH, "layers": LAYERS, "head_size": WIDTHS, "seed": WIDTHS, "alpha": {"low": 0, "high": 1}}
    spec = study(tmp_path, search=search, settings={"paper": {"alpha": 0.0}})
    families = {one.name: one.families for one in spec.search}
    transformer, own = ("transformer",), ("paper",)
    assert {"family": (), "layers": transformer, "head_size": own, "seed": (), "alpha": transformer} == families
    scratch = study(tmp_path, search=search, settings={}, student={"init": "scratch"})
    assert () == next(one.families for one in scratch.search if one.name == "head_size")


def test_a_study_of_one_family_has_no_conditions(tmp_path: Path) -> None:
    """Its tables are another way to write plain keys; only the names differ."""
    spec = study(
        tmp_path, settings={"family": "paper"}, search={"alpha": {"low": 0, "high": 1}, "paper": {"seed": WIDTHS}}
    )
    assert [("alpha", ()), ("paper.seed", ())] == [(one.name, one.families) for one in spec.search]


def test_files_and_dumps_round_trip(tmp_path: Path) -> None:
    """TOML and the stored form give an equal study again, with ranges and settings of families."""
    sections = {
        "search": {"family": BOTH, "layers": LAYERS, "paper": {"hidden_size": WIDTHS, "alpha": {"low": 0, "high": 1}}},
        "settings": {"alpha": 0.2, "paper": {"epochs": 1.5}},
        "baseline": {"family": "paper", "hidden_size": 16},
        "ranges": {"layers": {"low": 2, "high": 3}, "paper": {"alpha": {"low": 0.5, "high": 1}}},
    }
    spec = study(tmp_path, **sections)
    assert ["layers", "paper.alpha"] == [one.name for one in spec.ranges]
    assert spec == study_from_dict(dump(spec), where="dump")
    file = tmp_path / "study.toml"
    file.write_text(to_toml(spec))
    assert spec == load_study(file)
    assert "[search.paper.hidden_size]" in to_toml(spec)
    assert "[settings.paper]" in to_toml(spec)
    narrowed = changed(spec, "ranges.paper.alpha", 0.5)
    assert (0.5,) == narrowed.ranges[1].choices
    assert ["layers"] == [one.name for one in changed(narrowed, "ranges.paper.alpha", None).ranges]


def test_overrides_reach_the_table_of_a_family(tmp_path: Path) -> None:
    """A change on the command line creates the table, and its mistakes are told with it."""
    file = tmp_path / "study.toml"
    file.write_text(to_toml(study(tmp_path, search={"family": BOTH, "layers": LAYERS})))
    spec = load_study(file, ["settings.paper.hidden_size=16", "search.paper.alpha={ low = 0.0, high = 1.0 }"])
    assert {"paper": {"hidden_size": 16}} == spec.family_settings
    assert "paper.alpha" == spec.search[-1].name
    with pytest.raises(ConfigError, match=r"^--set: \[search.paper\] layers is not used by paper; remove it"):
        load_study(file, ["search.paper.layers.low=1"])


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"search": {"layers": LAYERS, "paper": {"seed": WIDTHS}}},
            "[search.paper] has no effect: no trial is of this family, only of transformer; remove the table, or "
            "select paper in settings.family or search.family",
        ),
        (
            {"settings": {"paper": {"seed": 3}}},
            "[settings.paper] has no effect: no trial is of this family, only of transformer; remove the table, or "
            "select paper in settings.family or search.family",
        ),
        (
            {"settings": {"family": "paper"}, "search": {"layers": LAYERS}},
            "[search.layers] has no effect: paper does not use it; remove it",
        ),
        (
            {"settings": {"family": "paper", "layers": 3}, "search": {"seed": WIDTHS}},
            "[settings] layers has no effect: paper does not use it; remove it",
        ),
        (
            {"search": {"family": BOTH, "head_size": WIDTHS, "paper": {"head_size": {"choices": [8, 64]}}}},
            "[search.head_size] has no effect: paper has its own value in a table; remove one of them",
        ),
        (
            {"search": {"family": BOTH, "seed": WIDTHS}, "settings": {"head_size": 16}},
            '[settings] head_size needs [student] init = "scratch" for transformer; move it to [settings.paper]',
        ),
        (
            {"search": {"family": BOTH, "seed": WIDTHS}, "settings": {"transformer": {"head_size": 16}}},
            '[settings.transformer] head_size needs [student] init = "scratch"; remove it',
        ),
        (
            {"search": {"family": BOTH, "transformer": {"head_size": WIDTHS}}},
            '[search.transformer] head_size needs [student] init = "scratch"; remove it',
        ),
        (
            {"search": {"family": BOTH, "paper": {"seed": WIDTHS}}, "settings": {"paper": {"seed": 1}}},
            "[settings.paper] seed is fixed here and searched in [search.paper.seed]; remove one (on the command line, "
            "--set search.paper.seed= removes it from the search)",
        ),
        (
            {
                "search": {"family": BOTH, "paper": {"seed": WIDTHS}, "transformer": {"seed": WIDTHS}},
                "settings": {"seed": 1},
            },
            "[settings] seed has no effect: transformer and paper have their own values in tables; remove one of them",
        ),
        (
            {"baseline": {"paper": {"seed": 1}}},
            '[baseline.paper] is not needed: set family = "paper" and its keys in [baseline]',
        ),
        (
            {"baseline": {"family": "paper", "layers": 2}},
            "[baseline] layers has no effect: paper does not use it; remove it",
        ),
    ],
)
def test_refusals(tmp_path: Path, sections: dict[str, Any], problem: str) -> None:
    """Each names the table and key as they are written, and a remedy."""
    assert [problem] == problems(tmp_path, **sections)


def test_the_baseline_of_a_searched_family_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is the default, which is one of the choices."""
    monkeypatch.setitem(FAMILIES, "other", PaperFamily("other"))
    search = {"family": {"choices": ["paper", "other"]}}
    assert "[baseline] family is missing: the study searches it; use paper or other" in problems(
        tmp_path, search=search, baseline={"seed": 3}
    )
    assert study(tmp_path, search=search, baseline={"family": "other"})
    assert study(tmp_path, search=search)


def test_the_example_of_the_guide(tmp_path: Path) -> None:
    """It is a valid part of a study file, and its plain keys are for the families that the guide says."""
    guide = (Path(__file__).parents[3] / "docs" / "guide.md").read_text(encoding="utf-8")
    example = next(part for part in re.findall(r"```toml\n(.*?)```", guide, re.S) if "[search.mlp]" in part)
    spec = study(tmp_path, **tomllib.loads(example))
    transformer = ("transformer",)
    own = {"mlp.learning_rate": ("mlp",), "mlp.hidden_size": ("mlp",)}
    assert {"family": (), "layers": transformer, "alpha": (), "learning_rate": transformer, **own} == {
        one.name: one.families for one in spec.search
    }
    assert (3.0, 10.0) == (spec.fixed.of("transformer").epochs, spec.fixed.of("mlp").epochs)


@pytest.mark.parametrize("family", [["paper"], {"x": 1}, 3, None])
def test_a_family_that_is_no_word(tmp_path: Path, family: Any) -> None:
    """It is refused like any other value."""
    assert problems(tmp_path, baseline={"family": family})[0].startswith("[baseline] family = ")
