"""Exported folders stand alone: a fresh interpreter without this project loads them and gets the same numbers."""

from __future__ import annotations

import ast
import itertools
import json
import re
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from tests.closeness import assert_fp32_equal
from tests.engine.distill.families.test_bottleneck import spec_of as mobile_spec
from tests.tiny import Kind, make_checkpoint
from torch import Tensor
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

from bertdistill.engine.contract.errors import ActionRefused, ConfigError, WorkerFailed
from bertdistill.engine.contract.folder import file_sha256
from bertdistill.engine.contract.spec import FP16, FP32, INT4, INT8, DataSpec, Settings
from bertdistill.engine.distill.compression.weights import save_packed
from bertdistill.engine.distill.export import encoder_format, onnx_file
from bertdistill.engine.distill.export.answer import answer
from bertdistill.engine.distill.export.card import CardFacts, model_card
from bertdistill.engine.distill.export.encoder_format import EncoderFormat
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.export.onnx_file import missing_for_onnx
from bertdistill.engine.distill.families.bottleneck import BOTTLENECKS
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.projection import projection_of
from bertdistill.engine.distill.families.transformer import build_student, load_encoder, load_student, read_shape
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QA, CLASSIFY = QUESTION_ANSWERING, TEXT_CLASSIFICATION
LABELS = ("bad", "fair", "good")
PLAIN = {"README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
IDS = [[2, 9, 8, 7, 40, 41, 3]]

# Runs where this project cannot be imported; one interpreter for many folders, because torch is slow to import.
STRANGER = """
import sys; sys.modules["bertdistill"] = None
import json, pathlib, torch, transformers
logits = {}
for folder in sys.argv[2:]:
    if pathlib.Path(folder, "modeling.py").exists():
        sys.modules.pop("modeling", None)
        sys.path.insert(0, folder)
        from modeling import load
        model = load(folder)
        sys.path.remove(folder)
    else:
        name = json.loads(pathlib.Path(folder, "config.json").read_text())["architectures"][0]
        auto = getattr(transformers, "AutoModelFor" + name.split("For")[1])
        model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    found = model(input_ids=torch.tensor(json.loads(sys.argv[1])))
    logits[folder] = [value.tolist() for value in found.to_tuple()]
print(json.dumps(logits))
"""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """An own folder whose modules have our names and fail when imported."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("app", "engine", "store", "bertdistill"):
        (folder / f"{name}.py").write_text("raise ImportError('the wrong module')\n")
    return folder


def read(model: Any, ids: Tensor) -> Tensor:
    """Run the model; all are tokens."""
    model(input_ids=ids)
    return torch.ones_like(ids)


UNEQUAL = {"ffn_size": 40, "ffn_choice": "global"}
NEURONS = np.outer([1, 2], np.arange(64, dtype=np.float32))


def make_student(tmp_path: Path, kind: Kind, task: str, heads: int, seed: int = 0, **more: Any) -> tuple[Path, Any]:
    init = make_checkpoint(tmp_path / "init", kind, seed=seed)
    settings = Settings(heads=heads, head_choice="random", initializer_range=0.3, **more)
    labels = () if task == QA else LABELS
    cuts: dict[str, Any] = {"neurons": NEURONS}
    if settings.hidden_size:
        cuts["projection"] = projection_of(load_encoder(init, task, labels), [torch.tensor(IDS)], read)
    model, kept = build_student(init, settings, task=task, labels=labels, shape=read_shape(init), **cuts)
    save_packed(Encoder(model, kept), settings.weights, tmp_path / "student")
    return tmp_path / "student", AutoTokenizer.from_pretrained(init)


def facts(task: str = QA, **more: Any) -> CardFacts:
    data = DataSpec(train="/home/somebody/train.json", report="/home/somebody/dev.json", max_length=64)
    return CardFacts(name="tiny", task=task, data=data, settings=Settings(), **more)


def run(folder: Path, *arguments: str) -> str:
    """Run a Python program in `folder`, in isolated mode apart from the installed packages; its stdout."""
    done = subprocess.run(
        [sys.executable, "-P", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def card_of(told: CardFacts, student: Path, *, onnx: bool = False) -> str:
    """The model card of a student's folder."""
    return model_card(told, EncoderFormat(student).describe(told, onnx=onnx))


def test_strangers_load_it_and_get_the_same_numbers(tmp_path: Path, hostile: Path) -> None:
    """Plain transformers loads a student with equal layers in fp32 or fp16, `modeling.py` any other."""
    expected = {}
    kinds: tuple[Kind, ...] = ("bert", "distilbert", "roberta")
    cuts: list[tuple[int, dict[str, Any]]] = [
        (0, {"ffn_size": 24}),
        (3, {}),
        (0, UNEQUAL),
        (0, {"hidden_size": 27, "embedding_rank": 9}),
    ]
    cases: list[tuple[Kind, str, tuple[int, dict[str, Any]]]] = list(itertools.product(kinds, TASKS, cuts))
    cases += [("bert", CLASSIFY, (0, {"weights": FP16})), ("roberta", QA, (0, {"weights": INT8}))]
    cases += [("distilbert", CLASSIFY, (0, {"embedding_rank": 8, "weights": INT4}))]
    plain: tuple[dict[str, Any], ...] = ({"ffn_size": 24}, {"weights": FP16})
    for kind, task, (heads, more) in cases:
        target = tmp_path / "out" / f"{kind}-{task}-{heads}-{'-'.join(more)}"
        student, tokenizer = make_student(tmp_path / target.name, kind, task, heads, **more)
        files = export_model(student, target, card_facts=facts(task), tokenizer=tokenizer, onnx=False)
        assert PLAIN | ({"modeling.py"} if more not in plain else set()) == set(files)
        assert files == sorted(file.name for file in target.iterdir())
        assert file_sha256(student / "model.safetensors") == file_sha256(target / "model.safetensors")
        with torch.no_grad():
            expected[str(target)] = load_student(student)[0](input_ids=torch.tensor(IDS)).to_tuple()
    for task, form in ((QA, FP32), (CLASSIFY, INT8)):  # of another family, whose layers transformers has
        init = make_checkpoint(tmp_path / "mobile" / "init", "mobilebert")
        student, target = tmp_path / "mobile" / task, tmp_path / "out" / f"mobilebert-{task}"
        save_packed(BOTTLENECKS.build(mobile_spec(init, task)), form, student)
        export_model(student, target, card_facts=facts(task), tokenizer=AutoTokenizer.from_pretrained(init), onnx=False)
        assert (form == INT8) == (target / "modeling.py").exists()
        with torch.no_grad():
            expected[str(target)] = load_student(student)[0](input_ids=torch.tensor(IDS)).to_tuple()
    found = json.loads(run(hostile, "-c", STRANGER, json.dumps(IDS), *expected))
    assert len(cases) + 2 == len(found)
    for folder, logits in expected.items():
        for mine, other in zip(logits, found[folder], strict=True):
            assert_fp32_equal(mine, other)


CARDS: tuple[tuple[Kind, int, float | None], ...] = (
    ("distilbert", 0, None),
    ("distilbert", 0, -1e3),
    ("distilbert", 0, 1e3),
    ("distilbert", 3, None),
    ("bert", 3, None),
)
"""Architecture, heads and null threshold; the lower layer of the last one is separate."""


def test_the_code_in_the_card_answers_as_the_model_was_scored(tmp_path: Path, hostile: Path) -> None:
    """What the model card tells people to type works as it stands, from another folder and without this project. It
    abstains by the threshold, and its span lies in the passage: the answer is that of `ask`.
    """
    programs, expected = [], []
    for kind, number, threshold in CARDS:
        more = {"weights": INT8 if number else FP32} | ({"separate_layers": 1} if kind == "bert" else {})
        student, tokenizer = make_student(tmp_path / f"{kind}{number}{threshold}", kind, QA, number, **more)
        target = tmp_path / f"{kind}{number}{threshold}" / "v1"
        export_model(student, target, card_facts=facts(null_threshold=threshold), tokenizer=tokenizer, onnx=False)
        programs.append(code_of(target))
        expected.append(answer(target, question="Who wrote it?", context="Ada wrote it."))
    assert [False, True, False, False, False] == [found["abstained"] for found in expected]
    student, tokenizer = make_student(tmp_path / "classes", "distilbert", CLASSIFY, 0, weights=FP16)
    target = tmp_path / "classes" / "v1"
    export_model(student, target, card_facts=facts(CLASSIFY), tokenizer=tokenizer, onnx=False)
    programs.append(code_of(target))
    printed = run(hostile, "-c", "import sys; sys.modules['bertdistill'] = None\n" + "\n".join(programs))
    *answers, classes, end = printed.split("\n")
    assert [found["answer"] for found in expected] == answers
    assert (set(LABELS), "") == (set(ast.literal_eval(classes)), end)


def code_of(folder: Path) -> str:
    """The program in the card, for another folder than its own."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    assert 'folder = "."' in code
    return str(code.replace('folder = "."', f"folder = {str(folder)!r}"))


def test_modeling_file_imports_nothing_of_this_project(tmp_path: Path) -> None:
    """It is this project's own loader, copied; only torch, transformers, safetensors and the standard library."""
    student, tokenizer = make_student(tmp_path, "bert", QA, 1)
    export_model(student, tmp_path / "v1", card_facts=facts(), tokenizer=tokenizer, onnx=False)
    text = (tmp_path / "v1" / "modeling.py").read_text()
    nodes = [*ast.walk(ast.parse(text))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    imported = {name.partition(".")[0] for name in names}
    assert {"torch", "transformers", "safetensors"} == imported - sys.stdlib_module_names


def test_config_says_how_to_read(tmp_path: Path) -> None:
    """Lengths and the abstention threshold travel with the model; a whole student has no key of ours about heads."""
    student, tokenizer = make_student(tmp_path, "bert", QA, 0)
    export_model(student, tmp_path / "v1", card_facts=facts(null_threshold=-1.5), tokenizer=tokenizer, onnx=False)
    config = json.loads((tmp_path / "v1" / "config.json").read_text())
    expected = {"task": QA, "max_length": 64, "doc_stride": 128, "max_question_length": 64}
    expected |= {"max_answer_length": 30, "n_best": 20}
    assert (-1.5, expected) == (config["null_threshold"], config["bertdistill"])
    assert "kept_heads" not in config


@pytest.mark.parametrize(("kind", "types"), [("bert", True), ("distilbert", False)])
def test_tokenizer_makes_the_inputs_that_the_model_takes(tmp_path: Path, kind: Kind, types: bool) -> None:
    """A DistilBERT student has its teacher's vocabulary, but no segment ids; no input is longer than it can read."""
    student, _ = make_student(tmp_path, kind, QA, 0)
    teacher = AutoTokenizer.from_pretrained(make_checkpoint(tmp_path / "teacher", "bert"))
    teacher.model_max_length = 10_000
    export_model(student, tmp_path / "v1", card_facts=facts(), tokenizer=teacher, onnx=False)
    own = AutoTokenizer.from_pretrained(tmp_path / "v1")
    assert types == ("token_type_ids" in own("one", "two"))
    assert 128 == own.model_max_length
    assert ("token_type_ids" in teacher.model_input_names, 10_000) == (True, teacher.model_max_length)


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    """Nothing is overwritten unless asked for; a replaced folder holds nothing of the old one; no half folder stays."""
    student, tokenizer = make_student(tmp_path, "bert", QA, 0)
    target = tmp_path / "models" / "v1"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    with pytest.raises(ActionRefused, match="already exists"):
        export_model(student, target, card_facts=facts(), tokenizer=tokenizer, onnx=False)
    assert ["old"] == [file.name for file in target.iterdir()]
    files = export_model(student, target, card_facts=facts(), tokenizer=tokenizer, onnx=False, replace=True)
    assert PLAIN == set(files)
    (student / "model.safetensors").unlink()
    with pytest.raises(ConfigError):
        export_model(student, target.with_name("v2"), card_facts=facts(), tokenizer=tokenizer, onnx=False)
    assert ["v1"] == [folder.name for folder in target.parent.iterdir()]


def test_a_copy_that_computes_something_else_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copy is loaded again and compared before it gets its name."""
    student, tokenizer = make_student(tmp_path, "bert", QA, 0)
    other, _ = make_student(tmp_path / "other", "bert", QA, 0, seed=1)
    monkeypatch.setattr(encoder_format, "load_student", lambda folder: load_student(other))
    with pytest.raises(WorkerFailed, match="outputs of the exported copy differ"):
        export_model(student, tmp_path / "v1", card_facts=facts(), tokenizer=tokenizer, onnx=False)
    assert {"init", "other", "student"} == {folder.name for folder in tmp_path.iterdir()}


def test_files_are_private(tmp_path: Path) -> None:
    """As everything in a workspace: folders 0700, files 0600."""
    student, tokenizer = make_student(tmp_path, "bert", QA, 1)
    target = tmp_path / "v1"
    export_model(student, target, card_facts=facts(), tokenizer=tokenizer, onnx=False)
    assert 0o700 == target.stat().st_mode & 0o777
    assert {0o600} == {file.stat().st_mode & 0o777 for file in target.iterdir()}


def test_onnx_is_checked_or_its_absence_is_told(tmp_path: Path) -> None:
    """With the packages there is a model.onnx that was compared; without them one sentence says what to do."""
    student, tokenizer = make_student(tmp_path, "distilbert", QA, 3)
    said: list[str] = []
    files = export_model(student, tmp_path / "v1", card_facts=facts(), tokenizer=tokenizer, say=said.append)
    card = (tmp_path / "v1" / "README.md").read_text()
    if missing_for_onnx():
        assert "model.onnx" not in files
        assert [True] == ["bertdistill-tui[onnx]" in sentence for sentence in said]
    else:
        assert "model.onnx" in files
        assert [] == said
    assert ("model.onnx" in files) == ("`model.onnx`" in card)


def test_absent_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names what is missing, and the export itself succeeds."""
    monkeypatch.setattr(onnx_file, "PACKAGES", ("torch", "no_such_package"))
    student, tokenizer = make_student(tmp_path, "bert", QA, 0)
    said: list[str] = []
    assert PLAIN == set(
        export_model(student, tmp_path / "v1", card_facts=facts(), tokenizer=tokenizer, say=said.append)
    )
    assert ["No ONNX file: no_such_package not installed."] == [sentence.split(" Install")[0] for sentence in said]


def test_model_card_tells_the_numbers(tmp_path: Path) -> None:
    """Scores with intervals, threshold, measures, settings, data and the metadata of the hub."""
    student, _ = make_student(tmp_path, "bert", QA, 3)
    told = facts(
        version=4,
        study="squad2",
        trial=17,
        teacher="org/teacher",
        init="/home/somebody/minilm",
        report={"exact": 66.1249, "f1": 70.0},
        intervals={"exact": (65.0, 67.5)},
        search={"exact": 67.0},
        teacher_search={"exact": 69.5, "null_threshold": 2.0},
        measured={"params": 65_183_618, "latency_cpu_ms": 12.3456, "latency_spread": 1.26, "latency_load": 4.04},
        null_threshold=-0.75,
        remarks=("promoted by force | <b>",),
    )
    text = card_of(told, student)
    for words in (
        "# tiny, version 4",
        "with 2 layers of width 32 and 3, 3 attention heads (by layer), distilled from `org/teacher`",
        "initialised from `minilm`. Study `squad2`, trial 17.",
        "| exact | 66.12 % | 65.00 % to 67.50 % | 67.00 % | 69.50 % |",
        "| f1 | 70.00 % |  |  |  |",
        "by more than -0.75",
        "| 65,183,618 |",
        "| 12.35 ms |",
        "in percent of their median | 1.3 % |",
        "load average of the machine while latency was measured | 4.0 |",
        "| learning_rate | `5e-05` |",
        "| report | `dev.json` |",
        "**Note:** promoted by force / (b)",
    ):
        assert words in text
    assert "somebody" not in text
    data = ModelCard(text).data
    assert (QA, "tiny") == (data.pipeline_tag, data.model_name)
    results = data.eval_results or []
    assert [("exact_match", 0.661249), ("f1", 0.7)] == [(r.metric_type, r.metric_value) for r in results]


@pytest.mark.parametrize(("heads", "left"), [(0, "`4`"), (3, "`3, 3`")])
def test_the_card_shows_sizes_as_they_are(tmp_path: Path, heads: int, left: str) -> None:
    """Not the settings' 0, which means the teacher's, nor what only a student from scratch would have read."""
    student, _ = make_student(tmp_path, "bert", QA, heads)
    text = card_of(facts(init="org/teacher"), student)
    shape = read_shape(tmp_path / "init")
    assert {"hidden_size": "`32`", "head_size": "`8`"} == {k: setting(text, k) for k in ("hidden_size", "head_size")}
    assert [f"`{shape.layers}`", left, f"`{shape.ffn_size}`"] == [
        setting(text, name) for name in ("layers", "heads", "ffn_size")
    ]
    assert ("", heads == 0) == (setting(text, "head_seed"), setting(text, "head_choice") == "")
    assert ["", "", ""] == [setting(text, name) for name in ("layer_list", "vocab_size", "class_weight")]


def test_the_card_names_the_sizes_of_unequal_layers(tmp_path: Path) -> None:
    """In words, in the settings and in the metadata; nothing in it claims that heads were removed."""
    student, _ = make_student(tmp_path, "bert", QA, 0, **UNEQUAL)
    told = replace(facts(init="org/teacher"), settings=Settings(ffn_size=40, ffn_choice="global"))
    text = card_of(told, student)
    assert "with 2 layers of width 32, feed-forward sizes 32, 48 (by layer) and 4 attention heads" in text
    assert ("`32, 48`", "`global`", "`4`") == tuple(setting(text, key) for key in ("ffn_size", "ffn_choice", "heads"))
    tags = ModelCard(text).data.tags
    assert (True, False) == ("pruned-feed-forward" in tags, "pruned-heads" in tags)


def test_the_card_names_the_width_of_projected_hidden_states(tmp_path: Path) -> None:
    """Not that of the config, which says how large a head is."""
    student, _ = make_student(tmp_path, "distilbert", CLASSIFY, 0, hidden_size=27)
    text = card_of(facts(CLASSIFY, init="org/teacher"), student)
    assert "with 2 layers of width 27 and 4 attention heads" in text
    assert ("`27`", "`8`") == (setting(text, "hidden_size"), setting(text, "head_size"))


def setting(card: str, name: str) -> str:
    """The value of a row of the card, empty when there is none."""
    found = re.search(rf"^\| {name} \| (.*) \|$", card, re.M)
    return found[1] if found else ""


def test_the_card_names_the_library_that_loads_the_folder(tmp_path: Path) -> None:
    """With transformers in the metadata, the hub would tell people to call what refuses a student with pruned heads."""
    for heads, library, loads in ((0, "transformers", True), (3, "pytorch", False)):
        student, tokenizer = make_student(tmp_path / str(heads), "bert", QA, heads)
        target = tmp_path / f"v{heads}"
        export_model(student, target, card_facts=facts(), tokenizer=tokenizer, onnx=False)
        card = ModelCard((target / "README.md").read_text())
        assert (library, loads) == (
            card.data.library_name,
            "`from_pretrained` of transformers refuses it" not in card.text,
        )
        with nullcontext() if loads else pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            AutoModelForQuestionAnswering.from_pretrained(target)


def test_model_card_of_hub_data(tmp_path: Path) -> None:
    """A hub data set is named as such, with its splits; without scores the card says so."""
    student, _ = make_student(tmp_path, "bert", CLASSIFY, 0)
    told = replace(facts(CLASSIFY), data=DataSpec(hub="org/reviews"), report={"accuracy": 90.0})
    data = ModelCard(card_of(told, student, onnx=True)).data
    assert ["org/reviews"] == data.datasets
    assert ["validation"] == [result.dataset_split for result in data.eval_results or []]
    assert "not scored on a report split" in card_of(facts(), student)
