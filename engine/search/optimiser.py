"""Propose the settings of the next trial from the trials so far, with optuna.

It reads no database. The optuna study is rebuilt in memory each time, so the same history, space and seed give the
same proposal in any process, and tracker and optimiser cannot diverge. What a proposal worked out about past trials
may be handed to the next one in a `Memory`, which changes no answer.
"""

from __future__ import annotations

import hashlib
import math
import random
import warnings
from collections import Counter
from collections.abc import Callable, Container, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.pareto.frontier import Objective, on_scale, optimised
from bertdistill.engine.search.axes import Axes
from bertdistill.engine.search.encoding import Code, alike, rounded
from bertdistill.engine.search.frozen import MAX_HISTORY, most_informative, optuna_trial
from bertdistill.engine.search.past import Memory, PastTrial, Proposal, ScreenedStudent, SpaceExhausted
from bertdistill.engine.search.seen import Seen
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.space import Parameter, Space, Value, active, conditions, contains, count, grid, in_order

if TYPE_CHECKING:
    from bertdistill.engine.search.model import Model

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)

KINDS = ("auto", "tpe", "gp", "nsga2", "random", "grid")

GP_TRIALS = 300
"""Finished trials up to which `auto` uses the Gaussian process: beyond, a proposal takes more than a second."""
LEAST_SCORES = 2
"""Values of every objective from which it models anything."""
GP_OBJECTIVES = 3
POPULATION = 20
"""Population size of NSGA-II. Optuna's 50 makes the first 50 trials random, which is most of a study here."""
ATTEMPTS = {"tpe": 8, "nsga2": 30}
"""Maximum number of rejected model proposals (duplicates, too large) before new ones are drawn at random."""
DRAWS = 2_000
LARGEST_GRID = 20_000
"""Finite spaces up to this size are enumerated if random draws find nothing new."""
WHOLE = ("nsga2",)
"""Samplers of optuna that combine whole trials, so each must be reported in full, even with narrowed ranges."""


Known = Callable[[dict[str, Value]], Mapping[str, float]]
"""Maps a parameter set to the metrics that are known before training; raises ConfigError for an impossible student."""
Effect = Callable[[Mapping[str, Value]], Hashable]
"""Equal for parameter sets that train identically; raises ConfigError for an impossible student."""
Effective = Callable[[Mapping[str, Value]], Container[str]]
"""The settings in which all sets of equal effect agree; raises ConfigError for an impossible student."""


def propose(
    history: Sequence[PastTrial],
    space: Space,
    objectives: Sequence[Objective],
    *,
    kind: str,
    seed: int,
    index: int = 0,
    startup_trials: int = 10,
    known: Known | None = None,
    fixed: Fixed | None = None,
    within: Space | None = None,
    effect: Effect | None = None,
    effective: Effective | None = None,
    tried: Sequence[Mapping[str, Value]] = (),
    memory: Memory | None = None,
    screened: Sequence[ScreenedStudent] = (),
    per_second: bool = False,
) -> Proposal:
    """The next parameter set; raises SpaceExhausted if there is no new one within the limits.

    `index` distinguishes proposals made from the same history. `fixed` are the settings that conditions use
    if a searched parameter is itself inactive. `within` is the space with some ranges narrowed: proposals stay within
    it, but trials of the whole `space` are still learned from. Never proposes a set that is in the history or in
    `tried` (not learned from), nor one of the same `effect`: a temperature without soft loss changes nothing;
    `effective` spares working out the effects of a whole history. `memory` is that of earlier proposals of the same
    study, whose spaces, settings and effects are these. `screened` and `per_second` count for the Gaussian process:
    students that were evaluated without training, and whether a second or a trial is what is scarce.
    """
    derived = derive_seed(seed, len(history), index)
    chosen = choose_kind(kind, history, objectives)
    here = _Search(
        space, within or space, tuple(objectives), fixed or Fixed(), known, chosen, derived, effect, effective
    )
    kept = Memory() if memory is None else memory
    seen = Seen([*(trial.params for trial in history), *tried], here.key, here.like, kept)
    if chosen == "grid":
        return Proposal(here.next_on_grid(seen, seed), derived, "grid")
    if chosen != "random":
        past_trials = [one for one in history if kept.of("fits", one.params, here.fits)]
        finished = sum(trial.state != "running" for trial in past_trials)
        at_random = finished < (POPULATION if chosen == "nsga2" else startup_trials)
        if chosen != "gp":
            params = here.model(past_trials, seen, startup_trials, kept)
        else:
            params = None if at_random else here.modelled(past_trials, seen, kept, screened, per_second=per_second)
        if params is not None:
            return Proposal(params, derived, "random" if at_random else chosen)
    return Proposal(here.unseen(seen, derived), derived, "random")


def gaussian_model(
    history: Sequence[PastTrial],
    space: Space,
    objectives: Sequence[Objective],
    *,
    known: Known | None = None,
    fixed: Fixed | None = None,
    within: Space | None = None,
    screened: Sequence[ScreenedStudent] = (),
) -> Model | None:
    """The model of the Gaussian process after these trials, for what the next ones are worth; None if too few tell."""
    here = _Search(space, within or space, tuple(objectives), fixed or Fixed(), known, "gp", 0)
    return here.gaussian([one for one in history if here.fits(one.params)], Memory(), screened)


def rebuilt(
    history: Sequence[PastTrial], space: Space, objectives: Sequence[Objective], fixed: Fixed | None = None
) -> optuna.Study:
    """Past trials as an optuna study, for analysis: all values minimised, sizes and times as logarithms.

    Trials outside the space are omitted, as for a proposal.
    """
    here = _Search(space, space, tuple(objectives), fixed or Fixed(), None, "tpe", 0)
    past_trials = [trial for trial in history if here.fits(trial.params)]
    study = optuna.create_study(directions=["minimize"] * len(optimised(objectives)))
    study.add_trials(_Scale(here, past_trials, Memory()).frozen_trials(past_trials))
    return study


def derive_seed(seed: int, trials: int, index: int) -> int:
    """A seed that depends on the study, the number of trials and the index; the same on every machine."""
    digest = hashlib.blake2b(f"{seed}/{trials}/{index}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def choose_kind(kind: str, history: Sequence[PastTrial], objectives: Sequence[Objective]) -> str:
    """The sampler that `auto` selects: gp for up to 300 finished trials and three objectives, otherwise tpe."""
    if kind not in KINDS:
        raise ConfigError(f"sampler {kind!r} is unknown; use {', '.join(KINDS)}")
    if kind != "auto":
        return kind
    finished = sum(trial.state != "running" for trial in history)
    return "gp" if finished <= GP_TRIALS and len(optimised(objectives)) <= GP_OBJECTIVES else "tpe"


@dataclass
class _Search:
    """The state of one proposal."""

    space: Space
    """The space of the study file, which past trials belong to."""
    within: Space
    """The space to draw from: the same parameters, some of them narrowed."""
    objectives: tuple[Objective, ...]
    fixed: Fixed
    known: Known | None
    kind: str
    seed: int
    effect: Effect | None = None
    effective: Effective | None = None
    codes: dict[str, Code] = field(init=False)
    dice: random.Random = field(init=False)
    _cases: Cases = field(init=False)
    _whole: dict[Hashable, bool] = field(default_factory=dict)
    """By case, whether a set has all parameters that are active in it."""
    _pairs: dict[str, tuple[Parameter, Parameter]] = field(init=False)
    """Each parameter in the whole space and in the part to draw from, sorted by name."""

    def __post_init__(self) -> None:
        whole = self.kind in WHOLE
        pairs = zip(self.space, self.within, strict=True)
        self.codes = {now.name: Code.of(wide).drawing(now) if whole else Code.of(now) for wide, now in pairs}
        self.dice = random.Random(self.seed)
        self._cases = Cases(self.space, self.fixed)
        pairs = zip(self.space, self.within, strict=True)
        self._pairs = {wide.name: (wide, now) for wide, now in sorted(pairs, key=lambda pair: pair[0].name)}

    # -------------------------------------------------------------------------------- what may be proposed

    def key(self, params: Mapping[str, Value]) -> Hashable:
        """Equal for parameter sets that are equal after rounding, or have the same effect."""
        kept = self.active(params)
        same = {
            name: rounded(now if now is wide or contains(now, kept[name]) else wide, kept[name])
            for name, (wide, now) in self._pairs.items()
            if name in kept
        }
        try:
            return self.effect(same) if self.effect else tuple(same.items())
        except ConfigError:
            return tuple(same.items())

    def active(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """The searched parameters that have an effect."""
        return self._cases.active(params)

    def telling(self, params: Mapping[str, Value]) -> list[str]:
        """Parameters whose values any set of equal key shares, if it has them at all.

        Conditions, families and several parameters for one setting make that uncertain; effects may leave them out.
        """
        setters = Counter(parameter.key for parameter in self.space)
        sure = [p for p in self.space if p.name in params and setters[p.key] == 1 and not (conditions(p) or p.family)]
        if self.effect is None:
            return [p.name for p in sure]
        try:
            matter = self.effective(params) if self.effective else ()
        except ConfigError:  # then the key is the parameters themselves, as without effects
            return [p.name for p in sure]
        return [p.name for p in sure if p.key in matter]

    def like(self, params: Mapping[str, Value]) -> Callable[[Mapping[str, Value]], bool]:
        """A quick check that every parameter set of equal key passes, and few others."""
        checks = [(name, alike(self._pairs[name][0], params[name])) for name in self.telling(params)]
        return lambda one: all(name not in one or check(one[name]) for name, check in checks)

    def allowed(self, params: dict[str, Value]) -> bool:
        """Whether the student can be built and its known metrics reach their thresholds."""
        found = self.known_values(params)
        return found is not None and all(
            value is None or objective.feasible(value) for value, objective in zip(found, self.objectives, strict=True)
        )

    def known_values(self, params: Mapping[str, Value]) -> tuple[float | None, ...] | None:
        """The objectives that are known before training; None if the student cannot be built."""
        if self.known is None:
            return (None,) * len(self.objectives)
        try:
            found = self.known(dict(params))
        except ConfigError:
            return None
        return tuple(found.get(objective.metric) for objective in self.objectives)

    def unseen(self, seen: Seen, seed: int) -> dict[str, Value]:
        """A random new parameter set within the limits."""
        study = optuna.create_study(sampler=RandomSampler(seed=seed))
        size = count(self.within, self.fixed)
        for _ in range(DRAWS if size is None else min(DRAWS, 20 * size)):
            params = self.ask(study)
            if not seen.holds(params) and self.allowed(params):
                return params
        if size is None or size > LARGEST_GRID:
            raise SpaceExhausted(
                f"{DRAWS:,} random draws found nothing new within the thresholds",
                hint="relax a size threshold, or widen [search]",
            )
        return self.next_on_grid(seen, seed)

    def next_on_grid(self, seen: Seen, seed: int) -> dict[str, Value]:
        """The first new parameter set within the limits, in an order shuffled by the seed."""
        total = count(self.within, self.fixed)
        if total is None:
            raise ConfigError("sampler grid needs choices or a step for every parameter; use another sampler")
        every = list(grid(self.within, self.fixed))
        random.Random(seed).shuffle(every)
        refused, impossible = 0, list[str]()
        for params in every:  # lazily, because computing the effect of a whole grid takes seconds
            if seen.holds(params):
                continue
            if self.allowed(params):
                return params
            reason = self.obstacle(params)
            refused, impossible = refused + (not reason), [*impossible, *([reason] if reason else [])]
        left = [f"the thresholds exclude {'the other ' if not impossible else ''}{refused:,}"] if refused else []
        left += [f"{len(impossible):,} cannot be built, the first because {impossible[0]}"] if impossible else []
        hint = "widen [search]" if self.within == self.space else "widen a range again"
        said = f"the space has {total:,} parameter sets and {' and '.join(left) or 'all were tried'}"
        raise SpaceExhausted(said, hint=hint)

    def obstacle(self, params: Mapping[str, Value]) -> str:
        """Why the student cannot be built; empty if it can."""
        try:
            if self.known is not None:
                self.known(dict(params))
        except ConfigError as error:
            return str(error)
        return ""

    # -------------------------------------------------------------------------------- with a model

    def model(
        self,
        past_trials: Sequence[PastTrial],
        seen: Seen,
        startup_trials: int,
        memory: Memory,
    ) -> dict[str, Value] | None:
        """The sampler's proposal; None if it only finds known or forbidden sets."""
        scale = _Scale(self, past_trials, memory)
        study = optuna.create_study(
            directions=["minimize"] * len(optimised(self.objectives)),
            sampler=_sampler(self.kind, self.seed, startup_trials),
        )
        study.add_trials(scale.frozen_trials(past_trials))
        for _ in range(ATTEMPTS[self.kind]):
            params = self.ask(study)
            if seen.holds(params):
                continue  # the rejected trial stays in the study as running, so the next one differs
            if self.allowed(params):
                return params
            rejected = PastTrial(params, "complete", self.known_values(params) or ())
            study.add_trial(scale.frozen(rejected, 0))
        return None

    def modelled(
        self,
        past_trials: Sequence[PastTrial],
        seen: Seen,
        memory: Memory,
        screened: Sequence[ScreenedStudent],
        *,
        per_second: bool,
    ) -> dict[str, Value] | None:
        """The most promising new set of the Gaussian process; None if it finds none, or has too few scores."""
        model = self.gaussian(past_trials, memory, screened, per_second=per_second)
        if model is None:
            return None
        for params in model.candidates(np.random.default_rng(self.seed)):
            if not seen.holds(params) and self.allowed(params):
                return params
        return None

    def gaussian(
        self,
        past_trials: Sequence[PastTrial],
        memory: Memory,
        screened: Sequence[ScreenedStudent] = (),
        *,
        per_second: bool = False,
    ) -> Model | None:
        """The model of these trials; None if they have too few scores."""
        from bertdistill.engine.search.model import Evidence, Hint, Model  # scipy, which other samplers do not need

        scale = _Scale(self, past_trials, memory)
        chosen = most_informative(past_trials, scale.point, MAX_HISTORY["gp"])
        evidence = [
            Evidence(
                self.active(one.params),
                one.state == "running",
                one.state != "infeasible",
                scale.values(one),
                max((*one.violations, 0.0)) if scale.violations else None,
                one.seconds,
            )
            for place, one in enumerate(past_trials)
            if place in chosen and self.known_values(one.params) is not None
        ]
        scores = [sum(one.values[i] is not None for one in evidence) for i in range(len(self.objectives))]
        if min(scores, default=0) < LEAST_SCORES:
            return None
        hints = [
            Hint(one.params, value, place)
            for one in screened
            for place, value in enumerate(
                scale.scaled([one.score if o.metric == one.metric else None for o in self.objectives])
            )
            if value is not None
        ]

        def known(params: dict[str, Value]) -> tuple[float | None, ...] | None:
            found = self.known_values(params)
            return None if found is None else scale.scaled(found)

        return Model(
            evidence,
            Axes(self.space, self.within, self._cases),
            self.objectives,
            scale.scaled([objective.threshold for objective in self.objectives]),
            known,
            hints=hints,
            per_second=per_second,
        )

    def fits(self, params: Mapping[str, Value]) -> bool:
        """Whether a past trial is in the whole space. A single unknown choice would make every later ask fail."""
        kept = self.active(params)
        case = self._cases.case(kept)
        if case not in self._whole:
            filled = {p.name: kept.get(p.name, _any_value(p)) for p in self.space}
            self._whole[case] = self.active(filled).keys() == kept.keys()
        return self._whole[case] and all(contains(self._pairs[name][0], value) for name, value in kept.items())

    def ask(self, study: optuna.Study) -> dict[str, Value]:
        """One suggestion, parents before the parameters that depend on them."""
        trial = study.ask()
        params: dict[str, Value] = {}
        for parameter in in_order(self.space):
            name = parameter.name
            if name in active(self.space, {**params, name: _any_value(parameter)}, self.fixed):
                params[name] = self.codes[name].suggest(trial, self.dice)
        return {parameter.name: params[parameter.name] for parameter in self.space if parameter.name in params}


def _sampler(kind: str, seed: int, startup_trials: int) -> BaseSampler:
    if kind == "nsga2":
        return NSGAIISampler(seed=seed, population_size=POPULATION)
    # Independent, not multivariate: which measured worse on spaces of this kind.
    return TPESampler(seed=seed, n_startup_trials=startup_trials, multivariate=False)


def _any_value(parameter: Parameter) -> Value:
    return parameter.choices[0] if parameter.kind == "choice" else (parameter.low or 0)


# -------------------------------------------------------------------------------- history as optuna trials


class _Scale:
    """Converts past trials to optuna trials: minimised objectives on comparable scales, limits as constraints."""

    def __init__(self, search: _Search, past_trials: Sequence[PastTrial], memory: Memory) -> None:
        self.search = search
        self.memory = memory
        self.objectives = search.objectives
        full = [p for p in (self.point(trial) for trial in past_trials if trial.state == "complete") if None not in p]
        columns = [[float(p[i] or 0.0) for p in full] or [0.0] for i in range(len(self.objectives))]
        self.worst = [max(column) for column in columns]
        self.span = [(max(column) - min(column)) or 1.0 for column in columns]
        self.runs = any(trial.state == "infeasible" for trial in past_trials)
        self.violations = any(trial.violations for trial in past_trials)
        self._mark = (search.kind, *self.worst, *self.span, self.runs, self.violations)

    def point(self, trial: PastTrial) -> tuple[float | None, ...]:
        """The values of a trial on this scale."""
        return self.memory.of("point", trial, lambda one: self.scaled(one.values))

    def frozen_trials(self, past_trials: Sequence[PastTrial]) -> list[FrozenTrial]:
        """Past trials in order, limited to the most informative. NSGA-II reads its generations from them, or it would
        start over each time."""
        chosen, finished, found = most_informative(past_trials, self.point, MAX_HISTORY[self.search.kind]), 0, []
        for place, trial in enumerate(past_trials):
            if place in chosen:
                found.append(self._remembered(trial, finished // POPULATION))
            finished += trial.state != "running"
        return found

    def _remembered(self, trial: PastTrial, generation: int) -> FrozenTrial:
        """Cached `frozen`, computed again only if the scale has changed."""
        mark = (generation, *self._mark)
        return self.memory.of("frozen", trial, lambda one: self.frozen(one, generation), mark)

    def frozen(self, trial: PastTrial, generation: int) -> FrozenTrial:
        """A trial as complete or running: gp ignores pruned ones, so it would propose similar ones again.

        An unknown value (such as the score of a student that ran out of memory) counts as the worst seen.
        """
        kept = self.search.active(trial.params)
        codes = self.search.codes
        if self.search.kind not in WHOLE:  # TPE models each parameter by itself: the others still count
            kept = {name: value for name, value in kept.items() if contains(codes[name].parameter, value)}
        params = {name: codes[name].encode(value) for name, value in kept.items()}
        distributions = {name: codes[name].distribution for name in kept}
        if trial.state == "running":
            return optuna_trial(TrialState.RUNNING, None, params, distributions)
        found = self.values(trial)
        values = [
            worst if value is None else value
            for value, worst, objective in zip(found, self.worst, self.objectives, strict=True)
            if not objective.constraint
        ]
        made = optuna_trial(TrialState.COMPLETE, values, params, distributions)
        made.system_attrs["NSGAIISampler:generation"] = generation
        for name, excess in (self._constraints(trial, found) or {}).items():
            made.set_constraint(name, excess)
        return made

    def values(self, trial: PastTrial) -> tuple[float | None, ...]:
        """The values of a trial as far as they are known on this scale; of one without scores those known before."""
        given = trial.values or (None,) * len(self.objectives)
        if None in given and trial.state != "complete":
            free = self.search.known_values(trial.params) or given
            given = tuple(a if a is not None else b for a, b in zip(given, free, strict=True))
        return self.scaled(given)

    def scaled(self, values: Sequence[float | None]) -> tuple[float | None, ...]:
        """Objectives on this scale: smaller is better, sizes and times are logarithms; None where not finite."""
        scaled: list[float | None] = []
        for value, objective in zip(values or (None,) * len(self.objectives), self.objectives, strict=True):
            known = value is not None and math.isfinite(value)
            signed = -(value or 0.0) if objective.direction == "maximize" else (value or 0.0)
            scaled.append(on_scale((signed,), (objective,))[0] if known else None)
        return tuple(scaled)

    def _constraints(self, trial: PastTrial, found: Sequence[float | None]) -> dict[str, float] | None:
        """A value above 0 is a violation, scaled by each objective's range so that sums are comparable.

        Every trial gets the same keys: gp requires that. A missing score, or a pruned trial's, proves no violation.
        """
        limits: dict[str, float] = {}
        thresholds = self.scaled([objective.threshold for objective in self.objectives])
        for i, (objective, limit) in enumerate(zip(self.objectives, thresholds, strict=True)):
            if limit is not None:
                value = found[i]
                excess = 0.0 if value is None else (value - limit) / self.span[i]
                certain = trial.state == "complete" or self._is_known(i, trial)
                limits[f"threshold:{objective.metric}"] = excess if certain else min(0.0, excess)
        if self.runs:
            limits["runs"] = 1.0 if trial.state == "infeasible" else -1.0
        if self.violations:
            limits["violations"] = max((*trial.violations, 0.0))
        return limits or None

    def _is_known(self, i: int, trial: PastTrial) -> bool:
        free = self.search.known_values(trial.params)
        return free is not None and free[i] is not None
