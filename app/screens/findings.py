"""What is known of a new study, in words: what to fix, what it would cost, what is assumed. Pure; it draws nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bertdistill.app.children.plan_process import Answer
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.disk_plan import shortage
from bertdistill.app.views.plan import plan_facts
from bertdistill.app.views.study_check import Checked
from bertdistill.app.views.study_form import concerns, plain
from bertdistill.engine.study.study_spec import StudySpec

DOUBT = "!"
"""In front of what may start, but was not made sure of."""


@dataclass(frozen=True)
class Findings:
    """One look at a study file with changes. `answer` is None while its plan is worked out."""

    checked: Checked
    answer: Answer | None
    problems: tuple[str, ...]
    ascii_only: bool = False

    @property
    def _mark(self) -> str:
        if self.problems:
            return fmt.STATES["failed"][self.ascii_only]
        return DOUBT if self.answer is not None and self.doubts else fmt.STATES["complete"][self.ascii_only]

    @property
    def doubts(self) -> list[str]:
        """What the plan could not make sure of, though the study needs it."""
        if self.answer is None:
            return []
        if not self.answer.planned:
            return ["the data and the models could not be checked"]
        gone = [f"{called(one)} cannot be downloaded now" for one in lacking(self.answer)]
        return [*gone, *filter(None, [too_full(self.checked.spec, self.answer)])]

    def _state(self) -> str:
        """What was checked and what was not, in one line."""
        if self.answer is None:
            return "no problem in the file; checking its data and models …"
        planned, spec = self.answer.planned, self.checked.spec
        read = bool(planned) and spec is not None and spec.program is None and not spec.data.hub
        valid = "file and data are valid" if read else "the file is valid"
        if self.doubts:
            return f"{valid}, but {self.doubts[0]}"
        later = ["the data"] if spec is not None and spec.data.hub else []
        later += [called(one) for one in planned.get("models", ()) if not one["cached"]]
        return f"{valid}; downloaded when it starts: {', '.join(later)}" if later else valid

    def concern(self, key: str) -> bool:
        """Whether a problem is about this dotted key."""
        return any(concerns(problem, key) for problem in self.problems)

    def sign(self, key: str) -> str:
        """The sign in front of a key: a cross if it needs fixing, so that nothing is shown by colour alone."""
        return self._mark if self.concern(key) else " "

    def verdict(self) -> str:
        """Everything in one line."""
        if self.problems:
            return f"{self._mark} {len(self.problems)} to fix: {plain(self.problems[0])}"
        if self.answer is None or self.checked.spec is None:
            return f"{self._mark} {self._state()}"
        if self.checked.goes_on:
            return f"{self._mark} valid, and exists already: starting it resumes study {self.checked.spec.name}"
        return f"{self._mark} {self._state()}: {costs(self.checked.spec, self.answer).rstrip('.')}"

    def report(self, command: str) -> Group:
        """Everything, problems first; `command` is the command line that starts the same."""
        head, facts, tail = Text(), Table.grid(padding=(0, 2, 0, 0)), Text()
        spec, answer = self.checked.spec, self.answer
        for problem in self.problems:
            head.append(f"{self._mark} {safe(plain(problem), 1000)}\n", "red")
        if spec is not None and not self.problems:
            head.append(f"{self._mark} {self._state()}\n", "yellow" if self.doubts else "green")
        if spec is not None and self.checked.goes_on:
            head.append(f"Study {safe_line(spec.name)} exists already; starting it resumes it.\n")
        if spec is not None and answer is not None and answer.planned:
            for name, words in plan_facts(spec, answer.planned).items():
                facts.add_row(Text(safe_line(name), "dim"), Text(safe_line(words, 600)))
        for note in answer.notes if answer else ():
            tail.append(f"\n{safe(note, 600)}\n", "dim")
        tail.append(f"\nThe same from a shell:\n{safe(command, 4000)}\n", "dim")
        return Group(head, facts, tail)


def too_full(spec: StudySpec | None, answer: Answer | None) -> str:
    """That the disk has too little room for the study; empty if it has enough, or that is not known."""
    disk = answer.planned.get("disk_bytes") if answer else None
    if spec is None or answer is None or disk is None:
        return ""
    return shortage(disk, answer.planned.get("free_bytes"), spec.runner.min_free_gb)


def lacking(answer: Answer) -> list[dict[str, Any]]:
    """The models that this machine neither has nor can download now."""
    return [one for one in answer.planned.get("models", ()) if one["problem"]]


def called(model: Mapping[str, Any]) -> str:
    """One of the `models` of a plan in a sentence."""
    return "the teacher" if model["key"] == "teacher.model" else safe_line(model["model"], 100)


def question(spec: StudySpec, answer: Answer | None, *, goes_on: bool) -> str:
    """What is asked before a start: what it costs, what it still needs, and what it may fail for."""
    begin = f"Resume study {spec.name}" if goes_on else f"Start study {spec.name}"
    words = [f"{begin}? {costs(spec, answer)}", time_words(answer)]
    if answer is None:
        words.append("Its data and models have not been checked yet.")
    elif (gone := lacking(answer)) and not goes_on:
        words += [f"{called(one)[:1].upper()}{called(one)[1:]}, {safe_line(one['model'], 100)}," for one in gone[:1]]
        words.append("is not on this machine and cannot be downloaded now: without it the study fails at its start.")
    if short := too_full(spec, answer):
        words.append(f"{short[:1].upper()}{short[1:]}.")
    return " ".join(filter(None, [*words, "It keeps running when this app is closed."]))


def time_words(answer: Answer | None) -> str:
    """How long it takes, from trials that were measured; without any, when that will be known."""
    planned = answer.planned if answer else {}
    if not planned or "command" in planned:
        return ""
    time = planned.get("time")
    if not time:
        return "How long it takes is shown once the first trial has ended."
    if time["seconds"] is None:
        return f"A trial takes about {fmt.duration(time['trial_seconds'])}."
    return f"About {fmt.duration(time['seconds'])}, as trials on this data took before."


def costs(spec: StudySpec, answer: Answer | None) -> str:
    """The sentence before the start: trials, sizes, steps, as far as they are known."""
    text = f"{spec.budget.trials} trials"
    planned = answer.planned if answer else {}
    if spec.program is not None:
        return f"{text} of {safe_line(' '.join(spec.program.command), 200)}."
    if planned and planned["sizes"]["smallest"]:
        sizes = planned["sizes"]
        text += f" of {fmt.count(sizes['smallest'])} to {fmt.count(sizes['largest'])} parameters"
    if planned and planned["steps"] and planned["steps"]["baseline"]:
        text += f", about {planned['steps']['baseline']:,} steps for the baseline"
    return f"{text}."
