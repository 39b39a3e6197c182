"""The right answers of an attempt's validation split, printed as JSON for the error analysis. It loads no model.

`python -P -m bertdistill.engine.distill.data.golds RUN_FOLDER` reads the data again, exactly as the trial did.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import AttemptSpec
from bertdistill.engine.distill.data.examples import QAExample, search_examples
from bertdistill.store.errors import BertDistillError


def golds(folder: Path) -> dict[str, Any]:
    """`task`, `labels` and `rows` of the validation split; raises ConfigError when the data changed or is gone.

    A row of question answering has id, article, question, golds (none: no answer), the passage and the characters at
    which the golds begin in it; one of classification id, text and label, a second sentence behind the first.
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
    """Print the golds; 0 done, 1 with one line on stderr, 2 misuse."""
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
