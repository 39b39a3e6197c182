"""The three changes of EDA that need no dictionary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import WORD
from bertdistill.engine.distill.transfer.material import Material
from bertdistill.engine.distill.transfer.table import transfer_texts

Make = Callable[..., Material]
GOOD, BAD = "one two three four five", "six seven eight nine ten"


def test_words_are_swapped_deleted_or_replaced_by_words_of_the_same_label(material: Make) -> None:
    made = material(TransferSpec(kind="eda", rows=60), texts=(BAD, GOOD))
    kinds = Counter[str]()
    for text, _ in transfer_texts(made, {}):
        words = WORD.findall(text)
        [source] = [source.split() for source in (GOOD, BAD) if set(words) <= set(source.split())]
        if len(words) < len(source):
            kinds["deleted"] += 1
            assert words
        elif sorted(words) == sorted(source):
            kinds["swapped"] += 1
            assert words != source
        else:
            kinds["replaced"] += 1
            assert len(words) == len(source)
    assert {"swapped", "deleted", "replaced"} == set(kinds)
