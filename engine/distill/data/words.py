"""A tokenizer of whole words for tiny students, made of the training texts. It reads no files and loads no models.

Words are lower-cased; one-letter words and punctuation are kept, because for a small model they carry meaning ("a",
"i", "!"). Every word of the texts has an id, in order of frequency, so a vocabulary of n words is its first n ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from bertdistill.engine.distill.data.caches import Say, build_once

PATTERN = r"\w+(?:['\u2019]\w+)*|['\u2019]\w{1,2}\b|([^\w\s])\1*"
"""A word with its inner apostrophes (don't, n't, 's), or a run of one punctuation mark."""
PAD, UNKNOWN, SEPARATOR = "[PAD]", "[UNK]", "[SEP]"


def word_tokenizer(
    texts: Iterable[str], folder: Path, say: Say = lambda text: None, *, more: Iterable[str] = ()
) -> PreTrainedTokenizerFast:
    """The tokenizer of the words of `texts`, saved in `folder`, or opened if it was saved there before.

    Words that only `more` has, texts without labels, have ids after them.
    A text reads `words [SEP]`, a pair `words [SEP] words [SEP]` with token types 0 and 1.
    """

    def build(temporary: Path) -> None:
        _make(texts, more).save_pretrained(temporary)

    build_once(folder, build, say)
    found: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, trust_remote_code=False)
    return found


def _make(texts: Iterable[str], more: Iterable[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.WordLevel({}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True)
    words = [PAD, UNKNOWN, SEPARATOR]
    for part in (texts, more):
        counts = _counts(tokenizer, part)
        words += sorted(counts.keys() - {*words}, key=lambda word: (-counts[word], word))
    tokenizer.model = models.WordLevel({word: index for index, word in enumerate(words)}, unk_token=UNKNOWN)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A [SEP] $B:1 [SEP]:1", special_tokens=[(SEPARATOR, words.index(SEPARATOR))]
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        tokenizer_object=tokenizer,
        pad_token=PAD,
        unk_token=UNKNOWN,
        sep_token=SEPARATOR,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _counts(tokenizer: Tokenizer, texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        counts.update(word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal))
    return counts
