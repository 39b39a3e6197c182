"""A program's order: placeholders, arguments, environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.engine.contract.program import ProgramOrder, arguments, environment, is_program, placeholders

COMMAND = ["python", "train.py", "--lr={lr}", "--set", '{"a": {"b": 1}}', "{{lr}}", "{params}", "{min-leaf}{lr}"]


def order(**more: object) -> ProgramOrder:
    values = {"lr": 1e-05, "min-leaf": 3, "flag": True}
    return ProgramOrder("s", 7, COMMAND, "/", {"kind": "cpu"}, params=values, **more)  # type: ignore[arg-type]  # any field


def test_placeholders_are_names_in_braces_and_nothing_else() -> None:
    """JSON and doubled braces mean themselves."""
    assert ["lr", "params", "min-leaf", "lr"] == list(placeholders(COMMAND))


def test_an_argument_stays_one_argument() -> None:
    """Whatever a value holds: there is no shell, and a value is not looked at again."""
    found = arguments([*COMMAND, "{words}"], {"lr": 1e-05, "min-leaf": 3, "words": "a b; $(x) {lr}"}, "/p.json")
    assert [*COMMAND[:2], "--lr=1e-05", "--set", '{"a": {"b": 1}}', "{lr}", "/p.json", "31e-05"] == found[:-1]
    assert "a b; $(x) {lr}" == found[-1]


def test_the_environment_has_every_parameter() -> None:
    """And the run; the checkpoint only if there is one."""
    found = environment(order(environment={"OMP_NUM_THREADS": "1"}), Path("/run"))
    assert "BERTDISTILL_RESUME" not in found
    assert ("1e-05", "3", "true", "1") == (
        found["BERTDISTILL_PARAM_LR"],
        found["BERTDISTILL_PARAM_MIN_LEAF"],
        found["BERTDISTILL_PARAM_FLAG"],
        found["OMP_NUM_THREADS"],
    )
    assert "/ck" == environment(order(resume_from="/ck"), Path("/run"))["BERTDISTILL_RESUME"]


def test_it_is_read_back(tmp_path: Path) -> None:
    """As it was written; another spec.json is refused."""
    path = tmp_path / "spec.json"
    order().write(path)
    assert order() == ProgramOrder.read(path)
    assert is_program(path)
    path.write_text('{"kind": "trial", "version": 1}')
    assert not is_program(path)
    with pytest.raises(ValueError, match="not an order to run a program"):
        ProgramOrder.read(path)
