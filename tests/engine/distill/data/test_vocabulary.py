"""A vocabulary trained on the data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from transformers import AutoTokenizer

from bertdistill.engine.distill.data.vocabulary import train_wordpiece

TEXTS = [
    f"The {animal} of Mira lives in Oslin since 18{year}." for animal in ("cat", "dog", "hen") for year in range(20)
]


def test_it_holds_the_words_of_the_data_and_makes_bert_inputs(tmp_path: Path) -> None:
    """Frequent words are whole tokens, and a pair reads [CLS] a [SEP] b [SEP] with token types."""
    tokenizer = train_wordpiece(TEXTS, 200, tmp_path / "v")
    assert ["mira", "lives", "oslin"] == tokenizer.tokenize("Mira LIVES Oslin")
    pair = tokenizer("mira", "oslin lives")
    assert ["[CLS]", "mira", "[SEP]", "oslin", "lives", "[SEP]"] == tokenizer.convert_ids_to_tokens(pair["input_ids"])
    assert [0, 0, 0, 1, 1, 1] == pair["token_type_ids"]


def test_it_keeps_to_its_size(tmp_path: Path) -> None:
    """The size is a limit: little data gives fewer entries."""
    assert 60 == len(train_wordpiece(TEXTS, 60, tmp_path / "small"))
    assert len(train_wordpiece(TEXTS, 5000, tmp_path / "large")) < 300


def test_the_folder_loads_as_any_tokenizer(tmp_path: Path) -> None:
    """What is saved stands alone and gives the same tokens."""
    tokenizer = train_wordpiece(TEXTS, 200, tmp_path / "v")
    again = AutoTokenizer.from_pretrained(tmp_path / "v")
    assert tokenizer("The cat, Mira?")["input_ids"] == again("The cat, Mira?")["input_ids"]
    assert tokenizer.get_vocab() == again.get_vocab()


def test_a_finished_folder_is_opened_and_not_trained_again(tmp_path: Path) -> None:
    """A later caller gets the very same vocabulary."""
    first = train_wordpiece(TEXTS, 200, tmp_path / "v")
    second = train_wordpiece(["quite other words"], 200, tmp_path / "v")
    assert first.get_vocab() == second.get_vocab()


def test_another_process_trains_the_same_vocabulary(tmp_path: Path) -> None:
    """Hash seeds differ between processes and must not show."""
    code = (
        "import sys; from pathlib import Path\n"
        "from bertdistill.engine.distill.data.vocabulary import train_wordpiece\n"
        "train_wordpiece(sys.argv[2:], 120, Path(sys.argv[1]))"
    )
    here = train_wordpiece(TEXTS, 120, tmp_path / "here")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "there"), *TEXTS], check=True)
    there = AutoTokenizer.from_pretrained(tmp_path / "there")
    assert here.get_vocab() == there.get_vocab()
