"""An agent on a node of a Ray cluster, as the class of a detached actor. It imports no Ray and keeps no state.

It leaves when no call came for a while and nothing runs, so that its GPUs are free for others.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable, Mapping

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch.agent import answered, opened, package_version
from bertdistill.engine.launch.frames import unpack

IDLE_SECONDS = 60.0
LOOK_SECONDS = 10.0
"""Between two looks whether it is time to leave."""


def leave_now() -> None:
    """End this process, which is that of an actor: from a thread, only this does."""
    os._exit(0)


class Carrier:
    """One agent. Its `gpus` are those that Ray gave to its actor: workers of others cannot get them meanwhile."""

    def __init__(
        self,
        folder: str,
        gpus: int,
        environ: Mapping[str, str],
        idle: float = IDLE_SECONDS,
        leave: Callable[[], object] | None = None,
    ) -> None:
        os.umask(0o077)
        hidden = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
        self._agent = opened(folder, {**os.environ, **hidden, **environ})
        self._terms: list[str | int] = [package_version(), gpus]
        self._idle, self._leave = idle, leave or leave_now
        self._asked, self._one_at_a_time = time.monotonic(), threading.Lock()
        threading.Thread(target=self._leave_when_idle, name="idle", daemon=True).start()

    def terms(self) -> list[str | int]:
        """The version of this program that runs here, which an upgrade does not change, and how many GPUs it has.

        It is what a new connection asks first, perhaps after the folder was removed.
        """
        self._asked = time.monotonic()
        self._agent.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._terms

    def answer(self, message: bytes) -> bytes:
        """The answer of the agent to one message, both as frames."""
        with self._one_at_a_time:
            self._asked = time.monotonic()
            asked = unpack(io.BytesIO(message))
            assert asked is not None
            return answered(self._agent, *asked)

    def idle(self) -> bool:
        """Whether no call comes, and nothing runs whose GPU Ray would give to others."""
        with self._one_at_a_time, contextlib.suppress(OSError, LaunchError):
            if time.monotonic() - self._asked > self._idle:
                return not (self._agent.root.is_dir() and self._agent.look()[0]["running"])
        return False

    def _leave_when_idle(self) -> None:
        while not self.idle():
            time.sleep(LOOK_SECONDS)
        self._leave()
