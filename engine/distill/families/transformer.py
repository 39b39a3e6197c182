"""Build, save and load encoders with a task head: students cut from a checkpoint or new, teachers loaded whole.

It trains nothing and decides no sizes: `engine.families.transformer.plan_student` does. It is longer than 400 lines
because students and teachers are read from the same checkpoints, with the same checks of their heads and labels.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.low_rank import factorise
from bertdistill.engine.distill.families.projection import Projection, project
from bertdistill.engine.distill.families.seeded import seeded
from bertdistill.engine.distill.families.selection import Importance, choose_heads, choose_neurons
from bertdistill.engine.families.encoder_plan import COMPARABLE, NEW_LAYER, Plan, Shape, plan_student
from bertdistill.engine.families.folders import check_config, check_folder, read_config
from bertdistill.engine.families.widths import importance_blocks
from bertdistill.engine.tasks.table import TASKS

CLASSES: dict[bool, Any] = {True: AutoModelForQuestionAnswering, False: AutoModelForSequenceClassification}
"""By `Task.spans`: the class that loads an encoder with its head."""
KEPT_HEADS = "kept_heads"
"""Our extra key in config.json: for every layer, the indices of the kept heads among the original ones."""


def build_student(
    init: str | Path | None,
    settings: Settings,
    *,
    task: str,
    labels: Sequence[str],
    shape: Shape,
    importance: Importance | None = None,
    neurons: Importance | None = None,
    projection: Projection | None = None,
    embed: Callable[[PreTrainedModel], None] | None = None,
    revision: str = "",
) -> tuple[PreTrainedModel, list[list[int]]]:
    """The student that `settings` describe, and the heads kept in each of its layers.

    `init` is a folder or Hub id, or None or "scratch" for random weights; `shape` is that of `init`, or of the teacher
    from scratch. `importance` is (layers, heads) of `init`, `neurons` (layers, feed-forward size), `projection` of its
    hidden states; each is needed only where something is cut by it. `embed` replaces the word embeddings, before they
    are factorised. New weights depend only on `settings.seed`; torch's global random state is unchanged. Raises
    ConfigError if the settings do not fit the initial model.
    """
    scratch = init is None or init == SCRATCH
    blocks = [] if neurons is None else [importance_blocks(layer) for layer in neurons.tolist()]
    plan = plan_student(shape, settings, scratch=scratch, ffn_importance=blocks)
    kept_heads, kept_neurons = choose_heads(plan, settings, importance), choose_neurons(plan, neurons)
    with seeded(settings.seed):
        if scratch:
            model = _new_model(plan.shape, task, labels, overrides_of(plan.shape.architecture, settings))
        else:
            overrides = overrides_of(shape.architecture, settings)
            model, _ = load_with_head(str(init), task, labels, revision, overrides)
            keep_layers(model, plan)
        standalone.prune_heads(model, kept_heads)
        standalone.prune_neurons(model, kept_neurons)
        if embed is not None:
            embed(model)
        if plan.projected:
            _narrow(model, plan, projection)
        if plan.embedding_rank:
            factorise(model, plan.embedding_rank, scratch=scratch)
        if plan.separate:
            standalone.separate(model, plan.separate)
    drop_before_head(model)
    return model, kept_heads


def _narrow(model: PreTrainedModel, plan: Plan, projection: Projection | None) -> None:
    width = plan.shape.hidden_size
    if projection is None:
        raise ConfigError(
            f"settings.hidden_size is {width}, but no projection of the initial model's hidden states is known",
            hint="prepare the study again",
        )
    if len(projection.basis) != plan.shape.heads * plan.shape.head_size:
        raise ConfigError(f"a projection of width {len(projection.basis)} does not fit the initial model")
    project(model, projection, width, plan.kept_layers)


def new_encoder(
    shape: Shape, *, task: str, labels: Sequence[str], seed: int, initializer_range: float = 0.02, dropout: float = 0.1
) -> PreTrainedModel:
    """A BERT of this shape with random weights and the head of `task`; for a teacher from scratch."""
    with seeded(seed):
        model = _new_model(shape, task, labels, _dropouts("bert", dropout, dropout, dropout, initializer_range))
    drop_before_head(model)
    return model


def load_encoder(
    model_id: str | Path,
    task: str,
    labels: Sequence[str],
    *,
    revision: str = "",
    need_head: bool = False,
    dropout: float | None = None,
    seed: int = 0,
) -> PreTrainedModel:
    """A whole checkpoint (Hub id or folder) with the head of `task`, for a teacher.

    A missing head is initialised from `seed` or, with `need_head`, refused (ConfigError). Classes are put into the
    order of `labels` if the checkpoint names the same ones. `dropout`, if given, replaces every dropout of the
    checkpoint.
    """
    kind = read_any_shape(model_id, revision=revision).architecture
    overrides = {}
    if dropout is not None:
        known = kind in COMPARABLE
        overrides = _dropouts(kind, dropout, dropout, dropout) if known else _every_dropout(str(model_id), dropout)
    with seeded(seed):
        model, new_head = load_with_head(str(model_id), task, labels, revision, overrides)
    if need_head and new_head:
        raise ConfigError(
            f"teacher.model {model_id}: the checkpoint has no matching head for {task}: {new_head}",
            hint="add [teacher.fine_tune], or use a checkpoint that was trained on this task",
        )
    if dropout is not None:
        drop_before_head(model)
    return model


def read_shape(model_id: str | Path, *, revision: str = "") -> Shape:
    """The shape of a checkpoint, by Hub id or folder. Raises ConfigError if it is missing or not supported."""
    config = _config_dict(str(model_id), revision)
    try:
        return Shape.from_config(config)
    except ConfigError as error:
        raise ConfigError(f"{model_id}: {error}", hint=error.hint) from error


def read_any_shape(model_id: str | Path, *, revision: str = "") -> Shape:
    """The same for a checkpoint of any architecture that transformers knows, for a teacher.

    Of one that is not in COMPARABLE, only vocabulary, longest input and the widths that its config has are right.
    """
    if _config_dict(str(model_id), revision).get("model_type") in COMPARABLE:
        return read_shape(model_id, revision=revision)
    config = _any_config(str(model_id), revision)

    def size(name: str, missing: int) -> int:
        value = getattr(config, name, None)
        return value if isinstance(value, int) and value > 0 else missing

    hidden, heads = size("hidden_size", 768), size("num_attention_heads", 12)
    return Shape(
        architecture=str(config.model_type),
        vocab_size=size("vocab_size", 1),
        positions=size("max_position_embeddings", 512),
        types=size("type_vocab_size", 0),
        hidden_size=hidden,
        ffn_size=size("intermediate_size", 4 * hidden),
        layers=size("num_hidden_layers", 12),
        heads=heads,
        head_size=max(1, hidden // heads),
        pad_id=size("pad_token_id", 0),
    )


# -------------------------------------------------------------------------------------------------------- save and load


def save_student(
    model: PreTrainedModel, kept_heads: Sequence[Sequence[int]], folder: Path, tokenizer: Any | None = None
) -> None:
    """Write config.json (with the key `kept_heads`), model.safetensors and optionally the tokenizer into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = model.config.to_dict()
    config |= {"architectures": [type(model).__name__], KEPT_HEADS: [list(kept) for kept in kept_heads]}
    config.pop("_name_or_path", None)  # the folder of the initial model is meaningless elsewhere
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def save_whole(model: PreTrainedModel, folder: Path, tokenizer: Any | None = None) -> None:
    """The same for a teacher of an architecture that students are not cut from."""
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)


def load_student(folder: Path) -> tuple[PreTrainedModel, list[list[int]]]:
    """Load what `save_student` wrote, in evaluation mode. Raises ConfigError if weights are missing or left over."""
    check_folder(folder, str(folder))
    if _config_dict(str(folder), "")["model_type"] not in COMPARABLE:
        return _load_whole(folder), []
    try:
        model: PreTrainedModel = standalone.load(folder)
    except (OSError, RuntimeError, AttributeError, ValueError, TypeError, SafetensorError) as error:
        raise ConfigError(f"{folder}: this is not a complete student: {error}") from error
    drop_before_head(model)
    config: Any = model.config
    every = [list(range(config.num_attention_heads))] * config.num_hidden_layers
    return model, [list(kept) for kept in getattr(config, KEPT_HEADS, None) or every]


def _load_whole(folder: Path) -> PreTrainedModel:
    """What `save_whole` wrote."""
    with quiet():
        model, info = CLASSES[False].from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
        )
    if info["missing_keys"]:
        raise ConfigError(f"{folder}: {len(info['missing_keys'])} of its weights are missing")
    found: PreTrainedModel = model.eval()
    return found


# -------------------------------------------------------------------------------------------------- questions to models


def accepts_token_types(model: nn.Module) -> bool:
    """Whether this model uses segment ids: DistilBERT has none, RoBERTa only one type."""
    config: Any = model.config
    takes = "token_type_ids" in inspect.signature(model.forward).parameters
    return takes and getattr(config, "type_vocab_size", 0) > 1


_PROBES = (
    "Where did Zoë's 2nd café-trip (1999) end?",
    "naïve  ÉCOLE déjà vu; 東京 42%",
    "don't  UPPER lower_case\ttab",
)


def same_vocabulary(ours: Any, theirs: Any) -> str:
    """Why two tokenizers give different ids for the same text; empty if they do not."""
    mine, other = ours.get_vocab(), theirs.get_vocab()
    if len(mine) != len(other):
        return f"one vocabulary has {len(mine)} entries, the other {len(other)}"
    differing = [token for token, index in mine.items() if other.get(token) != index]
    if differing:
        return f"{len(differing)} of {len(mine)} entries differ, for example {min(differing)!r}"
    for name in ("pad_token_id", "unk_token_id", "cls_token_id", "sep_token_id"):
        if getattr(ours, name) != getattr(theirs, name):
            return f"{name} is {getattr(ours, name)} in one and {getattr(theirs, name)} in the other"
    for text in _PROBES:
        if ours(text)["input_ids"] != theirs(text)["input_ids"]:
            return f"the same entries, but they split {text!r} differently (is one cased?)"
    return ""


# ---------------------------------------------------------------------------------------------------------------- parts


def _dropouts(
    architecture: str, hidden: float, attention: float, head: float, initializer_range: float | None = None
) -> dict[str, float]:
    """These values by the names in the architecture's config."""
    if architecture == "distilbert":
        values = {"dropout": hidden, "attention_dropout": attention, "qa_dropout": head, "seq_classif_dropout": head}
    else:
        values = {"hidden_dropout_prob": hidden, "attention_probs_dropout_prob": attention, "classifier_dropout": head}
    return values if initializer_range is None else values | {"initializer_range": initializer_range}


def _every_dropout(model_id: str, dropout: float) -> dict[str, float]:
    """This value for every dropout in the config of an architecture whose names are not known here."""
    values = _any_config(model_id, "").to_dict()
    return {name: dropout for name, value in values.items() if "dropout" in name and isinstance(value, (int, float))}


def _any_config(model_id: str, revision: str) -> Any:
    try:
        return AutoConfig.from_pretrained(model_id, revision=revision or "main", trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{model_id}: transformers cannot read its config.json: {error}",
            hint="use a checkpoint of an architecture that transformers has without custom code",
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notes of transformers on new and unused weights: return values report them."""
    logger = logging.getLogger("transformers")
    level = logger.level
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def overrides_of(architecture: str, settings: Settings) -> dict[str, float]:
    """What the settings change in the config of this architecture."""
    return _dropouts(
        architecture,
        settings.dropout,
        settings.attention_dropout,
        settings.classifier_dropout,
        settings.initializer_range,
    )


def label_overrides(task: str, labels: Sequence[str]) -> dict[str, Any]:
    """The classes by the names of a config."""
    if TASKS[task].spans:
        return {"num_labels": 2}
    return {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}


def _new_model(shape: Shape, task: str, labels: Sequence[str], overrides: Mapping[str, Any]) -> PreTrainedModel:
    config = BertConfig(
        vocab_size=shape.vocab_size,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.ffn_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        pad_token_id=shape.pad_id,
        **overrides,
        **label_overrides(task, labels),
    )
    model: PreTrainedModel = CLASSES[TASKS[task].spans].from_config(config, trust_remote_code=False)
    return model


def keep_layers(model: PreTrainedModel, plan: Plan) -> None:
    """Replace the layers with the planned ones; a layer listed twice is copied, a new one gets random weights."""
    layers = standalone.layers_of(model)
    kind, config, used, chosen = type(layers[0]), model.config, set[int](), []
    for origin in plan.kept_layers:
        layer = kind(config)
        if origin == NEW_LAYER:
            layer.apply(model._init_weights)
        elif origin in used:
            layer.load_state_dict(layers[origin].state_dict())
        else:
            layer = layers[origin]
        used.add(origin)
        chosen.append(layer)
    owner = model.base_model.get_submodule(standalone.NAMES[config.model_type].layers.split(".")[0])
    owner.layer = nn.ModuleList(chosen)
    config.num_hidden_layers = len(chosen)


def drop_before_head(model: PreTrainedModel) -> None:
    """Give the span head of BERT and RoBERTa the dropout that their other heads have; weight names do not change."""
    if not hasattr(model, "qa_outputs") or hasattr(model, "dropout"):
        return

    def drop(module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (module.dropout(inputs[0]),)

    head: Any = model.qa_outputs
    head.dropout = nn.Dropout(model.config.classifier_dropout or 0.0)  # no weights, so weight names do not change
    head.dropout.train(model.training)  # a new module is in training mode: it would drop even in evaluation
    head.register_forward_pre_hook(drop)


def _config_dict(model_id: str, revision: str) -> dict[str, Any]:
    if Path(model_id).is_dir():
        return read_config(Path(model_id), model_id)
    try:
        config, _ = PreTrainedConfig.get_config_dict(model_id, revision=revision or "main")
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{model_id}: cannot read its config.json: {error}", hint="use a folder with a checkpoint, or a Hub id"
        ) from error
    check_config(config, model_id)
    return dict(config)


def load_with_head(
    model_id: str, task: str, labels: Sequence[str], revision: str, overrides: Mapping[str, Any]
) -> tuple[PreTrainedModel, str]:
    """The model, and why its head is new (empty if it came from the checkpoint)."""
    stored = _stored_labels(_config_dict(model_id, revision))
    order = None if TASKS[task].spans else label_order(stored, labels)
    try:
        with quiet():
            model, info = CLASSES[TASKS[task].spans].from_pretrained(
                model_id,
                revision=revision or "main",
                use_safetensors=True,
                dtype=torch.float32,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **overrides,
                **label_overrides(task, labels),
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"{model_id}: cannot load it as a model for {task}: {error}",
            hint="it must be an encoder that transformers has a class for, with a model.safetensors",
        ) from error
    missing = set(info["missing_keys"]) | {key[0] for key in info["mismatched_keys"]}
    _refuse_missing_weights(model, model_id, missing)
    if missing:
        return model, f"{len(missing)} of its weights are not in the checkpoint ({min(missing)})"
    if TASKS[task].spans:
        return model, ""
    if order is None:
        return model, f"its classes are {', '.join(stored)}, not {', '.join(labels)}"
    _reorder(model, order)
    return model, ""


def _refuse_missing_weights(model: PreTrainedModel, model_id: str, missing: set[str]) -> None:
    """A missing head is initialised; missing layers or embeddings mean a damaged checkpoint."""
    prefix = f"{model.base_model_prefix}."
    absent = sorted(name for name in missing if name.startswith(prefix) and ".pooler." not in name)
    if absent:
        raise ConfigError(
            f"{model_id}: {len(absent)} weights of the encoder are missing, for example {absent[0]}",
            hint="download the checkpoint again",
        )


def _stored_labels(config: Mapping[str, Any]) -> list[str]:
    names = config.get("id2label") or {}
    return [str(names[key]) for key in sorted(names, key=int)]


def label_order(stored: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """The position of each wanted class among the stored ones; None if the stored names differ.

    Stored or wanted names that only number the classes (LABEL_0, 0) are matched in order.
    """
    have, want = [name.casefold() for name in stored], [name.casefold() for name in wanted]
    if sorted(have) == sorted(want):
        return [have.index(name) for name in want]
    numbered = [all(name.removeprefix("label_") == str(i) for i, name in enumerate(names)) for names in (have, want)]
    return list(range(len(want))) if any(numbered) and len(have) in (0, len(want)) else None


def _reorder(model: PreTrainedModel, order: Sequence[int]) -> None:
    """Put the rows of the last linear layer into the order of the data's labels."""
    if list(order) == list(range(len(order))):
        return
    heads = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and layer.out_features == len(order)]
    if not heads:
        raise ConfigError(
            f"the head of a {model.config.model_type} model is not known, so its classes cannot be put in order",
            hint="list the labels in data.labels in the order of its classes",
        )
    with torch.no_grad():
        for tensor in filter(lambda one: one is not None, (heads[-1].weight, heads[-1].bias)):
            tensor.copy_(tensor[list(order)].clone())
