"""A model named in a study file as a local folder, downloaded and checked. It loads no weights."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import INT4, INT8, SCRATCH
from bertdistill.engine.distill.families.model import FORM
from bertdistill.engine.families.folders import check_folder, read_config

PACKED = (INT8, INT4)


def resolve(model_id: str, revision: str, key: str) -> str:
    """A local folder for a Hub id or folder, so that trials never contact the Hub. `key` is a key of the study file."""
    if model_id == SCRATCH:
        return model_id
    if Path(model_id).is_dir():
        check_folder(Path(model_id), f"{key} = {model_id!r}")
        _refuse_packed(Path(model_id), f"{key} = {model_id!r}")
        return model_id
    try:
        folder = snapshot_download(
            model_id, revision=revision or None, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ConfigError(
            f"{key} = {model_id!r} is not a local folder and cannot be downloaded from the Hub: {error}",
            hint="give the path of a local folder, or check the id and the network",
        ) from error
    if not any(Path(folder).glob("*.safetensors")):
        raise ConfigError(
            f"{key} = {model_id!r} has no model.safetensors; other weight files can run code and are not read",
            hint=f'set {key.split(".")[0]}.revision = "refs/pr/1" if the Hub has a converted copy, or convert it',
        )
    check_folder(Path(folder), f"{key} = {model_id!r}")
    _refuse_packed(Path(folder), f"{key} = {model_id!r}")
    return folder


def _refuse_packed(folder: Path, named: str) -> None:
    """A student that this program stored in 8 or 4 bits can be asked, but nothing can be trained from it."""
    form = read_config(folder, named).get(FORM)
    if form in PACKED:
        raise ConfigError(
            f"{named}: its weights are stored as {form} and have lost their precision",
            hint='use a model that was trained with settings.weights = "fp32" or "fp16"',
        )
