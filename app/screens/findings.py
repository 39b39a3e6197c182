"""What is known of a new study, in words: what to fix, what it would cost, what is assumed. Pure; it draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text

from bertdistill.app.children.plan_process import Answer
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.app.views.plan import plan_facts
from bertdistill.app.views.study_check import Checked
from bertdistill.app.views.study_form import concerns, plain
from bertdistill.engine.study.study_spec import StudySpec


@dataclass(frozen=True)
class Findings:
    """One look at a study file with changes. `answer` is None while its plan is worked out."""

    checked: Checked
    answer: Answer | None
    problems: tuple[str, ...]
    ascii_only: bool = False

    @property
    def _mark(self) -> str:
        return fmt.STATES["failed" if self.problems else "complete"][self.ascii_only]

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
            return f"{self._mark} no problem in the file; its data is being read"
        if self.checked.goes_on:
            return f"{self._mark} valid, and exists already: starting it resumes study {self.checked.spec.name}"
        baseline = self.answer.planned.get("sizes", {}).get("baseline")
        exact = f"; baseline {fmt.exact(baseline)} parameters" if baseline else ""
        return f"{self._mark} valid: {costs(self.checked.spec, self.answer).rstrip('.')}{exact}"

    def report(self, command: str) -> Group:
        """Everything, problems first; `command` is the command line that starts the same."""
        head, facts, tail = Text(), Table.grid(padding=(0, 2, 0, 0)), Text()
        spec, answer = self.checked.spec, self.answer
        for problem in self.problems:
            head.append(f"{self._mark} {safe(plain(problem), 1000)}\n", "red")
        if spec is not None and not self.problems:
            head.append(
                f"{self._mark} {'valid' if answer else 'no problem in the file; its data is being read'}\n", "green"
            )
        if spec is not None and self.checked.goes_on:
            head.append(f"Study {safe_line(spec.name)} exists already; starting it resumes it.\n")
        if spec is not None and answer is not None and answer.planned:
            for name, words in plan_facts(spec, answer.planned).items():
                facts.add_row(Text(safe_line(name), "dim"), Text(safe_line(words, 600)))
        for note in answer.notes if answer else ():
            tail.append(f"\n{safe(note, 600)}\n", "dim")
        tail.append(f"\nThe same from a shell:\n{safe(command, 4000)}\n", "dim")
        return Group(head, facts, tail)


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
