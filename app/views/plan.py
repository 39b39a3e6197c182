"""What a study would cost, before anything starts. It trains nothing, loads no weights and reads no database.

Sizes are exact arithmetic on a model's config.json; steps, tokens and disk are estimates and are printed as such.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import pairs
from bertdistill.app.views.amounts import Amounts, estimate, from_preparation, with_transfer
from bertdistill.app.views.disk_plan import caches_words, disk_bytes, room_words, sent_words
from bertdistill.app.views.hub_models import hub_file, hub_models, model_words, out_of_reach
from bertdistill.app.views.inputs import Inputs, read_inputs
from bertdistill.app.views.plan_memory import main_memory, memory_text
from bertdistill.app.views.plan_sizes import student_sizes
from bertdistill.app.views.plan_time import time_text
from bertdistill.app.views.pretrain_plan import pretraining, pretraining_words
from bertdistill.app.views.program_inputs import program_facts, program_notes, program_plan
from bertdistill.app.views.step_plan import layer_stages, stage_words, step_words, teacher_in_step
from bertdistill.app.views.supernet_plan import supernet_cost, supernet_words
from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SCRATCH, SUPERNET, DataSpec, Settings, TeacherSpec
from bertdistill.engine.contract.terms import CLS, DUAL, PATENTS, PROJECTION, transfer_rows, transfer_share
from bertdistill.engine.families import sparsity
from bertdistill.engine.families.encoder_plan import COMPARABLE, Shape, bert_shape
from bertdistill.engine.families.folders import check_config
from bertdistill.engine.families.layer_pairs import states_bytes
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.launch.machines import LOCAL
from bertdistill.engine.pareto.frontier import optimised
from bertdistill.engine.study import space
from bertdistill.engine.study.config import to_toml
from bertdistill.engine.study.student import (
    possible,
    proposed,
    wanted_families,
    wanted_signals,
    wanted_terms,
    wanted_vocabularies,
)
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import TASKS

STEP_KEYS = ("batch_size", "accumulation", "epochs", "finetune_epochs", "transfer_share")
USES = {"text": "text", "pair": "second text", "label": "label"}
UNTIMED = "known once the first trial has ended: none on this data was measured here before"
WALL_TIMES = ("latency_ms", "latency_p95_ms")


def make_plan(spec: StudySpec, *, say: Callable[[str], None], facts: Prepared | None = None) -> dict[str, Any]:
    """Everything that can be known now; unknown parts are null. `say` receives the reasons why something is unknown.

    `facts` are those of an earlier preparation of the same data, see `amounts.prepared_before`.
    """
    inputs = read_inputs(spec)
    if spec.program is not None:
        for note in program_notes(spec):
            say(note)
        return program_plan(spec)
    models = hub_models(spec)
    if problems := out_of_reach(spec, models):
        raise ConfigError("\n".join(problems))
    for notice in inputs.notices:
        say(f"warning: {notice}")
    if TASKS[spec.task].spans and wanted_vocabularies(spec):
        say(
            "note: in a smaller vocabulary the teacher's windows can get longer than data.max_length and lose their "
            "ends; the log of each trial counts the answers that are lost"
        )
    if patented := [term.key for term in wanted_terms(spec) if term.name in (PROJECTION, DUAL)]:
        say(f"note: {' and '.join(patented)}: {PATENTS}; see docs/decisions/033-dual-training.md")
    amounts = _amounts(spec, facts, inputs, say)
    examples, windows = (amounts.examples, amounts.windows) if amounts else (None, None)
    shape = _init_shape(spec, say)
    labels = len(spec.data.labels) or len(inputs.labels) or 2
    if not TASKS[spec.task].spans and not (spec.data.labels or inputs.labels):
        say("note: two labels are assumed; list data.labels to make the sizes exact")
    if any(objective.metric in WALL_TIMES for objective in optimised(spec.objectives)):
        say("note: this study optimises wall time, which other work on the machine increases; use latency_ratio")
    families = list(dict.fromkeys(possible(spec, "family")))
    counted = [name for name in families if "units" in FAMILIES[name].settings]
    counted += [TRANSFORMER.name] * bool(wanted_vocabularies(spec))
    if counted:
        say(
            f"note: sizes of {', '.join(counted)} are upper limits until the preparation has counted pieces, words and "
            "n-grams"
        )
    baseline = _baseline(spec)
    sizes: dict[str, Any] = {"baseline": None, "smallest": None, "largest": None, "refused": 0, "students": 0}
    teacher = _teacher_shape(spec, shape, say)
    gflops: list[float] = []
    trained = 0
    if shape is not None:
        of_students, gflops, trained = student_sizes(spec, shape, teacher, baseline, labels)
        sizes |= of_students
    return {
        "study": spec.name,
        "task": spec.task,
        "trials": spec.budget.trials,
        "distinct": space.count(spec.search, spec.fixed),
        "train_examples": examples,
        "train_windows": windows,
        "columns": [{"name": c.name, "use": c.use, "samples": list(c.samples)} for c in inputs.columns],
        "labels": list(inputs.labels),
        "models": [one.to_dict() for one in models],
        "transfer_rows": amounts.transfer if amounts else None,
        "windows_estimated": amounts is not None and not amounts.exact and TASKS[spec.task].spans,
        "steps": _steps_range(spec, baseline, windows),
        "sizes": sizes,
        "pretraining": pretraining(spec, inputs.pretrain, sizes["largest"] or sizes["baseline"]),
        "supernet": supernet_cost(spec, shape, windows, sizes["largest"] or sizes["baseline"]),
        "teacher_in_step": teacher_in_step(spec, teacher, gflops, labels),
        "layer_stages": layer_stages(spec),
        "disk_bytes": _disk(spec, amounts, sizes, trained, labels, teacher),
    }


def plan_text(spec: StudySpec, planned: Mapping[str, Any]) -> str:
    """The resolved study as TOML and then, as comments, what it would cost: the whole is a study file.

    The cost comes last, where a terminal still shows it.
    """
    head = pairs(plan_facts(spec, planned), indent="#   ")
    return f"{to_toml(spec).strip()}\n\n# study {spec.name}: valid. Nothing was started.\n{head}"


def _file_bytes(path: str) -> int:
    try:
        return Path(path).stat().st_size if path else 0
    except OSError:
        return 0


def plan_facts(spec: StudySpec, planned: Mapping[str, Any]) -> dict[str, str]:
    """What `make_plan` found, in words by name: trials, sizes, steps, disk, and each searched parameter."""
    if spec.program is not None:
        return program_facts(spec, planned)
    sizes, steps, disk = planned["sizes"], planned["steps"], planned["disk_bytes"]
    smallest, largest = sizes["smallest"], sizes["largest"]
    unknown = "unknown until the models and data can be read"
    facts = {
        "trials": f"{planned['trials']} in the budget, "
        + (
            "more different ones than can be counted"
            if planned["distinct"] is None
            else f"{planned['distinct']:,} different ones exist"
        ),
        "time": time_text(spec, planned["time"]) if planned.get("time") else UNTIMED,
        "hours": f"no new trial after {spec.budget.hours:g}" if spec.budget.hours else "no limit",
        "baseline": _baseline_text(spec, sizes) or unknown,
        "sizes": f"{fmt.exact(smallest)} to {fmt.exact(largest)} parameters" if smallest else unknown,
        **{one["key"]: model_words(one) for one in planned["models"]},
        "examples": unknown if planned["train_examples"] is None else _examples_text(planned),
        **_transfer_facts(spec, planned),
        "steps a trial": unknown if steps is None else _steps_text(steps),
        "caches": caches_words(disk, unknown),
        "checkpoints": f"at most {fmt.size(disk['checkpoints'])}" if disk["checkpoints"] is not None else unknown,
    }
    facts["checkpoints"] += room_words(planned.get("free_bytes"), spec.runner.min_free_gb)
    if far := [safe_line(name, 64) for name in spec.runner.machines if name != LOCAL]:
        shared = (planned["supernet"] or {}).get("bytes") or 0
        facts["sent to machines"] = sent_words(far, disk, _file_bytes(spec.data.train) + shared, unknown)
    for column in planned["columns"]:
        facts[f"column {safe_line(column['name'], 60)}"] = _column_text(column)
    if planned["labels"]:
        facts["labels"] = safe_line(", ".join(planned["labels"]), 300)
    if planned["pretraining"]:
        facts["pre-training"] = pretraining_words(planned["pretraining"], unknown)
    if planned["supernet"]:
        facts["supernet"] = supernet_words(planned["supernet"], planned.get("time"), unknown)
    if planned["teacher_in_step"]:
        facts["teacher in the step"] = step_words(planned["teacher_in_step"], unknown)
    if planned["layer_stages"]:
        facts["stages"] = stage_words(planned["layer_stages"])
    if planned.get("memory"):
        facts["memory"] = memory_text(spec, planned["memory"], main_memory(spec))
    if sizes["refused"]:
        facts["refused"] = f"{sizes['refused']} of {sizes['students']} architectures cannot be built and are skipped"
    for parameter in spec.search:
        facts[f"search {parameter.name}"] = space.describe(parameter)
    return facts


def _transfer_facts(spec: StudySpec, planned: Mapping[str, Any]) -> dict[str, str]:
    rows = planned["transfer_rows"]
    words = "known once they are read" if rows is None else f"about {rows:,} texts without labels"
    return {"transfer set": words} if spec.transfer else {}


def _examples_text(planned: Mapping[str, Any]) -> str:
    examples, windows = planned["train_examples"], planned["train_windows"]
    text = f"about {examples:,} to train on"
    if not TASKS[planned["task"]].spans:
        return text
    return f"{text}, in {'an estimated ' if planned['windows_estimated'] else ''}{windows:,} windows"


def _column_text(column: Mapping[str, Any]) -> str:
    """What a column is read as, and two of its cells."""
    samples = ", ".join(repr(safe_line(sample, 40)) for sample in column["samples"]) or "empty"
    return f"{USES.get(column['use'], 'not used')}: {samples}"


def _baseline_text(spec: StudySpec, sizes: Mapping[str, Any]) -> str:
    if spec.baseline is None:
        return "none: the file has no [baseline], whose settings trial 0 would have"
    exact = f"{fmt.exact(sizes['baseline'])} parameters" if sizes["baseline"] else ""
    return exact and f"{exact}; trial 0, which the others are compared with"


def _steps_text(steps: Mapping[str, int | None]) -> str:
    text = "" if steps["baseline"] is None else f"about {steps['baseline']:,} for the baseline, "
    least, most = f"{steps['least']:,}", f"{steps['most']:,}"
    return f"{text}{least} to {most} in the space" if least != most else text.removesuffix(", ") or f"about {least}"


# --------------------------------------------------------------------------------------------------------------- sizes


def _baseline(spec: StudySpec) -> Settings:
    """The settings of trial 0; without a [baseline] the fixed settings, which are not shown as a baseline."""
    return spec.fixed.baseline(spec.baseline or {})


def _init_shape(spec: StudySpec, say: Callable[[str], None]) -> Shape | None:
    """Shape of the model that students start from, or None after reporting the reason."""
    teacher, init = spec.teacher, spec.student.init
    model, revision = (
        (teacher.model or SCRATCH, teacher.revision)
        if init in ("teacher", SUPERNET, SCRATCH)
        else (init, spec.student.revision)
    )
    if model == SCRATCH:
        say("note: a vocabulary trained on the data may be smaller than teacher.vocab_size, and so may the sizes")
        return _scratch_teacher(teacher, spec.data)
    config = _config_json(model, revision, say)
    if config is None:
        return None
    try:
        check_config(config, model)
        cut = init != SCRATCH and TRANSFORMER.name in wanted_families(spec)
        if not cut and config["model_type"] not in COMPARABLE:
            say(f"note: the teacher is a {config['model_type']}; sizes of its students are known once it is prepared")
            return None
        shape = Shape.from_config(config)
        if cut:
            TRANSFORMER.plan(Prepared(init_shape=shape.to_dict()), Settings(), scratch=False)
        return shape
    except ConfigError as error:
        text = str(error) if str(error).startswith(model) else f"{model}: {error}"
        raise ConfigError(text, hint=error.hint) from error


def _scratch_teacher(teacher: TeacherSpec, data: DataSpec) -> Shape:
    return bert_shape(
        vocab_size=teacher.vocab_size,
        positions=max(512, data.max_length),
        hidden_size=teacher.hidden_size,
        ffn_size=teacher.ffn_size,
        layers=teacher.layers,
        head_size=teacher.head_size,
    )


def _config_json(model: str, revision: str, say: Callable[[str], None]) -> dict[str, Any] | None:
    folder = Path(model).expanduser()
    path = folder / "config.json" if folder.is_dir() else hub_file(model, "config.json", revision, say)
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read as JSON: {error}", hint="Give a folder that holds a saved model."
        ) from error
    return found if isinstance(found, dict) else None


# --------------------------------------------------------------------------------------------------------- steps, disk


def _amounts(spec: StudySpec, facts: Prepared | None, inputs: Inputs, say: Callable[[str], None]) -> Amounts | None:
    """What there is to train on; None when the data is on the hub and has not been read yet."""
    data = spec.data
    if facts is not None or inputs.lengths:
        found = from_preparation(facts) if facts is not None else estimate(data, inputs.lengths)
        return with_transfer(found, data, inputs.transfer)
    say(f"note: the number of examples in {data.hub} is known once they are loaded")
    return None


def _steps_range(spec: StudySpec, baseline: Settings, windows: int | None) -> dict[str, int | None] | None:
    if windows is None:
        return None

    def steps(batch: float, accumulation: float, epochs: float, tuning: float, share: float) -> int:
        labelled = batch - transfer_rows(int(batch), share)
        phases = [(epochs, labelled), *([(tuning, batch)] if tuning else [])]
        return sum(max(1, math.ceil(math.ceil(windows / rows) * n / accumulation)) for n, rows in phases)

    def of_baseline() -> int:
        fitted, share = baseline.family not in trained, transfer_share(baseline)
        read = (baseline.batch_size, baseline.accumulation, baseline.epochs, baseline.finetune_epochs, share)
        return 1 if fitted else steps(*read)

    batch, accumulation, epochs, tuning, shares = (list(map(float, proposed(spec, key))) for key in STEP_KEYS)
    families = set(possible(spec, "family"))
    trained = {name for name in families if set(STEP_KEYS) <= FAMILIES[name].settings}  # the others take one step
    return {
        "baseline": of_baseline() if spec.baseline is not None else None,
        "least": steps(max(batch), max(accumulation), min(epochs), min(tuning), min(shares))
        if families == trained
        else 1,
        "most": steps(min(batch), min(accumulation), max(epochs), max(tuning), max(shares)) if trained else 1,
    }


def _disk(
    spec: StudySpec,
    amounts: Amounts | None,
    sizes: Mapping[str, Any],
    trained: int,
    labels: int,
    teacher: Shape | None,
) -> dict[str, int | None]:
    return disk_bytes(
        tokens=amounts.tokens if amounts else None,
        examples=amounts.examples + (amounts.transfer or 0) if amounts else None,
        spans=TASKS[spec.task].spans,
        labels=labels,
        teacher_params=_teacher_params(spec, labels, teacher),
        student_params=trained or sizes["baseline"],
        trials=spec.budget.trials,
        slots=spec.runner.slots,
        states=_states_bytes(spec, amounts, teacher),
        pass_bytes=_pass_bytes(spec),
    )


def _states_bytes(spec: StudySpec, amounts: Amounts | None, teacher: Shape | None) -> int | None:
    """Size of the teacher's states; 0 where no trial can ask for them, None where it is unknown."""
    if CLS not in wanted_signals(spec):
        return 0
    if amounts is None or teacher is None:
        return None
    return states_bytes(amounts.windows, teacher.layers, teacher.hidden_size)


def _pass_bytes(spec: StudySpec) -> int:
    """What pruning keeps of a weight, at most, in any trial of the study."""
    methods = possible(spec, "pruning") if TRANSFORMER.name in possible(spec, "family") else []
    return max((sparsity.STATE_BYTES.get(method, 0) for method in methods), default=0)


def _teacher_shape(spec: StudySpec, init: Shape | None, say: Callable[[str], None]) -> Shape | None:
    """Shape of `teacher.model`; None where there is none, or where it is not needed, unreadable or of unknown sizes."""
    if not spec.teacher.model:
        return None
    if spec.student.init in ("teacher", SUPERNET, SCRATCH):
        return init
    if spec.teacher.fine_tune is None and not any(term.families for term in wanted_terms(spec)):
        return None
    if spec.teacher.model == SCRATCH:
        return _scratch_teacher(spec.teacher, spec.data)
    config = _config_json(spec.teacher.model, spec.teacher.revision, say)
    known = config is not None and config.get("model_type") in COMPARABLE
    return Shape.from_config(config) if config is not None and known else None


def _teacher_params(spec: StudySpec, labels: int, teacher: Shape | None) -> int | None:
    """Size of a teacher that is trained into a cache; 0 where one is used as it is, None where its size is unknown."""
    if spec.teacher.fine_tune is None or not spec.teacher.model:
        return 0
    if teacher is None:
        return None
    facts = Prepared(labels=("",) * labels, mean_length=float(spec.data.max_length), teacher_shape=teacher.to_dict())
    return int(teacher_sizes(facts, spec.task).get("params") or 0) or None
