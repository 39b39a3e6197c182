"""What a rerun would be, before it is started: which settings may change, and what one change would make. Pure.

It opens no database: the engine forecasts, this finds the trials to compare with and the words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertdistill.app.draw.plane import Point
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.points import chart_trials
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.engine.analysis.neighbours import Neighbour, expected, nearest
from bertdistill.engine.contract.metrics import COUNTS
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.pareto.frontier import dominates, feasible, has_all, oriented
from bertdistill.engine.steering.actions import Forecast
from bertdistill.engine.steering.reruns import changeable, searched_as
from bertdistill.engine.study.planned import plan_program
from bertdistill.engine.study.scopes import setting_of, split
from bertdistill.engine.study.sections import shown
from bertdistill.engine.study.space import SETTING, describe
from bertdistill.engine.study.student import params_of
from bertdistill.engine.study.suggestions import fixed_parameter, limits
from bertdistill.store.rows import StudyState, Trial

MANY_TIMES = 10
"""From here on a larger size is given as a multiple: percents would have too many digits."""


@dataclass(frozen=True)
class Choice:
    """One setting that a rerun may change; values as a person types them."""

    key: str
    now: str
    range: str
    baseline: str
    searched: bool
    idle: bool
    """It has no effect in this trial."""
    options: tuple[str, ...] = ()
    """Every value, where they are few and named."""


@dataclass(frozen=True)
class Outlook:
    """What one change would make. `problem` says why it is refused, empty when it can be started."""

    key: str
    text: str
    forecast: Forecast | None = None
    problem: str = ""
    neighbours: Sequence[Neighbour] = ()

    @property
    def twin(self) -> int | None:
        """The trial that has these settings already."""
        return self.forecast.repeats if self.forecast is not None else None


# ---------------------------------------------------------------------------------------------------------- the values


def as_typed(value: Any) -> str:
    """A value as a person types it, with every digit that it has."""
    return value if isinstance(value, str) else shown(value)


def choices(view: StudyView, trial: Trial) -> tuple[Choice, ...]:
    """The searched settings in the order of the study, then the fixed ones that a rerun may change."""
    if view.spec.program is not None:
        return _program_choices(view, trial)
    settings = Settings(**{key: value for key, value in trial.settings.items() if key in SETTING})
    searched = {one.key: one for one in view.spec.search if one.applies(settings.family)}
    names = [name for name in changeable(view.spec, settings.family) if name not in searched]
    effective = {split(name)[1] for name in params_of(view.spec.search, settings)}
    base = view.baseline.settings if view.baseline is not None else {}
    found = []
    for name in [*searched, *names]:
        parameter = searched.get(name)
        options = (parameter or fixed_parameter(name)).choices
        found.append(
            Choice(
                name,
                as_typed(getattr(settings, name)),
                describe(parameter) if parameter is not None else limits(fixed_parameter(name)),
                "" if (value := setting_of(base, name)) is None else as_typed(value),
                parameter is not None,
                parameter is not None and name not in effective,
                tuple(str(one) for one in options),
            )
        )
    return tuple(found)


def _program_choices(view: StudyView, trial: Trial) -> tuple[Choice, ...]:
    searched = {one.name: one for one in view.spec.search}
    base = view.baseline.settings if view.baseline is not None else {}

    def choice(name: str) -> Choice:
        parameter = searched.get(name)
        said = describe(parameter) if parameter is not None else "fixed in the study; any value of its type"
        options = tuple(as_typed(one) for one in parameter.choices) if parameter is not None else ()
        now, there = (as_typed(values[name]) if name in values else "" for values in (trial.settings, base))
        return Choice(name, now, said, there, parameter is not None, name not in trial.settings, options)

    return tuple(choice(name) for name in changeable(view.spec, ""))


def look_ahead(view: StudyView, parent: Trial, text: str, forecast: Forecast) -> Outlook:
    """The forecast with the first reason against it, and the nearest trials where the study searches that setting."""
    key, spec = forecast.key, view.spec
    near: Sequence[Neighbour] = ()
    values = {**parent.settings, key: forecast.after}
    if searched_as(spec, values.get("family", ""), key) is not None:
        _, score = chart_axes(view)
        student = spec.program is None
        here = params_of(spec.search, Settings(**values)) if student else plan_program(spec, values).params
        near = nearest(spec.search, view.trials, here, score)
    return Outlook(key, text, forecast, _problem(view, forecast), near)


def _problem(view: StudyView, forecast: Forecast) -> str:
    if forecast.repeats is not None:
        twin = view.trial(forecast.repeats)
        state = f" ({twin.state.value})" if twin is not None else ""
        return f"already run as #{forecast.repeats}{state}"
    if forecast.excluded:
        return f"{forecast.excluded}; choose a smaller student, or loosen the threshold in the settings"
    return ""


def landing(view: StudyView, outlook: Outlook) -> dict[str, float | None]:
    """Where it would lie: what is known exactly, and the guess at the score."""
    if outlook.forecast is None:
        return {}
    _, score = chart_axes(view)
    return {**outlook.forecast.known, score: expected(outlook.neighbours)}


def points(view: StudyView, outlook: Outlook | None) -> tuple[list[Point], int | None]:
    """The study's points with the rerun as a running one where its score can be guessed, and its place among them."""
    x, y = chart_axes(view)
    found = [point for _, point in chart_trials(view, x, y)]
    place = landing(view, outlook) if outlook is not None else {}
    at_x, at_y = place.get(x), place.get(y)
    if at_x is None or at_y is None:
        return found, None
    return [*found, Point(at_x, at_y, "running", "guess")], len(found)


# --------------------------------------------------------------------------------------------------------------- words


def verdict(outlook: Outlook) -> str:
    """Whether enter starts it, as a sentence."""
    if outlook.twin is not None:
        return f"{outlook.problem}; enter opens it"
    return f"refused: {outlook.problem}" if outlook.problem else "enter starts it"


def lines(view: StudyView, parent: Trial, outlook: Outlook) -> list[tuple[str, str]]:
    """(what, words) of the forecast: the change, its exact size, time and memory, where it would land."""
    forecast = outlook.forecast
    if forecast is None:
        return []
    rest = f"the rest as in #{parent.number}"
    if forecast.key == "family":
        rest = f"keys of both families as in #{parent.number}, the others as fixed in the study"
    change = f"{forecast.key} {as_typed(forecast.before)} → {as_typed(forecast.after)}"
    found = [("change", f"{change}, {rest}")]
    found += [("size", _sizes(forecast))] if forecast.known else []
    found.append(("cost", cost(forecast)))
    found.append(("lands", _lands(view, outlook)))
    return [(what, safe_line(words, 400)) for what, words in found]


def _sizes(forecast: Forecast) -> str:
    words = []
    for name, value in sizes(forecast.known).items():
        before = forecast.parent_known.get(name)
        words.append(f"{size(name, value)}{_change(before, value)}")
    return ", ".join(words)


def sizes(known: Mapping[str, float]) -> dict[str, float]:
    """What is known before training, without what repeats another size: without pruning, or without separate layers."""
    repeats = {"nonzero_params": "params", "gflops_cached": "gflops"}
    return {name: value for name, value in known.items() if value != known.get(repeats.get(name, ""))}


def _change(before: float | None, value: float) -> str:
    """` (+12.5%)`; from a bag of words to an encoder ` (230 times)`."""
    if not before or abs(value / before - 1) < 5e-4:
        return ""
    ratio = value / before
    return f" ({fmt.rate(ratio)} times)" if ratio >= MANY_TIMES else f" ({ratio - 1:+.1%})"


def size(name: str, value: float) -> str:
    """`params 66,364,418` or `size_mb 265.5`: counts with every digit; the name says the unit."""
    return f"{name} {fmt.exact(value) if name in COUNTS else fmt.metric(name, value)}"


def cost(forecast: Forecast) -> str:
    """Expected minutes and memory, and by how many trials they are judged."""
    if forecast.minutes is None and forecast.memory_mb is None:
        return "no complete trial of its family to estimate time and memory from"
    minutes = None if forecast.minutes is None else f"about {fmt.duration(forecast.minutes * 60)} of training"
    memory = None if forecast.memory_mb is None else f"{fmt.size(forecast.memory_mb * 1e6)} of memory"
    number = forecast.judged_by
    judged = f"based on {number} complete {'trial' if number == 1 else 'trials'}"
    return ", ".join([word for word in (minutes, memory) if word] + [judged])


def _lands(view: StudyView, outlook: Outlook) -> str:
    x, y = chart_axes(view)
    place, forecast = landing(view, outlook), outlook.forecast
    at = place.get(x)
    where = [f"at {size(x, at)}"] if at is not None else []
    guess = place.get(y)
    if guess is None:
        searched = forecast is not None and any(one.key == forecast.key for one in view.spec.search)
        why = "no complete trial yet" if searched else f"the study does not search {outlook.key}"
        return ", ".join([*where, f"its {y} cannot be estimated: {why}"])
    near = ", ".join(f"#{one.number} {fmt.metric(y, one.score)}" for one in outlook.neighbours)
    return "; ".join([*where, f"{y} about {fmt.metric(y, guess)} from its nearest trials: {near}", *_rank(view, place)])


def _rank(view: StudyView, place: dict[str, float | None]) -> list[str]:
    """What the guess would mean; nothing where an objective is neither known nor guessed."""
    if not has_all(place, view.objectives):
        return []
    if not feasible(place, view.objectives):
        return ["misses a threshold"]
    here = oriented(place, view.objectives)
    over = [t for t in view.frontier if dominates(oriented(view.means(t), view.objectives), here)]
    return [f"dominated by #{over[0].number}" if over else "on the frontier"]


def question(parent: Trial, outlook: Outlook) -> str:
    """The question before it starts."""
    forecast = outlook.forecast
    if forecast is None:
        return ""
    change = f"{forecast.key} {as_typed(forecast.before)} → {as_typed(forecast.after)}"
    size = f"{fmt.exact(forecast.known['params'])} parameters"
    return f"Rerun #{parent.number} with {change}? {size}; {cost(forecast)}. It does not count against the budget."


def started(view: StudyView, number: int) -> str:
    """The message after it was created."""
    state = view.study.state
    if state in (StudyState.RUNNING, StudyState.COMPLETE):
        return f"Trial #{number} waits for a free worker. Until it starts, u undoes it."
    return f"Trial #{number} waits: the study is {state.value}; z in the study resumes it."
