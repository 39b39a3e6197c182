"""The edge of the process: one command line in, an exit status out. The words themselves are in `commands`.

It imports next to nothing, so that a ctrl-c while the rest is still being imported ends like any other.
Exit status, an interface: 0 done, 1 failed, 2 misuse (also a wrong study or config file, and a terminal that cannot
show the app), 130 interrupted; the app adds 128 and the number of a signal that ended it.
"""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and leave the process with its exit status."""
    try:
        gc.disable()  # a tenth of an import would go into looking through new modules
        from bertdistill.app.commands.start import run

        gc.enable()
        status = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if arguments is None:
        _keep_status()
    sys.exit(status)


def _keep_status() -> None:
    """The process is about to end; a ctrl-c from now on, or one that was handled, must not change its exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # CPython keeps a flag when KeyboardInterrupt passes through `exec` of a string, as in the making of a dataclass,
    # and then ends by SIGINT although it was handled. Each `exec` clears it first (run_eval_code_obj, pythonrun.c).
    exec("")
