"""Callbacks of Lightning and Keras, on stand-ins that call them as the libraries document it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import read_object
from bertdistill.engine.interchange.framework_callbacks import KerasCallback, LightningCallback


class Callback:
    """The base class of both libraries: every event does nothing."""

    def __init__(self) -> None:
        self.base_was_made, self.params, self.model = True, dict[str, Any](), None

    def on_something_else(self) -> str:
        return "base"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Both, and a workspace."""
    for name in ("lightning", "lightning.pytorch", "keras", "keras.callbacks"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    for name in ("lightning.pytorch", "keras.callbacks"):
        monkeypatch.setattr(sys.modules[name], "Callback", Callback, raising=False)
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(tmp_path / "ws"))
    return tmp_path / "ws"


def logged(workspace: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The parameters of the only run, and its events."""
    [folder] = [one.parent for one in workspace.glob("runs/_logged/*/spec.json")]
    events = [parse_event(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    return read_object(folder / "spec.json")["params"], [event for event in events if event]


def trainer(**more: Any) -> Any:
    known = {"is_global_zero": True, "global_step": 0, "log_every_n_steps": 2, "estimated_stepping_batches": 4}
    rest = {"sanity_checking": False, "checkpoint_callback": None, "callback_metrics": {}}
    return SimpleNamespace(**{**known, **rest, **more})


def test_lightning_from_start_to_end(installed: Path) -> None:
    """What the module logs, at the steps that the trainer logs; not while it only tries the validation out."""
    one, module = LightningCallback("s", params={"seed": 1}), SimpleNamespace(hparams={"lr": 0.1})
    assert isinstance(one, Callback)
    assert (one.base_was_made, one.on_something_else()) == (True, "base")
    one.on_fit_start(trainer(), module)
    one.on_validation_end(trainer(sanity_checking=True, callback_metrics={"val_loss": 9.0}), module)
    for step in (1, 2, 3):
        one.on_train_batch_end(trainer(global_step=step, callback_metrics={"loss": 1.0 / step}), module, None, None, 0)
    one.on_validation_end(trainer(global_step=3, callback_metrics={"loss": 1.0, "val_loss": 0.5}), module)
    one.on_train_batch_end(trainer(global_step=4, callback_metrics={"loss": 2.0, "val_loss": 0.5}), module, 0, 0, 0)
    one.on_train_epoch_end(trainer(global_step=4, callback_metrics={"loss_epoch": 3.0, "val_loss": 0.5}), module)
    one.on_fit_end(trainer(global_step=4, checkpoint_callback=SimpleNamespace(best_model_path="/b.ckpt")), module)
    params, events = logged(installed)
    assert params == {"lr": 0.1, "seed": 1}
    values = [(event["step"], event["values"]) for event in events if event["k"] == "metrics"]
    assert values == [(2, {"loss": 0.5}), (3, {"val_loss": 0.5}), (4, {"loss": 2.0}), (4, {"loss_epoch": 3.0})]
    assert [event["done"] for event in events if event["k"] == "progress"] == [2, 4]
    assert [event["text"] for event in events if event["k"] == "notice"] == ["Checkpoint of step 4: /b.ckpt"]
    assert (events[-1]["k"], events[-1]["status"]) == ("ended", "complete")


@pytest.mark.parametrize(("error", "status"), [(ValueError("odd"), "failed"), (KeyboardInterrupt(), "stopped")])
def test_lightning_that_fails(installed: Path, error: BaseException, status: str) -> None:
    one = LightningCallback("s")
    one.on_fit_start(trainer(), SimpleNamespace(hparams={}))
    one.on_exception(trainer(), None, error)
    assert logged(installed)[1][-1]["status"] == status


def test_only_one_of_several_ranks_logs(installed: Path) -> None:
    one = LightningCallback("s")
    one.on_fit_start(trainer(is_global_zero=False), SimpleNamespace(hparams={}))
    one.on_fit_end(trainer(callback_metrics={"a": 1.0}), None)
    assert not installed.exists()


def test_keras_from_start_to_end(installed: Path) -> None:
    """An epoch is a step; validation has its own series."""
    one = KerasCallback("s")
    one.params = {"epochs": 2}
    one.model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.5))
    one.on_train_begin()
    for epoch in (0, 1):
        one.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": 0.5})
    one.on_train_end()
    params, events = logged(installed)
    assert params == {"epochs": 2, "optimizer": "SimpleNamespace", "learning_rate": 0.5}
    values = [(event["step"], event["values"]) for event in events if event["k"] == "metrics"]
    assert values == [(0, {"train/loss": 1.0, "eval/accuracy": 0.5}), (1, {"train/loss": 1.0, "eval/accuracy": 0.5})]
    assert events[-1]["status"] == "complete"


def test_a_library_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KerasCallback, "modules", ("no_such_library.callbacks",))
    with pytest.raises(ImportError, match="KerasCallback needs no_such_library"):
        KerasCallback()
