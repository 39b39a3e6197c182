"""Foreign text (names, errors, logs, model answers) made harmless for a terminal. It must not decide what is shown.

Escape sequences can move the cursor, write the clipboard or reorder text; a log line or a file name may hold them.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_LINE = 2000
"""Characters that a field takes. Textual measures all of them for each key: a hundred thousand take half a second."""
MOST_PASTED = 200_000
"""Characters of a paste that a field takes; the longest passages of SQuAD have 4,000."""
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]|[\x90\x98\x9d-\x9f][^\x9c\x07]*(?:\x9c|\x07|$)"
)


class _Marks(dict[int, str]):
    """For `str.translate`: each character is judged once. Line breaks and tabs stay; other spaces become a space."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char.isprintable() or char in "\n\t":
            self[code] = char
        else:
            self[code] = " " if unicodedata.category(char) == "Zs" else "\ufffd"
        return self[code]


_MARKS = _Marks()


def harmless(text: str) -> str:
    """All of `text` without escape sequences, other unprintable characters replaced; line breaks and tabs stay."""
    return text if text.isprintable() else _SEQUENCES.sub("", text).translate(_MARKS)


def safe(text: object, limit: int = 2000) -> str:
    """The first `limit` characters of anything, harmless."""
    return harmless(str(text)[:limit])


def safe_line(text: object, limit: int = 200) -> str:
    """The same on one line: runs of white space become one space."""
    return " ".join(safe(text, limit * 4).split())[:limit]


def pasted(text: str, *, one_line: bool) -> str:
    """A paste as a field takes it: line breaks as people mean them, or one space for each where there is one line.

    Terminals send a carriage return for every line break.
    """
    lines = harmless(text[:MOST_PASTED].replace("\r\n", "\n").replace("\r", "\n"))
    return re.sub(r"\s*\n\s*", " ", lines.strip("\n")) if one_line else lines


def error_words(error: Exception) -> str:
    """What an error says, and on a second line what to do about it; not yet safe."""
    return f"{error}\n{getattr(error, 'hint', '')}".strip() or type(error).__name__


def error_line(error: Exception) -> str:
    """The same in one line, as sentences; not yet safe."""
    *lines, last = error_words(error).splitlines()
    return ". ".join([*(line.strip().rstrip(".") for line in lines), last])
