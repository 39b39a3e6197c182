"""The app's own errors. It must not import anything heavy."""

from bertdistill.store.errors import BertDistillError


class UsageError(BertDistillError):
    """The command line asks for something that makes no sense; exit status 2."""
