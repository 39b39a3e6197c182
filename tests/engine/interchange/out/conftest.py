"""Two studies with all that a form must represent or refuse: every state, hostile names, values of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import study_dict
from tests.kept import new_db

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.out.outgoing import Outgoing, read_outgoing
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.store import writes
from bertdistill.store.db import Database
from bertdistill.store.rows import StudyState, TrialState

NOW = 1_700_000_000.25
HOSTILE = "../../etc/=cmd\x1b[2J<script>"
SECRET = "https://example.org/hooks/token-123"
ENDS = (
    TrialState.COMPLETE,
    TrialState.COMPLETE,
    TrialState.COMPLETE,
    TrialState.PRUNED,
    TrialState.INFEASIBLE,
    TrialState.FAILED,
    TrialState.STOPPED,
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace of both studies, `toy` and `mine`; closed."""
    folder = tmp_path_factory.mktemp("out")
    found = Workspace((folder / "ws").resolve())
    db = new_db(found.path)
    _fill_search(db, folder)
    _fill_log(db)
    db.close()
    return found


def _fill_search(db: Database, folder: Path) -> None:
    objectives = [
        {"metric": "accuracy", "direction": "maximize", "threshold": 60.0},
        {"metric": "params", "direction": "minimize"},
    ]
    spec = study_from_dict(study_dict(folder, objectives=objectives, notify={"webhook": SECRET}), where="test")
    with db.write() as session:
        study = writes.create_study(session, name="toy", task=spec.task, spec=dump(spec), now=NOW)
        writes.set_study_state(session, study.id, StudyState.RUNNING, now=NOW)
        writes.store_points(session, study.id, 0, [("train/loss", step, 1 / step, NOW + step) for step in (1, 2, 3)])
        ids: list[int] = []
        for number, end in enumerate((*ENDS, TrialState.RUNNING, TrialState.WAITING)):
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin="rerun" if number == 2 else "sampler",
                params={"layers": number % 4 + 1, "learning_rate": 1e-4 * (number + 1)},
                settings={"seed": number, "layers": number % 4 + 1},
                known={"params": 1000 * (number + 1)},
                parent_id=ids[0] if number == 2 else None,
                proposal_seed=7,
                now=NOW + number,
            )
            ids.append(trial.id)
            if end != TrialState.WAITING:
                writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=NOW + number + 0.5)
            points = [("search/accuracy", step, 50.0 + number + step / 1000, NOW + step) for step in (10, 300, 70_000)]
            points += [("train/loss", step, None if step == 2 else 1 / step, NOW + step) for step in range(1, 6)]
            points += [(HOSTILE, 0, 1e300, NOW)]
            if number < 7:
                writes.store_points(session, study.id, trial.id, points)
            if number < 3:
                writes.set_trial_metrics(session, trial.id, {"accuracy": 55.0 + 5 * number, "f1": None}, progress=1.0)
            if end in ENDS:
                reason = "" if end == TrialState.COMPLETE else "cuda_oom"
                writes.set_trial_state(session, trial.id, end, now=NOW + 100 + number, reason=reason, detail=reason)
        writes.edit_trial(session, ids[1], tags=["good", HOSTILE], note=f"=1+1 {HOSTILE}\nsecond line")


def _fill_log(db: Database) -> None:
    params = [
        {"lr": 0.1, "name": "a", "flag": True, "big": 2**60, "mixed": 1, "list": [1, 2], "none": None, HOSTILE: "x"},
        {"lr": 1, "name": "b", "flag": False, "big": 3, "mixed": "one", "list": "12", "none": 1.5, HOSTILE: "y"},
        {"lr": 0.001},
    ]
    with db.write() as session:
        study = writes.create_study(session, name="mine", task="", spec={}, kind="log", now=NOW)
        for number, one in enumerate(params):
            trial = writes.create_trial(
                session, study_id=study.id, origin="logged", params=one, settings={}, known={}, now=NOW
            )
            writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=NOW)
            writes.set_trial_metrics(session, trial.id, {"acc": 0.5 + number, HOSTILE: 1.0}, progress=1.0)
            writes.store_points(session, study.id, trial.id, [("acc", step, step / 7, NOW) for step in range(-2, 3)])
            writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=NOW + 1)


@pytest.fixture
def db(workspace: Workspace) -> Iterator[Database]:
    from bertdistill.store.db import open_db

    found = open_db(workspace.path, read_only=True)
    yield found
    found.close()


@pytest.fixture
def toy(db: Database) -> Outgoing:
    """The search, which is still running."""
    return read_outgoing(db, "toy")


@pytest.fixture
def mine(db: Database) -> Outgoing:
    """The logged runs, without objectives."""
    return read_outgoing(db, "mine")
