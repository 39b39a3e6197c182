"""The texts on which the students of a study are pre-trained, collected once by the preparation.

Texts of the validation and the report split are refused. It tokenises nothing: trials do, each for its own vocabulary.
"""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Corpus
from bertdistill.engine.contract.spec import PretrainSpec
from bertdistill.engine.data.corpus import SPLITS, Held, allowed, corpus_file, form
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.corpus_file import write_corpus
from bertdistill.engine.distill.data.examples import Examples, texts_of
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.transfer.rows import held_back


def collect_corpus(run: Run, train: Examples, every: Examples) -> Corpus:
    """The facts of the texts of `[[pretrain]]`; empty if no trial may be pre-trained.

    `every` are the labelled examples `train` and then the transfer set. ConfigError names file, key and remedy.
    """
    if not run.spec.pretrain:
        return Corpus()
    files = any(table.kind == "file" for table in run.spec.pretrain)
    held = {name: Held.of(texts_of(part)) for name, part in held_back(run, train).items()} if files else {}
    texts: dict[str, str] = {}
    for index, table in enumerate(run.spec.pretrain):
        found = _texts(run, table, f"pretrain.{index}", train, every, held)
        fresh: dict[str, str] = {}
        for text in found:
            if (key := form(text)) and key not in texts:
                fresh.setdefault(key, text)
        named = " ".join(filter(None, (f"pretrain.{index} ({table.kind})", table.path)))
        gone = len(found) - len(fresh)
        left_out = f"; {gone:,} empty or repeated ones are left out" if gone else ""
        run.notice("info", f"{named}: {len(fresh):,} texts for pre-training{left_out}")
        texts |= fresh
    if not texts:
        raise ConfigError("the tables of [[pretrain]] hold no text", hint="use other texts, or set pretrain_epochs = 0")
    chosen = list(texts.values())
    folder = run.caches / "texts" / cache_key(corpus=chosen)
    build_once(folder, lambda temporary: write_corpus(temporary, chosen), run.warn)
    return Corpus(str(folder), len(chosen), sum(map(len, chosen)))


def _texts(
    run: Run, table: PretrainSpec, named: str, train: Examples, every: Examples, held: dict[str, Held]
) -> list[str]:
    if table.kind == "train":
        return texts_of(train)
    if table.kind == "transfer":
        return texts_of(Examples(every.task, every.rows[len(train) :], every.labels))
    path, report = Path(table.path), Path(run.spec.data.report)
    if report.is_file() and path.is_file() and path.samefile(report):
        raise ConfigError(
            f"{table.path} ({named}.path) is the file of {SPLITS['report']} (data.report): students would be "
            "pre-trained on what they are reported on",
            hint="use other texts",
        )
    texts = corpus_file(table, named, run.spec.data, train.labels)
    left = allowed(table, named, texts, held)
    if len(left) < len(texts):
        gone = len(texts) - len(left)
        run.warn(f"{named} (file) {table.path}: {gone:,} texts of the validation or the report split are left out")
    return left
