"""The results of a preparation, shared by all trials of a study: counts, labels, shapes, teacher scores, folders.

Standard library only. It reads no files. `Study.prepared` and `prepared` in spec.json hold its JSON form.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Shape = Mapping[str, Any]
"""Sizes of a network in the form its family defines; only that family interprets them."""
INIT_UNITS = "init"
"""Name of the units of `student.init`, if its tokenizer is not the teacher's."""


@dataclass(frozen=True)
class NGramCounts:
    """The n-grams of texts, counted once for the students that use them as features."""

    at_least: tuple[tuple[int, ...], ...] = ()
    """For n-grams of 1, 2 … units: how many occur in at least 1, 2 … of the texts."""
    texts: int = 0
    folder: str = ""
    """Where they are, with their counts; see `distill.families.ngrams`. Empty if no trial can ask for them."""


@dataclass(frozen=True)
class Units:
    """How one tokenizer reads the texts: the teacher's, or one of words. For students that only read units (ids)."""

    vocabulary: int = 0
    """Distinct units of the labelled training texts plus two, for padding and for unknown units."""
    whole_vocabulary: int = 0
    """The same with the units of the transfer set."""
    size: int = 0
    """Number of ids of the tokenizer."""
    mean_length: float = 0.0
    """Mean number of units per labelled training text, special ones included."""
    pad_id: int = 0
    separator_id: int = -1
    """Ends a text of a pair; -1 if the tokenizer has none."""
    special_ids: tuple[int, ...] = ()
    """Ids that no text contains, such as padding, separators and masks, but not that of unknown units."""
    tokenizer: str = ""
    """Folder of the tokenizer."""
    vectors: Mapping[str, str] = field(default_factory=dict)
    """By the value of `settings.embedding_init`, the folder of the teacher's embeddings of the most frequent units."""
    vector_size: int = 0
    """Size of these embeddings."""
    frequent: str = ""
    """Folder of the ids in the labelled training texts, most frequent first, then those that only the transfer set
    has; see `distill.data.units`."""
    ngrams: NGramCounts = NGramCounts()
    """Of the labelled training texts."""
    whole_ngrams: NGramCounts = NGramCounts()
    """Of these and the transfer set."""


@dataclass(frozen=True)
class Member:
    """A further model of an ensemble, as far as its size and cost follow from it."""

    shape: Shape
    params: int
    mean_length: float
    """Mean number of tokens per training input, in its own tokens."""


@dataclass(frozen=True)
class Pieces:
    """The pieces that a smaller vocabulary is made of, the first `vocab_size` of them, and how long texts get."""

    least: int = 0
    """The smallest vocabulary: special tokens and characters, without which words would become unknown."""
    labelled: int = 0
    """The largest one for training on the labelled texts: every piece that they hold."""
    whole: int = 0
    """The same with the transfer set."""
    lengths: tuple[tuple[int, float], ...] = ()
    """(entries, mean number of tokens per training input), ascending; the last is the largest vocabulary."""

    def mean_length(self, entries: int) -> float:
        """Mean number of tokens per training input: exact where it was counted, else interpolated."""
        return _interpolated(self.lengths, entries)


@dataclass(frozen=True)
class Vocabulary:
    """The vocabulary of the model that transformers start from, and the smaller ones that trials may have instead."""

    size: int = 0
    """Its entries; 0 if an older version prepared the study, for which `vocab_size` meant nothing to transformers."""
    tokenizer: str = ""
    """Folder of its tokenizer."""
    refused: str = ""
    """Why it cannot be made smaller; empty if it can."""
    kinds: Mapping[str, Pieces] = field(default_factory=dict)
    """By the value of `settings.vocabulary`; only those that trials may ask for."""
    pieces: str = ""
    """Folder of these pieces; see `distill.data.pieces`."""
    transfer: str = ""
    """Folder of the texts of the transfer set, which trials tokenise again."""


@dataclass(frozen=True)
class Corpus:
    """The texts on which students are pre-trained as masked language models."""

    folder: str = ""
    """Where they are; see `distill.data.corpus_file`. Empty if no trial may be pre-trained."""
    texts: int = 0
    characters: int = 0


@dataclass(frozen=True)
class Supernet:
    """The training that students share before their own."""

    folder: str = ""
    """Its result, a model of the teacher's shape, which `Prepared.init_folder` then is too; empty if there is none."""
    seconds: float = 0.0
    """Time that its training took."""
    layers: tuple[tuple[int, ...], ...] = ()
    """Layers of the sub-networks that start from it; all others start from `alone_folder`."""
    ruined: tuple[tuple[int, ...], ...] = ()
    """Those that were trained with it and that the screening found far below what their depth should have."""
    alone_folder: str = ""
    """The model that it started from."""
    screened: str = ""
    """Folder of the scores of sub-networks; empty if none was evaluated."""


@dataclass(frozen=True)
class Prepared:
    """The facts of one preparation. Folders are absolute paths into the workspace's caches.

    A fact that the preparation has not reported (it is still running, or was done by an older version) is empty.
    """

    train_examples: int = 0
    search_examples: int = 0
    train_features: int = 0
    """Training inputs with labels: windows of passages, or texts."""
    transfer_features: int = 0
    """Texts of the transfer set. They follow the labelled ones in the features and the teacher's outputs."""
    search_features: int = 0
    mean_length: float = 0.0
    """Mean number of tokens per training input."""
    search_digest: str = ""
    """Digest of the validation split: a trial refuses to run on a different one."""
    split: str = ""
    """Folder of the validation split itself, as it was cut."""
    labels: tuple[str, ...] = ()
    """Class names in the order of the logits; empty if answers are spans."""
    pad_id: int = 0
    teacher_shape: Shape = field(default_factory=dict)
    """Empty if the teacher is a file."""
    teacher_params: int = 0
    ensemble: tuple[Member, ...] = ()
    """The other models that answer together with it; a file costs nothing."""
    init_shape: Shape = field(default_factory=dict)
    """Shape of the model that students are initialised from; from scratch, their vocabulary and default widths."""
    teacher_metrics: Mapping[str, float] = field(default_factory=dict)
    """Scores on the validation split."""
    teacher_costs: Mapping[str, float] = field(default_factory=dict)
    """Latencies and throughput of all models of the teacher together, as far as trials measure theirs; of an ensemble
    also `latency_ratio`, to `teacher.model` alone, as that of trials is.
    """
    tokenizer_ms: Mapping[str, float] = field(default_factory=dict)
    """Mean CPU time of tokenising one text of the validation split, by units; "" are the teacher's tokens."""
    teacher_folder: str = ""
    init_folder: str = ""
    features: Mapping[str, str] = field(default_factory=dict)
    """Folders of the tokenised splits: `train`, `search`, and `<split>/<units>` for units other than the teacher's."""
    units: Mapping[str, Units] = field(default_factory=dict)
    """By name; "" are the teacher's. Only where answers are labels."""
    vocabulary: Vocabulary = Vocabulary()
    """Of the model that transformers start from."""
    corpus: Corpus = Corpus()
    outputs: str = ""
    """Folder of the teacher's logits for the training inputs."""
    states: str = ""
    """Folder of the teacher's hidden states of the first token for the same inputs; empty if no trial needs them."""
    search_outputs: str = ""
    """Folder of the teacher's logits of the validation split (`contract.folder.CLASS_LOGITS`), fp32."""
    signals: tuple[str, ...] = ()
    """Names of the teacher signals in these folders; see `contract.terms`."""
    importance: str = ""
    """Folder of the importance of the initial model's heads and neurons; empty if no trial needs it."""
    ffn_importance: tuple[tuple[float, ...], ...] = ()
    """By layer of the initial model, the importance of its feed-forward neurons in blocks; see `families.widths`.
    Empty if no trial needs it."""
    projection: str = ""
    """Folder of the projection of the initial model's hidden states; empty if no trial needs it."""
    supernet: Supernet = Supernet()
    """Only with student.init = "supernet"."""
    first_position: bool = False
    """Whether gflops counts the last layer of a classifier for its first position only, as it is computed. An older
    version counted it whole: in a study that it prepared, later trials do so too, so that all of them compare."""
    first_length: float = 0.0
    """Mean number of tokens of the first segment of a training input: a question, or the first sentence of a pair, with
    its special tokens. 0 where there is only one segment, or if the tokenizer does not mark them."""
    weak_teacher: str = ""
    """One sentence if the teacher is no better than chance, else empty."""
    chance: Mapping[str, float] = field(default_factory=dict)
    """Scores on the validation split of a model that has learnt nothing: it always abstains or predicts one label."""
    pairs: bool | None = None
    """Whether examples are pairs of sentences; None if not recorded."""

    def features_of(self, split: str, units: str = "") -> str:
        """The folder of a tokenised split."""
        return self.features[f"{split}/{units}" if units else split]

    def units_of(self, name: str = "") -> Units:
        """The units of that name; of the teacher's only what every preparation reports, if it reported no more."""
        return self.units.get(name) or Units(mean_length=self.mean_length, pad_id=self.pad_id)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        found = dataclasses.asdict(self)
        lists = {name: list(found[name]) for name in ("labels", "signals", "ensemble")}
        return found | lists | {"ffn_importance": list(map(list, self.ffn_importance))}

    @staticmethod
    def from_dict(raw: Mapping[str, Any] | None) -> Prepared:
        """From its JSON form (None before the preparation); unknown facts of a newer version are ignored."""
        known = {f.name for f in dataclasses.fields(Prepared)}
        values = {name: value for name, value in (raw or {}).items() if name in known and value is not None}
        lists: dict[str, Any] = {name: tuple(values.get(name, ())) for name in ("labels", "signals")}
        lists["ffn_importance"] = tuple(map(tuple, values.get("ffn_importance", ())))
        units = {name: _units(one) for name, one in values.get("units", {}).items()}
        members = tuple(Member(**one) for one in values.get("ensemble", ()))
        vocabulary = _vocabulary(values.get("vocabulary", {}))
        corpus = Corpus(**_known(Corpus, values.get("corpus", {})))
        supernet = _supernet(values.get("supernet", {}))
        typed = {
            "units": units,
            "ensemble": members,
            "vocabulary": vocabulary,
            "corpus": corpus,
            "supernet": supernet,
        }
        return Prepared(**values | lists | typed)


def _interpolated(points: Sequence[tuple[int, float]], at: int) -> float:
    """The value at `at`, linear between the logarithms of neighbouring points and constant beyond them; 0 of none."""
    below = [point for point in points if point[0] <= at] or list(points[:1])
    above = [point for point in points if point[0] >= at] or list(points[-1:])
    if not points:
        return 0.0
    (low, first), (high, second) = below[-1], above[0]
    share = (math.log(at) - math.log(low)) / (math.log(high) - math.log(low)) if low < high else 0.0
    return first + share * (second - first)


def _known(cls: type[Any], raw: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in raw.items() if name in names}


def _supernet(raw: Mapping[str, Any]) -> Supernet:
    values = _known(Supernet, raw)
    sets = {name: tuple(map(tuple, values.get(name, ()))) for name in ("layers", "ruined")}
    return Supernet(**values | sets)


def _vocabulary(raw: Mapping[str, Any]) -> Vocabulary:
    values = _known(Vocabulary, raw)
    kinds = {name: _known(Pieces, one) for name, one in values.get("kinds", {}).items()}
    found = {name: Pieces(**one | {"lengths": tuple(map(tuple, one["lengths"]))}) for name, one in kinds.items()}
    return Vocabulary(**values | {"kinds": found})


def _units(raw: Mapping[str, Any]) -> Units:
    values = _known(Units, raw)
    found: dict[str, Any] = {"special_ids": tuple(values.get("special_ids", ()))}
    for name in ("ngrams", "whole_ngrams"):
        counts = values.get(name, {})
        found[name] = NGramCounts(**counts | {"at_least": tuple(map(tuple, counts.get("at_least", ())))})
    return Units(**values | found)
