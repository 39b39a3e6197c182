"""Callbacks that log the trainings of other libraries: transformers' `Trainer` and optuna's `study.optimize`.

They import neither: both only call what they are given, and a program that uses one need not have the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bertdistill.engine.interchange.log import Run, start

ARGUMENTS = (
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "weight_decay",
    "max_grad_norm",
    "label_smoothing_factor",
    "optim",
    "bf16",
    "fp16",
    "seed",
)
"""Arguments of a `Trainer` that are logged as parameters; more than a hundred others say nothing about a model."""
_EVAL = "eval_"


class TrainerCallback:
    """`Trainer(…, callbacks=[TrainerCallback("my-study")])`: one run for each call of `train`.

    Series are `train/loss`, `eval/accuracy` …. Other keywords are those of `bertdistill.start`; `params` are added to
    the arguments of the training.
    """

    def __init__(self, study: str = "trainer", *, params: Mapping[str, Any] | None = None, **given: Any) -> None:
        self.run = Run()
        """The current run, to log more."""
        self._study, self._params, self._given = study, dict(params or {}), given

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            known = {name: getattr(args, name) for name in ARGUMENTS if hasattr(args, name)}
            self.run = start(self._study, params={**known, **self._params}, **self._given)

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        self.run.log({_series(name): value for name, value in (logs or {}).items()}, step=state.global_step)
        if state.max_steps > 0:
            self.run.progress(state.global_step, state.max_steps)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.run.checkpoint(f"{args.output_dir}/checkpoint-{state.global_step}", step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.run.finish()

    def __getattr__(self, event: str) -> Callable[..., None]:
        """Events that are not logged."""
        if event.startswith("on_"):
            return _nothing
        raise AttributeError(event)


def _nothing(*args: Any, **kwargs: Any) -> None:
    return None


def _series(name: str) -> str:
    """As the study screens expect them: losses of training under `train/`."""
    return f"eval/{name.removeprefix(_EVAL)}" if name.startswith(_EVAL) else f"train/{name.removeprefix('train_')}"


class OptunaCallback:
    """`study.optimize(…, callbacks=[OptunaCallback()])`: each trial is a run, stored as soon as it has ended.

    The objectives are those of the study, its values under their metric names (`value` without any), and what the trial
    reported is a curve. `study` names the study here; the default is its name in optuna.
    """

    def __init__(self, study: str = "", **given: Any) -> None:
        self._study, self._given = study, given

    def __call__(self, study: Any, trial: Any) -> None:
        directions = [direction.name.lower() for direction in study.directions]
        several = len(directions) > 1
        names = study.metric_names or [f"value_{n}" if several else "value" for n in range(len(directions))]
        run = start(
            self._study or study.study_name,
            params=trial.params,
            objectives=dict(zip(names, directions, strict=True)),
            note=f"optuna trial {trial.number}",
            **self._given,
        )
        for step, value in sorted(trial.intermediate_values.items()):
            run.log({"reported": value}, step=step)
        match trial.state.name:
            case "COMPLETE":
                run.finish(dict(zip(names, trial.values, strict=True)))
            case "PRUNED":
                run.end("pruned", "pruned")
            case _:
                run.end("failed", "crashed", str(trial.system_attrs.get("fail_reason", "")))
