"""A chart as a file: SVG, or PNG where the name of the file ends in `.png`.

No library here draws PNG, so a program of this machine does. The picture is ours and its text is escaped, and it is
passed on stdin: the program is given no path and no word from outside.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from bertdistill.app.report.study_pages import check_target, write_whole
from bertdistill.engine.contract.errors import InvalidRequest

DRAWER = ("rsvg-convert", "--format=png", "--zoom=2")
"""Of librsvg; a pixel of the chart becomes four, which is sharp on paper and on dense screens."""
LONGEST_SECONDS = 60
_PNG = b"\x89PNG\r\n\x1a\n"


def write_picture(path: Path, svg: str, *, force: bool = False) -> Path:
    """Write a chart as what the name of the file says; InvalidRequest if that cannot be."""
    check_target(path, force=force)
    return write_whole(path, png_of(svg) if path.suffix.lower() == ".png" else svg, force=force)


def png_of(svg: str) -> bytes:
    """The chart as PNG, light; InvalidRequest if nothing here can draw it."""
    program = shutil.which(DRAWER[0])
    if program is None:
        hint = "Install librsvg (Debian: librsvg2-bin, Homebrew: librsvg), or name a file that ends in .svg."
        raise InvalidRequest(f"a PNG needs the program {DRAWER[0]}, which is not installed", hint=hint)
    try:
        done = subprocess.run(
            [program, *DRAWER[1:]], input=svg.encode(), capture_output=True, check=False, timeout=LONGEST_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InvalidRequest(f"{program} drew nothing: {error}") from error
    if done.returncode or not done.stdout.startswith(_PNG):
        said = done.stderr.decode("utf-8", "replace").strip()
        raise InvalidRequest(f"{program} drew nothing: {said or f'exit status {done.returncode}'}")
    return done.stdout
