"""What is said of a promoted version: the word of its state, and its card as a page."""

from __future__ import annotations

from rich.console import Console
from tests.app.hostile import HOSTILE

from bertdistill.app.widgets.model_report import card_text, state_words

CARD = f"---\ntags:\n- metadata\n---\n\n# The card\n\nIt is **small**, see [here](https://elsewhere.invalid).\n\n{HOSTILE}\n"


def printed(*, ascii_only: bool = False) -> str:
    """The card as a terminal shows it."""
    console = Console(width=80, force_terminal=True, color_system=None)
    with console.capture() as found:
        console.print(card_text(CARD, ascii_only=ascii_only))
    return found.get()


def test_a_card_is_a_page() -> None:
    """Not its source; without the metadata, and with nothing in it that a terminal would obey."""
    page = printed()
    assert "The card" in page
    assert not any(sign in page for sign in ("# The", "**", "metadata", "\x1b]", "\x07"))
    assert "# The card" in printed(ascii_only=True)


def test_a_verified_version_that_misses_a_threshold_says_so() -> None:
    """Where it is listed, beside the word that would else be read as good."""
    assert state_words("verified", missed="accuracy 1 is 2 below").endswith("verified, misses a threshold")
    assert state_words("verified", missed="").endswith("verified")
