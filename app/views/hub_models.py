"""Models that a study names by their hub id: is a copy on this machine, and can the hub be asked for one now?

It downloads no weights: of a model that is not here yet only the config.json is fetched, for the sizes of its students.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bertdistill.app.text.safe import safe_line
from bertdistill.engine.contract.spec import SCRATCH, SUPERNET
from bertdistill.engine.launch.machines import LOCAL
from bertdistill.engine.study.study_spec import StudySpec

HUB_SECONDS = 5.0
OFFLINE = "HF_HUB_OFFLINE is set"
REMEDY = "Give the folder of a saved model, or download it once where there is a network"
WORDS = ("", SCRATCH, SUPERNET, "teacher")
"""What stands in place of a model."""


@dataclass(frozen=True)
class HubModel:
    """One model; `problem` is why it cannot be downloaded now, empty if it can, or if it is `cached`: on this machine
    with its weights."""

    key: str
    model: str
    cached: bool
    problem: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"key": self.key, "model": self.model, "cached": self.cached, "problem": self.problem}


def hub_models(spec: StudySpec) -> list[HubModel]:
    """Every model that the preparation takes from the hub's cache or the hub, each once."""
    found: dict[tuple[str, str], HubModel] = {}
    for key, model, revision in _named(spec):
        if model not in WORDS and not Path(model).is_absolute() and (model, revision) not in found:
            cached = _is_cached(model, revision)
            found[model, revision] = HubModel(key, model, cached, "" if cached else unreachable())
    return list(found.values())


def out_of_reach(spec: StudySpec, models: list[HubModel]) -> list[str]:
    """A sentence for each model that a preparation on this machine cannot get, whatever the network does."""
    if spec.runner.prepare_on != LOCAL:
        return []
    return [
        f"{one.key} = {one.model!r} is not in the cache of this machine, and {OFFLINE}: it cannot be downloaded. "
        f"{REMEDY}, or unset HF_HUB_OFFLINE."
        for one in models
        if one.problem == OFFLINE
    ]


def model_words(one: Mapping[str, Any]) -> str:
    """Where one of the `models` of a plan comes from."""
    name = safe_line(one["model"], 100)
    if one["cached"]:
        return f"{name}, downloaded before"
    if one["problem"]:
        reason = safe_line(one["problem"].partition(": ")[0], 200)
        return f"{name}: not on this machine, and cannot be downloaded now ({reason}). {REMEDY}."
    return f"{name}, downloaded when the study starts"


def hub_file(model: str, name: str, revision: str, say: Callable[[str], None]) -> Path | None:
    """A small file out of the hub's cache, else from the hub; a single attempt, because a plan works without it."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    problem = ""
    try:
        cached = try_to_load_from_cache(model, name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
        problem = unreachable()
        if not problem:
            return Path(hf_hub_download(model, name, revision=revision or None))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        problem = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    say(f"warning: {name} of {model} cannot be downloaded from the hub, so sizes are unknown: {problem}")
    return None


def unreachable() -> str:
    """Why the hub cannot be asked, empty when it can."""
    from huggingface_hub import constants

    return OFFLINE if constants.HF_HUB_OFFLINE else _no_answer(constants.ENDPOINT)


@lru_cache(maxsize=1)
def _no_answer(endpoint: str) -> str:
    """Asked once, and not by the hub's own client, which would retry for half a minute."""
    from huggingface_hub import get_session

    try:
        get_session().head(endpoint, timeout=HUB_SECONDS)
    except Exception as error:  # noqa: BLE001 - which client the hub uses, and its errors, change with its version
        return f"{endpoint} does not respond: {error}"
    return ""


def _named(spec: StudySpec) -> Iterator[tuple[str, str, str]]:
    """Key, model and revision of everything that the preparation resolves."""
    yield "teacher.model", spec.teacher.model, spec.teacher.revision
    for n, member in enumerate(spec.teacher.ensemble):
        yield f"teacher.ensemble.{n}.model", member.model, member.revision
    yield "student.init", spec.student.init, spec.student.revision
    for n, table in enumerate(spec.transfer):
        yield f"transfer.{n}.model", table.model, table.revision


def _is_cached(model: str, revision: str) -> bool:
    """Whether a download has left weights that are read; without a network those are all that there is."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(model, "config.json", revision=revision or None)
    except HFValidationError:
        return False
    return isinstance(config, str) and any(Path(config).parent.glob("*.safetensors"))
