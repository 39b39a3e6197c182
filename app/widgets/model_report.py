"""What is known about a promoted version: facts, recorded against repeated scores, sizes, its card. It reads no store.

Everything in it passes `safe`, because names, notes and the card's text come from people and files.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.verification import Step
from bertdistill.app.widgets.cells import Tone
from bertdistill.engine.contract.optimism import of_report
from bertdistill.store.rows import ModelVersion

CARD = "README.md"
MOST_CARD = 200_000
"""Characters of a card that are read."""
STATES = {"verifying": "running", "verified": "complete", "refused": "infeasible", "failed": "failed"}
"""The state of a trial whose glyph each state of a version uses."""
TONES: dict[str, Tone] = {"verifying": "accent", "verified": "good", "refused": "warn", "failed": "bad"}


def state_words(
    state: str, *, forced: bool = False, changed: str = "", missed: str = "", ascii_only: bool = False
) -> str:
    """`✓ verified`, `✓ verified by force`, `✓ verified, misses a threshold`, `✗ changed since`."""
    if changed:
        return f"{fmt.STATES['failed'][ascii_only]} changed since"
    glyphs = fmt.STATES.get(STATES.get(state, ""))
    words = safe_line(state, 40) + (" by force" if forced else "") + (", misses a threshold" if missed else "")
    return words if glyphs is None else f"{glyphs[ascii_only]} {words}"


def read_card(folder: str | None) -> str:
    """The card of an export as it is on disk, empty if there is none."""
    if not folder:
        return ""
    try:
        with (Path(folder) / CARD).open(encoding="utf-8", errors="replace") as file:
            return file.read(MOST_CARD)
    except OSError:
        return ""


def how_to_load(card: str, folder: str) -> str:
    """The code that the card shows for loading the model, from wherever it is run; empty when it has none."""
    _, _, rest = card.partition("## How to load it")
    _, fence, code = rest.partition("```python\n")
    if not fence:
        return ""
    code = code.partition("```")[0].strip()
    return re.sub(r'^folder = "\."[^\n]*', lambda _: f"folder = {folder!r}", code, flags=re.MULTILINE)


def steps_text(steps: tuple[Step, ...], *, ascii_only: bool = False) -> Text:
    """One line per step: glyph, word of its state, what it does."""
    text, styles = Text(), {"complete": "green", "running": "bold", "failed": "bold red", "waiting": "dim"}
    for number, step in enumerate(steps, start=1):
        state = fmt.state(step.state, ascii_only=ascii_only).replace("complete", "done")
        text.append(f"{number} {state:<10} {step.words}", styles[step.state])
        text.append(f"  {safe_line(step.note, 300)}\n" if step.note else "\n", "dim")
    return text


def report(row: Mapping[str, Any], version: ModelVersion, missed: str = "", *, ascii_only: bool = False) -> Group:
    """Facts, the table of scores and what was measured; `row` is that of `models --json`, `missed` are thresholds."""
    parts: list[RenderableType] = [_facts(row, version, missed, ascii_only=ascii_only)]
    if scores := _score_names(version):
        parts += [Text(""), _scores(version, scores)]
        parts += [Text(""), gaps] if (gaps := _optimism(version, scores)) else []
    other = {k: v for k, v in version.metrics.items() if k not in scores}
    if other:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for name, value in other.items():
            words = fmt.exact(value) if name == "params" else fmt.metric(name, value, unit=True)
            grid.add_row(Text(safe_line(name), "dim"), Text(words))
        parts += [Text(""), grid]
    return Group(*parts)


def _facts(row: Mapping[str, Any], version: ModelVersion, missed: str, *, ascii_only: bool) -> Table:
    found = version.report
    made = time.strftime("%m-%d %H:%M", time.localtime(version.created_at))
    facts = {
        "state": state_words(version.state, forced=row["forced"], changed=row["changed"], ascii_only=ascii_only),
        "changed": row["changed"],
        "why": version.detail,
        "misses": missed,
        "from": f"trial #{row['trial']} of {row['study']}, {made}",
        "aliases": ", ".join(row["aliases"]),
        "note": version.note,
        "by": version.who,
        "folder": row["folder"] or "",
        "mismatch": found.get("problem", ""),
    }
    facts |= {f"remark {i}": words for i, words in enumerate(found.get("remarks", []), start=1)}
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, words in facts.items():
        if words:
            grid.add_row(Text(name, "dim"), Text(safe_line(words, 1000), overflow="fold"))
    return grid


def _score_names(version: ModelVersion) -> list[str]:
    """Scores that were repeated, also those of a version that was refused for them."""
    ending = "_repeated"
    return [name.removesuffix(ending) for name in version.report if name.endswith(ending)]


def _scores(version: ModelVersion, names: list[str]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("score", no_wrap=True)
    for title in ("recorded", "repeated"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("report split", justify="right")  # these two have lines to break: no number is cut
    table.add_column("95 % interval")
    for name in names:
        recorded, repeated = (version.report.get(f"{name}_{kind}") for kind in ("recorded", "repeated"))
        cells = [fmt.metric(name, value) for value in (recorded, repeated, version.metrics.get(name))]
        interval = safe_line(version.report.get(f"{name}_interval", ""), 60)
        table.add_row(*(Text(safe_line(one)) for one in (name, *cells, interval)))
    return table


def _optimism(version: ModelVersion, names: list[str]) -> Table | None:
    """How far each score was too high before; below the scores, because the intervals are wide."""
    gaps = of_report(version.report, version.metrics)
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name in names:
        if name in gaps:
            grid.add_row(
                Text("validation less report", "dim"), Text(safe_line(name)), Text(safe_line(gaps[name].words))
            )
    return grid if grid.row_count else None


def card_text(card: str, *, ascii_only: bool = False) -> RenderableType:
    """The card as a page, without the metadata for the hub at its top, harmless; as it is written in plain ASCII.

    Links are not made to be clicked: where they lead is someone else's choice.
    """
    from rich.markdown import Markdown  # its parser takes 30 ms, and few open a card

    head, line, rest = card.partition("\n---\n")
    text = safe(rest if line and head.startswith("---") else card, MOST_CARD).strip()
    return Text(text) if ascii_only else Markdown(text, code_theme="ansi_dark", hyperlinks=False)
