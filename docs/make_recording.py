"""Records the app as an animated SVG: `python docs/make_recording.py WORKSPACE STUDY TRIAL OUT.svg`.

It replays a finished study in a copy of its workspace: trials appear one after another in the database, as a runner
stores them, and the running app draws what it finds there. Then it moves the cursor, promotes TRIAL for real, and ends.
The SVG has no script and loads nothing: one strip of frames, moved by CSS, in which equal lines are stored once.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.cells import cell_len
from textual.pilot import Pilot

from bertdistill.app.preferences import Options
from bertdistill.app.terminal import terminal
from bertdistill.app.terminal.themes import DARK
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch import process

SIZE = (110, 32)
CELL = (12.2, 24.4)
"""Width and height of a cell in the pictures that Textual exports."""
EDGE = 10.0
GROWING, LOOKING, ENDING = 0.22, 0.8, 2.3
"""Seconds that a frame is shown: while the frontier fills, while something is read, at the end."""
AT_ONCE = 2
"""Trials that run at the same time."""
NAME, WHO = "sentiment", "ana"
VERIFIED = "verified and exported"
LONGEST = 300.0
"""Seconds for the promotion."""
GROUND = DARK.background
BORDERS = "│╭╰"


@dataclass
class Film:
    """Frames as tuples of drawn lines, each with the seconds that it is shown; equal neighbours are one frame."""

    workspace: Path
    """Its path is shown as one below a home."""
    frames: list[tuple[tuple[tuple[str, ...], ...], float]] = field(default_factory=list)
    styles: dict[str, str] = field(default_factory=dict)
    """Classes by what they say in CSS."""

    def take(self, app: BertDistill, seconds: float) -> None:
        lines = tuple(self._lines(app.export_screenshot().replace(str(self.workspace), "~/bertdistill-runs")))
        if self.frames and self.frames[-1][0] == lines:
            seconds = max(seconds, self.frames.pop()[1])
        self.frames.append((lines, seconds))

    def _lines(self, svg: str) -> Iterator[tuple[str, ...]]:
        """Each line of the screen as SVG at y = 0, in pieces that end where a pane does: panes change separately."""
        css = dict(re.findall(r"\.[\w-]+-(r\d+) \{ (.*?) \}", svg))
        found: list[list[tuple[float, bool, str]]] = [[] for _ in range(SIZE[1])]
        for fill, x, y, width in re.findall(r'<rect fill="(#\w+)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg):
            if fill != GROUND:
                row = round((float(y) - 1.5) / CELL[1])
                drawn = f'<rect fill="{fill}" x="{short(x)}" width="{short(width)}" height="24.8"/>'
                found[row].append((float(x), False, drawn))
        for style, x, row, text in re.findall(
            r'<text class="[\w-]+-(r\d+)" x="([\d.]+)"[^>]*?-line-(\d+)\)">([^<]*)</text>', svg
        ):
            name = self.styles.setdefault(css[style], f"s{len(self.styles)}")
            found[int(row)] += pieces(html.unescape(text), float(x), name)
        return (tuple(cut(line)) for line in found)

    def svg(self) -> str:
        """The strip of all frames, and the keyframes that move it."""
        width, height = SIZE[0] * CELL[0], SIZE[1] * CELL[1]
        names: dict[str, str] = {}
        strip = []
        for at, (lines, _) in enumerate(self.frames):
            uses = [
                f'<use href="#{names.setdefault(part, f"l{len(names)}")}" y="{row * CELL[1]:.1f}"/>'
                for row, line in enumerate(lines)
                for part in line
            ]
            strip.append(f'<g transform="translate({at * width:.1f})">{"".join(uses)}</g>')
        whole, at, moves = sum(seconds for _, seconds in self.frames), 0.0, []
        for number, (_, seconds) in enumerate(self.frames):
            moves.append(f"{100 * at / whole:.2f}%{{transform:translateX({-number * width:.1f}px)}}")
            at += seconds
        css = "".join(f".{name}{{{rules}}}" for rules, name in self.styles.items())
        return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width + 2 * EDGE:.0f} {height + 2 * EDGE:.0f}">
<title>A study in the app: the frontier fills up, a trial is inspected and promoted</title>
<style>text{{font:20px DejaVu Sans Mono,Menlo,Consolas,monospace;transform:translateY(18.5px)}}{css}
#f{{animation:f {whole:.2f}s steps(1,end) infinite}}@keyframes f{{{"".join(moves)}}}</style>
<rect width="100%" height="100%" rx="14" fill="{GROUND}" stroke="#6e7681"/>
<defs>{"".join(f'<g id="{name}">{line}</g>' for line, name in names.items())}</defs>
<svg x="{EDGE:g}" y="{EDGE:g}" width="{width:.1f}" height="{height:.1f}"><g id="f">{"".join(strip)}</g></svg>
</svg>
"""


def pieces(text: str, x: float, style: str) -> Iterator[tuple[float, bool, str]]:
    """A run of one style, cut at wide gaps and where letters meet lines: where it is, if a pane begins, its SVG."""
    at = x
    for part in re.findall(r"[\x21-\x7e]+(?:[ \xa0][\x21-\x7e]+)*|[ \xa0]+|[^\x20-\x7e\xa0]+", text):
        cells = cell_len(part)
        if part.strip(" \xa0"):
            length = f' textLength="{short(cells * CELL[0])}"' if cells > 1 else ""
            fit = ' lengthAdjust="spacingAndGlyphs"' if length and not part.isascii() else ""
            words = html.escape(part.replace("\xa0", " "), quote=False)
            yield at, part[0] in BORDERS, f'<text class="{style}" x="{short(at)}"{length}{fit}>{words}</text>'
        at += cells * CELL[0]


def cut(line: list[tuple[float, bool, str]]) -> Iterator[str]:
    """What stands in a line from one border to the next, grounds below letters."""
    parts: list[list[str]] = [[]]
    for _, begins, drawn in sorted(line, key=lambda piece: (piece[0], piece[2].startswith("<text"))):
        if begins and parts[-1]:
            parts.append([])
        parts[-1].append(drawn)
    return (part for part in map("".join, parts) if part)


def short(number: float | str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")


class Replay:
    """The database of a copy, in which a finished study runs again."""

    def __init__(self, workspace: Path, study: str) -> None:
        self._db = sqlite3.connect(workspace / "tracker.db", isolation_level=None)
        self._db.execute("CREATE TEMP TABLE past AS SELECT * FROM trial")
        (self._id,) = self._db.execute("SELECT id FROM study WHERE name = ?", (study,)).fetchone()
        self.trials = [number for (number,) in self._db.execute(
            "SELECT number FROM trial WHERE study_id = ? ORDER BY number", (self._id,)
        )]  # fmt: skip

    def show(self, done: int) -> None:
        """As many trials are complete, the next ones run."""
        running = AT_ONCE if done < len(self.trials) else 0
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("DELETE FROM trial WHERE study_id = ?", (self._id,))
            self._db.execute(
                "INSERT INTO trial SELECT * FROM past WHERE study_id = ? AND number < ?", (self._id, done + running)
            )
            self._db.execute(
                "UPDATE trial SET state = 'RUNNING', metrics = '{}', finished_at = NULL,"
                " progress = 0.35 + 0.4 * ((number + ?) % 2) WHERE study_id = ? AND number >= ?",
                (done, self._id, done),
            )
            self._db.execute(
                "UPDATE attempt SET state = CASE WHEN trial_id IN (SELECT id FROM trial WHERE state = 'RUNNING')"
                " THEN 'RUNNING' ELSE 'ENDED' END WHERE study_id = ?",
                (self._id,),
            )
            state = "RUNNING" if running else "COMPLETE"
            self._db.execute("UPDATE study SET state = ? WHERE id = ?", (state, self._id))
            self._db.execute("UPDATE lease SET heartbeat_at = ?", (time.time(),))

    def close(self) -> None:
        self._db.close()


async def record(workspace: Path, study: str, trial: int) -> Film:
    """Drive the app through the film."""
    film, app = Film(workspace), BertDistill(Options(workspace, open_study=study, theme="dark", refresh=10.0))
    app.who = WHO
    with closing(Replay(workspace, study)) as replay:
        lock = process.try_lock(Workspace(workspace).runner_lock)  # as a runner holds it
        replay.show(0)
        async with app.run_test(size=SIZE) as pilot:
            await settle(pilot)
            for done in range(0, len(replay.trials) + 1, AT_ONCE):
                replay.show(done)
                await settle(pilot)
                await pilot.press("g")
                await settle(pilot)
                film.take(app, GROWING)
            film.take(app, LOOKING)
            if lock is not None:
                os.close(lock)
            await inspect(pilot, film, trial)
            await promote(pilot, film)
    return film


async def inspect(pilot: Pilot[None], film: Film, trial: int) -> None:
    """Down the list to the trial, whose card follows."""
    for _ in range(30):
        if pilot.app.screen.selected.number == trial:
            break
        await pilot.press("down")
        await settle(pilot)
        film.take(pilot.app, LOOKING / 2)
    film.take(pilot.app, LOOKING)


async def promote(pilot: Pilot[None], film: Film) -> None:
    """The form, a name, and every look of the verification."""
    await pilot.press("P")
    await settle(pilot)
    await pilot.press("ctrl+u", *NAME)
    await settle(pilot)
    film.take(pilot.app, LOOKING)
    await pilot.press("f5")
    await settle(pilot)
    film.take(pilot.app, LOOKING)
    await pilot.press("y")
    left = LONGEST
    while left > 0 and VERIFIED not in text_of(pilot.app):
        await pilot.pause(0.5)
        left -= 0.5
        film.take(pilot.app, LOOKING / 2)
    await settle(pilot)
    film.take(pilot.app, ENDING)


async def settle(pilot: Pilot[None]) -> None:
    """Until two looks of the app have been drawn."""
    pilot.app.look_again()
    await pilot.pause(0.35)


def text_of(app: BertDistill) -> str:
    return html.unescape(app.export_screenshot()).replace("\xa0", " ")


def main() -> int:
    """Record, and say how long and how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("study")
    parser.add_argument("trial", type=int)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    os.environ.pop("NO_COLOR", None)
    terminal.tame(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / "runs"
        shutil.copytree(options.workspace, copy)
        film = asyncio.run(record(copy, options.study, options.trial))
    svg = film.svg()
    options.out.write_text(svg, encoding="utf-8")
    seconds = sum(seconds for _, seconds in film.frames)
    sys.stdout.write(f"{options.out}: {len(film.frames)} frames, {seconds:.1f} s, {len(svg) / 1000:.0f} kB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
