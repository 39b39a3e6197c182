"""The reference pages of `docs/`, made from the code that they describe. It runs no command.

`make docs` writes them; a test compares them, so they cannot fall behind.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bertdistill.app.keymap import PLACES, of, shown_keys
from bertdistill.app.report.shapes import SHAPES
from bertdistill.app.study_reference import study_page
from bertdistill.app.text.glossary import TERMS
from bertdistill.app.text.markdown import line, paragraphs, table

COMMANDS_HEAD = """# Commands

Generated from the code by `make docs`. Every command is `bertdistill-tui engine COMMAND`, which is the same as
`python -m bertdistill.engine COMMAND`.

Data goes to stdout, messages and progress to stderr. Progress is shown as bars if stderr is a terminal, else as lines.

| exit status | means |
|---|---|
| 0 | done |
| 1 | failed: an error that can be fixed, or a study that ended without being complete |
| 2 | misuse: a wrong command line, study file or `--set` |
| 130 | interrupted by ctrl-c; a study that was followed keeps running |

| variable | means |
|---|---|
| `BERTDISTILL_WORKSPACE` | the workspace when `--workspace` is not given; else `./bertdistill-runs` |
| `BERTDISTILL_DEBUG` | set to 1: show the traceback of an error, as `--debug` does |
| `NO_COLOR` | no colours in charts |

A trial is written `STUDY/NUMBER`, for example `demo/7`. The number alone is enough with `--study`, or when the
workspace has one study.
"""

SHAPES_HEAD = """## What `--json` prints

A JSON number that is not finite is `null`, and all text is escaped to ASCII. `--csv` prints the same objects as rows:
nested keys are joined by a dot (`params.alpha`, `metrics.exact`), and text that a spreadsheet would run as a formula
gets a leading apostrophe. New keys may be added; these do not go away.

- `frontier --screened`: a list of *screened*, which are no trials.
- `trials`, `frontier`, `run`, `demo` and `export --format json`: a list of *trial*, in ranked order.
- `show`: one *trial* with `settings`, `differs_from_baseline` and `differs_from_parent` (lists of names), `children`
  (trial numbers), `sampler`, `proposal_seed`, `attempts` (list of *attempt*), `checkpoints` (list of *checkpoint*) and
  `series` (objects with `name`, `points`, `last_step`, `last`, `min`, `max`, `not_finite`).
- `status`: an object with `workspace`, `disk_full`, `runner` (`alive`, `host`, `pid`, `since`, `heartbeat_age`,
  `silence`: seconds without a heartbeat, from 30 on, and `released`), `studies` (list of *study*), `workers` (list of
  *attempt* with `study` and `frozen`) and `notices` (list of *notice*). With `--csv`: the studies.
- `workers`: an object with `workspace`, `runner` (as in `status`, and `leaving`), `load` (`cpu_percent`, `cores`,
  `memory_used` and `memory_total` in bytes, `gpus` with `index`, `uuid`, `name`, `percent` and the same two),
  `machines` (list of *machine*), `slots` (list of *slot*), `workers` (list of *attempt* with `study`,
  `memory_bytes`, `gpu_memory_bytes`) and `queue`
  (list of *waiting*). With `--csv`: the workers.
- `models`: a list of *model*; `promote`: one *model*.
- `history`, `set`, `undo`: a list of *request*; `queue`: one *trial*.
- `doctor`: a list of *check*.
- `plan`: an object with `study`, `task`, `trials`, `distinct` (different trials that exist, or null), `train_examples`,
  `train_windows` (what a step counts), `transfer_rows` (null if unknown), `windows_estimated` (no study here has
  counted them yet), `steps` (`baseline`, `least`, `most`), `sizes` (`baseline`, `smallest`, `largest`, `refused`,
  `students`), `disk_bytes` (`features`, `outputs` and `teacher`, together `caches`; `preparing`, on top while a teacher
  is trained; `checkpoints`), `free_bytes` of the disk, `pretraining` (`texts`, `tokens`, `least` and
  `most` steps, `bytes` of a result,
  `running_bytes`; null if no trial is pre-trained), `supernet` (`nets`, `screened` at most, `steps`, `passes` of a
  whole student that they cost, `bytes`, `running_bytes`; null without one) and `time` (`trial_seconds`, `pass_seconds`,
  `seconds` or null, `study` and number of `trials` that were measured in this workspace; null without any).
- `analysis`: an object with `study`, `importance` (list of *importance*), `scenarios` (list of *scenario*),
  `hypervolume` (list of *step*), `hypervolume_interval` (95 % of that of true scores, or null), `outlook` (`trials`,
  `gain` with `low` and `high` as shares of the unit box, `hypervolume` as the model believes it, `seconds` of worker
  time or null; null if too few scores are known) and, with a transfer set, `transfer` (list of *transfer*). With
  `--part` one of these; `parallel`: an object with `axes` (objects with `name`, `kind`, `low`, `high`, `log`,
  `choices`, `better`) and `lines` (list of *line*); `slices`: a list of *point*; `overview`: a list of *run*. With
  `--csv` the rows of the part; of the importance one row a weight.
- `compare`: an object with `trials` (names), `seeds` (over how many seeds the values of each are means), `settings`
  (objects with `name`, `same`, `searched`, `values` by trial) and `metrics` (objects with `name`, `objective`, and by
  trial `values`, `spreads` over seeds, `differences` to the first, `verdicts`).
- `cascade`: one *cascade*; without members a list of *joined*, the cascades on the frontier.
- `errors`: an object with `study`, `trial`, `task` and `step` (of the checkpoint). Question answering: `cut`,
  `total`, `classes` (numbers by class), `histogram` (wrong answers by F1 in tenths), `articles` (objects with
  `article`, `total`, `classes`), with `--list` also `questions` (list of *question*). Classification: `accuracy`,
  `total`, `labels`, `confusion` (a row for each right label), `classes` (objects with `label`, `total`, `precision`,
  `recall`, `f1`), with `--list` also `texts` (objects with `id`, `label`, `prediction`, `text`).
- `difficulty`: an object with `study`, `trial` (null: the teacher), `wos`, `still_right` and `spread` (percent; mean
  over the shuffles, and standard deviation of one), `examples`, `classes`, `shuffling` (`ngram`, `shuffles`,
  `examples`, `seed`), `left_out` (examples by reason), `notes`, `cpu_seconds`, `cached`, `metric`, `families`
  (objects with `family`, `trial`, `score`, `difference` to the teacher, `params`) and `sentences`.
- `ladder`: a list with an object per study: `study`, `score` and `size` (metrics), `split` (on which the comparisons
  are made), `rungs`, `teacher` and `references` (each with `family`, `kind`, `numbers` of its trials, `scores` by split
  and `costs`, and whether it `is_smallest`; a score has `value`, `seeds`, `spread`, `interval`, `gap` to the teacher,
  `gap_interval`), `effects` (objects with `family`, `kind`, `against`, `difference`, `interval`, `same_settings`),
  `near` (`margin`, `rung`, `closest`, `certain`), `examples` by split and `rival` (the rung of a plain student that a
  weak teacher is not clearly better than, or null). With `--csv` a row per rung.
- `survey`: an object with `study`, `score`, `split`, `examples`, `by_bytes` (whether compression counts bytes or
  parameters), `entries` (objects with `method`, `numbers` of its trials, `compression`, `kept` in percent of the
  teacher's score, `scores` by split and `costs`), `best` (objects with `factor`, `entry` and `ties`), `teacher` (a
  score) and `published` (`data`, `points`). With `--csv` a row per entry.
- `glossary`: a list of objects with `name`, `also` (other words for it), `words` and `page` (below `docs/`).
- `score`: the scores under the names of the official script.
- `passages`: `build`: `folder`, `model` (digest), `passages`, `windows`, `tokens`, `width`, `numbers`, `bytes`,
  `bytes_per_passage`, `separate_layers`, `cpu_seconds`. `ask`: as `ask`, with `passage` (its number, from 1),
  `windows`, `latency_cached_ms` and, with `--compare`, `latency_cpu_ms` and `largest_difference` of the logits.
- `ask`: what the model answers; of a cascade also `answered_by`, `confidence` and `threshold`.
"""


def commands_page() -> str:
    """`docs/commands.md`."""
    from bertdistill.app.commands.root import command_line

    group = command_line(["engine"]).commands["engine"]
    parts = [COMMANDS_HEAD, _group_options(group)]
    parts += [_command(name, command) for name, command in _flat(group)]
    parts += [SHAPES_HEAD, *(_shape(name, keys) for name, keys in SHAPES.items())]
    return "\n".join(parts)


def _flat(group: Any) -> Iterator[tuple[str, Any]]:
    """Commands by the words that call them, those of a group after its name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", one) for inner, one in _flat(command))
        else:
            yield name, command


def _group_options(group: Any) -> str:
    return "## Before every command\n\n" + table(["option", "means"], _options(group.params))


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["bertdistill-tui engine", name, *(_argument(p) for p in arguments), "[OPTIONS]"])
    # One blank line between the first sentence and the rest, as in the docstring.
    parts = [f"## {name}\n", paragraphs(command.help or ""), f"\n```\n{usage}\n```\n"]
    if arguments:
        parts.append(table(["argument", "means"], [[f"`{_argument(p)}`", p.help or ""] for p in arguments]))
    parts.append(table(["option", "means"], _options(command.params)))
    return "\n".join(parts)


def _argument(parameter: Any) -> str:
    word = str(parameter.metavar or parameter.name.upper())
    return word if parameter.required else f"[{word}]"


def _options(parameters: Iterable[Any]) -> list[list[str]]:
    rows = []
    for parameter in parameters:
        if parameter.param_type_name == "option" and parameter.name != "help":
            words = ", ".join(parameter.opts) + ("" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}")
            needed = " Required." if parameter.required else ""
            rows.append([f"`{words}`", (parameter.help or "") + needed])
    return rows


def _shape(name: str, keys: Mapping[str, str]) -> str:
    return f"### {name}\n\n" + table(["key", "means"], [[f"`{key}`", text] for key, text in keys.items()])


MODULES_HEAD = """# Modules

Generated from the code by `make docs`: every room with its purpose, and every module with the start of its docstring.
Rooms are in the order of imports: each may import those below it (`pyproject.toml`, `[tool.importlinter]`). How they
work together is in [architecture.md](architecture.md).
"""

PACKAGES = {
    "app": "The user interface. Nothing in `engine` or `store` imports it.",
    "engine": "Runs studies, without a terminal and without torch.",
    "engine/distill": "The worker process; the only place for torch, transformers, datasets and scikit-learn.",
    "store": "The database; the only place for SQL.",
}
ROOMS = (
    "app",
    *(f"app/{room}" for room in ("commands", "screens", "widgets", "report", "children", "views", "draw", "terminal")),
    "app/text",
    "engine",
    *(f"engine/{room}" for room in ("steering", "interchange", "interchange/readers", "interchange/out")),
    *(f"engine/{room}" for room in ("runner", "search", "analysis")),
    *(f"engine/{room}" for room in ("launch", "program", "study")),
    *(f"engine/{room}" for room in ("families", "tasks", "data", "demo", "pareto", "contract")),
    "engine/distill",
    *(
        f"engine/distill/{room}"
        for room in (
            "export",
            "transfer",
            "supernet",
            "pretraining",
            "training",
            "training/terms",
            "compression",
            "families",
            "data",
        )
    ),
    "store",
    "store/migrations",
)
"""Every folder of modules, in the order of imports; a test compares it with the folders."""


def modules_page() -> str:
    """`docs/modules.md`."""
    parts = [MODULES_HEAD]
    for room in ROOMS:
        folder = _folder(room)
        about = PACKAGES.get(room) or line(ast.get_docstring(_parsed(folder / "__init__.py")) or "")
        rows = [[f"`{path.name}`", line(_purpose(path))] for path in sorted(folder.glob("*.py"))]
        parts.append(f"## {room}/\n" + (f"\n{about}\n" if about else ""))
        parts.append(table(["module", "purpose"], [row for row in rows if row[1]]))
    return "\n".join(parts)


def _folder(room: str) -> Path:
    found = importlib.util.find_spec(f"bertdistill.{room.replace('/', '.')}")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _purpose(path: Path) -> str:
    """The first paragraph of a module's docstring; empty for the package files, which describe their room."""
    return "" if path.name == "__init__.py" else (ast.get_docstring(_parsed(path)) or "").split("\n\n")[0]


KEYS_HEAD = """# Keys of the app

Generated from the code by `make docs`, from the table that also defines the bindings, the footer, the help (`?`) and
the palette (`ctrl+p`).

Remap a key by its id in `~/.config/bertdistill-tui/config.toml`; separate several keys with commas:

```toml
[keys]
rerun = "r,f5"
quit = "q,ctrl+q"
```
"""


def keys_page() -> str:
    """`docs/keys.md`."""
    parts = [KEYS_HEAD]
    for place, title in PLACES.items():
        rows = [[" ".join(f"`{key}`" for key in shown_keys(a)), a.words, f"`{a.id}`"] for a in of(place)]
        if rows:
            parts += [f"## {title}\n", table(["key", "what it does", "id"], rows)]
    return "\n".join(parts)


TABLES_HEAD = """# Tables

Generated from the code by `make docs`. The record of a workspace is one SQLite file, `tracker.db`. Read it with
any tool while studies run, for example `sqlite3 -readonly tracker.db`, and do not write to it.

Times are Unix seconds. A json column holds an object or a list whose keys only the program interprets. An optional
column is NULL when it has no value.
"""


def tables_page() -> str:
    """`docs/tables.md`."""
    from bertdistill.store.schema import tables

    parts = [TABLES_HEAD]
    for one_table in tables():
        rules = [f"Unique: {names}." for names in one_table.unique]
        parts.append(f"## {one_table.name}\n\n{paragraphs(' '.join([one_table.about, *rules]))}\n")
        rows = [
            [f"`{one.name}`", one.type, "" if one.required else "yes", _refers(one.refers), line(one.about)]
            for one in one_table.columns
        ]
        parts.append(table(["column", "type", "optional", "refers to", "means"], rows))
    return "\n".join(parts)


def _refers(column: str) -> str:
    return f"`{column}`" if column else ""


GLOSSARY_HEAD = """# Glossary

Generated from the code by `make docs`. `?` in the app explains the words on the screen and the one under the mouse;
`bertdistill-tui engine glossary TERM` prints the same. Metrics and settings are explained in
[study-file.md](study-file.md).
"""


def glossary_page() -> str:
    """`docs/glossary.md`."""
    rows = [
        [", ".join((entry.name, *entry.also)), line(entry.words), f"[{entry.page}]({entry.page})" if entry.page else ""]
        for entry in sorted(TERMS, key=lambda entry: entry.name.casefold())
    ]
    return f"{GLOSSARY_HEAD}\n{table(['word', 'means', 'more'], rows)}"


PAGES = {
    "glossary.md": glossary_page,
    "commands.md": commands_page,
    "study-file.md": study_page,
    "modules.md": modules_page,
    "keys.md": keys_page,
    "tables.md": tables_page,
}


def main(folder: Path) -> None:
    """Write the pages into `folder`."""
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
