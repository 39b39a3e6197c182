"""Study files are found where people keep them, and a typed path is completed or refused with words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bertdistill.app.views.configs import checked_path, comment, completion, find_configs, find_data, own_study
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import load_study
from bertdistill.engine.study.template import HeaderUnclear


def test_the_demos_come_first_and_other_toml_is_left_out(tmp_path: Path) -> None:
    """Shipped files, then those of the folder; a broken study file is shown, a project file is not."""
    (tmp_path / "mine.toml").write_text('# Mine: small. And more.\n\nname = "mine"\ntask = "x"\n')
    (tmp_path / "broken.toml").write_text("[teacher]\nmodel = \n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (tmp_path / "folder.toml").mkdir()
    found = find_configs([("here", tmp_path), ("workspace", tmp_path / "absent")])
    assert ["demo.toml", "demo-classify.toml"] == [config.path.name for config in found if config.demo]
    assert all(config.demo for config in found[:2])
    assert ["broken", "mine"] == [config.path.stem for config in found if config.where == "here"]
    assert "Mine: small" == found[-1].first_sentence


def test_a_file_is_listed_once(tmp_path: Path) -> None:
    """The workspace may be the current folder."""
    (tmp_path / "a.toml").write_text('task = "x"\n')
    found = find_configs([("here", tmp_path), ("workspace", tmp_path)])
    assert ["here"] == [config.where for config in found if config.path.parent == tmp_path.resolve()]


def test_the_comment_at_the_top() -> None:
    """Only the first block, without its signs."""
    assert "One.\n\n  two" == comment("\n# One.\n#\n#   two\n\n# not this\nname = 1\n")
    assert "" == comment("name = 1\n# no\n")


def test_paragraphs_of_the_comment_are_one_line_each() -> None:
    """The screen wraps them; commands, tables and lists keep their lines."""
    text = "# How small\n# can it be? Run:\n#   run it \\\n#     --now\n# Then\n# look.\n#\n# - one\n# - two\n"
    assert "How small can it be? Run:\n  run it \\\n    --now\nThen look.\n\n- one\n- two" == comment(text)


@pytest.mark.parametrize(
    ("text", "words"), [("", "no file was given"), ("{}", "is a folder"), ("{}/no.toml", "no such file")]
)
def test_wrong_paths(tmp_path: Path, text: str, words: str) -> None:
    """What was typed, what is wrong with it, what to do."""
    with pytest.raises(ConfigError, match=words) as raised:
        checked_path(text.format(tmp_path))
    assert raised.value.hint


def test_a_pipe_is_no_study_file(tmp_path: Path) -> None:
    """Reading one would wait for ever."""
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(ConfigError, match="is not a regular file"):
        checked_path(str(tmp_path / "pipe.toml"))


def test_completion_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders with their slash, TOML and data files, nothing hidden unless asked for, and no error for nonsense."""
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "a.md").touch()
    (tmp_path / "studies" / "b.toml").touch()
    (tmp_path / ".hidden.toml").touch()
    (tmp_path / "\x1b[31mred.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert "studies/" == completion("st")
    assert "studies/b.toml" == completion("studies/")
    assert f"{tmp_path}/studies/" == completion(f"{tmp_path}/s")
    assert ".hidden.toml" == completion(".h")
    assert [None] * 5 == [completion(text) for text in ("", "nothing/x", "zzz", "studies/a", "\x1b")]


def test_a_study_of_one_file_holds_examples_out(tmp_path: Path) -> None:
    """It can be started as it is; a file named like a test file is taken instead; few examples stay in one file."""
    rows = "".join(f"text {i} is {word},{word}\n" for i in range(40) for word in ("good", "bad"))
    (tmp_path / "reviews.csv").write_text(f"text,label\n{rows}")
    path, made = own_study(tmp_path / "reviews.csv", tmp_path / "studies")
    assert made.guesses[0].startswith("8 of 80 examples are held out for the report, in reviews-")
    data = load_study(path, ()).data
    assert (".train.jsonl", ".report.jsonl") == (data.train[-12:], data.report[-13:])
    assert path == own_study(tmp_path / "reviews.csv", tmp_path / "studies")[0], "nothing has changed"
    (tmp_path / "train.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "test.csv").write_text(f"text,label\n{rows}")
    data = load_study(own_study(tmp_path / "train.csv", tmp_path / "studies")[0], ()).data
    assert (str(tmp_path / "train.csv"), str(tmp_path / "test.csv")) == (data.train, data.report)


def test_data_files_of_a_folder(tmp_path: Path) -> None:
    """With their suffix; no folder and nothing else."""
    for name in ("b.tsv", "a.csv", "notes.md", "study.toml"):
        (tmp_path / name).write_text("")
    (tmp_path / "c.csv").mkdir()
    assert ["a.csv", "b.tsv"] == [config.name for config in find_data(tmp_path)]
    assert [] == find_data(tmp_path / "none")


def test_a_header_that_may_be_an_example_is_for_a_person_to_say(tmp_path: Path) -> None:
    """Either answer loses nothing: a row more or less, and its label with it; a header alone is no data."""
    data, folder = tmp_path / "moods.csv", tmp_path / "studies"
    rows = "".join(f"a text of {n} words,{'joy' if n % 2 else 'fear'}\n" for n in range(60))
    data.write_text(f"fine words,calm\n{rows}")
    with pytest.raises(HeaderUnclear) as unclear:
        own_study(data, folder)
    assert (("fine words", "calm"), ("a text of 0 words", "fear")) == (unclear.value.first, unclear.value.second)
    assert unclear.value.headed
    labels = {
        word: load_study(own_study(data, folder, [f"data.header={word}"])[0], ()).data.labels for word in ("yes", "no")
    }
    assert {"yes": ["fear", "joy"], "no": ["calm", "fear", "joy"]} == labels
    (tmp_path / "test.csv").write_text(data.read_text())
    (tmp_path / "train.csv").write_text(data.read_text())
    kept = load_study(own_study(tmp_path / "train.csv", folder, ["data.header=no"])[0], ()).data
    assert (("no", "1"), ["calm", "fear", "joy"]) == ((kept.header, kept.label_column), kept.labels)
    data.write_text("id,message,mood\n")
    with pytest.raises(ConfigError, match="no examples: its only row is taken as the header, id, message, mood"):
        own_study(data, folder)
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ConfigError, match=r"contains no examples$"):
        own_study(tmp_path / "empty.txt", folder)
