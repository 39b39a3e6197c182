"""The reviews of the classification demo: same bytes, no text twice, and order matters in part."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import pytest

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.demo.reviews import BAD, GOOD, LABELS, ReviewFiles, write_reviews
from bertdistill.engine.distill.data.examples import TextExample, load_examples


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ReviewFiles:
    """The default data set, written once."""
    return write_reviews(tmp_path_factory.mktemp("reviews"))


def rows(path: Path) -> list[TextExample]:
    """The reviews of one file, read as the worker reads them."""
    return list(load_examples(DataSpec(train=str(path), labels=list(LABELS)), "text-classification", "train").rows)


def test_the_same_arguments_give_the_same_bytes(files: ReviewFiles, tmp_path: Path) -> None:
    """The bytes are pinned: another Python or machine must make the very same study."""
    again = write_reviews(tmp_path)
    assert files.train.read_bytes() == again.train.read_bytes()
    assert (
        "4fa89f415f2c373d6447b6f7f62d7bba924c64e8a6f14d414035e9134f2f3692"
        == hashlib.sha256(files.train.read_bytes()).hexdigest()
    )
    assert files.train.read_bytes() != write_reviews(tmp_path, seed=12).train.read_bytes()


def test_sizes_and_labels(files: ReviewFiles) -> None:
    """1,500 and 1,000 reviews, about half of each label, and 6,000 without one; no text is twice in any."""
    train, report, others = rows(files.train), rows(files.report), files.unlabelled.read_text().splitlines()
    assert (1500, 1000, 6000) == (len(train), len(report), len(others))
    assert 8500 == len({*others, *(row.text for row in (*train, *report))})
    for part in (train, report):
        assert 0.45 < sum(row.label for row in part) / len(part) < 0.55


def test_where_order_decides_a_bag_of_words_cannot(files: ReviewFiles) -> None:
    """In a third of the reviews praise and blame are in balance; in the others praise agrees with the label."""
    balance = Counter[str]()
    every = rows(files.train) + rows(files.report)
    for row in every:
        words = row.text.split()
        praise = sum(word in GOOD for word in words) - sum(word in BAD for word in words)
        balance["order" if praise == 0 else "agrees" if (praise > 0) == bool(row.label) else "wrong"] += 1
    assert 0.30 < balance["order"] / len(every) < 0.40
    assert 0.01 < balance["wrong"] / balance["agrees"] < 0.05


def test_exchanging_the_two_words_exchanges_the_label(files: ReviewFiles) -> None:
    """The same words are there for both labels."""
    bags: dict[tuple[str, ...], set[int]] = {}
    for row in rows(files.train) + rows(files.report):
        kept = [word for word in row.text.split() if word in GOOD or word in BAD]
        if len(kept) == 2 and (kept[0] in GOOD) != (kept[1] in GOOD):
            bags.setdefault(tuple(sorted(kept)), set()).add(row.label)
    assert sum(len(labels) == 2 for labels in bags.values()) > 50


def test_the_teacher_answers_for_every_text_to_learn_from(files: ReviewFiles) -> None:
    """Not for the report split. It agrees with the labels but for their mistakes."""
    told = {row["text"]: row["probabilities"] for row in map(json.loads, files.teacher.read_text().splitlines())}
    train = rows(files.train)
    assert {*(row.text for row in train), *files.unlabelled.read_text().splitlines()} == set(told)
    assert all(sum(shares.values()) == pytest.approx(1) and set(shares) == set(LABELS) for shares in told.values())
    agree = sum(max(told[row.text], key=told[row.text].__getitem__) == LABELS[row.label] for row in train)
    assert 0.94 < agree / len(train) < 0.99
