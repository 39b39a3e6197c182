"""The command about cascades: what it prints, what a target chooses, what it refuses; and the marks in the frontier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.joined_study import COSTS, TEACHER_COST, JoinedStudy, make

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.engine.contract.folder import CLASS_LOGITS


@pytest.fixture
def study(tmp_path: Path) -> JoinedStudy:
    return make(tmp_path)


@pytest.fixture
def run(study: JoinedStudy, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command in the workspace: (exit status, stdout, stderr)."""

    def call(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words, "-w", str(study.workspace.path)])
        found = capsys.readouterr()
        return int(ended.value.code or 0), found.out, found.err

    return call


def test_a_target_chooses_a_threshold_and_says_how_to_export_it(run: Any) -> None:
    """The table has the chosen row, the ends are the two models, and random routing stands beside it."""
    code, out, err = run("cascade", "toy", "1", "teacher", "--share", "0.2")
    assert 0 == code
    assert "#1 answers if it is sure, else teacher" in out
    assert "tokenizer 0.1" in out
    [line] = [line for line in out.splitlines() if line.startswith(">")]
    assert "20.0%" in line.split()
    assert "mean cost (ms)" in out
    assert all(name in out for name in ("by confidence", "at random"))
    assert "engine promote --study toy --cascade 1 teacher --share 0.2" in err


def test_json_has_the_documented_keys_and_the_whole_curve(run: Any) -> None:
    """The order of the members does not matter; numbers are those of the members at the ends."""
    code, out, _ = run("cascade", "toy", "toy/2", "#0", "--cost", "1.1", "--json")
    found = json.loads(out)
    assert (0, list(SHAPES["cascade"])) == (code, list(found))
    assert ("#0", "#2", "latency_cpu_ms", "ms") == (
        found["small"],
        found["large"],
        found["cost"]["metric"],
        found["cost"]["unit"],
    )
    assert list(SHAPES["cut"]) == list(found["curve"][0])
    ends = [found["curve"][0]["cost"], found["curve"][-1]["cost"]]
    assert [0.1 + COSTS[0], 0.1 + COSTS[0] + COSTS[2]] == pytest.approx(ends)
    assert 0.1 == pytest.approx(found["chosen"]["share"])
    assert found["chosen"]["cost"] <= 1.1 + 1e-9


def test_without_members_it_lists_cascades_that_nothing_beats(run: Any) -> None:
    """Never among the trials: `frontier --json` has the same rows as before, its chart marks them."""
    code, out, _ = run("cascade", "toy", "--json")
    found = json.loads(out)
    assert 0 == code
    assert len(found) > 2
    assert all(list(SHAPES["joined"]) == list(one) for one in found)
    assert all(one["metrics"]["accuracy"] > one["random"]["accuracy"] for one in found)
    assert all(one["metrics"]["latency_cpu_ms"] < COSTS[2] + TEACHER_COST for one in found)
    assert "not trials" in run("cascade", "toy")[1]
    assert "◇ cascade" in run("frontier", "toy")[1]
    assert "cascade" not in run("frontier", "toy", "--x", "accuracy", "--y", "latency_cpu_ms")[1]
    assert [0, 1, 2] == sorted(one["trial"] for one in json.loads(run("frontier", "toy", "--json")[1]))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("toy", "1", "1"), 1, "trial 1 cannot be joined with itself"),
        (("toy", "teacher", "teacher"), 2, "the teacher cannot be joined with itself"),
        (("toy", "1", "other/2"), 2, "other/2 is not a trial of toy"),
        (("toy", "1", "teacher", "--share", "1.5"), 1, "a share is between 0 and 1, not 1.5"),
        (("toy", "1", "teacher", "--share", "0.2", "--cost", "3"), 2, "a threshold has one target"),
        (("toy", "1", "teacher", "--score", "99.9"), 1, "reach no accuracy of 99.9"),
        (("toy", "1", "teacher", "--cost", "0.1"), 1, "costs 0.1 ms or less"),
        (("toy", "1", "teacher", "--metric", "gflops"), 1, "no common gflops"),
        (("toy", "--share", "0.2"), 2, "a target needs two members"),
        (("toy", "7"), 1, "trial 7"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(
    run: Any, words: tuple[str, ...], code: int, message: str
) -> None:
    """Exit status 2 for the command line, 1 for the study; never a traceback."""
    found, out, err = run("cascade", *words)
    assert (code, "") == (found, out)
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cascade", "1", "teacher", "both"), "a cascade needs a target"),
        (("--cascade", "teacher", "teacher", "--share", "0.2"), "the teacher cannot be joined with itself"),
        (("--cascade", "1", "teacher", "toy/2", "both", "--share", "0.2"), "takes the place of TRIAL"),
        (("toy/1", "both", "--share", "0.2"), "belong to --cascade A B"),
        (("toy/1",), "promote needs a trial and a name"),
    ],
)
def test_promote_says_what_a_cascade_needs(run: Any, words: tuple[str, ...], message: str) -> None:
    """Nothing is started."""
    code, _, err = run("promote", *words)
    assert (2, True) == (code, message in err), err


def test_a_share_among_equal_confidences_is_not_passed_over_in_silence(run: Any, study: JoinedStudy) -> None:
    """A model that is equally sure of everything has no threshold for a fifth; promoting one would route nothing."""
    sides = np.load(study.folder(0) / CLASS_LOGITS).argmax(1)
    np.save(study.folder(0) / CLASS_LOGITS, np.eye(2, dtype=np.float32)[sides])
    words = "no threshold passes on 20.0%: 100.0% of the examples have the same confidence, and the nearest shares are"
    code, out, _ = run("cascade", "toy", "0", "teacher", "--share", "0.2")
    assert (0, True) == (code, f"note: {words} 0.0% and 100.0%" in out)
    assert words in json.loads(run("cascade", "toy", "0", "teacher", "--share", "0.2", "--json")[1])["note"]
    assert "" == json.loads(run("cascade", "toy", "1", "teacher", "--share", "0.2", "--json")[1])["note"]
    code, _, err = run("promote", "--study", "toy", "--cascade", "0", "teacher", "both", "--share", "0.2")
    assert (1, True) == (code, words in err)


def test_trials_without_stored_outputs_are_named(run: Any, study: JoinedStudy) -> None:
    """With the remedy; pairs without them still work."""
    (study.folder(1) / CLASS_LOGITS).unlink()
    code, _, err = run("cascade", "toy", "1")
    assert (1, True, True) == (code, "toy/1 was trained by a version that stored no logits" in err, "Rerun it" in err)
    assert 0 == run("cascade", "toy", "0", "2")[0]
    np.save(study.folder(1) / CLASS_LOGITS, np.zeros((3, 2), np.float32))
    assert "is damaged: shape (3, 2)" in run("cascade", "toy", "1")[2]


def test_flags_of_hard_examples_are_an_oracle_beside_the_router(run: Any, study: JoinedStudy, tmp_path: Path) -> None:
    """By position or by the ids of the predictions; other files are refused with what to write."""
    wrong = np.load(study.folder(0) / CLASS_LOGITS).argmax(1) != study.truth
    flags = tmp_path / "hard.json"
    flags.write_text(json.dumps(wrong.tolist()))
    code, out, _ = run("cascade", "toy", "0", "teacher", "--hard", str(flags), "--json")
    oracle = json.loads(out)["oracle"]
    assert (0, None, wrong.mean()) == (code, oracle["threshold"], pytest.approx(oracle["share"]))
    assert oracle["scores"]["accuracy"] > oracle["random"]["accuracy"] + 10
    ids = [f"r{n}" for n in range(len(wrong))]
    (study.folder(0) / "predictions.json").write_text(json.dumps(dict.fromkeys(ids, "no")))
    flags.write_text(json.dumps(dict(zip(reversed(ids), reversed(wrong.tolist()), strict=True))))
    assert oracle == json.loads(run("cascade", "toy", "0", "teacher", "--hard", str(flags), "--json")[1])["oracle"]
    assert "oracle: " in run("cascade", "toy", "0", "teacher", "--hard", str(flags))[1]
    for content, message in (("{", "cannot be read"), ('{"r0": true}', "399 of 400"), ("[1]", "true and false")):
        flags.write_text(content)
        code, _, err = run("cascade", "toy", "0", "teacher", "--hard", str(flags))
        assert (1, True) == (code, message in err), err
    flags.write_text("[true]")
    assert "1 flags of hard examples for 400" in run("cascade", "toy", "0", "teacher", "--hard", str(flags))[2]
