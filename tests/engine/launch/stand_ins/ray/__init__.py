"""A stand-in for Ray: what `ray_bridge` uses of it, with actors that are objects of this process.

The nodes of its cluster are in the variable STAND_IN_NODES.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """As Ray's."""


class GetTimeoutError(RayError):
    """As Ray's."""


class NodeAffinitySchedulingStrategy:
    """As Ray's."""

    def __init__(self, node: str, *, soft: bool) -> None:
        self.node = node


exceptions = SimpleNamespace(RayError=RayError, GetTimeoutError=GetTimeoutError)
util = SimpleNamespace(
    scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=NodeAffinitySchedulingStrategy)
)
actors: dict[str, Any] = {}
killed: list[Any] = []
options: list[dict[str, Any]] = []


def init(**more: Any) -> None:
    """Connected. Ray prints to both streams."""
    print("Connecting to existing Ray cluster")  # noqa: T201 - as Ray does


def nodes() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(os.environ["STAND_IN_NODES"])
    return found


def remote(kind: type) -> Any:
    """The class, whose options are kept."""

    def chosen(**given: Any) -> Any:
        options.append(given)

        def make(*args: Any) -> Any:
            return actors.setdefault(given["name"], Actor(kind(*args)))

        return SimpleNamespace(remote=make)

    return SimpleNamespace(options=chosen)


class Actor:
    """Its methods have `remote`, which returns what is to be done."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        return SimpleNamespace(remote=lambda *args: lambda: method(*args))


def get(asked: Callable[[], Any], timeout: float | None = None) -> Any:
    return asked()


def get_actor(name: str, namespace: str) -> Any:
    if name not in actors:
        raise ValueError(name)
    return actors[name]


def kill(actor: Any) -> None:
    killed.append(actor)
    for name in [name for name, one in actors.items() if one is actor]:
        del actors[name]
