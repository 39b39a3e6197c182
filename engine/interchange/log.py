"""Log any training run with a few lines: `run = bertdistill.start("my-study")`, `run.log({"loss": …})`, `run.finish()`.

It writes one run folder and nothing else: no database, no server, no thread. Whoever opens the workspace next stores
what is there (`engine.runner.logged`). Whatever goes wrong here, the training must neither break nor wait: every error
becomes one warning. Standard library only, because it is imported into other people's programs.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from bertdistill.engine.contract.events import (
    CHECKPOINT,
    ENDED,
    METRICS_LOGGED,
    NOTICE,
    PROGRESS,
    RESULT,
    STARTED,
    EventWriter,
    newest_event,
)
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.logged import DIRECTIONS, RUN_ID, LoggedRun, is_of, logged_root, prefix, scalars
from bertdistill.engine.contract.metrics import costs
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.program import RUN, ProgramOrder
from bertdistill.engine.interchange.ends import end_of

VARIABLE, DEFAULT = "BERTDISTILL_WORKSPACE", "bertdistill-runs"  # contract.workspace, which needs the database
RANKS = ("RANK", "LOCAL_RANK")
"""Set by torchrun and others in each process of one training; only the process of rank 0 logs."""

_RESERVE = 512
"""Bytes kept for the word that the run has ended."""
_LOGGER = logging.getLogger("bertdistill")
_open_runs: dict[int, Run] = {}
"""Runs of this process that have not ended, by id of the object."""


def start(
    study: str = "",
    *,
    params: Any = None,
    objectives: Mapping[str, str] | Sequence[Any] | None = None,
    workspace: str | os.PathLike[str] | None = None,
    run: str = "",
    note: str = "",
    tags: Sequence[str] = (),
) -> Run:
    """Start logging one run of a study, which is created if it is new.

    `params` is a mapping or an object with attributes (a namespace of argparse, a dataclass). `objectives` maps
    metrics to "maximize" or "minimize" (or lists names that say it); the ranking and the frontier follow them.
    `workspace` defaults to
    $BERTDISTILL_WORKSPACE, else ./bertdistill-runs. `run` is an id of your own: a process that starts with the id of
    an earlier one resumes that run.

    Inside a program that a search runs (`engine search`), the run is its trial, whatever is given here: `run.params`
    has the values to train with, those given for what the search does not set.

    In processes of other ranks than 0 the returned run does nothing, and so it does, after one warning, if the run
    cannot be logged.
    """
    found = Run()
    try:
        found.params = dict(_mapping(params))
        order = ProgramOrder.read(RunPaths(Path(os.environ[RUN])).spec) if os.environ.get(RUN) else None
        if order is not None:
            found.params |= order.params
            found.resume_from = Path(order.resume_from) if order.resume_from else None
    except Exception as error:  # noqa: BLE001 - the edge of a training, which a mistake here must not end
        found._complain(error)
        return found
    if next((rank for name in RANKS if (rank := os.environ.get(name))), "0") != "0":
        return found
    try:
        if order is not None:
            found._join(order, Path(os.environ[RUN]))
            return found
        spec = LoggedRun(
            study=study,
            run=run or os.urandom(5).hex(),
            params=scalars(_mapping(params)),
            objectives=tuple(_objectives(objectives)),
            note=str(note),
            tags=tuple(str(tag) for tag in tags),
            started_at=time.time(),
        )
        place = Path(workspace or os.environ.get(VARIABLE) or DEFAULT).expanduser().absolute()
        found._begin(spec, place)
    except Exception as error:  # noqa: BLE001 - the same edge: no training ends because it could not be logged
        found._complain(error)
    return found


class Run:
    """One run that is being logged. Its methods raise nothing, and may be called from any thread."""

    def __init__(self) -> None:
        self.id = ""
        """Names the run in its study: `start(study, run=id)` resumes it."""
        self.folder: Path | None = None
        """Its folder; None if nothing is logged. Checkpoints saved below it belong to the run."""
        self.params: dict[str, Any] = {}
        """Its parameters: those given, and in a program that a search runs those of the trial."""
        self.resume_from: Path | None = None
        """The checkpoint that a trial of such a program resumes from."""
        self._events: EventWriter | None = None
        self._lock = -1
        self._pid = os.getpid()
        self._step = -1
        self._guard = threading.RLock()
        """Held for each write: a thread must not write to a descriptor that another one has closed."""
        self._complained = False
        self._error_before = getattr(sys, "last_value", None)

    # ---------------------------------------------------------------------------------------------------- for programs

    def log(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Append the values of one step; without a step, of the step after the last one (the first is 0)."""
        if self._events is None:
            return
        try:
            numbers = self._numbers(values)
            with self._guard:
                if self._events is not None:
                    self._step = self._step + 1 if step is None else _whole(step)
                    self._events.emit(METRICS_LOGGED, step=self._step, values=numbers)
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._complain(error)

    def progress(self, done: float, total: float, *, phase: str = "train", unit: str = "steps") -> None:
        """How much of the run is done."""
        self._emit(PROGRESS, phase=phase, done=done, total=total, rate=0.0, unit=unit)

    def checkpoint(self, folder: str | os.PathLike[str], *, step: int | None = None, best: bool = False) -> None:
        """Record where a checkpoint was saved. Nothing is copied, moved or ever removed.

        Below `run.folder` it is listed as a checkpoint of the run, elsewhere its path is noted.
        """
        if self.folder is None or self._events is None:
            return
        try:
            at, place = max(self._step, 0) if step is None else _whole(step), Path(folder).resolve()
            if place.is_relative_to(self.folder.resolve()):
                size = sum(one.stat().st_size for one in place.rglob("*") if one.is_file())
                self._emit(
                    CHECKPOINT,
                    role="best" if best else "last",
                    step=at,
                    folder=str(place),
                    sha256="",  # a training must not wait for it
                    size_bytes=size,
                    metrics={},
                )
            else:
                self._emit(NOTICE, level="info", text=f"Checkpoint of step {at}: {place}")
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._complain(error)

    def finish(self, metrics: Mapping[str, Any] | None = None, **more: Any) -> None:
        """End the run as complete; the final metrics replace what was logged last under the same names."""
        try:
            final = self._numbers({**(metrics or {}), **more}) if self._events is not None else {}
            if final:
                self._emit(RESULT, metrics=final)
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._complain(error)
        self.end("complete")

    def infeasible(self, reason: str = "") -> None:
        """End the run as one whose parameters cannot work; a search learns from that and does not repeat it."""
        self.end("infeasible", "infeasible", str(reason))

    def end(self, status: str, reason: str = "", detail: str = "") -> None:
        """End the run as `complete`, `stopped`, `pruned`, `infeasible` or `failed`, with a class and a sentence."""
        if self._events is None or os.getpid() != self._pid:
            return  # a forked child may log, but the run ends with the process that started it
        with self._guard:  # nothing is logged after the end
            if not self._emit(ENDED, status=status, reason=reason, detail=detail) and self._lock >= 0:
                self._mark_ended(status, reason)
            events, self._events = self._events, None
        if events is not None:
            _open_runs.pop(id(self), None)
            try:
                events.close()
                if self._lock >= 0:
                    os.close(self._lock)
            except OSError as error:  # the program closed all descriptors, as daemons do
                self._complain(error)

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(*end_of(error))

    # ------------------------------------------------------------------------------------------------------- life

    def _join(self, order: ProgramOrder, folder: Path) -> None:
        """Log to the attempt that runs this program. Its worker holds the lock, and says how the program exits."""
        self._events = EventWriter(RunPaths(folder).events)
        self._events.moves = order.paths
        self.id, self.folder = str(order.trial), folder

    def _begin(self, spec: LoggedRun, workspace: Path) -> None:
        """Make the folder, complete under a name that readers skip, and then rename it: they never see half of one."""
        if problem := name_problem(spec.study):
            raise ValueError(f"the study name {spec.study!r} {problem}")
        if not RUN_ID.fullmatch(spec.run):
            raise ValueError(f"the run id {spec.run!r} is not up to 64 letters, digits, dashes or underscores")
        root = logged_root(workspace)
        workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _starting(root, spec):
            self._step = _last_step(root, spec)
            draft = RunPaths(root / f".{spec.folder_name}.{os.getpid()}")
            draft.folder.mkdir(mode=0o700)
            lock = os.open(draft.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                write_json(draft.spec, asdict(spec))
                write_json(draft.state, _state(spec.started_at))
                _reserved(draft).write_bytes(b" " * _RESERVE)
                events = EventWriter(draft.events)
                draft.folder.rename(root / spec.folder_name)
            except OSError:
                os.close(lock)
                raise
        self.id, self.folder, self._lock, self._events = spec.run, root / spec.folder_name, lock, events
        _follow(self)
        self._emit(STARTED, pid=self._pid, params=len(spec.params))

    def _mark_ended(self, status: str, reason: str) -> None:
        """The end as exit.json, in blocks that were reserved at the start: the disk is full."""
        try:
            assert self.folder is not None
            paths = RunPaths(self.folder)
            ended = json.dumps({"kind": reason or status, "ended_at": time.time()})
            with _reserved(paths).open("r+") as file:
                file.write(ended.ljust(_RESERVE))
            _reserved(paths).replace(paths.exit)
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._complain(error)

    def _leave_to_parent(self) -> None:
        """In a forked child: the lock says whether the parent runs, so the child must not hold it."""
        self._guard = threading.RLock()  # a thread of the parent may have held it
        os.close(self._lock)

    # ------------------------------------------------------------------------------------------------------- details

    def _emit(self, kind: str, **fields: Any) -> bool:
        """Append an event; whether it was written."""
        try:
            with self._guard:
                if self._events is None:
                    return False
                self._events.emit(kind, **fields)
        except Exception as error:  # noqa: BLE001 - as in `start`
            self._complain(error)
            return False
        return True

    def _numbers(self, values: Mapping[str, Any], above: str = "") -> dict[str, float]:
        """Values that are numbers, also those of numpy and torch; a nested mapping becomes names with slashes."""
        found: dict[str, float] = {}
        for key, value in values.items():
            name = f"{above}{key}"
            if type(value) in (float, int):
                found[name] = value
            elif isinstance(value, Mapping):
                found |= self._numbers(value, f"{name}/")
            else:
                try:
                    if isinstance(value, (str, bytes)):
                        raise TypeError("text")
                    found[name] = float(value)
                except (TypeError, ValueError, RuntimeError) as error:
                    self._complain(TypeError(f"the value of {name!r} is not a number and was left out ({error})"))
        return found

    def _complain(self, error: BaseException) -> None:
        if not self._complained:
            self._complained = True
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
            consequence = "some of this run is not logged" if self.folder else "this run is not logged"
            _LOGGER.warning("bertdistill: %s: %s%s; the training continues", consequence, what or repr(error), where)


# -------------------------------------------------------------------------------------------------------- the process


def _follow(run: Run) -> None:
    """From now on this process ends the run at the latest when it exits."""
    if not _hooked:
        atexit.register(_at_exit)
        os.register_at_fork(after_in_child=_in_child)
        _hooked.append(True)
    _open_runs[id(run)] = run


_hooked: list[bool] = []


def _at_exit() -> None:
    """End what the program did not: as failed if an exception ended it, which Python leaves in sys.last_value."""
    error = getattr(sys, "last_value", None)
    for run in list(_open_runs.values()):
        run.end(*end_of(None if error is run._error_before else error))


def _in_child() -> None:
    for run in _open_runs.values():
        run._leave_to_parent()
    _open_runs.clear()


def _state(started_at: float) -> dict[str, Any]:
    """As a shim writes it: who runs here."""
    from bertdistill.engine.launch.shim import boot_id, start_ticks  # loads ctypes, which the import need not pay

    me = {"pid": os.getpid(), "start": start_ticks(os.getpid())}
    return {"host": os.uname().nodename, "boot_id": boot_id(), "started_at": started_at, "worker": me}


def _reserved(paths: RunPaths) -> Path:
    return paths.folder / ".exit.json.tmp"


@contextmanager
def _starting(root: Path, spec: LoggedRun) -> Iterator[None]:
    """Of several processes that start a run of one id at once, all but one get BlockingIOError.

    Without it none would see the folder of another, which is hidden until it is complete.
    """
    path = root / f".{prefix(spec.study, spec.run)}start"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(spec, path) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # whoever opened it before finds the run's own lock held
    finally:
        os.close(lock)


def _in_use(spec: LoggedRun, path: Path) -> BlockingIOError:
    return BlockingIOError(0, f"run {spec.run!r} of {spec.study!r} is still being logged", str(path))


def _last_step(root: Path, spec: LoggedRun) -> int:
    """Where the processes that logged this run before left off; -1 if there are none.

    BlockingIOError if another process, or an open run of this one, still logs it.
    """
    last = -1
    for folder in root.glob(f"{prefix(spec.study, spec.run)}*"):
        if not is_of(folder.name, spec.study, spec.run):
            continue
        paths = RunPaths(folder)
        if _is_held(paths.lock):
            raise _in_use(spec, folder)
        last = max(last, int(newest_event(paths.events, METRICS_LOGGED).get("step", -1)))
    return last


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


# ------------------------------------------------------------------------------------------------------ what was given


def _mapping(params: Any) -> Mapping[Any, Any]:
    if params is None:
        return {}
    return params if isinstance(params, Mapping) else vars(params)


def _objectives(given: Mapping[str, str] | Sequence[Any] | None) -> list[dict[str, Any]]:
    """As in a study file. A name without a direction means what it suggests: less of a loss, more of a score."""
    if isinstance(given, Mapping):
        pairs = [{"metric": name, "direction": direction} for name, direction in given.items()]
    else:
        pairs = [dict(one) if isinstance(one, Mapping) else {"metric": one} for one in given or ()]
    for one in pairs:
        direction = one.setdefault("direction", DIRECTIONS[costs(str(one.get("metric")))])
        if direction not in DIRECTIONS:
            raise ValueError(
                f"the direction of objective {one.get('metric')!r} is {direction!r}; use maximize or minimize"
            )
    return pairs


def _whole(step: Any) -> int:
    whole = int(step)
    if whole != step or whole < 0:
        raise ValueError(f"step {step!r} is not a whole number from 0, so its values were left out")
    return whole
