"""The engine's errors, one leaf for each remedy. It must not import anything heavy."""

from bertdistill.store.errors import BertDistillError


class ConfigError(BertDistillError):
    """The study file or an override is wrong: fix the key that the message names."""


class LaunchError(BertDistillError):
    """A worker or runner could not be started: fix the machine."""


class WorkerFailed(BertDistillError):
    """A worker ended badly: read its log, whose last lines are in the message."""


class ActionRefused(BertDistillError):
    """What a person asked for cannot be done in the present state."""


class InvalidRequest(ActionRefused):
    """What a person asked for can never be done in this study: correct the words (a key, a value, a name)."""
