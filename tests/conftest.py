"""What every test stands on."""

from __future__ import annotations

import gc
import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background deaf to ctrl-c, and so would be every process that a test starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """By now everything is imported and stays: without this, a fifth of the time of screen tests goes into looking
    through torch and Textual for garbage, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
