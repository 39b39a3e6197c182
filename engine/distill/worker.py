"""The worker: the process of one attempt, `python -P -m bertdistill.engine.distill.worker RUN_FOLDER`.

It reads `spec.json`, does the work, reports with events, and shows with its exit code how it ended. It opens no
database and starts no other attempts.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract import events as ev
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.versions import versions

if TYPE_CHECKING:
    from bertdistill.engine.distill.run import Run


def main(arguments: list[str]) -> int:
    """Run the attempt in the folder given as the only argument; returns the exit code."""
    if len(arguments) != 1:
        print("usage: python -P -m bertdistill.engine.distill.worker RUN_FOLDER", file=sys.stderr)  # noqa: T201
        return 2
    os.umask(0o077)
    paths = RunPaths(Path(arguments[0]).resolve())
    stop = threading.Event()
    # Before the slow imports: a stop during them must not look like a crash.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    events = EventWriter(paths.events)
    try:
        code, status, reason, detail = _run(paths, events, stop)
    except Exception as error:  # noqa: BLE001 - the worker's edge: whatever happened is recorded, with its traceback in the log
        traceback.print_exc()
        code, status, reason, detail = ev.EXIT_CRASHED, "failed", type(error).__name__, str(error)
    events.emit(ev.ENDED, status=status, reason=reason, detail=detail[:2000])
    events.close()
    return code


Ending = tuple[int, str, str, str]


def _run(paths: RunPaths, events: EventWriter, stop: threading.Event) -> Ending:
    import torch

    from bertdistill.engine.distill.run import Run, Stopped, open_device
    from bertdistill.engine.distill.training.train import Diverged
    from bertdistill.store.errors import BertDistillError

    if stop.is_set():
        return ev.EXIT_STOPPED, "stopped", "stopped", "stopped before it started"
    try:
        spec = AttemptSpec.read(paths.spec)
        events.moves = spec.paths
        run = Run(spec, paths, events, stop, open_device(spec.device))
        events.emit(ev.RESULT, **WORK[spec.kind](run))
    except Stopped:
        return ev.EXIT_STOPPED, "stopped", "stopped", "stopped on request; the work done so far is kept"
    except Diverged as error:
        return ev.EXIT_DIVERGED, "infeasible", "diverged", str(error)
    except BertDistillError as error:  # the user must fix something first; a retry would fail again
        hint = f" ({error.hint})" if error.hint else ""
        return ev.EXIT_REFUSED, "refused", type(error).__name__, f"{error}{hint}"
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        reason = out_of_memory(error)
        if not reason:
            raise
        traceback.print_exc()
        return ev.EXIT_OUT_OF_MEMORY, "infeasible", reason, str(error).partition("\n")[0] or reason
    return ev.EXIT_COMPLETE, "complete", "", ""


def out_of_memory(error: Exception) -> str:
    """cuda_oom, host_oom or nothing. Asynchronous CUDA failures have other types, so their text decides."""
    text = str(error)
    cuda = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
    if type(error).__name__ == "OutOfMemoryError" or any(words in text for words in cuda):
        return "cuda_oom"
    if isinstance(error, MemoryError) or "DefaultCPUAllocator" in text or "not enough memory" in text:
        return "host_oom"
    return ""


def _prepare(run: Run) -> dict[str, Any]:
    from bertdistill.engine.distill.prepare import prepare

    run.events.emit(ev.STARTED, device=str(run.device), versions=versions())
    facts = prepare(run)
    return {"metrics": dict(facts.teacher_metrics), "facts": facts.to_dict()}


def _trial(run: Run) -> dict[str, Any]:
    from bertdistill.engine.distill.trial import run_trial

    return {"metrics": run_trial(run)}


def _promote(run: Run) -> dict[str, Any]:
    if run.spec.promote is not None and run.spec.promote.cascade is not None:
        from bertdistill.engine.distill.export.cascade import verify_cascade

        return verify_cascade(run)
    from bertdistill.engine.distill.export.promotion import verify

    verified: dict[str, Any] = verify(run.spec, run.events, run.paths, stop=run.stop, device=run.device)
    return verified


def _report(run: Run) -> dict[str, Any]:
    from bertdistill.engine.distill.export.report_scores import score_models

    return score_models(run)


WORK: dict[str, Callable[[Run], dict[str, Any]]] = {
    "prepare": _prepare,
    "trial": _trial,
    "promote": _promote,
    "report": _report,
}


def preload() -> None:
    """Import what attempts of any family use, for a process that forks them (`launch.forking`).

    torch._dynamo is what torch's optimisers import with their first step. Nothing is computed: no thread starts.
    """
    for name in _PRELOADED:
        import_module(name)


_ROOM = "bertdistill.engine.distill"
_PRELOADED = (
    *(f"{_ROOM}.{name}" for name in ("trial", "prepare", "families.tiny", "families.linear", "families.bottleneck")),
    *(f"{_ROOM}.{name}" for name in ("families.encoder", "families.separate", "compression.removal", "training.dual")),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("bert", "distilbert", "roberta")),
    "transformers.models.auto.modeling_auto",
    "torch._dynamo",
)


def may_use_gpu() -> bool:
    """Whether CUDA works in this process: not in one that was forked from a user of a GPU."""
    import torch

    return not torch.cuda._is_in_bad_fork()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
