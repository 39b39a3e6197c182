"""Teachers of any kind: other architectures and tokenizers, files of outputs, several averaged."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.foreign import CONFIGS, SPECIAL, make_foreign
from tests.preparing import LINES, make_run
from tests.tiny import make_checkpoint
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import FineTuneSpec, MemberSpec, Settings, TeacherSpec, TransferSpec
from bertdistill.engine.distill import labelling
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run

TEXTS = [line.split(";")[0] for line in LINES]
"""Of the training file, in its order."""
Write = Callable[..., Path]


def with_family(run: Run, *families: str, **changes: Any) -> Run:
    """The families that the trials of the study may be of."""
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, families=list(families), **changes))


@pytest.fixture
def outputs(tmp_path: Path) -> Write:
    """A file that says pos for the good films, with rows changed by `change`."""

    def write(change: Callable[[list[dict[str, Any]]], Any] = lambda rows: None, name: str = "outputs.jsonl") -> Path:
        rows = [{"text": text, "probabilities": {"neg": 0.2, "pos": 0.8}} for text in TEXTS if "good" in text]
        rows += [{"text": text, "logits": [1.0, -1.0]} for text in TEXTS if "dull" in text]
        changed = change(rows)
        (tmp_path / name).write_text("\n".join(json.dumps(row) for row in (changed or rows)))
        return tmp_path / name

    return write


# ------------------------------------------------------------------------------------------------------- architectures


@pytest.mark.parametrize("kind", sorted(CONFIGS))
def test_a_teacher_of_any_architecture_labels_texts(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outputs are those of transformers, its classes in the order of the data, and its size is known."""
    monkeypatch.setattr(labelling, "choose_precision", lambda *given: torch.float32)
    folder = make_foreign(tmp_path / "teacher", kind, LINES, ("pos", "neg"))
    facts = prepare(with_family(make_run(tmp_path / "run", TeacherSpec(model=str(folder)), init="teacher"), "mlp"))
    net, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    index = open_features(Path(facts.features["train"])).example_index
    rows = tokenizer(
        [TEXTS[i] for i in _train_rows(facts, index)], padding=True, truncation=True, max_length=16, return_tensors="pt"
    )
    rows.pop("token_type_ids", None)
    with torch.inference_mode():
        expected = net.eval()(**rows).logits.numpy()[:, ::-1]
    found = np.load(Path(facts.outputs) / "outputs.npy")
    assert np.allclose(expected, found, atol=2e-3)
    assert sum(weight.numel() for weight in net.parameters()) == pytest.approx(facts.teacher_params, abs=100)
    assert kind == facts.teacher_shape["architecture"]


def _train_rows(facts: Any, index: Any) -> list[int]:
    """Rows of the file that are trained on: every text is there once."""
    tokenizer = AutoTokenizer.from_pretrained(facts.units[""].tokenizer)
    features = open_features(Path(facts.features["train"]))
    lengths = features.offsets
    spelt = [features.input_ids[lengths[i] : lengths[i + 1]].tolist() for i in range(len(index))]
    known = {tuple(tokenizer(text, truncation=True, max_length=16)["input_ids"]): n for n, text in enumerate(TEXTS)}
    return [known[tuple(ids)] for ids in spelt]


def test_a_teacher_of_another_architecture_is_fine_tuned(tmp_path: Path) -> None:
    """Trained, saved, found again by the next study."""
    folder = make_foreign(tmp_path / "teacher", "deberta-v2", LINES)
    tune = TeacherSpec(model=str(folder), fine_tune=FineTuneSpec(epochs=6, learning_rate=1e-2, batch_size=8))
    facts = prepare(with_family(make_run(tmp_path / "run", tune, init="scratch"), "transformer"))
    again = prepare(with_family(make_run(tmp_path / "again", tune, init="scratch"), "transformer"))
    assert facts.teacher_folder == again.teacher_folder != str(folder)
    assert facts.teacher_metrics["accuracy"] > 80
    assert ("bert", 512) == (facts.init_shape["architecture"], facts.init_shape["positions"])


def test_students_are_not_cut_from_another_architecture(tmp_path: Path) -> None:
    """Their sizes would not be known; tiny students and those from scratch need no such teacher."""
    folder = make_foreign(tmp_path / "teacher", "electra", LINES)
    run = make_run(tmp_path / "run", TeacherSpec(model=str(folder)), init="teacher")
    with pytest.raises(ConfigError, match="cannot be cut from a model of the architecture electra") as refused:
        prepare(with_family(run, "mlp", "transformer"))
    assert 'student.init to a checkpoint of bert, distilbert, roberta or to "scratch"' in refused.value.hint


def test_longer_texts_than_another_architecture_reads_are_refused(tmp_path: Path) -> None:
    folder = make_foreign(tmp_path / "teacher", "mpnet", LINES)
    with pytest.raises(ConfigError, match="reads at most 64 tokens"):
        prepare(make_run(tmp_path / "run", TeacherSpec(model=str(folder)), max_length=72))


def test_students_of_another_checkpoint_keep_its_tokenizer(tmp_path: Path) -> None:
    """Rows stay the same, so that the outputs fit; for words of answers they would not."""
    folder = make_foreign(tmp_path / "teacher", "xlm-roberta", LINES)
    init = make_checkpoint(tmp_path / "init", "bert", texts=LINES)
    run = make_run(tmp_path / "run", TeacherSpec(model=str(folder)), init=str(init), importance=True)
    facts = prepare(with_family(run, "transformer"))
    assert {"", "init"} == set(facts.units)
    theirs, ours = (open_features(Path(facts.features_of("train", units))) for units in ("", "init"))
    assert np.array_equal(theirs.targets, ours.targets)
    assert not np.array_equal(theirs.offsets, ours.offsets)
    assert str(init) == facts.units["init"].tokenizer
    assert "bert" == facts.init_shape["architecture"]


# --------------------------------------------------------------------------------------------------------------- files


def test_a_file_is_a_teacher(tmp_path: Path, outputs: Write) -> None:
    """Probabilities become logarithms, logits stay; it is scored where it covers the validation split."""
    run = with_family(make_run(tmp_path / "run", TeacherSpec(outputs=str(outputs()))), "mlp")
    facts = prepare(run)
    found = np.load(Path(facts.outputs) / "outputs.npy")
    targets = open_features(Path(facts.features["train"])).targets
    assert np.allclose(found[targets == 1], np.log([0.2, 0.8]), atol=1e-2)
    assert np.allclose(found[targets == 0], [1.0, -1.0], atol=1e-2)
    assert 100.0 == facts.teacher_metrics["accuracy"]
    assert ("", {}, 0) == (facts.teacher_folder, facts.teacher_shape, facts.teacher_params)
    assert facts.init_shape["vocab_size"] == facts.units[""].size


def test_rows_can_be_named_by_their_number(tmp_path: Path, outputs: Write) -> None:
    path = outputs(lambda rows: [{"id": float(n) if n % 2 else n, "logits": [n, 0.0]} for n in range(60)])
    facts = prepare(with_family(make_run(tmp_path / "run", TeacherSpec(outputs=str(path))), "mlp"))
    first = np.load(Path(facts.outputs) / "outputs.npy")[:, 0]
    assert 54 == len(set(first.tolist()))


def test_an_id_of_another_text_is_refused(tmp_path: Path, outputs: Write) -> None:
    """A file over other data, or over the same in another order, would teach the wrong labels in silence."""
    rows = [{"id": n, "text": TEXTS[n], "logits": [n, 0.0]} for n in range(60)]
    prepare(with_family(make_run(tmp_path / "a", TeacherSpec(outputs=str(outputs(lambda _: rows)))), "mlp"))
    turned = [{**row, "id": 59 - n} for n, row in enumerate(rows)]
    run = make_run(tmp_path / "b", TeacherSpec(outputs=str(outputs(lambda _: turned, "turned.jsonl"))))
    with pytest.raises(ConfigError, match=r"id \d+ has the text '.*', but that row of data.train is '"):
        prepare(with_family(run, "mlp"))


def test_a_file_beside_a_model_leaves_it_tokens_and_weights(tmp_path: Path, outputs: Write) -> None:
    model = make_checkpoint(tmp_path / "teacher", "bert", texts=LINES)  # without a head
    teacher = TeacherSpec(model=str(model), outputs=str(outputs()))
    facts = prepare(with_family(make_run(tmp_path / "run", teacher, init="teacher"), "transformer"))
    assert (str(model), "") == (facts.init_folder, facts.teacher_folder)
    assert 100.0 == facts.teacher_metrics["accuracy"]


def test_scores_are_unknown_where_the_file_lacks_the_validation_split(tmp_path: Path, outputs: Write) -> None:
    whole = with_family(make_run(tmp_path / "whole", TeacherSpec(outputs=str(outputs()))), "mlp")
    trained = {TEXTS[i] for i in _train_rows(prepare(whole), range(54))}
    path = outputs(lambda rows: [row for row in rows if row["text"] in trained], "less.jsonl")
    run = with_family(make_run(tmp_path / "run", TeacherSpec(outputs=str(path))), "mlp")
    assert {} == prepare(run).teacher_metrics
    assert "has no outputs for 6 of 6 texts" in run.paths.events.read_text()


def drop(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[:10]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop, r"outputs\.jsonl \(teacher\.outputs\) has no outputs for \d+ of 54 texts, the first is '"),
        (lambda rows: rows.append(rows[0]), r"row 61: a second row for text 'a good film number 0'"),
        (lambda rows: rows[1].update(probabilities={"neg": 0.1, "meh": 0.9}), r"row 2: probabilities names 'meh'"),
        (lambda rows: rows[1].update(probabilities={"pos": 1.0}), "row 2: probabilities has no number for the label"),
        (lambda rows: rows[1].update(probabilities=[0.1, 0.2, 0.7]), "row 2: probabilities must be 2 numbers"),
        (
            lambda rows: rows[1].update(probabilities=[0.5, float("nan")]),
            "has nan, which is not a finite number",
        ),
        (
            lambda rows: rows[1].update(probabilities=[0.5, 10**400]),
            r"has 1000\d*\.\.\.0+, which is not a finite number",
        ),
        (
            lambda rows: rows[1].update(probabilities=["x" * 9999, 0.5]),
            r"has 'x+\.\.\.x+', which is not a finite number",
        ),
        (lambda rows: rows[1].update(probabilities={"y" * 9999: 1.0}), r"names 'y+\.\.\.y+', which is not one of"),
        (lambda rows: rows[1].update(probabilities=[0.5, 0.9]), "must be 0 or more and add up to 1"),
        (lambda rows: rows[1].update(logits=[0.5, 0.9]), "must have either probabilities or logits"),
        (lambda rows: rows[59].update(logits=[7e4, 0.0]), r"row 60: logits \[70000, 0\] go beyond 1000"),
        (lambda rows: rows[1].pop("text"), "row 2 has neither an id nor a text"),
        (lambda rows: ["text"], "expected one JSON object per line"),
    ],
)
def test_a_file_that_cannot_teach_is_refused(
    tmp_path: Path, outputs: Write, change: Callable[[Any], Any], message: str
) -> None:
    path = outputs(lambda rows: found if isinstance(found := change(rows), list) else None)
    with pytest.raises(ConfigError, match=message):
        prepare(with_family(make_run(tmp_path / "run", TeacherSpec(outputs=str(path))), "mlp"))


def test_a_transfer_set_needs_rows_of_the_file(tmp_path: Path, outputs: Write) -> None:
    """A file knows no other texts; those that it does know may be a transfer set."""
    run = with_family(make_run(tmp_path / "run", TeacherSpec(outputs=str(outputs()))), "mlp")
    report = tmp_path / "report.txt"
    report.write_text("a play;pos\nno play;neg\n")
    data = dataclasses.replace(run.spec.data, max_train_examples=20, report=str(report))
    words = with_family(run, "mlp", data=data, transfer=[TransferSpec("words")])
    with pytest.raises(ConfigError, match="has no outputs for") as refused:
        prepare(words)
    assert "remove [[transfer]]" in refused.value.hint
    same = with_family(run, "mlp", data=data, transfer=[TransferSpec("file", path=run.spec.data.train)])
    assert 34 == prepare(same).transfer_features


@pytest.mark.parametrize("flips", [True, False])
def test_labels_are_made_in_the_arithmetic_that_flips_few_predictions(
    tmp_path: Path, flips: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fp32 if too many predictions of a sample differ from it, which is said once; else in the fast one."""
    used: list[torch.dtype] = []
    real = labelling.predict

    def predict(*given: Any, precision: torch.dtype, **more: Any) -> Any:
        used.append(precision)
        found = real(*given, precision=torch.float32, **more)
        return -found if flips and precision == torch.bfloat16 else found

    monkeypatch.setattr(labelling, "predict", predict)
    monkeypatch.setattr(labelling, "choose_precision", lambda *given: torch.bfloat16)
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    run = with_family(make_run(tmp_path / "run", TeacherSpec(model=str(teacher)), labels=("neg", "pos")), "mlp")
    prepare(run)
    first, wanted = used[2], torch.float32 if flips else torch.bfloat16
    assert ([torch.bfloat16, torch.float32], {wanted}) == (used[:2], {first, *used[2:]})
    [said] = [line for line in run.paths.events.read_text().splitlines() if "the teacher labels in" in line]
    assert ("float32: in bfloat16, " in said) == flips


# ------------------------------------------------------------------------------------------------------------- several


def test_probabilities_of_several_teachers_are_averaged(tmp_path: Path, outputs: Write) -> None:
    """By their weights, whatever their tokenizers and whether they are models or files."""
    first = make_checkpoint(tmp_path / "first", "bert", head="cls", texts=LINES)
    second = make_foreign(tmp_path / "second", "electra", LINES)
    given = ("neg", "pos")
    prepared: dict[str, Prepared] = {}

    def mean_of(name: str, teacher: TeacherSpec) -> Any:
        run = with_family(make_run(tmp_path / name, teacher, labels=given), "mlp", measure=["latency_cpu_ms"])
        facts = prepared[name] = prepare(run)
        return np.load(Path(facts.outputs) / "outputs.npy").astype(np.float64)

    def softmax(logits: Any) -> Any:
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    members = [MemberSpec(model=str(second), weight=2.0), MemberSpec(outputs=str(outputs()), weight=5.0)]
    found = mean_of("all", TeacherSpec(model=str(first), weight=1.0, ensemble=members))
    each = [
        softmax(mean_of(name, teacher))
        for name, teacher in (
            ("a", TeacherSpec(model=str(first))),
            ("b", TeacherSpec(model=str(second))),
            ("c", TeacherSpec(outputs=str(outputs()))),
        )
    ]
    facts = prepared["all"]
    assert (1, True) == (len(facts.ensemble), facts.ensemble[0].params > 0)  # a file costs nothing
    alone, both = prepared["a"].teacher_costs, facts.teacher_costs
    assert both["latency_cpu_ms"] > 0
    assert (True, False) == (both["latency_ratio"] > 1, "latency_ratio" in alone)
    assert {} == prepared["c"].teacher_costs
    expected = (1 * each[0] + 2 * each[1] + 5 * each[2]) / 8
    assert np.abs(np.exp(found) - expected).max() < 5e-3


def test_a_member_with_another_tokenizer_is_another_teacher(tmp_path: Path) -> None:
    """Its weights are the same, but not what they read: outputs of the old tokenizer must not be reused."""
    first = make_checkpoint(tmp_path / "first", "bert", head="cls", texts=LINES)
    second = make_foreign(tmp_path / "second", "electra", LINES)
    teacher = TeacherSpec(model=str(first), ensemble=[MemberSpec(model=str(second))])
    run = with_family(make_run(tmp_path / "run", teacher), "mlp")
    before = np.load(Path(prepare(run).outputs) / "outputs.npy")
    path = second / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary[len(SPECIAL) :] = vocabulary[: len(SPECIAL) - 1 : -1]  # other ids for the same pieces
    path.write_text(json.dumps(content))
    after = np.load(Path(prepare(run).outputs) / "outputs.npy")
    assert not np.array_equal(before, after)


def test_every_setting_of_a_student_is_planned_without_a_teacher_model(tmp_path: Path, outputs: Write) -> None:
    """From scratch, the keys of [teacher] are the default widths."""
    from bertdistill.engine.families.transformer import TRANSFORMER

    teacher = TeacherSpec(outputs=str(outputs()), hidden_size=32, head_size=8, ffn_size=16, layers=1)
    facts = prepare(with_family(make_run(tmp_path / "run", teacher), "transformer"))
    plan = TRANSFORMER.plan(facts, Settings(head_size=8), scratch=True)
    assert (32, 1) == (plan.shape.hidden_size, plan.shape.layers)
