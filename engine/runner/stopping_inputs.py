"""Gather what the stopping rule needs, from the database: the curve of a running trial and those of complete ones.

The rule itself is in `stopping`. It signals nothing: a stop is a reason written to the attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.runner.stopping import Curve, Finished, scored, should_stop
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, AttemptState, Trial, TrialState


@dataclass
class Overtaking:
    """Judges running trials. It remembers the curves of complete trials, which never change, and what it has seen."""

    db: Database
    _finished: dict[int, Finished] = field(default_factory=dict)
    _seen: dict[int, int] = field(default_factory=dict)

    def judge(self, attempt: Attempt, spec: StudySpec, *, now: float) -> str:
        """After new events: why the trial should stop (the reason is then written to its attempt), else ''."""
        score = judged_by(spec)
        if spec.stopping.rule == "none" or score is None or attempt.trial_id is None:
            return ""
        with self.db.read() as session:
            trial = reads.trial_by_id(session, attempt.trial_id)
            curve = _curve(session, trial, score.metric, own=spec.program is not None)
            if len(curve) == self._seen.get(attempt.id, 0):
                return ""
            self._seen[attempt.id] = len(curve)
            finished = self._complete(session, attempt.study_id, score.metric, own=spec.program is not None)
            known = trial.known if spec.program is None else _reported(session, trial, spec, score)
        rule = spec.stopping
        why = should_stop(
            curve,
            known,
            finished,
            spec.objectives,
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


def _reported(session: Reading, trial: Trial, spec: StudySpec, score: Objective) -> dict[str, float]:
    """What a program has said so far of the other objectives: nothing is known of it before it runs."""
    last = {one.metric: _points(session, trial, one.metric)[-1:] for one in spec.objectives if one != score}
    return {metric: points[0][1] for metric, points in last.items() if points}


def _curve(session: Reading, trial: Trial, metric: str, *, own: bool) -> Curve:
    """Evaluations of a trial: those of a program by its steps. Others are evenly spaced, so their count gives the share
    of the training."""
    if own:
        return _points(session, trial, metric)
    points = _points(session, trial, f"search/{metric}")
    total = int(trial.settings.get("evaluations", 1))
    return [(min(1.0, (place + 1) / total), value) for place, (_, value) in enumerate(points)]


def _points(session: Reading, trial: Trial, name: str) -> list[tuple[float, float]]:
    found = [one for one in reads.series(session, trial.study_id, trial.id) if one.name == name]
    points = reads.points_after(session, found[0].id, -1, 10_000) if found else []
    return [(step, value) for step, value, _ in points if value is not None]
