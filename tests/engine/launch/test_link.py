"""The connection to an agent: who may end it, and that it ends for good."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.fakes import wait_for

from bertdistill.engine.launch.link import ProcessLink, Unreachable


def test_an_aborted_link_stays_closed() -> None:
    """The call that waits fails at once, and no later one starts another child."""
    link = ProcessLink(["cat"])
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(link.call, "hello")
        wait_for(lambda: link._child, "the child")
        link.abort()
        with pytest.raises(Unreachable):
            waiting.result()
    with pytest.raises(Unreachable, match="closed"):
        link.call("hello")
    assert link._child is None
