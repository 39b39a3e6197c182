"""Promote a checkpoint of a trial: name it, watch its verification, see the outcome. It decides nothing.

The verification is a separate process: leaving the screen or the app does not stop it, and reopening the screen
shows its progress. Form and progress are one screen, which makes it longer than 400 lines.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from bertdistill.app.bindings import bindings
from bertdistill.app.draw.plane import frontier_drawing
from bertdistill.app.reader import Reader
from bertdistill.app.report.records import model_row
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.app.screens.live_screen import Line, LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import error_line, safe, safe_line
from bertdistill.app.views import verification
from bertdistill.app.views.certain import luck_words
from bertdistill.app.views.points import chart_axis, chart_trials
from bertdistill.app.views.promotion_card import promotion_card
from bertdistill.app.views.thresholds import missed_words
from bertdistill.app.views.verification import VERIFYING, Verification
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.app.widgets import model_report
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.inspector import Inspector
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.contract.workspace import checked
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.promotions import AT_REST
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.errors import BertDistillError, NotFound
from bertdistill.store.rows import Checkpoint, ModelVersion, Trial

COLUMNS = (
    Column("role", "checkpoint", 10),
    Column("step", "step", 8, "right"),
    Column("scores", "recorded scores", 34, grow=True),
    Column("size", "on disk", 9, "right"),
)
FIELDS = (
    ("name", "name", "each promotion creates its next version"),
    ("alias", "alias", "such as production, or empty; set once verified"),
    ("note", "note", "kept with the version and in its card"),
)
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class PromoteNews:
    """All that the screen shows."""

    view: StudyView
    trial: Trial
    checkpoints: tuple[Checkpoint, ...]
    """The newest of each role that is on disk, best first."""
    versions: tuple[ModelVersion, ...]
    """All of the workspace, oldest first."""
    aliases: Mapping[tuple[str, str], str]
    """`name:version` by model name and alias."""
    followed: Verification | None
    row: dict[str, Any]
    """That version as `models --json` prints it."""
    load: str = ""
    """How to load it, from its card."""
    free: int | None = None
    """Bytes left on the disk of the workspace."""


class PromoteScreen(LiveScreen):
    """A form, then the steps of the verification, then its report."""

    PLACE = "promote"
    tells = True
    BINDINGS: ClassVar = bindings("promote")
    HELP = """
A promotion loads the checkpoint in a clean process, scores it again, refuses it when the score differs from the record,
scores the report split once, measures it and exports it with a model card. It continues when you leave this screen or
the app. A refused one can be exported by force: the card then says so.
"""

    def __init__(self, study_name: str, number: int) -> None:
        super().__init__()
        self.study_name, self.number = study_name, number
        self.news: PromoteNews | None = None
        self._following: int | None = None
        self._drawn: tuple[Any, ...] = ()

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Split(id="promote-form"):
            with Vertical():
                yield LineTable(id="checkpoints", classes="pane")
                for key, title, hint in FIELDS:
                    with Horizontal(classes="field"):
                        yield Label(title, markup=False)
                        yield Input(id=key, compact=True, placeholder=hint, select_on_focus=False, max_length=500)
                yield Line(id="verdict")
                yield Static(id="earlier", markup=False)
            yield Inspector(id="ahead", classes="pane inspector")
        with VerticalScroll(id="promote-steps", classes="pane"):
            yield Static(id="steps", markup=False)

    def on_mount(self) -> None:
        self.add_class("-form")
        self.query_one("#name", Input).value = self.study_name
        self.query_one("#name").focus()
        self.set_interval(POLL_SECONDS, self._look_while_verifying)

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, reader: Reader) -> PromoteNews:
        view = reader.certain(self.study_name)
        trial = view.trial(self.number)
        if trial is None:
            raise NotFound(f"study {self.study_name!r} has no trial {self.number}")
        versions, aliases = self._models(reader)
        if verification.settle_ended(reader.workspace, [v for v in versions if v.trial_id == trial.id]):
            versions, aliases = self._models(reader)
        with reader.session() as session:
            kept = {one.role: one for one in reads.checkpoints(session, trial_id=trial.id)}
        version = self._followed([v for v in versions if v.trial_id == trial.id])
        found = None if version is None else verification.look(reader.workspace, version)
        ours = [one for one in aliases if version is not None and one.name == version.name]
        row = (
            {}
            if version is None
            else model_row(version, ours, study=self.study_name, trial=trial.number, workspace=reader.workspace.path)
        )
        names = {v.id: f"{v.name}:{v.version}" for v in versions}
        return PromoteNews(
            view,
            trial,
            tuple(kept[role] for role in ("best", "last") if role in kept),
            tuple(versions),
            {(one.name, one.alias): names.get(one.version_id, "") for one in aliases},
            found,
            row,
            model_report.how_to_load(model_report.read_card(row["folder"]), row["folder"]) if row else "",
            _free(reader.workspace.path),
        )

    def _models(self, reader: Reader) -> tuple[list[ModelVersion], list[Any]]:
        with reader.session() as session:
            return reads.model_versions(session), reads.aliases(session)

    def _followed(self, versions: list[ModelVersion]) -> ModelVersion | None:
        """The version that this screen started; when it is opened, the newest of the trial that is being verified."""
        if self.news is None and (open_ones := [v for v in versions if v.state == VERIFYING]):
            self._following = open_ones[-1].id
        return next((v for v in versions if v.id == self._following), None)

    def _look_while_verifying(self) -> None:
        followed = self.news.followed if self.news is not None else None
        if self.ui.screen is self and followed is not None and followed.version.state == VERIFYING:
            self.ui.look_again()

    # ---------------------------------------------------------------------------------------------------- showing

    def show(self, news: PromoteNews) -> None:
        self.news = news
        state = fmt.state(news.trial.state.value, ascii_only=self.ui.ascii_only)
        self.header(Text.assemble((f"Promote #{self.number} of {safe_line(self.study_name, 40)}  ", "bold"), state))
        self._switch(form=news.followed is None)
        self._show_form(news)
        if news.followed is not None:
            self._show_steps(news, news.followed)
        self.refresh_keys()

    def _switch(self, *, form: bool) -> None:
        if self.has_class("-form") == form:
            return
        self.set_class(form, "-form")
        self.set_class(not form, "-steps")
        self.query_one("#name" if form else "#promote-steps").focus()

    def _show_form(self, news: PromoteNews) -> None:
        table = self.query_one("#checkpoints", LineTable)
        empty = "No checkpoint is on disk: none was written, or its files were removed. Run the trial again."
        rows = [checkpoint_row(one, news.view.study.task) for one in news.checkpoints]
        table.show(COLUMNS, rows, empty=empty)
        entitle(table, title="Which checkpoint")
        self._judge()
        earlier = [v for v in news.versions if v.trial_id == news.trial.id]
        words = ", ".join(f"{v.name}:{v.version} {v.state}" for v in reversed(earlier))
        before = f"Promoted before: {safe_line(words, 400)}" if words else ""
        luck = luck_words(news.view, news.trial)
        selection = f"{luck[0].upper()}{luck[1:]}; the report split will show." if luck else ""
        text = Text("\n".join(filter(None, (selection, before))), "dim")
        self.query_one("#earlier", Static).update(text)

    def follow(self) -> None:
        """What lies ahead, and where the trial stands."""
        news = self.news
        if news is None or not self.inspected:
            return
        ascii_only, view = self.ui.ascii_only, news.view
        facts = promotion_card(view, news.trial, self.checkpoint, news.free, ascii_only=ascii_only)
        x, y = chart_axes(view)
        across, up = (chart_axis(view, name, ascii_only=ascii_only) for name in (x, y))
        pairs = chart_trials(view, x, y)
        cursor = next((i for i, (trial, _) in enumerate(pairs) if trial and trial.number == self.number), None)
        points = [point for _, point in pairs]
        make = partial(frontier_drawing, points, across, up, cursor=cursor)
        mark = (points, across.lines, up.lines, ascii_only)
        self.query_one(Inspector).inspect("What will be done", facts, make, mark)

    def _show_steps(self, news: PromoteNews, followed: Verification) -> None:
        version = followed.version
        drawn = (followed.steps, version.state, news.row, news.load, self.ui.ascii_only)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        name = f"{safe_line(version.name, 80)}:{version.version}"
        parts: list[RenderableType] = [model_report.steps_text(followed.steps, ascii_only=self.ui.ascii_only)]
        if version.state == VERIFYING:
            parts.append(Text("It continues when you leave this screen or the app.", "dim"))
        else:
            parts += [Text(f"{self._end_words(version)}\n", "bold")]
            if missed := missed_words(news.view.objectives, version.metrics):
                parts += [Text(f"It misses a limit of the study: {safe_line(missed, 400)}.\n", "bold yellow")]
            parts.append(model_report.report(news.row, version, ascii_only=self.ui.ascii_only))
        if version.state == "verified":
            parts.append(Text(f"\nAsk it:  {safe(command_line('ask', name, ws=self.ui.workspace), 1000)} …\n"))
            parts.append(Text(f"Load it, from {safe_line(news.row['folder'], 400)}:\n{safe(news.load, 3000)}"))
        self.query_one("#steps", Static).update(Group(*parts))
        pane = self.query_one("#promote-steps")
        changed = news.row["changed"] if news.row else ""
        words = model_report.state_words(version.state, changed=changed, ascii_only=self.ui.ascii_only)
        entitle(pane, title=f"Verification of {name}", subtitle=words)

    def _end_words(self, version: ModelVersion) -> str:
        match version.state:
            case "verified":
                return "It is verified and exported. M lists all models and lets you try it."
            case "refused" if version.report.get("problem"):
                return "It was refused: its scores differ from the record. F exports it by force; n starts over."
        return "It was not promoted; n starts over."

    # ------------------------------------------------------------------------------------------------------- form

    def _word(self, key: str) -> str:
        return self.query_one(f"#{key}", Input).value.strip()

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The chosen checkpoint."""
        return self.under_cursor(self.news.checkpoints if self.news else (), lambda one: one.role, "#checkpoints")

    def problem(self) -> str:
        """Why the promotion cannot start, empty if it can."""
        news = self.news
        if news is None:
            return "the trial is still being read"
        if news.trial.state not in AT_REST:
            return f"trial #{self.number} is {news.trial.state.value}; wait until it ends, or stop it"
        if self.checkpoint is None:
            return "there is no checkpoint on disk; run the trial again"
        try:
            checked(self._word("name"), "model name")
            if alias := self._word("alias"):
                checked(alias, "alias")
        except BertDistillError as error:
            return error_line(error)
        return ""

    def _model(self, news: PromoteNews) -> str:
        """The version that a promotion would make."""
        name = self._word("name")
        return f"{name}:{1 + max((v.version for v in news.versions if v.name == name), default=0)}"

    @on(Input.Changed)
    @on(LineTable.Moved, "#checkpoints")
    def changed(self) -> None:
        self._judge()

    def _judge(self) -> None:
        """Show what enter would do, or what is wrong."""
        news, problem, chosen = self.news, self.problem(), self.checkpoint
        if news is None:
            return
        if problem or chosen is None:
            words, style = f"{fmt.STATES['failed'][self.ui.ascii_only]} {problem}", "bold red"
        else:
            missed = self._missed(news, chosen)
            mark, style = ("!", "bold yellow") if missed else (fmt.STATES["complete"][self.ui.ascii_only], "bold")
            words = f"{mark} enter creates {self._model(news)} of the {chosen.role} checkpoint"
            if alias := self._word("alias"):
                before = news.aliases.get((self._word("name"), alias), "")
                words += f"; {alias} moves to it from {before}" if before else f"; {alias} will point to it"
            words += f"; {missed}" if missed else ""
        self.query_one("#verdict", Line).say(Text(safe_line(words, 400), style))
        self.at_rest(self.follow)

    def _missed(self, news: PromoteNews, chosen: Checkpoint) -> str:
        """Which thresholds of the study this checkpoint misses, and by how much."""
        return missed_words(news.view.objectives, {**news.view.values(news.trial), **chosen.metrics})

    def action_field(self, by: int) -> None:
        """The line above or below; it stays at the ends."""
        line = [self.query_one("#checkpoints"), *(self.query_one(f"#{key}") for key, _, _ in FIELDS)]
        here = line.index(self.focused) if self.focused in line else 0
        if 0 <= here + by < len(line):
            line[here + by].focus()

    @on(LineTable.Chosen, "#checkpoints")
    def chosen(self) -> None:
        self.query_one("#name").focus()

    @on(Input.Submitted)
    def submitted(self) -> None:
        self.action_promote()

    # ---------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        followed = self.news.followed if self.news is not None else None
        match action:
            case "field" | "promote":
                return followed is None
            case "force":
                return followed is not None and is_mismatch(followed.version) and not _joins_two(followed)
            case "another":
                return followed is not None and followed.version.state != VERIFYING
        return True

    def copies(self) -> list[tuple[str, str]]:
        news = self.news
        if news is None:
            return []
        trial = f"{self.study_name}/{self.number}"
        if news.followed is None:
            alias = ["--alias", self._word("alias")] if self._word("alias") else []
            command = command_line("promote", trial, self._word("name"), *alias, ws=self.ui.workspace)
            return [("command", command)]
        name = f"{news.followed.version.name}:{news.followed.version.version}"
        found = [("model", name), ("ask it", command_line("ask", name, ws=self.ui.workspace))]
        if news.row["folder"]:
            found += [("folder", str(news.row["folder"])), ("load it", news.load)]
        return found

    def action_promote(self) -> None:
        """Ask, then start the verification."""
        news, chosen = self.news, self.checkpoint
        if news is not None and chosen is not None and not self.problem():  # which is already shown below the form
            scores = score_words(chosen, news.view.study.task)
            missed = self._missed(news, chosen)
            question = (
                f"Verify the {chosen.role} checkpoint of #{self.number} ({scores}) and export it as "
                f"{self._model(news)}? {f'It misses a limit of the study: {missed}. ' if missed else ''}"
                "The report split is read once. It continues when this app is closed."
            )
            asked = Confirm(question, yes="Promote it", no="Not yet")
            self.ui.push_screen(asked, lambda yes: self._promote_form(chosen.role) if yes else None)

    def _promote_form(self, role: str) -> None:
        self._promote(self._word("name"), role, self._word("alias"), self._word("note"))

    def _promote(self, name: str, role: str, alias: str, note: str, *, force: bool = False) -> None:
        def work() -> ModelVersion:
            return actions.promote(
                self.ui.workspace,
                self.study_name,
                self.number,
                name,
                who=self.ui.who,
                alias=alias,
                note=note,
                force=force,
                checkpoint=role,
            )

        def done(made: ModelVersion) -> str:
            self._following = made.id
            return f"{made.name}:{made.version} is being verified."

        self.ui.act(work, done)

    def action_force(self) -> None:
        """Promote a refused version again, whatever its score, once confirmed."""
        news = self.news
        if news is None or news.followed is None:
            return
        version, order = news.followed.version, news.followed.order
        role = next((c.role for c in news.checkpoints if c.id == version.checkpoint_id), "best")
        problem = safe_line(version.report.get("problem", ""), 600)
        question = f"Export it although {problem}? The next version of {version.name} and its card will say so."

        def answered(yes: bool | None) -> None:
            if yes:
                self._promote(version.name, role, order.alias if order else "", version.note, force=True)

        self.ui.push_screen(Confirm(question, yes="Export it by force", no="Leave it"), answered)

    def action_another(self) -> None:
        """Back to the form."""
        self._following, self._drawn = None, ()
        self.ui.look_again()

    def action_back(self) -> None:
        followed = self.news.followed if self.news is not None else None
        self.ui.leave_screen()
        if followed is not None and followed.version.state == VERIFYING:
            self.ui.tell("The verification continues; P on the trial, or M, shows how far it is.")


# --------------------------------------------------------------------------------------------------------------- words


def is_mismatch(version: ModelVersion) -> bool:
    """Whether it was refused because its scores differ from the record: only then does force help."""
    return version.state == "refused" and bool(version.report.get("problem"))


def score_words(checkpoint: Checkpoint, task: str) -> str:
    """The first scores of a checkpoint: `exact 52.13 f1 52.69`."""
    names = [name for name in TASKS[task].scores[:3] if name in checkpoint.metrics]
    return " ".join(f"{name} {fmt.metric(name, checkpoint.metrics[name])}" for name in names) or "no score"


def checkpoint_row(checkpoint: Checkpoint, task: str) -> Row:
    """One checkpoint with its recorded scores."""
    cells = (
        Cell(safe_line(checkpoint.role, 20), "bright"),
        Cell(f"{checkpoint.step:,}"),
        Cell(score_words(checkpoint, task)),
        Cell(fmt.size(checkpoint.size_bytes)),
    )
    return Row(checkpoint.role, cells)


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _joins_two(followed: Verification) -> bool:
    """Whether it is a cascade: taken by force here, its first model alone would become the next version."""
    return followed.order is not None and followed.order.cascade is not None
