"""Reading, checking and cutting examples, from every kind of source."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import (
    Examples,
    QAExample,
    TextExample,
    check_report,
    cut,
    digest,
    load_examples,
    split_notices,
)

QA, CLS = "question-answering", "text-classification"


def question(key: str, answers: list[tuple[str, int]], **more: Any) -> dict[str, Any]:
    """A question as SQuAD files hold it."""
    golds = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": key, "question": f"What of {key}?", "answers": golds, **more}


def squad_file(path: Path, articles: dict[str, list[dict[str, Any]]], context: str = "Mira keeps a red cat.") -> Path:
    """A SQuAD file with one passage an article."""
    data = [{"title": t, "paragraphs": [{"context": f"{context} {t}", "qas": q}]} for t, q in articles.items()]
    path.write_text(json.dumps({"version": "v2.0", "data": data}))
    return path


def text_file(path: Path, content: str) -> Path:
    """A classification file."""
    path.write_text(content, encoding="utf-8")
    return path


def load(path: Path, task: str = CLS, **keys: Any) -> Examples:
    """The training examples of a file."""
    return load_examples(DataSpec(train=str(path), **keys), task, "train")


# ---------------------------------------------------------------- question answering


def test_reads_squad_files_of_both_versions(tmp_path: Path) -> None:
    """Answers with offsets; no answers or is_impossible means impossible, and plausible answers are ignored."""
    path = squad_file(
        tmp_path / "d.json",
        {
            "A": [
                question("a", [("cat", 17), ("red cat", 13)]),
                question("b", [], is_impossible=True, plausible_answers=[{"text": "cat", "answer_start": 17}]),
                question("c", [("cat", 17)], is_impossible=True),
                question("d", []),
            ]
        },
    )
    rows = load(path, QA).rows
    assert (
        QAExample("a", "A", "What of a?", "Mira keeps a red cat. A", ("cat", "red cat"), (17, 13), impossible=False)
        == rows[0]
    )
    assert [("b", (), True), ("c", (), True), ("d", (), True)] == [(r.id, r.answers, r.impossible) for r in rows[1:]]


def test_an_answer_beside_its_offset_moves_to_the_nearest_place(tmp_path: Path) -> None:
    """Files with shifted offsets are usable; a text that is not in the passage is refused."""
    path = squad_file(tmp_path / "d.json", {"A": [question("a", [("a", 9)])]})
    assert (11,) == load(path, QA).rows[0].starts
    squad_file(path, {"A": [question("a", [("dog", 9)])]})
    with pytest.raises(ConfigError, match="1 answer is not in the passage: 'dog' of question 'a'"):
        load(path, QA)


def test_a_repeated_question_id_is_refused(tmp_path: Path) -> None:
    """Predictions are kept by id."""
    path = squad_file(tmp_path / "d.json", {"A": [question("a", []), question("a", [])]})
    with pytest.raises(ConfigError, match="'a' occurs twice"):
        load(path, QA)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "contains no examples"),
        ("3", "not SQuAD JSON"),
        ('{"data": [{"title": "T"}]}', r"data\[0\] has a missing or invalid entry: 'paragraphs'"),
        ("[" * 9000, "nested too deeply"),
        ('{"data": []}', "contains no examples"),
        ('{"data": [{"paragraphs": [{"context": "c", "qas": [{"id": 1}]}]}]}', r"paragraphs\[0\].qas\[0\]"),
        ('{"data": [{"paragraphs": [{"context": 3, "qas": [{"id": 1, "question": "", "answers": []}]}]}]}', "text"),
    ],
)
def test_bad_question_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    """The message names the file, the key and the place."""
    path = text_file(tmp_path / "d.json", content)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path, QA)
    assert f"{path} (data.train)" in str(caught.value)


def test_a_large_file_loads_in_seconds_and_shares_its_passages(tmp_path: Path) -> None:
    """130,000 questions; every question of a passage holds the same string object."""
    qas = {f"T{a}": [question(f"{a}-{q}", [("cat", 17)]) for q in range(260)] for a in range(500)}
    rows = load(squad_file(tmp_path / "d.json", qas), QA).rows
    assert 130_000 == len(rows)
    assert rows[0].context is rows[259].context


# ---------------------------------------------------------------- text classification


@pytest.mark.parametrize(
    ("name", "content", "keys"),
    [
        ("d.tsv", "good \"film\t1\nbad film\t0\n", {}),
        ("d.tsv", "sentence\tlabel\ngood \"film\t1\nbad film\t0\n", {}),
        ("d.tsv", "1\tgood \"film\r\n0\tbad film\r\n", {}),
        ("d.tsv", "words\tclasses\ngood \"film\t1\nbad film\t0\n", {"text_column": "words", "label_column": "classes"}),
        ("d.tsv", "words\tclasses\ngood \"film\t1\nbad film\t0\n", {"text_column": "0", "label_column": "1"}),
        ("d.tsv", "gj04\t1\t\tgood \"film\ngj04\t0\t*\tbad film\n", {}),
        ("d.tsv", "gj04\t1\t\tgood \"film\ngj04\t0\t*\tbad film\n", {"text_column": "3", "label_column": "1"}),
        ("d.csv", 'text,label\n"good ""film",1\nbad film,0\n', {}),
        ("d.csv", 'label;text\n1;"good ""film"\n0;bad film\n', {}),
        ("d.csv", '"good ""film",1\n\nbad film,0\n', {}),
        ("d.jsonl", '{"text": "good \\"film", "label": 1}\n{"label": 0, "text": "bad film"}\n', {}),
        ("d.json", '[{"text": "good \\"film", "label": true}, {"text": "bad film", "label": false}]', {}),
        ("d.json", '{"data": [{"q": "good \\"film", "y": 1}, {"q": "bad film", "y": 0}]}',
         {"text_column": "q", "label_column": "y"}),
        ("d.txt", 'good "film;1\nbad film;0\n', {}),
        ("d.txt", '\ufeffgood "film;1\nbad film;0', {}),
    ],
)  # fmt: skip
def test_reads_every_layout_of_classification_files(
    tmp_path: Path, name: str, content: str, keys: dict[str, str]
) -> None:
    """With and without header, by name, by position, or found; quotation marks of a TSV are literal."""
    examples = load(text_file(tmp_path / name, content), **keys)
    assert Examples(
        CLS, [TextExample("0", 'good "film', None, 1), TextExample("1", "bad film", None, 0)], ("0", "1")
    ) == (examples)


def test_text_files_split_at_the_last_semicolon(tmp_path: Path) -> None:
    """Sentences may hold semicolons; labels are sorted names."""
    examples = load(text_file(tmp_path / "d.txt", "well; then;joy\nno;fear\n"))
    assert ("fear", "joy") == examples.labels
    assert [("well; then", 1), ("no", 0)] == [(row.text, row.label) for row in examples.rows]


def test_cells_with_line_breaks_and_strange_spaces_stay_whole(tmp_path: Path) -> None:
    """CSV cells may hold line breaks, and Unicode line separators end no line."""
    rows = load(text_file(tmp_path / "d.csv", 'text,label\n"two\nlines",1\n"one\u2028more\x85",0\n')).rows
    assert ["two\nlines", "one\u2028more\x85"] == [row.text for row in rows]
    rows = load(text_file(tmp_path / "d.tsv", "one\u2028more\x85 end\t1\nother\t0\n")).rows
    assert "one\u2028more\x85 end" == rows[0].text


def test_sentence_pairs_are_found_or_named(tmp_path: Path) -> None:
    """Usual names of pairs are known; positions work without header."""
    content = "premise,hypothesis,label\na,b,yes\nc,d,no\n"
    assert ["b", "d"] == [row.pair for row in load(text_file(tmp_path / "d.csv", content)).rows]
    keys = {"text_column": "0", "text_pair_column": "1", "label_column": "2"}
    assert ["b", "d"] == [
        row.pair for row in load(text_file(tmp_path / "e.csv", content.split("\n", 1)[1]), **keys).rows
    ]


def test_numeric_labels_sort_as_numbers(tmp_path: Path) -> None:
    """Ten comes after nine."""
    content = "".join(f"text {i};{i}\n" for i in range(12))
    assert tuple(map(str, range(12))) == load(text_file(tmp_path / "d.txt", content)).labels


def test_names_may_be_given_to_numeric_labels(tmp_path: Path) -> None:
    """Labels 0 and 1 are positions in data.labels."""
    examples = load(text_file(tmp_path / "d.txt", "good;1\nbad;0\n"), labels=["negative", "positive"])
    assert (("negative", "positive"), [1, 0]) == (examples.labels, [row.label for row in examples.rows])


def test_a_label_that_only_the_report_part_has_is_refused(tmp_path: Path) -> None:
    """The labels of the training part are the labels of the model."""
    train = load(text_file(tmp_path / "d.txt", "good;joy\nbad;fear\n"))
    report = text_file(tmp_path / "r.txt", "bad;fear\nodd;love\n")
    with pytest.raises(ConfigError, match=r"r\.txt \(data\.report\): example 2 has the label 'love'"):
        load_examples(DataSpec(report=str(report)), CLS, "report", train.labels)
    numbers = text_file(tmp_path / "n.txt", "bad;0\nodd;1\n")
    with pytest.raises(ConfigError, match="label '0', which is not one of fear, joy"):
        load_examples(DataSpec(report=str(numbers)), CLS, "report", train.labels)


@pytest.mark.parametrize(
    ("name", "content", "keys", "message"),
    [
        ("d.tsv", "good\t1\nbad\n", {}, r"line 2: 1 column\(s\) where 2"),
        ("d.txt", "good;1\nbad\n", {}, "line 2: a .txt file holds text;label"),
        ("d.csv", "text,label\ngood,1\nbad,1\n", {}, "the only label is '1'"),
        ("d.csv", "text,kind\ngood,1\nbad,0\n", {}, r"set data.label_column; the columns are text \('go"),
        ("d.csv", "words,label\ngood,1\nbad,0\n", {}, "set data.text_column"),
        ("d.csv", "text,label\ngood,1\nbad,0\n", {"label_column": "mood"}, "no column 'mood' for data.label_column"),
        ("d.csv", "good,1\nbad,0\n", {"label_column": "7"}, "no column '7' for data.label_column"),
        ("d.csv", "", {}, "contains no examples"),
        ("d.csv", "text,label\n", {}, "contains no examples"),
        ("d.csv", "one column\nof words\n", {}, "Set data.text_column, data.label_column"),
        ("d.csv", "a long sentence it is,another quite long one,1\nmore of the same,and again one more,0\n", {},
         "data.text_pair_column"),
        ("d.jsonl", '{"text": "a", "label": 1}\nx\n', {}, "line 2 is not JSON"),
        ("d.jsonl", '{"text": "a", "label": 1}\n{"text": "b"}\n', {}, "example 2 has no 'label'"),
        ("d.jsonl", "[1, 2]", {}, "one JSON object per example"),
        ("d.xlsx", "x", {}, r"reads \.csv, \.tsv"),
        ("d.csv", "text,label\n" + "".join(f"same,{i} words\n" for i in range(300)), {}, "300 distinct values"),
    ],
)  # fmt: skip
def test_bad_classification_files_are_refused(
    tmp_path: Path, name: str, content: str, keys: dict[str, str], message: str
) -> None:
    """The message names the file and its key, and says what to set."""
    path = text_file(tmp_path / name, content)
    with pytest.raises(ConfigError, match=message) as caught:
        load(path, **keys)
    assert f"{path} (data.train)" in str(caught.value)


def test_a_missing_an_unnamed_and_a_foreign_file_are_refused(tmp_path: Path) -> None:
    """No path, no such path, no UTF-8."""
    with pytest.raises(ConfigError, match=r"data\.train is empty"):
        load_examples(DataSpec(), CLS, "train")
    with pytest.raises(ConfigError, match=r"nowhere\.csv \(data\.train\) is not a file"):
        load(tmp_path / "nowhere.csv")
    (tmp_path / "d.csv").write_bytes(b"text,label\n\xff,1\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "d.csv")


# ---------------------------------------------------------------- the hub


@pytest.fixture
def offline_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what `datasets` caches inside the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("offline_cache")
def test_a_hub_set_in_squad_form_is_read(tmp_path: Path) -> None:
    """A local folder stands for the hub id; `load_dataset` reads both alike."""
    folder = tmp_path / "set"
    folder.mkdir()
    passage = {"title": "T", "context": "a red cat"}
    rows = [
        {"id": "a", **passage, "question": "?", "answers": {"text": ["cat"], "answer_start": [6]}},
        {"id": "b", **passage, "question": "!", "answers": {"text": [], "answer_start": []}},
    ]
    datasets.Dataset.from_list(rows).to_parquet(folder / "train.parquet")
    data = DataSpec(hub=str(folder))
    assert [("a", ("cat",), (6,), False), ("b", (), (), True)] == [
        (row.id, row.answers, row.starts, row.impossible) for row in load_examples(data, QA, "train").rows
    ]


@pytest.mark.usefixtures("offline_cache")
def test_label_names_of_a_hub_set_are_kept(tmp_path: Path) -> None:
    """Integer labels with names, as most classification sets have them."""
    folder = tmp_path / "set"
    folder.mkdir()
    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["negative", "positive"])}
    )
    for split, labels in (("train", [1, 0]), ("validation", [1, -1])):
        table = datasets.Dataset.from_dict({"sentence": ["good", "bad"], "label": labels}, features=features)
        table.to_parquet(folder / f"{split}.parquet")
    examples = load_examples(DataSpec(hub=str(folder)), CLS, "train")
    assert (("negative", "positive"), [1, 0]) == (examples.labels, [row.label for row in examples.rows])
    with pytest.raises(ConfigError, match=r"split 'validation' .* has no labels"):
        load_examples(DataSpec(hub=str(folder)), CLS, "report")


@pytest.mark.usefixtures("offline_cache")
@pytest.mark.parametrize("labels", [["ham", "spam"], ["spam", "ham"]])
def test_the_order_of_labels_does_not_rename_those_of_a_hub_set(tmp_path: Path, labels: list[str]) -> None:
    """Its integers are positions in its own names; read as positions in ours, every class would be another one."""
    folder = tmp_path / "hub"
    folder.mkdir()
    label = datasets.ClassLabel(names=["spam", "ham"])
    features = datasets.Features({"text": datasets.Value("string"), "label": label})
    rows = {"text": ["buy", "hello"], "label": [0, 1]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "train.parquet")
    examples = load_examples(DataSpec(hub=str(folder), labels=labels), CLS, "train")
    assert tuple(labels) == examples.labels
    assert ["spam", "ham"] == [labels[row.label] for row in examples.rows]


@pytest.mark.usefixtures("offline_cache")
def test_errors_of_hub_sets_name_set_and_split(tmp_path: Path) -> None:
    """An unknown set, an unknown split and a set of another form."""
    folder = tmp_path / "set"
    folder.mkdir()
    text_file(folder / "train.jsonl", '{"text": "a", "label": 1}\n')
    with pytest.raises(
        ConfigError, match=r"nowhere \(data\.hub\), split 'train' \(data\.train_split\) cannot be loaded"
    ):
        load_examples(DataSpec(hub=str(tmp_path / "nowhere")), CLS, "train")
    with pytest.raises(ConfigError, match=r"split 'dev' \(data\.train_split\) cannot be loaded"):
        load_examples(DataSpec(hub=str(folder), train_split="dev"), CLS, "train")
    with pytest.raises(ConfigError, match="has no column 'id'"):
        load_examples(DataSpec(hub=str(folder)), QA, "train")


# ---------------------------------------------------------------- the cut


def articles(count: int, size: int = 10) -> Examples:
    """Questions in articles; one in five is unanswerable."""
    answered = QAExample("", "", "?", "c", ("c",), (0,), impossible=False)
    empty = QAExample("", "", "?", "c", (), (), impossible=True)
    pairs = [(a, q) for a in range(count) for q in range(size)]
    return Examples(QA, [replace(answered if q % 5 else empty, id=f"{a}-{q}", title=f"T{a}") for a, q in pairs])


def sentences(counts: dict[int, int]) -> Examples:
    """Sentences by label, mixed."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    return Examples(CLS, [TextExample(str(i), f"text {i}", None, label) for i, label in enumerate(labels)], ("a", "b"))


def test_whole_articles_are_cut_off(tmp_path: Path) -> None:
    """No article is on both sides, nothing is lost, and the share is as asked."""
    whole = articles(40)
    train, search = cut(whole, DataSpec(search_fraction=0.1))
    assert {row.title for row in train.rows}.isdisjoint(row.title for row in search.rows)
    assert 40 == len(search)
    assert Counter(row.id for row in whole.rows) == Counter(row.id for row in train.rows + search.rows)


def test_the_cut_depends_on_the_seed_and_not_on_the_order() -> None:
    """Same seed, same cut; another seed, another cut; a shuffled file gives the same parts."""
    whole = articles(40)
    titles = {row.title for row in cut(whole, DataSpec())[1].rows}
    assert titles == {row.title for row in cut(Examples(QA, whole.rows[::-1]), DataSpec())[1].rows}
    assert titles != {row.title for row in cut(whole, DataSpec(split_seed=14))[1].rows}


def test_an_article_that_is_too_large_goes_to_training() -> None:
    """One huge article never becomes the search part."""
    huge = articles(1, 500).rows
    small = [QAExample(f"s{i}", f"S{i // 10}", "?", "c", ("c",), (0,), impossible=False) for i in range(100)]
    for seed in range(10):
        search = cut(Examples(QA, huge + small), DataSpec(split_seed=seed))[1]
        assert 0 < len(search) <= 100


def test_a_file_that_cannot_be_cut_is_refused() -> None:
    """One passage cannot be on both sides."""
    with pytest.raises(ConfigError, match="passages are never divided"):
        cut(articles(1), DataSpec(train="one.json"))


def test_classes_keep_their_shares_in_the_cut() -> None:
    """Every label gives the same share, and a rare one at least one example."""
    train, search = cut(sentences({0: 200, 1: 5}), DataSpec(search_fraction=0.1))
    assert {0: 20, 1: 1} == Counter(row.label for row in search.rows)
    assert {0: 180, 1: 4} == Counter(row.label for row in train.rows)


def test_copies_of_a_sentence_stay_on_one_side() -> None:
    """A repeated sentence is hardly ever in both parts."""
    rows = [TextExample(str(i), f"text {i // 2}", None, 0) for i in range(400)]
    train, search = cut(Examples(CLS, rows, ("a", "b")), DataSpec())
    assert len({row.text for row in train.rows} & {row.text for row in search.rows}) <= 1


def test_too_few_examples_are_refused() -> None:
    """Both parts need something."""
    with pytest.raises(ConfigError, match="leaves 1 for training and 0 for validation"):
        cut(Examples(CLS, [TextExample("0", "a", None, 0)], ("a",)), DataSpec(train="d.csv"))


def test_subsets_keep_shares_order_and_are_nested() -> None:
    """The maxima take a seeded subset; a smaller one lies inside a larger one."""
    whole = articles(40)
    small, few = cut(whole, DataSpec(max_train_examples=100, max_search_examples=10))
    large, _ = cut(whole, DataSpec(max_train_examples=200))
    assert (100, 20) == (len(small), sum(row.impossible for row in small.rows))
    assert (10, 2) == (len(few), sum(row.impossible for row in few.rows))
    assert {row.id for row in small.rows} < {row.id for row in large.rows}
    order = {row.id: i for i, row in enumerate(whole.rows)}
    assert [row.id for row in small.rows] == sorted((row.id for row in small.rows), key=order.__getitem__)
    other, _ = cut(whole, DataSpec(max_train_examples=100, split_seed=1))
    assert {row.id for row in small.rows} != {row.id for row in other.rows}


def test_the_report_part_is_cut_to_its_maximum(tmp_path: Path) -> None:
    """Only the report part has a maximum while it is read."""
    path = text_file(tmp_path / "d.txt", "".join(f"text {i};{i % 2}\n" for i in range(50)))
    data = DataSpec(train=str(path), report=str(path), max_report_examples=10)
    assert Counter({0: 5, 1: 5}) == Counter(row.label for row in load_examples(data, CLS, "report").rows)
    assert 50 == len(load_examples(data, CLS, "train"))


def test_the_digest_follows_the_content() -> None:
    """Equal content gives an equal digest; any change gives another."""
    whole = sentences({0: 3, 1: 3})
    assert digest(whole) == digest(sentences({0: 3, 1: 3}))
    changed = [*whole.rows[:-1], TextExample("5", "text 5", None, 0)]
    digests = {digest(whole), digest(Examples(CLS, whole.rows, ("b", "a"))), digest(Examples(CLS, changed, ("a", "b")))}
    assert 3 == len(digests)
    assert digest(whole) != digest(Examples(CLS, whole.rows[::-1], whole.labels))


def test_labels_and_characters_that_a_split_lacks_are_reported() -> None:
    """Neither stops a study, and both look like a bad model later."""
    rows = [TextExample("0", "a film", None, 0), TextExample("1", " ", None, 2), TextExample("2", "", "a pair", 0)]
    train = Examples("text-classification", rows, ("neg", "meh", "pos"))
    search = Examples("text-classification", rows[:1], ("neg", "meh", "pos"))
    assert (
        "the training split has no example of 'meh'",
        "1 of the 3 texts of the training split are empty",
        "the validation split has no example of 'meh', 'pos'",
    ) == split_notices(training=train, validation=search)
    assert () == split_notices(training=Examples("question-answering", []))


def test_a_report_split_without_a_label_is_reported(tmp_path: Path) -> None:
    """Scores that weigh labels equally would be too low."""
    report = tmp_path / "report.txt"
    report.write_text("one;a\ntwo;a\n")
    train = Examples(CLS, [TextExample("0", "x", None, 0), TextExample("1", "y", None, 1)], ("a", "b"))
    assert ("the report split has no example of 'b'",) == check_report(DataSpec(report=str(report)), train)


def test_a_text_that_is_a_list_is_refused(tmp_path: Path) -> None:
    """Words that were already separated would be read with brackets and quotation marks; a missing text is empty."""
    path = tmp_path / "train.jsonl"
    rows = [
        {"words": "a b", "n": 1},
        {"words": None, "n": 0},
        {"words": float("nan"), "n": 1},
        {"words": ["a"], "n": 0},
    ]
    path.write_text("\n".join(map(json.dumps, rows[:3])))
    data = DataSpec(train=str(path), text_column="words", label_column="n")
    assert ["a b", "", ""] == [row.text for row in load_examples(data, CLS, "train").rows]
    path.write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(ConfigError, match=r"text of example 4 is a list, \['a'\]\. Join .* set data\.text_column"):
        load_examples(data, CLS, "train")
