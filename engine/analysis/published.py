"""Published points of small BERTs, for comparison: what each method kept of its own teacher's score, and how small.

Facts only, with their papers. Sizes are compression factors as the papers give them; for pruning they count non-zero
weights, so the dense model is as large as before.
"""

from __future__ import annotations

from dataclasses import dataclass

TEST, DEV = "GLUE test", "dev"


@dataclass(frozen=True)
class Published:
    """One published result."""

    method: str
    base: str
    """The model that was compressed."""
    paper: str
    """An arXiv id, or a venue."""
    data: str
    metric: str
    score: float
    compression: float
    split: str
    note: str = ""


_SPARSE = "counts non-zero weights"
_BASE, _LARGE = "BERT-base", "BERT-large"

PUBLISHED: tuple[Published, ...] = (
    Published("teacher", _BASE, "1909.11687", "SST-2", "accuracy", 93.5, 1, TEST),
    Published("teacher", _BASE, "1909.11687", "MNLI-m", "accuracy", 84.0, 1, TEST),
    Published("teacher", _BASE, "2004.02984", "CoLA", "matthews", 52.1, 1, TEST),
    Published("teacher", _BASE, "DeFormer, ACL 2020", "SQuAD 1.1", "f1", 88.5, 1, DEV),
    Published("PKD, 6 layers", _BASE, "1908.09355", "SST-2", "accuracy", 92.0, 1.64, TEST),
    Published("PKD, 3 layers", _BASE, "1908.09355", "SST-2", "accuracy", 87.5, 2.40, TEST),
    Published("PKD, 6 layers", _BASE, "1908.09355", "MNLI-m", "accuracy", 81.5, 1.64, TEST),
    Published("PKD, 3 layers", _BASE, "1908.09355", "MNLI-m", "accuracy", 76.7, 2.40, TEST),
    Published("small vocabulary, width 192", _BASE, "1909.11687", "SST-2", "accuracy", 87.1, 5.74, TEST),
    Published("dual training, width 192", _BASE, "1909.11687", "SST-2", "accuracy", 88.4, 5.74, TEST),
    Published("dual training and projection down, 192", _BASE, "1909.11687", "SST-2", "accuracy", 88.4, 5.74, TEST),
    Published("dual training and projection up, 192", _BASE, "1909.11687", "SST-2", "accuracy", 88.0, 5.74, TEST),
    Published("small vocabulary, width 96", _BASE, "1909.11687", "SST-2", "accuracy", 85.4, 19.41, TEST),
    Published("dual training and projection down, 96", _BASE, "1909.11687", "SST-2", "accuracy", 85.6, 19.41, TEST),
    Published("small vocabulary, width 48", _BASE, "1909.11687", "SST-2", "accuracy", 79.5, 61.94, TEST),
    Published("dual training and projection up, 48", _BASE, "1909.11687", "SST-2", "accuracy", 82.2, 61.94, TEST),
    Published("dual training and projection down, 192", _BASE, "1909.11687", "MNLI-m", "accuracy", 78.2, 5.74, TEST),
    Published("dual training and projection down, 96", _BASE, "1909.11687", "MNLI-m", "accuracy", 76.5, 19.41, TEST),
    Published("dual training and projection down, 48", _BASE, "1909.11687", "MNLI-m", "accuracy", 71.3, 61.94, TEST),
    Published("MobileBERT", _BASE, "2004.02984", "SST-2", "accuracy", 92.8, 4.3, TEST),
    Published("MobileBERT", _BASE, "2004.02984", "MNLI-m", "accuracy", 83.3, 4.3, TEST),
    Published("MobileBERT", _BASE, "2004.02984", "CoLA", "matthews", 50.5, 4.3, TEST),
    Published("DeFormer, 9 + 3 layers", _BASE, "DeFormer, ACL 2020", "SQuAD 1.1", "f1", 87.1, 1, DEV, "3.2 × faster"),
    Published("truncated, 6 layers", _BASE, "1908.08962", "SST-2", "accuracy", 90.7, 1.64, TEST),
    Published("pre-trained, 6 layers", _BASE, "1908.08962", "SST-2", "accuracy", 92.5, 1.64, TEST),
    Published("pre-trained distillation, 6 layers", _BASE, "1908.08962", "SST-2", "accuracy", 91.8, 1.64, TEST),
    Published("truncated, 6 layers", _BASE, "1908.08962", "MNLI-m", "accuracy", 80.4, 1.64, TEST),
    Published("pre-trained, 6 layers", _BASE, "1908.08962", "MNLI-m", "accuracy", 81.8, 1.64, TEST),
    Published("pre-trained distillation, 6 layers", _BASE, "1908.08962", "MNLI-m", "accuracy", 82.8, 1.64, TEST),
    Published("NIP, 50 %", _LARGE, "1909.12486", "SST-2", "accuracy", 91.3, 2, DEV, _SPARSE),
    Published("NIP, 80 %", _LARGE, "1909.12486", "SST-2", "accuracy", 88.7, 5, DEV, _SPARSE),
    Published("RPP, 59.3 %", _LARGE, "1909.12486", "SST-2", "accuracy", 92.4, 2.46, DEV, _SPARSE),
    Published("RPP, 88.4 %", _LARGE, "1909.12486", "SST-2", "accuracy", 90.5, 8.62, DEV, _SPARSE),
    Published("NIP, 50 %", _LARGE, "1909.12486", "SQuAD 1.1", "f1", 85.3, 2, DEV, _SPARSE),
    Published("NIP, 80 %", _LARGE, "1909.12486", "SQuAD 1.1", "f1", 75.1, 5, DEV, _SPARSE),
    Published("RPP, 59.3 %", _LARGE, "1909.12486", "SQuAD 1.1", "f1", 90.23, 2.46, DEV, _SPARSE),
    Published("RPP, 88.4 %", _LARGE, "1909.12486", "SQuAD 1.1", "f1", 81.69, 8.62, DEV, _SPARSE),
    Published("NIP, 50 %", _LARGE, "1909.12486", "SQuAD 2.0", "f1", 75.3, 2, DEV, _SPARSE),
    Published("RPP, 59.3 %", _LARGE, "1909.12486", "SQuAD 2.0", "f1", 81.3, 2.46, DEV, _SPARSE),
    Published("RPP, 88.4 %", _LARGE, "1909.12486", "SQuAD 2.0", "f1", 80.7, 8.62, DEV, _SPARSE),
)


def data_sets() -> tuple[str, ...]:
    """The data sets of published points."""
    return tuple(dict.fromkeys(one.data for one in PUBLISHED))


def points_of(data: str) -> tuple[Published, ...]:
    """The compressed models on one data set."""
    return tuple(one for one in PUBLISHED if one.data == data and one.method != "teacher")


def kept(one: Published) -> float | None:
    """Percent of the score of the model that was compressed; None if that is not published on the same split."""
    same = (one.base, one.data, one.metric, one.split)
    teachers = [p.score for p in PUBLISHED if p.method == "teacher" and (p.base, p.data, p.metric, p.split) == same]
    return 100 * one.score / teachers[0] if teachers else None
