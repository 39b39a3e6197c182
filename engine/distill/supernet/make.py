"""The supernet of a study, made by its preparation: the training that its students share, and the screening after it.

It adds to the facts where students start from; what was screened is reported as events.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from bertdistill.engine.contract.events import SCREENED
from bertdistill.engine.contract.facts import Prepared, Supernet
from bertdistill.engine.contract.spec import SUPERNET, Settings
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.supernet.readings import readings_of
from bertdistill.engine.distill.supernet.screening import Screened, screen
from bertdistill.engine.distill.supernet.shared_training import Sharing, train_shared
from bertdistill.engine.distill.training.evaluate import Evaluator
from bertdistill.engine.families.supernet import layers_computed, nets_of, ruined
from bertdistill.engine.families.table import weights_of
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.table import TASKS


def with_supernet(run: Run, facts: Prepared, evaluator: Evaluator) -> Prepared:
    """The facts with the supernet that students start from; as they are if the study has none.

    `facts` are all that trials need, and name the teacher as the model that students are cut from. Raises ConfigError
    if no student of the study can be cut from it, and Stopped.
    """
    if run.spec.student.init != SUPERNET:
        return facts
    nets = nets_of(facts, run.spec.nets)
    run.notice("info", f"supernet: {len(nets):,} sub-networks, {layers_computed(nets):,} different layers")
    sharing = Sharing(run, facts, nets, readings_of(run, facts, nets), evaluator)
    folder, seconds = train_shared(sharing)
    screened, found = screen(sharing, folder)
    bad = _ruined(found, facts, evaluator)
    if bad:
        names = "; ".join(" ".join(map(str, layers)) for layers in sorted(bad, key=lambda one: (len(one), one)))
        run.notice("info", f"sharing ruins these layers, so students with them start from the teacher itself: {names}")
    _report(run, facts, found, evaluator, bad)
    trained = {net.layers for net in nets}
    return dataclasses.replace(
        facts,
        init_folder=str(folder),
        supernet=Supernet(
            folder=str(folder),
            seconds=seconds,
            layers=tuple(sorted(trained - bad)),
            ruined=tuple(sorted(bad)),
            alone_folder=facts.init_folder,
            screened=screened,
        ),
    )


def _ruined(found: Sequence[Screened], facts: Prepared, evaluator: Evaluator) -> frozenset[tuple[int, ...]]:
    """By the first score of the task: a percentage, whose standard error is at most that of 50 percent."""
    score = TASKS[evaluator.examples.task].scores[0]
    return ruined(
        ((one.layers, one.metrics[score]) for one in found),
        chance=facts.chance.get(score, 0.0),
        top=facts.teacher_metrics.get(score, 0.0),
        error=50.0 / math.sqrt(min((one.examples for one in found), default=1)),
    )


def _report(
    run: Run, facts: Prepared, found: Sequence[Screened], evaluator: Evaluator, bad: frozenset[tuple[int, ...]]
) -> None:
    task = TASKS[run.spec.task]
    for one in found:
        settings = Settings(**{**vars(run.spec.settings), **one.settings, "family": TRANSFORMER.name})
        plan = TRANSFORMER.plan(facts, settings, scratch=False)
        size = TRANSFORMER.contents(plan, task, facts).bytes(weights_of(settings))
        run.events.emit(
            SCREENED,
            settings=dict(one.settings),
            score=one.metrics[evaluator.select],
            metrics=dict(one.metrics),
            known={**TRANSFORMER.known(plan, task, facts), "bytes": size},
            examples=one.examples,
            seconds=one.seconds,
            ruined=one.layers in bad,
        )
