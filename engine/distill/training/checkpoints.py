"""Write and read checkpoints so that a kill at any moment leaves the old or the new one, never a partial one.

Weights and optimiser state are stored as safetensors, the rest as JSON; nothing is pickled. It decides neither when to
save nor what is best.

A checkpoint is a folder `checkpoints/<role>-<step>` (with the suffix `-2` if that name is taken) holding
`model.safetensors`, `config.json`, `state.json` and, for the role `last`, `trainer.safetensors`; the link
`checkpoints/<role>` points to the newest and is replaced by one rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.folder import RunPaths, file_sha256, sync_files, sync_folder
from bertdistill.engine.distill.compression.passes import Pass

TRAINER = "trainer.safetensors"
HELPER = "helper."


@dataclass(frozen=True)
class Position:
    """The position of training: everything that determines the next batch and the remaining work."""

    step: int = 0
    """Optimiser steps done."""
    evaluations: int = 0
    best_score: float | None = None
    best_folder: str = ""
    """Absolute; may be in the folder of an earlier attempt."""
    best_metrics: dict[str, float] | None = None
    seconds: float = 0.0
    """Time spent training so far, over all attempts."""
    cpu_seconds: float = 0.0
    """CPU time of the worker in that time."""
    energy_wh: float | None = 0.0
    """Energy that the hardware has counted in that time; None where it cannot be read."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint on disk."""

    folder: Path
    sha256: str
    """Of `model.safetensors`: neither torch nor safetensors detects a flipped bit."""
    size_bytes: int


def save(
    paths: RunPaths,
    role: str,
    position: Position,
    write_model: Callable[[Path], None],
    *,
    optimizer: torch.optim.Optimizer | None = None,
    helpers: torch.nn.Module | None = None,
    passes: Sequence[Pass] = (),
    extra: Mapping[str, str | bytes] | None = None,
    keep: str = "",
) -> Saved:
    """Write one checkpoint and make it the current one of its role; older ones of that role are then removed.

    `write_model` writes config and weights into the given folder; `helpers` were trained beside the model and are kept
    with the optimiser, as is the state of `passes`; `extra` maps file names to contents; `keep` is an older folder to
    keep.
    """
    paths.checkpoints.mkdir(exist_ok=True)
    target = _free(paths.checkpoints / f"{role}-{position.step:08d}")
    temporary = paths.checkpoints / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # left by an attempt that died at this point
    temporary.mkdir()
    write_model(temporary)
    sha256 = file_sha256(temporary / "model.safetensors")
    best = os.path.relpath(position.best_folder, target) if position.best_folder else ""  # both may move together
    state = {"position": asdict(replace(position, best_folder=best)), "sha256": sha256}
    if optimizer is not None:
        save_file(_trainer_tensors(optimizer, helpers, passes), temporary / TRAINER)
        state["trainer_sha256"] = file_sha256(temporary / TRAINER)
    (temporary / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    for name, content in (extra or {}).items():
        (temporary / name).write_bytes(content.encode() if isinstance(content, str) else content)
    sync_files(temporary)
    temporary.rename(target)
    _point(paths.checkpoints / role, target)
    discard(paths, role, keep=(str(target), keep))
    return Saved(target, sha256, sum(file.stat().st_size for file in target.iterdir()))


def _free(wanted: Path) -> Path:
    """`wanted`, or a free variant: a teacher stopped twice at the same step must keep what it resumed from."""
    n, folder = 1, wanted
    while folder.exists():
        n += 1
        folder = wanted.with_name(f"{wanted.name}-{n}")
    return folder


def discard(paths: RunPaths, role: str, *, keep: Collection[str]) -> None:
    """Remove the checkpoints of `role` in this run's folder, except these folders."""
    for old in paths.checkpoints.glob(f"{role}-*"):
        if str(old) not in keep:
            shutil.rmtree(old, ignore_errors=True)


def read_position(folder: Path) -> Position:
    """The position stored in a checkpoint, after verifying the checksums of its files.

    Raises WorkerFailed if a file is missing or changed.
    """
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        sums = {"model.safetensors": state["sha256"], TRAINER: state.get("trainer_sha256")}
        for name, expected in sums.items():
            if expected is not None and file_sha256(folder / name) != expected:
                raise WorkerFailed(f"{folder}: {name} does not match its checksum; the file is corrupted")
        position = Position(**state["position"])
        best = os.path.normpath(folder / position.best_folder) if position.best_folder else ""
        return replace(position, best_folder=best)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkerFailed(f"{folder}: this checkpoint cannot be read: {error}") from error


def resumable(folder: Path, notice: Callable[[str, str], None]) -> Path | None:
    """The checkpoint to resume from; None, with a warning, if it is damaged: that costs time but not the trial."""
    try:
        read_position(folder)
    except WorkerFailed as error:
        notice("warning", f"{error}. Training restarts from the beginning.")
        return None
    return folder


def restore(
    folder: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    helpers: torch.nn.Module | None = None,
    passes: Sequence[Pass] = (),
) -> None:
    """Load weights, optimiser, passes and random state in place. Shapes must match: settings are the same."""
    device = next(model.parameters()).device
    model.load_state_dict(load_file(folder / "model.safetensors", device=str(device)), strict=True)
    tensors = load_file(folder / TRAINER)
    if helpers is not None:
        own = {name.removeprefix(HELPER): one for name, one in tensors.items() if name.startswith(HELPER)}
        helpers.load_state_dict(own, strict=True)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for number, one in enumerate(passes):
        start = f"pass.{number}."
        one.restore({name.removeprefix(start): found for name, found in tensors.items() if name.startswith(start)})
    torch.set_rng_state(tensors["rng.cpu"])
    if device.type == "cuda" and "rng.cuda" in tensors:
        torch.cuda.set_rng_state(tensors["rng.cuda"], device)


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's generators (numpy's global one is not used)."""
    random.seed(seed)
    torch.manual_seed(seed)


def model_sha256(folder: Path) -> str:
    """One checksum of everything that determines a model's outputs: config.json (with class names) and weights."""
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()


def _trainer_tensors(
    optimizer: torch.optim.Optimizer, helpers: torch.nn.Module | None, passes: Sequence[Pass]
) -> dict[str, Tensor]:
    state: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    tensors = {
        f"optimizer.{i}.{key}": torch.as_tensor(value) for i, slot in state.items() for key, value in slot.items()
    }
    if helpers is not None:
        tensors |= {f"{HELPER}{name}": tensor.cpu() for name, tensor in helpers.state_dict().items()}
    for number, one in enumerate(passes):
        tensors |= {f"pass.{number}.{name}": tensor for name, tensor in one.state().items()}
    tensors["rng.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["rng.cuda"] = torch.cuda.get_rng_state()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _point(link: Path, target: Path) -> None:
    """Point `link` to `target` by renaming a new link over it."""
    fresh = link.with_name(f".{link.name}.link")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.replace(link)
    sync_folder(link.parent)
