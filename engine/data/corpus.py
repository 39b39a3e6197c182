"""Files of texts for pre-training, and their comparison with texts that no student may be trained on.

It opens only the file that it is asked for, and tokenises nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DROP, DataSpec, PretrainSpec, TransferSpec
from bertdistill.engine.data.files import kind, read_json
from bertdistill.engine.data.questions import questions
from bertdistill.engine.data.unlabelled import normal, texts_of_file

SPLITS = {"validation": "the validation split", "report": "the report split"}
"""The splits whose texts are held back, as messages name them."""


def corpus_file(spec: PretrainSpec, named: str, data: DataSpec, labels: Sequence[str]) -> list[str]:
    """The texts of `spec.path`, in order: of a file in SQuAD format its passages and questions.

    Messages call the table of the study file `named`; `labels` are those of the study, known from lines of
    `text;label`. ConfigError names key and remedy.
    """
    path, source = Path(spec.path), f"{spec.path} ({named}.path)"
    if path.is_file() and kind(path) in (".json", ".jsonl"):
        raw, _ = read_json(path, source, lines=True)
        if isinstance(raw, dict) and isinstance(raw.get("data"), list):
            rows = list(questions(raw, source))
            return [*dict.fromkeys(row.context for row in rows), *(row.question for row in rows)]
    columns = DataSpec(text_column=data.text_column)
    table = TransferSpec("file", path=spec.path, text_column=spec.text_column)
    return [text for text, _ in texts_of_file(table, columns, labels, named, paired=False)]


@dataclass(frozen=True)
class Held:
    """The texts of one split that no student may be trained on."""

    exact: frozenset[str]
    normal: frozenset[str]
    """In the form in which texts are compared."""

    @staticmethod
    def of(texts: Iterable[str]) -> Held:
        """Of its texts; empty ones do not count."""
        exact = frozenset(text for text in texts if text.strip())
        return Held(exact, frozenset(map(form, exact)))


def form(text: str) -> str:
    """The text without what does not count in a comparison."""
    return normal((text, None))[0]


def allowed(spec: PretrainSpec, named: str, texts: Sequence[str], held: Mapping[str, Held]) -> list[str]:
    """The texts of a file that are in no split held back.

    ConfigError if none is left and, with numbers and the remedy, if some are in one and the study file does not say to
    drop them.
    """
    found = [text for text in texts if not any(form(text) in split.normal for split in held.values())]
    if len(found) < len(texts) and spec.overlap != DROP:
        raise _refused(spec, named, texts, held)
    if texts and not found:
        raise ConfigError(
            f"{spec.path} ({named}.path) has no text that is not in {' or '.join(SPLITS.values())}",
            hint="use other texts, or remove the table",
        )
    return found


def _refused(spec: PretrainSpec, named: str, texts: Sequence[str], held: Mapping[str, Held]) -> ConfigError:
    counts = []
    for name, split in held.items():
        like = sum(form(text) in split.normal for text in texts)
        exact = sum(text in split.exact for text in texts)
        rest = f", {like - exact:,} of them but for case and white space" if like > exact else ""
        counts += [f"{like:,} {'is' if like == 1 else 'are'} in {SPLITS[name]}{rest}"] if like else []
    return ConfigError(
        f"{spec.path} ({named}.path): of its {len(texts):,} texts, {' and '.join(counts)}; students would be "
        "pre-trained on what they are scored on",
        hint=f'use other texts, or set overlap = "{DROP}" in this table to leave these out; the training texts are '
        'read with kind = "train"',
    )
