"""Do model, tokenizer and classes fit? And is code from a model folder never run?"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.families.checks import class_order

DISTILL = Path(__file__).parents[4] / "engine" / "distill"


def order(stored: list[str], labels: list[str], *, given: bool = False) -> str:
    """The warning about classes of these names."""
    return class_order({"id2label": {str(i): name for i, name in enumerate(stored)}}, labels, given=given, named="m")


def test_classes_are_matched_by_name_number_or_a_given_order() -> None:
    """The same names in any order, numbers for numbers, and whatever a person listed."""
    assert "" == order(["Pos", "neg"], ["neg", "pos"])
    assert "" == order(["LABEL_0", "LABEL_1"], ["0", "1"])
    assert "" == order(["LABEL_0", "LABEL_1"], ["neg", "pos"], given=True)
    assert "" == order(["LABEL_0", "LABEL_1", "LABEL_2"], ["neg", "pos"])  # another number of them: its head is new


def test_classes_without_names_are_numbered_when_there_is_a_head() -> None:
    """transformers leaves LABEL_0 and LABEL_1 out of config.json; a bare encoder is refused elsewhere."""
    config = {"architectures": ["BertForSequenceClassification"]}
    with pytest.raises(ConfigError, match="LABEL_0, LABEL_1"):
        class_order(config, ["neg", "pos"], given=False, named="m")
    assert "" == class_order({"architectures": ["BertModel"]}, ["neg", "pos"], given=False, named="m")


def test_positions_among_named_classes_are_told() -> None:
    """MNLI's numbers mean other classes in other models."""
    assert "matched to its classes CONTRADICTION, NEUTRAL by position" in order(
        ["CONTRADICTION", "NEUTRAL"], ["0", "1"]
    )


def test_sorted_words_for_numbered_classes_are_refused() -> None:
    """A guess that once made a teacher of 0 %."""
    with pytest.raises(ConfigError, match="m names its classes LABEL_0, LABEL_1, so it is unknown"):
        order(["LABEL_0", "LABEL_1"], ["neg", "pos"])


def test_every_loader_is_told_to_trust_no_code() -> None:
    """Left unset, transformers asks on the terminal, or in a worker nobody."""
    calls, untold = 0, []
    for path in DISTILL.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
                continue
            owner = ast.unparse(call.func.value)
            automatic = call.func.attr == "from_config" and owner != "Shape"
            if call.func.attr != "from_pretrained" and not automatic:
                continue
            calls += 1
            told = {word.arg: word.value for word in call.keywords}.get("trust_remote_code")
            if not (isinstance(told, ast.Constant) and told.value is False):
                untold.append(f"{path.name}:{call.lineno}")
    assert [] == untold
    assert calls > 5
