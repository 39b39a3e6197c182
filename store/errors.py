"""The root of every error that this project raises on purpose, and the store's own leaf. It must not import anything.

A message says what, where and what to do; `hint`, when given, is the remedy on a line of its own.
"""


class BertDistillError(Exception):
    """Something that a person can fix; shown as its message, never as a traceback."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StoreError(BertDistillError):
    """The database or its folder cannot be used as it is."""


class StoreUnavailable(StoreError):
    """The database cannot be used just now (locked, or its disk is full): what waits and tries again will succeed."""


class NotFound(StoreError):
    """A study, trial, model or alias that was named does not exist."""
