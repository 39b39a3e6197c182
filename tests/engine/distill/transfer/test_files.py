"""Files of texts: formats, columns, labels that are not read, and the file that must not be used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.distill.transfer.material import Material
from bertdistill.engine.distill.transfer.table import transfer_texts

Make = Callable[..., Material]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("texts.txt", "a fine day\nso it is\n"),
        ("labelled.txt", "a fine day;yes\nso it is;no\n"),
        ("texts.csv", "id,sentence\n1,a fine day\n2,so it is\n"),
        ("one.csv", "text\na fine day\nso it is\n"),
        ("texts.tsv", "label\ttext\nyes\ta fine day\nno\tso it is\n"),
        ("texts.jsonl", '{"n": 1, "words": "a fine day"}\n{"n": 2, "words": "so it is"}\n'),
    ],
)
def test_texts_are_read_from_files_without_their_labels(
    material: Make, tmp_path: Path, name: str, content: str
) -> None:
    """The training file itself may be one: its rows that are not trained on make a transfer set."""
    (tmp_path / name).write_text(content)
    made = material(TransferSpec(kind="file", path=str(tmp_path / name)))
    assert [("a fine day", None), ("so it is", None)] == transfer_texts(made, {})


def test_pairs_need_both_columns(material: Make, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("premise,other\nit rains,it is wet\n")
    spec = TransferSpec(kind="file", path=str(tmp_path / "pairs.csv"), text_column="premise")
    with pytest.raises(ConfigError, match=r"set transfer\.0\.text_pair_column; the columns are premise"):
        transfer_texts(material(spec, paired=True), {})
    whole = TransferSpec(kind="file", path=spec.path, text_column="premise", text_pair_column="other")
    assert [("it rains", "it is wet")] == transfer_texts(material(whole, paired=True), {})


def test_lines_are_not_pairs(material: Make, tmp_path: Path) -> None:
    """Beside pairs they would be read as another kind of input, batch by batch."""
    (tmp_path / "lines.txt").write_text("it rains\nit is wet\n")
    with pytest.raises(ConfigError, match=r"lines\.txt \(transfer\.0\.path\) has one sentence per line, but"):
        transfer_texts(material(TransferSpec(kind="file", path=str(tmp_path / "lines.txt")), paired=True), {})


def test_some_rows_are_a_random_sample(material: Make, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("".join(f"text number {n}\n" for n in range(50)))
    spec = TransferSpec(kind="file", path=str(tmp_path / "texts.txt"), rows=5)
    first = transfer_texts(material(spec), {})
    assert first == transfer_texts(material(spec), {})
    assert 5 == len(first) != first[-1][0]


def test_the_report_file_is_refused_under_any_name(material: Make, tmp_path: Path) -> None:
    """Its copy is recognised by its rows, the file itself at once."""
    report = tmp_path / "report.txt"
    report.write_text("a fine day;yes\n")
    (tmp_path / "linked.txt").symlink_to(report)
    made = material(TransferSpec(kind="file", path=str(tmp_path / "linked.txt")), report=str(report))
    with pytest.raises(ConfigError, match=r"linked\.txt \(transfer\.0\.path\) is the report split"):
        transfer_texts(made, {})
    (tmp_path / "copy.txt").write_text("a fine day\n")
    made = material(TransferSpec(kind="file", path=str(tmp_path / "copy.txt")), report=str(report))
    with pytest.raises(ConfigError, match="no row is left; dropped 1 report text"):
        transfer_texts(made, {"report": {("a fine day", None)}})


def test_a_missing_file_is_named(material: Make) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.txt \(transfer\.0\.path\) is not a file"):
        transfer_texts(material(TransferSpec(kind="file", path="nowhere.txt")), {})


def test_columns_of_the_training_data_are_those_of_other_texts(material: Make, tmp_path: Path) -> None:
    """Where a file has them: their name above the texts is a header, not a text. `[[transfer]]` has the last word."""
    data = {"text_column": "What they wrote", "label_column": "Verdict!"}
    path = tmp_path / "texts.csv"
    spec = TransferSpec(kind="file", path=str(path))
    path.write_text("What they wrote\na fine day\nso it is\n")
    assert [("a fine day", None), ("so it is", None)] == transfer_texts(material(spec, **data), {})
    path.write_text("remark,what they wrote\na long remark about it,a fine day\na second remark,so it is\n")
    assert [("a fine day", None), ("so it is", None)] == transfer_texts(material(spec, **data), {})
    other = TransferSpec(kind="file", path=str(path), text_column="remark")
    assert [("a long remark about it", None), ("a second remark", None)] == transfer_texts(material(other, **data), {})
    path.write_text("id,text\n1,a fine day\n2,so it is\n")
    assert [("a fine day", None), ("so it is", None)] == transfer_texts(material(spec, **data), {})


def test_a_dataset_is_loaded_as_from_the_hub(material: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real loader, from a folder with a file for each split: no network. The report split is refused, and a
    split that is not there is named with the keys to check.
    """
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "train.csv").write_text("id,sentence,other\n1,a fine day,x y\n2,so it is,z\n3,a fine day,w\n")
    (folder / "test.csv").write_text("id,sentence,other\n4,a held back day,x\n")
    spec = TransferSpec(kind="hub", hub=str(folder))
    assert [("a fine day", None), ("so it is", None)] == transfer_texts(material(spec), {})
    assert [("so it is", None)] == transfer_texts(material(spec), {"report": {("a fine day", None)}})
    pairs = TransferSpec(kind="hub", hub=str(folder), text_column="sentence", text_pair_column="other", rows=2)
    assert 2 == len(
        set(transfer_texts(material(pairs, paired=True), {}))
        & {("a fine day", "x y"), ("so it is", "z"), ("a fine day", "w")}
    )
    held = {"hub": str(folder), "report_split": "test"}
    with pytest.raises(ConfigError, match=r"split 'test' is the report split \(data\.report_split\)"):
        transfer_texts(material(TransferSpec(kind="hub", hub=str(folder), split="test"), **held), {})
    with pytest.raises(ConfigError, match=r"cannot be loaded: .*Check transfer\.0\.hub, transfer\.0\.split"):
        transfer_texts(material(TransferSpec(kind="hub", hub=str(folder), split="dev")), {})


def test_a_file_without_texts_is_named(material: Make, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("\n \n")
    with pytest.raises(ConfigError, match=r"transfer\.0 \(file\) .*none\.txt: no row is left; there are no texts"):
        transfer_texts(material(TransferSpec(kind="file", path=str(tmp_path / "none.txt"))), {})
