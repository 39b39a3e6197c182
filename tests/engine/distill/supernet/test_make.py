"""A preparation with a supernet: what it makes, what its sub-networks are, and that an interruption changes nothing."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from tests.engine.distill.supernet.studies import STEPS, events, study

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import METRICS_LOGGED, NOTICE, PROGRESS, SCREENED
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import collate, pad_edges
from bertdistill.engine.distill.data.caches import lock_of
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.families.encoder import ENCODERS
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.labelling import outputs_folder, teacher_outputs
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.supernet import shared_training
from bertdistill.engine.distill.supernet.readings import readings_of
from bertdistill.engine.distill.supernet.screening import predict_many, scores_key, screen, screening_order
from bertdistill.engine.distill.supernet.shared_training import SharedLoss, Sharing, open_shared, train_shared
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.distill.trial import ALONE, run_trial
from bertdistill.engine.distill.vocabularies import for_trial
from bertdistill.engine.families.supernet import Net, nets_of, starts_alone
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.runner.bin import _cache_paths
from bertdistill.engine.tasks.text_classification import TASK

FP32 = torch.float32


class Done(NamedTuple):
    """A finished preparation."""

    run: Run
    facts: Prepared

    @property
    def nets(self) -> list[Net]:
        return nets_of(self.facts, self.run.spec.nets)

    def sharing(self) -> Sharing:
        """As the preparation had it."""
        whole = dataclasses.replace(self.facts, init_folder=self.facts.supernet.alone_folder)
        search = search_examples(dataclasses.replace(self.run.spec, prepared=self.facts))
        reading = open_features(Path(self.facts.features_of("search")))
        evaluator = Evaluator(search, reading, self.run.spec.data, "accuracy", "maximize", self.facts.pad_id)
        return Sharing(self.run, whole, self.nets, readings_of(self.run, whole, self.nets), evaluator)

    def trial(self, **settings: object) -> Run:
        """A trial of this study with these settings; its folder is that of the preparation."""
        changed = dataclasses.replace(self.run.spec.settings, **settings)
        spec = dataclasses.replace(self.run.spec, kind="trial", trial=1, settings=changed, prepared=self.facts)
        return for_trial(dataclasses.replace(self.run, spec=spec))


@pytest.fixture(scope="module", name="done")
def _done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    run = study(tmp_path_factory.mktemp("study"))
    facts = prepare(run)
    return Done(run, Prepared.from_dict(json.loads(json.dumps(facts.to_dict()))))  # as a later runner reads them


def test_it_is_an_ordinary_checkpoint_that_students_are_cut_from(done: Done) -> None:
    supernet = done.facts.supernet
    assert done.facts.init_folder == supernet.folder
    assert Path(supernet.folder).parent == done.run.caches / "supernet"
    trained, teacher = (load_encoder(one, TASK.name, ("neg", "pos"), need_head=True) for one in _folders(done))
    assert {name: one.shape for name, one in trained.state_dict().items()} == {
        name: one.shape for name, one in teacher.state_dict().items()
    }
    moved = {name for name, one in trained.state_dict().items() if not torch.equal(one, teacher.state_dict()[name])}
    assert {"classifier.weight", "bert.encoder.layer.2.output.dense.weight"} <= moved
    assert not [one for one in (done.run.caches / "supernet").iterdir() if one.name.endswith((".training", ".tmp"))]
    state = json.loads((Path(supernet.folder) / "supernet.json").read_text())
    assert state["steps"] == STEPS
    assert supernet.seconds == state["seconds"] > 0


def _folders(done: Done) -> tuple[str, str]:
    return done.facts.supernet.folder, done.facts.supernet.alone_folder


def test_its_curve_has_names_of_its_own_and_its_caches_are_in_use(done: Done) -> None:
    """The teacher may have been trained in the same attempt; whatever the facts name is not pruned."""
    points = [event["values"] for event in events(done.run, METRICS_LOGGED)]
    assert {name for values in points for name in values} == {
        "train/supernet_loss",
        "train/supernet_learning_rate",
        "search/supernet",
    }
    assert {"supernet", "screening sub-networks"} <= {event["phase"] for event in events(done.run, PROGRESS)}
    named = {one.split("/")[1] for one in _cache_paths(done.facts.to_dict())}
    assert {"supernet", "screened", "importance"} <= named


def test_sub_networks_equal_the_students_that_trials_build(done: Done) -> None:
    """In every vocabulary: outputs, sizes, and the score that the screening reported."""
    sharing = done.sharing()
    model = open_shared(sharing, done.facts.supernet.folder)
    reported = {json.dumps(event["settings"]): event for event in events(done.run, SCREENED)}
    assert len(reported) == len(events(done.run, SCREENED)) == 20
    assert {net.units for net in done.nets} == {"", "cut-95"}
    whole = dataclasses.replace(done.facts.supernet, layers=tuple(net.layers for net in done.nets))
    for net in done.nets[1::3]:
        reading = sharing.readings[net.units]
        (found,) = predict_many(model, [net], reading.search, done.run, reading.pad_id, FP32)
        run = Done(done.run, dataclasses.replace(done.facts, supernet=whole)).trial(**net.settings)
        student = ENCODERS.build(run.spec)
        own = open_features(Path(run.spec.prepared.features_of("search", student.units)))
        wanted = predict(student, features_for(student, own), device=done.run.device, pad_id=reading.pad_id)
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)
        event = reported.get(json.dumps(dict(net.settings)))
        if event is not None:
            evaluator = dataclasses.replace(sharing.evaluator, features=own)
            assert event["score"] == event["metrics"]["accuracy"] == evaluator.score(wanted).metrics["accuracy"]
            assert event["known"]["params"] == sum(one.numel() for one in student.net.parameters())
            assert event["examples"] == 6
            assert event["known"] == TRANSFORMER.known(net.plan, TASK, done.facts) | {"bytes": event["known"]["bytes"]}


def test_layers_that_begin_alike_are_shared_without_effect(done: Done) -> None:
    sharing = done.sharing()
    model, reading = open_shared(sharing, done.facts.supernet.folder), sharing.readings[""]
    nets = [net for net in done.nets if not net.units]
    together = predict_many(model, nets, reading.search, done.run, reading.pad_id, FP32)
    for net, found in zip(nets, together, strict=True):
        (alone,) = predict_many(model, [net], reading.search, done.run, reading.pad_id, FP32)
        np.testing.assert_allclose(found, alone, rtol=1e-5, atol=2e-6)


def test_the_loss_of_a_step_is_the_mean_over_its_students(done: Done) -> None:
    """alpha of the divergence from the teacher at temperature T, times T squared, the rest of the labels' loss."""
    sharing = done.sharing()
    model, reading = open_shared(sharing, done.facts.supernet.folder), sharing.readings[""]
    loss, rows = SharedLoss(sharing, model), np.arange(0, 40, 5)
    features = features_for(model, reading.train)
    batch = collate(
        features, rows, edges=pad_edges(features.lengths), pad_id=reading.pad_id, teacher={LOGITS: reading.teacher}
    )
    group = next(one for one in loss._groups if done.nets[one[0]].units == "" and len(one) > 1)
    other = next(one for one in loss._groups if done.nets[one[0]].units)
    found = loss.of([group, other], batch).total
    wanted = []
    for index in (*group, *other):
        net = done.nets[index]
        whole = dataclasses.replace(done.facts.supernet, layers=(net.layers,))
        run = Done(done.run, dataclasses.replace(done.facts, supernet=whole)).trial(**net.settings)
        student = ENCODERS.build(run.spec)
        own = open_features(Path(run.spec.prepared.features_of("train", student.units)))
        mine = features_for(student, own)
        logits = student(collate(mine, rows, edges=pad_edges(mine.lengths), pad_id=reading.pad_id)).logits
        hard = torch.nn.functional.cross_entropy(logits, batch.targets)
        taught = torch.log_softmax(batch.teacher[LOGITS] / 3.0, 1)
        learnt = torch.log_softmax(logits / 3.0, 1)
        soft = (taught.exp() * (taught - learnt)).sum(1).mean() * 9.0
        wanted.append(0.8 * soft + 0.2 * hard)
    torch.testing.assert_close(found, torch.stack(wanted).mean())


class StopWhen:
    """A stop flag that is set after it was asked so many times while something is there."""

    def __init__(self, there: Callable[[], bool], asks: int) -> None:
        self._there, self._asks = there, asks

    def is_set(self) -> bool:
        if self._asks > 0 and self._there():
            self._asks -= 1
            return self._asks == 0
        return False


def test_interrupted_in_the_training_and_in_the_screening_it_ends_the_same(done: Done, tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    training = StopWhen(lambda: any((caches / "supernet").glob("*.training")), asks=STEPS // 2)
    with pytest.raises(Stopped):
        prepare(study(tmp_path, stop=training))
    (kept,) = (caches / "supernet").glob("*.training")
    assert json.loads((kept / "checkpoints/last/state.json").read_text())["position"]["step"] in range(1, STEPS)
    screening = StopWhen(lambda: any((caches / "screened").glob("*.parts/*.json")), asks=1)
    with pytest.raises(Stopped):
        prepare(study(tmp_path, stop=screening))
    run = study(tmp_path)
    facts = prepare(run)
    mine, whole = (load_file(Path(one.supernet.folder) / "model.safetensors") for one in (facts, done.facts))
    assert mine.keys() == whole.keys()
    assert all(torch.equal(mine[name], whole[name]) for name in whole)
    assert _results(run)[-20:] == _results(done.run)
    assert facts.supernet.layers == done.facts.supernet.layers
    assert not list(caches.glob("*/*.training")) + list(caches.glob("*/*.parts"))


def _results(run: Run) -> list[dict[str, object]]:
    return [{k: v for k, v in event.items() if k not in ("t", "seconds")} for event in events(run, SCREENED)]


def test_the_same_supernet_is_made_once(done: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is screened of it; the scores are reported again to the study that asks."""
    monkeypatch.setattr(shared_training, "train", lambda job: pytest.fail("it was trained again"))
    root = done.run.paths.folder.parent
    before = len(events(done.run, SCREENED))
    again = prepare(study(root))
    assert again.supernet == done.facts.supernet
    assert len(events(done.run, SCREENED)) == before + 20
    fewer = prepare(study(root, screen=4, screen_examples=3))
    assert (fewer.supernet.folder, len(events(done.run, SCREENED))) == (again.supernet.folder, before + 24)
    assert events(done.run, SCREENED)[-1]["examples"] == 3
    none = prepare(study(root, screen=0))
    assert (none.supernet.screened, none.supernet.ruined) == ("", ())


def test_whoever_waits_for_the_same_caches_can_be_stopped(done: Done) -> None:
    """Another study may train the same for hours: a stop must not wait for that."""
    sharing, facts = done.sharing(), done.facts
    stop = threading.Event()
    stop.set()
    run = dataclasses.replace(done.run, stop=stop)
    sharing, folder = dataclasses.replace(sharing, run=run), Path(facts.supernet.folder)
    labels: Any = SimpleNamespace(sha256="")
    texts: Any = SimpleNamespace(features=sharing.readings[""].train)
    builders: dict[Path, Callable[[], object]] = {
        folder: lambda: train_shared(sharing),
        Path(facts.supernet.screened): lambda: screen(sharing, folder),
        outputs_folder(run, labels, texts.features): lambda: teacher_outputs(run, labels, texts),
    }
    for made, build in builders.items():
        with FileLock(lock_of(made)), pytest.raises(Stopped):
            build()


def test_answers_that_are_found_otherwise_are_screened_again(done: Done) -> None:
    """How spans are chosen changes their scores and not the supernet; labels have no such choice."""
    sharing, folder = done.sharing(), Path(done.facts.supernet.folder)

    def key(task: str, **data: int) -> str:
        run = dataclasses.replace(sharing.run, spec=dataclasses.replace(sharing.run.spec, task=task))
        evaluator = dataclasses.replace(sharing.evaluator, data=dataclasses.replace(sharing.evaluator.data, **data))
        return scores_key(dataclasses.replace(sharing, run=run, evaluator=evaluator), folder)

    answers = [{}, {"n_best": 5}, {"max_answer_length": 5}]
    assert 3 == len({key("question-answering", **data) for data in answers})
    assert {Path(done.facts.supernet.screened).name} == {key("text-classification", **data) for data in answers}


def test_screening_ends_when_its_time_is_used_up(done: Done) -> None:
    root, before = done.run.paths.folder.parent, len(events(done.run, SCREENED))
    prepare(study(root, screen_minutes=1e-9))
    screened = events(done.run, SCREENED)[before:]
    assert 0 < len(screened) < 20
    assert {event["settings"]["layers"] for event in screened} == {1, 2, 3}  # the widest of each come first
    assert any("of 20 sub-networks were screened within" in event["text"] for event in events(done.run, NOTICE))


def test_parts_begin_alike_and_the_first_shows_every_depth(done: Done) -> None:
    order = screening_order(done.nets, 18, seed=1)
    assert sum(map(len, order)) == 18
    assert len({index for part in order for index in part}) == 18
    assert {done.nets[index].layers for index in order[0]} == {net.layers for net in done.nets}
    assert all(len({done.nets[index].cells[0] for index in part}) == 1 for part in order[2:])


def test_students_of_other_layers_start_from_the_teacher(done: Done, tmp_path: Path) -> None:
    """Of layers that were not trained together, or that the screening found ruined: the trial says so."""
    supernet = dataclasses.replace(done.facts.supernet, layers=((0, 1, 2),), ruined=((0, 2),))
    mine = Done(done.run, dataclasses.replace(done.facts, supernet=supernet))
    alone, shared = mine.trial(layers=2, layer_choice="even"), mine.trial(heads=2)
    assert starts_alone(alone.spec.prepared, alone.spec.settings)
    assert not starts_alone(shared.spec.prepared, shared.spec.settings)
    teacher = load_encoder(done.facts.supernet.alone_folder, TASK.name, ("neg", "pos")).state_dict()
    student = ENCODERS.build(alone.spec).net.state_dict()
    name = "bert.encoder.layer.{}.output.dense.weight"
    assert torch.equal(student[name.format(1)], teacher[name.format(2)])
    assert not torch.equal(ENCODERS.build(shared.spec).net.state_dict()[name.format(2)], teacher[name.format(2)])
    assert not starts_alone(shared.spec.prepared, Settings(family="mlp"))
    run_trial(dataclasses.replace(alone, spec=dataclasses.replace(alone.spec, settings=_brief(alone.spec.settings))))
    assert ALONE in [event["text"] for event in events(done.run, NOTICE)]


def _brief(settings: Settings) -> Settings:
    return dataclasses.replace(settings, epochs=0.3, evaluations=1)


def test_more_layers_than_the_teacher_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="have only the 3 layers of the teacher"):
        prepare(study(tmp_path, nets=[{"layers": 4}, {"layers": 2}]))
