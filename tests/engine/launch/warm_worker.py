"""The fake worker as a module that `launch.forking` loads, as it does the real one."""

from __future__ import annotations

import os
import threading

from tests import fake_worker

main = fake_worker.main


def preload() -> None:
    """Fail as BERTDISTILL_PRELOAD tells."""
    match os.environ.get("BERTDISTILL_PRELOAD"):
        case "error":
            raise ImportError("no such library")
        case "thread":
            threading.Thread(target=threading.Event().wait, daemon=True).start()


def may_use_gpu() -> bool:
    return os.environ.get("BERTDISTILL_PRELOAD") != "gpu"
