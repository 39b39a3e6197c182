"""The one table of what keys do: bindings, footer, help and palette are all made from it. It does nothing itself.

An action is named after a method `action_<name>` of the screen (or the app, or the focused widget) where it works.
Ids never change, because people remap them in their config. It is longer than 400 lines because it is one table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EVERYWHERE = "app"
"""Place of actions that work on every screen."""
INSPECTED = ("studies", "study", "models", "workers", "history", "settings", "rerun", "promote", "analysis")
"""Screens with an inspector."""
LISTED = ("study", "studies", "models", "workers", "history", "settings", "rerun", "analysis")
"""Screens with a list that can be filtered and sorted."""
SPLIT = (*INSPECTED, "trial", "compare")
"""Screens with panes that share a border."""

PLACES: dict[str, str] = {
    "app": "Everywhere",
    "studies": "Studies",
    "study": "Study",
    "trial": "Trial",
    "compare": "Compare",
    "series": "All series",
    "cascade": "Cascade",
    "analysis": "Analysis",
    "workers": "Workers",
    "models": "Models",
    "try": "Try a model",
    "new": "New study",
    "rerun": "Rerun",
    "promote": "Promote",
    "history": "History",
    "settings": "Settings of a study",
    "queue": "Queue a trial",
    "table": "In a table",
    "log": "In a log",
    "text": "In a long text",
    "search": "In the search",
    "slices": "In the list of a slice",
    "cuts": "In the thresholds of a cascade",
    "frontier": "In the frontier chart",
    "curves": "In the curves chart",
    "dialogue": "In a dialogue",
    "confirm": "In a question",
    "annotate": "In note and tags",
    "copying": "In the copy dialogue",
    "reading": "In the help",
    "brush": "In parallel coordinates",
    "filter": "In the filter",
    "columns": "In the choice of columns",
}
"""Where actions work, with the title of the group in the help."""


@dataclass(frozen=True)
class Action:
    """One thing that a key does."""

    id: str
    keys: str
    """Comma separated, as Textual spells them."""
    name: str
    """The action, with arguments if it takes any: `sort`, `pane('trials')`."""
    words: str
    """Sentence case, an order: `Rerun with one change`."""
    places: tuple[str, ...]
    group: str = "view"
    """First word in the palette: trial, study, view, chart, export, help."""
    footer: int = 0
    """Place in the footer from 1 on; 0 keeps it out. The footer shows the lowest that fit."""
    short: str = ""
    """Word in the footer. Actions of one place and word stand there together: `←→ cross`."""
    palette: bool = True
    """Whether the palette offers it: movements would only fill it."""
    leads: bool = False
    """Whether it leads to another pane: the footer begins with it where one pane at a time is shown, else leaves it."""
    first: bool = False
    """Whether the key works whatever has the focus, dialogues and fields included."""


def _move(id_: str, keys: str, name: str, words: str) -> Action:
    return Action(id_, keys, name, words, ("table",), "table", palette=False)


def _pane(id_: str, key: str, name: str, words: str, place: str) -> Action:
    return Action(id_, key, f"pane('{name}')", words, (place,), "view", 1, "panes", palette=False, leads=True)


ACTIONS: tuple[Action, ...] = (
    # ---- everywhere
    Action(
        "help",
        "question_mark,f1",
        "help",
        "Explain keys and words of this screen",
        (EVERYWHERE,),
        "help",
        90,
        "help",
    ),
    Action(
        "palette", "ctrl+p", "command_palette", "Find a command", (EVERYWHERE,), "help", 89, "commands", palette=False
    ),
    Action("quit", "q", "leave", "Quit; running studies continue", (EVERYWHERE,), "app", 99, "quit"),
    Action(
        "quit-at-once",
        "ctrl+q",
        "leave",
        "Quit from anywhere",
        (EVERYWHERE,),
        "app",
        99,
        "quit",
        palette=False,
        first=True,
    ),
    Action(
        "interrupt",
        "ctrl+c",
        "interrupt",
        "Copy what is selected, else quit",
        (EVERYWHERE,),
        "app",
        palette=False,
        first=True,
    ),
    Action("suspend", "ctrl+z", "suspend_process", "Suspend to the shell", (EVERYWHERE,), "app"),
    Action("back", "escape", "back", "Go back", (EVERYWHERE,), "view", palette=False),
    Action("next-pane", "tab", "focus_next", "Next pane", (EVERYWHERE,), "view", palette=False),
    Action("previous-pane", "shift+tab", "focus_previous", "Previous pane", (EVERYWHERE,), "view", palette=False),
    Action("pause-view", "p", "pause_view", "Pause or resume repainting", (EVERYWHERE,), "view"),
    Action("jump", "semicolon,f9", "jump", "Jump to a pane by its letter", (EVERYWHERE,), "view", 88, "jump"),
    Action("copy", "y", "copy", "Copy, or write to a file", (EVERYWHERE,), "export", 87, "copy"),
    Action("workers", "w", "workers", "Show the workers", (EVERYWHERE,), "view", 85, "workers"),
    Action("models", "M", "models", "Show the promoted models", (EVERYWHERE,), "view", 86, "models"),
    Action("theme", "f2", "choose_theme", "Choose a theme", (EVERYWHERE,), "view"),
    Action("marker", "f3", "next_marker", "Next chart marker: braille, hd, ascii", (EVERYWHERE,), "view"),
    Action("screenshot", "f12", "picture", "Write a picture of the screen", (EVERYWHERE,), "export"),
    Action("undo", "u", "undo", "Undo the newest change", (EVERYWHERE,), "study"),
    # ---- movement in tables
    _move("down", "j,down", "step(1)", "Down"),
    _move("up", "k,up", "step(-1)", "Up"),
    _move("first", "g,home", "end(-1)", "First row"),
    _move("last", "G,end", "end(1)", "Last row"),
    _move("page-down", "pagedown", "page(1)", "Page down"),
    _move("page-up", "pageup", "page(-1)", "Page up"),
    _move("columns-left", "left", "shift(-1)", "Columns to the left"),
    _move("columns-right", "right", "shift(1)", "Columns to the right"),
    Action("choose", "enter", "choose", "Open or choose", ("table",), "table", 60, "choose", palette=False),
    # ---- logs
    Action("search", "slash", "search", "Search the text", ("log", "text"), "view", 5, "search"),
    Action("next-hit", "n", "next_hit(1)", "Next line that was searched for", ("log", "text"), "view", 6, "next"),
    Action("previous-hit", "N", "next_hit(-1)", "The one before", ("log", "text"), "view", palette=False),
    Action("edit-log", "o", "edit_log", "Read the log in $EDITOR", ("log",), "export"),
    Action("end-search", "escape", "end_search", "End the search", ("log", "text"), "view", palette=False),
    Action("leave-search", "escape", "leave_search", "Search for nothing", ("search",), "view", palette=False),
    # ---- studies
    Action("new-study", "n", "new_study", "New study from a file", ("studies",), "study", 2, "new"),
    Action("open-study", "enter", "open", "Open the study", ("studies",), "study", 1, "open", palette=False),
    Action("archive-study", "A", "archive", "Archive the study, or bring it back", ("studies",), "study"),
    Action("delete-study", "D", "delete", "Delete the study", ("studies",), "study"),
    # ---- study
    Action("open-trial", "enter", "open", "Open the trial", ("study",), "trial", 1, "open", palette=False),
    Action("rerun", "r", "rerun", "Rerun with one change", ("study", "trial"), "trial", 2, "rerun"),
    Action(
        "promote", "P", "promote", "Promote to a verified model", ("study", "trial", "cascade"), "trial", 3, "promote"
    ),
    Action("stop-trial", "x", "stop_trial", "Stop the trial", ("study", "trial"), "trial", 4, "stop"),
    Action("filter", "slash", "filter", "Filter the list", LISTED, "view", 5, "filter"),
    Action("mark", "space", "mark", "Mark for comparison", ("study",), "trial", 7, "mark"),
    Action("compare", "c", "compare", "Compare the marked trials", ("study",), "trial", 6, "compare"),
    Action("cascade", "b", "cascade", "Join two models into a cascade", ("study", "trial"), "trial"),
    Action("unmark", "U", "unmark", "Unmark all trials", ("study",), "trial"),
    Action("sort", "s", "sort", "Sort by the next column", LISTED[:-1], "view", 9, "sort"),
    Action("sort-reverse", "S", "sort_reverse", "Reverse the order", LISTED, "view"),
    Action("columns", "C", "columns", "Choose the columns", ("study",), "view"),
    Action("analysis", "a", "analysis", "Analyse the study", ("study", "trial"), "study", 8, "analysis"),
    Action("overview", "o", "overview", "Show the study on one page", ("study", "studies"), "study", 10, "overview"),
    Action("new-trial", "n", "queue_trial", "Queue a trial by hand", ("study",), "trial"),
    Action("note", "e", "note", "Edit note and tags", ("study", "trial"), "trial"),
    Action("archive-trial", "A", "archive", "Archive the trial, or bring it back", ("study", "trial"), "trial"),
    Action("delete-trial", "D", "delete", "Delete the trial", ("study", "trial"), "trial"),
    Action("show-archived", "H", "show_archived", "Show or hide what is archived", ("studies", "study"), "view"),
    Action("settings", "E", "settings", "Change threshold, budget, ranges, slots", ("study",), "study"),
    Action("history", "h", "history", "Show what was changed, by whom", ("study", "studies", "settings"), "study"),
    Action("pause-study", "z", "pause_study", "Pause or resume the study", ("study", "workers", "studies"), "study"),
    Action("stop-study", "Z", "stop_study", "Stop the study", ("study", "workers", "studies"), "study"),
    Action("start-runner", "R", "start_runner", "Start the runner", ("studies", "study", "workers"), "study"),
    Action("next-hint", "T", "next_hint", "Show the hints, the next one", ("study",), "help"),
    Action("no-hints", "backspace", "no_hints", "Show no hints again", ("study",), "help", palette=False),
    _pane("pane-trials", "1", "trials", "Trials", "study"),
    _pane("pane-frontier", "2", "frontier", "Frontier", "study"),
    _pane("pane-curves", "3", "curves", "Loss curves", "study"),
    _pane("pane-log", "4", "log", "Log", "study"),
    Action("inspector", "i,f7", "inspector", "Show or hide the inspector", INSPECTED, "view"),
    Action("border-left", "less_than_sign", "resize('x', -1)", "Move the border to the left", SPLIT, "view"),
    Action("border-right", "greater_than_sign", "resize('x', 1)", "Move the border to the right", SPLIT, "view"),
    Action("border-up", "left_parenthesis", "resize('y', -1)", "Move the border up", SPLIT, "view"),
    Action("border-down", "right_parenthesis", "resize('y', 1)", "Move the border down", SPLIT, "view"),
    Action("borders-reset", "vertical_line", "resize('', 0)", "Panes as large as usual", SPLIT, "view"),
    Action("log", "l", "log", "Show or hide the log", ("study", "trial"), "view"),
    Action("maximise", "m", "maximise", "Maximise this pane", ("study", "trial", "analysis", "compare"), "view"),
    # ---- trial
    Action("open-related", "enter", "open", "Open that trial", ("trial",), "trial", 1, "open", palette=False),
    Action("next-trial", "J,right_square_bracket", "step_trial(1)", "Next by rank", ("trial",), "view", 5, "next"),
    Action("previous-trial", "K,left_square_bracket", "step_trial(-1)", "Previous by rank", ("trial",), "view"),
    _pane("pane-facts", "1", "facts", "Facts", "trial"),
    _pane("pane-trial-curves", "2", "curves", "Curves", "trial"),
    _pane("pane-runs", "3", "runs", "Attempts and checkpoints", "trial"),
    _pane("pane-trial-log", "4", "log", "Log of the worker", "trial"),
    # ---- compare
    Action("open-compared", "enter", "open", "Open the chosen trial", ("compare",), "trial", 1, "open", palette=False),
    Action("next-compared", "right_square_bracket", "pick(1)", "Choose the next", ("compare",), "trial", 2, "next"),
    Action("previous-compared", "left_square_bracket", "pick(-1)", "Choose the one before", ("compare",), "trial"),
    Action("reference", "r", "reference", "Compare with the chosen trial", ("compare",), "trial", 3, "reference"),
    Action("remove-compared", "x,delete", "remove", "Take the chosen trial out", ("compare",), "trial", 4, "remove"),
    Action("same-settings", "equals_sign", "same", "Show or hide what is the same", ("compare",), "view", 5, "same"),
    _pane("pane-compared", "1", "table", "Trials side by side", "compare"),
    _pane("pane-compare-curves", "2", "curves", "Curves", "compare"),
    # ---- all series
    Action("all-series", "V", "all_series", "Every series in small charts", ("study", "trial", "compare"), "view"),
    Action(
        "filter-series", "slash", "filter_series", "Only series whose names match", ("series",), "view", 4, "filter"
    ),
    Action("maximise-series", "enter", "open", "This chart alone, or all", ("series",), "view", 1, "maximise"),
    Action("series-right", "right,l", "step(1, 0)", "Chart to the right", ("series",), "view", palette=False),
    Action("series-left", "left,h", "step(-1, 0)", "Chart to the left", ("series",), "view", palette=False),
    Action("series-down", "down,j", "step(0, 1)", "Chart below", ("series",), "view", palette=False),
    Action("series-up", "up,k", "step(0, -1)", "Chart above", ("series",), "view", palette=False),
    Action("series-page", "right_square_bracket,pagedown", "page(1)", "Next page", ("series",), "view", 2, "page"),
    Action("series-page-back", "left_square_bracket,pageup", "page(-1)", "Page before", ("series",), "view"),
    # ---- cascade
    Action("threshold-up", "right", "step(1)", "Pass on more", ("cuts",), "view", 1, "threshold", palette=False),
    Action("threshold-down", "left", "step(-1)", "Pass on less", ("cuts",), "view", 1, "threshold", palette=False),
    Action("next-member", "right_square_bracket", "turn(1)", "Join the next model", ("cascade",), "view", 2, "model"),
    Action("previous-member", "left_square_bracket", "turn(-1)", "Join the one before", ("cascade",), "view"),
    Action("oracle", "o", "oracle", "Measure the shuffle oracle", ("cascade",), "view", 4, "oracle"),
    # ---- analysis
    Action("open-analysed", "enter", "open", "Open the trial, or the slices", ("analysis",), "trial", 1, "open"),
    Action("toggle-analysis", "t", "other_view", "Look at it the other way", ("analysis",), "view", 2, "switch"),
    Action(
        "turn-on", "right_square_bracket", "turn(1)", "Next parameter, axes or trial", ("analysis",), "view", 3, "next"
    ),
    Action("turn-back", "left_square_bracket", "turn(-1)", "Previous parameter, axes or trial", ("analysis",), "view"),
    Action("slice-metric", "Y", "metric", "Next metric of the slices", ("analysis",), "view", 4, "metric"),
    Action("axes", "C", "axes", "Choose the axes", ("analysis",), "view", 4, "axes"),
    Action("brush-range", "space", "range", "Begin a range of this axis, or end it", ("brush",), "chart", 1, "range"),
    Action("brush-up", "up,k", "along(1)", "Up the axis", ("brush",), "chart", 2, "move", palette=False),
    Action("brush-down", "down,j", "along(-1)", "Down the axis", ("brush",), "chart", 2, "move", palette=False),
    Action("brush-left", "left,h", "other_axis(-1)", "Axis to the left", ("brush",), "chart", palette=False),
    Action(
        "brush-right", "right,l", "other_axis(1)", "Axis to the right", ("brush",), "chart", 3, "axis", palette=False
    ),
    Action("order-by-gain", "s", "sort", "Sort by the next column, or by gain", ("analysis",), "view", 4, "sort"),
    Action("cut-up", "plus", "cut(1)", "Cut of mostly correct answers up", ("analysis",), "view", 4, "cut"),
    Action("cut-down", "minus", "cut(-1)", "Cut of mostly correct answers down", ("analysis",), "view", 5, "cut"),
    Action("errors-here", "e", "errors", "Errors of this trial", ("analysis",), "trial", 6, "errors"),
    Action("tab-overview", "0", "tab('overview')", "Overview: the study on one page", ("analysis",)),
    Action("tab-importance", "1", "tab('importance')", "Importance of parameters", ("analysis",)),
    Action("tab-parallel", "2", "tab('parallel')", "Parallel coordinates", ("analysis",)),
    Action("tab-slices", "3", "tab('slices')", "Slices: one parameter, one metric", ("analysis",)),
    Action("tab-hypervolume", "4", "tab('hypervolume')", "Hypervolume", ("analysis",)),
    Action("tab-scenarios", "5", "tab('scenarios')", "Scenarios", ("analysis",)),
    Action("tab-errors", "6", "tab('errors')", "Errors of a trial", ("analysis",)),
    Action("tab-difficulty", "7", "tab('difficulty')", "Difficulty: what word order means", ("analysis",)),
    Action("tab-ladder", "8", "tab('ladder')", "Ladder: every family beside the teacher", ("analysis",)),
    Action("tab-survey", "9", "tab('survey')", "Survey: every method by compression", ("analysis",)),
    Action("slice-next", "right", "turn(1)", "Next parameter", ("slices",), "view", palette=False),
    Action("slice-previous", "left", "turn(-1)", "Previous parameter", ("slices",), "view", palette=False),
    # ---- charts
    Action("x-metric", "X", "axis('x')", "Next metric on the x axis", ("frontier",), "chart", 2, "axes"),
    Action("y-metric", "Y", "axis('y')", "Next metric on the y axis", ("frontier",), "chart", 2, "axes"),
    Action("objectives", "O", "objectives", "The objectives on the axes again", ("frontier",), "chart"),
    Action("frontier-log", "L", "log_scale", "Logarithmic or linear scale", ("frontier", "curves"), "chart", 2, "log"),
    Action("colour-by", "f", "colour", "Colour by the family or the next setting", ("frontier",), "chart", 3, "colour"),
    Action(
        "point-left",
        "left",
        "step('x', -1)",
        "Next point to the left",
        ("frontier",),
        "chart",
        1,
        "point",
        palette=False,
    ),
    Action(
        "point-right",
        "right",
        "step('x', 1)",
        "Next point to the right",
        ("frontier",),
        "chart",
        1,
        "point",
        palette=False,
    ),
    Action("point-up", "up", "step('y', 1)", "Next point upwards", ("frontier",), "chart", 1, "point", palette=False),
    Action(
        "point-down", "down", "step('y', -1)", "Next point downwards", ("frontier",), "chart", 1, "point", palette=False
    ),
    Action(
        "crosshair-left",
        "left",
        "crosshair(-1)",
        "Crosshair to the left",
        ("curves",),
        "chart",
        1,
        "cross",
        palette=False,
    ),
    Action(
        "crosshair-right",
        "right",
        "crosshair(1)",
        "Crosshair to the right",
        ("curves",),
        "chart",
        1,
        "cross",
        palette=False,
    ),
    Action("crosshair-back", "down", "crosshair(-10)", "Ten to the left", ("curves",), "chart", palette=False),
    Action("crosshair-on", "up", "crosshair(10)", "Ten to the right", ("curves",), "chart", palette=False),
    Action("live", "t", "live", "Live or frozen", ("curves", "frontier"), "chart"),
    Action("zoom-in", "plus", "zoom(1)", "Zoom in", ("curves", "frontier"), "chart"),
    Action("zoom-out", "minus", "zoom(-1)", "Zoom out", ("curves", "frontier"), "chart"),
    Action("zoom-reset", "0", "zoom_reset", "Show all of the chart again", ("curves", "frontier"), "chart"),
    Action("smoothing", "o", "smoothing", "More smoothing", ("curves",), "chart"),
    Action("x-axis", "X", "x_axis", "Next x axis: step, examples, wall time", ("curves",), "chart", 1, "x axis"),
    Action("series", "v", "series", "Next set of curves: train, evaluation, all", ("curves",), "chart", 1, "curves"),
    # ---- filter and columns of the study
    Action("filter-apply", "enter", "apply", "Use the filter; an empty one shows all", ("filter",), "view", 1, "apply"),
    Action("filter-complete", "tab", "complete", "Take the first completion", ("filter",), "view", 2, "complete"),
    Action("filter-cancel", "escape", "cancel", "Keep the old filter", ("filter",), "view", 3, "cancel"),
    Action("column-toggle", "space", "turn", "Show or hide the column", ("columns",), "view", 1, "show"),
    Action("column-down", "J,shift+down", "move(1)", "Move the column to the right", ("columns",), "view", 2, "down"),
    Action("column-up", "K,shift+up", "move(-1)", "Move the column to the left", ("columns",), "view", 3, "up"),
    Action("columns-reset", "R", "reset", "Back to the study's own columns", ("columns",), "view", 4, "reset"),
    Action("columns-apply", "enter", "apply", "Use these columns", ("columns",), "view", 5, "apply"),
    Action("columns-cancel", "escape", "cancel", "Keep the old columns", ("columns",), "view", 6, "cancel"),
    # ---- new study
    Action("open-config", "enter", "open", "Begin from this study file", ("new",), "study", 1, "choose", palette=False),
    Action("start-new", "f5,ctrl+g", "start", "Start the study", ("new",), "study", 1, "start"),
    Action(
        "new-pane", "f6,ctrl+t", "next_pane", "Form or findings, where only one fits", ("new",), "view", 2, "form/plan"
    ),
    Action("new-other", "f4,ctrl+o", "other", "Choose another study file", ("new",), "study", 3, "files"),
    Action("edit-file", "f8", "edit_file", "Edit the study file in $EDITOR", ("new",), "study"),
    Action("new-previous", "up", "field(-1)", "Field above", ("new",), "view", palette=False),
    Action("new-next", "down", "field(1)", "Field below", ("new",), "view", palette=False),
    # ---- workers
    Action("more-slots", "plus", "slots(1)", "One worker more", ("workers",), "study", 1, "more"),
    Action("fewer-slots", "minus", "slots(-1)", "One worker less", ("workers",), "study", 2, "fewer"),
    Action("stop-worker", "x", "stop_worker", "Stop the worker: checkpoint first", ("workers",), "trial", 3, "stop"),
    Action("stop-runner", "K", "stop_runner", "Stop all workers and the runner", ("workers",), "study"),
    # ---- settings, history, queue a trial
    Action(
        "edit-setting", "enter", "edit", "Change the value", ("settings", "queue"), "study", 1, "edit", palette=False
    ),
    Action("undo-chosen", "enter", "undo_chosen", "Undo this change", ("history",), "study", 1, "undo", palette=False),
    Action("queue-it", "Q", "queue", "Queue this trial", ("queue",), "trial", 2, "queue"),
    Action("from-baseline", "b", "from_baseline", "Take the values of the baseline", ("queue",), "trial", 3, "base"),
    Action(
        "open-twin", "o", "open_twin", "Open the trial that has these values", ("queue", "rerun"), "trial", 4, "open it"
    ),
    # ---- rerun
    Action(
        "change-setting",
        "enter",
        "change",
        "Type a value for the setting",
        ("rerun",),
        "trial",
        1,
        "change",
        palette=False,
    ),
    Action("rerun-previous", "up", "setting(-1)", "Setting above", ("rerun",), "view", palette=False),
    Action("rerun-next", "down", "setting(1)", "Setting below", ("rerun",), "view", palette=False),
    # ---- promote
    Action("promote-now", "f5,ctrl+g", "promote", "Verify and export it", ("promote",), "trial", 1, "promote"),
    Action("promote-force", "F", "force", "Take by force what was refused", ("promote",), "trial", 2, "force"),
    Action("promote-another", "n", "another", "Begin another promotion", ("promote",), "trial", 3, "another"),
    Action("promote-previous", "up", "field(-1)", "Field above", ("promote",), "view", palette=False),
    Action("promote-next", "down", "field(1)", "Field below", ("promote",), "view", palette=False),
    # ---- models
    Action("try", "enter", "try_it", "Try the model", ("models",), "trial", 1, "try", palette=False),
    Action("alias", "a", "alias", "Set an alias", ("models",), "trial", 2, "alias"),
    Action("delete-model", "D", "delete", "Delete the version", ("models",), "trial"),
    Action("undo-alias", "U", "undo_alias", "Undo an alias", ("models",), "trial", 3, "undo alias"),
    Action("model-source", "o", "source", "Open the trial that it came from", ("models",), "trial", 4, "trial"),
    Action("pane-models", "1", "pane('models')", "Versions", ("models",), "view", palette=False),
    Action("pane-model", "2", "pane('details')", "Report and card", ("models",), "view", 5, "report"),
    # ---- try a model
    Action("ask", "f5,ctrl+g", "ask", "Ask the model and its teacher", ("try",), "trial", 1, "ask"),
    # ---- dialogues
    Action("cancel", "escape", "cancel", "Cancel", ("dialogue", "copying", "annotate"), "view", palette=False),
    Action("yes", "y", "yes", "Yes", ("confirm",), "view", palette=False),
    Action("no", "n,escape", "no", "No", ("confirm",), "view", palette=False),
    Action("edit-note", "f4", "edit_note", "Edit the note with $EDITOR", ("annotate",), "view", palette=False),
    Action("write-note", "f10", "write", "Write note and tags", ("annotate",), "view", palette=False),
    Action("write-file", "f", "write_file", "Write to a file", ("copying",), "view", palette=False),
    Action("other-help", "tab,shift+tab", "other_part", "Keys, or words", ("reading",), "view", palette=False),
    Action("close-help", "escape,q,question_mark,f1", "close", "Close", ("reading",), "view", palette=False),
)


def of(place: str) -> list[Action]:
    """The actions of a place, in the order of the table."""
    return [action for action in ACTIONS if place in action.places]


def ids() -> tuple[str, ...]:
    """Every id that a config may remap."""
    return tuple(action.id for action in ACTIONS)


_SPELT = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "minus": "-",
    "equals_sign": "=",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "left_parenthesis": "(",
    "right_parenthesis": ")",
    "vertical_line": "|",
    "semicolon": ";",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "space": "space",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


_ARROWS = {glyph: key for key, glyph in _SPELT.items() if glyph in "←→↑↓"}


def shown_keys(action: Action, keymap: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> list[str]:
    """The keys of an action as people write them, `?` for `question_mark`; remapped ones instead of ours."""
    keys = (keymap or {}).get(action.id, action.keys).split(",")
    spelt = [_SPELT.get(key.strip(), key.strip()) for key in keys]
    return [_ARROWS.get(key, key) for key in spelt] if ascii_only else spelt


def together(keys: Sequence[str], *, ascii_only: bool = False) -> str:
    """Keys of one character side by side, in the least room: `1–4`, `←→`, `XY`; in ASCII `1-4`, `left/right`, `XY`."""
    text = "".join(keys)
    if len(text) > 1 and text in "123456789":
        return f"{text[0]}{'/' if len(text) == 2 else '-' if ascii_only else '–'}{text[-1]}"
    if not ascii_only or text.isascii():
        return text
    return "arrows" if set(text) == set(_ARROWS) else "/".join(_ARROWS.get(key, key) for key in keys)
