"""Answer many requests in one process: one JSON object per line from stdin and to stdout, until stdin ends.

It changes nothing on disk. Weights stay loaded between requests, because loading torch and a model takes seconds and an
answer milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TextIO

import torch

from bertdistill.engine.distill.export.answer import Opened, OpenedCascade, ask_opened, open_model, open_teacher
from bertdistill.store.errors import BertDistillError

MOST_MODELS = 4
"""Maximum number of loaded models; the one opened first is dropped."""
REPEATS, REPEAT_SECONDS = 5, 1.0
"""Limits on how often and how long an answer is timed. The first pass after loading is slow and never timed."""


class Answers:
    """The open models, and how they answer a request."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._open: dict[tuple[str, str], Opened | OpenedCascade] = {}
        self._clock = clock

    def reply(self, line: str) -> dict[str, Any]:
        """`{"id", "folder", "teacher_of"?, "null_threshold"?, "request"}` as text, answered.

        The reply holds the `id` with `found` and `latency_cpu_ms` (median CPU time of the forward passes), or
        with `error`. With `teacher_of`, the folder of an export, `folder` is that of its teacher.
        """
        order: Any = None
        try:
            order = json.loads(line)
            opened = self._opened(order)
            ask_opened(opened, order["request"])
            found: dict[str, Any] = {}
            times: list[float] = []
            end = self._clock() + REPEAT_SECONDS
            while len(times) < REPEATS and (not times or self._clock() < end):
                answered = ask_opened(opened, order["request"])
                found = answered.found
                times.append(answered.seconds)
        except (BertDistillError, ValueError, TypeError, KeyError, OSError, RuntimeError) as error:
            hint = getattr(error, "hint", "")
            known = order.get("id") if isinstance(order, Mapping) else None
            return {"id": known, "error": f"{error}{f' ({hint})' if hint else ''}"}
        return {"id": order["id"], "found": found, "latency_cpu_ms": 1000 * median(times)}

    def _opened(self, order: Mapping[str, Any]) -> Opened | OpenedCascade:
        key = (str(order["folder"]), str(order.get("teacher_of") or ""))
        if key not in self._open:
            folder, student = Path(key[0]), Path(key[1])
            opened = open_teacher(folder, student, order.get("null_threshold")) if key[1] else open_model(folder)
            while len(self._open) >= MOST_MODELS:
                del self._open[next(iter(self._open))]
            self._open[key] = opened
        return self._open[key]


def serve(requests: TextIO, replies: TextIO) -> None:
    """Answer each line at once, in order."""
    answers = Answers()
    for line in requests:
        replies.write(json.dumps(answers.reply(line)) + "\n")
        replies.flush()


def main() -> int:
    """The program. Output of libraries goes to stderr, so that stdout holds only replies."""
    torch.set_num_threads(1)
    replies = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        serve(sys.stdin, replies)
    return 0


if __name__ == "__main__":
    sys.exit(main())
