"""What the terminal app costs with 1,000 trials and ten million metric rows, on a real pseudo-terminal.

Run it as `python benchmarks/ui.py`; the workspace is created first (about a minute). It asserts nothing: it prints a
table against the budgets of the design, for people, on a machine that should be idle.
"""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import pty
import random
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

from bertdistill.engine.study.config import dump, load_study
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.metrics import store_points
from bertdistill.store.rows import TrialState

ROW = "{:<58} {:>14} {:>14}"
STUDY = "large"
SERIES = ("train/loss", "train/soft_loss", "train/hard_loss", "train/learning_rate", "examples")
PYTHON = [sys.executable, "-P", "-c"]
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("HELLO")
Hello().run()
"""
QUIET_SECONDS = 0.3
"""Without any output for that long, everything that follows a key has been painted."""
SIZE = (40, 120)
"""Rows and columns of the pseudo-terminal."""


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=10_000_000, help="metric rows in total")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each state is observed")
    parser.add_argument("--workspace", type=Path, help="kept and reused; a temporary one by default")
    parser.add_argument(
        "--soak", type=float, default=0.0, help="minutes next to a streaming study, instead of the table"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = options.workspace or Path(folder) / "ws"
        if not (workspace / "tracker.db").exists():
            make(workspace, options.trials, options.rows)
        if options.soak:
            soak(workspace, options.soak * 60)
        else:
            measure(workspace, options.seconds)
    return 0


def measure(workspace: Path, seconds: float) -> None:
    """Every line of the table."""
    print(ROW.format("", "measured", "budget"))
    show("one curve of a million points for 200 columns, ms", curve_ms(workspace), 50)
    show("first paint of one word with Textual alone, ms", first_paint_ms([*PYTHON, HELLO], "HELLO"), math.nan)
    show("first paint of the list of studies, ms", first_paint_ms(command(workspace), "large"), 500)
    show("first paint of one study, ms", first_paint_ms([*command(workspace), "--study", STUDY], "Trials by"), 500)
    app = Terminal([*command(workspace), "--study", STUDY])
    app.wait(lambda: b"Trials by" in app.seen)
    app.drain(3.0)
    moves = [settled(app, b"j" if n % 4 < 2 else b"k") for n in range(20)]
    show("from a key press until the inspector has followed, median ms", statistics.median(ms for ms, _ in moves), 100)
    show("the same, ms of CPU", statistics.median(cpu for _, cpu in moves), math.nan)
    cpu = app.cpu()
    app.drain(seconds)
    show("idle, percent of a core", (app.cpu() - cpu) / seconds * 100, 2)
    streamer = Streamer(workspace)
    app.drain(2.0)
    cpu, sent, refreshes = app.cpu(), app.count, 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        streamer.step()
        refreshes += 1
        app.drain(0.5)
    show("one refresh while streaming, ms of CPU", (app.cpu() - cpu) / refreshes * 1e3, 25)
    show("one refresh while streaming, kB to the terminal", (app.count - sent) / refreshes / 1e3, 3)
    latencies = [key_latency_ms(app, streamer, b"j" if n % 2 == 0 else b"k") for n in range(30)]
    show("a key press while streaming, median ms to its paint", statistics.median(latencies), math.nan)
    show("a key press while streaming, worst of 30, ms", max(latencies), 100)
    streamer.close()
    app.close()


def soak(workspace: Path, seconds: float) -> None:
    """Memory, descriptors and the slowest key press next to a streaming study, one line per minute."""
    app = Terminal([*command(workspace), "--study", STUDY])
    app.wait(lambda: b"Trials by" in app.seen)
    streamer = Streamer(workspace)
    start, worst, minute, presses = time.monotonic(), 0.0, 0, 0
    print(f"{'minute':>6} {'RSS MB':>8} {'files':>6} {'CPU %':>7} {'kB/s':>7} {'worst key ms':>13}")
    cpu, sent, since = app.cpu(), app.count, start
    while time.monotonic() - start < seconds:
        streamer.step()
        app.drain(0.5)
        presses += 1  # alternate down and up: at either end of the list a key changes nothing
        worst = max(worst, key_latency_ms(app, streamer, b"j" if presses % 2 else b"k"))
        if time.monotonic() - start >= (minute + 1) * 60:
            minute += 1
            now = time.monotonic()
            share, flow = (app.cpu() - cpu) / (now - since) * 100, (app.count - sent) / (now - since) / 1e3
            held = f"{app.rss_mb():>8.1f} {app.files():>6}"
            print(f"{minute:>6} {held} {share:>7.1f} {flow:>7.1f} {worst:>13.0f}", flush=True)
            cpu, sent, since, worst = app.cpu(), app.count, now, 0.0
    streamer.close()
    app.close()


def show(what: str, value: float, budget: float) -> None:
    """One line of the table."""
    print(ROW.format(what, f"{value:,.1f}", "" if math.isnan(budget) else f"{budget:g}"), flush=True)


def command(workspace: Path) -> list[str]:
    """The app as a user starts it."""
    return [*PYTHON, "from bertdistill.app.cli import main; main()", "--workspace", str(workspace), "--theme", "dark"]


# ------------------------------------------------------------------------------------------------------ the workspace


def make(workspace: Path, trials: int, rows: int) -> None:
    """A study of `trials` trials, two of them running, and `rows` metric rows; the first curve has a million."""
    random.seed(7)
    db = open_db(workspace)
    with as_file(files("bertdistill.sample_configs") / "demo.toml") as path:
        spec = load_study(path, [f"name={STUDY}", f"budget.trials={trials + 100}"])
    now = time.time()
    with db.write() as session:
        study = writes.create_study(session, name=STUDY, task=spec.task, spec=dump(spec), now=now - 86_400)
        writes.set_prepared(session, study.id, {"teacher_metrics": {"exact": 97.9}})
    ids = [make_trial(db, study.id, number, now, running=number >= trials - 2) for number in range(trials)]
    million = min(1_000_000, rows // 2)
    fill(db, study.id, ids[0], ("train/loss",), million)
    each = (rows - million) // (len(ids) * len(SERIES))
    for trial_id in ids[1:]:
        fill(db, study.id, trial_id, SERIES, each)
    db.close()


def make_trial(db: Database, study_id: int, number: int, now: float, *, running: bool) -> int:
    """One trial with plausible parameters and scores."""
    size = random.choice(range(16, 72, 8))
    params = {"hidden_size": size, "layers": random.choice((1, 2)), "learning_rate": random.uniform(4e-3, 1.2e-2)}
    known = {"params": 800 * size + 12 * size * size, "size_mb": size / 100}
    began = now - 80_000 + number * 70
    with db.write() as session:
        trial = writes.create_trial(
            session, study_id=study_id, params=params, settings=params, known=known, origin="sampler", now=began
        )
        writes.set_trial_state(session, trial.id, TrialState.RUNNING, now=began)
        exact = 97 - 900 / size + random.gauss(0, 3)
        writes.set_trial_metrics(session, trial.id, {"exact": exact, "f1": exact + 1.0}, progress=0.5)
        if not running:
            writes.set_trial_state(session, trial.id, TrialState.COMPLETE, now=began + 60)
        return trial.id


def fill(db: Database, study_id: int, trial_id: int, names: tuple[str, ...], points: int) -> None:
    """Noisy falling curves."""
    for first in range(1, points + 1, 20_000):
        steps = range(first, min(first + 20_000, points + 1))
        with db.write() as session:
            values = [4 * math.exp(-3 * step / points) + random.random() * 0.2 for step in steps]
            pairs = zip(steps, values, strict=True)
            store_points(session, study_id, trial_id, [(n, step, v, 0.0) for step, v in pairs for n in names])


class Streamer:
    """Two running trials that report as an ingesting runner writes them: 20 steps of every series at a time."""

    def __init__(self, workspace: Path) -> None:
        self._db = open_db(workspace)
        with self._db.read() as session:
            self._study = reads.study(session, STUDY).id
            running = reads.trials(session, self._study, states=(TrialState.RUNNING,))
            self._ids = [trial.id for trial in running]
            last = [s.last_step or 0 for i in self._ids for s in reads.series(session, self._study, trial_id=i)]
        self._step = max(last, default=0)

    def step(self) -> None:
        """What two trials report in half a second."""
        steps = range(self._step + 1, self._step + 21)
        self._step += 20
        with self._db.write() as session:
            for trial_id in self._ids:
                points = [(name, step, 1 + random.random() * 0.2, time.time()) for step in steps for name in SERIES]
                store_points(session, self._study, trial_id, points)
                score = 60 + self._step // 400 % 20  # evaluations are rare compared with steps
                writes.set_trial_metrics(session, trial_id, {"exact": score}, progress=self._step % 5000 / 5000)

    def close(self) -> None:
        """Close the database."""
        self._db.close()


# -------------------------------------------------------------------------------------------------------- the terminal


@dataclass
class Terminal:
    """A program on a pseudo-terminal of `SIZE`; counts what it writes."""

    words: list[str]
    seen: bytes = b""
    count: int = 0
    pid: int = 0
    master: int = 0
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
            os.execvpe(self.words[0], self.words, environ)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))

    def drain(self, seconds: float) -> None:
        """Read what arrives in that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def read(self, wait: float) -> bytes:
        """The next bytes, or none after `wait` seconds."""
        ready, _, _ = select.select([self.master], [], [], wait)
        try:
            data = os.read(self.master, 65_536) if ready else b""
        except OSError:  # the program has ended
            data = b""
        self.count += len(data)
        self.seen = (self.seen + data)[-400_000:]
        return data

    def wait(self, condition: Callable[[], bool], seconds: float = 30.0) -> float:
        """Seconds from the start until the condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(self.seen[-2000:].decode(errors="replace"))
            self.read(0.05)
        return time.monotonic() - self.started

    def cpu(self) -> float:
        """Seconds of CPU time so far: the clock of another process, see clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.pid << 3 | 2)

    def rss_mb(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def files(self) -> int:
        """Open descriptors."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())

    def close(self) -> None:
        """End the program and wait for it."""
        os.kill(self.pid, signal.SIGTERM)
        while os.waitpid(self.pid, os.WNOHANG) == (0, 0):
            self.read(0.05)
        os.close(self.master)


def first_paint_ms(words: list[str], text: str) -> float:
    """From the start of the process until the text is on the screen; the median of five."""
    found = []
    for _ in range(5):
        app = Terminal(words)
        found.append(app.wait(lambda app=app: text.encode() in app.seen) * 1e3)  # type: ignore[misc]  # bound at once
        app.close()
    return statistics.median(found)


def curve_ms(workspace: Path) -> float:
    """The longest curve of the workspace, read for a chart; the median of five."""
    db = open_db(workspace, read_only=True)
    found = []
    with db.read() as session:
        longest = max(reads.series(session, reads.study(session, STUDY).id), key=lambda s: s.points)
        for _ in range(5):
            start = time.perf_counter()
            reads.curve(session, longest.id, columns=200)
            found.append((time.perf_counter() - start) * 1e3)
    db.close()
    return statistics.median(found)


def settled(app: Terminal, key: bytes) -> tuple[float, float]:
    """Milliseconds from a key press to the last thing that it painted, and those of CPU time that it took."""
    app.drain(QUIET_SECONDS)
    cpu, start = app.cpu(), time.perf_counter()
    last = start
    os.write(app.master, key)
    while (now := time.perf_counter()) - last < QUIET_SECONDS:
        if app.read(QUIET_SECONDS - (now - last)):
            last = time.perf_counter()
    return (last - start) * 1e3, (app.cpu() - cpu) * 1e3


def key_latency_ms(app: Terminal, streamer: Streamer, key: bytes) -> float:
    """From a key press to the first bytes that follow it, just after new values were committed."""
    streamer.step()
    while app.read(0.0):
        pass
    start = time.perf_counter()
    os.write(app.master, key)
    app.read(5.0)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    sys.exit(main())
