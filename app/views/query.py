"""The filter language: `layers<=4 exact>65 -state:failed tag:keep`, to a test of one trial. Pure.

It reads no store and draws nothing. A trial is kept when it matches every word; `docs/guide/filter.md` has the rules.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bertdistill.app.errors import UsageError
from bertdistill.app.text import format as fmt
from bertdistill.app.views.trial_columns import FACTS, known_columns, sort_value, value_of
from bertdistill.app.views.view import StudyView
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.study.outline import SEARCH
from bertdistill.engine.study.scopes import split
from bertdistill.engine.study.sections import amount, nearest
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import Trial, TrialState

ALIASES = {"tag": "tags", "number": "trial"}
"""Other spellings of a key; `tag:keep` reads better than `tags:keep`."""
WORDS = ("state", "reason", "tags", "origin", "note", "parameters")
"""Keys that hold words: `:` looks inside them, `<` makes no sense."""
SETTINGS = frozenset(field.name for field in dataclasses.fields(Settings))
KEYS = (*FACTS, "tag", "trial", "number", "reason", *METRICS, *sorted(SETTINGS))
"""Every key there is; one that no trial has is not an error; it matches nothing."""
NAMED = ("state", "reason", "tag", "note", "origin", "number", "loss", "gain", "time")
"""Keys that are neither metric nor setting, as `docs/guide/filter.md` lists them."""
RIGHT = {"=>": ">=", "=<": "<=", "=!": "!=", "==": "="}
"""The intended operator for spellings that do not exist."""
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
"""Units of `time`."""

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SINGLE = re.compile(r"[A-Za-z0-9_.-]+")
_WORDY = (bool, str, list, tuple)
_TERM = re.compile(
    r"""(?P<minus>-?)
        (?:(?P<key>[A-Za-z_][A-Za-z0-9_./]*)(?:\s*(?P<operator><=|>=|!=|<|>|=)\s*|(?P<colon>:)))?
        (?P<value>"[^"]*"|'[^']*'|[^\s"']*)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Term:
    """One word of a filter. An empty operator looks for `value` among the parameters."""

    key: str
    operator: str
    value: str
    negated: bool = False
    quoted: bool = False

    def fits(self, view: StudyView, trial: Trial, losses: Mapping[int, float]) -> bool:
        """Whether the trial is kept. A missing value matches no comparison, negated or not."""
        found = _value(view, trial, self.key or "parameters", losses)
        if self.operator in ("", ":"):
            return self._contains(found, trial) != self.negated
        if found is None or (isinstance(found, float) and not math.isfinite(found)):
            return False
        return self._compares(found) != self.negated

    def _contains(self, found: Any, trial: Trial) -> bool:
        if found is None:
            return False
        if not self.value:  # `tag:` asks whether there is any
            return True
        wanted = [self.value] if self.quoted or not self.operator else [v for v in self.value.split(",") if v]
        if self.key == "tags":
            return any(_same(tag, value) for tag in trial.tags for value in wanted)
        if isinstance(found, _WORDY):
            return any(value.casefold() in fmt.setting(found).casefold() for value in wanted)
        return any(self._equals(found, value) for value in wanted)

    def _compares(self, found: Any) -> bool:
        if self.operator in ("=", "!="):
            return self._equals(found, self.value) == (self.operator == "=")
        value = number(self.value, self.key)
        if value is None or isinstance(found, _WORDY):
            return False
        return bool(_ORDER[self.operator](found, value))

    def _equals(self, found: Any, value: str) -> bool:
        """Numbers as numbers, or as they are shown: not with all the digits of 66,364,418."""
        if isinstance(found, _WORDY):
            return _same(fmt.setting(found), value)
        return number(value, self.key) == found or value in (fmt.metric(self.key, found), fmt.setting(found))


@dataclass(frozen=True)
class Query:
    """A filter. Without words it keeps every trial."""

    terms: tuple[Term, ...] = ()

    def matches(self, view: StudyView, trial: Trial, losses: Mapping[int, float]) -> bool:
        """Whether every word fits; `losses` are the newest training losses by trial number."""
        return all(term.fits(view, trial, losses) for term in self.terms)


def keys_of(view: StudyView) -> Collection[str]:
    """Every key for a study: logged runs and programs have metrics and parameters of their own."""
    if view.study.kind == SEARCH:
        return KEYS
    return {*KEYS, *(name for trial in view.trials for name in (*trial.metrics, *trial.params, *trial.settings))}


def parse(text: str, known: Collection[str] = KEYS) -> Query:
    """The filter in a text; raises UsageError that names the word and the remedy."""
    return Query(tuple(_term(match, known) for match in _words(text)))


def finished(text: str, view: StudyView) -> str:
    """What counts of a filter while its last word is being typed: all but that word as long as it is the beginning of
    a key, or lacks a value.
    """
    known, end, match = keys_of(view), 0, None
    try:
        for match in _words(text):
            begin, end = end, match.end()
    except UsageError:  # a quote that is not closed yet
        return text[:end].strip()
    if match is not None and _is_begun(match, known, ended=text[-1].isspace()):
        end = begin
    return text[:end].strip()


def _is_begun(match: re.Match[str], known: Collection[str], *, ended: bool) -> bool:
    """Whether a word may continue, so that it means nothing yet; `ended`: a space follows it."""
    key, value = match["key"], match["value"].casefold()
    if key is None:
        return value in known or (not ended and (not value or any(name.startswith(value) for name in known)))
    if not value:
        return match["colon"] is None or (not ended and ALIASES.get(key, key) not in ("tags", "note"))
    try:
        _term(match, known)
    except UsageError:
        return not ended
    return False


def _words(text: str) -> Iterator[re.Match[str]]:
    """One match a word; raises UsageError at a quote that is not closed or a minus that stands alone."""
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        match = _TERM.match(text, at)
        if match is None or match.end() == at:
            raise UsageError(f"the quote {text[at:][:40]} is not closed", hint=f"Close it with another {text[at]}.")
        at = match.end()
        if at < len(text) and text[at] in "\"'" and not text[at - 1].isspace():
            begun = text[match.start() :][:40]
            if text.count(text[at], at) % 2:
                raise UsageError(f"{begun}: the quote is not closed", hint=f"Close it with another {text[at]}.")
            raise UsageError(f"{begun}: there is a quote inside a word", hint="Quote the whole value.")
        yield match


def _term(match: re.Match[str], known: Collection[str]) -> Term:
    word, key = match[0], match["key"] or ""
    sign, value = match["operator"] or match["colon"] or "", match["value"]
    quoted = value[:1] in ("'", '"')
    if not quoted and (right := RIGHT.get(sign + value[:1])):
        hint = f"Write {key}{right}{value[1:]}." if value[1:] else f"Write {right}, for example {key}{right}4."
        raise UsageError(f"{word.strip()}: there is no {sign}{value[0]}", hint=hint)
    value = value[1:-1] if quoted else value
    if not key:
        if not value:
            raise UsageError(f"{word!r} excludes nothing", hint="Write a word after the minus: -state:failed.")
        return Term("", "", value, bool(match["minus"]), quoted)
    if key not in known and split(key)[1] not in SETTINGS:
        close = nearest(key, known)
        hint = f"Did you mean {close}?" if close else f"Keys: {', '.join(NAMED)}, metrics and settings."
        raise UsageError(f"there is no {key!r} to filter by", hint=hint)
    key = ALIASES.get(key, key)
    _check_value(word, key, sign, value)
    return Term(key, sign, value, bool(match["minus"]), quoted)


def _check_value(word: str, key: str, sign: str, value: str) -> None:
    """Reports values that can never match while they are typed."""
    if sign != ":" and not value:
        raise UsageError(f"{word.strip()}: a value is missing", hint=f"For example {key}{sign}4.")
    if sign in ("<", "<=", ">", ">="):
        if key in WORDS:
            raise UsageError(f"{word}: {key} is text, which has no order", hint=f"Write {key}:{value}.")
        if number(value, key) is None:
            units = "90s, 5m, 2h" if key == "time" else "4, 3e-5, 66M"
            raise UsageError(f"{word}: {value!r} is not a number", hint=f"Write a number, such as {units}.")


@lru_cache(maxsize=256)
def number(text: str, key: str = "") -> float | None:
    """`65`, `3e-5`, `66M`, `#7`, and for `time` `5m`; None when it is not a finite number."""
    text = text.removeprefix("#") if key == "trial" else text
    return amount(text, SECONDS) if key == "time" else amount(text)


def _value(view: StudyView, trial: Trial, key: str, losses: Mapping[int, float]) -> Any:
    """What a trial has under a key. A metric or setting is looked up without making all others: 1,000 trials wait."""
    if key in METRICS:
        return fmt.value_of(trial.metrics if key in trial.metrics else trial.known, key)
    if split(key)[1] in SETTINGS:
        return value_of(trial, key)
    return (trial.reason or None) if key == "reason" else sort_value(view, trial, key, losses)


def _same(text: str, other: str) -> bool:
    return text.casefold() == other.casefold()


# ---------------------------------------------------------------------------------------------------------- completing


def complete(text: str, view: StudyView) -> list[str]:
    """What the last word may become, the likeliest first: keys of this study, or values that its trials have."""
    word = last_word(text)
    body = word.removeprefix("-")
    minus = word[: len(word) - len(body)]
    match = re.fullmatch(r"(?P<key>[A-Za-z_][\w./]*)(?P<operator><=|>=|!=|=|:)(?P<value>.*)", body)
    if match is None:
        return [minus + key for key in _keys(view) if body and key.startswith(body.casefold()) and key != body]
    key, (head, comma, typed) = match["key"], match["value"].rpartition(",")
    start, typed = f"{minus}{key}{match['operator']}{head}{comma}", typed.casefold()
    values = [v for v in _values(view, ALIASES.get(key, key)) if v.casefold().startswith(typed)]
    return [start + value for value in values if value.casefold() != typed and value not in head.split(",")]


def last_word(text: str) -> str:
    """The word that is being typed, empty after a space."""
    return re.split(r"\s", text)[-1] if text else ""


def _keys(view: StudyView) -> list[str]:
    """Keys of this study; those that hold words already with their colon."""
    names = ["state", "tag", "note", "origin", "reason", *known_columns(view), "trial"]
    return [f"{n}:" if n in (*WORDS, "tag") else n for n in dict.fromkeys(names) if n not in ("tags", "parameters")]


def _values(view: StudyView, key: str) -> list[str]:
    match key:
        case "state":
            return [state.value for state in TrialState if any(t.state == state for t in view.trials)]
        case "tags":
            return sorted({tag for t in view.trials for tag in t.tags if not re.search(r"[\s,\"']", tag)})
        case "note":
            return []
    found = {str(v) for t in view.trials[:500] if isinstance(v := _value(view, t, key, {}), str)}
    return sorted(v for v in found if not re.search(r"[\s,\"']", v))[:50]


def range_words(name: str, choices: Sequence[Any], low: float, high: float) -> str:
    """A filter for values from `low` to `high`; on an axis of choices these are places among them, as they are drawn.

    Empty where the language has no words for it: several choices that are not single words.
    """
    if not choices:
        return f"{name}>={_rounded(low, math.floor):g} {name}<={_rounded(high, math.ceil):g}"
    found = [fmt.setting(choice) for place, choice in enumerate(choices) if low <= place <= high]
    if len(found) == 1:
        return f'{name}="{found[0]}"' if '"' not in found[0] else ""
    return f"{name}:{','.join(found)}" if found and all(map(_SINGLE.fullmatch, found)) else ""


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """To four digits, outwards, so that what is on the edge stays inside."""
    if not value:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 3)
    return towards(value / unit) * unit
