"""What people do with one trial, from whichever screen shows it: ask to stop it, archive it, edit its note.

It decides nothing: the screen picks the trial, and the engine judges the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertdistill.store.rows import Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.app.screens.host import Host

OF_A_TRIAL = ("open", "note", "archive", "delete", "mark", "rerun", "promote", "cascade", "stop_trial")
GOING = (TrialState.RUNNING, TrialState.WAITING)


def why_not(action: str, trial: Trial | None) -> str:
    """Why an action is unavailable for a trial in its state, and what to do instead; empty if it is available."""
    match action:
        case _ if trial is None and action in OF_A_TRIAL:
            return "No trial is selected: the list is empty."
        case "promote" if trial is not None and trial.state != TrialState.COMPLETE:
            remedy = "wait until it ends" if trial.state in GOING else "r reruns it with one change"
            return f"Trial #{trial.number} is {trial.state}: only a complete one can be promoted; {remedy}."
        case "stop_trial" if trial is not None and trial.state not in GOING:
            return f"Trial #{trial.number} is {trial.state}: only a running or waiting one can be stopped."
    return ""


def ask_to_stop(ui: Host, study: str, number: int) -> None:
    """Stop a trial for good, once confirmed."""
    from bertdistill.app.screens.dialogues import Confirm
    from bertdistill.engine.steering import actions

    def answered(yes: bool | None) -> None:
        if yes:
            ui.act(
                lambda: actions.stop_trial(ui.workspace, study, number, who=ui.who),
                lambda _: f"Trial #{number} was asked to write a checkpoint and stop.",
            )

    question = f"Stop trial #{number} for good? It writes a checkpoint first; its results are kept."
    ui.push_screen(Confirm(question, yes="Stop it", no="Let it run"), answered)


def archive(ui: Host, study: str, trial: Trial) -> None:
    """Archive a trial, or restore it."""
    from bertdistill.engine.steering import actions

    away = not trial.archived
    ui.act(
        lambda: actions.archive_trial(ui.workspace, study, trial.number, archived=away, who=ui.who),
        lambda _: f"Trial #{trial.number} is {'archived; H shows it, u undoes this' if away else 'restored'}.",
    )


def delete(ui: Host, study: str, trial: Trial) -> None:
    """Delete a trial, once confirmed."""
    from bertdistill.app.screens.delete import ask_to_delete

    ask_to_delete(ui, f"{study}/{trial.number}")


def annotate(ui: Host, study: str, trial: Trial) -> None:
    """Edit note and tags."""
    from bertdistill.app.screens.annotate import AnnotateDialogue

    ui.push_screen(AnnotateDialogue(study, trial))
