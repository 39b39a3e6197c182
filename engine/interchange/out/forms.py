"""The forms in which a study can go out. To add one, add a module with a function `write` and a row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.interchange.out import csv_files, json_files, mlflow_store, optuna_storage, parquet, tensorboard
from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing


@dataclass(frozen=True)
class Form:
    """One form. `write` gets a path that does not exist and adds to the losses what it cannot represent."""

    write: Callable[[Outgoing, Path, Losses], None]
    what: str
    """What it is, after "writes"."""
    folder: bool
    """Whether it is a folder; otherwise it is one file."""
    opens: str
    """The command that opens it; `{path}` is where it is."""
    package: str = ""
    """The Python package that writing needs, if it is not a dependency."""
    extra: str = ""
    """The extra of ours that installs it."""
    whole: bool = True
    """Whether every point is written."""

    def check(self) -> None:
        """Raise InvalidRequest with the command to install what is missing."""
        if self.package and find_spec(self.package) is None:
            raise InvalidRequest(
                f"this needs the package {self.package}, which is not installed",
                hint=f"Install it: pip install 'bertdistill-tui[{self.extra}]'",
            )


FORMS: dict[str, Form] = {
    "optuna": Form(
        optuna_storage.write,
        "an optuna storage: SQLite, or a journal if the file ends in .log or .journal",
        folder=False,
        opens="optuna-dashboard {path}",
        whole=False,
    ),
    "mlflow": Form(
        mlflow_store.write,
        "an MLflow tracking store (SQLite)",
        folder=False,
        opens="mlflow ui --backend-store-uri sqlite:///{path}",
        package="mlflow",
        extra="mlflow",
    ),
    "tensorboard": Form(
        tensorboard.write,
        "event files, a folder for each trial",
        folder=True,
        opens="tensorboard --logdir {path}",
    ),
    "parquet": Form(
        parquet.write,
        "trials.parquet and points.parquet",
        folder=True,
        opens="duckdb -c \"FROM '{path}/trials.parquet'\"",
    ),
    "csv": Form(csv_files.write, "trials.csv and points.csv", folder=True, opens=""),
    "json": Form(json_files.write, "trials.json and points.jsonl", folder=True, opens=""),
}
