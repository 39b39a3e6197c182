"""`engine report` as a user types it, what the page holds, and that nothing in it runs or loads."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.app.commands.typing_words import Type, typist
from tests.app.hostile import STUDY, spoil

from bertdistill.app.report import study_material
from bertdistill.app.report.picture_files import DRAWER
from bertdistill.app.report.study_material import read_material
from bertdistill.app.report.study_pages import report_page, write_report_here, write_whole
from bertdistill.app.views.study_card import study_card
from bertdistill.engine.contract.errors import InvalidRequest, WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import Importances, Weight
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.store import writes
from bertdistill.store.db import Database, open_db

VOID = {"meta", "br"}
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>`]|[a](javascript:x)"


def weighed(workspace: Workspace, study: str) -> list[Importances]:
    """In place of the child process."""
    weights = (Weight("layers", 0.75, 5, conditional=False), Weight("learning_rate", 0.25, 3, conditional=True))
    return [Importances("exact", "ped-anova", 5, weights, 1, ("hidden_size",), "5 trials are few")]


class Page(HTMLParser):
    """A page read as a browser does: its elements, and what has a caption or a scope."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        assert not [name for name in names if name.startswith("on") or name in ("href", "src", "style")]
        assert "th" != tag or names["scope"] in ("col", "row")
        self.tags.append(tag)
        self.ids += [names["id"] or ""] if "id" in names else []
        if tag not in VOID and not (
            tag in ("rect", "line", "path", "circle") and self.get_starttag_text()[-2:] == "/>"
        ):  # type: ignore[index]  # it is in a tag
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)
            if self.open[-1] in ("h1", "h2"):
                self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def harmless(page: str) -> Page:
    """The page, which holds no script, no address to load and no other element than those of ours."""
    found = Page(page)
    ours = {"html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "p", "figure", "table"}
    ours |= {"caption", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code"}
    ours |= {"svg", "desc", "rect", "line", "path", "text", "g", "circle"}
    assert set(found.tags) <= ours
    assert len(found.ids) == len(set(found.ids))
    assert found.tags.count("table") == found.tags.count("caption")
    assert "url(" not in page
    assert "@import" not in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)
    return found


@pytest.fixture(name="type_")
def typing(ws: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type the command: exit status, stdout, stderr."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(ws.path))
    monkeypatch.setattr(study_material, "ask_importances", weighed)
    return typist(capsys, "report")


@pytest.fixture
def change(ws: Workspace) -> Callable[[Callable[[Any], object]], None]:
    """Write to the database of the workspace."""

    def write(work: Callable[[Any], object]) -> None:
        with closing(open_db(ws.path)) as db, db.write() as session:
            work(session)

    return write


def test_a_page_of_everything(type_: Type, tmp_path: Path) -> None:
    """Sentences, chart, tables, importance, failures, settings and digests; what the other commands say is said."""
    target = tmp_path / "report.html"
    status, out, err = type_("demo", "-o", str(target))
    assert (0, "", f"wrote {target}\n") == (status, out, err)
    page = harmless(target.read_text(encoding="utf-8"))
    assert [
        "Study demo",
        "Summary",
        "Frontier",
        "Trials",
        "Which trial for which purpose",
        "Which parameters mattered",
        "Failures",
        "Settings of the study",
        "Versions and digests",
    ] == page.headings
    for words in (
        "demo distilled students of scratch for question-answering and searched 3 parameters",
        "Objectives: exact (maximize, threshold 20.00), params (minimize).",
        "8 trials of 8 in the budget (1 running, 6 complete, 1 failed); the study is running",
        "The best exact is that of #0 (transformer): exact 90.00, params 120k.",
        "No trial is within 1 point of the teacher; the one with the best params is #2 (transformer)",
        "Attempts that failed: 1 killed_by_signal_9.",
        "Trials without a result: 1 failed (killed_by_signal_9).",
        "exact: PED-ANOVA, 5 feasible trials, 1 more misses a threshold",
        "layers 75%",
        "killed_by_signal_9 1 #5 out of luck",
        'name = "demo"',
    ):
        assert words in page.text, words
    assert 2 == page.tags.count("svg")


def test_markdown(type_: Type) -> None:
    """The same sections, charts of characters, to stdout without a file."""
    status, out, _ = type_("demo", "--format", "md")
    assert (0, True) == (status, out.startswith("# Study demo\n\n## Summary\n\n- demo distilled"))
    assert "```\n" in out
    assert "★ frontier" in out
    assert "| #0 | yes | ✓ complete | 90.00 | 120k |" in out
    assert "```toml\n" in out
    assert "<" not in out.replace("\\<", "")


def test_what_exists_stays(type_: Type, tmp_path: Path) -> None:
    """Unless --force is given; nothing else is left behind."""
    target = tmp_path / "out" / "report.html"
    target.parent.mkdir()
    target.write_text("mine")
    status, _, err = type_("demo", "-o", str(target))
    assert (2, True, "mine") == (status, f"{target} exists" in err, target.read_text())
    assert 0 == type_("demo", "-o", str(target), "--force")[0]
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert [target] == list(target.parent.iterdir())
    assert "is a folder" in type_("demo", "-o", str(tmp_path), "--force")[2]
    assert "there is no format 'pdf'" in type_("demo", "--format", "pdf")[2]


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    """It is looked for again before the rename."""
    path = tmp_path / "a.svg"
    write_whole(path, "first")
    with pytest.raises(InvalidRequest, match="exists"):
        write_whole(path, "second")
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidRequest, match="exists"):
        write_whole(path, "second")


def test_hostile_words_everywhere(ws: Workspace) -> None:
    """Every text of the database is altered; the page stays a page of ours."""
    spoil(ws)
    with closing(open_db(ws.path, read_only=True)) as db:
        found = read_material(db, ws, STUDY, weighed)
    page = report_page(found, "html")
    harmless(page)
    for kind in (page, report_page(found, "md")):
        assert not [char for char in kind if not (char.isprintable() or char == "\n")]


def test_markup_in_names_is_shown(
    ws: Workspace, db: Database, change: Callable[[Callable[[Any], object]], None]
) -> None:
    """As text: in notes, reasons, details, importances and metrics."""

    def spoiled(session: Any) -> None:
        writes.end_attempt(session, 2, now=1.0, exit_class=EVIL, log_tail=EVIL)
        trial = writes.create_trial(
            session, study_id=1, origin="sampler", params={"act": EVIL}, settings={"family": EVIL}, known={}, now=2.0
        )
        writes.set_trial_metrics(session, trial.id, {EVIL: 1.0}, progress=0.5)

    change(spoiled)
    weights = [Importances(EVIL, "fanova", 5, (Weight(EVIL, 1.0, 5, conditional=True),), problem=EVIL)]
    found = read_material(db, ws, "demo", lambda workspace, study: weights)
    page = harmless(report_page(found, "html"))
    assert "<script>alert(1)</script>" in page.text
    text = report_page(found, "md")
    assert "<script>" not in text.replace("\\<script", "")
    assert "[a](" not in text.replace("\\[a", "")


def test_without_importances_the_page_says_why(ws: Workspace, db: Database) -> None:
    """A child process that fails costs one section."""

    def fails(workspace: Workspace, study: str) -> list[Importances]:
        raise WorkerFailed("no such module")

    page = harmless(report_page(read_material(db, ws, "demo", fails), "html"))
    assert "The importance of the parameters could not be computed: no such module" in page.text


def test_curves_of_the_frontier(ws: Workspace, db: Database, change: Callable[[Callable[[Any], object]], None]) -> None:
    """One chart for each objective that has some; points that are not finite are counted."""
    points = [("search/exact", step, None if step == 3 else 10.0 * step, 1.0) for step in range(1, 6)]
    change(lambda session: writes.store_points(session, 1, 1, points))
    page = report_page(read_material(db, ws, "demo", weighed), "html")
    found = harmless(page)
    assert "Scores during training" in found.headings
    assert 3 == found.tags.count("svg")
    assert "#0 50" in found.text
    assert "1 value is not drawn (not finite)" in found.text


def test_the_sentences_agree_with_the_card(ws: Workspace, db: Database) -> None:
    """Both name the same trials."""
    found = read_material(db, ws, "demo", weighed)
    card = dict(study_card(found.view))
    text = report_page(found, "md")
    assert card["best"].startswith("#0")
    assert card["smallest"].startswith("#2")
    assert "params is #2" in text


def test_addresses_stay_here(
    ws: Workspace, db: Database, raw_spec: dict[str, Any], change: Callable[[Callable[[Any], object]], None]
) -> None:
    """Who is told of a study is nobody else's business."""
    spec = study_from_dict(raw_spec | {"notify": {"webhook": "https://example.org/hidden"}}, where="test")
    change(lambda session: writes.create_study(session, name="told", task=spec.task, spec=dump(spec), now=1.0))
    page = report_page(read_material(db, ws, "told", weighed), "html")
    assert "hidden_size" in page
    assert "example.org" not in page


def test_a_program_without_its_environment(tmp_path: Path) -> None:
    """A variable may be a secret; nothing speaks of a teacher."""
    raw = {
        "name": "prog",
        "program": {"command": ["train", "{rate}"], "environment": {"API_KEY": "hidden-1"}},
        "search": {"rate": {"low": 0.0, "high": 1.0}},
        "objectives": [{"metric": "score"}],
    }
    workspace = Workspace(tmp_path / "runs")
    with closing(open_db(workspace.path)) as db:
        with db.write() as session:
            spec = dump(study_from_dict(raw, where="test"))
            writes.create_study(session, name="prog", kind="program", task="", spec=spec, now=1.0)
        found = read_material(db, workspace, "prog", weighed)
    for page in (report_page(found, "html"), report_page(found, "md")):
        assert "prog searched 1 parameter (rate) of a program." in page
        assert "No trials yet." in page
        assert "train" in page
        assert "hidden" not in page
        assert "teacher" not in page.rpartition("</style>")[2]


def test_the_page_in_the_workspace(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the app writes it."""
    monkeypatch.setattr(study_material, "ask_importances", weighed)
    path = write_report_here(ws, "demo")
    assert (ws.path / "reports", "-demo.html") == (path.parent, path.name[-10:])
    harmless(path.read_text(encoding="utf-8"))


def test_the_chart_alone(ws: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`engine frontier --svg`, over any two metrics."""
    type_ = typist(capsys, "frontier")
    target = tmp_path / "chart.svg"
    words = ("demo", "--x", "latency_ms", "--svg", str(target), "-w", str(ws.path))
    assert (0, "", f"wrote {target}\n") == type_(*words)
    root = ElementTree.parse(target).getroot()
    assert "demo: exact against latency_ms" == root.findtext("{http://www.w3.org/2000/svg}title")
    assert root.find("{http://www.w3.org/2000/svg}style") is not None
    assert 2 == type_(*words)[0]
    assert 0 == type_(*words, "--force")[0]


def test_the_charts_of_the_report_alone(
    ws: Workspace,
    change: Callable[[Callable[[Any], object]], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is a file that needs no other; without a folder there is no place for them."""
    monkeypatch.setattr(study_material, "ask_importances", weighed)
    change(lambda session: writes.store_points(session, 1, 1, [("search/exact", step, 1.0, 1.0) for step in (1, 2)]))
    type_ = typist(capsys, "report")
    words = ("demo", "--format", "svg", "-w", str(ws.path))
    assert 2 == type_(*words)[0]
    assert 0 == type_(*words, "-o", str(tmp_path / "charts"))[0]
    found = sorted((tmp_path / "charts").iterdir())
    assert ["curves-exact.svg", "frontier.svg", "importance.svg"] == [path.name for path in found]
    for path in found:
        assert ElementTree.parse(path).getroot().find("{http://www.w3.org/2000/svg}style") is not None
    assert 2 == type_(*words, "-o", str(tmp_path / "charts"))[0]


def test_png_is_drawn_by_a_program_of_this_machine(
    ws: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets the picture on stdin; if it fails or is not there, that is said and no file is left."""
    type_ = typist(capsys, "frontier")
    drawer, target = tmp_path / DRAWER[0], tmp_path / "chart.png"
    words = ("demo", "--svg", str(target), "-w", str(ws.path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    drawer.write_text("#!/bin/sh\nprintf '\\211PNG\\r\\n\\032\\n'\nexec cat\n")
    drawer.chmod(0o755)
    assert (0, "", f"wrote {target}\n") == type_(*words)
    assert target.read_bytes().startswith(b"\x89PNG\r\n\x1a\n<svg")
    target.unlink()
    drawer.write_text("#!/bin/sh\necho no such font >&2\nexit 1\n")
    assert "drew nothing: no such font" in type_(*words)[2]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    status, _, said = type_(*words)
    assert (2, True) == (status, "rsvg-convert, which is not installed" in said)
    assert not target.exists()
