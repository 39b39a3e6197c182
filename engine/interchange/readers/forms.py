"""The forms that can be imported, and which of them a source is. A new one is a module and a row here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from bertdistill.engine.interchange.readers import (
    csv_tables,
    mlflow_database,
    mlflow_files,
    optuna_database,
    optuna_journal,
    tensorboard,
    trackio_database,
    wandb_files,
)
from bertdistill.engine.interchange.readers.reader import Form
from bertdistill.store.errors import ForeignError

FORMS = (
    Form("optuna", "an optuna storage", optuna_database.fits, optuna_database.reader),
    Form("mlflow", "an MLflow database", mlflow_database.fits, mlflow_database.reader),
    Form("trackio", "a Trackio project", trackio_database.fits, trackio_database.reader),
    Form("wandb", "offline runs of W&B", wandb_files.fits, wandb_files.reader),
    Form("mlflow", "an MLflow file store", mlflow_files.fits, mlflow_files.reader),
    Form("csv", "a CSV file", csv_tables.fits, csv_tables.reader),
    Form("optuna", "an optuna journal", optuna_journal.fits, optuna_journal.reader),
    Form("tensorboard", "TensorBoard event files", tensorboard.fits, tensorboard.reader),
)
"""In the order in which they are tried; of a folder the last one looks at every file."""
TRACKERS = tuple(sorted({form.tracker for form in FORMS}))
_SCHEMES = ("sqlite:///", "file://", "file:")


def local_path(source: str) -> Path:
    """The file or folder that a path or URL means; ForeignError for a server or a missing file."""
    path = source
    for scheme in _SCHEMES:
        if source.startswith(scheme):
            path = unquote(source.removeprefix(scheme)) if scheme != "sqlite:///" else source.removeprefix(scheme)
            break
    else:
        if "://" in source:
            hint = "Copy it to a file first; for optuna: optuna.copy_study(..., to_storage='sqlite:///copy.db')."
            raise ForeignError(f"{source.split('://')[0]}://…: servers are not read, only files", hint=hint)
    found = Path(path).expanduser()
    if not found.exists():
        raise ForeignError(f"{source}: does not exist", hint="Name a file, a folder or an SQLite URL.")
    return found


def form_of(path: Path, tracker: str = "") -> Form:
    """The form of an existing file or folder; ForeignError if it is none, or none of that tracker."""
    for form in FORMS:
        if tracker in ("", form.tracker) and form.fits(path):
            return form
    what = "holds nothing that can be imported" if not tracker else f"is nothing that {tracker} writes"
    hint = f"Known are files of {', '.join(TRACKERS)}." if not tracker else "Leave out --as to have it recognised."
    raise ForeignError(f"{path}: {what}", hint=hint)
