"""A new study: what is listed, typed, checked and started; wrong things get words, and nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.app.conftest import spec_dict, squad_file
from tests.app.screens.driving import HOSTILE, SIZES, control_codes, playing, shown, toasts, told, until, words_on
from textual.pilot import Pilot
from textual.widgets import Button, Input

from bertdistill.app.keymap import of
from bertdistill.app.screens import new_study
from bertdistill.app.screens.dialogues import Ask, Choice, Confirm, CopyDialogue
from bertdistill.app.screens.new_study import OWN_DATA, NewStudyScreen
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.ui import BertDistill
from bertdistill.app.views.configs import SHIPPED, Config, shipped_folder
from bertdistill.app.widgets.table import LineTable
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering.demo_study import QUESTIONS
from bertdistill.engine.study.config import study_from_dict, to_toml
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.rows import Study
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file in the current folder, of a study that the workspace does not have."""
    monkeypatch.chdir(tmp_path)
    raw = spec_dict(squad_file(tmp_path / "train.json"), name="fresh")
    path = tmp_path / "fresh.toml"
    path.write_text("# Fresh: a study for tests. Nothing else.\n" + to_toml(study_from_dict(raw, where="test")))
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody rests between two keys here."""
    monkeypatch.setattr(new_study, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(new_study, "PLAN_SECONDS", 0.05)


def line(screen: NewStudyScreen, name: str) -> Input:
    """The input of a key."""
    return next(field for field in screen.query("#fields Input").results(Input) if field.name == name)


def value(screen: NewStudyScreen, name: str) -> str | None:
    """The value of the input of a key; None while the form is rebuilt."""
    return next((one.value for one in screen.query("#fields Input").results(Input) if one.name == name), None)


async def laid_out(pilot: Pilot[None], screen: NewStudyScreen) -> None:
    """Wait until the form stands."""
    await until(pilot, lambda: screen.config and screen.focused in list(screen.query("#fields Input")), "the form")


async def focus(pilot: Pilot[None], screen: NewStudyScreen, selector: str) -> None:
    """Give the focus to a widget, which it has some messages later."""
    screen.query_one(selector).focus()
    await until(pilot, lambda: screen.focused is screen.query_one(selector), f"the focus on {selector}")


async def settled(pilot: Pilot[None], screen: NewStudyScreen) -> None:
    """Wait until the plan has come or something is to be mended."""
    await until(pilot, lambda: screen.problems or screen.answer, "the findings")


async def listed(pilot: Pilot[None], screen: NewStudyScreen, stem: str) -> None:
    """Put the cursor of the list on a file."""
    table = screen.query_one("#configs", LineTable)
    assert screen.news is not None
    table.move_to(next(str(config.path) for config in screen.news.configs if config.path.stem == stem))
    await pilot.pause()


def studies(edit: Edit) -> list[Study]:
    """The studies of the sample workspace."""
    found: list[Study] = edit(reads.studies)
    return found


def test_every_action_of_the_table_is_there() -> None:
    """No key without a method."""
    assert [] == [a.id for a in of("new") if not hasattr(NewStudyScreen, f"action_{a.name.partition('(')[0]}")]


async def test_from_the_list_to_a_study_that_runs(ws: Workspace, file: Path, runner_here: None, edit: Edit) -> None:
    """Choose, read the plan, start, confirm: the study is there and its screen is open; back leads to the list."""
    screen = NewStudyScreen()
    async with playing(ws, screen) as pilot:
        await listed(pilot, screen, "fresh")
        await shown(pilot, "Fresh: a study for tests")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        line(screen, "budget.trials").value = "3"
        await until(pilot, lambda: screen.answer, "the plan")
        await shown(pilot, "valid: 3 trials")
        await shown(pilot, "baseline")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen, "the form: the safe answer has the focus")
        assert ["demo"] == [study.name for study in studies(edit)]
        await pilot.press("ctrl+g")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study")
        assert pilot.app.screen.study_name == "fresh"
        again = NewStudyScreen(str(file))
        await pilot.app.push_screen(again)
        await laid_out(pilot, again)
        assert "3" == line(again, "budget.trials").value, "the form of a started study keeps what was typed"
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study, without a question")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")
    started = studies(edit)[1]
    assert ("fresh", 3) == (started.name, started.spec["budget"]["trials"])


async def test_a_start_is_shown_until_it_is_done(
    ws: Workspace, file: Path, runner_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a slow machine the study exists seconds before its screen opens: the form does not call it an old one."""
    gate = Event()

    def refuse(_: Workspace) -> None:
        assert gate.wait(30)
        raise LaunchError("no runner could be started")

    monkeypatch.setattr(new_study.actions, "ensure_runner", refuse)
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        await until(pilot, lambda: screen.answer, "the plan")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await shown(pilot, "Starting study fresh …")
        await until(pilot, lambda: screen.news and "fresh" in screen.news.studies, "the new study in the workspace")
        await pilot.pause(0)
        assert screen.checked
        assert not screen.checked.goes_on
        gate.set()
        await shown(pilot, "no runner could be started")
        await shown(pilot, "starting it resumes")


async def test_a_file_of_the_command_line_opens_its_form(ws: Workspace, file: Path) -> None:
    """As `bertdistill-tui fresh.toml` does."""
    async with playing(ws, study_file=file) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, NewStudyScreen), "the screen")
        screen = pilot.app.screen
        await laid_out(pilot, screen)
        assert "fresh" == line(screen, "name").value


async def test_the_file_in_an_editor(ws: Workspace, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves is in the file and in the form; a file of the program stays, and a copy has the changes."""
    names: list[str] = []

    def edited(app: BertDistill, text: str, name: str) -> str:
        names.append(name)
        return text.replace("trials = ", "trials = 1")

    monkeypatch.setattr(BertDistill, "edit_text", edited)
    before = file.read_text(encoding="utf-8")
    async with playing(ws, study_file=file) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, NewStudyScreen), "the screen")
        screen: Any = pilot.app.screen
        await laid_out(pilot, screen)
        trials = line(screen, "budget.trials").value
        await pilot.press("f8")
        await until(pilot, lambda: line(screen, "budget.trials").value == f"1{trials}", "the new budget")
        assert before != file.read_text(encoding="utf-8")
        shipped = shipped_folder() / "demo.toml"
        screen._edit(Config(shipped, SHIPPED))
        await laid_out(pilot, screen)
        await pilot.press("f8")
        await until(pilot, lambda: screen.config.where == "edited", "a copy")
        assert ws.path / "studies" / "demo.toml" == screen.config.path
    assert ["fresh.toml", "demo.toml"] == names


@pytest.mark.parametrize("size", SIZES)
async def test_mistakes_are_told_at_their_line(ws: Workspace, file: Path, size: tuple[int, int]) -> None:
    """An unknown word, a bad number, a taken name: the key carries the sign, and start does nothing."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen, size) as pilot:
        await laid_out(pilot, screen)
        line(screen, "settings.epochs").value = "5"
        line(screen, "name").value = "demo"
        taken = "use another name, such as demo-2"
        await until(pilot, lambda: any(taken in p for p in screen.problems), "the taken name")
        await shown(pilot, "✗ name")
        line(screen, "name").value = "fre/sh"
        line(screen, "budget.trials").value = "many"
        await until(pilot, lambda: len(screen.problems) == 2, "both problems")
        await shown(pilot, "2 to fix")
        await pilot.press("f5")
        assert [] == toasts(pilot)
        assert pilot.app.screen is screen
        line(screen, "name").value = "fresh"
        line(screen, "budget.trials").value = "5"
        await until(pilot, lambda: screen.checked and screen.checked.spec and not screen.problems, "no problem")


async def test_a_study_that_is_there_goes_on(
    ws: Workspace, file: Path, runner_here: None, edit: Edit, spec: StudySpec
) -> None:
    """The same settings under the same name: the words say so before anything is started."""
    file.write_text(to_toml(spec))
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        await until(pilot, lambda: screen.answer, "the plan")
        await shown(pilot, "starting it resumes study demo")
        await pilot.press("f5")
        await shown(pilot, "Resume study demo?")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudyScreen), "the study")
    assert ["demo"] == [study.name for study in studies(edit)]


async def test_data_that_are_missing_are_told_by_the_plan(ws: Workspace, file: Path) -> None:
    """The check cannot know, the plan can, and its problem stands at the key as well."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        line(screen, "data.report").value = "nowhere.json"
        await until(pilot, lambda: screen.answer and screen.answer.problems, "the plan's problem")
        await shown(pilot, "✗ data.report")
        assert "Did you mean report.json?" in str(screen.answer.problems if screen.answer else "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere.toml", "no such file"),
        (".", "is a folder"),
        ("", "no file was given"),
        ("notes.dat", "Data files end in .csv, .tsv, .json, .jsonl"),
        ("notes.txt", "holds text;label in each line"),
    ],
)
async def test_wrong_paths_stay_to_be_corrected(ws: Workspace, file: Path, text: str, words: str) -> None:
    """What was typed stays in its place, with what is wrong under it."""
    for name in ("notes.dat", "notes.txt"):
        (file.parent / name).write_text("id,message\n1,hello\n")
    screen = NewStudyScreen()
    async with playing(ws, screen, SIZES[1]) as pilot:
        path = screen.query_one("#path", Input)
        await focus(pilot, screen, "#path")
        path.value = text
        await pilot.press("enter")
        await shown(pilot, words)
        assert (None, path) == (screen.config, screen.focused)
        assert path.value.endswith(text)
        path.value = "fresh.toml"
        await pilot.press("enter")
        await laid_out(pilot, screen)


async def test_a_path_is_completed(ws: Workspace, file: Path) -> None:
    """A path that is begun on the list goes to its line; the right arrow takes what stands pale behind the cursor."""
    screen = NewStudyScreen()
    async with playing(ws, screen) as pilot:
        path = screen.query_one("#path", Input)
        await listed(pilot, screen, "fresh")
        await pilot.press(".", "/", "f", "r")
        await until(pilot, lambda: path._suggestion == "./fresh.toml", "the suggestion")
        await pilot.press("right", "enter")
        await laid_out(pilot, screen)


async def test_nothing_typed_is_lost_on_the_way(ws: Workspace, file: Path) -> None:
    """To the list and back, and leaving asks first."""
    screen = NewStudyScreen()
    async with playing(ws, screen) as pilot:
        await listed(pilot, screen, "fresh")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        line(screen, "note").value = "mine"
        await pilot.pause()
        await pilot.press("f4")
        await shown(pilot, "or the path of a study file, or of your data")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        await until(pilot, lambda: value(screen, "note") == "mine", "what was typed")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await shown(pilot, "note=mine")
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen is screen, "the list")
        await pilot.press("ctrl+o", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")


async def test_keys_of_one_family_are_shown_in_full(ws: Workspace, file: Path) -> None:
    """Their end is what tells them apart, so the labels are as wide as the longest key."""
    async with playing(ws, NewStudyScreen(str(shipped_folder() / "sst2-tiny.toml"))) as pilot:
        await shown(pilot, "search.transformer.layers ")


async def test_any_other_key_becomes_a_line(ws: Workspace, file: Path) -> None:
    """A known key is used, an unknown one is told with the nearest, and what is no change is explained."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        other = screen.query_one("#other-key", Input)
        for text in ("nonsense", "sampler.kind=tpe", "search.layers={ low = 1, high = 3 }", "sampler.sed=3"):
            await focus(pilot, screen, "#other-key")
            other.value = text
            await pilot.press("enter")
            await pilot.pause()
        await until(pilot, lambda: any("did you mean seed?" in p for p in screen.problems), "the unknown key")
        line(screen, "sampler.sed").value = ""
        await until(pilot, lambda: screen.checked and not screen.problems and screen.checked.spec, "no problem")
        assert screen.checked is not None
        assert screen.checked.spec is not None
        assert "tpe" == screen.checked.spec.sampler.kind
        assert 3 == screen.checked.spec.search[0].high
        assert "nonsense" not in screen.command


async def test_movement_between_lines(ws: Workspace, file: Path) -> None:
    """Arrows and enter go from line to line and stop at the ends; the help of the key follows."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen, SIZES[2]) as pilot:
        await laid_out(pilot, screen)
        names = [field.name for field in screen.query("#fields Input").results(Input)]
        assert names[0] == screen.focused.name
        await pilot.press("up")
        assert names[0] == screen.focused.name
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.focused.name == names[2], "the third line")
        await shown(pilot, "data.train: Local training file")
        await pilot.press("up")
        assert names[1] == screen.focused.name


async def test_form_and_plan_where_one_fits(ws: Workspace, file: Path) -> None:
    """f6 exchanges them, escape leads back to the form; a wide window shows both."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen, SIZES[1]) as pilot:
        await laid_out(pilot, screen)
        await settled(pilot, screen)
        await pilot.press("f6")
        await shown(pilot, "trials                8 in the budget")
        await pilot.press("escape")
        await shown(pilot, "data.train")
        await pilot.press("ctrl+t", "ctrl+t")
        await shown(pilot, "data.train")


async def test_the_button_and_the_copies(ws: Workspace, file: Path) -> None:
    """The mouse can start it; the same as a command and as a whole file can be copied."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        await until(pilot, lambda: screen.answer, "the plan")
        screen.query_one("#start", Button).press()
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("n")
        await until(pilot, lambda: pilot.app.screen is screen, "the form")
        copies = dict(screen.copies())
        assert f"run {file}" in copies["command"]
        assert 'name = "fresh"' in copies["study file"]
        await focus(pilot, screen, "#plan")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(pilot.app.screen, CopyDialogue), "the choice of copies")


async def test_the_demo_brings_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty workspace the first of the list is ready to start; to look at it leaves no question behind."""
    ws = Workspace(tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    screen = NewStudyScreen()
    async with playing(ws, screen) as pilot:
        await pilot.press("enter")
        await laid_out(pilot, screen)
        await until(pilot, lambda: screen.answer, "the plan")
        assert [] == screen.problems
        assert QUESTIONS.has_data(ws)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, StudiesScreen), "the studies")


@pytest.mark.parametrize("size", SIZES)
async def test_hostile_files_are_harmless(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    """A comment, a name of a file, a wrong value: all are text."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "[red]漢字[_].toml"
    path.write_text(f"# {HOSTILE}\n[teacher]\n")
    screen = NewStudyScreen()
    async with playing(ws, screen, size) as pilot:
        await listed(pilot, screen, path.stem)
        assert "[red]漢字" in words_on(pilot)
        assert set() == control_codes(pilot)
        await pilot.press("enter")
        await shown(pilot, "not valid TOML")
        path.write_text('# [b]x[/]\nname = "a\\u001b[31m[red]b[/]"\ntask = "x"\n[teacher]\nmodel = "[/]\\u009b2J"\n')
        await focus(pilot, screen, "#configs")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        await until(pilot, lambda: screen.problems, "the problems")
        await shown(pilot, "to fix")
        assert set() == control_codes(pilot)
        await pilot.press("f5")
        assert (screen, []) == (pilot.app.screen, toasts(pilot))


def epochs(screen: NewStudyScreen) -> float | None:
    """Of the study as it was checked last, while it is valid."""
    spec = screen.checked.spec if screen.checked else None
    return spec.settings.epochs if spec is not None else None


async def test_a_file_that_goes_away_takes_nothing_along(ws: Workspace, file: Path) -> None:
    """The form keeps its lines and says what happened; the whole file can be copied; back again, it may start."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        line(screen, "settings.epochs").value = "5"
        await until(pilot, lambda: epochs(screen) == 5.0, "a valid study")
        text = file.read_text()
        file.unlink()
        pilot.app.look_again()  # type: ignore[attr-defined]  # it is our app
        await shown(pilot, "no such file")  # the rest is wrapped wherever the long path ends
        assert ("5", "8") == (line(screen, "settings.epochs").value, line(screen, "budget.trials").value)
        line(screen, "budget.trials").value = "9"
        await until(pilot, lambda: screen.changes == ["settings.epochs=5", "budget.trials=9"], "another change")
        await pilot.press("f5")
        assert (screen, True) == (pilot.app.screen, "epochs = 5.0" in dict(screen.copies())["study file"])
        file.write_text(text)
        pilot.app.look_again()  # type: ignore[attr-defined]  # it is our app
        await until(pilot, lambda: epochs(screen) == 5.0 and not screen.problems, "the file again")
        assert "trials = 9" in dict(screen.copies())["study file"]


async def test_a_file_that_was_changed_meanwhile_is_read_again(ws: Workspace, file: Path) -> None:
    """Lines that nobody touched say what it says now, the others what was typed; one that is broken is said to be."""
    screen = NewStudyScreen(str(file))
    async with playing(ws, screen) as pilot:
        await laid_out(pilot, screen)
        line(screen, "settings.epochs").value = "5"
        await pilot.pause()
        good = file.read_text()
        file.write_text(good.replace("trials = 8", "trials = 11"))
        pilot.app.look_again()  # type: ignore[attr-defined]  # it is our app
        await told(pilot, "fresh.toml was changed on disk: its new values are shown, your changes kept.")
        await until(pilot, lambda: screen.checked and screen.checked.spec, "a valid study")
        await until(pilot, lambda: value(screen, "budget.trials") == "11", "its new value")
        assert "5" == line(screen, "settings.epochs").value
        file.write_text("[[[")
        pilot.app.look_again()  # type: ignore[attr-defined]  # it is our app
        await shown(pilot, "fresh.toml: not valid TOML")
        assert "5" == line(screen, "settings.epochs").value


async def test_own_data_becomes_a_study(ws: Workspace, tmp_path: Path) -> None:
    """Its columns are read, the file like it is held back, and the form shows the study that was written."""
    for part in ("train", "test"):
        rows = [f"the {part} film number {n} was {'good' if n % 2 else 'bad'},{n % 2}" for n in range(60)]
        (tmp_path / f"films-{part}.csv").write_text("\n".join(["review,stars", *rows]))
    screen = NewStudyScreen(OWN_DATA)
    async with playing(ws, screen) as pilot:
        await shown(pilot, "ype the path of")
        screen.query_one("#path", Input).value = str(tmp_path / "films-train.csv")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        assert str(tmp_path / "films-test.csv") == value(screen, "data.report")
        assert ("review", "stars") == (value(screen, "data.text_column"), value(screen, "data.label_column"))
        await shown(pilot, "60 rows")
    assert (ws.path / "studies" / "films-train.toml").is_file()


async def test_a_column_that_is_not_clear_is_asked_for(ws: Workspace, tmp_path: Path) -> None:
    """With the columns and samples of each; escape leaves the path as it was."""
    rows = [f"a film that was good {n},x{n % 2},y{n % 3}" for n in range(60)]
    data = tmp_path / "films.csv"
    data.write_text("\n".join(["review,mood,genre", *rows]))
    screen = NewStudyScreen(str(data))
    async with playing(ws, screen) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask), "the question")
        await shown(pilot, "genre")
        await pilot.press(*"mood", "enter")
        await laid_out(pilot, screen)
        assert "mood" == value(screen, "data.label_column")


async def test_an_unclear_header_is_asked_for_and_the_draft_is_found_again(ws: Workspace, tmp_path: Path) -> None:
    """The likelier answer has the cursor; what was left is in the list, under the cursor, and said."""
    rows = [f"{n},a text that is long {n},{'joy' if n % 2 else 'fear'}" for n in range(60)]
    (tmp_path / "moods.csv").write_text("\n".join(["id,message,mood", *rows]))
    screen = NewStudyScreen(OWN_DATA)
    async with playing(ws, screen) as pilot:
        await shown(pilot, "ype the path of")
        screen.query_one("#path", Input).value = str(tmp_path / "mods.csv")
        await pilot.press("enter")
        await shown(pilot, "moods.csv?")
        screen.query_one("#path", Input).value = str(tmp_path / "moods.csv")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choice), "the question")
        await shown(pilot, "1: id, message, mood")
        await shown(pilot, "2: 0, a text that is long 0, fear")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        assert ("message", "mood") == (value(screen, "data.text_column"), value(screen, "data.label_column"))
        await shown(pilot, ".report.jsonl ")  # the end of a long path
        line(screen, "budget.trials").value = "3"
        await pilot.press("f4")
        await shown(pilot, "moods.toml is in the list, with what you typed: enter returns to its form.")
        table = screen.query_one("#configs", LineTable)
        await until(pilot, lambda: str(table.cursor_key).endswith("studies/moods.toml"), "the draft in the list")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm), "the question")
        await pilot.press("n")
        await shown(pilot, "enter returns to its form")
        await pilot.press("enter")
        await laid_out(pilot, screen)
        assert "3" == value(screen, "budget.trials")
        await pilot.press("f4", "escape", "y")
        await told(pilot, "moods.toml is kept in the workspace: n lists it.")


async def test_data_that_cannot_be_read_is_refused(ws: Workspace, tmp_path: Path) -> None:
    """With the file, and nothing is written."""
    data = tmp_path / "films.csv"
    data.write_bytes(b"\xff\xfe\x00review")
    async with playing(ws, NewStudyScreen(str(data))) as pilot:
        await shown(pilot, "not UTF-8")
    assert not (ws.path / "studies").exists()
