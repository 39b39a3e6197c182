"""What cascades are computed from, read from a workspace without a model."""

from __future__ import annotations

from pathlib import Path

from tests import joined_study

from bertdistill.engine.analysis.cascade_inputs import read_cascade
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db


def test_the_tokenizer_of_a_family_is_counted(tmp_path: Path) -> None:
    """mlp reads the tokens of the teacher, which are there already; linear reads words, so both tokenizers run."""
    times = {"": 0.1, "words": 0.02}
    made = joined_study.make(tmp_path, {0: "mlp", 1: "linear"}, tokenizer_ms=times)
    of_mlp, of_linear = (read_cascade(made.workspace, "toy", number, None).cost for number in (0, 1))
    assert (0.1, 0.0) == (of_mlp.tokenizer, of_mlp.tokenizer_again)
    assert (0.02, 0.1) == (of_linear.tokenizer, of_linear.tokenizer_again)


def test_a_trial_with_its_own_vocabulary_has_timed_its_tokenizer(tmp_path: Path) -> None:
    """The preparation cannot know it; the teacher then tokenises again."""
    kinds = {"cut": {"least": 10, "labelled": 90, "whole": 90, "lengths": [[90, 20.0]]}}
    made = joined_study.make(
        tmp_path,
        {0: "transformer"},
        own={"vocab_size": 50},
        vocabulary={"size": 100, "kinds": kinds},
    )
    db = open_db(made.workspace.path)
    with db.write() as session:
        trial = reads.trial(session, reads.study(session, "toy").id, 0)
        writes.set_trial_metrics(session, trial.id, {**trial.metrics, "tokenizer_ms": 0.3})
    db.close()
    cost = read_cascade(made.workspace, "toy", 0, None).cost
    assert (0.3, 0.1) == (cost.tokenizer, cost.tokenizer_again)
