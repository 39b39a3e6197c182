"""The promoted models: versions with their verified scores, aliases, report and card; and a way to try one.

It decides nothing. A version whose verification has ended is settled when it is read.
It is longer than 400 lines because the list, the report beside it and every action on a version share its cursor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from rich.console import Group
from rich.text import Text
from textual import on
from textual.widget import Widget

from bertdistill.app.bindings import bindings
from bertdistill.app.reader import Reader
from bertdistill.app.report.records import model_row
from bertdistill.app.screens.delete import ask_to_delete
from bertdistill.app.screens.dialogues import Ask, Change, Choice, Confirm
from bertdistill.app.screens.live_screen import LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views import verification
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.thresholds import missed_words
from bertdistill.app.views.verification import VERIFYING
from bertdistill.app.widgets import model_report
from bertdistill.app.widgets.cells import Cell, Row, Tone, whole_width
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.text_pane import TextPane
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.contract.workspace import checked
from bertdistill.engine.steering import actions
from bertdistill.engine.study.outline import outline
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.rows import ModelAlias, ModelVersion, Study, Trial

COLUMNS = (
    Column("model", "model", 20, grow=True, most=40),
    Column("state", "state", 11),
    Column("score", "report score", 15),
    Column("aliases", "aliases", 12),
    Column("params", "params", 7, "right"),
    Column("latency", "latency", 9, "right"),
    Column("trial", "trial", 16),
    Column("made", "made", 11),
)
ROOMY = 70
"""Cells of the list from which on the name of each score stands beside it; the report beside the list has it, too."""
LATENCIES = ("latency_cpu_ms", "latency_ms")
"""Versions from before CPU time was measured have only the wall time."""
PANES = ("models", "details")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Model:
    """One promoted version. `row` is what `models --json` prints of it."""

    version: ModelVersion
    row: dict[str, Any]
    trial: Trial
    study: Study
    aliases: tuple[ModelAlias, ...]
    """Those that point to it."""

    @property
    def name(self) -> str:
        return str(self.row["model"])

    @property
    def missed(self) -> str:
        """The thresholds of its study that its scores on the report split miss, in words; empty if none."""
        return missed_words(outline(self.study).objectives, self.version.metrics)


@dataclass(frozen=True)
class ModelsNews:
    """All that the screen shows, newest first."""

    models: tuple[Model, ...]
    card: str
    """Of the chosen version."""
    chosen: str
    """The version that the card is of."""


class ModelsScreen(LiveScreen):
    """Versions on the left; report and card of the chosen one on the right, or on `2` where the window is narrow."""

    PLACE = "models"
    tells = True
    BINDINGS: ClassVar = bindings("models")
    panes: ClassVar = {name: name for name in PANES}
    HELP = """
Each promotion creates the next version of its name. Scores are those on the report split, which only a verification
reads. An alias such as `production` points to one version; undoing it restores the previous one. `enter` lets you ask
a model something, next to its teacher.
"""

    def __init__(self) -> None:
        super().__init__()
        self.news: ModelsNews | None = None
        self._chosen = ""
        self._drawn: tuple[Any, ...] = ()
        self._listing = Listing(
            "version",
            "versions",
            WordFilter("squad -refused", held, lambda: [one.name for one in self.news.models] if self.news else []),
            columns=lambda: [column.key for column in COLUMNS],
            sorts=ORDERS.__contains__,
            value=lambda model, column: ORDERS[column](model),
            changed=self.follow,
            usual="made",
        )
        self.listings = {"models": self._listing}

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Split(id="models-body"):
            yield LineTable(id="models", classes="pane")
            yield TextPane(id="details", classes="pane")

    def on_mount(self) -> None:
        self.add_class("-show-models")
        self.query_one("#models").focus()
        self.set_interval(POLL_SECONDS, self._look_while_verifying)

    def _look_while_verifying(self) -> None:
        models = self.news.models if self.news is not None else ()
        if self.ui.screen is self and any(one.version.state == VERIFYING for one in models):
            self.ui.look_again()

    # ---------------------------------------------------------------------------------------------------- reading

    def read(self, reader: Reader) -> ModelsNews:
        if reader.db is None:
            return ModelsNews((), "", "")
        models = self._models(reader)
        if verification.settle_ended(reader.workspace, [one.version for one in models]):
            models = self._models(reader)
        chosen = self._chosen or (models[0].name if models else "")
        folder = next((one.row["folder"] for one in models if one.name == chosen), None)
        return ModelsNews(models, model_report.read_card(folder), chosen)

    def _models(self, reader: Reader) -> tuple[Model, ...]:
        with reader.session() as session:
            versions, aliases = reads.model_versions(session), reads.aliases(session)
            trials = {v.trial_id: reads.trial_by_id(session, v.trial_id) for v in versions}
            studies = {study.id: study for study in reads.studies(session, deleted=True)}
        found = []
        for version in versions:
            trial = trials[version.trial_id]
            study = studies[trial.study_id]
            ours = tuple(one for one in aliases if one.version_id == version.id)
            path = reader.workspace.path
            row = model_row(version, ours, study=study.name, trial=trial.number, workspace=path)
            found.append(Model(version, row, trial, study, ours))
        return tuple(sorted(found, key=lambda one: -(one.version.id)))

    # ---------------------------------------------------------------------------------------------------- showing

    def show(self, news: ModelsNews) -> None:
        self.news = news
        count = len(news.models)
        self.header(Text.assemble(("Models  ", "bold"), f"{count} {'version' if count == 1 else 'versions'}"))
        table = self.query_one("#models", LineTable)
        empty = "No model yet. Open a study, choose a trial and press P to promote it."
        split = self.query_one(Split)
        named = split.room >= ROOMY or not split.room
        listing, ascii_only = self._listing, self.ui.ascii_only
        rows = [model_table_row(one, named=named, ascii_only=ascii_only) for one in listing.shown(news.models)]
        columns = _columns(news.models, named=named)
        heads = listing.heads(columns, ascii_only=ascii_only)
        split.suit(whole_width(heads, rows))
        table.show(heads, rows, empty=listing.no_match(self.key_for) if news.models else empty)
        entitle(table, title=listing.title("Versions", "Versions, newest first", columns, self.key_for))
        self._show_details(news)
        self.refresh_keys()

    def _show_details(self, news: ModelsNews) -> None:
        model, pane = self.chosen, self.query_one("#details", TextPane)
        card = news.card if model is not None and model.name == news.chosen else ""
        drawn = (model.row if model else None, model.version.report if model else None, card, self.ui.ascii_only)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if model is None:
            pane.tell("")
            return
        report = model_report.report(model.row, model.version, model.missed, ascii_only=self.ui.ascii_only)
        heading = Text("\nIts model card\n", "bold")
        card_text = model_report.card_text(card, ascii_only=self.ui.ascii_only) if card else None
        pane.tell(Group(report, heading, card_text) if card_text is not None else report)
        pane.call_it(f"{model.name}: report and card")

    @property
    def chosen(self) -> Model | None:
        """The version under the cursor."""
        return self.under_cursor(self.news.models if self.news else (), lambda one: one.name, "#models")

    @on(LineTable.Moved, "#models")
    def moved(self) -> None:
        self.at_rest(self.follow)

    def follow(self) -> None:
        """Show the version that the cursor has come to, and the columns that fit."""
        if self.news is not None:
            self.show(self.news)
        model = self.chosen
        self._chosen = model.name if model else ""
        self.query_one("#details").scroll_home(animate=False)
        self.refresh_keys()
        self.ui.look_again()  # for its card

    # ---------------------------------------------------------------------------------------------------- actions

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        model = self.chosen
        match action:
            case "try_it" | "alias":
                return model is not None and model.version.state == "verified"
            case "undo_alias":
                return model is not None and bool(model.aliases)
            case "source" | "pane" | "delete":
                return model is not None
            case "filter" | "sort" | "sort_reverse":
                return self.news is not None and bool(self.news.models)
        return True

    def copies(self) -> list[tuple[str, str]]:
        model = self.chosen
        if model is None:
            return [("command", command_line("models", ws=self.ui.workspace))]
        found = [("model", model.name), ("command", command_line("models", model.version.name, ws=self.ui.workspace))]
        if model.row["folder"]:
            code = model_report.how_to_load(self.news.card if self.news else "", model.row["folder"])
            text = ["-q", "QUESTION", "-p", "PASSAGE"] if TASKS[model.study.task].spans else ["TEXT"]
            found += [("folder", model.row["folder"]), ("sha256", model.version.sha256)]
            found += [("ask it", command_line("ask", model.name, *text, ws=self.ui.workspace)), ("load it", code)]
        return found

    @on(LineTable.Chosen, "#models")
    def enter(self) -> None:
        self.action_try_it()

    def action_try_it(self) -> None:
        model = self.chosen
        if model is None:
            return
        if model.version.state != "verified":
            self.ui.tell(f"{model.name} has the state {model.version.state}; only a verified model can be tried.")
            return
        from bertdistill.app.screens.try_model import TryScreen

        self.ui.push_screen(TryScreen(model.name))

    def action_source(self) -> None:
        if model := self.chosen:
            self.ui.open_trial(model.study.name, model.trial.number)

    def action_delete(self) -> None:
        if model := self.chosen:
            ask_to_delete(self.ui, model.name)

    def action_pane(self, name: str) -> None:
        """Go to a pane; where the window is narrow, show it alone."""
        for one in PANES:
            self.set_class(one == name, f"-show-{one}")
        if name == "details" and self.has_class("-wide") and not self.inspected:
            self.action_inspector()
        self.query_one(f"#{name}").focus()
        self.refresh_keys()

    def action_alias(self) -> None:
        """Point an alias to the chosen version."""
        model = self.chosen
        if model is None:
            return

        name, version = model.version.name, model.version.version

        def change(text: str) -> Change:
            return (
                lambda: actions.set_alias(self.ui.workspace, name, text.strip(), version, who=self.ui.who),
                lambda _: f"{name}@{text.strip()} now points to version {version}. U undoes this.",
            )

        known = sorted({one.alias for other in self._of(name) for one in other.aliases})
        there = f" Existing: {', '.join(known)}." if known else ""
        title = f"Which alias should point to {model.name}?{there}"
        asked = Ask(title, placeholder="production", check=lambda text: checked(text.strip(), "alias"), write=change)
        self.ui.push_screen(asked)

    def _of(self, name: str) -> list[Model]:
        return [one for one in self.news.models if one.version.name == name] if self.news else []

    def action_undo_alias(self) -> None:
        """Point an alias of the chosen version to its previous version, once confirmed."""
        model = self.chosen
        if model is None or not model.aliases:
            return
        if len(model.aliases) == 1:
            self._ask_undo(model, model.aliases[0])
            return
        letters = {str(i): one for i, one in enumerate(model.aliases, start=1)}
        choices = [(key, f"{one.alias}: {self._before(model, one)}") for key, one in letters.items()]

        def answered(key: str | None) -> None:
            if key is not None:
                self._ask_undo(model, letters[key])

        self.ui.push_screen(Choice(f"Undo which alias of {model.name}?", choices), answered)

    def _before(self, model: Model, alias: ModelAlias) -> str:
        """What an alias points to after it is undone."""
        past = next((m for m in self._of(model.version.name) if m.version.id == alias.previous_version_id), None)
        return f"back to {past.name}" if past is not None else "it is removed, because it pointed to nothing before"

    def _ask_undo(self, model: Model, alias: ModelAlias) -> None:
        name, word = model.version.name, alias.alias

        def answered(yes: bool | None) -> None:
            if yes:
                self.ui.act(
                    partial(actions.undo_alias, self.ui.workspace, name, word, who=self.ui.who),
                    lambda _: f"The alias {name}@{word} is undone.",
                )

        question = f"Undo the alias {word} of {model.name}? Then {self._before(model, alias)}."
        self.ui.push_screen(Confirm(question, yes="Undo it", no="Keep it"), answered)


def held(model: Model) -> str:
    """What a version can be found by: its name, state, aliases, trial and task, and what was noted about it."""
    row = model.row
    states = (model.version.state, *(["changed"] if row["changed"] else []), *(["forced"] if row["forced"] else []))
    return " ".join((model.name, *states, *row["aliases"], trial_of(model), model.study.task, model.version.note))


def trial_of(model: Model) -> str:
    """Where a version came from: `demo/7`."""
    return f"{model.study.name}/{model.trial.number}"


def score_of(model: Model) -> str:
    """The name of its score: the first of its task that was verified."""
    return next((name for name in TASKS[model.study.task].scores if name in model.version.metrics), "")


def latency_of(model: Model) -> str:
    """The name of its latency, empty where none was measured."""
    return next((name for name in LATENCIES if name in model.version.metrics), "")


ORDERS: Mapping[str, Callable[[Model], Any]] = {
    "model": lambda model: model.name.casefold(),
    "state": lambda model: model.version.state,
    "score": lambda model: model.version.metrics.get(score_of(model)),
    "aliases": lambda model: ", ".join(model.row["aliases"]) or None,
    "params": lambda model: model.version.metrics.get("params"),
    "latency": lambda model: model.version.metrics.get(latency_of(model)),
    "trial": lambda model: trial_of(model).casefold(),
    "made": lambda model: -model.version.id,
}
"""What a column sorts by."""


def _columns(models: Sequence[Model], *, named: bool) -> list[Column]:
    """Those that fit first are the ones to choose by, aliases among them."""
    widths = {"state": 15} if any(one.row["changed"] for one in models) else {}
    widths |= {"state": 30} if any(one.missed for one in models) else {}
    widths |= {"model": min(24, max([12, *(len(one.name) for one in models)]))}  # versions differ in the last character
    widths |= {} if named else {"score": 12}
    return [replace(column, width=widths.get(column.key, column.width)) for column in COLUMNS]


def model_table_row(model: Model, *, named: bool = True, ascii_only: bool = False) -> Row:
    """One version; the score is the first of its task, with its name where that fits."""
    version, metrics = model.version, model.version.metrics
    score, latency = score_of(model), latency_of(model)
    changed, missed = model.row["changed"], model.missed
    words = model_report.state_words(
        version.state, forced=model.row["forced"], changed=changed, missed=missed, ascii_only=ascii_only
    )
    tone: Tone = "bad" if changed else "warn" if missed else model_report.TONES.get(version.state, "plain")
    cells = (
        Cell(safe_line(model.name, 60), "bright"),
        Cell(words, tone),
        Cell(f"{fmt.metric(score, metrics[score]):>6} {score if named else ''}".rstrip() if score else ""),
        Cell(safe_line(", ".join(model.row["aliases"]), 60), "accent"),
        Cell(fmt.count(metrics.get("params")) if "params" in metrics else ""),
        Cell(fmt.metric(latency, metrics[latency], unit=True) if latency else ""),
        Cell(safe_line(trial_of(model), 60)),
        Cell(time.strftime("%m-%d %H:%M", time.localtime(version.created_at))),
    )
    return Row(model.name, cells, dim=version.state in ("refused", "failed"))
