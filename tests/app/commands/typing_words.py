"""Type one command of the engine again and again, as its tests do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bertdistill.app.cli import main

Type = Callable[..., tuple[int, str, str]]


def typist(capsys: pytest.CaptureFixture[str], *command: str) -> Type:
    """A function that runs the command, or any without one, with some words: exit status, stdout, stderr."""

    def type_(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *command, *words])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return type_
