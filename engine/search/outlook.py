"""What the next trials of a study are worth, as a value, and asking for it.

It loads the model (scipy, optuna) only when asked: the app reads the answer of a child process.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.outline import LOG, outline
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import TrialState

TRIALS = 10
FEWEST = 10
"""Complete trials without which nothing is forecast: the model has seen too little, and the first trials are random."""


@dataclass(frozen=True)
class Outlook:
    """The expected gain of the next trials, as a share of the unit box (see `engine.pareto`)."""

    trials: int
    gain: float
    low: float
    high: float
    """Four of five gains are expected between `low` and `high`."""
    hypervolume: float
    """Now, with each point where the model believes it to be."""
    seconds: float | None
    """Worker time of these trials; None if no earlier one tells."""

    @property
    def percent(self) -> tuple[float, float, float]:
        """Gain, low and high in percent of the hypervolume now."""
        whole = self.hypervolume or 1.0
        return 100 * self.gain / whole, 100 * self.low / whole, 100 * self.high / whole


def read_outlook(workspace: Workspace, study: str) -> Outlook | None:
    """The outlook of a study; None if it proposes nothing (logged runs), or has too few complete trials to tell."""
    from bertdistill.engine.search.ahead import outlook
    from bertdistill.engine.search.proposals import Record

    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            found = reads.study(session, study)
            complete = reads.trials(session, found.id, states=(TrialState.COMPLETE,))
            if found.kind == LOG or len(complete) < FEWEST:
                return None
            record = Record(found.id, outline(found).whole)
            record.refresh(session)
    finally:
        db.close()
    model = record.model(Prepared.from_dict(found.prepared))
    return None if model is None else outlook(model, record.spec.sampler.seed)


def main(arguments: list[str]) -> None:
    """For the app: workspace and study to JSON."""
    folder, study = arguments
    found = read_outlook(Workspace(Path(folder)), study)
    raw: dict[str, Any] | None = None if found is None else dataclasses.asdict(found)
    sys.stdout.write(json.dumps(raw))


if __name__ == "__main__":
    main(sys.argv[1:])
