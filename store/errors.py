"""The base class of all errors that this project raises on purpose, and the store's own errors. It imports nothing.

A message says what, where and what to do; `hint`, if given, is the remedy on its own line.
"""


class BertDistillError(Exception):
    """An error that the user can fix; shown as its message, never as a traceback."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class StoreError(BertDistillError):
    """The database or its folder cannot be used as it is."""


class StoreUnavailable(StoreError):
    """The database is temporarily unusable (locked, or its disk is full): a later retry can succeed."""


class NotFound(StoreError):
    """The named study, trial, model or alias does not exist."""


class ForeignError(BertDistillError):
    """A file of another program cannot be read: fix that file or name another one."""
