"""Search problems whose answers are known: two that are made, and replays of studies that were really run.

A replay answers with a forest of random trees fitted to the recorded trials of a study, over parameters and size; sizes
and times are worked out as in the study. What it can show is limited: between 40 recorded points the forest is flat in
steps, it knows no interaction that they do not hold, and its best points are near those that a search has found before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from recorded import Recorded, recorded

from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.encoder_sizes import known_metrics
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.axes import Axes
from bertdistill.engine.study import student
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Space, Value, resolve
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING

Params = Mapping[str, Value]


@dataclass(frozen=True)
class Problem:
    """What a search is asked and how it is judged."""

    name: str
    space: Space
    objectives: tuple[Objective, Objective]
    """The score, which is maximised, and what is known of a student before training."""
    known: Callable[[Params], Mapping[str, float]]
    score: Callable[[Params], float]
    """Without noise."""
    seconds: Callable[[Params], float]
    """Of a training."""
    noise: float
    """Standard deviation of an observed score."""
    corner: tuple[float, float]
    """(logarithm of the size, score) of the reference point."""
    ideal: tuple[float, float]
    fixed: Fixed = field(default_factory=Fixed)

    def point(self, params: Params) -> tuple[float, float]:
        """(logarithm of the size, score) without noise."""
        return math.log10(self.known(params)[self.objectives[1].metric]), self.score(params)

    def share(self, points: Sequence[tuple[float, float]]) -> float:
        """The part of the box from the reference point to the ideal one that the points dominate, in percent."""
        (size, low), best, found = self.corner, self.corner[1], 0.0
        for x, height in sorted(points):
            if height > best and x < size:
                found += (height - best) * (size - x)
                best = height
        return 100 * found / ((size - self.ideal[0]) * (self.ideal[1] - low))


# ------------------------------------------------------------------------------------------------------ made problems

MINILM = Shape("bert", 30522, 512, 2, 384, 1536, 6, 12, 32)
SQUAD: Space = read_search(
    {
        "layers": {"low": 2, "high": 6},
        "layer_choice": {"choices": ["first", "even"]},
        "heads": {"low": 6, "high": 12},
        "learning_rate": {"low": 5e-5, "high": 4e-4, "log": True},
        "alpha": {"low": 0.0, "high": 1.0},
        "temperature": {"low": 1.0, "high": 8.0},
    }
)[0]


def squad_score(params: Params) -> float:
    """Like small students: it saturates with size, its best learning rate rises as students shrink, it benefits from a
    soft loss."""
    settings = resolve(SQUAD, params, Fixed())
    size = settings.layers * (0.35 + 0.65 * settings.heads / MINILM.heads)
    found = 75 / (1 + math.exp(-(size - 3.2) / 0.8))
    if settings.layers < MINILM.layers and settings.layer_choice == "even":
        found *= 0.97
    best_rate = math.log10(1.5e-4) + 0.0625 * (4 - settings.layers)
    found *= math.exp(-1.2 * (math.log10(settings.learning_rate) - best_rate) ** 2)
    soft = settings.alpha * (1 - 0.004 * (settings.temperature - 4) ** 2)
    return found * (1 - 0.1 * (soft - 0.8) ** 2)


def squad_known(params: Params) -> Mapping[str, float]:
    """Sizes as a study counts them."""
    return known_metrics(
        MINILM, resolve(SQUAD, params, Fixed()), scratch=False, task=QUESTION_ANSWERING, labels=0, mean_length=150
    )


def squad(noise: float) -> Problem:
    """The space of `sample_configs/squad1-minilm.toml`."""
    aims = (Objective("exact", "maximize"), Objective("params", "minimize"))
    return Problem(
        "squad",
        SQUAD,
        aims,
        squad_known,
        squad_score,
        lambda params: 40.0 * float(params["layers"]),
        noise,
        (math.log10(2.4e7), 0.0),
        (math.log10(1.4e7), 74.5),
    )


FAMILIES: Space = read_search(
    {
        "family": {"choices": ["transformer", "mlp", "bilstm"]},
        "alpha": {"low": 0.0, "high": 1.0},
        "temperature": {"low": 1.0, "high": 8.0},
        "transformer": {
            "layers": {"low": 1, "high": 6},
            "heads": {"low": 4, "high": 12},
            "learning_rate": {"low": 3e-5, "high": 4e-4, "log": True},
        },
        "mlp": {
            "vocab_size": {"low": 1000, "high": 12000},
            "embedding_size": {"choices": [8, 16, 32]},
            "learning_rate": {"low": 1e-3, "high": 3e-2, "log": True},
            "word_dropout": {"low": 0.0, "high": 0.5},
        },
        "bilstm": {"hidden_size": {"choices": [50, 100, 150]}, "vocab_size": {"low": 1000, "high": 12000}},
    }
)[0]


def families_known(params: Params) -> Mapping[str, float]:
    """Made sizes of three families, three orders of magnitude apart."""
    value = {name.rpartition(".")[2]: float(v) for name, v in params.items() if not isinstance(v, str)}
    if params["family"] == "transformer":
        return {"params": 11.8e6 + value["layers"] * 1.77e6 * (0.67 + 0.33 * value["heads"] / 12)}
    if params["family"] == "mlp":
        return {"params": value["vocab_size"] * value["embedding_size"] + 1000}
    return {"params": value["vocab_size"] * 32 + 8 * value["hidden_size"] * (value["hidden_size"] + 32)}


def families_score(params: Params) -> float:
    """Each family has its own ceiling and its own best training; a soft loss helps all but is best at other weights."""
    value = {name.rpartition(".")[2]: float(v) for name, v in params.items() if not isinstance(v, str)}
    soft = value["alpha"] * (1 - 0.006 * (value["temperature"] - 4) ** 2)
    if params["family"] == "transformer":
        size = value["layers"] * (0.5 + 0.5 * value["heads"] / 12)
        rate = (math.log10(value["learning_rate"]) - math.log10(1.3e-4) - 0.05 * (4 - value["layers"])) ** 2
        return 50 + 39 / (1 + math.exp(-(size - 1.4) / 0.8)) * math.exp(-0.5 * rate) * (1 - 0.12 * (soft - 0.7) ** 2)
    words = 1 - math.exp(-value["vocab_size"] / 3000)
    if params["family"] == "mlp":
        wide = 1 - 0.05 * (3 - math.log2(value["embedding_size"] / 4))
        rate = (math.log10(value["learning_rate"]) - math.log10(6e-3)) ** 2
        drop = (value["word_dropout"] - 0.25) ** 2
        return 50 + 36 * words * wide * math.exp(-0.4 * rate) * (1 - 0.8 * drop) * (1 - 0.15 * (soft - 0.9) ** 2)
    return 50 + 35.5 * words * (1 - 15 / (value["hidden_size"] + 100) / 4) * (1 - 0.2 * (soft - 0.5) ** 2)


def families_seconds(params: Params) -> float:
    """A minute and more for transformers, seconds for the others."""
    slow = {"transformer": 40.0 * float(params.get("transformer.layers", 0)), "mlp": 18.0, "bilstm": 55.0}
    return slow[str(params["family"])]


def families(noise: float) -> Problem:
    """Three families with eleven parameters, of which five to six count at a time."""
    aims = (Objective("accuracy", "maximize"), Objective("params", "minimize"))
    return Problem(
        "families",
        FAMILIES,
        aims,
        families_known,
        families_score,
        families_seconds,
        noise,
        (7.4, 50.0),
        (math.log10(9000), 89.0),
    )


# ------------------------------------------------------------------------------------------------------------ replays


class Trees:
    """A forest of random trees, fitted by scikit-learn and asked for one row at a time, a hundred times faster."""

    def __init__(self, inputs: np.ndarray, answers: Sequence[float]) -> None:
        from sklearn.ensemble import ExtraTreesRegressor

        fitted = ExtraTreesRegressor(200, min_samples_leaf=1, random_state=0).fit(inputs, answers)
        trees = [one.tree_ for one in fitted.estimators_]
        self._roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        sides = [[tree.children_left, tree.children_right] for tree in trees]
        self._next = np.hstack(
            [np.where(np.array(side) < 0, -1, side + root) for side, root in zip(sides, self._roots, strict=True)]
        )
        self._feature = np.concatenate([tree.feature for tree in trees])
        self._threshold = np.concatenate([tree.threshold for tree in trees])
        self._value = np.concatenate([tree.value[:, 0, 0] for tree in trees])

    def at(self, row: np.ndarray) -> float:
        """The mean over the trees."""
        row, nodes = row.astype(np.float32), self._roots
        while True:
            right = (row[self._feature[nodes]] > self._threshold[nodes]).astype(int)
            deeper = self._next[right, nodes]
            if (deeper < 0).all():
                return float(self._value[nodes].mean())
            nodes = np.where(deeper < 0, nodes, deeper)


class Replay:
    """The answers of forests that were fitted to a recorded study."""

    def __init__(self, study: Recorded) -> None:
        self.study = study
        spec = study.spec
        self._axes = Axes(spec.search, spec.search, Cases(spec.search, spec.fixed))
        self._size = spec.objectives[1].metric
        inputs = np.array([self._inputs(row.params) for row in study.rows])
        self._score = Trees(inputs, [row.score for row in study.rows])
        self._seconds = Trees(inputs, [math.log(row.seconds) for row in study.rows])
        self._answers: dict[tuple[Any, ...], tuple[float, float]] = {}

    def known(self, params: Params) -> Mapping[str, float]:
        """As the study works it out."""
        return student.plan(self.study.spec, self.study.facts, params).known

    def answer(self, params: Params) -> tuple[float, float]:
        """(score, seconds) of a student."""
        key = tuple(sorted(params.items()))
        if key not in self._answers:
            row = self._inputs(params)
            self._answers[key] = (self._score.at(row), math.exp(self._seconds.at(row)))
        return self._answers[key]

    def problem(self, noise: float, corner: tuple[float, float], ideal: tuple[float, float]) -> Problem:
        """With the study's objectives."""
        spec = self.study.spec
        return Problem(
            self.study.name,
            spec.search,
            spec.objectives[:2],
            self.known,
            lambda params: self.answer(params)[0],
            lambda params: self.answer(params)[1],
            noise,
            corner,
            ideal,
            spec.fixed,
        )

    def _inputs(self, params: Params) -> np.ndarray:
        return np.append(self._axes.columns(self._axes.rows([params]))[0], math.log10(self.known(params)[self._size]))


def smallest(noise: float) -> Problem:
    """Replay of `ladders/sst2-smallest.toml`: seven parameters, some of them words, and bytes."""
    return Replay(recorded("sst2-smallest")).problem(noise, (7.4, 80.0), (6.4, 88.5))


def mixed(noise: float) -> Problem:
    """Replay of `ladders/sst2-mixed.toml`: four families with fifteen parameters."""
    return Replay(recorded("sst2-mixed")).problem(noise, (7.4, 75.0), (4.0, 89.5))


def sst2_widths(noise: float) -> Problem:
    """Replay of 40 students of MiniLM on SST-2: layers, which of them, heads and neurons. Nothing was tuned on it."""
    return Replay(recorded("sst2-widths")).problem(noise, (7.36, 70.0), (7.08, 89.5))


def emotion_widths(noise: float) -> Problem:
    """The same on Emotion."""
    return Replay(recorded("emotion-widths")).problem(noise, (7.36, 70.0), (7.08, 93.0))


PROBLEMS: Mapping[str, tuple[Callable[[float], Problem], float]] = {
    "squad": (squad, 0.7),
    "squad-noisy": (squad, 1.3),
    "families": (families, 1.3),
    "smallest": (smallest, 1.3),
    "mixed": (mixed, 1.3),
    "sst2-widths": (sst2_widths, 1.3),
    "emotion-widths": (emotion_widths, 1.3),
}
"""By name: how it is made and its noise. 1.3 points are the standard error of an accuracy on 700 examples."""
