"""The analyses of the sample study: values, what scripts read, what people read, and the commands that print them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.stored import best_checkpoint

from bertdistill.app.cli import main
from bertdistill.app.report.analysis_text import (
    comparison_text,
    confusion_text,
    gap_text,
    growth_text,
    importances_text,
    outlook_text,
    parallel_text,
    passage_pieces,
    question_errors_text,
    questions_text,
    scenarios_text,
    slices_text,
    texts_text,
    transfer_text,
)
from bertdistill.app.report.shapes import SHAPES
from bertdistill.app.report.summary import Page
from bertdistill.app.text.tables import json_text
from bertdistill.app.views.analysis import (
    importance_row,
    importance_rows,
    judged_row,
    line_rows,
    outcomes,
    parallel_row,
    point_rows,
    question_errors_row,
    scenario_rows,
    step_row,
    study_growth,
    study_scenarios,
    study_slices,
)
from bertdistill.app.views.view import StudyView, read_view
from bertdistill.engine.analysis.comparison import compare
from bertdistill.engine.analysis.coordinates import parallel
from bertdistill.engine.analysis.error_analysis import Classified, Question, confusion, question_errors
from bertdistill.engine.analysis.outcomes import Difference
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.transfer import TransferGain
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.distill.data.examples import cut, digest, load_examples
from bertdistill.engine.search.importances import Importances, Weight
from bertdistill.engine.search.outlook import Outlook
from bertdistill.engine.steering.changes import set_threshold
from bertdistill.store.db import Database, open_db

PAGE = Page()
ASCII = Page(ascii_only=True)
ESCAPE = "\x1b]52;c;AAAA\x07[/red]"


@pytest.fixture
def view(db: Database) -> StudyView:
    """The sample study."""
    return read_view(db, "demo")


# --------------------------------------------------------------------------------------------------------------- values


def test_outcomes_carry_what_the_view_knows(view: StudyView) -> None:
    """By number; the failed and the running one are neither complete nor feasible."""
    found = outcomes(view)
    assert list(range(8)) == [one.number for one in found]
    assert [True] + [False] * 7 == [one.baseline for one in found]
    assert [0, 1, 2] == [one.number for one in found if one.frontier]
    assert [0, 1, 2, 3, 7] == [one.number for one in found if one.feasible]
    assert [5, 6] == [one.number for one in found if not one.complete]


def test_scenarios_of_the_study(view: StudyView) -> None:
    """The teacher's score on the validation split comes from the preparation."""
    table = study_scenarios(view)
    assert ("params", "exact", 0) == (table.size, table.score, table.baseline)
    assert [0, 0, 2, 0, None] == [row.number for row in table.rows]
    assert "no feasible trial comes that close; the closest is #0" == table.rows[4].remark


def test_growth_agrees_with_the_gains_of_the_view(view: StudyView) -> None:
    """Both are one function."""
    steps = study_growth(view)
    assert view.gain == {step.number: step.gain for step in steps if step.gain is not None}
    assert pytest.approx(view.hypervolume) == steps[-1].hypervolume


GAIN = TransferGain("accuracy", 81.5, 80.25, 4, 3, 3, 1.25, 0.5)


def test_what_a_transfer_set_brought_is_a_line() -> None:
    """Without equal students, the words say what the means are worth."""
    line = "transfer set: accuracy +1.25 ± 0.50 over 3 pairs of equal students (81.50 with, 80.25 without)"
    assert line == transfer_text([GAIN])
    loose = transfer_text([dataclasses.replace(GAIN, pairs=0, spread=None)])
    assert "means of 4 and 3 trials that differ in other settings, too" in loose
    assert "no complete trials both with and without one" in transfer_text([])


# ------------------------------------------------------------------------------------------------------- shapes


def test_rows_have_the_documented_keys(view: StudyView) -> None:
    """Keys in the documented order; JSON reads back."""
    found = parallel(outcomes(view), view.spec.search, view.objectives)
    judged = question_errors([Question("1", "a", "?", ("x",), "x", Passage("x", ((0, 1),), (0, 1), 1))]).judged[0]
    rows = {
        "importance": importance_row(Importances("exact", "fanova", 3, (Weight("layers", 1.0, 3, False),))),
        "scenario": scenario_rows(study_scenarios(view))[1],
        "step": step_row(study_growth(view)[0]),
        "transfer": dataclasses.asdict(GAIN),
        "line": line_rows(found)[0],
        "point": point_rows(study_slices(view))[0],
        "question": judged_row(judged, passages=True),
        "passage": judged_row(judged, passages=True)["passage"],
    }
    assert {name: list(SHAPES[name]) for name in rows} == {name: list(row) for name, row in rows.items()}
    assert rows == json.loads(json_text(rows))
    assert parallel_row(found) == json.loads(json_text(parallel_row(found)))


def test_importance_as_rows() -> None:
    """One a weight; an objective without weights has none."""
    weights = (Weight("layers", 0.75, 9, False), Weight("heads", 0.25, 4, True))
    found = [Importances("exact", "fanova", 9, weights), Importances("params", "fanova", 9, (), problem="few")]
    expected = {"objective": "exact", "method": "fanova", "parameter": "heads", "share": 0.25, "trials": 4}
    assert [expected | {"conditional": True}] == importance_rows(found)[1:]


# --------------------------------------------------------------------------------------------------------- text


def test_importances_in_words() -> None:
    """Shares with bars, the number of trials, the caution and what has no effect."""
    found = Importances(
        "params",
        "ped-anova",
        9,
        (Weight("layers", 0.75, 9, False), Weight("heads", 0.25, 4, True)),
        missed=2,
        without_effect=("alpha",),
        problem="9 trials for 2 parameters: with fewer than 10, the order may be due to chance",
    )
    expected = (
        "importance for params: PED-ANOVA, 9 feasible trials, 2 more miss a threshold\n"
        "  parameter  share\n"
        "  layers       75%  ###############.....\n"
        "  heads        25%  #####...............  active in 4\n"
        "  note: 9 trials for 2 parameters: with fewer than 10, the order may be due to chance\n"
        "  params is known before training; without effect: alpha"
    )
    assert expected == importances_text([found], ASCII)


@pytest.mark.parametrize(
    ("metric", "gap", "text"),
    [
        ("exact", Difference(1.2, 2.4), "+1.20 (+2.4 %)"),
        ("exact", Difference(-0.9164, -1.04), "-0.92 (-1.0 %)"),
        ("exact", Difference(0.0125, 2.0), "+0.0125 (+2.0 %)"),
        ("params", Difference(-14.9e6, -22.47), "-14.9M (-22.5 %)"),
        ("exact", Difference(0.0, 0.0), "0.00"),
        ("exact", Difference(3.0, None), "+3.00"),
        ("exact", None, ""),
    ],
)
def test_differences_in_words(metric: str, gap: Difference | None, text: str) -> None:
    """With sign, unit digits and percent."""
    assert text == gap_text(metric, gap)


def test_scenarios_in_words(view: StudyView) -> None:
    """Every scenario is a row with its trial; the rules stand below."""
    text = scenarios_text(study_scenarios(view), PAGE)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "smallest feasible #2 50.00 -40.00 (-44.4 %) 15.0k -105k (-87.5 %)" in lines
    assert "smallest feasible: lowest params" in lines


def test_growth_in_words(view: StudyView) -> None:
    """The short form is one line; the long one has every trial and the curve; an empty study has a sentence."""
    steps = study_growth(view)
    short = growth_text(steps, PAGE, short=True)
    assert f"hypervolume {view.hypervolume:.3f} after 7 trials" in short
    assert "the last 4 did not increase it" in short
    long = growth_text(steps, PAGE)
    assert [f"#{step.number}" for step in steps] == [
        line.split()[0] for line in long.splitlines() if line.strip().startswith("#")
    ]
    assert "worker-hours" in long.splitlines()[-1]
    assert "hypervolume: no trial has ended yet" == growth_text([], PAGE)


def test_parallel_coordinates_in_words(view: StudyView) -> None:
    """Each value with its height on the axis, frontier first, the ends of the axes below."""
    found = parallel(outcomes(view), view.spec.search, view.objectives)
    lines = parallel_text(found, ASCII).splitlines()
    assert ["*", "#0", "7", "2", "7", "64", "4", "0.001", "7", "90.00", "7", "120k"] == lines[1].split()
    assert "  learning_rate: 0.0001 to 0.01, logarithmic" in lines
    assert "parallel coordinates: no trial is complete yet" == parallel_text(parallel([], (), view.objectives), PAGE)


def test_slices_in_words(view: StudyView) -> None:
    """Trials, best and median in each part, and which trial is the best."""
    lines = [" ".join(line.split()) for line in slices_text(study_slices(view, ["exact"])).splitlines()]
    assert ["exact along layers", "layers trials best median best trial", "1 4 88.00 68.00 #1"] == lines[:3]


def test_comparison_in_words(view: StudyView) -> None:
    """Differing settings only, or all of them; differences with a word."""
    found = compare(outcomes(view)[:2], view.objectives)
    text = comparison_text(found, PAGE)
    assert "alpha" not in text
    assert "settings are the same in all of them" in text
    assert "-2.00 (-2.2 %) worse" in text
    assert "-40.0k (-33.3 %) better" in text
    assert "alpha" in comparison_text(found, PAGE, every=True)


def test_question_errors_in_words() -> None:
    """Classes with shares and bars; articles when asked; escape sequences of the data never reach the terminal."""
    questions = [
        Question("1", ESCAPE, f"why {ESCAPE}", (ESCAPE,), "x\x1b[2J"),
        Question("2", "", "?", (), ""),
    ]
    found = question_errors(questions)
    assert "mostly wrong                       1  50.0 %  ##########.........." in question_errors_text(found, ASCII)
    text = question_errors_text(found, PAGE, by_article=True) + questions_text(found.judged)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert 2 == question_errors_row(found)["total"]


def test_confusion_in_words() -> None:
    """Rows are what is; labels and texts of the data are made harmless."""
    labels = ("no", ESCAPE)
    found = confusion([Classified("1", f"text {ESCAPE}", "no", "no"), Classified("2", "t", ESCAPE, "no")], labels)
    text = confusion_text(found, PAGE)
    assert "2 texts of the validation split, 50.00 % right" == text.splitlines()[0]
    assert ["no", "1", "0", "1", "50.00", "100.00", "66.67"] == text.splitlines()[3].split()
    assert "\x1b" not in text + texts_text(found.texts)


# ------------------------------------------------------------------------------------------------------------- commands

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="type_")
def typing(ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command in the sample workspace: exit status, stdout, stderr."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(ws.path))

    def type_(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return type_


def data(type_: Type, *words: str) -> Any:
    """The JSON that a command prints."""
    status, out, err = type_(*words, "--json")
    assert 0 == status, err
    return json.loads(out)


def table(type_: Type, *words: str) -> list[dict[str, str]]:
    """The CSV that a command prints."""
    status, out, err = type_(*words, "--csv")
    assert 0 == status, err
    return list(csv.DictReader(io.StringIO(out)))


def test_the_outlook_says_no_absurd_share_of_a_tiny_hypervolume() -> None:
    """Above 100 % it is in the units of the hypervolume."""
    usual, tiny = Outlook(10, 0.05, 0.0, 0.1, 0.5, 60.0), Outlook(10, 0.05, 0.0, 0.1, 0.02, None)
    assert "expected to add 10.0 % (0.0 to 20.0) to the hypervolume in 1m 00s" in outlook_text(usual, 12)
    assert outlook_text(tiny, 12).endswith("expected to add 0.050 (0.000 to 0.100) to a hypervolume of 0.020")
    assert "unknown" in outlook_text(None, 12)


def test_analysis_prints_the_short_parts(type_: Type) -> None:
    """Importance, scenarios and a line each about the hypervolume and about what more trials would add."""
    status, out, err = type_("analysis")
    assert (0, "") == (status, err)
    no_outlook = "would add is forecast once 10 trials are complete (6 now)"
    for words in ("importance for exact: PED-ANOVA, 5 feasible trials", "scenarios", "hypervolume 0.", no_outlook):
        assert words in out
    found = data(type_, "analysis", "demo")
    assert ["study", "importance", "scenarios", "hypervolume", "outlook", "hypervolume_interval"] == list(found)
    assert found["outlook"] is None, "these trials have other settings than the study"
    assert ["exact", "params"] == [row["objective"] for row in found["importance"]]


@pytest.mark.parametrize(
    ("part", "count"), [("importance", 6), ("scenarios", 6), ("hypervolume", 7), ("parallel", 6), ("slices", 36)]
)
def test_every_part_alone(type_: Type, part: str, count: int) -> None:
    """As text, JSON and CSV."""
    assert 0 == type_("analysis", "--part", part)[0]
    assert data(type_, "analysis", "--part", part)
    assert count == len(table(type_, "analysis", "--part", part))


def test_named_metrics_and_parameters(type_: Type, tmp_path: Path) -> None:
    """Only those are shown, and drawn."""
    found = data(type_, "analysis", "--part", "parallel", "--parameter", "layers", "--metric", "latency_ms")
    assert ["layers", "latency_ms"] == [axis["name"] for axis in found["axes"]]
    rows = data(type_, "analysis", "--part", "slices", "--parameter", "layers", "--metric", "exact")
    assert {("exact", "layers")} == {(row["objective"], row["parameter"]) for row in rows}
    rows = data(type_, "analysis", "--part", "importance", "--metric", "params", "--method", "fanova")
    assert [("params", "fanova")] == [(row["objective"], row["method"]) for row in rows]
    chart = tmp_path / "importance.svg"
    words = ("analysis", "--part", "importance", "--metric", "exact", "--svg", str(chart))
    assert (0, "", f"wrote {chart}\n") == type_(*words)
    drawn = chart.read_text()
    assert (True, False) == ("exact: PED-ANOVA, 5 feasible trials" in drawn, "params: PED-ANOVA" in drawn)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["analysis", "--part", "nothing"], "there is no part 'nothing'"),
        (["analysis", "--method", "guess"], "there is no method 'guess'"),
        (["analysis", "--csv"], "--csv needs one part"),
        (["analysis", "--part", "slices", "--csv", "--json"], "exclude each other"),
        (["analysis", "--part", "importance", "--metric", "latency_ms"], "there is no metric 'latency_ms' here"),
        (["analysis", "--part", "slices", "--parameter", "alpha"], "'alpha' is not searched in this study"),
        (["analysis", "--svg", "a.svg"], "--svg draws the importance"),
        (["compare", "1"], "compare takes 2 to 6 trials, not 1"),
        (["compare", "1", "demo/1"], "a trial is named twice"),
        (["errors", "1", "--list", "odd"], "there is no class 'odd'"),
        (["errors", "1", "--cut", "1.5"], "--cut"),
        (["errors", "1", "--passages"], "--passages needs a list of questions"),
    ],
)
def test_misuse(type_: Type, words: list[str], message: str) -> None:
    """Exit status 2, nothing on stdout."""
    status, out, err = type_(*words)
    assert (2, "", True) == (status, out, message in err)


def test_importance_of_too_few_trials(type_: Type, ws: Workspace) -> None:
    """How many there are and how many are needed, on the screen and to scripts; the rows are none, and it says why."""
    set_threshold(ws, "demo", "exact", 100.0, who="test")
    words = "importance needs 5 complete feasible trials, there are 0"
    status, out, err = type_("analysis", "--part", "importance")
    assert (0, True, "") == (status, f"note: {words}" in out, err)
    found = data(type_, "analysis", "--part", "importance")
    assert [(0, [], words)] * 2 == [(one["trials"], one["weights"], one["problem"]) for one in found]
    status, out, err = type_("analysis", "--part", "importance", "--csv")
    assert (0, "", True) == (status, out.strip(), words in err)


def test_compare_two_trials(type_: Type) -> None:
    """The differing settings and the metrics; --all shows the others, too."""
    found = data(type_, "compare", "0", "1")
    assert ["demo/0", "demo/1"] == found["trials"]
    assert ["layers"] == [row["name"] for row in found["settings"]]
    assert len(data(type_, "compare", "0", "1", "--all")["settings"]) > 20
    exact = found["metrics"][0]
    assert ("exact", {"demo/0": "", "demo/1": "worse"}) == (exact["name"], exact["verdicts"])
    rows = table(type_, "compare", "0", "1")
    assert ("metric", "exact", "88.0", "-2.0") == tuple(
        rows[1][key] for key in ("kind", "name", "values.demo/1", "differences.demo/1")
    )
    assert 0 == type_("compare", "0", "1", "5", "6")[0]


def test_a_trial_without_predictions(type_: Type) -> None:
    """Refused with the remedy, status 1."""
    status, out, err = type_("errors", "0")
    assert (1, "") == (status, out)
    assert "demo/0 is complete and was never evaluated" in err


def add_predictions(ws: Workspace, train: Path) -> None:
    """Give trial 0 an attempt and a best checkpoint that answered `red` to everything."""
    db = open_db(ws.path)
    view = read_view(db, "demo")
    _, search = cut(load_examples(view.spec.data, view.spec.task, "train"), view.spec.data)
    folder = ws.path / "runs/demo/0000-1/checkpoints/best-00000001"
    folder.mkdir(parents=True)
    (folder / "predictions.json").write_text(json.dumps({row.id: "red" for row in search.rows}))
    (folder / "starts.json").write_text(json.dumps({row.id: 9 for row in search.rows}))
    spec = view.spec
    AttemptSpec(
        kind="trial",
        study=spec.name,
        task=spec.task,
        data=spec.data,
        teacher=spec.teacher,
        student=spec.student,
        settings=spec.settings,
        device=Device(),
        caches=str(ws.caches),
        prepared=Prepared(search_digest=digest(search)),
    ).write(RunPaths(folder.parents[1]).spec)
    trial = view.trials[0]
    with db.write() as session:
        best_checkpoint(session, trial, "runs/demo/0000-1", ws.relative(folder))
    db.close()


def test_errors_of_a_trial(type_: Type, ws: Workspace, tmp_path: Path) -> None:
    """One article is searched: its answerable question is right, the other one was answered all the same."""
    add_predictions(ws, tmp_path / "train.json")
    found = data(type_, "errors", "0")
    assert {"study": "demo", "trial": 0, "step": 1, "cut": 0.5, "total": 2}.items() <= found.items()
    expected = {"right": 1, "mostly_correct": 0, "mostly_wrong": 0, "not_answered": 0, "answered": 1}
    assert expected == found["classes"]
    assert "questions" not in found
    assert ["answered"] == [row["class"] for row in data(type_, "errors", "0", "--list", "wrong")["questions"]]
    assert ["right", "answered"] == [row["class"] for row in table(type_, "errors", "0")]
    assert ["2"] == [row["total"] for row in table(type_, "errors", "0", "--by-article")]
    status, out, _ = type_("errors", "demo/0", "--by-article", "--list", "right")
    assert (0, True, True) == (status, "has no answer, one given" in out, "question: Colour?" in out)


def test_passages_of_the_listed_questions(type_: Type, ws: Workspace, tmp_path: Path) -> None:
    """Right and given answer are marked in the text; scripts get their places. Without the option there is none."""
    add_predictions(ws, tmp_path / "train.json")
    status, out, _ = type_("errors", "0", "--list", "all", "--passages")
    assert (0, True) == (status, "passages: [right], «given»" in out)
    assert ["[«red»]", "«red»"] == [line.split()[-1].rstrip(".") for line in out.splitlines() if "passage: " in line]
    passage = {"text": "Box 0 is red.", "golds": [[9, 12]], "given": [9, 12], "places": 1}
    assert passage == data(type_, "errors", "0", "--list", "right", "--passages")["questions"][0]["passage"]
    assert "passage" not in data(type_, "errors", "0", "--list", "right")["questions"][0]
    assert "Box 0 is red." == table(type_, "errors", "0", "--passages")[0]["passage.text"]


@pytest.mark.parametrize(
    ("passage", "ascii_only", "expected"),
    [
        (Passage("red, blue", ((0, 3),), (5, 9), 1), False, "[red], «blue»"),
        (Passage("red, blue", ((0, 3),), (5, 9), 1), True, "[red], <blue>"),
        (Passage("the year 1066 on", ((4, 13),), (9, 16), 1), False, "the [year «1066] on»"),
        (Passage("the year 1066 on", ((9, 13),), (4, 13), 1), False, "the «year [1066»]"),
        (Passage("redblue", ((0, 3),), (3, 7), 1), False, "[red]«blue»"),
        (Passage("red", ((0, 3),), (0, 3), 2), False, "[«red»] (given: the first of 2 possible places"),
        (Passage("a\n\x1b[31mred[red]\x9b2J", ((7, 10),)), False, "a [red][red]"),
        (Passage(""), False, ""),
        (None, False, "no passage was recorded"),
    ],
)
def test_marks_in_a_passage(passage: Passage | None, ascii_only: bool, expected: str) -> None:
    """For eyes without colour; foreign text is made harmless between the marks."""
    found = "".join(text for text, _ in passage_pieces(passage, ascii_only=ascii_only))
    assert expected == found[: len(expected)]
    assert found.isprintable()
