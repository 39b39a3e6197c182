"""One machine as the runner sees it: a thread that keeps the copies of its attempts up to date. It alone uses the link.

The runner's thread never waits for it: it asks for a start, a stop or a kill, and reads what is known. One round is one
short exchange after the other, at most one chunk of a file each, so that a stop never waits for a checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.relocation import translated
from bertdistill.engine.launch.agent import PROTOCOL, package_version
from bertdistill.engine.launch.courier import Courier
from bertdistill.engine.launch.inputs import Input, inputs_of, moves_for, read_order
from bertdistill.engine.launch.link import Link, Refused, Unreachable
from bertdistill.engine.launch.machines import Machine
from bertdistill.engine.launch.mirror import Mirror, dumped
from bertdistill.engine.launch.protocol import Exit
from bertdistill.engine.launch.sighting import Sighting

POLL_SECONDS = 0.25
POLL_SHARE = 0.1
"""A machine spends at most this share of its time on answers to polls: many attempts are asked for less often."""
LOOK_SECONDS = 3.0
SWEEP_SECONDS = 600.0
KEPT_SECONDS = 14 * 86400.0
"""Copies of data, models and caches that nothing there has asked for since then are removed; they are sent again."""
LONGEST_PAUSE = 15.0

log = logging.getLogger("bertdistill.runner")


@dataclass(eq=False)
class Followed:
    """One attempt on the machine, from the request to start it until exit.json is here.

    Equal only to itself: a search of the queue then runs no Python, so the runner's thread cannot add to the queue
    in the middle of it.
    """

    name: str
    mirror: Mirror
    grace: float | None = None
    """Of one that is still to be started; None once it was, or if an earlier runner started it."""
    work: Iterator[None] | None = None
    """Files that are being copied, a chunk for each step."""
    asked: set[str] = field(default_factory=set)
    """stop, kill: not yet passed on."""
    missing_since: float | None = None
    """Since when it is neither alive nor ended."""
    failing_since: float | None = None
    """Since when files of it cannot be copied from there."""
    again_at: float = float("-inf")
    """When that is tried again."""
    sent: int = 0
    to_send: int = 0


@dataclass
class Node:
    """A machine. `turn` is one round; `run` repeats it in a thread."""

    machine: Machine
    root: str
    workspace: Path
    connect: Callable[[], Link]
    clock: Callable[[], float] = time.monotonic
    threaded: bool = True
    """False if the caller does every `turn`."""
    sighting: Sighting = field(init=False)
    """What is known of the machine; replaced, never changed."""
    _link: Link | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _followed: dict[str, Followed] = field(default_factory=dict)
    _queue: deque[Followed] = field(default_factory=deque)
    """To be sent, one after the other: two attempts often read the same caches."""
    _wake: threading.Event = field(default_factory=threading.Event)
    _closed: bool = False
    _thread: threading.Thread | None = None
    _heard: float = field(init=False)
    _next: dict[str, float] = field(default_factory=dict)
    """When to poll, look and sweep again, and when to connect after a failure."""
    _pause: float = 0.0
    _courier: Courier = field(init=False)
    _problem: str = ""
    """Why it cannot be reached."""
    _unfit: str = ""
    """Why nothing is started there although it answers."""

    def __post_init__(self) -> None:
        self.sighting = Sighting.read(self.workspace, self.machine.name)
        self._heard = self.clock()
        self._courier = Courier(self._call, self.machine.name, self.workspace, self.clock)

    # ------------------------------------------------------------------------------------- for the thread of the runner

    def silence(self) -> float:
        """Seconds since the machine last answered; since this began if it has not yet."""
        return self.clock() - self._heard

    def problem(self) -> str:
        """Why nothing should be started there now; empty if it may be."""
        if self._problem or self._unfit:
            return f"{self.machine.name}: {self._problem or self._unfit}"
        quiet = self.silence()
        if quiet > max(3.0, self.machine.lost_after / 4):
            return f"{self.machine.name} has not answered for {quiet:.0f} s"
        return ""

    def start(self, name: str, paths: RunPaths, grace: float) -> None:
        """Start the attempt whose spec is in the folder as soon as what it reads is there."""
        with self._guard:
            if name in self._followed or Mirror(paths, self.workspace).over:
                hint = "Start a new attempt instead."
                raise LaunchError(f"{paths.folder}: this attempt runs or has ended", hint=hint)
            one = Followed(name, Mirror(paths, self.workspace), grace)
            self._followed[name] = one
            self._queue.append(one)
        self.wake()

    def alive(self, name: str, paths: RunPaths) -> bool:
        """False once exit.json is here. What has not answered for too long is ended here and now, as `node_lost`."""
        with self._guard:
            one = self._followed.get(name)
            if one is None:
                one = Followed(name, Mirror(paths, self.workspace))
                if not one.mirror.over:
                    self._followed[name] = one
                    self.wake()
        if not one.mirror.over and self.silence() > self.machine.lost_after:
            why = f"{self.machine.name} has not answered for {self.silence():.0f} s"
            one.mirror.end(Exit("node_lost", log_tail=why, ended_at=time.time()))
        return not one.mirror.over

    def ask(self, name: str, verb: str) -> None:
        """Pass on a stop or a kill."""
        with self._guard:
            if (one := self._followed.get(name)) is not None:
                one.asked.add(verb)
        self.wake()

    def wake(self) -> None:
        if self.threaded and self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self.run, name=f"machine {self.machine.name}", daemon=True)
            self._thread.start()
        self._wake.set()

    def close(self) -> None:
        """Leave: what runs there continues. After this nothing here is written any more."""
        self._closed = True  # first: a link that is made now refuses, or is seen here
        self._wake.set()
        if (link := self._link) is not None:
            link.abort()
        if self._thread is not None:
            self._thread.join()
        else:
            self._disconnect()

    # -------------------------------------------------------------------------------------------------------- a round

    def run(self) -> None:
        """Rounds until it is closed. Whatever is wrong with this machine must not end the runner."""
        while not self._closed:
            try:
                busy = self.turn()
            except Exception as error:  # the edge of this thread: logged, and tried again
                log.exception("machine %s", self.machine.name)
                self._failed(f"{type(error).__name__}: {error}")
                busy = False
            if not busy:
                self._wake.wait(self._until_next())
                self._wake.clear()
        self._disconnect()

    def turn(self) -> bool:
        """One round; whether there is more to do at once."""
        if not self._due("connect"):
            return False
        try:
            if self._link is None:
                self._open()
            self._pass_on()
            if self._due("poll"):
                self._poll()
            busy = self._work()
            if self._due("look"):
                self._look()
            return busy
        except Unreachable as error:
            self._failed(str(error))
        except OSError as error:  # this machine's disk
            self._failed(f"its results cannot be stored here: {error}")
        return False

    def _due(self, what: str) -> bool:
        return self.clock() >= self._next.get(what, float("-inf"))

    def _until_next(self) -> float:
        waiting = ["connect"] if self._link is None else ["poll", "look"]
        return max(0.01, min(self._next.get(one, 0.0) for one in waiting) - self.clock())

    def _call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        if self._link is None or self._closed:
            raise Unreachable("not connected")
        answer = self._link.call(verb, *args, blob=blob)
        self._heard = self.clock()
        return answer

    def _open(self) -> None:
        """Connect, and refuse what this version cannot work with."""
        heard, self._link = self._heard, self.connect()
        hello, _ = self._call("hello")
        found, own = hello["version"], package_version()
        self._unfit = "" if found == own else f"it has version {found} of this program, here is {own}; install the same"
        if hello["protocol"] != PROTOCOL:
            self._heard = heard
            raise Unreachable(self._unfit or "its agent speaks another protocol")
        self._problem, self._pause = "", 0.0
        self._seen(hello=hello)
        with self._guard:
            for one in self._followed.values():
                one.work = None  # it asks again how far it came
                if one.grace is not None and one not in self._queue:
                    self._queue.append(one)
        self._look()

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None

    def _failed(self, why: str) -> None:
        self._disconnect()
        if self._closed:
            return  # the runner leaves; what it interrupted is no fault of the machine
        if why != self._problem:
            log.warning("machine %s: %s", self.machine.name, why)
        self._problem = why
        self._pause = min(LONGEST_PAUSE, max(0.5, self._pause * 2))
        self._next["connect"] = self.clock() + self._pause
        self._seen(problem=why)

    def _seen(self, **news: Any) -> None:
        with self._guard:
            sending = {one.name: (one.sent, one.to_send) for one in self._followed.values() if one.grace is not None}
        answered = time.time() - self.silence()
        self.sighting = self.sighting.updated(answered_at=answered, sending=sending, **news)
        with contextlib.suppress(OSError):  # a full disk
            self.sighting.write(self.workspace)

    # ------------------------------------------------------------------------------------------------------- attempts

    def _current(self) -> list[Followed]:
        with self._guard:
            for name in [name for name, one in self._followed.items() if one.mirror.over]:
                del self._followed[name]
            return list(self._followed.values())

    def _pass_on(self) -> None:
        for one in self._current():
            if one.asked and one.grace is not None:
                self._withdraw(one)
            for verb in tuple(one.asked if one.grace is None else ()):
                with contextlib.suppress(Refused):
                    self._call(verb, one.name)
                one.asked.discard(verb)

    def _withdraw(self, one: Followed) -> None:
        """Of one that is still being sent: nothing has started, unless the answer to its start was lost."""
        if self._call("void", one.name)[0]:
            one.mirror.end(Exit("stopped", log_tail="stopped before it started", ended_at=time.time()))
        else:
            self._started(one)

    def _poll(self) -> None:
        """Bring every copy up to date, as far as no files have to come first."""
        began = self.clock()
        self._next["poll"] = began + POLL_SECONDS
        started = [one for one in self._current() if one.grace is None and one.work is None and began >= one.again_at]
        if started:
            answer, blobs = self._call("poll", {one.name: one.mirror.sizes() for one in started})
            self._next["poll"] = self.clock() + max(POLL_SECONDS, (self.clock() - began) / POLL_SHARE)
            found = iter(blobs)
            for one in started:
                state = answer.get(one.name)
                if state is None:
                    self._not_there(one)
                    continue
                news = (next(found), next(found), next(found))
                try:
                    self._take(one, state, *news)
                except LaunchError as error:  # its folder here was tampered with
                    if isinstance(error, Unreachable):
                        raise
                    one.mirror.end(Exit("lost", log_tail=str(error), ended_at=time.time()))

    def _not_there(self, one: Followed) -> None:
        """It never started, and now it never will."""
        if self._call("void", one.name)[0]:
            one.mirror.end(Exit("never_started", ended_at=time.time()))

    def _take(self, one: Followed, state: dict[str, Any], events: bytes, lines: bytes, raw: bytes) -> None:
        mirror, before = one.mirror, one.mirror.sizes()
        complete = before[0] + len(events) >= state["events"]
        gate = mirror.take(events, all_of_it=complete and not state["alive"])
        mirror.log(lines, state["log_from"])
        if gate is not None:
            one.work = self._courier.fetch(one.name, mirror, gate)
            return
        here, logged = mirror.sizes()
        if not complete or (not state["alive"] and (here < state["events"] or logged < state["log"])):
            if (here, logged) != before:
                self._next["poll"] = 0.0  # more waits there
            return
        if state["alive"]:
            one.missing_since = None
            mirror.keep_only(state["checkpoints"])
            return
        if state["checkpoints"]:
            mirror.keep_only(state["checkpoints"])
        self._ended(one, Exit(**state["exit"]), raw)

    def _ended(self, one: Followed, found: Exit, raw: bytes) -> None:
        """All of its events are here. One that vanished without an end may be the first of a machine that is dying."""
        if found.kind == "lost":
            one.missing_since = one.missing_since or self.clock()
            if self.clock() - one.missing_since < self.machine.lost_after / 4:
                return
        one.work = self._courier.finish(one.name, one.mirror, found, b"" if found.kind == "lost" else raw)

    def _work(self) -> bool:
        """One chunk of everything that is being copied; whether there is more."""
        if self._queue and self._queue[0].mirror.over:
            self._queue.popleft()
        if self._queue and self._queue[0].work is None:
            self._queue[0].work = self._send(self._queue[0])
        busy = False
        for one in self._current():
            if one.work is None:
                continue
            try:
                next(one.work)
                busy = True
            except StopIteration:
                one.work = one.failing_since = None
                self._next["poll"] = 0.0
            except (Refused, LaunchError) as error:
                if isinstance(error, Unreachable):
                    raise
                one.work = None
                if one.grace is not None:
                    self._not_started(one, str(error))
                else:
                    self._not_copied(one, str(error))
        return busy or self._next.get("poll", 0.0) == 0.0 or bool(self._queue)

    def _not_started(self, one: Followed, why: str) -> None:
        if one in self._queue:
            self._queue.remove(one)
        if self._call("void", one.name)[0]:
            one.mirror.end(Exit("launch_failed", log_tail=f"{self.machine.name}: {why}", ended_at=time.time()))
        one.grace = None  # if it is there after all, it is followed

    def _not_copied(self, one: Followed, why: str) -> None:
        """It is tried again, for as long as a machine may be silent; then the attempt ends, there too."""
        now = self.clock()
        if one.failing_since is None:
            one.failing_since = now
            log.warning("machine %s: %s cannot be copied from it: %s", self.machine.name, one.name, why)
        one.again_at = now + LOOK_SECONDS
        if now - one.failing_since > self.machine.lost_after:
            with contextlib.suppress(Refused):
                self._call("kill", one.name)
            one.mirror.end(Exit("lost", log_tail=f"{self.machine.name}: {why}", ended_at=time.time()))

    # ---------------------------------------------------------------------------------------------------------- files

    def _send(self, one: Followed) -> Iterator[None]:
        """Send what the machine lacks, end what still runs there without a reason, then start the attempt."""
        if self._unfit:  # its slots may come from a sighting before it was connected to
            raise LaunchError(self._unfit)
        grace = one.grace
        assert grace is not None
        root = self.sighting.hello["root"]
        if self._call("has", [f"{one.name}/spec.json"])[0][0]:  # the answer to its start was lost
            self._started(one)
            return
        raw, wanted = self._wanted(one.mirror.paths.spec)
        there, _ = self._call("has", [item.name for item in wanted])
        missing = [item for item, has in zip(wanted, there, strict=True) if not has]
        one.sent, one.to_send = 0, sum(item.size for item in missing)
        if one.to_send:
            log.info("%s receives %s bytes for %s", self.machine.name, f"{one.to_send:,}", one.name)
        for item in missing:
            for size in self._courier.push(item):
                one.sent += size
                yield
        yield from self._reap()
        moves = moves_for(wanted, self.workspace, root)
        raw = translated(raw, moves) | {"paths": {there: here for here, there in moves.items()}}
        if one.mirror.over:
            return
        self._call("start", one.name, dumped(raw), grace)
        self._started(one)

    def _wanted(self, path: Path) -> tuple[dict[str, Any], list[Input]]:
        """That spec and what it reads; LaunchError, of this attempt alone, if any of it cannot be read."""
        try:
            return json.loads(path.read_text(encoding="utf-8")), inputs_of(read_order(path), self.workspace)
        except (OSError, ValueError) as error:
            raise LaunchError(f"{path}: {error}", hint="Start a new attempt instead.") from error

    def _started(self, one: Followed) -> None:
        one.grace = None
        if one in self._queue:
            self._queue.remove(one)

    def _reap(self) -> Iterator[None]:
        """End attempts there that have ended here, or were deleted: their slot is about to be given away."""
        while True:
            look, _ = self._call("look")
            orphans = [name for name in look["running"] if self._is_over(name)]
            if not orphans:
                return
            for name in orphans:
                log.warning("%s still runs on %s although it has ended here; it is killed", name, self.machine.name)
                self._call("kill", name)
            yield

    def _is_over(self, name: str) -> bool:
        paths = RunPaths(self.workspace / name)
        return not paths.spec.exists() or Mirror(paths, self.workspace).over

    # ----------------------------------------------------------------------------------------------------- the machine

    def _look(self) -> None:
        look, _ = self._call("look")
        self._next["look"] = self.clock() + LOOK_SECONDS
        self._seen(look=look, problem=self._unfit)
        if self._due("sweep"):
            self._next["sweep"] = self.clock() + SWEEP_SECONDS
            self._sweep(idle=not look["running"] and not self._queue)

    def _sweep(self, *, idle: bool) -> None:
        """Remove attempts there that nothing can resume from any more; if nothing runs there, unused copies as well."""
        for name in self._call("ended_runs")[0]:
            paths = RunPaths(self.workspace / name)
            resumable = any(paths.checkpoints.glob("last-*"))
            if self._is_over(name) and not resumable:
                self._call("drop", name)
        for name in self._call("unused", KEPT_SECONDS)[0] if idle else ():
            log.info("%s: %s was not used for two weeks and is removed there", self.machine.name, name)
            self._call("drop", name)
