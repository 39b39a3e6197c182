"""The price of a frontier: hypervolume on the report split against CPU seconds of workers, preparation counted.

    python benchmarks/frontier_price.py SEPARATE.toml SHARED.toml -w WORKSPACE [--seeds 0,1,2] [--trials 40]
        [--reference 75] [--at 5,10,20,40] [--variants separate,screened] [--only-read] [--picture FILE.svg]

Three variants of one search: `separate`, the first study file; `inherited`, the second one with a supernet and
`screen = 0`; `screened`, the same with its screening. Each is run with every seed (of sampler, settings and supernet),
unless the workspace has that study already; `--only-read` runs nothing. Then the trials that were on the frontier of
the validation split after each number of trials are scored on the report split, as `engine ladder --verify` does, and a
Markdown table is printed: the area over score above `--reference` and the logarithm of parameters up to the teacher's,
of the frontier chosen on the validation split and scored on the report split. A second table says after how many CPU
seconds the mean over the seeds reaches shares of what `separate` ends with, for good; `--picture` draws these means.

CPU seconds are those of the workers (attempts of preparation and trials), as the shim recorded them. Every study has a
workspace of its own, because what one found in the caches of another would be free. The teacher's training is in all of
them if the study files ask for one.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertdistill.app.draw.curves import Curve as Line
from bertdistill.app.draw.svg_charts import curves_svg
from bertdistill.engine.analysis.ladder_evidence import read_known, scorable
from bertdistill.engine.analysis.report_cache import read_scores
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import non_dominated
from bertdistill.engine.steering.report_scores import score_on_report
from bertdistill.engine.study.config import load_study, study_from_dict, to_toml
from bertdistill.engine.study.student import teacher_known
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Study, TrialState

VARIANTS = ("separate", "inherited", "screened")
SHARES = (0.9, 0.95, 0.98, 1.0)
"""Of the hypervolume that `separate` ends with."""


@dataclass(frozen=True)
class Step:
    """A complete trial, in the order in which they ended."""

    number: int
    params: float
    score: float
    """On the validation split."""
    cpu_seconds: float
    """Of workers until it ended, preparation included."""


@dataclass(frozen=True)
class Curve:
    """One study: its trials, and the scores of the frontiers that it had, on the report split."""

    steps: Sequence[Step]
    reported: Mapping[int, float]
    preparation: float
    largest: float
    """Parameters of the teacher."""

    def front(self, count: int) -> list[Step]:
        """What is on the frontier of the validation split after so many trials."""
        some = list(self.steps[:count])
        kept = non_dominated([(one.params, -one.score) for one in some])
        return [one for one, on in zip(some, kept, strict=True) if on]

    def volume(self, count: int, reference: float, *, report: bool) -> float | None:
        """Score above the reference times log10 of parameters up to the teacher's; None if a trial that was on the
        frontier then cannot be scored on the report split, because its checkpoint was pruned."""
        front = self.front(count)
        if report and any(one.number not in self.reported for one in front):
            return None
        scored = [(one.params, self.reported[one.number] if report else one.score) for one in front]
        return area(scored, reference, self.largest)

    def volumes(self, reference: float) -> list[float | None]:
        """On the report split, after each trial."""
        return [self.volume(count, reference, report=True) for count in range(1, len(self.steps) + 1)]


def area(points: Sequence[tuple[float, float]], reference: float, largest: float) -> float:
    """What points of (parameters, score) dominate, in points of score times log10 of parameters."""
    total, best = 0.0, reference
    for params, score in sorted(points):
        if score > best and params < largest:
            total += (score - best) * (math.log10(largest) - math.log10(params))
            best = score
    return total


def main() -> int:
    asked = arguments()
    root = Path(asked.workspace)
    if not asked.only_read:
        for seed in asked.seeds:
            for name in asked.variants:
                run(name, seed, asked, root / study_name(name, seed))
    names = {variant: [study_name(variant, seed) for seed in asked.seeds] for variant in asked.variants}
    found = {variant: [curve(root / name, name) for name in some] for variant, some in names.items()}
    print(table(found, asked.at, asked.reference))
    means = {variant: mean_curve(curves, asked.reference) for variant, curves in found.items()}
    print(f"\n{reached(means)}")
    if asked.picture:
        asked.picture.write_text(drawn(means, asked.reference), encoding="utf-8")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("separate", type=Path)
    parser.add_argument("shared", type=Path)
    parser.add_argument("-w", "--workspace", required=True)
    parser.add_argument("--seeds", type=_numbers, default=[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--variants", type=lambda text: text.split(","), default=list(VARIANTS))
    parser.add_argument("--reference", type=float, default=75.0)
    parser.add_argument("--at", type=_numbers, default=[5, 10, 20, 40])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every study")
    parser.add_argument("--only-read", action="store_true")
    parser.add_argument("--picture", type=Path, help="write the curves to this SVG file")
    return parser.parse_args()


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


def study_name(variant: str, seed: int) -> str:
    return f"{variant}-{seed}"


def run(variant: str, seed: int, asked: argparse.Namespace, workspace: Path) -> None:
    """Run one study to its end, if the workspace does not have it."""
    if any(found.name == study_name(variant, seed) for found in _studies(workspace)):
        print(f"{study_name(variant, seed)}: read from {workspace}", file=sys.stderr)
        return
    changes = [f"name={study_name(variant, seed)}", f"sampler.seed={seed}", f"settings.seed={42 + seed}"]
    changes += [f"budget.trials={asked.trials}", *asked.set]
    if variant != "separate":
        changes += [f"supernet.seed={42 + seed}", *(["supernet.screen=0"] if variant == "inherited" else [])]
    spec = load_study(asked.separate if variant == "separate" else asked.shared, changes)
    workspace.mkdir(parents=True, exist_ok=True)
    file = workspace / f"{spec.name}.toml"
    file.write_text(to_toml(spec), encoding="utf-8")
    command = [sys.executable, "-m", "bertdistill.engine", "run", str(file), "-w", str(workspace)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _studies(workspace: Path) -> list[Study]:
    if not Workspace(workspace).database.exists():
        return []
    db = open_db(workspace, read_only=True)
    with db.read() as session:
        found = list(reads.studies(session))
    db.close()
    return found


def curve(folder: Path, name: str) -> Curve:
    """A finished study, with its frontiers scored on the report split."""
    workspace = Workspace(folder)
    db = open_db(folder, read_only=True)
    with db.read() as session:
        study = reads.study(session, name)
        spec = study_from_dict(study.spec, where=name)
        trials = [one for one in reads.trials(session, study.id) if one.state == TrialState.COMPLETE]
        attempts = reads.attempts(session, study_id=study.id)
    db.close()
    cpu = {one.id: cpu_seconds(folder / one.folder) for one in attempts}
    preparation = sum(cpu[one.id] for one in attempts if one.trial_id is None)
    score = TASKS[spec.task].scores[0]
    steps, spent = list[Step](), preparation
    for trial in sorted(trials, key=lambda one: one.finished_at or 0.0):
        spent += sum(cpu[one.id] for one in attempts if one.trial_id == trial.id)
        steps.append(Step(trial.number, float(trial.known["params"]), float(trial.metrics[score]), spent))
    facts = Prepared.from_dict(study.prepared)
    largest = teacher_known(facts, TASKS[spec.task])["params"]
    bare = Curve(steps, {}, preparation, largest)
    wanted = sorted({one.number for count in range(1, len(steps) + 1) for one in bare.front(count)})
    score_on_report(workspace, name, wanted, say=lambda text: print(text, file=sys.stderr))
    models = scorable(workspace, read_known(workspace, name, wanted), spec, facts)
    stored = {number: read_scores(workspace.caches, models[number].key) for number in wanted if number in models}
    return Curve(steps, {n: one.scores[score] for n, one in stored.items() if one is not None}, preparation, largest)


def cpu_seconds(run_folder: Path) -> float:
    """CPU time of the worker of an attempt, as its shim wrote it, or else its wall time; 0 if it wrote nothing."""
    try:
        found = json.loads((run_folder / "exit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0.0
    if not found.get("cpu_seconds"):
        print(f"note: {run_folder}: no CPU time was recorded; its wall time counts instead", file=sys.stderr)
    return float(found.get("cpu_seconds") or found.get("seconds") or 0.0)


def table(found: Mapping[str, Sequence[Curve]], counts: Sequence[int], reference: float) -> str:
    """Markdown: a row for each variant and number of trials, means over the seeds with their standard deviation."""
    lines = [
        "| variant | trials | CPU s of workers | of these prepared | HV validation | HV report |",
        "|---|---|---|---|---|---|",
    ]
    for name, curves in found.items():
        for count in counts:
            some = [one for one in curves if len(one.steps) >= count]
            if some:
                cells = [
                    spread([one.steps[count - 1].cpu_seconds for one in some], 0),
                    spread([one.preparation for one in some], 0),
                    spread([one.volume(count, reference, report=False) for one in some], 3),
                    spread([one.volume(count, reference, report=True) for one in some], 3),
                ]
                lines.append(f"| {name} | {count} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_curve(curves: Sequence[Curve], reference: float) -> list[tuple[float, float]]:
    """(CPU seconds, hypervolume on the report split), the mean over the seeds after each trial of any of them.

    It begins when every seed has a known value and ends with the first seed that ends.
    """
    runs = [_known([step.cpu_seconds for step in one.steps], one.volumes(reference)) for one in curves if one.steps]
    first, last = max(ends[0] for ends, _ in runs), min(ends[-1] for ends, _ in runs)
    moments = sorted({moment for ends, _ in runs for moment in ends if first <= moment <= last})
    return [(at, statistics.fmean(found[bisect_right(ends, at) - 1] for ends, found in runs)) for at in moments]


def _known(ends: Sequence[float], found: Sequence[float | None]) -> tuple[list[float], list[float]]:
    """From the first trial on after which every value is known."""
    start = max((place + 1 for place, one in enumerate(found) if one is None), default=0)
    return list(ends[start:]), [one for one in found[start:] if one is not None]


def reached(means: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Markdown: the CPU seconds after which each variant stays at a share of what the first one ends with."""
    names = list(means)
    base = means[names[0]]
    lines = [f"| share of {base[-1][1]:.3f} | {' | '.join(names)} |", "|---|" + "---|" * len(names)]
    for share in SHARES:
        cells = [_seconds(settled(means[name], share * base[-1][1])) for name in names]
        lines.append(f"| {share:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def settled(pairs: Sequence[tuple[float, float]], value: float) -> float | None:
    """From when on the second stays at least `value`; None if it ends below."""
    since = None
    for at, found in pairs:
        since = None if found < value else since if since is not None else at
    return since


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:,.0f} s"


def drawn(means: Mapping[str, Sequence[tuple[float, float]]], reference: float) -> str:
    """An SVG picture of the means."""
    lines = [Line(name, [at for at, _ in pairs], [found for _, found in pairs]) for name, pairs in means.items()]
    title = f"Hypervolume above {reference:g} on the report split"
    return curves_svg(lines, "CPU seconds of workers", title, title=title)


def spread(values: Sequence[float | None], digits: int) -> str:
    """The mean, with the standard deviation of several; `–` unless all are known."""
    known = [one for one in values if one is not None]
    if len(known) < len(values):
        return "–"
    mean = f"{statistics.fmean(known):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):,.{digits}f}" if len(known) > 1 else mean


if __name__ == "__main__":
    sys.exit(main())
