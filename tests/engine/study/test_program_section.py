"""A study file with a program: names of its own, the same style of refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.config import changed, dump, load_study, study_from_dict, to_toml
from bertdistill.engine.study.planned import plan_program
from bertdistill.engine.study.program_section import unpassed
from bertdistill.engine.study.study_spec import ProgramSection, StudySpec


def raw(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": "p",
        "program": {"command": ["train", "--lr", "{lr}"]},
        "search": {"lr": {"low": 1e-4, "high": 1, "log": True}, "linear": {"low": 1, "high": 4}},
        "objectives": [{"metric": "score"}, {"metric": "latency_ms"}, {"metric": "val/loss", "threshold": 2}],
    }
    return {key: value for key, value in {**found, **more}.items() if value is not None}


def study(**more: Any) -> StudySpec:
    return study_from_dict(raw(**more), where="s.toml")


def refusal(**more: Any) -> str:
    with pytest.raises(ConfigError) as error:
        study(**more)
    return str(error.value)


def test_any_name_is_a_parameter_and_any_metric_an_objective() -> None:
    """Also those of settings and families here, which mean nothing in a program; directions as the names suggest."""
    spec = study(settings={"epochs": 3, "flag": False, "words": "a b"})
    assert "program" == spec.kind
    assert [("lr", "float"), ("linear", "int")] == [(one.name, one.kind) for one in spec.search]
    assert (Objective("score", "maximize"), Objective("latency_ms", "minimize")) == spec.objectives[:2]
    assert Objective("val/loss", "minimize", 2.0) == spec.objectives[2]
    assert {"epochs": 3, "flag": False, "words": "a b"} == spec.values


def test_types_follow_from_the_values() -> None:
    """One point makes a number of them all; choices may be mixed."""
    table = {"a": {"low": 1, "high": 2.5}, "b": {"choices": [1, 0.5]}, "c": {"choices": ["x", 2, True]}}
    a, b, c = study(search=table, program={"command": ["t"]}).search
    assert (1.0, float) == (a.low, type(a.low))
    assert (1.0, 0.5) == b.choices
    assert ("x", 2, True) == c.choices


def test_it_survives_being_stored_and_written_as_a_file(tmp_path: Path) -> None:
    """Whole, with ranges, a baseline, notifications and the files for other machines."""
    more = {"notify": {"command": ["say", "done"]}, "runner": {"machines": ["local", "gpu1"]}}
    more |= {"program": {"command": ["train", "--lr", "{lr}"], "files": ["train.py"]}}
    more |= {"ranges": {"linear": {"low": 2, "high": 3}}, "baseline": {"lr": 0.1, "linear": 9}, "settings": {"x": 1}}
    spec = study(**more)
    assert (spec.notify.command, spec.program and spec.program.files) == (["say", "done"], ["train.py"])
    assert spec == study_from_dict(dump(spec), where="")
    (tmp_path / "s.toml").write_text(to_toml(spec))
    again = load_study(tmp_path / "s.toml")
    assert dump(again)["program"].pop("directory") == str(tmp_path)
    assert dump(again)["search"] == dump(spec)["search"]
    assert 3 == changed(spec, "budget.trials", 3).budget.trials


def test_the_program_works_in_the_folder_of_the_file_or_where_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command from the command line belongs to the working directory, unless the file names one."""
    path = tmp_path / "sub" / "s.toml"
    path.parent.mkdir()
    monkeypatch.chdir(tmp_path)
    bare = to_toml(study()).replace('directory = ""', "")
    path.write_text(bare)
    assert [str(tmp_path / "sub")] == [p.directory for p in [load_study(path).program] if p]
    path.write_text(to_toml(study()).replace('directory = ""', 'directory = "../x"'))
    found = load_study(path).program
    assert found is not None
    assert (tmp_path / "x").resolve() == Path(found.directory).resolve()
    path.write_text(bare)
    typed = load_study(path, program=ProgramSection(["other", "{linear}"], str(tmp_path))).program
    assert typed is not None
    assert (["other", "{linear}"], str(tmp_path)) == (typed.command, typed.directory)


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"task": "question-answering"}, "s.toml: task is of a distillation, which a program replaces"),
    ({"data": {"train": "x"}}, "data is of a distillation"),
    ({"sampller": {}}, "sampller is not a known key; did you mean sampler?"),
    ({"program": {}}, "[program] command is missing"),
    ({"program": {"command": []}}, "[program] command is empty"),
    ({"program": {"command": ["t", "{learning_rate}"]}}, "[program] command has {learning_rate}, which"),
    ({"program": {"command": "t"}}, '[program] command = "t" must be a list'),
    ({"program": {"command": ["t"], "minutes": -1}}, "[program] minutes = -1 is below 0"),
    ({"program": {"command": ["t"], "environment": {"A": 1}}}, "environment has 1, which is not text; quote it"),
    ({"program": {"command": ["t"], "environment": {"BERTDISTILL_RUN": "x"}}}, "use a name without BERTDISTILL_"),
    ({"search": {"lr": {"low": 2, "high": 1}}}, "[search.lr] low = 2 is not below high = 1"),
    ({"search": {"lr": {"low": 0, "high": 1.0, "log": True}}}, "[search.lr] low = 0 has no logarithm"),
    ({"search": {"lr": {"choices": ["a"]}}}, "[search.lr] choices needs at least two values"),
    ({"search": {"lr": {"choices": [["a"], "b"]}}}, "[search.lr] must be text, a number, true or false"),
    ({"search": {"lr": {"choices": ["a\0", "b"]}}}, "[search.lr] has a null character"),
    ({"search": {"lr": 3}}, "[search.lr] must be a table"),
    ({"search": {"a b": {"low": 1, "high": 2}}}, "[search.a b] is not a valid name"),
    ({"search": {"family": {"low": 1, "high": 2}}}, "[search.family] is a reserved name"),
    ({"search": {"params": {"low": 1, "high": 2}}}, "[search.params] is a reserved name"),
    ({"search": {"lr": {"low": 1, "high": 2}, "LR": {"low": 1, "high": 2}}}, "has lr and LR, which are both"),
    ({"settings": {"lr": 0.1}}, "[settings] lr is fixed here and searched in [search.lr]"),
    ({"settings": {"x": [1]}}, "[settings] x must be text, a number, true or false"),
    ({"objectives": None}, "objectives is missing"),
    ({"objectives": []}, "objectives needs at least one metric to optimise"),
    ({"objectives": [{"metric": "a"}, {"metric": "a"}]}, "objectives has a twice"),
    ({"objectives": [{"metric": "a", "direction": "up"}]}, "[objectives.0] direction = \"up\" is not valid"),
    ({"objectives": [{"metric": "a", "constraint": True}]}, "[objectives.0] threshold is missing"),
    ({"objectives": [{"metric": "\x1b[2J"}]}, "is not a name"),
    ({"baseline": {"lr": 0.1}}, "[baseline] linear is missing"),
    ({"baseline": {"lr": 0.1, "linear": 1, "x": 2}}, "[baseline] x is not a parameter"),
    ({"sampler": {"kind": "grid"}}, "[sampler] kind = grid needs choices or a step for lr"),
    ({"stopping": {"metric": "acc"}}, '[stopping] metric = "acc" is not an objective'),
    ({"ranges": {"lr": {"low": 5}}}, "[ranges] lr"),
    ({"runner": {"machines": ["local", "gpu1"]}}, '[runner] machines has "gpu1", where the files of the program'),
    ({"program": {"command": ["x"], "files": ["../x"]}}, '[program] files has "../x"'),
    ({"notify": {"on": ["x"]}}, '[notify] on has'),
    ({"metrics": {"select": "score"}}, "[metrics] select is of a distillation"),
]  # fmt: skip


@pytest.mark.parametrize(("more", "words"), REFUSALS, ids=[words[:40] for _, words in REFUSALS])
def test_refusals(more: dict[str, Any], words: str) -> None:
    """Each names the file, the key and the remedy."""
    assert words in refusal(**more)


CONDITIONAL = {
    "kind": {"choices": ["tree", "forest"]},
    "trees": {"low": 1, "high": 9, "when": {"kind": ["forest"]}},
}


def test_a_conditional_parameter_is_there_only_if_it_counts() -> None:
    """Or it has its fixed value; in an argument it needs one."""
    command = {"command": ["t", "{kind}"]}
    spec = study(search=CONDITIONAL, program=command)
    assert {"kind": "tree"} == plan_program(spec, {"kind": "tree", "trees": 3}).settings
    assert {"kind": "forest", "trees": 3} == plan_program(spec, {"kind": "forest", "trees": 3}).params
    assert {"kind": "forest", "trees": 5} == plan_program(spec, {"kind": "forest"}).settings
    fixed = study(search=CONDITIONAL, settings={"trees": 1}, program={"command": ["t", "{trees}"]})
    assert ({"kind": "tree"}, 1) == (
        (planned := plan_program(fixed, {"kind": "tree"})).params,
        planned.settings["trees"],
    )
    assert "has {trees}, which is searched under a condition" in refusal(
        search=CONDITIONAL, program={"command": ["t", "{trees}"]}
    )


def test_what_the_command_does_not_pass_on_is_known() -> None:
    """A command without placeholders passes on nothing, so the program reads all itself."""
    assert ["b"] == unpassed(["t", "{a}"], ["a", "b"])
    assert [] == unpassed(["t", "{a}", "{params}"], ["a", "b"])
    assert [] == unpassed(["t"], ["a", "b"])


def test_stopping_metric_is_not_for_students(tmp_path: Path) -> None:
    """They are judged by their score."""
    from tests.fakes import study_dict

    with pytest.raises(ConfigError, match=r"\[stopping\] metric is for programs"):
        study_from_dict(study_dict(tmp_path, stopping={"metric": "accuracy"}), where="s")
