"""What a study would read, looked at before it starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.app.views.inputs import missing_inputs, read_inputs
from bertdistill.app.views.plan import make_plan, plan_facts, plan_text
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, MemberSpec, StudentSpec, TeacherSpec, TransferSpec
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec

ROWS = [(f"the meal {i} was dull", f"all of it {i} times", str(i % 2)) for i in range(20)]


def texts(folder: Path, spec: StudySpec, header: str, *, report: str = "", **keys: Any) -> StudySpec:
    """A study on texts, whose two files have these headers over the same three columns."""
    for name, first in (("train.csv", header), ("dev.csv", report or header)):
        lines = [first, *(",".join(row[: first.count(",") + 1]) for row in ROWS)]
        (folder / name).write_text("\n".join(lines) + "\n")
    data = DataSpec(train=str(folder / "train.csv"), report=str(folder / "dev.csv"), **keys)
    return dataclasses.replace(spec, task="text-classification", data=data)


def planned(spec: StudySpec) -> tuple[dict[str, Any], list[str]]:
    """The plan, and what was said meanwhile."""
    said: list[str] = []
    return make_plan(spec, say=said.append), said


def test_columns_are_shown_with_samples_and_the_unused_one_is_named(spec: StudySpec, tmp_path: Path) -> None:
    """A pair task on half of its input is seen before it is trained."""
    study = texts(tmp_path, spec, "text,passage,label")
    found, said = planned(study)
    assert ["text", "", "label"] == [column["use"] for column in found["columns"]]
    facts = plan_facts(study, found)
    assert "not used: 'all of it 0 times', 'all of it 1 times'" == facts["column passage"]
    assert "text: 'the meal 0 was dull', 'the meal 1 was dull'" == facts["column text"]
    assert "0, 1" == facts["labels"]
    assert any('set data.text_pair_column = "passage"' in line for line in said)
    assert "column passage" in plan_text(study, found)
    assert not any("two labels are assumed" in line for line in said)


def test_both_columns_of_a_pair_are_used_without_a_warning(spec: StudySpec, tmp_path: Path) -> None:
    """By usual names, or by the key."""
    for header, keys in (
        ("sentence1,sentence2,label", {}),
        ("text,passage,label", {"text_pair_column": "passage"}),
    ):
        found, said = planned(texts(tmp_path, spec, header, **keys))
        assert ["text", "pair", "label"] == [column["use"] for column in found["columns"]]
        assert not any("not used" in line for line in said)


@pytest.mark.parametrize(
    ("header", "report", "keys", "message"),
    [
        ("a,b,c", "", {}, r"train\.csv \(data\.train\): set data\.text_column; the columns are a \('the meal 0"),
        ("text,label,c", "", {"text_column": "txt"}, r"no column 'txt' for data\.text_column"),
        ("text,passage,label", "text,passage", {}, r"dev\.csv \(data\.report\): set data\.label_column"),
        ("sentence1,sentence2,label", "sentence,other,label", {}, "one sentence per example, unlike the training"),
    ],
)
def test_columns_that_cannot_be_read_are_refused_by_the_plan(
    spec: StudySpec, tmp_path: Path, header: str, report: str, keys: dict[str, str], message: str
) -> None:
    """Not minutes later by the preparation, or days later by a promotion."""
    with pytest.raises(ConfigError, match=message):
        read_inputs(texts(tmp_path, spec, header, report=report, **keys))


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"settings": {"separate_layers": 1}}, "settings.separate_layers"),
        ({"settings": {"transformer": {"separate_layers": 1}}}, "settings.transformer.separate_layers"),
        ({"search": {"separate_layers": {"choices": [0, 1]}}}, "search.separate_layers"),
        ({"baseline": {"separate_layers": 1}}, "baseline.separate_layers"),
        ({"settings": {"recipe": "a"}, "recipes": {"a": {"separate_layers": 1}}}, "recipes.a.separate_layers"),
    ],
)
def test_separate_layers_need_pairs_before_a_study_starts(tmp_path: Path, sections: dict[str, Any], place: str) -> None:
    """Not once a teacher was trained and a trial is proposed; with pairs, or no transformer, there is no problem."""
    raw = study_dict(tmp_path, baseline=None) | sections
    single = texts(tmp_path, study_from_dict(raw, where="here"), "sentence,other,label")
    with pytest.raises(ConfigError) as refused:
        read_inputs(single)
    assert f"{place} separates the two segments of an input, but data.train = {single.data.train} has one" in str(
        refused.value
    )
    assert "name the column of the second sentence in data.text_pair_column" in str(refused.value)
    read_inputs(texts(tmp_path, single, "sentence1,sentence2,label"))


def test_labels_of_the_report_are_those_of_the_training_data(spec: StudySpec, tmp_path: Path) -> None:
    """A report without labels, or with others."""
    study = texts(tmp_path, spec, "text,passage,label")
    for label, message in (("-1", "has no labels"), ("7", "label '7', which is not one of 0, 1")):
        rows = "".join(f"a b c,d e f,{label}\n" for _ in range(5))
        Path(study.data.report).write_text(f"text,passage,label\n{rows}")
        with pytest.raises(ConfigError, match=message):
            read_inputs(study)


def test_everything_that_is_missing_is_named_at_once(spec: StudySpec, tmp_path: Path) -> None:
    """One look, not one try a file."""
    data = DataSpec(train=str(tmp_path / "no.json"), report=str(tmp_path / "none.json"))
    models = {"teacher": TeacherSpec(model=str(tmp_path / "t")), "student": StudentSpec(init=str(tmp_path / "s"))}
    study = dataclasses.replace(spec, data=data, **models)
    found = missing_inputs(study)
    assert ["teacher.model", "student.init", "data.train", "data.report"] == [line.split(" ")[0] for line in found]
    with pytest.raises(ConfigError) as caught:
        read_inputs(study)
    assert found == str(caught.value).splitlines()


def test_files_of_outputs_and_transfer_sets_are_looked_for(spec: StudySpec, tmp_path: Path) -> None:
    """The report file under another name is none that students may read."""
    report = tmp_path / "report.json"
    report.write_text("{}")
    (tmp_path / "linked.json").symlink_to(report)
    study = dataclasses.replace(
        spec,
        data=dataclasses.replace(spec.data, report=str(report)),
        teacher=TeacherSpec(outputs=str(tmp_path / "o"), ensemble=[MemberSpec(outputs=str(tmp_path / "m"))]),
        transfer=(
            TransferSpec("file", path=str(tmp_path / "t")),
            TransferSpec("file", path=str(tmp_path / "linked.json")),
        ),
    )
    found = [line.split(" ")[0] for line in missing_inputs(study)]
    assert {"teacher.outputs", "teacher.ensemble.0.outputs", "transfer.0.path", "transfer.1.path"} <= set(found)


def test_a_hostile_model_folder_is_refused_by_the_plan(spec: StudySpec, tmp_path: Path) -> None:
    """The folder and the key are named, as for one that is missing (F21: no model_type)."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"hidden_size": 32}))
    (folder / "vocab.txt").touch()
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ConfigError, match=r"teacher\.model = .*model': config\.json has no model_type.*Add the one"):
        read_inputs(dataclasses.replace(spec, teacher=TeacherSpec(model=str(folder))))
