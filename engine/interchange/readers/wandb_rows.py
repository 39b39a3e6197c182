"""Rows of numbers in W&B's records: items, each a name and JSON, one after the other. It knows no run.

Nearly every record is such a row, with the names of the row before it. Once the same names have come twice, one regular
expression made of them matches whole rows, in a fifth of the time that it takes to look for each item.
"""

from __future__ import annotations

import re
from itertools import chain

_ITEM = rb"\x0a[\x00-\x7f]%b\x82\x01[\x00-\x7f]([-+0-9.eE]++)"
"""An item: its length, its name, the tag of `value_json` and a number. Lengths are checked by their sum."""
_ANY_ITEM = re.compile(_ITEM % rb"([\x0a\x12][\x00-\x7f][^\x82]*?)")
_NO_ROW = re.compile(rb"(?!)")

Row = tuple[tuple[bytes, ...], tuple[bytes, ...], int]
"""Names of numbers as they are encoded, the numbers as text, and the byte after the row."""


class RowReader:
    """Reads the rows of one kind of record."""

    def __init__(self) -> None:
        self._names: tuple[bytes, ...] = ()
        self._same_names = _NO_ROW

    def read(self, record: bytes) -> Row:
        """The row at the start of a record. If it has other items, too, the byte after the row means nothing: it is
        neither the end of the record nor that of an item."""
        found = self._same_names.match(record)
        if found is not None:
            return self._names, found.groups(), found.end()
        names, values = tuple(zip(*_ANY_ITEM.findall(record), strict=True)) or ((), ())
        if names == self._names:
            items = b"".join(_ITEM % re.escape(name) for name in names)
            self._same_names = re.compile(items + rb"(?!\x0a)")  # no other item follows
        else:
            self._names, self._same_names = names, _NO_ROW
        return names, values, 5 * len(names) + sum(map(len, chain(names, values)))
