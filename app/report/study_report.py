"""A study as the sections of a report: sentences, tables and charts for any format. It reads no store."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.curves import curves_chart
from bertdistill.app.report.analysis_text import importance_notes, importance_words, scenario_cells, scenario_rules
from bertdistill.app.report.pictures import frontier_picture, importance_picture, score_picture
from bertdistill.app.report.study_material import Material, score_metrics
from bertdistill.app.report.study_summary import plane, report_trials, summary_lines
from bertdistill.app.report.summary import CHANCE, Page, chart, ranked_row
from bertdistill.app.report.table_page import Column, Table
from bertdistill.app.text import format as fmt
from bertdistill.app.views.analysis import study_scenarios
from bertdistill.app.views.view import columns
from bertdistill.engine.interchange.out.outgoing import study_file
from bertdistill.engine.search.importances import Importances
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import Attempt

MOST_ROWS = 1000
"""Trials in the ranked table."""
MOST_NUMBERS = 12
"""Trials named beside each class of failures."""
TEXT_CHART = 100
"""Columns of a chart in Markdown."""


@dataclass(frozen=True)
class Grid:
    """A table with its caption; the cells of the column `header` name the rows."""

    table: Table
    caption: str
    header: int = 0


@dataclass(frozen=True)
class Chart:
    """A chart in both forms; without characters where a table beside it says the same."""

    svg: str
    text: str = ""


@dataclass(frozen=True)
class Section:
    """A heading and what is under it, in this order."""

    title: str
    lines: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    grids: Sequence[Grid] = ()
    notes: Sequence[str] = ()
    code: str = ""


def sections(found: Material) -> list[Section]:
    """The whole report."""
    parts = [
        Section("Summary", summary_lines(found)),
        _frontier(found),
        _ranked(found),
        _scenarios(found),
        _curves(found),
        _importance(found),
        _failures(found),
        _settings(found),
        _origins(found),
    ]
    return [part for part in parts if part is not None]


def grid(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str,
    *,
    numbers: Sequence[str] = (),
    kinds: Sequence[str] = (),
    header: int = 0,
) -> Grid:
    """A table from its cells; the columns named in `numbers` hold numbers."""
    cells = tuple(tuple(row) for row in rows)
    heads = tuple(Column(title, title in numbers) for title in titles)
    return Grid(Table(heads, cells, tuple(kinds) or ("",) * len(cells)), caption, header)


def _frontier(found: Material) -> Section:
    x, y, why_not = plane(found.view)
    if why_not:
        return Section("Frontier", [why_not])
    svg = frontier_picture(found.view, x=x, y=y, cascades=found.cascades, styled=False)
    text = chart(found.view, Page(TEXT_CHART), x=x, y=y, cascades=found.cascades)
    numbers = ", ".join(f"#{trial.number}" for trial in found.view.frontier)
    said = f"No trial is better in every objective than those on the frontier: {numbers}." if numbers else ""
    return Section("Frontier", [said] if said else [], [Chart(svg, text)])


def _ranked(found: Material) -> Section:
    view, trials = found.view, report_trials(found.view)
    names, chances = columns(view), [] if view.certainty is None else [CHANCE]
    shown = trials[:MOST_ROWS]
    cells = [ranked_row(view, trial, names, Page()) for trial in shown]
    front = ["yes" if row[0] else "" for row in cells]
    order = "in ranked order: the frontier, then by distance to it, then those without a rank"
    grids = [
        grid(
            ["trial", "frontier", "state", *names, *chances, "gain"],
            [[row[1], mark, *row[2:-2]] for row, mark in zip(cells, front, strict=True)],
            f"{len(shown):,} trials {order}",
            numbers=[*names, *chances, "gain"],
            kinds=["frontier" if mark else "" for mark in front],
        ),
        grid(
            ["trial", "parameters", "remark"],
            [[row[1], row[-1], row[-2]] for row in cells],
            "Parameters and remarks, in the same order",
        ),
    ]
    notes = ["gain: what a trial added to the hypervolume, as a share of the unit box, when it finished"]
    if chances:
        notes.append(f"{CHANCE}: the probability that its point is on the frontier of true scores; see docs/noise.md")
    if left_out := len(trials) - len(shown):
        notes.append(f"{left_out:,} more trials are left out; `engine export --format csv` has all of them")
    if archived := len(view.trials) - len(trials):
        notes.append(f"{archived:,} archived trials are left out")
    if not shown:
        return Section("Trials", ["No trials yet."], notes=notes[1:])
    return Section("Trials", grids=grids, notes=notes)


def _scenarios(found: Material) -> Section | None:
    if not found.view.objectives:
        return None
    table = study_scenarios(found.view)
    titles, rows, numbers = scenario_cells(table)
    # An empty title says nothing to a screen reader.
    named = [title or ("remark" if place == len(titles) - 1 else "difference") for place, title in enumerate(titles)]
    if not rows:
        return None
    return Section(
        "Which trial for which purpose",
        grids=[grid(named, rows, "Scenarios", numbers=[*numbers, "difference"])],
        notes=scenario_rules(table),
    )


def _curves(found: Material) -> Section | None:
    charts = []
    for place, metric in enumerate(one for one in score_metrics(found.view) if one in found.curves):
        curves = found.curves[metric]
        svg = score_picture(found.view, metric, curves, name=f"curves{place}", styled=False)
        charts.append(Chart(svg, f"{metric}\n{curves_chart(curves, 'step', Look(TEXT_CHART))}"))
    if not charts:
        return None
    return Section("Scores during training", ["Of the first trials in ranked order, over optimiser steps."], charts)


def _importance(found: Material) -> Section:
    title = "Which parameters mattered"
    if found.unweighed:
        return Section(title, [found.unweighed])
    grids, notes = [], []
    for one in found.importances:
        if one.weights:
            grids.append(_weights(one))
        notes += [
            note if note.startswith(one.objective) else f"{one.objective}: {note}" for note in importance_notes(one)
        ]
    picture = importance_picture(found.view.study.name, found.importances, styled=False)
    return Section(title, charts=[Chart(picture)] if grids else [], grids=grids, notes=notes)


def _weights(found: Importances) -> Grid:
    rows = [
        [one.parameter, f"{one.share:.0%}", f"active in {one.trials} trials" if one.conditional else ""]
        for one in found.weights
    ]
    return grid(["parameter", "share", "remark"], rows, importance_words(found), numbers=["share"])


def _failures(found: Material) -> Section:
    if not found.failed:
        return Section("Failures", ["No attempt failed."])
    rows = [[kind, str(len(every)), _named(found, every), _last_words(every)] for kind, every in found.failed.items()]
    table = grid(
        ["end", "attempts", "trials", "last message"], rows, "Attempts that failed, by class", numbers=["attempts"]
    )
    return Section("Failures", grids=[table])


def _named(found: Material, attempts: Sequence[Attempt]) -> str:
    numbers = [found.number(one.trial_id) for one in attempts if one.trial_id is not None]
    names = [f"#{number}" for number in dict.fromkeys(numbers) if number is not None]
    names = ["the preparation"] * any(one.trial_id is None for one in attempts) + names
    more = len(names) - MOST_NUMBERS
    return ", ".join(names[:MOST_NUMBERS]) + (f" and {more} more" if more > 0 else "")


def _last_words(attempts: Sequence[Attempt]) -> str:
    found = [str(one.outcome.get("detail") or "") or _last_line(one.log_tail) for one in attempts]
    return next((words for words in reversed(found) if words), "")


def _last_line(log: str) -> str:
    return next((line for line in reversed(log.splitlines()) if line.strip()), "")


def _settings(found: Material) -> Section | None:
    spec = found.view.outline.spec
    if spec is not None:
        note = "The study file in force, without [notify] and the environment of a program, which may hold secrets."
        return Section("Settings of the study", [note], code=study_file(_without_environment(spec)))
    return None if found.view.study.kind == "log" else Section("Settings of the study", [found.view.outline.problem])


def _without_environment(spec: StudySpec) -> StudySpec:
    return spec if spec.program is None else replace(spec, program=replace(spec.program, environment={}))


def _origins(found: Material) -> Section:
    """Versions and digests that the store has."""
    grids = [grid(["what", "value"], _facts(found), "Study and data")]
    if found.weights:
        rows = [[f"#{number}", f"{one.step:,}", fmt.size(one.size_bytes), one.sha256] for number, one in found.weights]
        titles = ["trial", "step", "size", "sha256"]
        grids.append(grid(titles, rows, "Best checkpoints of the frontier", numbers=["step", "size"]))
    if found.models:
        rows = [
            [f"{one.name}:{one.version}", f"#{found.number(one.trial_id)}", one.state, one.sha256]
            for one in found.models
        ]
        grids.append(grid(["model", "trial", "state", "sha256"], rows, "Promoted models"))
    return Section("Versions and digests", grids=grids)


def _facts(found: Material) -> Iterator[tuple[str, str]]:
    study, facts = found.view.study, found.view.facts
    yield "written by", f"bertdistill-tui {version('bertdistill-tui')}"
    for words, attempts in found.versions.items():
        yield f"workers of {attempts:,} attempts", words
    yield "study created", _moment(study.created_at)
    if study.finished_at is not None:
        yield "study finished", _moment(study.finished_at)
    if facts.train_examples:
        yield "training examples", f"{facts.train_examples:,}"
        yield "validation examples", f"{facts.search_examples:,}"
    if facts.transfer_features:
        yield "texts of the transfer set", f"{facts.transfer_features:,}"
    if facts.search_digest:
        yield "digest of the validation split", facts.search_digest
    folders = {"teacher": facts.teacher_folder, **{f"features {name}": one for name, one in facts.features.items()}}
    folders |= {"teacher outputs": facts.outputs, "teacher outputs of the validation split": facts.search_outputs}
    folders |= {"texts for pre-training": facts.corpus.folder}
    for name, folder in folders.items():
        if "caches" in Path(folder).parts:
            yield name, "/".join(Path(folder).parts[-2:])


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
