"""Runs that were imported from other trackers: where their rows point to, and their names as the database has them.

Standard library only; it reads no file of another tracker.
"""

from __future__ import annotations

import re

from bertdistill.engine.contract.names import name_problem

ROOT = "runs/_imported"
"""Begins the folder of every imported attempt, which is only a name: nothing is there. No study can have that name."""
LOCK = "import.lock"
"""In the workspace: held while something is imported."""
IMPORTED = "imported"
"""Key in the handle of the attempt and in the spec of the study, and origin of the trial."""
LONGEST_NAME = 128
_UNFIT = re.compile(r"[^A-Za-z0-9_./ @-]")


def run_folder(tracker: str, key: str) -> str:
    """The folder of the attempt of a run, from the key that tells it from every other run of that tracker."""
    import hashlib  # 2 ms of the first paint of the app, which needs none

    text = f"{tracker}\0{key}".encode("utf-8", "surrogatepass")
    return f"{ROOT}/{hashlib.sha256(text).hexdigest()[:40]}"


def study_name(name: str) -> str:
    """A name of another tracker as that of a study: letters, digits, dots, dashes and underscores."""
    found = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:58].rstrip("-._") or "imported"
    return f"{found}-study" if name_problem(found) else found


def series_name(name: str) -> str:
    """A name of a metric as that of a series: what it may not contain becomes an underscore."""
    found = _UNFIT.sub("_", name[: 2 * LONGEST_NAME]).lstrip("_./ @-")[:LONGEST_NAME].rstrip()
    return found or "metric"
