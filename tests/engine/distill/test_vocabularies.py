"""Transformers with smaller vocabularies, from a preparation to a verified export, in this process."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.preparing import LINES, make_run
from tests.tiny import TEXTS, make_checkpoint
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.cascade import Part, Router
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import CHECKPOINT, NOTICE, EventWriter, parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths, file_sha256
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.report import ReportOrder
from bertdistill.engine.contract.spec import DataSpec, Settings, TeacherSpec, TransferSpec
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.distill.data.examples import split_examples
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.export.answer import answer, classify
from bertdistill.engine.distill.export.cascade import verify_cascade
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.export.report_scores import score_models
from bertdistill.engine.distill.export.scoring import open_tokenizer
from bertdistill.engine.distill.families.encoder import ENCODERS
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.distill.vocabularies import for_trial
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.question_answering import TASK as QUESTIONS
from bertdistill.engine.tasks.text_classification import TASK

CPU = torch.device("cpu")
LARGEST = 1000
CUT: dict[str, Any] = {"vocab_size": 100}
NEW: dict[str, Any] = {"vocab_size": 110, "vocabulary": "new"}
COMMON: dict[str, Any] = {"batch_size": 8, "epochs": 2.0, "evaluations": 2, "precision": "fp32", "learning_rate": 1e-3}


class StopAfter(threading.Event):
    """A stop that is requested while training is under way, whatever the machine's speed."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.left = reads

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


def promotion_of(best: dict[str, Any], metrics: dict[str, float], target: Path) -> Promotion:
    """Verify this checkpoint and export it."""
    return Promotion(
        checkpoint=Path(best["folder"]),
        sha256=best["sha256"],
        target=target,
        name="tiny",
        version=1,
        recorded=metrics,
        samples=20,
    )


@pytest.fixture(scope="module", name="study")
def _study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AttemptSpec]:
    """Its teacher knows words that the data does not have; its transfer set has another one of them."""
    root = tmp_path_factory.mktemp("study")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=[*LINES, *TEXTS])
    (root / "more.txt").write_text("a quick film\na lazy film\n", encoding="utf-8")
    transfer = [TransferSpec(kind="file", path=str(root / "more.txt"))]
    run = make_run(root / "run", TeacherSpec(model=str(teacher)), init="teacher", transfer=transfer, max_length=32)
    report = root / "report.txt"
    report.write_text("\n".join(f"such a {w} film;{label}" for w, label in [("good", "pos"), ("dull", "neg")] * 9))
    data = dataclasses.replace(run.spec.data, report=str(report))
    spec = dataclasses.replace(
        run.spec, data=data, families=["transformer"], vocabularies={"cut": [100, LARGEST], "new": [110]}
    )
    facts = prepare(dataclasses.replace(run, spec=spec))
    return root, dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, select_metric="accuracy")


def attempt(spec: AttemptSpec, folder: Path, stop: threading.Event | None = None) -> Run:
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    return Run(spec, paths, EventWriter(paths.events), stop or threading.Event(), CPU)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    parsed = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    return [one for one in parsed if one and one["k"] == kind]


def with_settings(spec: AttemptSpec, **settings: Any) -> AttemptSpec:
    return dataclasses.replace(spec, settings=Settings(**COMMON | settings))


def known(spec: AttemptSpec) -> dict[str, float]:
    plan = TRANSFORMER.plan(spec.prepared, spec.settings, scratch=False)
    return TRANSFORMER.known(plan, TASK, spec.prepared)


@pytest.mark.parametrize(
    "settings",
    [{"vocab_size": LARGEST}, CUT, NEW, {**CUT, "embedding_rank": 8}],
    ids=["all", "cut", "new", "low rank"],
)
def test_sizes_are_exact_before_training(
    settings: dict[str, Any], study: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """Parameters are those of the built model, and operations those of texts as it reads them."""
    spec = with_settings(study[1], layers=1, **settings)
    run = for_trial(attempt(spec, tmp_path / "trial"))
    model = ENCODERS.build(run.spec)
    assert known(spec)["params"] == sum(one.numel() for one in model.net.parameters())
    labelled = open_features(Path(run.spec.prepared.features_of("train", model.units))).part(
        0, spec.prepared.train_features
    )
    assert known(spec)["gflops"] == pytest.approx(
        known(dataclasses.replace(spec, prepared=_of_length(spec.prepared, float(np.mean(labelled.lengths)))))["gflops"]
    )
    assert len(model.tokenizer) == model.net.config.vocab_size


def _of_length(facts: Prepared, length: float) -> Prepared:
    """The facts of a study whose texts have this length in every vocabulary."""
    kinds = {name: dataclasses.replace(one, lengths=((1, length),)) for name, one in facts.vocabulary.kinds.items()}
    return dataclasses.replace(facts, vocabulary=dataclasses.replace(facts.vocabulary, kinds=kinds))


def test_with_all_pieces_of_the_training_text_nothing_changes_but_the_size(
    study: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """The labelled texts read the same pieces, and an untrained student gives the same outputs to the last bit."""
    spec = with_settings(study[1], vocab_size=LARGEST)
    run = for_trial(attempt(spec, tmp_path / "trial"))
    whole, smaller = ENCODERS.build(with_settings(study[1])), ENCODERS.build(run.spec)
    assert sum(p.numel() for p in smaller.net.parameters()) < sum(p.numel() for p in whole.net.parameters())
    train, _ = split_examples(spec)
    before = AutoTokenizer.from_pretrained(spec.prepared.vocabulary.tokenizer)
    texts = [row.text for row in train.rows]
    assert [before.tokenize(text) for text in texts] == [smaller.tokenizer.tokenize(text) for text in texts]
    with torch.no_grad():
        one, other = (
            model.net.eval()(**tokenizer(texts[:4], return_tensors="pt", padding=True)).logits
            for model, tokenizer in ((whole, before), (smaller, smaller.tokenizer))
        )
    assert torch.equal(one, other)
    assert spec.prepared.vocabulary.kinds["cut"].labelled == len(smaller.tokenizer) < len(before)


def test_words_fall_into_what_is_left_and_none_becomes_unknown(study: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """The rarest words of the counts are divided; what that does to both splits is reported."""
    run = attempt(with_settings(study[1], vocab_size=100), tmp_path / "trial")
    facts = for_trial(run).spec.prepared
    tokenizer = AutoTokenizer.from_pretrained(facts.units_of("cut-100").tokenizer)
    assert (100, ["l", "##a", "##z", "##y"]) == (len(tokenizer), tokenizer.tokenize("LAZY"))
    assert ["a", "film"] == tokenizer.tokenize("a film")  # the most frequent ones
    texts = [one["text"] for one in events(run, NOTICE)]
    assert 2 == len(texts)
    assert all("pieces per word 1.0" in text and "; 0 more unknown words" in text for text in texts)
    assert facts.units_of("cut-100").mean_length > study[1].prepared.mean_length


def test_the_transfer_set_is_read_again_and_its_words_count_when_it_is_used(
    study: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """Outputs of the teacher belong to rows, so the rows must be the same ones."""
    alone = with_settings(study[1], vocab_size=LARGEST)
    both = with_settings(study[1], vocab_size=LARGEST, transfer_share=0.5)
    assert known(both)["params"] - known(alone)["params"] == 2 * 32  # quick and lazy
    for name, spec in (("alone", alone), ("both", both)):
        run = for_trial(attempt(spec, tmp_path / name))
        own = TRANSFORMER.units(spec.prepared, spec.settings)
        now, then = (open_features(Path(run.spec.prepared.features_of("train", units))) for units in (own, ""))
        assert len(now) == len(then)
        assert np.array_equal(now.targets, then.targets)
    assert np.array_equal(now.lengths, then.lengths)  # with both, every text reads as before


@pytest.mark.parametrize("settings", [CUT, NEW], ids=["cut", "new"])
def test_a_student_is_verified_and_answers_with_its_own_tokenizer(
    settings: dict[str, Any], study: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """Checkpoint and export hold it; the export gives the probabilities of the checkpoint."""
    spec = with_settings(study[1], layers=1, transfer_share=0.25, **settings)
    run = attempt(spec, tmp_path / "trial")
    metrics = run_trial(run)
    best = events(run, CHECKPOINT)[-2 if events(run, CHECKPOINT)[-1]["role"] == "last" else -1]
    assert metrics["params"] == known(spec)["params"]
    assert metrics["tokenizer_ms"] > 0
    order = promotion_of(best, metrics, tmp_path / "v1")
    promoted = dataclasses.replace(spec, kind="promote", promote=order)
    again = attempt(promoted, tmp_path / "verification")
    found = verify(promoted, again.events, again.paths, stop=again.stop, device=CPU)
    assert ("", metrics["params"]) == (found["report"]["problem"], found["metrics"]["params"])
    model = ENCODERS.load(order.checkpoint)
    assert model.tokenizer is not None
    inputs = model.tokenizer("such a good film", return_tensors="pt")
    with torch.no_grad():
        wanted = model.net(**inputs).logits.softmax(-1)[0].tolist()
    given = classify(order.target, "such a good film")["probabilities"]
    assert wanted == pytest.approx([given["neg"], given["pos"]], abs=1e-3)
    assert f"| vocab_size | `{settings['vocab_size']}` |" in (order.target / "README.md").read_text()


def test_a_resumed_student_has_the_same_weights(study: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """To the last bit."""
    spec = with_settings(study[1], layers=1, vocab_size=100)
    whole = attempt(spec, tmp_path / "whole")
    run_trial(whole)
    stopped = attempt(spec, tmp_path / "stopped", StopAfter(4))
    with pytest.raises(Stopped):
        run_trial(stopped)
    assert 0 < len(list(stopped.paths.checkpoints.glob("last-*")))
    resumed = attempt(dataclasses.replace(spec, resume_from=str(stopped.paths.last.resolve())), tmp_path / "resumed")
    run_trial(resumed)
    first, second = (run.paths.last.resolve() / "model.safetensors" for run in (whole, resumed))
    assert first.read_bytes() == second.read_bytes()


def test_a_new_vocabulary_starts_from_means_of_the_old_pieces(study: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """A piece that both have keeps its embedding (Gee et al. 2022)."""
    spec = with_settings(study[1], vocab_size=110, vocabulary="new")
    model = ENCODERS.build(for_trial(attempt(spec, tmp_path / "trial")).spec)
    old = load_file(Path(spec.prepared.init_folder) / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    before = AutoTokenizer.from_pretrained(spec.prepared.vocabulary.tokenizer)
    table = model.net.get_input_embeddings().weight
    numbers, known_pieces = model.tokenizer.get_vocab(), before.get_vocab()
    added = [piece for piece in numbers if piece not in known_pieces]
    assert added
    assert torch.equal(table[numbers["film"]], old[known_pieces["film"]])
    for piece in added:
        word = piece.removeprefix("##")
        parts = [f"##{letter}" for letter in word] if piece.startswith("##") else before.tokenize(word)
        assert torch.allclose(table[numbers[piece]], old[[known_pieces[part] for part in parts]].mean(0), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vocab_size": 20}, "20, but .* special tokens and characters must stay"),
        ({"vocab_size": 100, "vocabulary": "other"}, "did not count the pieces of a vocabulary of the kind other"),
    ],
)
def test_what_cannot_be_had_is_refused(settings: dict[str, Any], words: str, study: tuple[Path, AttemptSpec]) -> None:
    """Before anything is built."""
    with pytest.raises(ConfigError, match=words):
        known(with_settings(study[1], **settings))


def test_what_older_versions_prepared_keeps_its_meaning(study: tuple[Path, AttemptSpec]) -> None:
    """They stored vocab_size = 5000 with every transformer, for which it meant nothing."""
    older = {key: value for key, value in study[1].prepared.to_dict().items() if key != "vocabulary"}
    facts = Prepared.from_dict(json.loads(json.dumps(older)))
    whole, stored = (TRANSFORMER.plan(facts, Settings(vocab_size=size), scratch=False) for size in (0, 5000))
    assert whole == stored


def test_the_facts_survive_json(study: tuple[Path, AttemptSpec]) -> None:
    """Study.prepared is JSON."""
    facts = study[1].prepared
    assert facts.vocabulary.kinds["new"].lengths
    assert facts == Prepared.from_dict(json.loads(json.dumps(facts.to_dict())))


def test_a_tokenizer_that_cannot_be_cut_says_why(tmp_path: Path) -> None:
    """RoBERTa's pieces are made by merges."""
    teacher = make_checkpoint(tmp_path / "teacher", "roberta", head="cls", texts=LINES)
    run = make_run(tmp_path / "run", TeacherSpec(model=str(teacher)), init="teacher")
    facts = prepare(dataclasses.replace(run, spec=dataclasses.replace(run.spec, vocabularies={"cut": [100]})))
    with pytest.raises(ConfigError, match=r"cannot be made smaller: its tokenizer is BPE"):
        TRANSFORMER.plan(facts, Settings(vocab_size=100), scratch=False)


# ------------------------------------------------------------------------------------------------- question answering


@pytest.fixture(scope="module", name="questions")
def _questions(tmp_path_factory: pytest.TempPathFactory) -> AttemptSpec:
    root = tmp_path_factory.mktemp("questions")
    files = write_demo(root / "data", articles=6)
    texts = [
        text
        for article in json.loads(files.train.read_text())["data"]
        for paragraph in article["paragraphs"]
        for text in (paragraph["context"], *(one["question"] for one in paragraph["qas"]))
    ]
    teacher = make_checkpoint(root / "teacher", "bert", head="qa", texts=[*texts, *TEXTS], positions=96)
    run = make_run(root / "run", TeacherSpec(model=str(teacher)), init="teacher", labels=())
    data = DataSpec(train=str(files.train), report=str(files.report), max_length=64, doc_stride=16)
    spec = dataclasses.replace(
        run.spec, task="question-answering", data=data, families=["transformer"], vocabularies={"cut": [150, LARGEST]}
    )
    facts = prepare(dataclasses.replace(run, spec=spec))
    return dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, select_metric="f1")


def test_a_student_of_questions_has_windows_of_its_own_tokens(questions: AttemptSpec, tmp_path: Path) -> None:
    """It learns from the teacher's windows and logits, is scored on its own windows, and answers from its export."""
    spec = with_settings(questions, layers=1, vocab_size=150, epochs=1.0)
    run = attempt(spec, tmp_path / "trial")
    metrics = run_trial(run)
    assert (
        metrics["params"]
        == TRANSFORMER.known(TRANSFORMER.plan(spec.prepared, spec.settings, scratch=False), QUESTIONS, spec.prepared)[
            "params"
        ]
    )
    assert any("fill max_length = 64" in one["text"] for one in events(run, NOTICE))
    read = for_trial(attempt(spec, tmp_path / "again")).spec.prepared
    now, then = (open_features(Path(read.features_of("train", units))) for units in (model_units(spec), ""))
    has, had = (int((one.targets[:, 0] > 0).sum()) for one in (now, then))
    assert 0 < has < had
    warned = [one["text"] for one in events(run, NOTICE) if one["level"] == "warning"]
    assert any(f"{had - has:,} of {had:,} windows lose their answer" in text for text in warned)
    best = next(one for one in reversed(events(run, CHECKPOINT)) if one["role"] == "best")
    order = promotion_of(best, metrics, tmp_path / "v1")
    promoted = dataclasses.replace(spec, kind="promote", promote=order)
    again = attempt(promoted, tmp_path / "verification")
    assert "" == verify(promoted, again.events, again.paths, stop=again.stop, device=CPU)["report"]["problem"]
    passage = "In 1912 a clever engineer built 42 bridges of steel, wood and stone!"
    assert answer(order.target, question="What is built?", context=passage)["best_span"] in passage


def model_units(spec: AttemptSpec) -> str:
    return TRANSFORMER.units(spec.prepared, spec.settings)


def test_with_all_pieces_windows_and_outputs_are_the_teachers(questions: AttemptSpec, tmp_path: Path) -> None:
    """Nothing is lost where nothing has to be."""
    spec = with_settings(questions, vocab_size=LARGEST)
    run = for_trial(attempt(spec, tmp_path / "trial"))
    own = TRANSFORMER.units(spec.prepared, spec.settings)
    now, then = (open_features(Path(run.spec.prepared.features_of("train", units))) for units in (own, ""))
    assert np.array_equal(now.offsets, then.offsets)
    assert np.array_equal(now.targets, then.targets)
    mine, theirs = (np.load(Path(one.prepared.outputs) / "outputs.npy") for one in (run.spec, spec))
    assert np.array_equal(mine, theirs)
    assert spec.prepared.vocabulary.kinds["cut"].lengths[-1][1] == pytest.approx(spec.prepared.mean_length)


# ------------------------------------------------------------------------------------------------------ other readers


@pytest.fixture(scope="module", name="checkpoint")
def _checkpoint(study: tuple[Path, AttemptSpec], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AttemptSpec]:
    """An untrained student whose words are mostly in pieces."""
    folder = tmp_path_factory.mktemp("student")
    spec = with_settings(study[1], vocab_size=CUT["vocab_size"])
    ENCODERS.build(for_trial(attempt(spec, folder / "trial")).spec).save(folder / "model")
    return folder / "model", spec


def accuracy(spec: AttemptSpec, folder: Path) -> float:
    """On the report split, by transformers alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [line.split(";") for line in Path(spec.data.report).read_text().splitlines()]
    with torch.no_grad():
        logits = model(**tokenizer([text for text, _ in rows], return_tensors="pt", padding=True)).logits
    chosen = [spec.prepared.labels[one] for one in logits.argmax(1)]
    return 100 * float(np.mean([label == one for (_, label), one in zip(rows, chosen, strict=True)]))


def test_a_cascade_reads_with_the_tokenizer_of_each_member(
    checkpoint: tuple[Path, AttemptSpec], tmp_path: Path
) -> None:
    """Its cost counts both of them."""
    folder, spec = checkpoint
    digest = file_sha256(folder / "model.safetensors")
    router = Router(Part("#0", folder, digest, "float32"), Part("teacher", precision="float32"), 1.0, 0.6, 0.5)
    order = Promotion(
        checkpoint=folder,
        sha256=digest,
        target=tmp_path / "v1",
        name="both",
        version=1,
        recorded={},
        force=True,
        samples=20,
        cascade=router,
    )
    found = verify_cascade(attempt(dataclasses.replace(spec, kind="promote", promote=order), tmp_path / "promotion"))
    scores = found["report"]["cascade"]
    teacher = Path(spec.prepared.teacher_folder)
    assert scores["small"]["accuracy"] == pytest.approx(accuracy(spec, folder))
    assert scores["large"]["accuracy"] == pytest.approx(accuracy(spec, teacher))
    assert scores["mean_cost_ms"] > found["metrics"]["latency_cpu_ms"]
    sizes = [len(AutoTokenizer.from_pretrained(order.target / name)) for name in ("small", "large")]
    assert [CUT["vocab_size"], len(AutoTokenizer.from_pretrained(teacher))] == sizes


def test_a_ladder_reads_with_its_tokenizer(checkpoint: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """The score on the report split is that of the model."""
    folder, spec = checkpoint
    order = ReportOrder("key", "trial 0", str(folder), file_sha256(folder / "model.safetensors"), precision="fp32")
    run = attempt(dataclasses.replace(spec, kind="report", report=(order,)), tmp_path / "report")
    score_models(run)
    found = json.loads((run.caches / "reports/key/scores.json").read_text())
    assert found["scores"]["accuracy"] == pytest.approx(accuracy(spec, folder))


def test_word_order_is_measured_with_its_tokenizer(checkpoint: tuple[Path, AttemptSpec]) -> None:
    """The tokenizer of the preparation has other numbers for the same words."""
    folder, spec = checkpoint
    assert CUT["vocab_size"] == len(open_tokenizer(spec, load_model(folder)))
