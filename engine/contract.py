"""What the runner's side and the worker's side agree on: names, settings, an attempt's spec, its folder, its events.

Standard library only, because both sides import it, one without torch and one without a database. It opens no database,
starts no process and decides nothing.

Every key of the study file that a worker is told is a dataclass field here with its help, range or choices in the
metadata (the others are in `study_spec`): the study file is validated from it, the reference in `docs/` is printed from
it, and the worker reads the very same objects. That one list of keys, with its help texts, is what makes this module
longer than 400 lines.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

TASKS = ("question-answering", "text-classification")
STUDENT_FAMILIES = ("transformer",)
ATTEMPT_KINDS = ("prepare", "trial", "promote")
SCRATCH = "scratch"
"""In place of a checkpoint: build from a configuration with random weights."""

# Exit codes of a worker. Anything else is a crash. 77 is kept for memory because a CUDA abort cannot say it in words.
EXIT_COMPLETE = 0
EXIT_CRASHED = 1
EXIT_STOPPED = 75
EXIT_DIVERGED = 76
EXIT_OUT_OF_MEMORY = 77
EXIT_REFUSED = 78
"""The spec can never work (missing file, unfit vocabulary): retrying is useless, the message is in the last notice."""


def key(default: Any = MISSING, *, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    """Declare one key of the study file: its default, its help text and its inclusive range."""
    metadata = {"help": help, "low": low, "high": high, **more}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


# ------------------------------------------------------------------------------------------------ what a person types


@dataclass(frozen=True)
class DataSpec:
    """`[data]`: where the examples come from and how they are cut."""

    hub: str = key("", help="Data set id on the Hugging Face hub, instead of files.")
    hub_config: str = key("", help="Configuration name of the hub data set.")
    train_split: str = key("train", help="Hub split to train on; the search split is cut from it.")
    report_split: str = key("validation", help="Hub split for the report; only a promotion reads it.")
    train: str = key("", help="Local training file: SQuAD JSON, or CSV, TSV, JSONL, or text;label lines.")
    report: str = key("", help="Local report file; only a promotion reads it.")
    search_fraction: float = key(
        0.1, help="Share of the training data cut off to drive the search.", low=0.005, high=0.5
    )
    split_seed: int = key(13, help="Seed of that cut (whole articles for question answering).", low=0)
    max_train_examples: int = key(0, help="Use at most this many training examples; 0 uses all.", low=0)
    max_search_examples: int = key(0, help="Use at most this many search examples; 0 uses all.", low=0)
    max_report_examples: int = key(0, help="Use at most this many report examples; 0 uses all.", low=0)
    max_length: int = key(384, help="Longest input in tokens.", low=8, high=8192)
    doc_stride: int = key(128, help="Tokens by which neighbouring windows of a passage overlap.", low=0)
    max_question_length: int = key(64, help="Longest question in tokens; the rest is cut.", low=4)
    max_answer_length: int = key(30, help="Longest answer span in tokens.", low=1)
    n_best: int = key(20, help="Candidate spans kept for each window.", low=1, high=200)
    text_column: str = key("", help="Column of the (first) sentence; empty finds the usual names.")
    text_pair_column: str = key("", help="Column of the second sentence, for sentence pairs.")
    label_column: str = key("", help="Column of the label; empty finds the usual names.")
    labels: list[str] = key([], help="Label names in order; empty takes them, sorted, from the training data.")


@dataclass(frozen=True)
class FineTuneSpec:
    """`[teacher.fine_tune]`: train the teacher on this task first."""

    epochs: float = key(2.0, help="Passes over the training data.", low=0.01, high=1000)
    learning_rate: float = key(3e-5, help="Peak learning rate.", low=1e-8, high=1)
    batch_size: int = key(16, help="Examples a step.", low=1)
    warmup_fraction: float = key(0.1, help="Share of the steps in which the learning rate rises.", low=0, high=1)
    weight_decay: float = key(0.01, help="AdamW weight decay; none for bias and LayerNorm.", low=0, high=1)
    max_grad_norm: float = key(1.0, help="Gradient norm is clipped to this; 0 clips nothing.", low=0)
    dropout: float = key(0.1, help="Dropout of the teacher while it is trained.", low=0, high=1)
    seed: int = key(42, help="Seed of order, dropout and new weights.", low=0)


@dataclass(frozen=True)
class TeacherSpec:
    """`[teacher]`: the model whose outputs the students learn."""

    model: str = key(help='Hub id or folder of an encoder, or "scratch".')
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    layers: int = key(2, help="From scratch: number of layers.", low=1, high=48)
    hidden_size: int = key(128, help="From scratch: width.", low=8, high=4096)
    ffn_size: int = key(512, help="From scratch: width of the feed-forward part.", low=8, high=16384)
    head_size: int = key(64, help="From scratch: width of one attention head; divides hidden_size.", low=4, high=512)
    vocab_size: int = key(30522, help="From scratch: entries of the WordPiece vocabulary trained on the data.", low=64)
    initializer_range: float = key(0.02, help="From scratch: standard deviation of new weights.", low=1e-4, high=1)
    batch_size: int = key(32, help="Examples at once when its outputs are written.", low=1)
    fine_tune: FineTuneSpec | None = key(None, help="Train the teacher first; a scratch teacher needs it.")


@dataclass(frozen=True)
class StudentSpec:
    """`[student]`: where students get their first weights."""

    family: str = key("transformer", help="Family of models.", choices=STUDENT_FAMILIES)
    init: str = key("teacher", help='Hub id or folder to start from, "teacher", or "scratch".')
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    importance_examples: int = key(1024, help="Training examples on which head importance is computed once.", low=1)


@dataclass(frozen=True)
class Settings:
    """`[settings]`: everything that makes one trial; each key may be fixed here or searched in `[search]`.

    A test proves that the worker reads every one of them: a searched parameter that nothing uses cannot exist.
    """

    layers: int = key(0, help="Layers of the student; 0 keeps all of the initial model.", low=0, high=48)
    layer_choice: str = key("first", help="Which layers are kept.", choices=("first", "even", "list"))
    layer_list: list[int] = key(
        [], help="For layer_choice = list: indices of the kept layers, from 0.", searchable=False
    )
    heads: int = key(0, help="Attention heads left in every layer; 0 keeps all.", low=0, high=128)
    head_choice: str = key("importance", help="Which heads are kept.", choices=("random", "importance"))
    head_seed: int = key(1, help="Seed of the random choice of heads.", low=0)
    hidden_size: int = key(0, help="From scratch: width; 0 takes the teacher's.", low=0, high=4096)
    ffn_size: int = key(0, help="From scratch: feed-forward width; 0 is four times hidden_size.", low=0, high=16384)
    head_size: int = key(64, help="From scratch: width of one head; divides hidden_size.", low=4, high=512)
    dropout: float = key(0.1, help="Dropout after embeddings, attention and feed-forward.", low=0, high=0.9)
    attention_dropout: float = key(0.1, help="Dropout of attention weights.", low=0, high=0.9)
    classifier_dropout: float = key(0.1, help="Dropout before the task head.", low=0, high=0.9)
    initializer_range: float = key(0.02, help="Standard deviation of new weights.", low=1e-4, high=1)
    alpha: float = key(0.5, help="Weight of the soft loss; the hard loss gets 1 - alpha.", low=0, high=1)
    temperature: float = key(2.0, help="Temperature of both softmaxes in the soft loss.", low=0.1, high=100)
    learning_rate: float = key(5e-5, help="Peak learning rate.", low=1e-8, high=1)
    beta_1: float = key(0.9, help="AdamW first moment decay.", low=0, high=0.99999)
    beta_2: float = key(0.999, help="AdamW second moment decay.", low=0, high=0.999999)
    adam_epsilon: float = key(1e-8, help="AdamW epsilon.", low=1e-12, high=1e-2)
    weight_decay: float = key(0.01, help="AdamW weight decay; none for bias and LayerNorm.", low=0, high=1)
    warmup_fraction: float = key(0.1, help="Share of the steps in which the learning rate rises.", low=0, high=1)
    max_grad_norm: float = key(1.0, help="Gradient norm is clipped to this; 0 clips nothing.", low=0)
    batch_size: int = key(16, help="Examples a step and device pass.", low=1, high=4096)
    accumulation: int = key(1, help="Passes added up before one optimiser step.", low=1, high=4096)
    epochs: float = key(3.0, help="Passes over the training data.", low=0.001, high=1000)
    seed: int = key(42, help="Seed of order, dropout and new weights.", low=0)
    precision: str = key(
        "auto", help="Arithmetic; auto takes bf16 where the hardware has it.", choices=("auto", "fp32", "bf16")
    )
    evaluations: int = key(4, help="Evaluations on the search split, evenly spaced in examples seen.", low=1, high=1000)
    checkpoint_minutes: float = key(
        10.0, help="Also write the last checkpoint this often.", low=0.01, high=1440, searchable=False
    )


SEARCHABLE = tuple(f.name for f in dataclasses.fields(Settings) if f.metadata.get("searchable", True))


# ---------------------------------------------------------------------------------------------------------- metrics


@dataclass(frozen=True)
class Metric:
    """A number that a trial ends with. `known_before` says that it follows from the settings alone."""

    name: str
    help: str
    direction: Literal["maximize", "minimize"]
    unit: str = ""
    decimals: int = 2
    tasks: tuple[str, ...] = TASKS
    known_before: bool = False
    signed: bool = False
    """It may be negative, so one value of it is never a share of another."""


_QA, _CLS = TASKS[:1], TASKS[1:]
_METRICS = (
    Metric("exact", "questions answered with a gold text, after the official normalisation", "maximize", "%", 2, _QA),
    Metric("f1", "mean token overlap with the best gold text", "maximize", "%", 2, _QA),
    Metric("has_answer_exact", "exact over the answerable questions", "maximize", "%", 2, _QA),
    Metric("has_answer_f1", "f1 over the answerable questions", "maximize", "%", 2, _QA),
    Metric("no_answer_exact", "share of unanswerable questions left unanswered", "maximize", "%", 2, _QA),
    Metric("no_answer_f1", "the same as no_answer_exact, as the official script prints it", "maximize", "%", 2, _QA),
    Metric("null_threshold", "abstention threshold tuned on the search split", "minimize", "", 3, _QA, signed=True),
    Metric("accuracy", "share of right labels", "maximize", "%", 2, _CLS),
    Metric("macro_f1", "unweighted mean of the F1 of every label", "maximize", "%", 2, _CLS),
    Metric("matthews", "Matthews correlation, times 100", "maximize", "%", 2, _CLS, signed=True),
    Metric("search_loss", "mean hard loss on the search split", "minimize", "", 4),
    Metric("params", "parameters of the whole student, embeddings and head included", "minimize", "", 0, TASKS, True),
    Metric("encoder_params", "parameters of the layers, without embeddings and head", "minimize", "", 0, TASKS, True),
    Metric("size_mb", "weights in fp32, in 10^6 bytes", "minimize", "MB", 1, TASKS, True),
    Metric("gflops", "10^9 operations of one example of mean length", "minimize", "GFLOP", 3, TASKS, True),
    Metric("latency_ms", "median time of one example, one CPU thread, fp32", "minimize", "ms", 2),
    Metric("latency_p95_ms", "95th percentile of the same", "minimize", "ms", 2),
    Metric("throughput", "examples a second in batches on the trial's device", "maximize", "/s", 1),
    Metric("train_minutes", "time spent training, evaluations included", "minimize", "min", 2),
    Metric("peak_memory_mb", "largest memory of the worker (GPU memory on a GPU)", "minimize", "MB", 0),
)  # fmt: skip
METRICS: dict[str, Metric] = {metric.name: metric for metric in _METRICS}
SCORES: dict[str, tuple[str, ...]] = {
    "question-answering": (
        "exact",
        "f1",
        "has_answer_exact",
        "has_answer_f1",
        "no_answer_exact",
        "no_answer_f1",
        "null_threshold",
    ),
    "text-classification": ("accuracy", "macro_f1", "matthews"),
}
"""What scoring a set of predictions yields, by task; the first is the one that picks the best checkpoint by default."""
PREDICTIONS = "predictions.json"
"""In a best checkpoint: id of every example of the search split to its answer ("" abstains) or label."""
STARTS = "starts.json"
"""Beside it: id of every question that was answered to the character of its passage at which the answer begins."""


# ------------------------------------------------------------------------------------------------- the attempt's folder


@dataclass(frozen=True)
class RunPaths:
    """Every path of one attempt. `folder` is made by the launcher's caller before the attempt starts."""

    folder: Path

    @property
    def spec(self) -> Path:
        return self.folder / "spec.json"

    @property
    def events(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def lock(self) -> Path:
        """Held by the shim and every process below it; free means that the device is free."""
        return self.folder / "lock"

    @property
    def state(self) -> Path:
        """Who runs here: host, boot id, pids with start times. Only for signals."""
        return self.folder / "state.json"

    @property
    def exit(self) -> Path:
        """How it ended, written once by the shim; its presence means that the attempt is over."""
        return self.folder / "exit.json"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def last(self) -> Path:
        """Link to the newest checkpoint: weights, optimiser and position."""
        return self.checkpoints / "last"

    @property
    def best(self) -> Path:
        """Link to the checkpoint with the best score on the search split: weights only."""
        return self.checkpoints / "best"

    @property
    def predictions(self) -> Path:
        """Of a promotion: predictions on the report split. Those of a trial lie in its best checkpoint."""
        return self.folder / PREDICTIONS


@dataclass(frozen=True)
class Device:
    """What an attempt may use: CPU threads, or one GPU by UUID and the share of its memory."""

    kind: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    uuid: str = ""
    memory_fraction: float = 1.0


@dataclass(frozen=True)
class AttemptSpec:
    """`spec.json`: all that a worker is told. Complete: the worker reads no study file and no database."""

    kind: str
    study: str
    task: str
    data: DataSpec
    teacher: TeacherSpec
    student: StudentSpec
    settings: Settings
    device: Device
    caches: str
    """Absolute folder of the workspace's caches."""
    trial: int | None = None
    attempt: int = 1
    prepared: dict[str, Any] = field(default_factory=dict)
    """Study.prepared: the facts that the prepare attempt reported. Empty for the prepare attempt itself."""
    resume_from: str = ""
    """Absolute folder of a checkpoint to go on from; empty starts at step 0."""
    expected_params: int = 0
    """Parameter count promised before training; a different model is refused. 0 promises nothing."""
    select_metric: str = ""
    """Metric that decides which checkpoint is the best."""
    select_direction: str = "maximize"
    importance: bool = True
    """Whether the preparation has to compute head importance: no study that keeps all heads needs it."""
    measure: list[str] = field(default_factory=list)
    """Metrics beyond the scores that are wanted at the end (latency_ms, throughput ...)."""
    promote: dict[str, Any] = field(default_factory=dict)
    """Only for kind promote: checkpoint, target folder, name, version, recorded metrics, bootstrap samples."""
    version: int = 1

    def write(self, path: Path) -> None:
        """Write this spec as `spec.json`, atomically."""
        write_json(path, dataclasses.asdict(self))

    @staticmethod
    def read(path: Path) -> AttemptSpec:
        """Read a spec back; raises ValueError when it was written by an incompatible version."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw.get("version") != 1:
            raise ValueError(f"{path}: spec version {raw.get('version')!r} is not 1; start the attempt again")
        sections: dict[str, Any] = {
            "data": DataSpec,
            "teacher": TeacherSpec,
            "student": StudentSpec,
            "settings": Settings,
            "device": Device,
        }
        return AttemptSpec(**{k: from_dict(sections[k], v) if k in sections else v for k, v in raw.items()})


T = TypeVar("T")


def from_dict(cls: type[T], raw: dict[str, Any]) -> T:
    """Build one of the sections above from its JSON form."""
    values = dict(raw)
    if cls is TeacherSpec and values.get("fine_tune") is not None:
        values["fine_tune"] = FineTuneSpec(**values["fine_tune"])
    return cls(**values)


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that the file is absent, old or complete: temporary name, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -------------------------------------------------------------------------------------------------------------- events

# One JSON object a line; "k" is the kind and "t" the Unix time. Further fields by kind:
STARTED = "started"
"""pid, device, params, steps (total optimiser steps), examples (total), versions {package: version}"""
METRICS_LOGGED = "metrics"
"""step (optimiser step), values {series name: float}; names are `train/…` and `search/…`; `examples` is one of them"""
PROGRESS = "progress"
"""phase (text), done, total, rate (units a second) and unit (examples, windows, steps)"""
CHECKPOINT = "checkpoint"
"""role (best, last), step, folder (absolute, real), sha256 (of model.safetensors), size_bytes, metrics {name: float}"""
RESULT = "result"
"""metrics {name: float} for a trial or promotion; for prepare also facts {…} that the study keeps"""
NOTICE = "notice"
"""level (info, warning, error), text"""
ENDED = "ended"
"""status (complete, stopped, infeasible, refused, failed), reason (short class), detail (sentence)"""
EVENT_KINDS = (STARTED, METRICS_LOGGED, PROGRESS, CHECKPOINT, RESULT, NOTICE, ENDED)

MAX_SERIES = 2000
"""Distinct series an attempt may report; more are dropped and counted, so a mistake cannot fill the database."""


class EventWriter:
    """Append events to `events.jsonl`: one write(2) a line, nothing buffered, so a kill loses no completed line."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")  # close the torn line of a process that died here before

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event. Non-finite numbers become null: JSON has no NaN and SQLite would store NULL anyway."""
        event = {"k": kind, "t": round(time.time(), 3), **fields}
        try:
            line = json.dumps(event, allow_nan=False, separators=(",", ":"))
        except ValueError:
            line = json.dumps(_finite(event), allow_nan=False, separators=(",", ":"))
        os.write(self._descriptor, line.encode() + b"\n")

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Append the values of one step."""
        self.emit(METRICS_LOGGED, step=step, values=values)

    def close(self) -> None:
        os.close(self._descriptor)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, (list, tuple)) else value


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event in one line, or None when the line is not one of ours (the caller counts those)."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or event.get("k") not in EVENT_KINDS or not isinstance(event.get("t"), (int, float)):
        return None
    return event
