"""The gold answers of an attempt's validation split, printed as JSON for the error analysis. It loads no models.

`python -P -m bertdistill.engine.distill.data.golds RUN_FOLDER` reads the data exactly as the trial did.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.distill.data.examples import QAExample
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.store.errors import BertDistillError


def golds(folder: Path) -> dict[str, Any]:
    """`task`, `labels` and `rows` of the validation split; raises ConfigError if the data changed or is missing.

    A row of question answering has id, article, question, golds (none if unanswerable), the passage and the offsets at
    which the golds begin in it; a row of classification has id, text and label, with a second sentence after the first.
    """
    spec = AttemptSpec.read(RunPaths(folder).spec)
    examples = search_examples(spec)
    rows = [_question(row) if isinstance(row, QAExample) else _text(row, examples.labels) for row in examples.rows]
    return {"task": spec.task, "labels": list(examples.labels), "rows": rows}


def _question(row: QAExample) -> dict[str, Any]:
    return {
        "id": row.id,
        "article": row.title,
        "question": row.question,
        "golds": list(row.answers),
        "passage": row.context,
        "starts": list(row.starts),
    }


def _text(row: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    text = row.text if row.pair is None else f"{row.text} / {row.pair}"
    return {"id": row.id, "text": text, "label": labels[row.label]}


def main(arguments: list[str]) -> int:
    """Print the golds. Exit code 0 on success, 1 with one line on stderr, 2 on wrong usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -P -m bertdistill.engine.distill.data.golds RUN_FOLDER\n")
        return 2
    try:
        found = golds(Path(arguments[0]))
    except (BertDistillError, OSError, ValueError) as error:
        hint = getattr(error, "hint", "")
        sys.stderr.write(" ".join(f"{error}{f' ({hint})' if hint else ''}".split()) + "\n")
        return 1
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
