"""The preparation: what it refuses before anything is trained, what its caches are named by, what it leaves behind."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.preparing import LINES, make_run, split_report
from tests.tiny import make_checkpoint
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.contract.spec import (
    FineTuneSpec,
    Settings,
    TeacherSpec,
    TransferSpec,
)
from bertdistill.engine.distill import labelling, weighing
from bertdistill.engine.distill import teacher as teaching
from bertdistill.engine.distill.data.examples import NO_LABEL
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.data.units import frequent_ids
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.evaluate import Evaluator
from bertdistill.engine.families.tiny import plan_reading
from bertdistill.engine.families.widths import importance_blocks


def test_a_teacher_without_tokenizer_files_is_refused(tmp_path: Path) -> None:
    """transformers makes an empty vocabulary of them, and every word would be [UNK] without a word said."""
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    for file in teacher.iterdir():
        if file.name not in ("config.json", "model.safetensors"):
            file.unlink()
    with pytest.raises(ConfigError, match="no tokenizer files"):
        prepare(make_run(tmp_path / "run", TeacherSpec(model=str(teacher))))


def test_a_missing_report_file_is_refused_before_the_search(tmp_path: Path) -> None:
    """Only a promotion reads it; without this, a typo would show after the whole search."""
    run = make_run(tmp_path / "run", TeacherSpec(model="scratch", fine_tune=FineTuneSpec()))
    spec = dataclasses.replace(run.spec, data=dataclasses.replace(run.spec.data, report="nowhere.txt"))
    with pytest.raises(ConfigError, match=r"nowhere\.txt \(data\.report\)"):
        prepare(dataclasses.replace(run, spec=spec))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("index,sentence\n0,a good film\n1,a dull film\n", r"dev\.csv \(data\.report\): set data\.label_column"),
        ("sentence,label\na good film,-1\na dull film,-1\n", r"has no labels \(they are all -1\)"),
        ("sentence,label\na good film,fine\n", "label 'fine', which is not one of neg, pos"),
        ("sentence1,sentence2,label\na good film,so,pos\n", "a second sentence per example, but the training data"),
    ],
)
def test_a_report_that_cannot_be_scored_is_refused_before_the_search(
    tmp_path: Path, content: str, message: str
) -> None:
    """A test file without labels: without this, the first promotion would say so, after the whole search."""
    run = make_run(tmp_path / "run", TeacherSpec(model="scratch", fine_tune=FineTuneSpec()))
    report = tmp_path / "dev.csv"
    report.write_text(content)
    spec = dataclasses.replace(run.spec, data=dataclasses.replace(run.spec.data, report=str(report)))
    with pytest.raises(ConfigError, match=message):
        prepare(dataclasses.replace(run, spec=spec))


def test_separate_layers_need_two_segments(tmp_path: Path) -> None:
    """Nothing can be separated in single sentences: said before a teacher is trained. A bag of words ignores it."""
    run = make_run(tmp_path / "run", TeacherSpec(model="scratch", fine_tune=FineTuneSpec()))
    spec = dataclasses.replace(run.spec, settings=Settings(separate_layers=1), families=["transformer", "mlp"])
    with pytest.raises(ConfigError, match="single sentences: there is nothing to separate") as no:
        prepare(dataclasses.replace(run, spec=spec))
    assert "data.text_pair_column" in no.value.hint


def test_tokens_without_embeddings_are_refused(tmp_path: Path) -> None:
    """Tokens were added and the model was not resized: the look-up would crash, on a GPU with an assertion."""
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    tokenizer = AutoTokenizer.from_pretrained(teacher)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<user>", "<url>"])
    tokenizer.save_pretrained(teacher)
    with pytest.raises(
        ConfigError, match=rf"{rows + 2} entries, but the model has {rows} embeddings: .*'<user>'"
    ) as no:
        prepare(make_run(tmp_path / "run", TeacherSpec(model=str(teacher))))
    assert str(teacher) in str(no.value)
    assert "resize_token_embeddings" in no.value.hint


def test_numbered_classes_need_an_order_that_a_person_gave(tmp_path: Path) -> None:
    """LABEL_0 and LABEL_1 in sorted order would be a guess, and a wrong one is a teacher at 0 %."""
    teacher = TeacherSpec(model=str(make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)))
    with pytest.raises(ConfigError, match="names its classes LABEL_0, LABEL_1, so it is unknown which of them") as no:
        prepare(make_run(tmp_path / "run", teacher, labels=()))
    assert "data.labels" in no.value.hint
    assert ("pos", "neg") == prepare(make_run(tmp_path / "ordered", teacher, labels=("pos", "neg"))).labels


def test_what_a_cascade_with_the_teacher_needs_is_stored(tmp_path: Path) -> None:
    """Its logits of the validation split, from which its scores follow, its cost, and the tokenizer's."""
    teacher = TeacherSpec(model=str(make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)))
    run = make_run(tmp_path / "run", teacher)
    facts = prepare(
        dataclasses.replace(run, spec=dataclasses.replace(run.spec, measure=["latency_ratio", "throughput"]))
    )
    logits = np.load(Path(facts.search_outputs) / CLASS_LOGITS, allow_pickle=False)
    truth = np.load(Path(facts.features["search"]) / "targets.npy")
    assert ((len(truth), 2), np.float32) == (logits.shape, logits.dtype)
    assert facts.teacher_metrics["accuracy"] == 100 * (logits.argmax(1) == truth).mean()
    assert {"latency_cpu_ms", "latency_ms", "throughput"} <= set(facts.teacher_costs)
    assert all(value > 0 for value in (facts.tokenizer_ms[""], facts.teacher_costs["latency_cpu_ms"]))
    again = prepare(make_run(tmp_path / "again", teacher))
    assert (facts.search_outputs, facts.teacher_metrics) == (again.search_outputs, again.teacher_metrics)
    assert {} == again.teacher_costs  # that study measures nothing


def test_a_teacher_no_better_than_chance_is_said_loudly_and_kept(tmp_path: Path) -> None:
    """Half of the examples are of each class, and these weights say the same to everything."""
    folder = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] = torch.tensor([50.0, -50.0])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    run = make_run(tmp_path / "run", TeacherSpec(model=str(folder)))
    facts = prepare(run)
    assert "no better than chance: its accuracy on the validation split is 50.00" in facts.weak_teacher
    assert facts.weak_teacher in run.paths.events.read_text()


@pytest.mark.parametrize(("positions", "max_length"), [(32, 40), (30, 30)])
def test_inputs_longer_than_the_model_are_refused(tmp_path: Path, positions: int, max_length: int) -> None:
    """The tokenizer does not know the positions; padding to a multiple of 8 needs them, too."""
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES, positions=positions)
    with pytest.raises(ConfigError, match=rf"teacher\.model .* at most {positions} tokens") as refused:
        prepare(make_run(tmp_path / "run", TeacherSpec(model=str(teacher)), max_length=max_length))
    assert f"to {positions // 8 * 8} " in refused.value.hint


def test_other_names_of_classes_are_another_teacher(tmp_path: Path) -> None:
    """The weights stay the same, but the order in which classes are written does not: old outputs would be swapped."""
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)
    config = json.loads((teacher / "config.json").read_text())
    outputs = []
    for n, names in enumerate((["neg", "pos"], ["pos", "neg"])):
        config["id2label"] = dict(enumerate(names))
        config["label2id"] = {name: i for i, name in enumerate(names)}
        (teacher / "config.json").write_text(json.dumps(config))
        outputs.append(prepare(make_run(tmp_path / f"run{n}", TeacherSpec(model=str(teacher)))).outputs)
    assert outputs[0] != outputs[1]


def test_a_trained_teacher_leaves_no_checkpoints(tmp_path: Path) -> None:
    """Weights and optimiser of the training are four times the teacher; nobody needs them once it is complete."""
    tune = FineTuneSpec(epochs=1, batch_size=16)
    teacher = TeacherSpec(model="scratch", layers=1, hidden_size=16, ffn_size=16, head_size=8, fine_tune=tune)
    facts = prepare(make_run(tmp_path / "run", teacher))
    assert [Path(facts.teacher_folder).name] == [
        entry.name for entry in (tmp_path / "caches" / "teachers").iterdir() if entry.is_dir()
    ]


def caches(folder: Path, kind: str) -> list[str]:
    """Names of the finished caches of one kind."""
    return [entry.name for entry in (folder / "caches" / kind).glob("*") if not entry.name.startswith(".")]


def test_a_stop_is_heard_while_tokenising(tmp_path: Path) -> None:
    """No half cache stays behind, and the next attempt makes it whole."""
    teacher = TeacherSpec(model=str(make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)))
    run = make_run(tmp_path / "run", teacher)
    run.stop.set()
    with pytest.raises(Stopped):
        prepare(run)
    assert [] == caches(tmp_path, "features")
    run.stop.clear()
    prepare(run)
    assert 2 == len(caches(tmp_path, "features"))


def test_a_stop_is_heard_while_heads_are_weighed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The phase takes minutes on a large model; what was made before it is kept."""
    teacher = TeacherSpec(model=str(make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)))
    run = make_run(tmp_path / "run", teacher, init="teacher", importance=True)
    weigh = weighing.importance_of

    def stopped_at_its_start(*given: Any, **more: Any) -> Any:
        run.stop.set()
        return weigh(*given, **more)

    with monkeypatch.context() as patched:
        patched.setattr(weighing, "importance_of", stopped_at_its_start)
        with pytest.raises(Stopped):
            prepare(run)
    assert ([], 2) == (caches(tmp_path, "importance"), len(caches(tmp_path, "outputs")))
    run.stop.clear()
    facts = prepare(run)
    assert [Path(facts.importance).name] == caches(tmp_path, "importance")
    # Neurons are computed only for a study that may cut them, with the heads and beside an older cache of heads alone.
    assert ((), ["importance.npy"]) == (facts.ffn_importance, arrays(facts))
    more = prepare(dataclasses.replace(run, spec=dataclasses.replace(run.spec, importance=False, neurons=True)))
    neurons = np.load(Path(more.importance) / "neurons.npy")
    assert (["importance.npy", "neurons.npy"], 2) == (arrays(more), len(caches(tmp_path, "importance")))
    assert tuple(map(importance_blocks, neurons.tolist())) == more.ffn_importance
    assert more == Prepared.from_dict(json.loads(json.dumps(more.to_dict())))


def arrays(facts: Prepared) -> list[str]:
    return sorted(path.name for path in Path(facts.importance).glob("*.npy"))


def test_a_damaged_checkpoint_of_the_teacher_costs_time_and_not_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its training starts over; refused, every later attempt would be refused as well."""
    tune = FineTuneSpec(epochs=1, batch_size=16)
    teacher = TeacherSpec(model="scratch", layers=1, hidden_size=16, ffn_size=16, head_size=8, fine_tune=tune)
    run, honest = make_run(tmp_path / "run", teacher), teaching.train

    def stopped_at_its_start(job: Any) -> Any:
        run.stop.set()
        return honest(job)

    with monkeypatch.context() as patched:
        patched.setattr(teaching, "train", stopped_at_its_start)
        with pytest.raises(Stopped):
            prepare(run)
    run.stop.clear()
    [weights] = (tmp_path / "caches" / "teachers").glob("*.training/checkpoints/last-*/model.safetensors")
    weights.write_bytes(b"not what was written")
    assert Path(prepare(run).teacher_folder).is_dir()
    assert "Training restarts from the beginning" in run.paths.events.read_text()


def test_words_are_tokenised_only_for_a_study_that_can_read_them(tmp_path: Path) -> None:
    """The same rows in the same order; the teacher's units are always counted."""
    teacher = TeacherSpec(model=str(make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=LINES)))
    plain = prepare(make_run(tmp_path / "plain", teacher))
    assert ({"train", "search"}, {""}) == (set(plain.features), set(plain.units))
    run = make_run(tmp_path / "words", teacher)
    facts = prepare(dataclasses.replace(run, spec=dataclasses.replace(run.spec, units=["words"])))
    assert {"train", "search", "train/words", "search/words"} == set(facts.features)
    assert facts.units[""] == plain.units[""]
    for part in ("train", "search"):
        teachers, words = (open_features(Path(facts.features_of(part, units))) for units in ("", "words"))
        assert np.array_equal(teachers.targets, words.targets)
    assert facts.units_of("words").vocabulary == 2 + 5 + 30  # a film number good dull, and the numbers
    assert facts == Prepared.from_dict(json.loads(json.dumps(facts.to_dict())))


def test_the_teacher_is_selected_by_the_score_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its students are: a study that optimises matthews trains another teacher than one of accuracy."""
    asked: list[str] = []
    scored = Evaluator.score

    def score(self: Evaluator, *given: Any) -> Any:
        asked.append(self.select)
        return scored(self, *given)

    monkeypatch.setattr(Evaluator, "score", score)
    folders = set()
    for name in ("", "accuracy", "matthews"):
        run = make_run(tmp_path / f"by-{name}", TINY)
        folders.add(
            prepare(dataclasses.replace(run, spec=dataclasses.replace(run.spec, select_metric=name))).teacher_folder
        )
    assert (2, {"accuracy", "matthews"}) == (len(folders), set(asked))


# ------------------------------------------------------------------------------------------------------- transfer sets

SETS = (TransferSpec("words"), TransferSpec("ngrams", rows=40))
TINY = TeacherSpec(
    model="scratch",
    layers=1,
    hidden_size=16,
    ffn_size=16,
    head_size=8,
    initializer_range=0.3,
    fine_tune=FineTuneSpec(epochs=1, batch_size=16),
)


def test_the_transfer_set_stands_behind_the_labelled_texts(tmp_path: Path) -> None:
    """Its rows have no label, and teacher outputs; teacher and outputs of the labelled rows are those of before."""
    plain = prepare(split_report(make_run(tmp_path / "plain", TINY)))
    facts = prepare(split_report(make_run(tmp_path / "run", TINY, transfer=SETS)))
    features = open_features(Path(facts.features["train"]))
    assert (plain.train_features, plain.train_features + facts.transfer_features) == (
        facts.train_features,
        len(features),
    )
    assert facts.transfer_features > 40
    assert {NO_LABEL} == set(features.targets[facts.train_features :].tolist())
    assert NO_LABEL not in features.targets[: facts.train_features]
    outputs, before = (np.load(Path(one.outputs) / "outputs.npy") for one in (facts, plain))
    assert (len(features), 2) == outputs.shape
    assert np.array_equal(before, outputs[: facts.train_features])
    assert plain.teacher_folder == facts.teacher_folder
    assert plain.mean_length == facts.mean_length


def test_an_interrupted_labelling_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was labelled before a stop is not labelled again, and the result is that of a run without one."""
    whole = prepare(split_report(make_run(tmp_path / "a" / "whole", TINY, transfer=SETS)))
    monkeypatch.setattr(labelling, "PART", 10)
    labels, calls = labelling.ModelLabels.logits, list[int]()

    def counted(self: Any, texts: Any, start: int, stop: int, *given: Any, **more: Any) -> Any:
        found = labels(self, texts, start, stop, *given, **more)
        if start >= 54:
            calls.append(stop - start)
            run.stop.set() if 1 == len(calls) else None
        return found

    run = split_report(make_run(tmp_path / "b" / "run", TINY, transfer=SETS))
    monkeypatch.setattr(labelling.ModelLabels, "logits", counted)
    with pytest.raises(Stopped):
        prepare(run)
    assert 1 == len(list((tmp_path / "b" / "caches" / "outputs").glob("*.parts/*.npy")))
    run.stop.clear()
    facts = prepare(run)
    assert facts.transfer_features == sum(calls)
    assert not list((tmp_path / "b" / "caches" / "outputs").glob("*.parts"))
    assert np.allclose(*(np.load(Path(one.outputs) / "outputs.npy") for one in (facts, whole)), atol=1e-2)


def test_texts_of_the_splits_do_not_enter_a_transfer_set(tmp_path: Path) -> None:
    """The whole training file as a set: what is trained on, and what is validated on, is left out, with counts."""
    run = split_report(make_run(tmp_path / "run", TINY))
    data = dataclasses.replace(run.spec.data, max_train_examples=20)
    more = tmp_path / "more.txt"
    report = Path(data.report).read_text().splitlines()
    more.write_text("\n".join([*LINES, report[0].upper().replace(";POS", ";pos")]))
    tables = [TransferSpec("file", path=str(more))]
    facts = prepare(dataclasses.replace(run, spec=dataclasses.replace(run.spec, data=data, transfer=tables)))
    assert (20, 60 - 20 - 6) == (facts.train_features, facts.transfer_features)
    said = run.paths.events.read_text()
    assert all(words in said for words in ("20 training texts", "6 validation texts", "1 report text", '"warning"'))


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        ("a gem;pos\n", {"path": "train.txt"}, r"train\.txt: no row is left; dropped .*54 training texts"),
        ('{"text": "a gem", "logits": [1, 2]}', {"outputs": "more.jsonl"}, r"more\.jsonl .* for 54 of 54 texts"),
        ('{"text": "a gem", "logits": "1"}', {"outputs": "more.jsonl"}, "row 1: logits must be 2 numbers"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_a_teacher_is_trained(
    tmp_path: Path, content: str, changes: dict[str, str], message: str
) -> None:
    (tmp_path / "more.jsonl").write_text(content)
    path, outputs = (str(tmp_path / changes[key]) if key in changes else "" for key in ("path", "outputs"))
    sets = [TransferSpec("file", path=path)] if path else []
    run = make_run(tmp_path / "run", dataclasses.replace(TINY, outputs=outputs), transfer=sets)
    with pytest.raises(ConfigError, match=message):
        prepare(split_report(run))
    assert [] == caches(tmp_path, "teachers")


def test_words_of_the_transfer_set_have_rows_of_their_own(tmp_path: Path) -> None:
    """Only for students that draw from it; the words of the labelled texts keep their places."""
    more = tmp_path / "more.txt"
    more.write_text("an entirely new play\n")
    plain = split_report(make_run(tmp_path / "plain", TINY))
    run = split_report(make_run(tmp_path / "run", TINY, transfer=[TransferSpec("file", path=str(more))]))
    found = [
        prepare(dataclasses.replace(one, spec=dataclasses.replace(one.spec, units=["words"]))) for one in (plain, run)
    ]
    before, facts = (one.units_of("words") for one in found)
    assert (before.vocabulary, before.vocabulary + 4) == (facts.vocabulary, facts.whole_vocabulary)
    ids, now = (frequent_ids(Path(one.frequent)) for one in (before, facts))
    assert ids.tolist() == now[: len(ids)].tolist()
    sizes = [plan_reading(found[1], Settings(units="words", transfer_share=share)).rows for share in (0.0, 0.5)]
    assert sizes[0] < sizes[1]
