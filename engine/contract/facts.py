"""What a preparation found out, once for all trials of a study: counts, labels, shapes, the teacher's scores, folders.

Standard library only. It reads no file. `Study.prepared` and the `prepared` of a spec.json are its JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = Mapping[str, Any]
"""Sizes of a network as its family wrote them down; only that family reads them."""


@dataclass(frozen=True)
class Prepared:
    """The facts of one preparation. Folders are absolute paths into the workspace's caches.

    A fact that the preparation did not report (it is still to come, or an older version made it) is empty.
    """

    train_examples: int = 0
    search_examples: int = 0
    train_features: int = 0
    """Training inputs: windows of passages, or texts."""
    search_features: int = 0
    mean_length: float = 0.0
    """Tokens of a training input."""
    search_digest: str = ""
    """Of the search split: a trial refuses to run on another."""
    labels: tuple[str, ...] = ()
    """Names of the classes in the order of the logits; empty where answers are spans."""
    pad_id: int = 0
    teacher_shape: Shape = field(default_factory=dict)
    init_shape: Shape = field(default_factory=dict)
    """Of the model that students start from; the teacher's when they start from scratch."""
    teacher_metrics: Mapping[str, float] = field(default_factory=dict)
    """On the search split."""
    teacher_folder: str = ""
    init_folder: str = ""
    features: Mapping[str, str] = field(default_factory=dict)
    """Folders of the tokenised splits: `train` and `search`."""
    outputs: str = ""
    """Folder of what the teacher said about the training inputs: one array a signal."""
    signals: tuple[str, ...] = ()
    """Names of those signals, see `contract.terms`."""
    importance: str = ""
    """Folder of the importance of the initial model's heads; empty when no trial asks for it."""
    weak_teacher: str = ""
    """Why the teacher has nothing to teach, in one sentence; empty when it is better than chance."""
    chance: Mapping[str, float] = field(default_factory=dict)
    """Scores on the search split of never answering, or of always naming the same label: of having learnt nothing."""
    pairs: bool | None = None
    """Whether examples are pairs of sentences; None where nobody recorded it."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return dataclasses.asdict(self) | {"labels": list(self.labels), "signals": list(self.signals)}

    @staticmethod
    def from_dict(raw: Mapping[str, Any] | None) -> Prepared:
        """From its JSON, None before the preparation; facts of a later version are passed over."""
        known = {f.name for f in dataclasses.fields(Prepared)}
        values = {name: value for name, value in (raw or {}).items() if name in known and value is not None}
        lists = {name: tuple(values.get(name, ())) for name in ("labels", "signals")}
        return Prepared(**values | lists)
