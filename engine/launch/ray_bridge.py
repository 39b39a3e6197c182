"""Speaks on stdin and stdout as an agent does, and passes each message to an agent in an actor of a Ray cluster.

`python -P -m bertdistill.engine.launch.ray_bridge JSON` (`link.ray_command`). A process of its own, as Ray ends the one
that loses its cluster; nothing else imports Ray. It reads no message and no file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch.agent import package_version
from bertdistill.engine.launch.carrier import Carrier
from bertdistill.engine.launch.frames import BrokenFrame, pack, unpack
from bertdistill.engine.launch.link import GREETING

NAMESPACE = "bertdistill"
CONNECT_SECONDS = 5.0
ACTOR_SECONDS = 45.0
"""For a new actor to answer: it starts a Python."""


def joined(address: str) -> Any:
    """Ray, connected to the cluster. It would look for a head that is down for more than a minute, so we look first."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise LaunchError(f"no Ray at {address}: {error}") from error
    try:
        import ray
    except ImportError as error:
        raise LaunchError("Ray is not installed here: pip install 'bertdistill-tui[ray]'") from error
    try:
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        hint = "this machine must be a node of the cluster: ray start --num-cpus=0 --address"
        raise LaunchError(f"Ray at {address}: {_line(error)} ({hint}={address})") from error
    return ray


def chosen(nodes: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """The node of that name, host name, address or id; the only one for an empty name."""
    names = ("NodeName", "NodeManagerHostname", "NodeManagerAddress", "NodeID")
    living = [one for one in nodes if one["Alive"]]
    for key in names if name else ("Alive",):
        found = [one for one in living if not name or one.get(key) == name]
        if len(found) == 1:
            return found[0]
    known = ", ".join(sorted(str(one.get("NodeName") or one["NodeID"]) for one in living))
    raise LaunchError(f"Ray has no node {name}; it has {known}" if name else f"name a node with --node: {known}")


def actor_on(ray: Any, node: Mapping[str, Any], folder: str, gpus: int, environ: Mapping[str, str]) -> Any:
    """The actor with the agent of that folder on the node. One with other terms is replaced: its workers live on."""
    there = int(node["Resources"].get("GPU", 0))
    terms = [package_version(), there if gpus < 0 else min(gpus, there)]
    name = f"agent-{hashlib.sha256(json.dumps([folder, node['NodeID']]).encode()).hexdigest()[:16]}"
    with contextlib.suppress(ValueError):  # there is none of that name
        found = ray.get_actor(name, NAMESPACE)
        if _terms(ray, found) == terms:
            return found
        ray.kill(found)
    stay = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    options = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "get_if_exists": True}
    made = ray.remote(Carrier).options(
        **options, scheduling_strategy=stay, num_cpus=0, num_gpus=terms[1], max_restarts=0, max_task_retries=0
    )
    actor = made.remote(folder, terms[1], dict(environ))
    try:
        _terms(ray, actor)
    except LaunchError:
        ray.kill(actor)  # else it would take the GPUs as soon as they are free, although nobody waits for it
        raise
    return actor


def _terms(ray: Any, actor: Any) -> Any:
    try:
        return ray.get(actor.terms.remote(), timeout=ACTOR_SECONDS)
    except ray.exceptions.GetTimeoutError as error:
        why = "the node is very slow, or others in Ray have the GPUs that it asks for"
        raise LaunchError(f"no actor after {ACTOR_SECONDS:g} s: {why}") from error


def serve(ray: Any, actor: Any, source: BinaryIO, sink: BinaryIO) -> None:
    """Pass on messages and answers until the input ends."""
    sink.write(GREETING)
    sink.flush()
    while (asked := unpack(source)) is not None:
        sink.write(ray.get(actor.answer.remote(pack(*asked))))
        sink.flush()


def main(argv: Sequence[str]) -> int:
    """One argument: what `link.ray_command` makes."""
    wanted = json.loads(argv[0])
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what Ray prints must not get between the frames
    try:
        ray = joined(wanted["address"])
        try:
            node = chosen(ray.nodes(), wanted["node"])
            actor = actor_on(ray, node, wanted["folder"], wanted["gpus"], wanted["environ"])
            with contextlib.suppress(BrokenFrame, BrokenPipeError):
                serve(ray, actor, sys.stdin.buffer, sink)
        except ray.exceptions.RayError as error:
            raise LaunchError(_line(error)) from error
    except LaunchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _line(error: Exception) -> str:
    """Ray's messages are long; the last line of one that repeats a traceback is the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if "Traceback" in str(error) else lines[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
