"""Promote a cascade: choose its threshold from stored outputs and start the worker that verifies and exports it.

A version of a cascade belongs to its first member that is a trial. The worker does the work (`distill.export.cascade`);
`promotions` settles it like any other promotion.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

from bertdistill.engine.analysis.cascade import Cascade, Cut, Member
from bertdistill.engine.analysis.cascade_inputs import TEACHER, read_cascade
from bertdistill.engine.contract.workspace import Workspace, checked
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.steering.promotions import kept_checkpoint, order_of, refuse_existing, start
from bertdistill.engine.steering.recording import record, writing
from bertdistill.store import reads, writes
from bertdistill.store.writing import Writing
from bertdistill.store.rows import ModelVersion, Study

MEMBER_KEYS = ("trial", "checkpoint", "sha256", "precision", "device")
"""What the worker is told about a member, of the order of a promotion."""


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
            parts = [_part(session, workspace, found, one) for one in (joined.small, joined.large)]
            trial, checkpoint = next((t, c) for t, c in parts if t is not None and c is not None)
            version = writes.create_model_version(
                session,
                name=name,
                trial_id=trial.id,
                checkpoint_id=checkpoint.id,
                who=who,
                now=time.time(),
                note=note,
                forced=force,
            )
            refuse_existing(workspace, version)
            members = []
            for t, c in parts:
                origin = None if c is None else reads.attempt_by_id(session, c.attempt_id)
                order = {} if t is None or c is None or origin is None else order_of(workspace, t, c, version, origin)
                members.append({key: order[key] for key in MEMBER_KEYS if key in order})
            origin = reads.attempt_by_id(session, checkpoint.attempt_id)
            order = order_of(workspace, trial, checkpoint, version, origin)
            order |= {"alias": alias, "who": who, "note": note, "recorded": dict(cut.scores)}
            order["cascade"] = _told(joined, cut, members)
            arguments = {"name": name, "version": version.version, "alias": alias, "force": force}
            arguments |= {"cascade": [joined.small.name, joined.large.name], "share": round(cut.share, 4)}
            record(session, who, "promote", found.id, trial.id, arguments=arguments)
        return start(workspace, db, launcher or make_launcher(), found, trial, version, order)


def _part(session: Writing, workspace: Workspace, study: Study, member: Member) -> tuple[Any, Any]:
    """Trial and checkpoint of a member; None twice for the teacher."""
    if member.name == TEACHER:
        return None, None
    trial = reads.trial(session, study.id, int(member.name.removeprefix("#")))
    return trial, kept_checkpoint(session, trial, "best")


def _told(joined: Cascade, cut: Cut, members: list[dict[str, Any]]) -> dict[str, Any]:
    """`AttemptSpec.promote["cascade"]`: the rule, what it brought, and the members in the order they are asked."""
    return {
        "temperature": joined.small.temperature,
        "threshold": cut.threshold,
        "share": cut.share,
        "cost": dataclasses.asdict(joined.cost),
        "small": {"name": joined.small.name, **members[0]},
        "large": {"name": joined.large.name, **members[1]},
    }
