"""The family linear against scikit-learn: the same features, the same weights, and labels that a teacher softens."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tests.texts import made_features

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.linear import LINEARS, LinearModel, shares
from bertdistill.engine.distill.families.model import Fitted
from bertdistill.engine.distill.families.ngrams import with_ngrams
from bertdistill.engine.distill.training.train import predict

SEP, WORDS = 2, range(3, 40)
CPU = torch.device("cpu")


def texts(count: int, labels: int, seed: int = 0) -> tuple[list[list[int]], list[int]]:
    """Random texts; some words are more frequent with some labels."""
    draw = random.Random(seed)
    targets = [draw.randrange(labels) for _ in range(count)]
    return [[*draw.choices(WORDS, k=draw.randint(2, 9)), 3 + target, SEP] for target in targets], targets


def as_words(ids: list[list[int]]) -> list[str]:
    return [" ".join(f"w{one}" for one in text if one != SEP) for text in ids]


def built(folder: Path, features: Features, labels: int, labelled: int | None = None, **settings: Any) -> LinearModel:
    """The student of these settings before its fit."""
    labelled = len(features) if labelled is None else labelled
    units = Units(vocabulary=40, size=40, special_ids=(0, 1, SEP), separator_id=SEP)
    units = with_ngrams(units, features, labelled, 3, folder, pairs=False)
    facts = Prepared(labels=tuple("abcdef"[:labels]), units={"words": units})
    spec = AttemptSpec(
        kind="trial",
        study="s",
        task="text-classification",
        data=DataSpec(),
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(init="scratch"),
        settings=Settings(family="linear", **settings),
        device=Device(),
        caches="",
        prepared=facts,
    )
    return LINEARS.build(spec)


def settings_of(**changes: Any) -> Settings:
    return dataclasses.replace(Settings(family="linear", alpha=0.0), **changes)


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize(
    ("changes", "sklearn"),
    [
        ({}, {}),
        ({"ngrams": 2, "min_count": 2}, {"ngram_range": (1, 2), "min_df": 2}),
        ({"ngrams": 3, "term_frequency": "sublinear"}, {"ngram_range": (1, 3), "sublinear_tf": True}),
    ],
)
def test_as_scikit_learn_does(tmp_path: Path, labels: int, changes: dict[str, Any], sklearn: dict[str, Any]) -> None:
    """The same probabilities as TfidfVectorizer and LogisticRegression, also on texts with unknown words."""
    ids, targets = texts(120, labels)
    others = [*texts(30, labels, seed=1)[0], [39, SEP], [SEP]]
    features = made_features(tmp_path, ids, targets)
    model = built(tmp_path, features, labels, **changes)
    assert isinstance(model, Fitted)
    model.fit(features, settings_of(C=5.0, **changes), {})
    vectors = TfidfVectorizer(token_pattern=r"\S+", **sklearn)
    reference = LogisticRegression(C=5.0, max_iter=1000).fit(vectors.fit_transform(as_words(ids)), targets)
    assert len(vectors.vocabulary_) == len(model.net.keys)
    logits = torch.from_numpy(predict(model, made_features(tmp_path, others), device=CPU))
    expected = reference.predict_proba(vectors.transform(as_words(others)))
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=2e-3)


def test_the_order_of_words_changes_nothing(tmp_path: Path) -> None:
    """Not a bit: values are summed by feature and not by position."""
    ids, targets = texts(60, 3)
    features = made_features(tmp_path, ids, targets)
    model = built(tmp_path, features, 3)
    model.fit(features, settings_of(), {})
    turned = made_features(tmp_path, [[*text[:-1][::-1], SEP] for text in ids], targets)
    assert np.array_equal(predict(model, features, device=CPU), predict(model, turned, device=CPU))


def test_balanced_labels_as_scikit_learn_does(tmp_path: Path) -> None:
    """Rare labels get more weight."""
    ids, targets = texts(200, 2)
    rare = [i for i, target in enumerate(targets) if target == 0 or i % 5 == 0]
    ids, targets = [ids[i] for i in rare], [targets[i] for i in rare]
    features = made_features(tmp_path, ids, targets)
    model = built(tmp_path, features, 2)
    model.fit(features, settings_of(class_weight="balanced"), {})
    vectors = TfidfVectorizer(token_pattern=r"\S+")
    reference = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
    reference.fit(vectors.fit_transform(as_words(ids)), targets)
    assert model.net.bias.item() == pytest.approx(reference.intercept_[0], abs=2e-2)


# ------------------------------------------------------------------------------------------------------ soft labels


def test_shares_mix_labels_and_teacher() -> None:
    """Without a label only the teacher's part is left; without alpha nothing."""
    targets, logits = np.array([1, -100], np.int32), np.array([[0, 4], [2, 0]], np.float16)
    settings = settings_of(alpha=0.75, temperature=2.0, transfer_share=0.5)
    soft = torch.from_numpy(logits.astype(np.float64) / 2).softmax(1).numpy()
    np.testing.assert_allclose([0.75 * soft[0] + [0, 0.25], 0.75 * soft[1]], shares(targets, 2, settings, logits))
    assert [[0, 1], [0, 0]] == shares(targets, 2, settings_of(), logits).tolist()
    third = dataclasses.replace(settings, transfer_share=0.25, soft_loss="mse")
    soft = torch.from_numpy(logits.astype(np.float64)).softmax(1).numpy()
    np.testing.assert_allclose([0.75 * soft[0] + [0, 0.25], 0.25 * soft[1]], shares(targets, 2, third, logits))


def test_balanced_labels_leave_the_transfer_set_its_share() -> None:
    """Rare labels weigh more, of which a transfer set may have many; a label without texts weighs no more than 1."""
    targets, draw = np.array([0] * 18 + [1] * 2 + [-100] * 20, np.int32), np.random.default_rng(0)
    logits = draw.normal(size=(40, 3)).astype(np.float16)
    logits[20:, 1] += 4
    found = shares(
        targets, 3, settings_of(alpha=1.0, temperature=1.0, transfer_share=0.25, class_weight="balanced"), logits
    )
    assert found[20:].sum() / found.sum() == pytest.approx(0.25)
    plain = shares(targets, 3, settings_of(alpha=1.0, temperature=1.0, transfer_share=0.25), logits)
    np.testing.assert_allclose((found / plain)[:20], np.tile([20 / 36, 5, 1], (20, 1)))


def test_many_texts_without_label_still_count(tmp_path: Path) -> None:
    """Each of them counts less than a thousandth of a labelled one."""
    ids, _ = texts(1210, 2)
    targets = [0, 1] * 5 + [-100] * 1200
    logits = np.where(np.arange(1210) % 2, 4.0, -4.0)[:, None] * np.array([-1, 1])
    features = made_features(tmp_path, [[3 + i % 2, SEP] for i in range(10)] + ids[10:], targets)
    few = made_features(tmp_path, [[3 + i % 2, SEP] for i in range(10)], targets[:10])
    settings = settings_of(alpha=0.5, transfer_share=0.1)
    weights = []
    for one in (features, few):
        model = built(tmp_path, features, 2, labelled=10, transfer_share=0.1, alpha=0.5)
        model.fit(one, settings, {LOGITS: logits[: len(one)].astype(np.float16)})
        weights.append(model.net.weight)
    assert not torch.equal(*weights)


def test_a_fit_to_the_teacher_alone_finds_its_odds(tmp_path: Path) -> None:
    """With alpha 1 and a weak penalty, the student gives the teacher's probabilities where they are a matter of words.

    Half of the texts have no label: they count as much as the others.
    """
    ids, targets = texts(300, 2)
    odds = np.random.default_rng(0).normal(size=40)
    mean = np.array([np.mean(odds[text[:-1]]) for text in ids])
    logits = np.stack((np.zeros(300), 3 * mean), axis=1).astype(np.float16)
    features = made_features(tmp_path, ids, [*targets[:150], *[-100] * 150])
    model = built(tmp_path, features, 2, labelled=150)
    settings = settings_of(alpha=1.0, temperature=1.0, C=100.0, transfer_share=0.5)
    model.fit(features, settings, {LOGITS: logits})
    given = torch.from_numpy(predict(model, features, device=CPU)).softmax(1)[:, 1].numpy()
    wanted = 1 / (1 + np.exp(-3 * mean))
    assert np.corrcoef(given, wanted)[0, 1] > 0.9
    assert np.abs(given[150:] - wanted[150:]).mean() < 0.1
    half = built(tmp_path, features, 2, labelled=150)
    half.fit(dataclasses.replace(made_features(tmp_path, ids[:150], targets[:150])), settings, {LOGITS: logits[:150]})
    assert not torch.equal(model.net.weight, half.net.weight)


def test_texts_without_label_change_nothing_without_a_teacher(tmp_path: Path) -> None:
    """They take part by their soft labels only."""
    ids, targets = texts(80, 3)
    whole = made_features(tmp_path, ids, [*targets[:60], *[-100] * 20])
    model, same = built(tmp_path, whole, 3, labelled=60), built(tmp_path, whole, 3, labelled=60)
    model.fit(whole, settings_of(), {})
    same.fit(made_features(tmp_path, ids[:60], targets[:60]), settings_of(), {})
    torch.testing.assert_close(model.net.weight, same.net.weight)


@pytest.mark.parametrize("present", [2, 3])
def test_a_label_without_texts_is_never_given(tmp_path: Path, present: int) -> None:
    """The others are told apart as before."""
    ids, targets = texts(90, present)
    features = made_features(tmp_path, ids, [target + 1 for target in targets])
    model = built(tmp_path, features, 4)
    model.fit(features, settings_of(), {})
    chosen = predict(model, features, device=CPU).argmax(1)
    assert set(chosen.tolist()) == set(range(1, present + 1))
    assert np.mean(chosen == features.targets) > 0.8


def test_one_label_is_nothing_to_fit(tmp_path: Path) -> None:
    """Said in words instead of scikit-learn's."""
    features = made_features(tmp_path, texts(9, 2)[0])
    with pytest.raises(ConfigError, match="all training texts have the same label"):
        built(tmp_path, features, 2).fit(features, settings_of(), {})
