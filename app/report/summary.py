"""What a person reads about studies, trials and models, as plain text. It reads no store and prints nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.plane import frontier_chart
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.text.tables import markdown_table, pairs, text_table
from bertdistill.app.views.analysis import study_scenarios
from bertdistill.app.views.cascades import cascade_points
from bertdistill.app.views.certain import chance_words, interval_words
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.points import chart_axis
from bertdistill.app.views.rank_card import rank_card
from bertdistill.app.views.view import StudyView, all_metrics, chart_axes, columns, differences, remark, with_spread
from bertdistill.engine.analysis.joined import Joined
from bertdistill.engine.contract.metrics import COUNTS
from bertdistill.engine.study.scopes import split, uses
from bertdistill.engine.study.sections import shown
from bertdistill.engine.study.space import points
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.rows import Trial, TrialState

CHANCE = "on frontier"
"""Title of the probability of being on it."""


@dataclass(frozen=True)
class Page:
    """What the output can show. `width` 0 cuts no line."""

    width: int = 0
    ascii_only: bool = False
    colour: bool = False


def ranked_list(view: StudyView, trials: Sequence[Trial], page: Page, *, means: bool = False) -> str:
    """Trials in the order given: rank, state, metrics, what each gained or which trial dominates it, parameters.

    With `means` those of their points, `87.30 ± 0.41`, instead of what each trial measured.
    """
    names = columns(view)
    chances = [] if view.certainty is None else [CHANCE]
    titles = ["", "trial", "state", *names, *chances, "gain", "note", "parameters"]
    rows = [ranked_row(view, trial, names, page, means=means) for trial in trials]
    return text_table(titles, rows, right=[*names, *chances, "gain", "trial"], width=page.width)


def ranked_row(view: StudyView, trial: Trial, names: Sequence[str], page: Page, *, means: bool = False) -> list[str]:
    """Star, trial, state, metrics, gain, remark, parameters."""
    ranked = view.ranked.get(trial.number)
    values = all_metrics(trial)
    gain = view.gain.get(trial.number)
    star = ("*" if page.ascii_only else "★") if ranked and ranked.on_frontier else ""
    return [
        star,
        f"#{trial.number}",
        _state(trial, page),
        *(with_spread(view, trial, name) if means else fmt.metric(name, values.get(name)) for name in names),
        *([] if view.certainty is None else [chance_words(view, trial)]),
        fmt.gain(gain),
        remark(view, trial),
        fmt.settings(trial.params) or "as configured",
    ]


def markdown_list(view: StudyView) -> str:
    """Every trial by rank as a Markdown table: the state, metrics and parameters of `ranked_list`."""
    view, names = replace(view, certainty=None), columns(view)
    keep = slice(0, 3 + len(names))
    rows = [ranked_row(view, trial, names, Page()) for trial in view.trials]
    titles = ["", "trial", "state", *names, "parameters"]
    return markdown_table(titles, [[*row[keep], row[-1]] for row in rows])


def _state(trial: Trial, page: Page) -> str:
    text = fmt.state(trial.state.value, ascii_only=page.ascii_only)
    return f"{text} {trial.progress:.0%}" if trial.state == TrialState.RUNNING else text


def chart(
    view: StudyView,
    page: Page,
    *,
    x: str = "",
    y: str = "",
    log: bool | None = None,
    height: int = 20,
    cascades: Sequence[Joined] = (),
) -> str:
    """The frontier chart of two metrics; the objectives choose them when none are named.

    Without `log` the values decide whether x is logarithmic.
    """
    x_name, y_name = chart_axes(view, x, y)
    look = Look(min(page.width or 78, 110), height, page.colour, page.ascii_only)
    axis_x = chart_axis(view, x_name, ascii_only=page.ascii_only)
    axis_y = chart_axis(view, y_name, ascii_only=page.ascii_only)
    if log is not None:
        axis_x = replace(axis_x, log=log)
    points, groups = frontier_points(view, x_name, y_name)
    joined = cascade_points(view, cascades, x_name, y_name)
    return frontier_chart([*points, *joined], axis_x, axis_y, look, groups=groups)


def headline(view: StudyView, page: Page) -> str:
    """One line about the whole study."""
    counts = ", ".join(f"{number} {name}" for name, number in view.tally.items()) or "no trials yet"
    state = fmt.state(view.study.state.value, ascii_only=page.ascii_only)
    budget = f"{view.outline.trials} in the budget, " if view.outline.trials else ""
    return (
        f"{safe_line(view.study.name)}: {state}, {counts}, {budget}"
        f"hypervolume {view.hypervolume:.3f}{_volume(view)}, {fmt.duration(view.study.busy_seconds)}"
        + (", weak teacher (see engine status)" if view.weak_teacher else "")
    )


def _volume(view: StudyView) -> str:
    """` (true 0.612 to 0.655)`: the interval; empty if it is not known."""
    found = None if view.certainty is None else view.certainty.hypervolume
    return "" if found is None else f" (true {found[0]:.3f} to {found[1]:.3f})"


def trial_page(view: StudyView, trial: Trial, page: Page) -> str:
    """One trial: state, rank, metrics against the baseline, settings that differ, lineage and notes."""
    parts = [safe_line(f"{view.study.name}/{trial.number} {_state(trial, page)}, origin: {trial.origin}")]
    facts = {fact.name: fact.words for fact in rank_card(view, trial, study_scenarios(view))}
    facts["time"] = fmt.duration(trial.busy_seconds)
    if trial.sampler:
        facts["proposed by"] = f"{trial.sampler}, seed {trial.proposal_seed}"
    if trial.reason or trial.detail:
        facts["reason"] = safe_line(f"{trial.reason} {trial.detail}".strip(), 500)
    if lineage := _lineage(view, trial):
        facts["lineage"] = lineage
    if trial.tags:
        facts["tags"] = safe_line(", ".join(trial.tags))
    if trial.note:
        facts["note"] = safe_line(trial.note, 500)
    if view.outline.note:
        facts["study's note"] = safe_line(view.outline.note, 500)
    parts += [pairs(facts), "", "metrics", _metrics_table(view, trial), "", "settings", _settings_table(view, trial)]
    return "\n".join(parts)


def _lineage(view: StudyView, trial: Trial) -> str:
    chain: list[Trial] = [trial]
    while (parent := view.parent(chain[-1])) is not None and parent not in chain:
        chain.append(parent)
    words = [f"rerun of #{t.number}" for t in chain[1:]]
    children = [f"#{t.number}" for t in view.trials if t.parent_id == trial.id]
    if children:
        words.append("rerun as " + ", ".join(children))
    return ", ".join(words)


def _metrics_table(view: StudyView, trial: Trial) -> str:
    values = all_metrics(trial)
    baseline = view.baseline
    certain = {name: words for name in values if (words := interval_words(view, trial, name))}
    other = all_metrics(baseline) if baseline and baseline.id != trial.id else {}
    rows = []
    for name, value in values.items():
        if name in COUNTS and value is not None:
            text, against = fmt.exact(value), fmt.exact(other.get(name))
        else:
            text, against = fmt.metric(name, value, unit=True), fmt.metric(name, other.get(name))
        rows.append([name, text, certain.get(name, ""), against if other else ""])
    of_mean = " of the mean" if trial.number in view.repeats else ""  # the value is that of this trial alone
    titles = ["name", "value", f"95 % interval{of_mean}" if certain else "", "baseline" if other else ""]
    return text_table(titles, rows, right=["value", "baseline"], indent="  ") or "  none yet"


def _settings_table(view: StudyView, trial: Trial) -> str:
    """Every setting; a mark says where it differs from the baseline and from the parent."""
    baseline, parent = view.baseline, view.parent(trial)
    from_baseline = differences(trial.settings, baseline.settings) if baseline and baseline.id != trial.id else {}
    from_parent = differences(trial.settings, parent.settings) if parent else {}
    rows = []
    searched = {split(name)[1] for name in trial.params}
    for name, value in trial.settings.items():
        if not uses(trial.settings.get("family"), name):
            continue
        remarks = []
        if name in from_baseline:
            remarks.append(f"baseline {fmt.setting(from_baseline[name][0])}")
        if name in from_parent:
            remarks.append(f"parent {fmt.setting(from_parent[name][0])}")
        rows.append([name, fmt.setting(value), "searched" if name in searched else "", ", ".join(remarks)])
    return text_table(["name", "value", "", "differs"], rows, indent="  ")


def details_text(view: StudyView, trial: Trial, details: Mapping[str, Any], page: Page) -> str:
    """Everything about one trial on one page."""
    kept = [c for c in details["checkpoints"] if c["dropped_at"] is None]
    rows = [[c["role"], f"step {c['step']}", fmt.size(c["size_bytes"]), c["folder"]] for c in kept]
    checkpoints = text_table(["checkpoint", "", "size", "folder"], rows, indent="  ") or "  no checkpoints"
    parts = [trial_page(view, trial, page), "", attempts_text(details["attempts"]), "", checkpoints]
    if details["series"]:
        parts += ["", "curves", _series_table(details["series"])]
    return "\n".join(parts)


def _series_table(series: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row in series:
        numbers = [fmt.setting(row[key]) for key in ("last", "min", "max")]
        hidden = f"{row['not_finite']} not finite" if row["not_finite"] else ""
        rows.append([row["name"], f"{row['points']:,}", *numbers, hidden])
    titles = ["name", "points", "last", "lowest", "highest", ""]
    return text_table(titles, rows, right=titles[1:5], indent="  ")


def attempts_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Attempts with their exit causes, and the last log lines of those that failed."""
    titles = ["attempt", "state", "slot", "time", "end", "progress"]
    body = []
    for row in rows:
        end = row["exit_class"] + (f", requested by {row['stop_reason']}" if row["stop_reason"] else "")
        name = f"{row['kind']} {row['attempt']}"
        body.append([name, row["state"], row["slot"], fmt.duration(row["seconds"]), end, progress_text(row)])
    text = text_table(titles, body) or "no attempts yet"
    by_words: dict[str, list[str]] = {}
    for row, (name, *_) in zip(rows, body, strict=True):
        by_words.setdefault(versions_text(row["versions"]), []).append(name)
    for words, names in by_words.items():
        if words:
            text += f"\n{', '.join(names)}: {words}"
    bad = [row for row in rows if row["log_tail"] and row["exit_class"] not in ("", "complete", "stopped")]
    if bad:
        lines = "\n".join("  " + line for line in safe(bad[-1]["log_tail"], 4000).strip().splitlines()[-12:])
        text += f"\n\nlast lines of attempt {bad[-1]['attempt']} ({safe_line(bad[-1]['exit_class'])})\n{lines}"
    return text


def versions_text(found: Mapping[str, str]) -> str:
    """`python 3.11.7, torch 2.13.0`."""
    return ", ".join(f"{safe_line(name, 64)} {safe_line(one, 64)}" for name, one in found.items())


def progress_text(row: Mapping[str, Any]) -> str:
    """`training 1,200/4,000 examples, 410/s`, as far as it is known."""
    words = safe_line(row["phase"] or "")
    if row["total"]:
        words += f" {row['done']:,.0f}/{row['total']:,.0f} {safe_line(row['unit'] or '')}".rstrip()
    elif row["done"]:
        words += f" {row['done']:,.0f} {safe_line(row['unit'] or '')}".rstrip()
    if row["rate"]:
        words += f", {fmt.rate(float(row['rate']))}/s"
    return words.strip() or ("starting" if row["state"] == "running" else "")


def models_text(rows: Sequence[Mapping[str, Any]], page: Page) -> str:
    """Promoted versions with aliases, verified scores and folders."""
    body = []
    for row in rows:
        scores = {k: fmt.metric(k, v) for k, v in list(row["metrics"].items())[:3]}
        body.append(
            [
                row["model"],
                "changed since" if row["changed"] else row["state"] + (" (forced)" if row["forced"] else ""),
                ", ".join(row["aliases"]),
                f"{row['study']}/{row['trial']}",
                " ".join(f"{k} {v}" for k, v in scores.items()),
                " ".join(f"{k} {one['difference']:+.2f}" for k, one in list(row["optimism"].items())[:1]),
                safe_line(row["changed"], 200) or row["folder"] or row["detail"],
            ]
        )
    return text_table(
        ["model", "state", "aliases", "trial", "report scores", "optimism", "folder"], body, width=page.width
    )


def checks_text(rows: Sequence[Mapping[str, Any]], *, ascii_only: bool = False) -> str:
    """The doctor's findings, each hint below its line."""
    glyphs = {"ok": ("✓", "+"), "warning": ("!", "!"), "problem": ("✗", "x")}
    lines = []
    for row in rows:
        glyph = glyphs[row["state"]][ascii_only]
        lines.append(f"{glyph} {row['state']:<7}  {row['check']:<13}  {safe_line(row['detail'], 300)}")
        if row["hint"]:
            lines.append(f"{' ' * 26}hint: {safe_line(row['hint'], 300)}")
    return "\n".join(lines)


def one_change(spec: StudySpec, params: Mapping[str, Any]) -> str:
    """A change of one searched number that a rerun accepts: half way to the farther end of its range."""
    for p in spec.search:
        if p.kind == "float" and p.name in params and p.low is not None and p.high is not None and p.step is None:
            here, low, high = (math.log(v) if p.log else v for v in (float(params[p.name]), p.low, p.high))
            middle = (here + (low if here - low > high - here else high)) / 2
            return f"{p.name}={math.exp(middle) if p.log else middle:.3g}"
    if spec.program is None:
        return f"learning_rate={float(spec.settings.learning_rate) / 2:.3g}"
    others = ((p.name, v) for p in spec.search for v in points(p) or () if p.name in params and v != params[p.name])
    name, value = next(others, ("NAME", "VALUE"))
    return f"{name}={shown(value) if isinstance(value, bool) else value}"
