"""The texts for pre-training as a file: one JSON string per line. It knows neither tokenizers nor splits."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

NAME = "corpus.jsonl"


def write_corpus(folder: Path, texts: Iterable[str]) -> None:
    """Write the texts into the folder."""
    with (folder / NAME).open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(text)}\n" for text in texts)


def read_corpus(folder: Path) -> Iterator[str]:
    """What `write_corpus` wrote."""
    with (folder / NAME).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
