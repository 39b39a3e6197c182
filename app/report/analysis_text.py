"""What a person reads about the analyses, as plain text. It reads no store, computes nothing and prints nothing.

It is longer than 400 lines because it has a function for each part of the analysis, and these share their tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.curves import Curve, curves_chart
from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.app.views.analysis import mean_texts, trial_names
from bertdistill.engine.analysis.comparison import Comparison, MetricRow
from bertdistill.engine.analysis.coordinates import Axis, Parallel, Slice, Stretch, stretches
from bertdistill.engine.analysis.error_analysis import CLASSES, Classified, Confusion, Judged, QuestionErrors, Tally
from bertdistill.engine.analysis.growth import Step, last_gain
from bertdistill.engine.analysis.outcomes import Difference
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.scenarios import NEAR_TEACHER, Scenario, ScenarioTable
from bertdistill.engine.analysis.transfer import TransferGain
from bertdistill.engine.search.importances import Importances
from bertdistill.engine.search.outlook import FEWEST, Outlook

METHOD_NAMES = {"ped-anova": "PED-ANOVA", "fanova": "fANOVA"}
LEVELS = ("▁▂▃▄▅▆▇█", "01234567")
"""Position of a value on its axis, and the same in ASCII."""
MARKS = (("«", "»"), ("<", ">"))
"""Around the given answer in a passage, and the same in ASCII."""
LONGEST_PASSAGE = 4000
PieceKind = Literal["", "mark", "right", "given"]
_SPACES = re.compile(r"\s+")
ROUNDING = 1e-9
"""Rounds so that binary fractions do not move the middle of an axis."""


# ------------------------------------------------------------------------------------------------------------ one study


def importances_text(found: Sequence[Importances], page: Page) -> str:
    """The parameters of every objective with a bar each, what they are based on, and how to judge them."""
    return "\n\n".join(_importance(one, page) for one in found)


def _importance(found: Importances, page: Page) -> str:
    lines = [f"importance for {importance_words(found)}"]
    rows = [
        [
            weight.parameter,
            f"{weight.share:.0%}",
            fmt.bar(weight.share, 20, ascii_only=page.ascii_only),
            f"active in {weight.trials}" if weight.conditional else "",
        ]
        for weight in found.weights
    ]
    if rows:
        lines.append(text_table(["parameter", "share", "", ""], rows, right=["share"], indent="  "))
    notes = [f"note: {note}" if note == found.problem else note for note in importance_notes(found)]
    return "\n".join([*lines, *(f"  {note}" for note in notes)])


def importance_words(found: Importances) -> str:
    """`exact: PED-ANOVA, 36 feasible trials, 1 more misses a threshold`."""
    left_out = f", {found.missed} more {'misses' if found.missed == 1 else 'miss'} a threshold" if found.missed else ""
    return f"{found.objective}: {METHOD_NAMES[found.method]}, {found.trials} feasible trials{left_out}"


def importance_notes(found: Importances) -> list[str]:
    """How far the shares can be trusted, and which parameters have none."""
    notes = [found.problem] if found.problem else []
    if found.without_effect:
        notes.append(f"{found.objective} is known before training; without effect: {', '.join(found.without_effect)}")
    return notes


def scenarios_text(table: ScenarioTable, page: Page) -> str:
    """Baseline and scenarios: the trial, each objective, and what it gained or lost."""
    titles, rows, right = scenario_cells(table)
    rules = "\n".join(f"  {rule}" for rule in scenario_rules(table))
    return f"scenarios\n{text_table(titles, rows, right=right, indent='  ', width=page.width)}\n\n{rules}"


def scenario_cells(table: ScenarioTable) -> tuple[list[str], list[list[str]], list[str]]:
    """Titles, rows, and the titles of numbers."""
    metrics = list(dict.fromkeys([name for row in table.rows for name in row.values] or table.baseline_values))
    first = Scenario("baseline", "", table.baseline, table.baseline_values)
    rows = [_scenario(one, metrics) for one in (first, *table.rows) if one.number is not None or one.remark]
    titles = ["scenario", "trial", *(title for name in metrics for title in (name, "")), ""]
    return titles, rows, ["trial", *metrics]


def scenario_rules(table: ScenarioTable) -> list[str]:
    """Which trial serves each purpose, and what differences are from."""
    rules = [f"{one.name}: {one.rule}" for one in table.rows]
    if any(one.name == NEAR_TEACHER for one in table.rows):
        rules.append("differences are from the baseline, in the last row from the teacher")
    return rules


def _scenario(found: Scenario, metrics: Sequence[str]) -> list[str]:
    number = fmt.NONE if found.number is None else f"#{found.number}"
    cells = [found.name, number]
    for name in metrics:
        cells += [fmt.metric(name, found.values.get(name)), gap_text(name, found.differences.get(name))]
    return [*cells, found.remark]


def gap_text(metric: str, gap: Difference | None) -> str:
    """`+1.20 (+2.4 %)`, `-4.1M (-18.0 %)`; empty when there is nothing to compare with."""
    if gap is None:
        return ""
    sign = "+" if gap.absolute > 0 else "-" if gap.absolute < 0 else ""
    reference = 100 * gap.absolute / gap.percent if gap.percent else 0.0
    size = (fmt.spread if reference > 1 else fmt.metric)(metric, abs(gap.absolute))  # 0.9 points are no fraction of 1
    return f"{sign}{size}" + (f" ({gap.percent:+.1f} %)" if gap.percent else "")


def transfer_text(found: Sequence[TransferGain]) -> str:
    """A line for each metric: how much better or worse students with a transfer set were."""
    if not found:
        return "transfer set: no complete trials both with and without one to compare"
    return "\n".join(f"transfer set: {_gain(one)}" for one in found)


def _gain(one: TransferGain) -> str:
    values = f"{fmt.metric(one.metric, one.mean_with)} with, {fmt.metric(one.metric, one.mean_without)} without"
    gap = f"{one.metric} {one.difference:+.2f}"
    if not one.pairs:
        trials = f"{one.trials_with} and {one.trials_without} trials"
        return f"{gap} ({values}: means of {trials} that differ in other settings, too)"
    spread = "" if one.spread is None else f" ± {one.spread:.2f}"
    return f"{gap}{spread} over {one.pairs} {'pair' if one.pairs == 1 else 'pairs'} of equal students ({values})"


def growth_text(
    steps: Sequence[Step], page: Page, true: tuple[float, float] | None = None, *, short: bool = False
) -> str:
    """The hypervolume with the interval of that of true scores, and when it last grew.

    Without `short`, also its curve and every trial.
    """
    if not steps:
        return "hypervolume: no trial has ended yet"
    last = steps[-1]
    hours = f"{last.worker_hours:.2f} worker-hours"
    ends = "" if true is None else f" (true {true[0]:.3f} to {true[1]:.3f})"
    head = f"hypervolume {last.hypervolume:.3f}{ends} after {last.trials} trials and {hours}; {since_words(steps)}"
    if short:
        return head
    look = Look(min(page.width or 78, 110), 14, page.colour, page.ascii_only)
    hours_of = [0.0, *(step.worker_hours for step in steps)]
    curve = Curve("hypervolume", hours_of, [0.0, *(step.hypervolume for step in steps)])
    rows = [[f"#{s.number}", f"{s.worker_hours:.3f}", fmt.signed(s.gain, 4), f"{s.hypervolume:.4f}"] for s in steps]
    titles = ["trial", "worker-hours", "gain", "hypervolume"]
    table = text_table(titles, rows, right=titles, indent="  ")
    return f"{head}\n\n{table}\n\n{curves_chart([curve], 'worker-hours', look)}"


def outlook_text(found: Outlook | None, complete: int) -> str:
    """What the next trials are worth, one line; or what it waits for. `complete` is the number of such trials."""
    if found is None:
        few = complete < FEWEST
        waits = (
            f"forecast once {FEWEST} trials are complete ({complete} now)" if few else "unknown: too few have scores"
        )
        return f"what the next trials would add is {waits}"
    percent = max(found.percent) < 100  # beyond that the frontier is so small that a share of it means nothing
    values = found.percent if percent else (found.gain, found.low, found.high)
    gain, low, high = (f"{max(0.0, value):.{1 if percent else 3}f}" for value in values)
    cost = "" if found.seconds is None else f" in {fmt.duration(found.seconds)} of worker time"
    to = (
        f" % ({low} to {high}) to the hypervolume"
        if percent
        else f" ({low} to {high}) to a hypervolume of {found.hypervolume:.3f}"
    )
    return f"the next {found.trials} trials are expected to add {gain}{to}{cost}"


def since_words(steps: Sequence[Step]) -> str:
    """When the hypervolume last grew."""
    since = last_gain(steps)
    if since is None:
        return "it has not grown"
    if since < 2:
        return f"the last one {'did not increase it' if since else 'increased it'}"
    return f"the last {since} did not increase it"


def parallel_text(found: Parallel, page: Page) -> str:
    """One trial a line, frontier first: every value with a mark of its height on the axis."""
    titles = ["", "trial", *(axis.name for axis in found.axes)]
    star = "*" if page.ascii_only else "★"
    rows = []
    for line in sorted(found.lines, key=lambda line: (not line.frontier, line.number)):
        cells = zip(found.axes, line.places, line.values, strict=True)
        marks = [_mark(axis, place, value, page) for axis, place, value in cells]
        rows.append([star if line.frontier else "", f"#{line.number}", *marks])
    if not rows:
        return "parallel coordinates: no trial is complete yet"
    ends = [f"  {axis.name}: {_ends(axis)}" for axis in found.axes]
    return "\n".join([text_table(titles, rows, right=["trial"], width=page.width), "", "axes", *ends])


def _mark(axis: Axis, place: float | None, value: object, page: Page) -> str:
    if place is None:
        return fmt.NONE
    levels = LEVELS[page.ascii_only]
    return f"{levels[min(len(levels) - 1, int(place * len(levels) + ROUNDING))]} {_value(axis.name, value, axis)}"


def _value(name: str, value: object, axis: Axis | None = None) -> str:
    if axis is not None and axis.better is not None and isinstance(value, (int, float)):
        return fmt.metric(name, value)
    return fmt.setting(value)


def _ends(axis: Axis) -> str:
    if axis.kind == "choice":
        return ", ".join(fmt.setting(choice) for choice in axis.choices)
    low, high = (_value(axis.name, value, axis) for value in (axis.low, axis.high))
    return f"{low} to {high}" + (", logarithmic" if axis.log else "")


def slices_text(found: Sequence[Slice]) -> str:
    """For every objective and parameter: what trials scored in each part of its range."""
    blocks = []
    for one in found:
        metric = one.objective.metric
        rows = [_stretch(part, metric) for part in stretches(one)]
        titles = [one.axis.name, "trials", "best", "median", "best trial"]
        table = text_table(titles, rows, right=titles[1:], indent="  ") or "  not active in any complete trial"
        blocks.append(f"{metric} along {one.axis.name}\n{table}")
    return "\n\n".join(blocks)


def _stretch(part: Stretch, metric: str) -> list[str]:
    ends = [fmt.setting(part.low), fmt.setting(part.high)]
    words = ends[0] if part.low == part.high else " to ".join(ends)
    return [
        words,
        str(part.trials),
        fmt.metric(metric, part.best),
        fmt.metric(metric, part.middle),
        f"#{part.best_number}",
    ]


# --------------------------------------------------------------------------------------------------------- some trials


def comparison_text(found: Comparison, page: Page, *, every: bool = False) -> str:
    """Settings and metrics of some trials side by side."""
    names = trial_names(found)
    chosen = found.settings if every else found.differing
    settings = text_table(
        ["setting", *names, ""],
        [[row.name, *map(fmt.setting, row.values), "searched" if row.searched else ""] for row in chosen],
        width=page.width,
    )
    hidden = len(found.settings) - len(chosen)
    note = f"{hidden} settings are the same in all of them" if hidden else ""
    titles = ["metric", names[0]]
    for name in names[1:]:
        titles += [name, ""]
    metrics = text_table(titles, [_metric_cells(row) for row in found.metrics], right=names, width=page.width)
    several = ", ".join(f"{name} of {n} seeds" for name, n in zip(names, found.seeds, strict=True) if n > 1)
    means = f"means with their standard deviation: {several}" if several else ""
    tied = any("tie" in row.verdicts for row in found.metrics)
    ties = "tie: within what other validation examples and seeds would change" if tied else ""
    parts = [
        settings or "all settings are the same",
        note,
        "",
        metrics,
        "differences are from the first trial",
        means,
        ties,
    ]
    return "\n".join(part for i, part in enumerate(parts) if part or i == 2)


def _metric_cells(row: MetricRow) -> list[str]:
    values = mean_texts(row)
    cells = [row.name, values[0]]
    for value, gap, verdict in list(zip(values, row.differences, row.verdicts, strict=True))[1:]:
        cells += [value, f"{gap_text(row.name, gap)} {verdict}".strip()]
    return cells


# ------------------------------------------------------------------------------------------------------- error analysis


def question_errors_text(found: QuestionErrors, page: Page, *, by_article: bool = False) -> str:
    """The classes of all questions with a bar each; with `by_article` those of every article, the worst first."""
    rows = [
        [
            words,
            f"{found.overall.counts[kind]:,}",
            f"{found.overall.share(kind):.1f} %",
            fmt.bar(found.overall.share(kind) / 100, 20, ascii_only=page.ascii_only),
        ]
        for kind, words in CLASSES.items()
    ]
    table = text_table(["class", "questions", "share", ""], rows, right=["questions", "share"])
    note = f"{found.overall.total:,} questions of the validation split; mostly correct at F1 {found.cut:g} or above"
    wrong = sum(found.histogram)
    tenths = " ".join(f"{count:,}" for count in found.histogram)
    spread = f"\nwrong answers by F1, 0.0 to 1.0 in tenths: {tenths}" if wrong else ""
    parts = [f"{note}\n\n{table}{spread}"]
    if by_article:
        titles = ["article", "questions", *CLASSES.values()]
        parts.append(
            text_table(titles, [_article(tally) for tally in found.articles], right=titles[1:], width=page.width)
        )
    return "\n\n".join(parts)


def _article(tally: Tally) -> list[str]:
    return [
        safe_line(tally.article, 60) or fmt.NONE,
        f"{tally.total:,}",
        *(f"{tally.share(kind):.1f} %" for kind in CLASSES),
    ]


def questions_text(judged: Iterable[Judged], *, passages: bool = False, ascii_only: bool = False) -> str:
    """Questions with what was given and what is right, and, on request, the marked part of the passage."""
    blocks = [f"passages: {passage_legend(ascii_only=ascii_only)}\n"] if passages else []
    for one in judged:
        asked = one.question
        golds = " | ".join(dict.fromkeys(asked.golds)) or "(no answer)"
        blocks.append(
            f"{CLASSES[one.kind]}, F1 {one.f1:.2f}, {safe_line(asked.article, 60)}\n"
            f"  question: {safe_line(asked.question, 300)}\n"
            f"  given:    {safe_line(asked.prediction, 300) or '(none)'}\n"
            f"  right:    {safe_line(golds, 300)}"
        )
        if passages:
            pieces = passage_pieces(asked.passage, ascii_only=ascii_only)
            blocks[-1] += f"\n  passage:  {''.join(text for text, _ in pieces)}"
    return "\n".join(blocks)


NO_PASSAGE = "no passage was recorded"


def passage_legend(*, ascii_only: bool) -> str:
    """What the marks in a passage mean."""
    given = MARKS[ascii_only]
    return f"[right], {given[0]}given{given[1]}"


def passage_pieces(passage: Passage | None, *, ascii_only: bool) -> list[tuple[str, PieceKind]]:
    """The passage in pieces with their kinds, made harmless; the marks are in the text, for eyes without colour."""
    if passage is None:
        return [(NO_PASSAGE, "")]
    opening, closing = MARKS[ascii_only]
    # At one place closing marks come before opening ones, and the given answer stands inside of the right one.
    marks = [(end, 1, "]") for _, end in passage.golds] + [(begin, 2, "[") for begin, _ in passage.golds]
    if passage.given is not None:
        marks += [(passage.given[0], 3, opening), (passage.given[1], 0, closing)]
    pieces: list[tuple[str, PieceKind]] = []
    at = 0
    for place, _, mark in sorted(marks):
        pieces += [(_harmless(passage.text[at:place]), _kind(passage, at)), (mark, "mark")]
        at = place
    pieces.append((_harmless(passage.text[at:]), _kind(passage, at)))
    if passage.places > 1:
        pieces.append(
            (f" (given: the first of {passage.places} possible places; the actual one was not recorded)", "mark")
        )
    return [piece for piece in pieces if piece[0]]


def _harmless(text: str) -> str:
    return _SPACES.sub(" ", safe(text, LONGEST_PASSAGE))


def _kind(passage: Passage, at: int) -> PieceKind:
    if any(begin <= at < end for begin, end in passage.golds):
        return "right"
    return "given" if passage.given is not None and passage.given[0] <= at < passage.given[1] else ""


def confusion_text(found: Confusion, page: Page) -> str:
    """The confusion table with precision and recall of every class."""
    labels = [safe_line(label, 30) for label in found.labels]
    rows = []
    for label, counts, one in zip(labels, found.counts, found.classes, strict=True):
        scores = [_percent(one.precision), _percent(one.recall), _percent(one.f1)]
        rows.append([label, *(f"{count:,}" for count in counts), f"{one.total:,}", *scores])
    titles = ["is \\ given", *labels, "texts", "precision", "recall", "F1"]
    table = text_table(titles, rows, right=titles[1:], width=page.width)
    return f"{len(found.texts):,} texts of the validation split, {found.accuracy:.2f} % right\n\n{table}"


def _percent(value: float | None) -> str:
    return fmt.NONE if value is None else f"{value:.2f}"


def texts_text(texts: Iterable[Classified]) -> str:
    """Texts with the class that was given and the right one."""
    return "\n".join(
        f"is {safe_line(one.label, 30)}, given {safe_line(one.prediction, 30)}: {safe_line(one.text, 300)}"
        for one in texts
    )
