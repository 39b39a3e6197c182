"""Workers on another machine: the conformance class over a child process, and what only another machine can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.launch.conformance import Conformance
from tests.engine.launch.nodes import node
from tests.fakes import fake_environment

from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.remote import RemoteLauncher


class TestRemoteLauncher(Conformance):
    """Over the pipes of an agent that is a child process."""

    never_started = ("never_started", "never_started")

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> Iterator[Callable[..., Launcher]]:
        made: list[RemoteLauncher] = []

        def make(**behaviour: Any) -> Launcher:
            made.append(node(tmp_path, tmp_path / "far", fake_environment(tmp_path, **behaviour)))
            return made[-1]

        yield make
        for one in made:
            one.close()
