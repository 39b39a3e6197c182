"""What a report of a study is made of, read from the store in one go. It writes nothing and words nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bertdistill.app.draw.curves import Curve
from bertdistill.app.report.records import versions_of
from bertdistill.app.report.summary import versions_text
from bertdistill.app.views.certain import with_certainty
from bertdistill.app.views.view import StudyView, chart_axes, make_view
from bertdistill.engine.analysis.joined import is_plane
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import Importances, ask_importances, too_few
from bertdistill.engine.study.outline import outline
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, Checkpoint, ModelVersion, Trial

if TYPE_CHECKING:
    from bertdistill.engine.analysis.joined import Joined

EVALUATION = "search/"
"""Before the name of a metric, that of its curve; a logged run may have it without."""
MOST_CURVES = 12
"""Trials whose curves are drawn: the first ones of the frontier."""
PARTS = 300
"""Points of a curve at most."""
UNBLAMED = ("", "complete", "stopped", "pruned")
"""Ends of attempts that are no failure."""

Ask = Callable[[Workspace, str], Sequence[Importances]]


@dataclass(frozen=True)
class Material:
    """A study at one moment."""

    view: StudyView
    curves: Mapping[str, Sequence[Curve]]
    """By metric, a curve for each of the first trials of the frontier that have one."""
    failed: Mapping[str, Sequence[Attempt]]
    """Attempts that failed, by the class of their end."""
    weights: Sequence[tuple[int, Checkpoint]]
    """The best checkpoint of each trial of the frontier, with its number."""
    models: Sequence[ModelVersion]
    """What was promoted."""
    versions: Mapping[str, int]
    """What workers ran with, and how many attempts did."""
    cascades: Sequence[Joined] = ()
    importances: Sequence[Importances] = ()
    unweighed: str = ""
    """Why there are no importances."""

    def number(self, trial_id: int | None) -> int | None:
        """The number of a trial by its row; None for the preparation and for deleted trials."""
        return next((t.number for t in self.view.trials if t.id == trial_id), None)


def read_material(db: Database, workspace: Workspace, name: str, ask: Ask | None = None) -> Material:
    """The study of that name; NotFound if there is none.

    Without `ask` importances come from a child process, in seconds.
    """
    with db.read() as session:
        study = reads.study(session, name)
        view = make_view(study, outline(study), reads.trials(session, study.id))
        view = replace(view, screened=tuple(reads.screened(session, study.id)))
        view = with_certainty(view, session, workspace)
        front = [trial for trial in view.frontier if not trial.archived]
        rows = {trial.id for trial in view.trials}
        weights = [(t.number, one) for t in front if (one := _best(session, t)) is not None]
        attempts = reads.attempts(session, study_id=study.id)
        found = Material(
            view,
            _curves(session, view, (front or [t for t in view.trials if not t.archived])[:MOST_CURVES]),
            _failed([one for one in attempts if one.ended_at is not None]),
            weights,
            [one for one in reads.model_versions(session) if one.trial_id in rows],
            Counter(words for one in attempts if (words := versions_text(versions_of(one)))),
            _cascades(session, workspace, view, front[:MOST_CURVES]),
        )
    return _weighed(found, workspace, ask or ask_importances)


def _weighed(found: Material, workspace: Workspace, ask: Ask) -> Material:
    """With the importances, or with the reason why there are none."""
    view = found.view
    if not view.objectives or not view.outline.search:
        return replace(found, unweighed="Without objectives and parameters there is nothing to weigh.")
    if words := too_few(sum(row.feasible for row in view.ranked.values())):
        return replace(found, unweighed=f"{words[0].upper()}{words[1:]}.")
    try:
        return replace(found, importances=tuple(ask(workspace, view.study.name)))
    except (WorkerFailed, OSError) as error:
        return replace(found, unweighed=f"The importance of the parameters could not be computed: {error}")


def score_metrics(view: StudyView) -> list[str]:
    """The metrics whose curves are worth a chart: the objectives, else what the study stores."""
    return view.scores or list(view.outline.stored[:2])


def _curves(session: Reading, view: StudyView, trials: Sequence[Trial]) -> dict[str, list[Curve]]:
    found: dict[str, list[Curve]] = defaultdict(list)
    for trial in trials:
        series = {one.name: one for one in reads.series(session, view.study.id, trial_id=trial.id)}
        for metric in score_metrics(view):
            one = series.get(f"{EVALUATION}{metric}") or series.get(metric)
            if one is None:
                continue
            points = reads.curve(session, one.id, columns=PARTS)
            steps = [float(point.step) for point in points] + [0.0] * one.not_finite
            values = [point.value_mean for point in points] + [None] * one.not_finite
            found[metric].append(Curve(f"#{trial.number}", steps, values))
    return dict(found)


def _failed(attempts: Sequence[Attempt]) -> dict[str, list[Attempt]]:
    """The most frequent class first."""
    found: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        if attempt.exit_class not in UNBLAMED:
            found[attempt.exit_class].append(attempt)
    return dict(sorted(found.items(), key=lambda pair: -len(pair[1])))


def _best(session: Reading, trial: Trial) -> Checkpoint | None:
    best = [one for one in reads.checkpoints(session, trial_id=trial.id, dropped=True) if one.role == "best"]
    return best[-1] if best else None


def _cascades(session: Reading, workspace: Workspace, view: StudyView, front: Sequence[Trial]) -> Sequence[Joined]:
    if not view.classifies or not is_plane(*chart_axes(view)):
        return ()
    from bertdistill.engine.analysis.cascade_inputs import points_in  # it loads numpy

    return points_in(session, workspace, view.study, front)
