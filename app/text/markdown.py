"""Pieces of Markdown for generated pages: tables, and text without its line breaks. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def paragraphs(text: str) -> str:
    """The paragraphs of a docstring, each on one line."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))


def line(text: str) -> str:
    """Text for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; empty without rows."""
    head = f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows) if rows else ""
