"""A study file for someone's own data: reads the file as a preparation will, and writes down what it took for what.

It loads no model and writes no file. Guesses that are not unique are refused with the key to set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.columns import describe, find_columns, half_read
from bertdistill.engine.data.files import kind, source_file, source_name
from bertdistill.engine.data.labels import found_labels, label_texts
from bertdistill.engine.data.questions import QAExample, file_questions
from bertdistill.engine.data.tables import cell_text, file_table, nothing_below
from bertdistill.engine.study.sections import read_dataclass
from bertdistill.engine.study.study_text import parse_override, write_toml
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION
from bertdistill.store.errors import BertDistillError

QUESTIONS, TEXTS = QUESTION_ANSWERING, TEXT_CLASSIFICATION
LEAST_PASSAGE = 256
"""Tokens that leave room for a passage next to a question."""
MOST_LABELS = 50
"""More labels than this are not listed in the file: they are then the sorted labels of the training data."""
COLUMNS = ("text_column", "text_pair_column", "label_column")
LENGTHS = (32, 64, 128, 256, 384, 512)
TOKENS_A_WORD = 1.4
"""Of English text in a WordPiece vocabulary of 30,000; rounded up to the next of `LENGTHS`."""
HELD_BACK = ("test", "report", "dev", "valid", "validation", "val", "eval")
"""Words in place of `train` in the name of a file that no training sees."""
LEAST_STEPS, MOST_EPOCHS, BATCH = 200, 10, 32
"""A small file is read several times: after fewer steps, students of few layers only know the most frequent label."""
COVERED = 0.95
"""Share of the inputs that must not be truncated."""


@dataclass(frozen=True)
class Template:
    """The text of a study file, and what was guessed, one sentence each."""

    text: str
    guesses: tuple[str, ...]


class HeaderUnclear(ConfigError):
    """The first row may be the header or an example; `headed` is what is likelier."""

    def __init__(self, source: str, first: Sequence[str], second: Sequence[str], *, headed: bool) -> None:
        super().__init__(f"{source}: set data.header", hint="yes if its first row names the columns, no if not.")
        self.first, self.second, self.headed = tuple(first), tuple(second), headed


@dataclass(frozen=True)
class _Facts:
    """What was found in the training file."""

    task: str
    about: str
    data: DataSpec
    objectives: str
    words: tuple[int, ...]
    """Words of every input."""
    guesses: tuple[str, ...] = ()


def is_data(path: Path) -> bool:
    """Whether a file can hold examples, by its name."""
    return kind(path) in (".csv", ".tsv", ".txt", ".json", ".jsonl")


def held_back(train: Path) -> Path | None:
    """The file beside a training file that is named like it and holds other examples: `test.csv` for `train.csv`."""
    for word in HELD_BACK:
        name = re.sub("train(ing)?", word, train.name, flags=re.IGNORECASE)
        if name != train.name and (other := train.with_name(name)).is_file():
            return other
    return None


def study_name(data: Path) -> str:
    """A valid name for a study of this file: its name without the suffixes."""
    stem = data.name.removesuffix(".gz").removesuffix(kind(data))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:60]
    return name if not name_problem(name) else "study"


def data_spec(train: Path, report: Path | None, changes: Sequence[str]) -> DataSpec:
    """The data of the new study; `changes` are `data.key=value`. ConfigError for any other key."""
    raw: dict[str, Any] = {"train": str(train), "report": str(report) if report else ""}
    for change in map(parse_override, changes):
        if len(change.keys) != 2 or change.keys[0] != "data":
            raise ConfigError(
                f"--set {change.path}: only keys of data are needed here", hint="Edit the file afterwards."
            )
        raw[change.keys[1]] = change.value
    found, problems = read_dataclass(DataSpec, raw, "data")
    if found is None or problems:
        raise ConfigError("\n".join(f"--set: {problem}" for problem in problems))
    return found


def study_template(data: DataSpec, name: str) -> Template:
    """A study file for the training and report files of `data`, whose other keys override what would be guessed.

    ConfigError if the file cannot be read or a column is ambiguous.
    """
    facts = _questions(data) if holds_questions(data) else _texts(data)
    length = max(_max_length(facts.words), LEAST_PASSAGE if facts.task == QUESTIONS else 0)
    guesses = [*facts.guesses, f"max_length = {length}: {COVERED:.0%} of the inputs should fit"]
    if not data.report:
        guesses.append("data.report is empty: name a file that no training sees before you start the study")
    return Template(_text(facts, name, length), tuple(guesses))


def clear_header(data: DataSpec) -> None:
    """Raise HeaderUnclear if only a person can say what the first row of the training file is."""
    if kind(source_file(data, "train")) not in (".csv", ".tsv", ".txt"):
        return
    table = file_table(data, "train")
    headed = table.names == table.unsure
    below = table.rows if headed else table.rows[1:]
    if table.unsure and below:
        raise HeaderUnclear(source_name(data, "train"), table.unsure, list(map(str, below[0])), headed=headed)


def holds_questions(data: DataSpec) -> bool:
    """Whether it is SQuAD JSON: classification files are JSON too."""
    if kind(source_file(data, "train")) not in (".json", ".jsonl"):
        return False
    try:
        return bool(file_questions(data, "train")[0])
    except BertDistillError:
        return False


def _questions(data: DataSpec) -> _Facts:
    rows: Sequence[QAExample] = file_questions(data, "train")[0]
    impossible = sum(row.impossible for row in rows)
    floor = 100 * impossible / len(rows)
    guess = f"{len(rows):,} questions, {impossible:,} of them without an answer"
    objectives = 'objectives = [{ metric = "f1" }, { metric = "params" }]\n'
    if impossible:
        objectives = (
            f"# Never answering scores {floor:.1f}: a student must also answer some of the answerable questions.\n"
            'objectives = [\n    { metric = "f1" },\n    { metric = "params" },\n'
            '    { metric = "has_answer_f1", threshold = 15.0, constraint = true },\n]\n'
        )
    words = tuple(len(row.context.split()) + len(row.question.split()) for row in rows)
    return _Facts(QUESTIONS, guess, data, objectives, words, (guess,))


def _texts(data: DataSpec) -> _Facts:
    source = source_name(data, "train")
    table = file_table(data, "train")
    if not table.rows:
        raise ConfigError(f"{source} contains no examples{nothing_below(table)}", hint="correct the path or the file")
    try:
        at = find_columns(table, data, source)
    except ConfigError as error:
        raise ConfigError(str(error), hint="For example --set data.label_column=NAME.") from error
    values = label_texts([row[at.label] for row in table.rows], source, data.labels)
    labels = tuple(data.labels) or found_labels(values, source)
    columns = describe(table, at)
    used = {column.use: column.name for column in columns if column.use}
    (most, count), total = Counter(values).most_common(1)[0], len(values)
    found = replace(
        data,
        text_column=used["text"],
        text_pair_column=used.get("pair", ""),
        label_column=used["label"],
        labels=list(labels) if len(labels) <= MOST_LABELS else [],
    )
    floor = round(100 * count / total, 1)
    threshold = min(99.0, floor + 1)
    unused = [column.name for column in columns if not column.use]
    guesses = (
        f"{total:,} rows: " + ", ".join(f"{use} in column {_quoted(column)}" for use, column in used.items()),
        *([f"not used: {', '.join(map(_quoted, unused))}"] if unused else []),
        f"{len(labels)} labels; always answering {_quoted(most)} is right for {floor} %",
        *table.notices,
        *half_read(table, at, source),
    )
    objectives = (
        f"# Always answering {_quoted(most)} is right for {floor} %: students at or below the threshold are of no "
        "use.\n# For rare labels use macro_f1 instead of accuracy.\n"
        f'objectives = [{{ metric = "accuracy", threshold = {threshold:.1f} }}, {{ metric = "params" }}]\n'
    )
    inputs = ([row[at.text], *([] if at.pair is None else [row[at.pair]])] for row in table.rows)
    words = tuple(sum(len(cell_text(cell).split()) for cell in cells) for cells in inputs)
    return _Facts(TEXTS, f"{total:,} texts", found, objectives, words, guesses)


def _max_length(words: Sequence[int]) -> int:
    """Tokens that cover most inputs, estimated from their words."""
    wanted = sorted(words)[int(COVERED * (len(words) - 1))] * TOKENS_A_WORD + 3
    return next((length for length in LENGTHS if length >= wanted), LENGTHS[-1])


def _quoted(value: Any) -> str:
    """As TOML writes it, without control characters and not too long for a comment."""
    return _value(str(value)[:60])


def _value(value: Any) -> str:
    return write_toml({"x": value}).removeprefix("x = ").strip()


# ---------------------------------------------------------------------------------------------------------- the text


def _text(facts: _Facts, name: str, length: int) -> str:
    data = facts.data
    report = f"report = {_value(data.report)}  # only promotions read it"
    if not data.report:
        report = 'report = ""  # required: a file of the same form that no training sees; only promotions read it'
    lines = [f"train = {_value(data.train)}  # {facts.about}", report]
    lines += [f"{key} = {_value(getattr(data, key))}" for key in COLUMNS if getattr(data, key)]
    if data.header != "auto" and kind(Path(data.train)) not in (".json", ".jsonl"):
        lines.append(f"header = {_value(data.header)}  # whether the first row names the columns")
    if data.labels:
        lines.append(f"labels = {_value(data.labels)}")
    if facts.task == QUESTIONS:
        lines.append("doc_stride = 64  # overlap of the windows of a long passage")
    lines += [
        "search_fraction = 0.1  # share of the training data held out to compare trials",
        f"max_length = {length}",
    ]
    return (
        f"# Students of a fine-tuned MiniLM for {_quoted(name)}: written from the data file, a start to be edited.\n"
        "# `bertdistill-tui engine plan` on this file says what it would cost; every key is in docs/study-file.md.\n\n"
        f"name = {_value(name)}\ntask = {_value(facts.task)}\n\n{facts.objectives}\n[data]\n"
        + "\n".join(lines)
        + _rest(_epochs(len(facts.words)))
    )


def _epochs(examples: int) -> int:
    """Passes over this many examples that make up `LEAST_STEPS`, within reason."""
    steps = max(1, examples // BATCH)
    return min(MOST_EPOCHS, max(1, round(LEAST_STEPS / steps)))


def _rest(epochs: int) -> str:
    return f"""

[teacher]
model = "nreimers/MiniLM-L6-H384-uncased"  # English; a Hub id or a folder

[teacher.fine_tune]  # the teacher is trained on this data first
epochs = {max(2, epochs)}  # 0 if it is fine-tuned already
learning_rate = 1e-4
batch_size = {BATCH}

[student]
init = "teacher"  # students are cut from the fine-tuned teacher

[settings]
batch_size = {BATCH}
epochs = {epochs}.0

[search]
layers = {{ low = 1, high = 6 }}
layer_choice = {{ choices = ["first", "even"] }}
heads = {{ low = 4, high = 12 }}
learning_rate = {{ low = 3e-5, high = 4e-4, log = true }}
alpha = {{ low = 0.0, high = 1.0 }}
temperature = {{ low = 1.0, high = 8.0 }}

[baseline]  # trial 0: as large as the teacher
layers = 6
layer_choice = "first"
heads = 12
learning_rate = 1e-4
alpha = 0.5
temperature = 2.0

[metrics]
stored = ["gflops", "latency_ratio", "latency_cpu_ms", "train_minutes"]

[budget]
trials = 20
"""
