"""Gather what the stopping rule needs, from the database: the curve of a running trial and those of complete ones.

The rule itself is in `stopping`. It signals nothing: a stop is a reason written to the attempt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.runner.stopping import Curve, Finished, scored, should_stop
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, AttemptState, Series, Trial, TrialState

MOST_POINTS = 2000
"""Of a curve that is kept: more than the evaluations that a training can have, and far finer than `stopping.NEAR`."""


@dataclass
class Overtaking:
    """Judges running trials. It remembers the curves of complete trials, which never change, and what it has seen."""

    db: Database
    _finished: dict[int, Finished] = field(default_factory=dict)
    _seen: dict[int, int | None] = field(default_factory=dict)
    """The last step that was judged, by the row id of the attempt."""

    def judge(self, attempt: Attempt, spec: StudySpec, *, now: float) -> str:
        """After new events: why the trial should stop (the reason is then written to its attempt), else ''."""
        score = judged_by(spec)
        if spec.stopping.rule == "none" or score is None or attempt.trial_id is None:
            return ""
        with self.db.read() as session:
            trial = reads.trial_by_id(session, attempt.trial_id)
            series = _series(session, trial)
            judged = series.get(score.metric if spec.program else f"search/{score.metric}")
            if judged is None or judged.last_step == self._seen.get(attempt.id):
                return ""
            self._seen[attempt.id] = judged.last_step
            curve = _newest(judged, trial, own=spec.program is not None)
            finished = self._complete(session, attempt.study_id, score.metric, own=spec.program is not None)
            known = trial.known if spec.program is None else _reported(series, spec, score)
        rule = spec.stopping
        why = should_stop(
            curve,
            known,
            finished,
            spec.objectives,
            rule=rule.rule,
            chance=rule.chance,
            quantile=rule.quantile,
            min_trials=rule.min_trials,
            score=score,
            end=1.0 if spec.program is None else max((one.curve[-1][0] for one in finished if one.curve), default=0.0),
        )
        return why if why and self._write(attempt, trial, why, now) else ""

    def _complete(self, session: Reading, study_id: int, metric: str, *, own: bool) -> list[Finished]:
        """Complete trials by number; only those that completed since the last call are read."""
        trial_ids = reads.trial_ids(session, study_id, TrialState.COMPLETE)
        for trial in reads.trials_by_id(session, [one for one in trial_ids if one not in self._finished]):
            curve, values = _curve(session, trial, metric, own=own), {**trial.known, **trial.metrics}
            self._finished[trial.id] = Finished(f"trial {trial.number}", curve, values)
        return [self._finished[trial_id] for trial_id in trial_ids]

    def _write(self, attempt: Attempt, trial: Trial, why: str, now: float) -> bool:
        with self.db.write() as session:
            fresh = reads.attempt_by_id(session, attempt.id)
            if fresh.state != AttemptState.RUNNING or fresh.stop_reason:
                return False
            writes.set_attempt_stop_reason(session, attempt.id, f"pruned: {why}")
            text = f"Trial {trial.number} is stopped early: {why}."
            writes.add_notice(session, level="info", text=text, now=now, study_id=trial.study_id, trial_id=trial.id)
        return True


def judged_by(spec: StudySpec) -> Objective | None:
    """The objective whose curve decides; None if none can."""
    if spec.program is None:
        return scored(spec.objectives)
    able = optimised(spec.objectives)
    return next((one for one in able if one.metric == spec.stopping.metric), able[0])


def _reported(series: Mapping[str, Series], spec: StudySpec, score: Objective) -> dict[str, float]:
    """What a program has said so far of the other objectives: nothing is known of it before it runs."""
    last = {
        one.metric: series[one.metric].last_value for one in spec.objectives if one != score if one.metric in series
    }
    return {metric: value for metric, value in last.items() if value is not None}


def _newest(series: Series, trial: Trial, *, own: bool) -> Curve:
    """The last evaluation of a running trial, which alone is judged; empty if it was not finite."""
    if series.last_value is None or series.last_step is None:
        return []
    count = series.points - series.not_finite
    return [(series.last_step if own else _share(trial, count), series.last_value)]


def _curve(session: Reading, trial: Trial, metric: str, *, own: bool) -> Curve:
    """Evaluations of a complete trial: those of a program by its steps, thinned out if there are many. Others are
    evenly spaced and the last is at the end, also of a student that is fitted as a whole and has no other."""
    found = _series(session, trial).get(metric if own else f"search/{metric}")
    if found is None:
        return []
    if own:
        return [(one.step, one.value_last) for one in reads.curve(session, found.id, columns=MOST_POINTS)]
    values = [value for _, value, _ in reads.points_after(session, found.id, -1, MOST_POINTS) if value is not None]
    return [((place + 1) / len(values), value) for place, value in enumerate(values)]


def _share(trial: Trial, count: int) -> float:
    return min(1.0, count / int(trial.settings.get("evaluations", 1)))


def _series(session: Reading, trial: Trial) -> dict[str, Series]:
    return {one.name: one for one in reads.series(session, trial.study_id, trial.id)}
