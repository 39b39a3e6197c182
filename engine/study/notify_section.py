"""`[notify]` of a study file or of `workspace.toml`: who is told when a study or a trial ends, fails or pauses.

It reads and checks the keys; the runner sends.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import key
from bertdistill.engine.study.sections import Problem, did_you_mean, read_dataclass
from bertdistill.engine.study.workspace_file import FILE, read_workspace_file

EVENTS = (
    "study-complete",
    "study-failed",
    "study-paused",
    "study-stopped",
    "trial-complete",
    "trial-failed",
    "trial-infeasible",
    "trial-pruned",
    "trial-stopped",
)
USUAL = ("study-complete", "study-failed", "study-paused", "trial-failed")


@dataclass(frozen=True)
class NotifySection:
    """`[notify]`: a command or a webhook that the runner calls at certain events."""

    command: list[str] = key([], help="Program and arguments; gets the event as JSON on its standard input.")
    webhook: str = key("", help="http or https address to which the event is posted as JSON.")
    on: list[str] = key(list(USUAL), help=f"Events: {', '.join(EVENTS)}.")
    timeout: float = key(10.0, low=1, high=300, help="Seconds after which the command is killed, the webhook given up.")

    @property
    def is_set(self) -> bool:
        """Whether there is anyone to tell."""
        return bool(self.command or self.webhook)


def notify_problems(section: NotifySection) -> list[Problem]:
    """What is wrong with the values beyond their types."""
    problems = [
        Problem("notify", "on", f"has {event!r}, which is not an event{did_you_mean(event, EVENTS)}")
        for event in section.on
        if event not in EVENTS
    ]
    if section.webhook and not _is_address(section.webhook):
        problems.append(Problem("notify", "webhook", "must be an address that starts with http:// or https://"))
    if section.command and not section.command[0].strip():
        problems.append(Problem("notify", "command", "must begin with the name of a program"))
    return problems


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def read_workspace_notify(workspace: Path) -> NotifySection:
    """`[notify]` of the workspace's own file, or the defaults without one; ConfigError with a problem a line."""
    section, problems = read_notify(read_workspace_file(workspace).get("notify", {}))
    if problems or section is None:
        raise ConfigError("\n".join(f"{workspace / FILE}: {problem}" for problem in problems))
    return section


def read_notify(raw: Any) -> tuple[NotifySection | None, list[Problem]]:
    """The section from its table; None if it has a problem."""
    section, problems = read_dataclass(NotifySection, raw, "notify")
    problems += notify_problems(section) if section is not None else []
    return (None if problems else section), problems


def dump_notify(section: NotifySection) -> dict[str, Any] | None:
    """The keys that differ from the defaults; None if all are as they were."""
    usual = dataclasses.asdict(NotifySection())
    found: Mapping[str, Any] = dataclasses.asdict(section)
    return {name: value for name, value in found.items() if value != usual[name]} or None
