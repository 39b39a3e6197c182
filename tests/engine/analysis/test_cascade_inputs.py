"""What cascades are computed from, read from a workspace without a model."""

from __future__ import annotations

from pathlib import Path

from tests import joined_study

from bertdistill.engine.analysis.cascade_inputs import read_cascade


def test_the_tokenizer_of_a_family_is_counted(tmp_path: Path) -> None:
    """mlp reads the tokens of the teacher, which are there already; linear reads words, so both tokenizers run."""
    times = {"": 0.1, "words": 0.02}
    made = joined_study.make(tmp_path, {0: "mlp", 1: "linear"}, tokenizer_ms=times)
    of_mlp, of_linear = (read_cascade(made.workspace, "toy", number, None).cost for number in (0, 1))
    assert (0.1, 0.0) == (of_mlp.tokenizer, of_mlp.tokenizer_again)
    assert (0.02, 0.1) == (of_linear.tokenizer, of_linear.tokenizer_again)
