"""Promote a cascade: choose its threshold from stored outputs and start the worker that verifies and exports it.

A version of a cascade belongs to its first member that is a trial. The worker does the work (`distill.export.cascade`);
`promotions` settles it like any other promotion.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from bertdistill.engine.analysis.cascade import Cascade, Cut, Member
from bertdistill.engine.analysis.cascade_inputs import TEACHER, read_cascade
from bertdistill.engine.contract.cascade import Part, Router
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.workspace import Workspace, checked
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.steering.promotions import kept_checkpoint, order_of, refuse_existing, start
from bertdistill.engine.steering.recording import record, writing
from bertdistill.engine.study.outline import outline
from bertdistill.store import reads, writes
from bertdistill.store.db import Reading
from bertdistill.store.rows import Checkpoint, ModelVersion, Study, Trial


def promote_cascade(
    workspace: Workspace,
    study: str,
    first: int,
    second: int | None,
    name: str,
    choose: Callable[[Cascade], Cut],
    *,
    who: str,
    metric: str = "",
    alias: str = "",
    note: str = "",
    force: bool = False,
    launcher: Launcher | None = None,
) -> ModelVersion:
    """Create a version of model `name` from two trials, or (None) a trial and the teacher, and start its worker.

    `choose` picks the threshold; the other arguments are those of `promotions.promote` and of `read_cascade`.
    """
    checked(name, "model name")
    if alias:
        checked(alias, "alias")
    joined = read_cascade(workspace, study, first, second, metric=metric)
    cut = choose(joined)
    with writing(workspace) as db:
        with db.write() as session:
            found = reads.study(session, study)
            if TEACHER in (joined.small.name, joined.large.name):
                _refuse_teacher(found)
            members = [_member(session, found, one) for one in (joined.small, joined.large)]
            trials = [one for one in members if one is not None]
            trial, checkpoint = trials[0]
            version = writes.create_model_version(
                session,
                name=name,
                trial_id=trial.id,
                checkpoint_id=checkpoint.id,
                who=who,
                now=time.time(),
                note=note,
                forced=force,
                second=(trials[1][0].id, trials[1][1].id) if len(trials) == 2 else None,
            )
            refuse_existing(workspace, version)
            orders = [one and _order(session, workspace, *one, version, alias) for one in members]
            order = next(one for one in orders if one is not None)
            small, large = map(_part, (joined.small.name, joined.large.name), orders)
            router = Router(small, large, joined.small.temperature, cut.threshold, cut.share)
            order = dataclasses.replace(order, recorded=dict(cut.scores), cascade=router)
            arguments = {"name": name, "version": version.version, "alias": alias, "force": force}
            arguments |= {"cascade": [joined.small.name, joined.large.name], "share": round(cut.share, 4)}
            record(session, who, "promote", found.id, trial.id, arguments=arguments)
        return start(workspace, db, launcher or make_launcher(), found, trial, version, order)


def _refuse_teacher(study: Study) -> None:
    """ActionRefused if the teacher is not one model: there is nothing to export."""
    teacher = outline(study).whole.teacher
    if teacher.outputs or teacher.ensemble or not Prepared.from_dict(study.prepared).teacher_folder:
        raise ActionRefused(
            f"the teacher of {study.name} is {'several models' if teacher.ensemble else 'a file'}, not one model",
            hint="Its curve can be shown; to promote a cascade, join two trials.",
        )


def _member(session: Reading, study: Study, member: Member) -> tuple[Trial, Checkpoint] | None:
    """None for the teacher."""
    if member.name == TEACHER:
        return None
    trial = reads.trial(session, study.id, int(member.name.removeprefix("#")))
    return trial, kept_checkpoint(session, trial, "best")


def _order(
    session: Reading, workspace: Workspace, trial: Trial, checkpoint: Checkpoint, version: ModelVersion, alias: str
) -> Promotion:
    origin = reads.attempt_by_id(session, checkpoint.attempt_id)
    return order_of(workspace, trial, checkpoint, version, origin, alias)


def _part(name: str, order: Promotion | None) -> Part:
    if order is None:
        return Part(name)
    return Part(name, order.checkpoint, order.sha256, order.precision, order.device)
