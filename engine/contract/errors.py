"""The engine's exceptions, one class per remedy. This module must not import anything heavy."""

from bertdistill.store.errors import BertDistillError


class ConfigError(BertDistillError):
    """The study file or an override is invalid: fix the key named in the message."""


class LaunchError(BertDistillError):
    """A worker or runner could not be started: fix the machine."""


class WorkerFailed(BertDistillError):
    """A worker failed: read its log; the message holds its last lines."""


class ActionRefused(BertDistillError):
    """The request cannot be carried out in the current state."""


class InvalidRequest(ActionRefused):
    """The request can never be carried out in this study: fix its key, value or name."""
