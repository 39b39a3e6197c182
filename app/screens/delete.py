"""Delete a study, a trial or a model from any screen that shows it: what is deleted and freed, then the question.

It decides nothing: the engine decides what may be deleted, and the text is that of the command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bertdistill.app.report.disk import deletion_text
from bertdistill.app.screens.dialogues import Confirm
from bertdistill.engine.runner.bin import KEEP_DAYS
from bertdistill.store.db import open_db

if TYPE_CHECKING:
    from bertdistill.app.screens.host import Host
    from bertdistill.engine.steering.deletion import Deletion
    from bertdistill.store.rows import Request


def ask_to_delete(ui: Host, target: str) -> None:
    """Measure what would be deleted, show it, and delete it once confirmed. A refusal is shown as it is."""

    def look() -> list[Deletion]:
        from bertdistill.engine.steering import actions

        db = open_db(ui.workspace.path, read_only=True)
        try:
            with db.read() as session:
                return actions.plan_delete(session, ui.workspace, target)
        finally:
            db.close()

    ui.act(look, lambda found: _ask(ui, target, found))


def _ask(ui: Host, target: str, found: Sequence[Deletion]) -> None:
    def delete() -> list[Request]:
        from bertdistill.engine.steering import actions

        return actions.delete(ui.workspace, [target], who=ui.who)

    def words(made: list[Request]) -> str:
        ui.deleted = made[-1].id
        return f"{target} is in the bin for {KEEP_DAYS:g} days; u restores it."

    def answered(yes: bool | None) -> None:
        if yes:
            ui.act(delete, words)

    question = f"Delete this?\n\n{deletion_text(found, KEEP_DAYS)}"
    ui.push_screen(Confirm(question, yes="Delete", no="Keep"), answered)
