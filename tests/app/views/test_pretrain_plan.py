"""What a plan says about pre-training: texts, steps and disk; files of the report split are refused by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.app.views.plan import make_plan, plan_facts
from bertdistill.app.views.pretrain_plan import pretraining
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.families.phases import pretraining_bytes
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec

ROWS = 40


def spec_of(folder: Path, *tables: dict[str, Any], **settings: Any) -> StudySpec:
    """Forty rows of `film number N good;yes`, a tenth held out; a report of other texts; new students."""
    on = {"pretrain_epochs": 3.0, "pretrain_batch_size": 8, "head_size": 16, **settings}
    raw = study_dict(folder, settings=on, student={"init": "scratch"}, search={}, baseline={"layers": 1})
    raw |= {"pretrain": list(tables)} if tables else {}
    lines = [
        f"film number {n} {word};{label}" for n in range(ROWS // 2) for word, label in (("good", "yes"), ("bad", "no"))
    ]
    (folder / "train.txt").write_text("\n".join(lines))
    (folder / "report.txt").write_text("a good play;yes\na bad play;no\n")
    return study_from_dict(raw, where="here")


def test_texts_steps_and_disk(tmp_path: Path) -> None:
    """36 training texts in batches of 8, three times."""
    spec = spec_of(tmp_path)
    planned = make_plan(spec, say=lambda text: None)
    found, params = planned["pretraining"], planned["sizes"]["largest"]
    assert (36, 15, 15) == (found["texts"], found["least"], found["most"])
    assert 36 * 4 < found["tokens"] < 36 * 9
    assert (4 * params, pretraining_bytes(params)) == (found["bytes"], found["running_bytes"])
    words = plan_facts(spec, planned)["pre-training"]
    assert words.startswith(f"about 36 texts with {found['tokens']} tokens, 15 steps, once for all trials")


def test_files_add_their_texts_once(tmp_path: Path) -> None:
    """Long ones are divided."""
    (tmp_path / "more.txt").write_text("\n".join(["a new text", "A new  text", "", "word " * 400]))
    spec = spec_of(tmp_path, {"kind": "file", "path": str(tmp_path / "more.txt")}, pretrain_max_length=16)
    found = make_plan(spec, say=lambda text: None)["pretraining"]
    assert (2, 15) == (found["texts"], found["most"])  # 2 texts in 33 inputs, five batches


def test_what_is_unknown_is_null(tmp_path: Path) -> None:
    """As with a transfer set of the hub; and nothing is said where no trial is pre-trained."""
    spec = spec_of(tmp_path)
    found = pretraining(spec, [[12.0], None], None)
    assert found is not None
    assert {None} == set(found.values())
    assert pretraining(spec_of(tmp_path, pretrain_epochs=0.0, pretrain_batch_size=32), [], 10) is None


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.txt", None, "pretrain.0.path = .*none.txt is not a file"),
        ("copy.txt", "A GOOD play\nanother\n", r"of its 2 texts, 1 is in the report split, 1 of them but for case"),
        ("bad.txt", "\udcff", "bad.txt is not UTF-8 text"),
    ],
)
def test_files_are_checked_before_anything_starts(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    spec = spec_of(tmp_path, {"kind": "file", "path": str(tmp_path / name)})
    with pytest.raises(ConfigError, match=message):
        make_plan(spec, say=lambda text: None)


def test_the_report_file_under_another_name(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"kind": "file", "path": str(tmp_path / "link.txt")})
    (tmp_path / "link.txt").hardlink_to(tmp_path / "report.txt")
    with pytest.raises(ConfigError, match="is the report file under another name"):
        make_plan(spec, say=lambda text: None)


def test_steps_count_the_fine_tuning(tmp_path: Path) -> None:
    """36 rows in batches of 16 are three steps a pass: nine, and six more."""
    planned = make_plan(spec_of(tmp_path, finetune_epochs=2.0), say=lambda text: None)
    assert {"baseline": 15, "least": 15, "most": 15} == planned["steps"]
