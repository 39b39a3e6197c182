"""What is on a workspace's disk, what would be deleted and pruned: as text and as objects. It prints nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import pruning
from bertdistill.engine.steering.deletion import Deletion
from bertdistill.engine.steering.holdings import OTHER, TRIAL, Holding, Report
from bertdistill.engine.steering.pruning import Pruning

MOST_TRIALS = 10
"""Trials in the text, the largest first; JSON has all."""


def disk_object(report: Report, workspace: Workspace) -> dict[str, Any]:
    """What `disk --json` prints."""
    holdings = [dataclasses.asdict(one) | {"studies": list(one.studies)} for one in report.holdings]
    totals = {"size_bytes": report.size_bytes, "free_bytes": report.free_bytes}
    return {"workspace": str(workspace.path), **totals, "holdings": holdings}


def disk_text(report: Report, workspace: Workspace, page: Page) -> str:
    """Studies first, the largest first; then what they share, models, leftovers and the rest."""
    free, spare = fmt.size(report.free_bytes), sum(one.size_bytes for one in report.holdings if not one.needed)
    head = f"{safe_line(str(workspace.path), 300)}: {fmt.size(report.size_bytes)}, {free} free on this disk"
    rows = [*_study_rows(report.holdings), *(_row(one) for one in _others(report.holdings))]
    table = text_table(["what", "name", "size", "of", "note"], rows, right=["size"], width=page.width)
    tail = f"{fmt.size(spare)} of it is unused or in the bin: see prune --dry-run" if spare else ""
    return "\n".join(filter(None, (head, "", table, "", tail))).rstrip()


def _study_rows(holdings: Sequence[Holding]) -> list[list[str]]:
    """A line a study for its runs, then its largest trials."""
    runs = [one for one in holdings if one.path.startswith("runs/") and len(one.studies) == 1 and one.needed]
    rows = []
    for name in sorted({one.studies[0] for one in runs}, key=lambda name: -_total(runs, name)):
        ours = [one for one in runs if one.studies[0] == name]
        note = f"checkpoints {fmt.size(sum(one.checkpoint_bytes for one in ours))}"
        rows.append(["study", safe_line(name, 60), fmt.size(_total(runs, name)), "", note])
        trials = [one for one in ours if one.what == TRIAL]
        by_trial = {one.name: sum(two.size_bytes for two in trials if two.name == one.name) for one in trials}
        largest = sorted(by_trial, key=lambda trial: -by_trial[trial])
        for trial in largest[:MOST_TRIALS]:
            words = next((one.note for one in trials if one.name == trial and one.note), "")
            rows.append(["  trial", safe_line(trial, 60), fmt.size(by_trial[trial]), "", words])
        if rest := largest[MOST_TRIALS:]:
            size = fmt.size(sum(by_trial[trial] for trial in rest))
            rows.append(["  trials", f"{len(rest)} more", size, "", ""])
    return rows


def _total(runs: Sequence[Holding], study: str) -> int:
    return sum(one.size_bytes for one in runs if one.studies[0] == study)


def _others(holdings: Sequence[Holding]) -> list[Holding]:
    listed = [one for one in holdings if not (one.path.startswith("runs/") and one.studies and one.needed)]
    small = sum(one.size_bytes for one in listed if one.what == OTHER)
    kept = sorted((one for one in listed if one.what != OTHER), key=lambda one: -one.size_bytes)
    return [*kept, Holding(OTHER, "logs, folders", "", small)] if small else kept


def _row(one: Holding) -> list[str]:
    name = one.name if one.name.startswith(("caches/", "runs/")) or one.what != "leftover" else one.path
    return [one.what, safe_line(name, 60), fmt.size(one.size_bytes), safe_line(", ".join(one.studies), 60), one.note]


# ----------------------------------------------------------------------------------------------------- delete and prune


def deletion_object(found: Deletion) -> dict[str, Any]:
    """What `delete --json` prints of each target."""
    paths = [{"what": one.what, "path": one.path, "size_bytes": one.size_bytes} for one in found.items if one.path]
    return {"what": found.kind, "name": found.name, "size_bytes": found.size_bytes, "paths": paths}


def deletion_text(found: Sequence[Deletion], keep_days: float) -> str:
    """What is removed and how much that frees; the command and the dialogue show the same text."""
    lines = []
    for one in found:
        size = f" ({fmt.size(one.size_bytes)})" if one.size_bytes else ""
        lines += [f"{safe_line(words, 200)}{size}" for words in one.words]
        if one.caches:
            size = fmt.size(sum(item.size_bytes for item in one.caches))
            lines.append(f"  its caches ({size}) are kept until they are unused and `prune` removes them")
    total = fmt.size(sum(one.size_bytes for one in found))
    if keep_days > 0:
        lines.append(f"Kept in the bin for {keep_days:g} days; undo restores it. After that, {total} are freed.")
    else:
        lines.append(f"Removed immediately, which cannot be undone; frees {total}.")
    return "\n".join(lines)


def pruning_object(found: Pruning) -> dict[str, Any]:
    """What `prune --json` prints."""
    parts = {part: {"count": found.count(part), "size_bytes": found.size_bytes(part)} for part in pruning.PARTS}
    paths = {part: [one.path for one in items] for part, items in found.items.items()}
    return {"parts": parts, "paths": paths, "kept": list(found.kept)}


def pruning_text(found: Pruning, keep_days: float) -> str:
    """What is removed, one line per part, and what is kept and why."""
    rows = [
        [part, str(found.count(part)), fmt.size(found.size_bytes(part)), pruning.WORDS[part]]
        for part in pruning.PARTS
        if found.count(part)
    ]
    table = text_table(["part", "folders", "size", "what it is"], rows, right=["folders", "size"])
    now = found.size_bytes(pruning.BIN)
    later = sum(found.size_bytes(part) for part in found.items)
    if keep_days <= 0:
        ends = [f"Frees {fmt.size(now + later)} immediately; none of it can be restored."]
    else:
        ends = [f"Frees {fmt.size(now)} immediately."] if now else []
        ends += [f"{fmt.size(later)} are moved to the bin for {keep_days:g} days; undo restores them."] if later else []
    return "\n".join([table, *ends, *found.kept] if rows else ["nothing to prune", *found.kept])
