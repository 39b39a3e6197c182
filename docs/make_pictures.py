"""Takes the pictures of the guide from the running app: `python docs/make_pictures.py WORKSPACE [NAME …]`.

It drives the app without a terminal, exports the screen as SVG, and converts that to PNG with `rsvg-convert`
(Debian: librsvg2-bin, fonts-dejavu-core). It changes nothing in the workspace. `analysis-errors` and `cascade` read
predictions, so the run folders must be there, too.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bertdistill.app.preferences import Marker, Options, Theme
from bertdistill.app.terminal import terminal

FOLDER = Path(__file__).parent / "pictures"
SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Picture:
    """A screen: the keys pressed after the start, and a text that must be on it before the picture is taken."""

    name: str
    study: str
    keys: tuple[str, ...] = ()
    until: str = ""
    gone: str = ""
    """A text that must have left, such as that something is still being read."""
    size: tuple[int, int] = (120, 40)
    theme: Theme = "dark"
    marker: Marker = "braille"
    no_color: bool = False
    apart: bool = False
    """Of another workspace, so only taken when it is named."""


def pictures(study: str) -> tuple[Picture, ...]:
    """Every picture of the guide, from this study."""
    marked = ("space", "down", "space", "down", "space")
    return (
        Picture("studies", "", until="teacher"),
        Picture("new-study", "", ("n",), until="demo"),
        Picture("study", study, ("down", "down"), until="Frontier"),
        Picture("study-wide", study, ("down", "down", "down"), until="Frontier", size=(160, 48)),
        Picture("study-hint", study, ("T", "T"), until="Hint 2"),
        Picture("study-80x24", study, ("2",), until="Frontier", size=(80, 24)),
        Picture("study-40x12", study, until="Trials", size=(40, 12)),
        Picture("study-light", study, ("down",), until="Frontier", theme="light"),
        Picture("study-no-color", study, (*marked, "3"), until="Frontier", no_color=True),
        Picture("study-ascii", study, ("down",), until="Frontier", marker="ascii", no_color=True),
        Picture("filter", study, ("slash", *"family=mlp accuracy>84"), until="accuracy>84"),
        Picture("trial", study, ("down", "enter"), until="Why this rank"),
        Picture("compare", study, (*marked, "c"), until="Curves"),
        Picture("analysis-overview", study, ("o",), until="Timeline", gone="omputing"),
        Picture("analysis-importance", study, ("a",), until="%"),
        Picture("analysis-parallel", study, ("a", "2"), until="Lines"),
        Picture("analysis-hypervolume", study, ("a", "4"), until="Hypervolume"),
        Picture("analysis-scenarios", study, ("a", "5"), until="best score"),
        Picture("analysis-errors", study, ("a", "6"), until="recall"),
        Picture("analysis-ladder", study, ("a", "8"), until="teacher"),
        Picture("cascade", study, ("down", "down", "down", "b"), until="passed on"),
        Picture("series", study, (*marked, "V"), until="train/"),
        Picture("workers", study, ("w",), until="Workers:"),
        Picture("settings", study, ("E",), until="threshold"),
        Picture("queue", study, ("n",), until="alpha"),
        Picture("history", study, ("h",), until="when"),
        Picture("rerun", study, ("down", "r"), until="alpha"),
        Picture("promote", study, ("down", "P"), until="name"),
        Picture("models", study, ("M",), until="production"),
        Picture("help", study, ("question_mark",), until="On this screen"),
        Picture("analysis-survey", "survey-sst2", ("a", "9"), until="compression", gone="(reading", apart=True),
    )


_NAMED = {" ": "space", "=": "equals_sign", ">": "greater_than_sign", "<": "less_than_sign"}
"""Textual's names of keys that stand for a character."""


def is_ready(picture: Picture, words: str) -> bool:
    """Whether the screen shows what it is taken for."""
    return picture.until in words and not (picture.gone and picture.gone in words)


async def take(picture: Picture, workspace: Path) -> Path:
    """Drive the app to the screen and write it as SVG next to the PNG."""
    if picture.no_color:
        os.environ["NO_COLOR"] = "1"
    else:
        os.environ.pop("NO_COLOR", None)
    terminal.tame(os.environ)
    from bertdistill.app.ui import BertDistill

    theme: Theme = "ansi" if picture.no_color else picture.theme
    app = BertDistill(Options(workspace, open_study=picture.study, theme=theme, marker=picture.marker))
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause(1.0)
        for key in picture.keys:
            await pilot.press(_NAMED.get(key, key))
            await pilot.pause(0.3)
        deadline = time.monotonic() + SETTLE_SECONDS
        while not is_ready(picture, html.unescape(app.export_screenshot()).replace("\u00a0", " ")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{picture.name}: {picture.until!r} never came, or {picture.gone!r} never left")
            await pilot.pause(0.2)
        await pilot.pause(1.0)
        path = FOLDER / f"{picture.name}.svg"
        path.write_text(by_cells(app.export_screenshot(title="bertdistill-tui")), encoding="utf-8")
    return path


_TEXT = re.compile(
    r'<text class="(?P<style>[^"]*-r\d+)" x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)"[^>]*>'
    r"(?P<text>[^<]*)</text>"
)


def by_cells(svg: str) -> str:
    """Place each character in its own cell, in a font that is installed: no web font, and nothing shears.

    Renderers other than browsers ignore `textLength`, so charts would lose their columns.
    """
    svg = re.sub(r"@font-face\s*\{.*?\n\s{4}\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code, monospace", "DejaVu Sans Mono, monospace").replace(
        "font-family: arial", "font-family: DejaVu Sans"
    )
    return _TEXT.sub(_cells, svg)


def _cells(match: re.Match[str]) -> str:
    from rich.cells import cell_len

    text = html.unescape(match["text"])
    width = float(match["length"]) / max(1, cell_len(text))
    found, at = [], float(match["x"])
    for character in text:
        if character not in " \u00a0":
            found.append(
                f'<text class="{match["style"]}" x="{at:.1f}" y="{match["y"]}">{html.escape(character)}</text>'
            )
        at += width * cell_len(character)
    return "".join(found)


def main() -> int:
    """Take all pictures, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("names", nargs="*", help="pictures to take; all by default")
    parser.add_argument("--study", default="demo")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    chosen = [p for p in pictures(options.study) if (not options.names and not p.apart) or p.name in options.names]
    if len(chosen) > 1:  # one process each: textual reads NO_COLOR on import
        for picture in chosen:
            command = [sys.executable, __file__, str(options.workspace), picture.name, "--study", options.study]
            subprocess.run(command, check=True)
        return 0
    for picture in chosen:
        svg = asyncio.run(take(picture, options.workspace.resolve()))
        png = svg.with_suffix(".png")
        subprocess.run(["rsvg-convert", "--output", str(png), str(svg)], check=True)
        svg.unlink()
        sys.stdout.write(f"{png}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
