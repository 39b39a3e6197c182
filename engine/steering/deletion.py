"""Delete studies, trials and promoted models: what is deleted and freed, when it is refused, and how to restore it.

One transaction marks the rows and records what to remove; folders follow (see `runner.bin`). Nothing is removed from
disk here before its time in the bin has passed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.contract.sizes import Sizes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import bin
from bertdistill.engine.runner.bin import DAY_SECONDS, KEEP_DAYS, ROWS, Item
from bertdistill.engine.steering.recording import record, writing
from bertdistill.engine.study.outline import LOG
from bertdistill.store import reads, writes
from bertdistill.store.db import Reading
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import Attempt, AttemptState, ModelVersion, Request, Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing

DELETE = "delete"
LIVING = ("verified", "verifying")
"""States of a model version on which other things depend."""


@dataclass(frozen=True)
class Deletion:
    """What would be deleted. `kind` is study, trial or model; `words` describe it, line by line."""

    kind: str
    name: str
    """As users write it: `demo`, `demo/3`, `qa:1`."""
    study_id: int
    trial_id: int | None = None
    version_id: int | None = None
    items: tuple[Item, ...] = ()
    words: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    """Rows of refused or failed versions, which are deleted too."""
    caches: tuple[Item, ...] = ()
    """Caches that nothing else needs: `prune` removes them once the study has left the bin."""

    @property
    def size_bytes(self) -> int:
        """The bytes that are freed once the bin is emptied."""
        return sum(item.size_bytes for item in self.items)


# ------------------------------------------------------------------------------------------------------------- looking


def plan_delete(session: Reading, workspace: Workspace, target: str) -> list[Deletion]:
    """What deleting `STUDY`, `STUDY/NUMBER`, `MODEL:VERSION` or `MODEL` (all its versions) would remove, with sizes.

    ActionRefused when something needs it, NotFound when it does not exist.
    """
    sizes = Sizes()
    return [_measured(one, workspace, sizes) for one in _resolve(session, target)]


def _resolve(session: Reading, target: str) -> list[Deletion]:
    text = target.strip()
    study, slash, number = text.replace("#", "/").partition("/")
    if slash:
        if not number.isdecimal():
            raise InvalidRequest(f"{target!r} is not a trial", hint="Write STUDY/NUMBER, for example demo/7.")
        found = reads.study(session, study)
        return [_trial(session, found, reads.trial(session, found.id, int(number)))]
    if ":" in text or "@" in text:
        return [_model(session, reads.model_version(session, text))]
    versions, is_study = reads.model_versions(session, text), any(one.name == text for one in reads.studies(session))
    if versions and is_study:
        hint = f"Write {text}:{versions[-1].version} to delete a version of the model; do that first."
        raise InvalidRequest(f"{text!r} is both a study and a model", hint=hint)
    if versions:
        return [_model(session, one) for one in versions]
    return [_study(session, _study_named(session, text))]


def _study_named(session: Reading, name: str) -> Study:
    try:
        return reads.study(session, name)
    except NotFound as error:
        raise NotFound(f"there is no study or model {name!r}", hint=error.hint) from error


def _study(session: Reading, study: Study) -> Deletion:
    living = {one.id for one in reads.trials(session, study.id)}
    attempts = [one for one in reads.attempts(session, study_id=study.id) if one.trial_id in {None, *living}]
    if study.kind != LOG and study.state == StudyState.RUNNING:
        raise ActionRefused(
            f"study {study.name!r} is running", hint=f"Stop it first: bertdistill-tui engine stop {study.name}"
        )
    if any(one.state == AttemptState.RUNNING for one in attempts):
        if study.kind == LOG:
            raise ActionRefused(f"a run of {study.name!r} is still being logged", hint="Wait until it has ended.")
        raise ActionRefused(
            f"workers of study {study.name!r} are still stopping",
            hint="Wait until they have written their checkpoints.",
        )
    versions = _versions(session, living)
    count = f"{len(living)} {'trial' if len(living) == 1 else 'trials'}"
    words = [f"study {study.name}: {count} with all curves, checkpoints and logs"]
    caches = [Item("cache", path) for path, users in bin.caches_in_use(session).items() if users == [study]]
    return Deletion(
        "study",
        study.name,
        study.id,
        items=(Item(ROWS), *_folders(attempts, versions)),
        words=tuple(words),
        versions=tuple(one.id for one in versions),
        caches=tuple(caches),
    )


def _trial(session: Reading, study: Study, trial: Trial) -> Deletion:
    name = f"{study.name}/{trial.number}"
    attempts = reads.attempts(session, trial_id=trial.id)
    leaving = any(one.state == AttemptState.RUNNING for one in attempts)
    if leaving and study.kind == LOG:
        raise ActionRefused(f"run {name} is still being logged", hint="Wait until it has ended.")
    if trial.state in (TrialState.WAITING, TrialState.RUNNING) or leaving:
        hint = f"Stop it first: bertdistill-tui engine stop {study.name} --trial {trial.number}"
        raise ActionRefused(f"trial {name} is {'running' if leaving else trial.state}", hint=hint)
    if trial.origin == "baseline" and study.kind != LOG:
        hint = f"Delete the whole study, or archive the trial: bertdistill-tui engine archive {name}"
        raise ActionRefused(f"trial {name} is the baseline that other trials are compared with", hint=hint)
    forgotten = "; the optimiser forgets it" if study.kind != LOG else ""
    versions = _versions(session, {trial.id})
    _refuse_ancestor(session, study, trial, name)
    return Deletion(
        "trial",
        name,
        study.id,
        trial.id,
        items=(Item(ROWS), *_folders(attempts, versions)),
        words=(f"trial {name}: its curves, checkpoints and logs{forgotten}",),
        versions=tuple(one.id for one in versions),
    )


def _versions(session: Reading, trial_ids: set[int]) -> list[ModelVersion]:
    """Versions of these trials that nothing depends on; ActionRefused when one is verified or being verified.

    A cascade belongs to its first trial, but needs the second one as well.
    """
    versions = reads.model_versions(session)
    if living := [one for one in versions if one.state in LIVING and not trial_ids.isdisjoint(one.trial_ids)]:
        names = ", ".join(f"{one.name}:{one.version}" for one in living)
        first = f"{living[0].name}:{living[0].version}"
        verb = "is being verified" if living[0].state == "verifying" else "was promoted from it"
        raise ActionRefused(
            f"model {names} {verb}", hint=f"Delete the model first: bertdistill-tui engine delete {first}"
        )
    return [one for one in versions if one.trial_id in trial_ids]


def _refuse_ancestor(session: Reading, study: Study, trial: Trial, name: str) -> None:
    """A promoted model records the trials that its own trial is a rerun of."""
    parents = {one.id: one.parent_id for one in reads.trials(session, study.id)}
    living = [one for one in reads.model_versions(session) if one.state in LIVING]
    for version, member in [(one, member) for one in living for member in one.trial_ids]:
        ancestor = parents.get(member)
        while ancestor is not None and ancestor != trial.id:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            model = f"{version.name}:{version.version}"
            hint = f"Delete the model first: bertdistill-tui engine delete {model}"
            raise ActionRefused(f"model {model} comes from a rerun of trial {name}", hint=hint)


def _model(session: Reading, version: ModelVersion) -> Deletion:
    name = f"{version.name}:{version.version}"
    if version.state == "verifying":
        raise ActionRefused(f"model {name} is being verified", hint="Wait until that has ended.")
    if aliases := [one.alias for one in reads.aliases(session, version.name) if one.version_id == version.id]:
        hint = f"Move the alias first: bertdistill-tui engine models {version.name} --set-alias {aliases[0]}=VERSION"
        raise ActionRefused(f"model {name} is what {version.name}@{', @'.join(aliases)} points to", hint=hint)
    trial = reads.trial_by_id(session, version.trial_id)
    exported = [Item("model", version.folder)] if version.folder else []
    return Deletion(
        "model",
        name,
        trial.study_id,
        trial.id,
        version.id,
        items=(Item(ROWS), *exported, *_folders((), [version])),
        words=(f"model {name} ({version.state}): its exported folder; the trial and its checkpoint stay",),
    )


def _folders(attempts: Iterable[Attempt], versions: Iterable[ModelVersion]) -> list[Item]:
    """Run folders, each once."""
    paths = [one.folder for one in attempts] + [one.attempt_folder for one in versions if one.attempt_folder]
    return [Item("attempt", path) for path in dict.fromkeys(paths)]


def _measured(found: Deletion, workspace: Workspace, sizes: Sizes) -> Deletion:
    def measured(items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(
            replace(one, size_bytes=sizes.of(workspace.absolute(one.path)) if one.path else 0) for one in items
        )

    return replace(found, items=measured(found.items), caches=measured(found.caches))


# -------------------------------------------------------------------------------------------------------------- acting


def delete(workspace: Workspace, targets: Sequence[str], *, who: str, keep_days: float = KEEP_DAYS) -> list[Request]:
    """Delete all of these or, if one is refused, none; each is a request that can be undone until it expires."""
    now = time.time()
    with writing(workspace) as db:
        bin.settle(db, workspace)
        with db.read() as session:
            sizes = {item.path: item.size_bytes for one in _all(session, workspace, targets) for item in one.items}
        with db.write() as session:
            found = {one.name: one for target in targets for one in _resolve(session, target)}
            made = [_delete(session, one, sizes, who, now + keep_days * DAY_SECONDS) for one in found.values()]
        bin.tidy(db, workspace, now=now)
        return made


def _all(session: Reading, workspace: Workspace, targets: Sequence[str]) -> list[Deletion]:
    return [one for target in targets for one in plan_delete(session, workspace, target)]


def _delete(session: Writing, found: Deletion, sizes: dict[str, int], who: str, expires_at: float) -> Request:
    now = time.time()
    measured = [replace(item, size_bytes=sizes.get(item.path, 0)) for item in found.items]
    arguments: dict[str, Any] = {"what": found.kind, "name": found.name}
    arguments |= {"version": found.version_id} if found.version_id is not None else {}
    given = {"bytes": sum(item.size_bytes for item in measured), "versions": list(found.versions)}
    request = record(session, who, DELETE, found.study_id, found.trial_id, arguments=arguments | given)
    for kind, row_id in _rows(request):
        writes.mark_deleted(session, kind, row_id, now)
    bin.put(session, request.id, measured, expires_at=expires_at)
    return request


def _rows(request: Request) -> list[tuple[type[Study | Trial | ModelVersion], int]]:
    """The rows that a deletion marks."""
    along: list[tuple[type[Study | Trial | ModelVersion], int]] = [
        (ModelVersion, one) for one in request.arguments.get("versions", [])
    ]
    if "version" in request.arguments:
        return [(ModelVersion, int(request.arguments["version"]))]
    if request.trial_id is not None:
        return [(Trial, request.trial_id), *along]
    assert request.study_id is not None
    return [(Study, request.study_id), *along]


# -------------------------------------------------------------------------------------------------------------- undoing


def why_not_back(session: Reading, workspace: Workspace, request: Request) -> str:
    """Why a deletion or a prune cannot be undone; empty when it can."""
    if problems := bin.lost(workspace, reads.binned(session, request_id=request.id)):
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        return f"{problems[0]}{more}"
    if request.verb != DELETE or request.study_id is None:
        return ""
    study = reads.study_by_id(session, request.study_id)
    alone = "version" not in request.arguments and request.trial_id is None
    if alone and any(one.name == study.name for one in reads.studies(session)):
        return f"another study is now called {study.name!r}"
    if not alone and study.deleted_at is not None:
        return f"its study {study.name!r} was deleted too; restore that first"
    trial = reads.trial_by_id(session, request.trial_id) if request.trial_id is not None else None
    if "version" in request.arguments and trial is not None and trial.deleted_at is not None:
        return f"its trial {study.name}/{trial.number} was deleted too; restore that first"
    return ""


def bring_back(session: Writing, workspace: Workspace, request: Request) -> None:
    """Undo a deletion or a prune: folders first, then the rows that name them. ActionRefused if that is impossible."""
    if why := why_not_back(session, workspace, request):
        raise ActionRefused(f"request #{request.id}: {why}", hint="See: bertdistill-tui engine history")
    bin.bring_back(session, workspace, reads.binned(session, request_id=request.id))
    for kind, row_id in _rows(request) if request.verb == DELETE else ():
        writes.mark_deleted(session, kind, row_id, None)
    for checkpoint_id in request.arguments.get("checkpoints", ()):
        writes.restore_checkpoint(session, int(checkpoint_id))
