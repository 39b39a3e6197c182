"""What a training program imports: `bertdistill.start`. Nothing is loaded before it is used.

The code is in `engine.interchange.log`; this package must stay empty of it, since every import of the app passes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if __name__ != "bertdistill":  # the clone has this folder under another name
    raise ImportError("import this package as bertdistill, not as " + __name__)

if TYPE_CHECKING:
    from bertdistill.engine.interchange.log import Run, start

__all__ = ["Run", "start"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bertdistill.engine.interchange import log

    return getattr(log, name)
