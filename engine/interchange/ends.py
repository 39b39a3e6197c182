"""What the exception that ended a training means for its run. Pure; it knows exceptions of other libraries by name."""

from __future__ import annotations

import errno

_CUDA_MEMORY = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
LONGEST = 2000


def end_of(error: BaseException | None) -> tuple[str, str, str]:
    """Status, class and detail of the `ended` event; an exception that means a normal end counts as none."""
    if error is None or isinstance(error, GeneratorExit):
        return "complete", "", ""
    name, text = type(error).__name__, str(error)
    detail = f"{name}: {text}"[:LONGEST] if text else name
    if isinstance(error, SystemExit):
        return ("complete", "", "") if error.code in (None, 0) else ("failed", "crashed", detail)
    if isinstance(error, KeyboardInterrupt):
        return "stopped", "interrupted", "ctrl-c"
    if name == "TrialPruned":
        return "pruned", "pruned", text[:LONGEST]
    if name == "OutOfMemoryError" or any(words in text for words in _CUDA_MEMORY):
        return "infeasible", "cuda_oom", detail
    if isinstance(error, MemoryError):
        return "infeasible", "host_oom", detail
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "failed", "disk_full", detail
    return "failed", "crashed", detail
