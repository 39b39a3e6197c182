"""The filter language keeps what people mean, says what they mistyped, and completes what they began."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.app.conftest import fill, spec_dict, squad_file

from bertdistill.app.errors import UsageError
from bertdistill.app.views.query import NAMED, complete, finished, number, parse
from bertdistill.app.views.view import StudyView, read_view
from bertdistill.engine.study.config import study_from_dict
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db

ROOT = Path(__file__).parents[3]
LOSSES = {0: 0.5, 1: 1.25}


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> StudyView:
    """The sample study, with notes and tags on some of its trials."""
    folder = tmp_path_factory.mktemp("filtered")
    db = open_db(folder / "runs")
    fill(db, study_from_dict(spec_dict(squad_file(folder / "train.json")), where="test"))
    with db.write() as session:
        for trial in reads.trials(session, 1):
            if trial.number == 1:
                writes.edit_trial(session, trial.id, note="too slow, really", tags=["keep", "paper.1"])
            if trial.number == 2:
                writes.edit_trial(session, trial.id, note="漢字 [red]x[/]", tags=["keeper"])
    found = read_view(db, "demo")
    db.close()
    return found


@pytest.fixture
def kept(view: StudyView) -> Callable[[str], list[int]]:
    """Numbers of the trials that a filter keeps."""

    def keep(text: str) -> list[int]:
        query = parse(text)
        return sorted(t.number for t in view.trials if query.matches(view, t, LOSSES))

    return keep


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("layers<=1", [1, 2, 4, 6, 7]),
        ("transformer.layers<=1", [1, 2, 4, 6, 7]),
        ("mlp.hidden_size>0", []),
        ("-mlp.hidden_size:", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("exact>60 layers=1", [1, 7]),
        ("exact > 60   layers = 1", [1, 7]),
        ("exact>=88", [0, 1]),
        ("exact<50", [4, 6]),
        ("exact!=50", [0, 1, 3, 4, 6, 7]),
        ("params<40k", [2, 4]),
        ("params<=0.04M", [2, 4, 6]),
        ("params:120k", [0, 5]),
        ("learning_rate=1e-3", [0, 1]),
        ("learning_rate:0.002,0.009", [2, 5, 7]),
        ("state:failed", [5]),
        ("state:failed,running", [5, 6]),
        ("state=FAILED", [5]),
        ("state!=complete", [5, 6]),
        ("-state:failed", [0, 1, 2, 3, 4, 6, 7]),
        ("reason:signal", [5]),
        ("tag:keep", [1]),
        ("tags:keep,keeper", [1, 2]),
        ("tag:", [1, 2]),
        ("-tag:", [0, 3, 4, 5, 6, 7]),
        ("-tag:keep", [0, 2, 3, 4, 5, 6, 7]),
        ('note:"too slow"', [1]),
        ("note:'slow, really'", [1]),
        ("note:漢字", [2]),
        ("note:[red]", [2]),
        ("origin:rerun", [7]),
        ("origin=baseline", [0]),
        ("number>=6", [6, 7]),
        ("trial=#3", [3]),
        ("loss<1", [0]),
        ("gain>0", [0, 1, 2]),
        ("layer_choice=first layers=2", [0, 3, 5]),
        ("hidden_size=16", [2, 4]),
        ('"layers=2 hidden_size=32"', [3]),
        ("-'learning_rate=0.001'", [2, 3, 4, 5, 6, 7]),
        ("hidden_size", [0, 1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_what_a_filter_keeps(kept: Callable[[str], list[int]], text: str, numbers: list[int]) -> None:
    """Every word must fit; words look inside, numbers compare, `-` leaves out."""
    assert numbers == kept(text)


def test_what_is_missing_fits_no_comparison(kept: Callable[[str], list[int]]) -> None:
    """A trial without a score is neither above nor below, not even when the comparison is negated."""
    assert 5 not in kept("exact>0") + kept("exact<=0") + kept("-exact>0") + kept("exact!=3")
    assert [5] == kept("-exact:")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("layer<=4", "there is no 'layer' to filter by", "Did you mean layers?"),
        ("exakt>4", "there is no 'exakt' to filter by", "Did you mean exact?"),
        ("zzzz:4", "there is no 'zzzz' to filter by", "Keys: state"),
        ("exact=>3", "exact=>3: there is no =>", "Write exact>=3."),
        ("-exact =< 3", "-exact =<: there is no =<", "Write <=, for example exact<=4."),
        ("state=!failed", "state=!failed: there is no =!", "Write state!=failed."),
        ("layers==2", "layers==2: there is no ==", "Write layers=2."),
        ("layers<=four", "layers<=four: 'four' is not a number", "Write a number"),
        ("exact>nan", "exact>nan: 'nan' is not a number", "Write a number"),
        ("exact>", "exact>: a value is missing", "exact>4"),
        ("state>failed", "state>failed: state is text, which has no order", "Write state:failed."),
        ('note:"open', 'note:"open: the quote is not closed', 'Close it with another ".'),
        ('"open', "the quote", "Close it"),
        ("a'b'", "a'b': there is a quote inside a word", "Quote the whole value."),
        ("layers=2 -", "'-' excludes nothing", "-state:failed"),
    ],
)
def test_what_is_mistyped_is_told(text: str, message: str, hint: str) -> None:
    """The error names the word, the hint what to type instead."""
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert message in str(raised.value)
    assert hint in raised.value.hint


def test_an_operator_in_quotes_is_a_value(kept: Callable[[str], list[int]]) -> None:
    """Quotes keep signs together with what they stand before."""
    assert [] == kept('note="=>3"') + kept('note=">3"')


def test_the_keys_of_the_error_are_those_of_the_guide() -> None:
    """Each once, in its order, and each a key."""
    guide = (ROOT / "docs/guide/filter.md").read_text(encoding="utf-8").partition("Keys are ")[2].partition("Case ")[0]
    said = [name for name in re.findall(r"`(\w+)`", guide) if name not in ("baseline", "sampler", "queued", "rerun")]
    assert list(NAMED) == said
    with pytest.raises(UsageError) as raised:
        parse("zzzz:4")
    assert f"Keys: {', '.join(said)}, metrics and settings." == raised.value.hint
    for name in said:
        parse(f"{name}:")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("65", "exact", 65.0),
        ("66M", "params", 66e6),
        ("1.5k", "params", 1500.0),
        ("1.5B", "params", 1.5e9),
        ("5m", "time", 300.0),
        ("2h", "time", 7200.0),
        ("#12", "trial", 12.0),
        ("inf", "exact", None),
        ("", "exact", None),
        ("k", "exact", None),
    ],
)
def test_numbers_with_units(text: str, key: str, value: float | None) -> None:
    """`M` is a million, but `5m` of time are minutes; what is not finite is not a number."""
    assert value == number(text, key)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("lay", ["layers"]),
        ("sta", ["state:"]),
        ("exact>4 -sta", ["-state:"]),
        ("tag:ke", ["tag:keep", "tag:keeper"]),
        ("-state:f", ["-state:failed"]),
        ("state:failed,r", ["state:failed,running"]),
        ("origin:re", ["origin:rerun"]),
        ("state:failed", []),
        ("note:to", []),
        ("exact>4 ", []),
        ("", []),
    ],
)
def test_completions_of_the_last_word(view: StudyView, text: str, begins: list[str]) -> None:
    """Keys of this study first, then values that its trials have; nothing when there is nothing to add."""
    found = complete(text, view)
    assert begins == [word for word in found if word in begins] if begins else [] == found
    assert all(word.startswith(begins[0][:2]) for word in found)


def test_every_completion_can_be_parsed(view: StudyView) -> None:
    """What tab offers is no mistake, once it has a value."""
    for letter in "abcdefghijklmnopqrstuvwxyz":
        for word in complete(letter, view):
            parse(word if word.endswith(":") else f"{word}=1")


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("layers<=1", "layers<=1"),
        ("layers<=1 exact", "layers<=1"),
        ("layers<=1 exact > ", "layers<=1"),
        ("layers<=1 -", "layers<=1"),
        ("layers<=1 -sta", "layers<=1"),
        ("layers<=1 state:", "layers<=1"),
        ("layers<=1 tag:", "layers<=1 tag:"),
        ('layers<=1 note:"too', "layers<=1"),
        ("layers<=1 layrs>", "layers<=1"),
        ("layers<=1 zz", "layers<=1 zz"),
    ],
)
def test_what_counts_while_it_is_typed(view: StudyView, text: str, counts: str) -> None:
    """A term that is only begun does not."""
    assert finished(text, view) == counts
