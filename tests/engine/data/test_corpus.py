"""Files of texts for pre-training: read in any form, refused if they hold texts of the validation or report split."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, PretrainSpec
from bertdistill.engine.data.corpus import Held, allowed, corpus_file

HELD = {
    "validation": Held.of(["A dull film", ""]),
    "report": Held.of(["such a good film", "Such a  play", "such a play"]),
}


def read(path: Path, labels: Sequence[str] = (), **keys: str) -> list[str]:
    return corpus_file(PretrainSpec("file", path=str(path), **keys), "pretrain.0", DataSpec(), labels)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "one text\n\nanother; text\n"),
        ("a.csv", 'text,label\none text,1\n"another; text",0\n'),
        ("a.jsonl", '{"text": "one text"}\n{"text": "another; text"}\n'),
        (
            "a.json",
            json.dumps(
                {
                    "data": [
                        {
                            "title": "t",
                            "paragraphs": [
                                {
                                    "context": "one text",
                                    "qas": [{"id": "1", "question": "another; text", "answers": []}],
                                }
                            ],
                        }
                    ]
                }
            ),
        ),
    ],
)
def test_texts_are_read_in_any_form(tmp_path: Path, name: str, content: str) -> None:
    """Lines, a column, and the passages and questions of SQuAD JSON."""
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert ["one text", "another; text"] == read(path)


def test_labels_of_a_training_file_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one text;pos\nanother; text;neg\n", encoding="utf-8")
    assert ["one text", "another; text"] == read(path, ["pos", "neg"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, r"none.txt \(pretrain.0.path\) is not a file"),
        (
            "a.csv",
            b"a,b\nx y z,v w u\nx y z,v w u\nx y z,v w u\nx y z,v w u\nx y z,v w u\n",
            r"set pretrain.0.text_column",
        ),
        ("a.csv", b"PK\x03\x04", "is a zip archive"),
        ("a.txt", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("a.json", b'{"data": [{"paragraphs": 1}]}', "is not SQuAD JSON"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / name)


TEXTS = ["a new text", "such a good film", "SUCH A PLAY", "a  dull film"]


def test_texts_of_held_back_splits_are_refused_with_their_numbers() -> None:
    """Exact copies, and those that differ in case and white space; the remedy is named."""
    with pytest.raises(ConfigError) as caught:
        allowed(PretrainSpec("file", path="more.txt"), "pretrain.1", TEXTS, HELD)
    assert str(caught.value) == (
        "more.txt (pretrain.1.path): of its 4 texts, 1 is in the validation split, 1 of them but for case and white "
        "space and 2 are in the report split, 1 of them but for case and white space; students would be pre-trained on "
        "what they are scored on"
    )
    assert 'overlap = "drop"' in caught.value.hint
    assert 'kind = "train"' in caught.value.hint


def test_they_are_dropped_if_the_study_file_says_so() -> None:
    assert ["a new text"] == allowed(PretrainSpec("file", path="m", overlap="drop"), "pretrain.1", TEXTS, HELD)
    assert ["a new text"] == allowed(PretrainSpec("file", path="m"), "pretrain.1", TEXTS[:1], HELD)
    with pytest.raises(ConfigError, match="has no text that is not in the validation split or the report split"):
        allowed(PretrainSpec("file", path="m", overlap="drop"), "pretrain.1", TEXTS[1:], HELD)
