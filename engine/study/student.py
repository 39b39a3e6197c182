"""From a parameter set to a student: its complete settings, and what is known about it before training.

Pure: it starts nothing and reads no database.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Hashable, Mapping
from typing import Any

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import RANDOM, SCRATCH, PretrainSpec, Settings, TransferSpec
from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.encoder_sizes import BYTES_PER_WEIGHT
from bertdistill.engine.families.family import Family, Student
from bertdistill.engine.families.phases import PRETRAIN_EPOCHS
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.families.table import FAMILIES, cuts_vocabulary, pretrained, unused, weights_of
from bertdistill.engine.families.tiny import ROWS
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.planned import Planned, plan_program
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.space import Space, active, resolve
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import METRICS, TASKS
from bertdistill.engine.tasks.task import Task

RANGE_POINTS = 7
"""Into so many parts a range of sizes is divided where the lengths of texts are counted."""


def plan(spec: StudySpec, facts: Prepared, params: Mapping[str, Any]) -> Planned:
    """Complete a parameter set; raises ConfigError if no student can be built from it."""
    if spec.program is not None:
        return plan_program(spec, params)
    settings = resolve(spec.search, params, spec.fixed)
    return Planned(dict(active(spec.search, params, spec.fixed)), dict(vars(settings)), known(spec, facts, settings))


def plan_baseline(spec: StudySpec, facts: Prepared) -> Planned:
    """Trial 0: the fixed settings overridden by `[baseline]`."""
    if spec.program is not None:
        return plan_program(spec, spec.baseline or {})
    settings = spec.fixed.baseline(spec.baseline or {})
    return Planned(params_of(spec.search, settings), dict(vars(settings)), known(spec, facts, settings))


def params_of(space: Space, settings: Settings) -> dict[str, Any]:
    """The searched parameters that have an effect in a trial with these settings."""
    params = {parameter.name: getattr(settings, parameter.key) for parameter in space}
    return dict(active(space, params, Fixed(settings)))


def known(spec: StudySpec, facts: Prepared, settings: Settings) -> dict[str, float]:
    """Size and cost that follow from the settings and the facts of the preparation."""
    family, task = FAMILIES[settings.family], TASKS[spec.task]
    student = planned_student(spec, facts, settings)
    found = family.known(student, task, facts) | _stored(family.contents(student, task, facts), settings, facts, task)
    found.setdefault("gflops_cached", found["gflops"])  # most families compute nothing of a passage on its own
    return found


def _stored(contents: Contents, settings: Settings, facts: Prepared, task: Task) -> dict[str, float]:
    size, teacher = contents.bytes(weights_of(settings)), teacher_known(facts, task).get("bytes")
    return {"bytes": size} | ({"compression": teacher / size} if teacher else {})


def teacher_known(facts: Prepared, task: Task) -> dict[str, float]:
    """Size and cost of the teacher, counted as for students; empty before the preparation or if it is a file.

    Those of an ensemble are sums, as far as they are known of each model: all of them answer every text.
    """
    first = [facts] if facts.teacher_shape else []
    others = [
        dataclasses.replace(facts, teacher_shape=one.shape, teacher_params=one.params, mean_length=one.mean_length)
        for one in facts.ensemble
    ]
    found = [_model_known(one, task) for one in (*first, *others)]
    common = [name for name in (found or [{}])[0] if all(name in one for one in found)]
    known = {name: math.fsum(one[name] for one in found) for name in common}
    return known | {"compression": 1.0} if "bytes" in known else known


def _model_known(facts: Prepared, task: Task) -> dict[str, float]:
    """A student that keeps everything is as large as its teacher."""
    kept = dataclasses.replace(facts, init_shape=facts.teacher_shape)
    family: Family = BOTTLENECK if kept.init_shape.get("bottleneck") else TRANSFORMER
    try:
        found = family.known(family.plan(kept, Settings(), scratch=False), task, facts)
    except ConfigError:  # an architecture whose costs are not computed
        found = {"params": float(facts.teacher_params)} if facts.teacher_params else {}
    size = found.get("params", 0) * BYTES_PER_WEIGHT
    return found | {"size_mb": size / 1e6, "bytes": size} if size else {}


def planned_student(spec: StudySpec, facts: Prepared, settings: Settings) -> Student:
    """The student for these settings; ConfigError if it cannot be built or does not support the task."""
    family, task = FAMILIES[settings.family], TASKS[spec.task]
    if not family.fits(task):
        raise ConfigError(f"the family {family.name} does not support {task.name}", hint="Use another family.")
    missing = terms.signals(settings) - {terms.LOGITS, *facts.signals}
    if missing and facts.features:
        raise ConfigError(
            f"the preparation of this study did not cache the teacher's {', '.join(sorted(missing))}",
            hint="Start a new study that fixes or searches these settings from the beginning.",
        )
    if facts.features and not facts.teacher_folder and (found := terms.with_network(settings)):
        raise ConfigError(
            f"settings.{found[0].key} needs a teacher model in every step of training, and this study has none",
            hint=f"Set {found[0].key} = 0.",
        )
    if terms.transfer_share(settings) and facts.features and not facts.transfer_features:
        raise ConfigError(
            "transfer_share is above 0, but the preparation of this study made no transfer set",
            hint="Start a new study that fixes or searches transfer_share from the beginning.",
        )
    if facts.features and not facts.corpus.folder and pretrained(settings):
        raise ConfigError(
            "pretrain_epochs is above 0, but the preparation of this study collected no texts for it",
            hint="Start a new study that fixes or searches pretrain_epochs from the beginning.",
        )
    return family.plan(facts, settings, scratch=spec.student.init == SCRATCH)


def effect(spec: StudySpec, facts: Prepared, settings: Settings) -> Hashable:
    """Everything that affects training: settings of equal effect give the same student and the same score.

    Raises ConfigError if no student can be built from them.
    """
    student = planned_student(spec, facts, settings)
    names = _effective(settings, student)
    return student, tuple((name, value) for name, value in vars(settings).items() if name in names)


def effective(spec: StudySpec, facts: Prepared, settings: Settings) -> frozenset[str]:
    """The settings that affect training; those of equal `effect` agree in all of them. Raises as `effect` does."""
    return _effective(settings, planned_student(spec, facts, settings))


def _effective(settings: Settings, student: Student) -> frozenset[str]:
    return frozenset(vars(settings)) - FAMILIES[settings.family].idle(settings, student) - unused(settings)


def wanted_terms(spec: StudySpec) -> list[terms.Term]:
    """The terms of the loss that count in any trial of the study."""
    families = set(possible(spec, "family"))
    fitting = [term for term in terms.TERMS.values() if not term.families or term.families & families]
    return [term for term in fitting if any(term.weight(value) != 0 for value in possible(spec, term.key))]


def wanted_signals(spec: StudySpec) -> list[str]:
    """The teacher signals that any trial of the study may need; the preparation caches them."""
    return sorted({terms.LOGITS}.union(*(term.needs for term in wanted_terms(spec))))


def wanted_transfer(spec: StudySpec) -> list[TransferSpec]:
    """The transfer sets, if any trial of the study may draw from them; the preparation makes them."""
    read = any(possible(spec, "transfer_share")) or any(one.kind == "transfer" for one in wanted_pretrain(spec))
    return list(spec.transfer) if read else []


def wanted_pretrain(spec: StudySpec) -> list[PretrainSpec]:
    """Texts for pre-training, if any trial of the study may be pre-trained; the preparation collects them."""
    families = [name for name in possible(spec, "family") if PRETRAIN_EPOCHS in FAMILIES[name].settings]
    if not any(any(of_family(spec, PRETRAIN_EPOCHS, name)) for name in families):
        return []
    return list(spec.pretrain) or [PretrainSpec("train")]


def wanted_families(spec: StudySpec) -> list[str]:
    """The families of proposed trials and of the baseline, if there is one."""
    baseline = [] if spec.baseline is None else [spec.fixed.baseline(spec.baseline).family]
    return sorted({*proposed(spec, "family"), *baseline})


def wanted_units(spec: StudySpec) -> list[str]:
    """Units other than the teacher's that any trial of the study may read; the preparation tokenises for each."""
    return sorted(_units(spec, "units") - {""})


def wanted_vocabularies(spec: StudySpec) -> dict[str, list[int]]:
    """By where its pieces come from, the sizes of vocabularies that encoders may have; of a range some points."""
    kinds, sizes = set[str](), set[int]()
    for family in filter(cuts_vocabulary, dict.fromkeys(possible(spec, "family"))):
        if own := _vocabulary_sizes(spec, family):
            sizes |= own
            kinds |= {*of_family(spec, "vocabulary", family)}
    return dict.fromkeys(sorted(kinds), sorted(sizes))


def _vocabulary_sizes(spec: StudySpec, family: str) -> set[int]:
    sizes = {int(size) for size in of_family(spec, "vocab_size", family) if size}
    searched = next((one for one in spec.search if one.key == "vocab_size" and one.applies(family)), None)
    if searched is not None and searched.kind != "choice" and searched.low:
        ratio = (searched.high or searched.low) / searched.low
        sizes |= {round(searched.low * ratio ** (step / RANGE_POINTS)) for step in range(RANGE_POINTS + 1)}
    return sizes


def of_family(spec: StudySpec, key: str, family: str) -> list[Any]:
    """Values that a setting can take in trials of a family; for a range, its ends."""
    base = spec.fixed.baseline(spec.baseline or {})
    found = [getattr(base, key)] if base.family == family else []
    searched = [one for one in spec.search if one.key == key and one.applies(family)]
    for one in searched:
        found += one.choices or (one.low, one.high)
    found += [own[key] for own in spec.recipes.values() if key in own and own.get("family", family) == family]
    always = any(not (one.when or one.recipes) for one in searched)
    return found if always else [*found, spec.fixed.value(key, family)]


def wanted_ngrams(spec: StudySpec) -> dict[str, int]:
    """By the name of units, the longest n-grams of them that any trial may ask for; the preparation counts them."""
    return dict.fromkeys(sorted(_units(spec, "ngrams")), max(possible(spec, "ngrams")))


def _units(spec: StudySpec, key: str) -> set[str]:
    """Names of the units that any trial of a family with this setting may read; "" are the teacher's."""
    families = [name for name in possible(spec, "family") if key in FAMILIES[name].settings]
    return {
        FAMILIES[family].units(Prepared(), dataclasses.replace(spec.settings, family=family, units=units))
        for family in families
        for units in possible(spec, "units")
    }


def wanted_vectors(spec: StudySpec) -> dict[str, int]:
    """The embeddings of the teacher that any trial may start from, and of how many units at most."""
    if not any("embedding_init" in FAMILIES[name].settings for name in possible(spec, "family")):
        return {}
    most = max(size or ROWS for size in possible(spec, "vocab_size"))
    return dict.fromkeys(sorted({*possible(spec, "embedding_init")} - {RANDOM}), most)


def possible(spec: StudySpec, key: str) -> list[Any]:
    """Values that a setting can take in trials of the study; for a range, its ends."""
    baseline = getattr(spec.fixed.baseline(spec.baseline or {}), key)
    return [getattr(spec.settings, key), baseline, *proposed(spec, key)]


def proposed(spec: StudySpec, key: str) -> list[Any]:
    """Values that a setting can take in proposed trials, of any family; for a range, its ends."""
    found = [value for one in spec.search if one.key == key for value in one.choices or (one.low, one.high)]
    found += [table[key] for table in (*spec.family_settings.values(), *spec.recipes.values()) if key in table]
    return found if any(one.name == key for one in spec.search) else [getattr(spec.settings, key), *found]


def measured(spec: StudySpec) -> list[str]:
    """Metrics that the worker must measure at the end, besides scores and those known before training."""
    names = [*(objective.metric for objective in spec.objectives), *spec.metrics.stored]
    wanted = [name for name in names if name not in TASKS[spec.task].scores and not METRICS[name].known_before]
    return list(dict.fromkeys(wanted))


def prunes_by_importance(spec: StudySpec) -> bool:
    """Whether any trial of the study may choose heads by importance."""
    return "importance" in possible(spec, "head_choice") and any(possible(spec, "heads"))


def may_cut(spec: StudySpec, key: str) -> bool:
    """Whether any student of the study may be cut from a model and get a size by this key that is not the model's."""
    cut = TRANSFORMER.name
    baseline = None if spec.baseline is None else spec.fixed.baseline(spec.baseline)
    values = [spec.fixed.value(key, cut)] if cut in proposed(spec, "family") else []
    values += [getattr(baseline, key)] if baseline is not None and baseline.family == cut else []
    for one in spec.search:
        values += (one.choices or (one.low, one.high)) if one.key == key and one.applies(cut) else ()
    values += [own[key] for own in spec.recipes.values() if key in own and own.get("family", cut) == cut]
    return spec.student.init != SCRATCH and any(values)
