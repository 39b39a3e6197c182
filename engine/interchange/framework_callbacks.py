"""Callbacks that log the trainings of Lightning and Keras, whose callbacks must be of a class of theirs.

They import neither before one is made.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from bertdistill.engine.interchange.log import Run, start


class _Joined:
    """Makes instances of a class that is also a `Callback` of the first of these modules that is loaded, or here."""

    modules: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        packages = {name.partition(".")[0]: name for name in cls.modules}
        loaded = [name for package, name in packages.items() if package in sys.modules]
        here = loaded or [name for package, name in packages.items() if find_spec(package) is not None]
        if not here:
            raise ImportError(f"{cls.__name__} needs {' or '.join(packages)}, which is not installed")
        return object.__new__(type(cls.__name__, (cls, import_module(here[0]).Callback), {}))

    def __init__(self, study: str, params: Mapping[str, Any] | None, given: dict[str, Any]) -> None:
        super().__init__()  # that of Lightning or Keras
        self.run = Run()
        """The current run, to log more."""
        self._study, self._given, self._known = study, given, dict(params or {})

    def _start(self, known: Mapping[str, Any]) -> None:
        self.run = start(self._study, params={**known, **self._known}, **self._given)


class LightningCallback(_Joined):
    """`Trainer(…, callbacks=[LightningCallback("my-study")])`: one run for each call of `fit`.

    It logs what the module logs with `self.log`, under the same names, and its saved hyperparameters. Other keywords
    are those of `bertdistill.start`; `params` are added.
    """

    modules = ("lightning.pytorch", "pytorch_lightning")

    def __init__(self, study: str = "lightning", *, params: Mapping[str, Any] | None = None, **given: Any) -> None:
        super().__init__(study, params, given)
        self._trained, self._validated = set[str](), set[str]()
        """Names by where they came first: Lightning keeps old values of the one beside new ones of the other."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.is_global_zero:
            self._start(dict(pl_module.hparams))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step % max(trainer.log_every_n_steps, 1) == 0:
            self._log(trainer, validated=False)
            if 0 < (total := trainer.estimated_stepping_batches) < float("inf"):
                self.run.progress(trainer.global_step, int(total))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._log(trainer, validated=False)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self._validated |= trainer.callback_metrics.keys() - self._trained
        if not trainer.sanity_checking:
            self._log(trainer, validated=True)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        if best := getattr(trainer.checkpoint_callback, "best_model_path", ""):
            self.run.checkpoint(best, step=trainer.global_step, best=True)
        self.run.finish()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if isinstance(exception, KeyboardInterrupt):
            self.run.end("stopped", "stopped")
        else:
            self.run.end("failed", type(exception).__name__, str(exception))

    def _log(self, trainer: Any, *, validated: bool) -> None:
        found = {name: one for name, one in trainer.callback_metrics.items() if (name in self._validated) == validated}
        self._trained |= set() if validated else found.keys()
        if found:
            self.run.log(found, step=trainer.global_step)


class KerasCallback(_Joined):
    """`model.fit(…, callbacks=[KerasCallback("my-study")])`: one run for each call of `fit`, a step for each epoch.

    Series are `train/loss`, `eval/accuracy` …. Other keywords are those of `bertdistill.start`; `params` are added.
    """

    modules = ("keras.callbacks",)
    params: Mapping[str, Any]
    """What Keras says of the training: epochs, steps."""

    def __init__(self, study: str = "keras", *, params: Mapping[str, Any] | None = None, **given: Any) -> None:
        super().__init__(study, params, given)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        known = {"epochs": (self.params or {}).get("epochs")}
        optimizer = getattr(getattr(self, "model", None), "optimizer", None)
        if optimizer is not None:
            known |= {"optimizer": type(optimizer).__name__, "learning_rate": float(optimizer.learning_rate)}
        self._start(known)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        values = {_series(name): value for name, value in (logs or {}).items()}
        self.run.log(values, step=epoch)
        if total := (self.params or {}).get("epochs"):
            self.run.progress(epoch + 1, total)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.run.finish()


def _series(name: str) -> str:
    return f"eval/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"
