"""Which students can have separate layers, in which the two segments of an input attend only to themselves (DeFormer).

Pure arithmetic and checks; `distill.families.standalone` builds such students.
"""

from __future__ import annotations

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared


def check_layers_apart(wanted: int, layers: int, *, architecture: str, types: int) -> None:
    """Refuse (ConfigError) as many separate layers as the student has, or a student without segment ids.

    `types` is the number of its segment embeddings.
    """
    if not wanted:
        return
    if wanted >= layers:
        raise ConfigError(
            f"settings.separate_layers is {wanted}, but the student has {layers} layers, and the last one must see "
            "question and passage, or both sentences, together",
            hint=f"use {f'1 to {layers - 1}, or ' if layers > 1 else ''}0 for none",
        )
    if architecture != "bert" or types < 2:
        raise ConfigError(
            f"settings.separate_layers is {wanted}, but a student of the architecture {architecture} does not read "
            "which of its tokens belong to which segment (segment ids)",
            hint="use a bert model, such as MiniLM, as student.init, or separate_layers = 0",
        )


def check_segments(facts: Prepared) -> None:
    """Refuse (ConfigError) separate layers for inputs that have one segment, or whose segments are not marked."""
    if facts.labels and facts.pairs is False:
        raise ConfigError(
            "settings.separate_layers is set, but the texts of this study are single sentences: there is nothing to "
            "separate",
            hint="set separate_layers = 0, or name the second sentence in data.text_pair_column",
        )
    if not facts.first_length:
        raise ConfigError(
            "settings.separate_layers is set, but the preparation of this study did not find where the second segment "
            "of an input starts: it was done by an older version, or the tokenizer does not mark segments",
            hint="use a bert model, such as MiniLM, as teacher.model, and start the study again under another name",
        )
