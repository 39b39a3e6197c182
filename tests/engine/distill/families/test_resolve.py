"""Models that a study file names: those that nothing can be trained from are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import FP16, INT4, INT8
from bertdistill.engine.distill.families.resolve import resolve


@pytest.mark.parametrize("form", [FP16, INT8, INT4])
def test_packed_weights_are_no_start(form: str, tmp_path: Path) -> None:
    """transformers would miss them all; fp16 it reads."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "bertdistill_weights": form}))
    if form == FP16:
        assert str(tmp_path) == resolve(str(tmp_path), "", "teacher.model")
        return
    with pytest.raises(ConfigError, match=rf"^teacher\.model = .*: its weights are stored as {form}"):
        resolve(str(tmp_path), "", "teacher.model")
