"""The filter language of trials, as the list of a study uses it. It parses nothing: `views.query` does, when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bertdistill.app.views.view import StudyView
from bertdistill.store.rows import Trial

Known = Callable[[], tuple[StudyView, Mapping[int, float]] | None]
"""The study with its newest losses by trial number, once it was read."""


@dataclass(frozen=True)
class TrialFilter:
    """A filter that was typed counts for the trials as they are when it is asked."""

    known: Known
    example: str = "layers<=4 exact>65 -state:failed tag:keep"

    def test(self, text: str) -> Callable[[Trial], bool] | None:
        from bertdistill.app.views.query import keys_of, parse

        known = self.known()
        if known is None:
            return None
        query = parse(text, keys_of(known[0]))

        def keeps(trial: Trial) -> bool:
            view, losses = self.known() or known
            return query.matches(view, trial, losses)

        return keeps

    def finished(self, text: str) -> str:
        from bertdistill.app.views.query import finished

        known = self.known()
        return finished(text, known[0]) if known is not None else ""

    def complete(self, text: str) -> list[str]:
        from bertdistill.app.views.query import complete

        known = self.known()
        return complete(text, known[0]) if known is not None else []
