"""Values that are taken without typer's checks are what typer would have made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.main import get_command

from bertdistill.app.commands.plain_values import spare_checks
from bertdistill.app.commands.session import folder


def outcome(words: list[str], *, plain: bool) -> tuple[int, Any]:
    """Exit status, and what the function got."""
    app, got = typer.Typer(pretty_exceptions_enable=False), []

    @app.command()
    def run(
        name: str,
        more: list[str] | None = None,
        count: Annotated[int, typer.Option(min=1)] = 2,
        share: float | None = None,
        where: Annotated[Path | None, typer.Option(parser=folder)] = None,
        file: Path | None = None,
        kind: Literal["a", "b"] | None = None,
        flag: bool = False,
    ) -> None:
        got.append((name, more, count, share, where, file, kind, flag))

    command = get_command(app)
    if plain:
        spare_checks(command)
    with pytest.raises(SystemExit) as ended:
        command(words)
    return int(str(ended.value.code)), got


@pytest.mark.parametrize(
    "words",
    [
        ["x"],
        ["2024", "--where", "/tmp", "--kind", "a", "--flag"],
        ["", "--more", "1", "--more", "two", "--count", "3", "--share", "0.5", "--file", "/etc/hosts"],
        ["x", "--kind", "c"],
        ["x", "--where", " "],
        ["x", "--count", "0"],
        ["x", "--share", "much"],
        [],
    ],
)
def test_it_is_what_typer_would_have_made_of_it(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Values, exit status and the words about a wrong one."""
    wanted = outcome(words, plain=False), capfd.readouterr()
    assert wanted == (outcome(words, plain=True), capfd.readouterr())
