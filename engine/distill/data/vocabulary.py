"""WordPiece vocabularies trained on the data, for a teacher from scratch or a smaller student.

It reads no files and loads no models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from bertdistill.engine.distill.data.caches import Say, build_once

MIN_FREQUENCY = 2
"""Pieces seen only once are not learned, but their characters are."""
MOST_CHARACTERS = 1000
"""Rarer characters become [UNK], as in the trainer's own default."""
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(
    texts: Iterable[str], size: int, folder: Path, say: Say = lambda text: None
) -> PreTrainedTokenizerFast:
    """Train an uncased BERT vocabulary of at most `size` entries and save it as a tokenizer in `folder`.

    An existing `folder` is complete, because it was renamed into place; it is opened, not trained again.
    The same texts in the same order give the same vocabulary.
    """
    build_once(folder, lambda temporary: _train(texts, size, temporary), say)
    return cast(PreTrainedTokenizerFast, BertTokenizer.from_pretrained(folder, trust_remote_code=False))


def _train(texts: Iterable[str], size: int, folder: Path) -> None:
    kept = list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=MIN_FREQUENCY, special_tokens=_given(kept, size), show_progress=False
    )
    tokenizer.train_from_iterator(kept, trainer)
    BertTokenizer(vocab=tokenizer.get_vocab(), do_lower_case=True).save_pretrained(folder)


def learn_pieces(words: Mapping[str, int], given: Sequence[str], size: int, prefix: str) -> list[str]:
    """At most `size` pieces of words with their numbers of occurrence: the `given` ones, then as they are learnt.

    A smaller size gives the first of the same pieces. `given` must hold every character of the words in both forms.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", continuing_subword_prefix=prefix))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=MIN_FREQUENCY,
        special_tokens=list(given),
        show_progress=False,
        continuing_subword_prefix=prefix,
    )
    lines = (" ".join([word] * count) for word, count in sorted(words.items()))
    tokenizer.train_from_iterator(lines, trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def _given(texts: Iterable[str], size: int) -> list[str]:
    """The first entries: BERT's special tokens, then the characters, at the start of words and inside words.

    The trainer numbers pieces in hash table order, which differs in every call, and breaks ties between merges
    by these numbers. Given pieces keep their position, which makes the result deterministic.
    """
    normalizer = normalizers.BertNormalizer(lowercase=True)
    counts = Counter(character for text in texts for character in normalizer.normalize_str(text))
    common = sorted((c for c in counts if not c.isspace()), key=lambda c: (-counts[c], c))
    characters = sorted(common[: min(MOST_CHARACTERS, size // 4)])
    return [*SPECIAL, *characters, *(f"##{character}" for character in characters)]
