"""The kinds of transfer sets by name, and how one is made: drawn, compared with the splits, counted.

To add a kind, add a module and a row here, and its name to `TRANSFER_KINDS`; a test keeps both in sync.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import Text, normal
from bertdistill.engine.distill.transfer import eda, files, generate, mask, ngrams, replace, words
from bertdistill.engine.distill.transfer.material import Material

Kind = Callable[[TransferSpec, Material, str], Iterator[Text]]
"""(table, training texts, how messages name the table) to texts, at least as many as wanted where that is possible."""

KINDS: dict[str, Kind] = {
    "file": files.file_texts,
    "hub": files.hub_texts,
    "words": words.texts,
    "ngrams": ngrams.texts,
    "mask": mask.texts,
    "replace": replace.texts,
    "eda": eda.texts,
    "generate": generate.texts,
}
DRAWS = 20
"""Texts tried for each wanted row: an n-gram that is drawn again and again counts as one."""


def transfer_texts(material: Material, held: Mapping[str, set[Text]]) -> list[Text]:
    """The rows of all tables of the study: no duplicates, no training texts, and none of the texts `held` back.

    `held` maps the name of a split to its texts in normal form. What was dropped is reported with counts; ConfigError
    if a table is left without rows.
    """
    seen = {normal((row.text, row.pair)) for row in material.rows}
    splits = {**held, "training": seen}
    taken: list[Text] = []
    drawn: set[Text] = set()
    for index, spec in enumerate(material.run.spec.transfer):
        named = " ".join(filter(None, (f"transfer.{index} ({spec.kind})", spec.path or spec.hub)))
        rows, dropped = _rows(spec, material, f"transfer.{index}", splits, drawn)
        _report(material, spec, named, len(rows), dropped)
        taken += rows
    return taken


def _rows(
    spec: TransferSpec, material: Material, key: str, splits: Mapping[str, set[Text]], drawn: set[Text]
) -> tuple[list[Text], Counter[str]]:
    taken: list[Text] = []
    dropped: Counter[str] = Counter()
    report = material.run.progress(f"transfer set: {spec.kind}", "rows")
    source = KINDS[spec.kind](spec, material, key)
    for text in islice(source, DRAWS * spec.rows + 1000) if spec.kind in ENDLESS else source:
        form = normal(text)
        if not form[0] or form[1] == "":
            why = "empty"
        else:
            why = next((name for name, texts in splits.items() if form in texts), "duplicate" if form in drawn else "")
        dropped[why] += 1
        if why:
            continue
        drawn.add(form)
        taken.append(text)
        report(len(taken), max(spec.rows, len(taken)))
        if len(taken) == spec.rows:
            break
    return taken, dropped


ENDLESS = frozenset({"ngrams", "mask", "replace", "eda"})


def _report(material: Material, spec: TransferSpec, named: str, rows: int, dropped: Counter[str]) -> None:
    """Say how many rows there are and why others were dropped; copies of held-back rows are worth a warning."""
    words = {name: f"{name} text" if name != "empty" else "empty text" for name in dropped}
    gone = ", ".join(
        f"{count:,} {'duplicate' if name == 'duplicate' else words[name]}{'s' * (count > 1)}"
        for name, count in dropped.items()
        if name
    )
    if not rows:
        raise ConfigError(
            f"{named}: no row is left; {f'dropped {gone}' if gone else 'there are no texts'}",
            hint="use other texts, or remove the table",
        )
    less = f" of {spec.rows:,} wanted" if rows < spec.rows else ""
    copied = spec.kind in ("file", "hub") and (dropped["validation"] or dropped["report"])
    text = f"{named}: {rows:,} row{'s' * (rows != 1)}{less}" + (f"; dropped {gone}" if gone else "")
    material.run.notice("warning" if copied or less else "info", text)
