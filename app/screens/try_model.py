"""Try a promoted model: type a question with a passage, or a sentence, and see it and its teacher answer side by side.

No model is loaded here: a child process answers and ends with the screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Label, Static, TextArea

from bertdistill.app.bindings import bindings
from bertdistill.app.children.ask_process import AnswerProcess, Reply, Teacher, order_for, teacher_of
from bertdistill.app.reader import Reader
from bertdistill.app.screens.live_screen import Line, LiveScreen
from bertdistill.app.text import format as fmt
from bertdistill.app.text.command_line import command_line, unicode_only
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.steering import integrity
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.errors import BertDistillError, NotFound
from bertdistill.store.rows import ModelVersion, Study

SIDES = ("student", "teacher")
HINTS = {
    "question": "Type a question, such as: Who wrote the letter?",
    "passage": "Paste or type the passage that may contain the answer",
    "text": "Type a sentence, such as: A fine film.",
    "pair": "The second sentence",
}
LONGEST_ANSWER = 20_000
"""Characters of an answer or a label that are shown."""
TIME_NOISE = 0.25
"""Two CPU times that differ by less than this fraction count as equal: ten busy neighbours slow one down by as much."""


@dataclass(frozen=True)
class TryNews:
    """The model and its teacher."""

    version: ModelVersion
    study: Study
    folder: Path
    teacher: Teacher

    @property
    def task(self) -> str:
        return self.study.task

    @property
    def takes_pairs(self) -> bool:
        """Whether the model reads two sentences; a study prepared before this was recorded may."""
        return not TASKS[self.task].spans and Prepared.from_dict(self.study.prepared).pairs is not False


class TryScreen(LiveScreen):
    """Fields on top, the two answers below."""

    PLACE = "try"
    tells = True
    BINDINGS: ClassVar = bindings("try")
    HELP = """
`enter` in a line, or `f5` anywhere, asks the model and its teacher. Both answer on one CPU thread; the CPU time is the
median of up to five forward passes over this input, which may be several windows of a long passage. The first answer
takes a few seconds, because its process must load torch and the weights. Once you edit the fields, the old answers are
dimmed and marked as such.
"""

    def __init__(self, model: str) -> None:
        super().__init__()
        self.model = model
        self.news: TryNews | None = None
        self.replies: dict[str, Reply] = {}
        self.answers = AnswerProcess()
        self._asked: Mapping[str, str] = {}
        self._since = 0.0
        """When the pending question was asked; 0 if none is pending."""

    # -------------------------------------------------------------------------------------------------- composing

    def body(self) -> Iterable[Widget]:
        with Vertical(id="try-fields"):
            yield Label("Question", classes="for-qa", markup=False)
            yield Input(
                id="question", classes="for-qa", compact=True, select_on_focus=False, placeholder=HINTS["question"]
            )
            yield Label("Passage", classes="for-qa", markup=False)
            yield TextArea(
                id="passage", classes="for-qa", compact=True, tab_behavior="focus", placeholder=HINTS["passage"]
            )
            yield Label("Sentence", classes="for-text", markup=False)
            yield Input(id="text", classes="for-text", compact=True, select_on_focus=False, placeholder=HINTS["text"])
            yield Label("Second sentence", classes="for-pair", markup=False)
            yield Input(id="pair", classes="for-pair", compact=True, select_on_focus=False, placeholder=HINTS["pair"])
        yield Line(id="verdict")
        with Horizontal(id="answers"):
            for side in SIDES:
                with VerticalScroll(id=f"{side}-pane", classes="pane"):
                    yield Static(id=side, markup=False)

    def on_mount(self) -> None:
        self.run_worker(self._warm_up(), group="warm", exit_on_error=False)
        self.set_interval(0.5, self._count)

    def on_unmount(self) -> None:
        self.answers.close()

    async def _warm_up(self) -> None:
        try:
            await asyncio.to_thread(self.answers.start)
        except (BertDistillError, OSError) as error:
            self.ui.tell_error(error)

    # ------------------------------------------------------------------------------------------- reading, showing

    def read(self, reader: Reader) -> TryNews:
        with reader.session() as session:
            version = reads.model_version(session, self.model)
            trial = reads.trial_by_id(session, version.trial_id)
            study = reads.study_by_id(session, trial.study_id)
        if not version.folder:
            raise NotFound(f"{self.model} has no exported folder; it is {version.state}")
        folder = reader.workspace.absolute(version.folder)
        if folder.is_dir() and (
            words := integrity.changed(reader.workspace, version)
        ):  # a missing one is reported when asked
            raise NotFound(f"{self.model} has changed since it was verified: {words}", hint="Promote its trial again.")
        return TryNews(version, study, folder, teacher_of(reader.workspace, Prepared.from_dict(study.prepared)))

    def show(self, news: TryNews) -> None:
        first, self.news = self.news is None, news
        name = safe_line(self.model, 80)
        self.header(Text.assemble((f"Try {name}  ", "bold"), f"{news.task}, study {safe_line(news.study.name, 60)}"))
        if first:
            self.set_class(TASKS[news.task].spans, "-qa")
            self.set_class(not TASKS[news.task].spans, "-text")
            self.set_class(news.takes_pairs, "-pair")
            field = self.query_one("#question" if TASKS[news.task].spans else "#text")
            self.call_after_refresh(field.focus)  # it was hidden until now
        self._show_answers(news)
        self.refresh_keys()

    def _show_answers(self, news: TryNews) -> None:
        params = news.version.metrics.get("params")
        size = f", {fmt.count(params)} parameters" if isinstance(params, (int, float)) else ""
        before = "Before: " if self.is_stale else ""
        entitle(self.query_one("#student-pane"), title=f"{before}Student: {self.model}{size}")
        entitle(self.query_one("#teacher-pane"), title=f"{before}Teacher")
        self.set_class(self.is_stale, "-stale")
        for side in SIDES:
            text: Text | Group = Text()
            if side in self.replies:
                text = reply_text(self.replies[side], ascii_only=self.ui.ascii_only)
            elif side == "teacher" and news.teacher.problem:
                text = Text(f"It cannot answer: {safe_line(news.teacher.problem, 600)}. The student answers alone.")
            self.query_one(f"#{side}", Static).update(text)
        self._show_verdict()

    def _show_verdict(self) -> None:
        words, missing = "", self.problem(self._request())
        if self.is_stale:
            again = f"{missing}, then f5 asks again" if missing else "f5 asks again"
            words = f"Changed since it was asked; {again}."
        elif self._since:
            words = f"Asked {fmt.duration(time.monotonic() - self._since)} ago; the first answer loads the weights."
        elif missing:
            words = f"{missing[:1].upper()}{missing[1:]}; f5 asks then."
        elif len(self.replies) == len(SIDES) and not any(reply.error for reply in self.replies.values()):
            words = comparison(self.replies["student"], self.replies["teacher"])
        self.query_one("#verdict", Line).say(Text(words, "bold"))

    def _count(self) -> None:
        if self._since:
            self._show_verdict()

    # ----------------------------------------------------------------------------------------------------- asking

    @property
    def is_stale(self) -> bool:
        """Whether the fields have changed since the question was asked."""
        return bool(self._asked) and self._asked != self._request()

    @on(Input.Changed)
    @on(TextArea.Changed)
    def typed(self) -> None:
        if self.news is not None:
            self._show_answers(self.news)

    def _request(self) -> dict[str, str]:
        """The input, as `ask` takes it; empty parts are left out."""
        qa = self.news is not None and TASKS[self.news.task].spans
        words = {key: self.query_one(f"#{key}", Input).value for key in (("question",) if qa else ("text", "pair"))}
        if qa:
            words["passage"] = self.query_one("#passage", TextArea).text
        return {key: unicode_only(value) for key, value in words.items() if value.strip()}

    def problem(self, request: Mapping[str, str]) -> str:
        """What is missing, empty if the model can be asked."""
        if self.news is None:
            return "the model is still being read"
        needed = (
            {"question": "a question", "passage": "a passage"}
            if TASKS[self.news.task].spans
            else {"text": "a sentence"}
        )
        missing = [words for key, words in needed.items() if key not in request]
        return f"type {' and '.join(missing)}" if missing else ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.news is not None if action == "ask" else True

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "question" and not self.query_one("#passage", TextArea).text.strip():
            self.query_one("#passage").focus()
        else:
            self.action_ask()

    def action_ask(self) -> None:
        """Ask both; a new question replaces a pending one."""
        request = self._request()
        if self.problem(request):  # which is already shown below the fields
            return
        self.replies, self._asked = {}, request
        self._since = time.monotonic()
        self.run_worker(self._ask(request), exclusive=True, group="ask", exit_on_error=False)

    async def _ask(self, request: Mapping[str, str]) -> None:
        news = self.news
        if news is None:
            return
        self._show_answers(news)
        for side in SIDES:
            if side == "teacher" and news.teacher.folder is None:
                continue
            order = order_for(news.folder, request, teacher=news.teacher if side == "teacher" else None)
            try:
                self.replies[side] = await asyncio.to_thread(self.answers.ask, order)
            except (BertDistillError, OSError) as error:
                self.replies[side] = Reply(error=str(error))
            self._show_answers(news)
        self._since = 0.0
        self._show_answers(news)

    def copies(self) -> list[tuple[str, str]]:
        asked = self._asked
        if not asked:
            return []
        options = [w for key in ("question", "passage", "pair") if key in asked for w in (f"--{key}", asked[key])]
        words = [self.model, *([asked["text"]] if "text" in asked else []), *options]
        found = [("command", command_line("ask", *words, ws=self.ui.workspace))]
        for side, reply in self.replies.items():
            found.append((f"answer of the {side}", safe(reply.error or first_line(reply.found), LONGEST_ANSWER)))
        return found


# --------------------------------------------------------------------------------------------------------------- words


def first_line(found: Mapping[str, object]) -> str:
    """The answer or the label alone."""
    if "label" in found:
        return str(found["label"])
    return "no answer in the passage" if found.get("abstained") else str(found.get("answer", ""))


def comparison(student: Reply, teacher: Reply) -> str:
    """Whether both answers agree, and how much faster one is."""
    same = first_line(student.found) == first_line(teacher.found)
    words = "Both give the same answer." if same else "They differ."
    if student.latency_cpu_ms and teacher.latency_cpu_ms:
        ratio = teacher.latency_cpu_ms / student.latency_cpu_ms
        faster, times = ("student", ratio) if ratio >= 1 else ("teacher", 1 / ratio)
        differ = times >= 1 + TIME_NOISE
        words += f" The {faster} is {times:.1f} times as fast here." if differ else " Both are about as fast here."
    return words


def reply_text(reply: Reply, *, ascii_only: bool = False) -> Text | Group:
    """The answer first, then the numbers behind it, then the latency."""
    if reply.error:
        return Text(f"It did not answer: {safe(reply.error, 2000)}", "bold red")
    found = dict(reply.found)
    grid = Table.grid(padding=(0, 2, 0, 0))
    if reply.latency_cpu_ms is not None:
        grid.add_row(Text("CPU time", "dim"), Text(fmt.metric("latency_cpu_ms", reply.latency_cpu_ms, unit=True)))
    shares = found.pop("probabilities", None)
    if isinstance(shares, Mapping):
        for name, share in sorted(shares.items(), key=lambda item: -float(item[1])):
            bar = fmt.bar(float(share), 12, ascii_only=ascii_only)
            grid.add_row(Text(safe_line(name, 60), "dim"), Text(f"{bar} {float(share):.4f}"))
    for name in ("best_span", "score", "null_score", "null_threshold"):
        if name in found and (name != "best_span" or found.get("abstained")):
            words = safe(fmt.setting(found[name]), LONGEST_ANSWER)
            grid.add_row(Text(name.replace("_", " "), "dim"), Text(words, overflow="fold"))
    if "answered_by" in found:
        sure = f", confidence {fmt.setting(found['confidence'])} against {fmt.setting(found['threshold'])}"
        grid.add_row(Text("by", "dim"), Text(safe_line(f"{found['answered_by']}{sure}", 200)))
    if "tokens_read" in found:
        grid.add_row(Text("cut", "dim"), Text(f"{found['tokens_read']} of {found['tokens']} tokens were read"))
    return Group(Text(f"{safe(first_line(found), LONGEST_ANSWER)}\n", "bold"), grid)
