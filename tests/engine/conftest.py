"""Fixtures of the engine's tests: a study with fake workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, fake_environment, study_spec, wait_for

from bertdistill.engine.launch import process
from bertdistill.engine.steering import actions


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Workbench]]:
    """A workspace whose workers are fakes, also in runners that actions start."""
    made: list[Workbench] = []

    def make(spec: dict[str, Any] | None = None, **behaviour: Any) -> Workbench:
        for name, value in fake_environment(tmp_path, **behaviour).items():
            monkeypatch.setenv(name, value)
        made.append(Workbench(tmp_path, study_spec(tmp_path, **(spec or {})), **behaviour))
        actions.start_study(made[-1].workspace, made[-1].spec, who="ada")
        return made[-1]

    yield make
    for one in made:
        wait_for(lambda: not process.held(one.workspace.runner_lock), "runners to leave")  # noqa: B023 - used at once
        one.close()
