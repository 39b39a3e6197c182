"""Transfer sets as a plan sees them: files that can be read, texts that will count, and those that will not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.app.views.test_inputs import ROWS, texts

from bertdistill.app.views.inputs import read_inputs
from bertdistill.app.views.plan import make_plan, plan_facts
from bertdistill.app.views.transfer_inputs import Known, TransferRows, transfer_rows
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, TransferSpec
from bertdistill.engine.study.study_spec import StudySpec

KNOWN = Known([("a good film", None), ("a bad film", None)], [("a fine day", None)], ("bad", "good"))


def file_of(folder: Path, content: str, name: str = "texts.txt", **keys: int) -> TransferSpec:
    (folder / name).write_text(content)
    return TransferSpec("file", path=str(folder / name), **keys)


def found(spec: TransferSpec, data: DataSpec | None = None) -> TransferRows:
    return transfer_rows(spec, "transfer.0", data or DataSpec(), KNOWN)


def test_texts_that_will_be_left_out_are_counted(tmp_path: Path) -> None:
    """Those of the report file and of the training data, whatever their case; duplicates."""
    spec = file_of(tmp_path, "A fine  day\na good film\nso it is\nso it is\nand more\n")
    got = found(spec)
    assert 2 == got.rows
    assert (
        f"transfer.0: of 5 texts in {spec.path}, 1 of the report file are left out; 1 are in the training" in got.notice
    )
    assert "1 are empty or duplicates" in got.notice
    assert 3 == found(spec, DataSpec(max_train_examples=1)).rows  # most of the training file is not trained on
    few = found(dataclasses.replace(spec, rows=1))
    assert (1, False) == (few.rows, "wanted" in few.notice)
    assert "only 2 of 9 wanted rows are left" in found(dataclasses.replace(spec, rows=9)).notice
    assert "" == found(file_of(tmp_path, "so it is\n")).notice


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.txt", "a fine day\n", "has no text that is not in the training or the report file"),
        ("two.csv", "premise,other\nit rains a lot,it is rather wet\n", "set transfer.0.text_column"),
        ("texts.xlsx", "", "classification reads"),
    ],
)
def test_a_file_that_adds_nothing_is_refused(tmp_path: Path, name: str, content: str, words: str) -> None:
    """As the worker would, hours later."""
    with pytest.raises(ConfigError, match=words):
        found(file_of(tmp_path, content, name))


def test_rows_of_other_kinds() -> None:
    """As many as asked for; every word of the training texts; what is on the hub is not known."""
    assert (4, 2, 7, None) == tuple(
        found(spec).rows
        for spec in (
            TransferSpec("words"),
            TransferSpec("words", rows=2),
            TransferSpec("ngrams", rows=7),
            TransferSpec("hub", hub="some/texts"),
        )
    )
    assert None is transfer_rows(TransferSpec("words"), "transfer.0", DataSpec(), Known()).rows


def test_a_plan_opens_them_and_counts_their_rows(spec: StudySpec, tmp_path: Path) -> None:
    """Every problem at once; rows in the facts, the outputs, and the steps that a share of every batch makes longer."""
    study = texts(tmp_path, spec, "text,label")
    study = dataclasses.replace(study, settings=dataclasses.replace(study.settings, batch_size=8, epochs=2.0))
    more = "".join(f"another meal {n}\n" for n in range(30)) + ROWS[0][0] + "\n"
    tables = (file_of(tmp_path, more), TransferSpec("ngrams", rows=10))
    shared = dataclasses.replace(
        study,
        transfer=tables,
        settings=dataclasses.replace(study.settings, alpha=0.5, transfer_share=0.5),
    )
    said: list[str] = []
    plain, planned = (make_plan(one, say=said.append) for one in (study, shared))
    assert (0, 40) == (plain["transfer_rows"], planned["transfer_rows"])
    assert "about 40 texts without labels" == plan_facts(shared, planned)["transfer set"]
    assert "transfer set" not in plan_facts(study, plain)
    assert any("transfer.0: of 31 texts" in line for line in said)
    assert 2 * (plain["steps"]["most"] - 1) <= planned["steps"]["most"] > plain["steps"]["most"]
    assert planned["disk_bytes"]["outputs"] == plain["disk_bytes"]["outputs"] + 40 * 2 * len(plain["labels"])
    bad = dataclasses.replace(shared, transfer=(file_of(tmp_path, "\n", "e.txt"), file_of(tmp_path, "", "x.bin")))
    with pytest.raises(ConfigError) as caught:
        read_inputs(bad)
    assert ["e.txt (transfer.0.path)", "x.bin (transfer.1.path)"] == [
        line.split("/")[-1].partition(" has")[0].partition(":")[0] for line in str(caught.value).splitlines()
    ]
