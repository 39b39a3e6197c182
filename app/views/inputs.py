"""What a study would read, checked before it starts: existing files and model folders, columns, labels.

It reads the data files as the worker will (`engine.data`) and loads no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bertdistill.app.views.pretrain_plan import Lengths, pretrain_lengths
from bertdistill.app.views.program_inputs import program_problems
from bertdistill.app.views.transfer_inputs import Known, TransferRows, transfer_rows
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.columns import Column, Columns, describe, find_columns, half_read, text_cells
from bertdistill.engine.data.files import did_you_mean, source_name
from bertdistill.engine.data.labels import found_labels, label_indices, label_texts
from bertdistill.engine.data.questions import QAExample, file_questions
from bertdistill.engine.data.tables import Table, file_table, nothing_below
from bertdistill.engine.data.unlabelled import Text
from bertdistill.engine.families.folders import check_folder
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.student import possible, wanted_pretrain
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store.errors import BertDistillError

MODEL_FILES = {
    "configuration": ("config.json",),
    "weights that can be read": ("*.safetensors",),
    "tokenizer": ("tokenizer.json", "vocab.txt", "vocab.json"),
}
"""What a folder must hold to start a study from it: one file of each line. Pickled weights are never read."""

Length = tuple[int, int | None]
"""Characters of a passage or text, and of the question."""


@dataclass(frozen=True)
class Inputs:
    """What the local data files hold; empty when the data is on the hub."""

    lengths: tuple[Length, ...] = ()
    """Of every training example."""
    columns: tuple[Column, ...] = ()
    """Of the training file; a SQuAD file has none."""
    labels: tuple[str, ...] = ()
    notices: tuple[str, ...] = field(default=())
    known: Known = field(default_factory=Known)
    """What transfer sets and files for pre-training are compared with."""
    transfer: tuple[TransferRows, ...] = ()
    """A row for each table of the transfer set."""
    pretrain: tuple[Lengths | None, ...] = ()
    """The lengths of the texts of each table for pre-training, if any trial is pre-trained."""


def missing_inputs(spec: StudySpec) -> list[str]:
    """A sentence for every local file, folder or program that is missing or incomplete. It opens no file."""
    if spec.program is not None:
        return list(program_problems(spec))
    found = (*_models(spec), *_outputs(spec), *_files(spec.data), *_transfer(spec), *_pretrain(spec))
    return [problem for problem in found if problem]


def read_inputs(spec: StudySpec) -> Inputs:
    """Read the local files of the study as its preparation will; ConfigError with a line for every problem."""
    problems = missing_inputs(spec)
    found, more = (Inputs(), []) if problems or spec.program is not None else _read(spec)
    if problems or more:
        raise ConfigError("\n".join([*problems, *more]))
    return found


def _models(spec: StudySpec) -> Iterator[str]:
    for key, model in dict.fromkeys(_named_models(spec)):
        folder = Path(model)
        if not folder.is_absolute():  # a hub id, or a word; paths were made absolute when the file was read
            continue
        if not folder.is_dir():
            yield f"{key} = {model!r} is not a folder. Correct the path, or give a hub id."
            continue
        for what, patterns in MODEL_FILES.items():
            if not any(any(folder.glob(pattern)) for pattern in patterns):
                yield (
                    f"{key} = {model!r} has no {what}: no {' or '.join(patterns)}. Give a folder with a saved "
                    "model with its tokenizer, weights as safetensors."
                )


def _named_models(spec: StudySpec) -> list[tuple[str, str]]:
    """(key, hub id, folder or word) of every model of the study."""
    members = [(f"teacher.ensemble.{n}.model", one.model) for n, one in enumerate(spec.teacher.ensemble)]
    return [("teacher.model", spec.teacher.model), *members, ("student.init", spec.student.init)]


def _outputs(spec: StudySpec) -> Iterator[str]:
    members = [(f"teacher.ensemble.{n}.outputs", one.outputs) for n, one in enumerate(spec.teacher.ensemble)]
    for key, path in (("teacher.outputs", spec.teacher.outputs), *members):
        if path and not Path(path).is_file():
            yield f"{key} = {path} is not a file. Correct the path."


def _files(data: DataSpec) -> Iterator[str]:
    if not data.train:
        return
    train, report = Path(data.train), Path(data.report)
    if not train.is_file():
        yield f"data.train = {train} is not a file. {did_you_mean(train) or 'Correct the path.'}"
    if not report.is_file():
        near = (did_you_mean(report) if data.report else "") or "Correct the path."
        yield f"data.report = {report} is not a file. {near} A promotion needs it."
    elif train.is_file() and report.samefile(train):
        yield f"data.report = {report} is the training file under another name. Use different data for the report."


def _transfer(spec: StudySpec) -> Iterator[str]:
    report = Path(spec.data.report)
    for index, table in enumerate(spec.transfer):
        path = Path(table.path)
        if table.kind == "file" and not path.is_file():
            yield f"transfer.{index}.path = {path} is not a file. {did_you_mean(path) or 'Correct the path.'}"
        elif table.kind == "file" and spec.data.report and report.is_file() and path.samefile(report):
            yield f"transfer.{index}.path = {path} is the report file under another name. Use other texts."


def _pretrain(spec: StudySpec) -> Iterator[str]:
    report = Path(spec.data.report)
    for index, table in enumerate(wanted_pretrain(spec)):
        path = Path(table.path)
        if table.kind == "file" and not path.is_file():
            yield f"pretrain.{index}.path = {path} is not a file. {did_you_mean(path) or 'Correct the path.'}"
        elif table.kind == "file" and spec.data.report and report.is_file() and path.samefile(report):
            yield f"pretrain.{index}.path = {path} is the report file under another name. Use other texts."


def _read(spec: StudySpec) -> tuple[Inputs, list[str]]:
    problems: list[str] = []
    found = Inputs()
    for key, model in _named_models(spec):
        if Path(model).is_absolute():
            try:
                check_folder(Path(model), f"{key} = {model!r}")
            except BertDistillError as error:
                problems.append(_sentence(error))
    if spec.data.train:
        try:
            found = (_questions if TASKS[spec.task].spans else _texts)(spec.data)
        except BertDistillError as error:
            problems.append(_sentence(error))
        if found.columns and not found.known.paired:
            problems += _separated(spec)
    known = found.known if spec.data.train else Known(labels=spec.data.labels, paired=bool(spec.data.text_pair_column))
    transfer: list[TransferRows] = []
    for index, table in enumerate(spec.transfer):
        try:
            transfer.append(transfer_rows(table, f"transfer.{index}", spec.data, known))
        except BertDistillError as error:
            problems.append(_sentence(error))
    lengths: list[Lengths | None] = []
    for index, texts in enumerate(wanted_pretrain(spec)):
        try:
            lengths.append(pretrain_lengths(spec, index, texts, known, transfer))
        except BertDistillError as error:
            problems.append(_sentence(error))
    notices = tuple(one.notice for one in transfer if one.notice)
    return replace(
        found, transfer=tuple(transfer), pretrain=tuple(lengths), notices=(*found.notices, *notices)
    ), problems


def _sentence(error: BertDistillError) -> str:
    return f"{error}. {error.hint[:1].upper()}{error.hint[1:]}." if error.hint else str(error)


def _separated(spec: StudySpec) -> Iterator[str]:
    """Wherever a study on single sentences asks for separate layers: each of these trials would be refused."""
    key, family = "separate_layers", TRANSFORMER.name
    tables: dict[str, Any] = {"settings": vars(spec.settings)}
    tables |= {f"settings.{name}": table for name, table in spec.family_settings.items() if name == family}
    tables |= {f"recipes.{name}": own for name, own in spec.recipes.items() if own.get("family", family) == family}
    tables["baseline"] = spec.baseline or {}
    named = [f"{table}.{key}" for table, own in tables.items() if own.get(key)]
    named += [f"search.{one.name}" for one in spec.search if one.key == key and one.applies(family)]
    for name in named if family in possible(spec, "family") else ():
        yield (
            f"{name} separates the two segments of an input, but data.train = {spec.data.train} has one sentence per "
            "example. Remove it, or name the column of the second sentence in data.text_pair_column."
        )


def _questions(data: DataSpec) -> Inputs:
    rows, notices = file_questions(data, "train")
    if not rows:
        raise ConfigError(f"{source_name(data, 'train')} contains no examples", hint="correct the path or the file")
    report, more = file_questions(data, "report")
    known = Known(_read_texts(rows), _read_texts(report))
    lengths = tuple((len(row.context), len(row.question)) for row in rows)
    return Inputs(lengths, notices=(*notices, *more), known=known)


def _read_texts(rows: Sequence[QAExample]) -> list[Text]:
    """Each passage once, and the questions."""
    return [
        *((text, None) for text in dict.fromkeys(row.context for row in rows)),
        *((row.question, None) for row in rows),
    ]


def _texts(data: DataSpec) -> Inputs:
    train, report = file_table(data, "train"), file_table(data, "report")
    for table, part in ((train, "train"), (report, "report")):
        if not table.rows:
            raise ConfigError(
                f"data.{part} = {getattr(data, part)} contains no examples{nothing_below(table)}",
                hint="correct the path or the file",
            )
    source = source_name(data, "train")
    at = find_columns(train, data, source)
    labels = label_texts([row[at.label] for row in train.rows], source, data.labels)
    names = tuple(data.labels) or found_labels(labels, source)
    label_indices(labels, names, source, positions=bool(data.labels))
    reported = _check_report(data, report, names, paired=at.pair is not None)
    texts = _cells(train, at, source)
    return Inputs(
        tuple((sum(len(side) for side in text if side), None) for text in texts),
        tuple(describe(train, at)),
        names,
        (*train.notices, *half_read(train, at, source), *report.notices),
        Known(texts, reported, names, at.pair is not None),
    )


def _cells(table: Table, at: Columns, source: str) -> list[Text]:
    texts = text_cells(table, at.text, source, "data.text_column")
    if at.pair is None:
        return [(text, None) for text in texts]
    return [*zip(texts, text_cells(table, at.pair, source, "data.text_pair_column"), strict=True)]


def _check_report(data: DataSpec, report: Table, names: tuple[str, ...], *, paired: bool) -> list[Text]:
    """Its texts."""
    source = source_name(data, "report")
    at = find_columns(report, data, source)
    labels = label_texts([row[at.label] for row in report.rows], source, names)
    label_indices(labels, names, source, positions=bool(data.labels))
    if paired != (at.pair is not None):
        raise ConfigError(
            f"{source} has {'one sentence' if paired else 'two sentences'} per example, unlike the training "
            "data. Set data.text_column and data.text_pair_column to columns of both."
        )
    return _cells(report, at, source)
