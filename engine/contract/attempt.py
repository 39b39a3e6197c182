"""The complete input of a worker, `spec.json` in the folder of its attempt, written by the runner.

Standard library only. It decides nothing; the sections and their keys are those of `spec`.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import MOST_JSON_BYTES, open_regular, write_json
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.report import ReportOrder
from bertdistill.engine.contract.spec import (
    DataSpec,
    Device,
    FineTuneSpec,
    MemberSpec,
    PretrainSpec,
    Settings,
    StudentSpec,
    SupernetSpec,
    TeacherSpec,
    TransferSpec,
)
from bertdistill.engine.contract.terms import online


@dataclass(frozen=True)
class AttemptSpec:
    """`spec.json`: the complete input of a worker, which reads neither the study file nor the database."""

    kind: str
    study: str
    task: str
    data: DataSpec
    teacher: TeacherSpec
    student: StudentSpec
    settings: Settings
    device: Device
    caches: str
    """Absolute path of the workspace's cache folder."""
    trial: int | None = None
    attempt: int = 1
    prepared: Prepared = field(default_factory=Prepared)
    """What the preparation reported. Empty for the preparation itself."""
    resume_from: str = ""
    """Absolute path of the checkpoint to resume from; empty starts at step 0."""
    earlier: list[str] = field(default_factory=list)
    """Folders of the best checkpoints of earlier attempts, which that checkpoint may refer to."""
    paths: dict[str, str] = field(default_factory=dict)
    """On another machine than the runner's: from paths here to paths there. What is reported has the latter."""
    expected_params: int = 0
    """Expected parameter count; a model with another count is refused. 0 skips the check."""
    select_metric: str = ""
    """Metric that selects the best checkpoint."""
    select_direction: str = "maximize"
    transfer: list[TransferSpec] = field(default_factory=list)
    """Transfer sets that the preparation makes; empty if no trial may use them."""
    pretrain: list[PretrainSpec] = field(default_factory=list)
    """Texts for the pre-training of students, which the preparation collects; empty if no trial may be pre-trained."""
    supernet: SupernetSpec = field(default_factory=SupernetSpec)
    nets: list[dict[str, Any]] = field(default_factory=list)
    """Settings of the sub-networks that the preparation trains together; empty if students start from something else,
    and for any other attempt. See `families.supernet`."""
    signals: list[str] = field(default_factory=list)
    """Teacher signals that trials may need and the preparation caches. See `contract.terms`."""
    vectors: dict[str, int] = field(default_factory=dict)
    """By the value of `embedding_init`, the most units whose embeddings trials may start from."""
    units: list[str] = field(default_factory=list)
    """Units other than the teacher's that trials may read, such as words; the preparation tokenises for each."""
    vocabularies: dict[str, list[int]] = field(default_factory=dict)
    """By the value of `settings.vocabulary`, sizes that trials may have; the preparation counts tokens in them."""
    ngrams: dict[str, int] = field(default_factory=dict)
    """By the name of units, the longest n-grams of them that trials may ask for; the preparation counts them."""
    families: list[str] = field(default_factory=list)
    """Families that trials may be of."""
    importance: bool = True
    """Whether the preparation must compute head importance; a study that keeps all heads does not need it."""
    neurons: bool = False
    """Whether it must also compute the importance of feed-forward neurons; a study that keeps all does not need it."""
    projection: bool = False
    """Whether it must compute a projection of the initial model's hidden states, for students of smaller width."""
    measure: list[str] = field(default_factory=list)
    """Metrics to measure at the end besides the scores (latency_ms, throughput ...)."""
    promote: Promotion | None = None
    """What to verify and export; for kind promote only."""
    report: tuple[ReportOrder, ...] = ()
    """What to score on the report split; for kind report only."""
    version: int = 1

    @property
    def reads_teacher(self) -> bool:
        """Whether a trial loads the teacher itself, as a reference or because a term of its loss needs more of it than
        its cached signals.
        """
        return bool(online(self.settings)) or "latency_ratio" in self.measure

    def write(self, path: Path) -> None:
        """Write this spec as `spec.json`, atomically."""
        promote = self.promote.to_dict() if self.promote else {}
        write_json(path, dataclasses.asdict(dataclasses.replace(self, promote=None)) | {"promote": promote})

    @staticmethod
    def read(path: Path) -> AttemptSpec:
        """Read a spec back; ValueError if an incompatible version wrote it, ConfigError if its promotion is damaged."""
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            raw = json.loads(file.read(MOST_JSON_BYTES))
        if raw.get("version") != 1:
            raise ValueError(f"{path}: spec version {raw.get('version')!r} is not 1; restart the attempt")
        sections: dict[str, Any] = {
            "data": DataSpec,
            "teacher": TeacherSpec,
            "student": StudentSpec,
            "supernet": SupernetSpec,
            "settings": Settings,
            "device": Device,
            "prepared": Prepared,
        }
        values = {k: from_dict(sections[k], v) if k in sections else v for k, v in raw.items()}
        values["transfer"] = [TransferSpec(**one) for one in raw.get("transfer", ())]
        values["pretrain"] = [PretrainSpec(**one) for one in raw.get("pretrain", ())]
        promote, report = values.pop("promote", None), values.pop("report", ())
        return AttemptSpec(
            **values,
            promote=Promotion.from_dict(promote) if promote else None,
            report=tuple(map(ReportOrder.from_dict, report)),
        )


T = TypeVar("T")


def from_dict(cls: type[T], raw: dict[str, Any]) -> T:
    """Build one of the sections above from its JSON form."""
    if cls is Prepared:
        return Prepared.from_dict(raw)  # type: ignore[return-value]  # T is Prepared here
    values = dict(raw)
    if cls is TeacherSpec:
        values["ensemble"] = [MemberSpec(**one) for one in values.get("ensemble", ())]
        if values.get("fine_tune") is not None:
            values["fine_tune"] = FineTuneSpec(**values["fine_tune"])
    return cls(**values)
