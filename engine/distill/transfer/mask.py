"""The kind `mask`: training texts with random words replaced by the teacher's mask token.

Tang et al. 2019, arXiv 1903.12136, section 3.3.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import Text
from bertdistill.engine.distill.transfer.material import Material, edited


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """Each word is masked with probability `share`, endlessly."""
    draw = random.Random(spec.seed)
    while True:
        yield material.one_side(draw, lambda text, row: edited(text, draw, spec.share, lambda word: material.mask))
