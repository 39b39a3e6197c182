"""What a worker is told: every key of a study file that reaches it, and the spec of an attempt, `spec.json`.

Standard library only, because both sides import it, one without torch and one without a database. It starts no process
and decides nothing.

Every key of the study file that a worker is told is a dataclass field here with its help, range or choices in the
metadata (the others are in `study_spec`): the study file is validated from it, the reference in `docs/` is printed from
it, and the worker reads the very same objects.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import MOST_JSON_BYTES, open_regular, write_json

ATTEMPT_KINDS = ("prepare", "trial", "promote")
SCRATCH = "scratch"
"""In place of a checkpoint: build from a configuration with random weights."""


def key(default: Any = MISSING, *, help: str, low: float | None = None, high: float | None = None, **more: Any) -> Any:
    """Declare one key of the study file: its default, its help text and its inclusive range."""
    metadata = {"help": help, "low": low, "high": high, **more}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


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
    n_best: int = key(
        20,
        help="Start tokens tried in each window, each with every end in reach.",
        low=1,
        high=200,
    )
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
    warmup_fraction: float = key(
        0.1, help="Share of the steps in which the learning rate rises linearly from 0.", low=0, high=1
    )
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

    init: str = key("teacher", help='Hub id or folder to start from, "teacher", or "scratch".')
    revision: str = key("", help="Hub revision (commit hash) to pin.")
    importance_examples: int = key(1024, help="Training examples on which head importance is computed once.", low=1)


@dataclass(frozen=True)
class Settings:
    """`[settings]`: everything that makes one trial; each key may be fixed here or searched in `[search]`.

    A test proves that the worker reads every one of them: a searched parameter that nothing uses cannot exist.
    """

    family: str = key("transformer", help="Family of the student: what kind of network it is.")
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
    warmup_fraction: float = key(
        0.1, help="Share of the steps in which the learning rate rises linearly from 0.", low=0, high=1
    )
    max_grad_norm: float = key(1.0, help="Gradient norm is clipped to this; 0 clips nothing.", low=0)
    batch_size: int = key(16, help="Examples a step and device pass.", low=1, high=4096)
    accumulation: int = key(
        1, help="Batches accumulated before one optimiser step, averaged over their examples.", low=1, high=4096
    )
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
    prepared: Prepared = field(default_factory=Prepared)
    """What the preparation reported. Empty for the preparation itself."""
    resume_from: str = ""
    """Absolute folder of a checkpoint to go on from; empty starts at step 0."""
    expected_params: int = 0
    """Parameter count promised before training; a different model is refused. 0 promises nothing."""
    select_metric: str = ""
    """Metric that decides which checkpoint is the best."""
    select_direction: str = "maximize"
    signals: list[str] = field(default_factory=list)
    """What trials may read of the teacher: the preparation caches it. See `contract.terms`."""
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
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            raw = json.loads(file.read(MOST_JSON_BYTES))
        if raw.get("version") != 1:
            raise ValueError(f"{path}: spec version {raw.get('version')!r} is not 1; start the attempt again")
        sections: dict[str, Any] = {
            "data": DataSpec,
            "teacher": TeacherSpec,
            "student": StudentSpec,
            "settings": Settings,
            "device": Device,
            "prepared": Prepared,
        }
        return AttemptSpec(**{k: from_dict(sections[k], v) if k in sections else v for k, v in raw.items()})


T = TypeVar("T")


def from_dict(cls: type[T], raw: dict[str, Any]) -> T:
    """Build one of the sections above from its JSON form."""
    if cls is Prepared:
        return Prepared.from_dict(raw)  # type: ignore[return-value]  # T is Prepared here
    values = dict(raw)
    if cls is TeacherSpec and values.get("fine_tune") is not None:
        values["fine_tune"] = FineTuneSpec(**values["fine_tune"])
    return cls(**values)
