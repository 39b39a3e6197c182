"""The launcher that runs the worker in this process."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import fake_worker
from tests.engine.launch.conformance import Conformance, attempt
from tests.fakes import CPU, fake_environment

from bertdistill.engine.launch.inline import InlineLauncher
from bertdistill.engine.launch.protocol import Launcher


class TestInlineLauncher(Conformance):
    """In this process."""

    @pytest.fixture
    def launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launcher]:
        before = signal.getsignal(signal.SIGTERM)

        def main(argv: list[str]) -> int:
            try:
                return fake_worker.main(argv)
            finally:
                signal.signal(signal.SIGTERM, before)

        def make(**behaviour: Any) -> Launcher:
            environment = fake_environment(tmp_path, **behaviour)
            monkeypatch.setenv("BERTDISTILL_FAKE", environment["BERTDISTILL_FAKE"])
            return InlineLauncher(main=main)

        return make

    def test_an_exception_is_a_crash_with_its_traceback(self, tmp_path: Path) -> None:
        """Nothing of the worker's failure reaches the caller."""

        def broken(argv: list[str]) -> int:
            raise RuntimeError("in the worker")

        paths = attempt(tmp_path / "a")
        InlineLauncher(main=broken).start(paths, CPU, grace=1)
        found = InlineLauncher().ended(paths, {})
        assert found is not None
        assert (found.kind, "RuntimeError: in the worker" in found.log_tail) == ("crashed", True)
