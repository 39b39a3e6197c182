"""Whether a parameter set is in a history, without working out the key of every past one.

It knows no space: what a key is, and which sets may share one, is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property

from bertdistill.engine.search.past import Memory
from bertdistill.engine.study.space import Value

Params = Mapping[str, Value]

FEW = 40
"""Questions that are answered one by one."""


class Seen:
    """The parameter sets of a history; a set is in it if one of them has the same key.

    Keys take 0.1 ms each. So the first sets asked for are compared only with those that may have the same key; after
    `FEW` questions all keys are computed, as for a grid or a space that is nearly exhausted.
    """

    def __init__(
        self,
        every: Sequence[Params],
        key: Callable[[Params], Hashable],
        like: Callable[[Params], Callable[[Params], bool]],
        memory: Memory,
    ) -> None:
        self._every, self._key_of, self._like, self._memory = every, key, like, memory
        self._asked = 0

    def holds(self, params: Params) -> bool:
        """Whether a set of the same key is in the history."""
        self._asked += 1
        key = self._key_of(params)
        if self._asked > FEW:
            return key in self._keys
        may_be_equal = self._like(params)
        return any(self._key(one) == key for one in self._every if may_be_equal(one))

    @cached_property
    def _keys(self) -> set[Hashable]:
        return {self._key(one) for one in self._every}

    def _key(self, params: Params) -> Hashable:
        return self._memory.of("key", params, self._key_of)
