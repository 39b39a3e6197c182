"""The validation split in its cache: what was cut, without reading the training data."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.demo.reviews import write_reviews
from bertdistill.engine.distill.data import split_file
from bertdistill.engine.distill.data.examples import cut, digest, load_examples
from bertdistill.engine.distill.data.split_file import FILE, keep_split, search_examples


def quiet(text: str) -> None:
    raise AssertionError(text)


def trial(folder: Path, task: str) -> AttemptSpec:
    """A trial on data of the demo whose split is in the cache."""
    if task == "question-answering":
        file = write_demo(folder, articles=9, passages=4).train
    else:
        file = write_reviews(folder, train=40, report=4, unlabelled=4).train
    data = DataSpec(train=str(file), search_fraction=0.2)
    search = cut(load_examples(data, task, "train"), data)[1]
    kept = keep_split(search, data, folder / "caches", quiet)
    facts = Prepared(split=kept, search_digest=digest(search), labels=search.labels)
    given = (data, TeacherSpec(), StudentSpec(), Settings(), Device())
    return AttemptSpec("trial", "s", task, *given, str(folder / "caches"), prepared=facts)


@pytest.mark.parametrize("task", ["question-answering", "text-classification"])
def test_a_trial_reads_the_split_and_not_the_training_data(
    tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same examples, to the last character."""
    spec = trial(tmp_path, task)
    read = cut(load_examples(spec.data, task, "train"), spec.data)[1]
    monkeypatch.setattr(split_file, "split_examples", lambda spec: quiet("read again"))
    found = search_examples(spec)
    assert (found, found.rows) == (read, read.rows)
    assert len(found) > 1


def test_a_file_that_was_written_since_is_read_again(tmp_path: Path) -> None:
    """With the same content it is the same split, with another one the trial is refused."""
    spec = trial(tmp_path, "text-classification")
    file = Path(spec.data.train)
    os.utime(file, (1, 1))
    assert digest(search_examples(spec)) == spec.prepared.search_digest
    file.write_text(file.read_text().replace("\t", " indeed\t"))
    with pytest.raises(ConfigError, match="changed since"):
        search_examples(spec)


def test_a_split_that_is_damaged_missing_or_of_other_settings_is_not_believed(tmp_path: Path) -> None:
    """The training data is read instead, and judged by its digest."""
    spec = trial(tmp_path, "text-classification")
    file = Path(spec.prepared.split) / FILE
    file.write_text(file.read_text().replace('"rows": [', '"rows": [["x", "y", null, 0], '))
    assert digest(search_examples(spec)) == spec.prepared.search_digest
    file.unlink()
    assert digest(search_examples(spec)) == spec.prepared.search_digest
    other = dataclasses.replace(spec, data=dataclasses.replace(spec.data, search_fraction=0.4))
    with pytest.raises(ConfigError, match="changed since"):
        search_examples(other)
