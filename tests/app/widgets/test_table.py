"""The table keeps its cursor on a row's key, sends only what changed, and keeps its columns straight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.geometry import Region

from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column, fit, lay_out, value_column
from bertdistill.app.widgets.table import LineTable

COLUMNS = [
    Column("number", "#", 5, "right"),
    Column("state", "state", 12),
    Column("exact", "exact", 6, "right"),
    Column("note", "note", 8, grow=True),
]


def row(number: int, exact: float = 60.0, note: str = "", *, mark: bool = False, dim: bool = False) -> Row:
    cells = (Cell(f"#{number}", "bright"), Cell("✓ complete", "good"), Cell(f"{exact:.1f}"), Cell(note, "warn"))
    return Row(number, cells, mark=mark, dim=dim)


class Bench(App[None]):
    """One table, the messages that it sent and the regions that it had repainted."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, Any]] = []
        self.table = LineTable(id="table")

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.focus()

    def on_line_table_moved(self, event: LineTable.Moved) -> None:
        assert event.control is self.table
        self.heard.append(("moved", event.key))

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        assert event.control is self.table
        self.heard.append(("chosen", event.key))

    def lines(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]

    def watch_repaints(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Region, ...]]:
        """From now on, the regions of every refresh of the table; an empty tuple is all of it."""
        seen: list[tuple[Region, ...]] = []
        refresh: Callable[..., Any] = self.table.refresh

        def spy(*regions: Region, **options: bool) -> Any:
            seen.append(regions)
            return refresh(*regions, **options)

        monkeypatch.setattr(self.table, "refresh", spy)
        return seen


async def test_rows_stand_under_their_titles() -> None:
    """Header, gutter, alignment; the last column takes the width left."""
    app = Bench()
    async with app.run_test(size=(50, 8)) as pilot:
        app.table.show(COLUMNS, [row(1, 61.25, "first"), row(12, mark=True)])
        await pilot.pause()
        assert [
            "     # state         exact note                  ",
            "›   #1 ✓ complete     61.2 first                 ",
            "•  #12 ✓ complete     60.0                       ",
        ] == [line[:49] for line in app.lines()[:3]]


async def test_glyphs_in_ascii() -> None:
    """Without Unicode the gutter still tells cursor, mark and both."""
    app = Bench()
    async with app.run_test(size=(50, 8)) as pilot:
        app.table.ascii_only = True
        app.table.show(COLUMNS, [row(1), row(2, mark=True)])
        await pilot.pause()
        assert [">", "*"] == [line[0] for line in app.lines()[1:3]]
        await pilot.press("j")
        assert [" ", "#"] == [line[0] for line in app.lines()[1:3]]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["j", "down"], 2),
        (["G"], 49),
        (["end", "k", "up"], 47),
        (["G", "g"], 0),
        (["end", "home", "k"], 0),
        (["pagedown"], 8),
        (["pagedown", "pagedown", "pageup"], 8),
    ],
)
async def test_keys_move_the_cursor(keys: list[str], expected: int) -> None:
    """Single steps, pages and ends; past the ends nothing happens; the cursor is always in view."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(50)])
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
        assert expected == app.table.cursor_key
        assert ["›"] == [line[0] for line in app.lines() if line[0] != " "]
        assert ("moved", expected) == app.heard[-1]


async def test_a_key_that_moves_nothing_says_nothing() -> None:
    """No message at the top, for an unknown key, or for the row where the cursor is."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(3)])
        await pilot.press("k", "g")
        app.table.move_to("nobody")
        app.table.move_to(0)
        await pilot.pause()
        assert [] == app.heard


async def test_move_to_scrolls_into_view() -> None:
    """A far row comes on screen with the cursor, and its owner hears of it."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(500)])
        await pilot.pause()
        app.table.move_to(321)
        await pilot.pause()
        assert ["› #321"] == [line[:6] for line in app.lines() if line[0] == "›"]
        assert [("moved", 321)] == app.heard


async def test_enter_and_double_click_choose() -> None:
    """Enter opens the row under the cursor, one click moves there, two open it, the header does nothing."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(5)])
        await pilot.press("j", "enter")
        await pilot.click(app.table, offset=(5, 4))
        await pilot.click(app.table, offset=(5, 0))
        await pilot.double_click(app.table, offset=(5, 5))
        await pilot.click(app.table, offset=(5, 8))
        await pilot.pause()
        assert [("moved", 1), ("chosen", 1), ("moved", 3), ("moved", 4), ("chosen", 4)] == app.heard


async def test_an_empty_table_offers_nothing_to_open() -> None:
    """Neither the footer nor the palette names `choose` there."""
    app = Bench()
    async with app.run_test(size=(50, 8)):
        assert False is app.table.check_action("choose", ())
        app.table.show(COLUMNS, [row(1)])
        assert True is app.table.check_action("choose", ())


async def test_the_cursor_stays_on_its_key() -> None:
    """When rows move it goes with its own; when that is gone it keeps its place; no message either way."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(6)])
        app.table.move_to(2)
        await pilot.pause()
        app.heard.clear()
        app.table.show(COLUMNS, [row(n) for n in (5, 4, 3, 2, 1, 0)])
        await pilot.pause()
        assert (2, "›") == (app.table.cursor_key, app.lines()[4][0])
        app.table.show(COLUMNS, [row(n) for n in (5, 4, 3, 1, 0)])
        assert 1 == app.table.cursor_key
        app.table.show(COLUMNS, [row(9)])
        assert 9 == app.table.cursor_key
        app.table.show(COLUMNS, [])
        assert app.table.cursor_key is None
        await pilot.press("j", "k", "G", "enter", "pagedown")
        assert [] == app.heard


async def test_a_cursor_in_view_stays_in_view() -> None:
    """A row that falls far down takes the view with it; a view scrolled elsewhere is left alone."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(100)])
        await pilot.pause()
        app.table.show(COLUMNS, [*(row(n) for n in range(1, 100)), row(0)])
        await pilot.pause()
        assert "›" in [line[0] for line in app.lines()]
        app.table.scroll_to(y=10, animate=False)
        await pilot.pause()
        app.table.show(COLUMNS, [row(n) for n in range(100)])
        await pilot.pause()
        assert 10 == app.table.scroll_offset.y


async def test_a_lower_table_keeps_its_cursor_in_view() -> None:
    """Something that grows below it must not hide the row that it is about."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(100)])
        await pilot.pause()
        app.table.move_to(row(8).key)
        await pilot.pause()
        app.table.styles.height = 4
        await pilot.pause()
        assert "›" in [line[0] for line in app.lines()]


async def test_only_changed_cells_are_repainted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell is its own span, a mark is a line, nothing is nothing."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(5)])
        await pilot.pause()
        seen = app.watch_repaints(monkeypatch)
        app.table.show(COLUMNS, [row(n) for n in range(5)])
        app.table.show(COLUMNS, [row(n, 99.0 if n == 3 else 60.0) for n in range(5)])
        app.table.show(COLUMNS, [row(n, 99.0 if n == 3 else 60.0, mark=n == 1) for n in range(5)])
        assert [(Region(20, 4, 6, 1),), (Region(0, 2, 50, 1),)] == seen
        assert "99.0" in app.lines()[4]


async def test_rows_out_of_sight_cost_no_repaint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change below the screen repaints nothing, and is there when it comes in view."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(100)])
        await pilot.press("G", "g")
        await pilot.pause()
        seen = app.watch_repaints(monkeypatch)
        app.table.show(COLUMNS, [row(n, 99.0 if n == 99 else 60.0) for n in range(100)])
        assert [] == seen
        await pilot.press("G")
        await pilot.pause()
        assert "99.0" in app.lines()[-1]


async def test_a_moved_cursor_repaints_two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that it left and the line that it came to."""
    app = Bench()
    async with app.run_test(size=(50, 10)) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(5)])
        await pilot.pause()
        seen = app.watch_repaints(monkeypatch)
        await pilot.press("j")
        assert [(Region(0, 1, 50, 1), Region(0, 2, 50, 1))] == seen


async def test_wide_characters_keep_columns_straight() -> None:
    """Every line has the width of the table in cells, whatever characters stand in it."""
    app = Bench()
    async with app.run_test(size=(40, 10)) as pilot:
        notes = [
            "日本語のとても長いメモです",
            "🎉🎉🎉🎉🎉🎉🎉🎉",
            "e\u0301e\u0301",
            "",
            "plain and rather long text here",
        ]
        app.table.show(COLUMNS, [row(n, note=note) for n, note in enumerate(notes)])
        await pilot.pause()
        assert {40} == {cell_len(line) for line in app.lines()}
        assert {20} == {cell_len(line[: line.index("60.0") - 2]) for line in app.lines()[1:6]}


async def test_the_scrollbar_covers_nothing() -> None:
    """With more rows than fit a line ends before the scrollbar, and is whole again without it."""
    app = Bench()
    async with app.run_test(size=(40, 10)) as pilot:
        app.table.show(COLUMNS, [row(n, note="a rather long remark") for n in range(50)])
        await pilot.pause()
        assert (39, "…") == (len(app.lines()[3]), app.lines()[3][-1])
        app.table.show(COLUMNS, [row(n, note="a rather long remark") for n in range(5)])
        await pilot.pause()
        assert (40, "…") == (len(app.lines()[3]), app.lines()[3][-1])


async def test_markup_is_not_read() -> None:
    """Brackets in a cell are characters."""
    app = Bench()
    async with app.run_test(size=(60, 5)) as pilot:
        app.table.show(COLUMNS, [row(1, note="[red]no[/red]")])
        await pilot.pause()
        assert "[red]no[/red]" in app.lines()[1]


async def test_columns_scroll_and_the_first_stays() -> None:
    """In a narrow table right shows what is hidden, left comes back; the header tells where there is more."""
    app = Bench()
    async with app.run_test(size=(24, 6)) as pilot:
        app.table.show(COLUMNS, [row(1, note="remarkable")])
        await pilot.pause()
        assert ["     # state           ›", "›   #1 ✓ complete"] == [line.rstrip() for line in app.lines()[:2]]
        await pilot.press("right", "right", "right", "right")
        await pilot.pause()
        assert ["‹    #  exact note      ", "›   #1   60.0 remarkable"] == [line[:24] for line in app.lines()[:2]]
        await pilot.press("left", "left", "left")
        await pilot.pause()
        assert "     # state" == app.lines()[0][:12]


async def test_a_column_is_brought_on_screen() -> None:
    """Shifted until it is whole; back again for one further left."""
    app = Bench()
    async with app.run_test(size=(24, 6)) as pilot:
        app.table.show(COLUMNS, [row(1, note="late")])
        await pilot.pause()
        app.table.show_column(3)
        await pilot.pause()
        assert "late" in app.lines()[1]
        app.table.show_column(1)
        await pilot.pause()
        assert "✓ complete" in app.lines()[1]


async def test_an_empty_table_shows_words() -> None:
    """Wrapped under the header; they go when rows come."""
    app = Bench()
    async with app.run_test(size=(30, 6)) as pilot:
        app.table.show(COLUMNS, [], empty="no trial matches exact>90 layers<4")
        await pilot.pause()
        assert [" no trial matches exact>90", " layers<4"] == [line.rstrip() for line in app.lines()[1:3]]
        app.table.show(COLUMNS, [row(1)], empty="no trial")
        await pilot.pause()
        assert "no trial" not in " ".join(app.lines())


async def test_a_sentence_takes_the_rest_of_its_line() -> None:
    """A wide row runs from its second cell to the edge."""
    app = Bench()
    sentence = "out of memory in 4 attempts, the queue is paused"
    async with app.run_test(size=(60, 6)) as pilot:
        app.table.show(COLUMNS, [Row("why", (Cell("!"), Cell(sentence, "bad")), wide=True), row(1)])
        await pilot.pause()
        assert sentence in app.lines()[1]
        app.table.show(COLUMNS, [Row("why", (Cell("!"), Cell("gone")), wide=True), row(1)])
        await pilot.pause()
        assert "›!     gone" == app.lines()[1].rstrip()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 1), (7, 3), (12, 4)])
async def test_small_tables_do_not_crash(size: tuple[int, int]) -> None:
    """Any size, with rows, keys and none."""
    app = Bench()
    async with app.run_test(size=size) as pilot:
        app.table.show(COLUMNS, [row(n) for n in range(20)], empty="nothing")
        await pilot.press("j", "right", "G", "left")
        app.table.show(COLUMNS, [], empty="nothing")
        await pilot.pause()
        app.table.show([], [Row(1, ())])
        await pilot.pause()
        assert 1 == app.table.cursor_key


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark"])
async def test_tones_follow_the_theme(theme: str) -> None:
    """A tone is a theme variable: it differs from plain text, and changes with the theme."""
    app = Bench()
    async with app.run_test(size=(60, 5)) as pilot:
        app.table.show(COLUMNS, [row(1), row(2, note="late")])
        await pilot.pause()
        before = _style(app, 2, "✓")
        app.theme = theme
        await pilot.pause()
        assert _style(app, 2, "✓") != _style(app, 2, "60.0")
        assert (theme == "textual-dark") == (_style(app, 2, "✓") == before)


async def test_the_cursor_pales_without_focus() -> None:
    """Its line keeps the glyph and has another background when the focus is elsewhere."""
    app = Bench()
    async with app.run_test(size=(60, 5)) as pilot:
        app.table.show(COLUMNS, [row(1), row(2)])
        await pilot.pause()
        focused = _style(app, 1, "›")
        app.set_focus(None)
        await pilot.pause()
        assert focused.bgcolor != _style(app, 1, "›").bgcolor
        assert "›" == app.lines()[1][0]


def _style(app: Bench, line: int, text: str) -> Any:
    return next(s.style for s in app.table.render_line(line) if text in s.text)


@pytest.mark.parametrize(
    ("width", "first", "places", "sides"),
    [
        (40, 0, [(0, 1, 5), (1, 7, 12), (2, 20, 6), (3, 27, 13)], (False, False)),
        (24, 0, [(0, 1, 5), (1, 7, 12)], (False, True)),
        (24, 2, [(0, 1, 5), (3, 7, 17)], (True, False)),
        (3, 0, [], (False, True)),
    ],
)
def test_layout(width: int, first: int, places: Sequence[tuple[int, int, int]], sides: tuple[bool, bool]) -> None:
    """The pinned column first, then what fits from the first one shown; no number is cut; one column takes the rest."""
    layout = lay_out(COLUMNS, width, first)
    assert (places, sides) == ([*layout.places], (layout.left, layout.right))


def test_columns_that_grow_share_what_is_left() -> None:
    """As equals, up to what each can use; a column that is not on screen takes no room from them."""
    columns = [
        Column("a", "a", 6, grow=True, most=8),
        Column("b", "b", 4, grow=True),
        Column("c", "c", 9, "right"),
    ]
    assert [8, 10, 9] == [wide for *_, wide in lay_out(columns, 30, 0).places]
    assert [8, 9] == [wide for *_, wide in lay_out(columns, 19, 0).places]


@pytest.mark.parametrize(
    ("title", "words", "shape"),
    [
        ("C", (), (7, "right")),
        ("family", ("linear", "transformer"), (11, "left")),
        ("transformer.layers", ("1", "–"), (18, "right")),
        ("transformer.learning_rate", (), (18, "right")),
        ("mlp.units", ("a very long choice",), (12, "left")),
    ],
)
def test_a_value_column(title: str, words: Sequence[str], shape: tuple[int, str]) -> None:
    """As wide as its title and what can stand below it, within reason; numbers on the right, words on the left."""
    found = value_column("key", title, words)
    assert (title, shape) == (found.title, (found.width, found.align))


async def test_a_title_of_one_family_keeps_its_key() -> None:
    """Where it is cut, the family is cut first."""
    async with (app := Bench()).run_test(size=(30, 6)):
        app.table.show([Column("a", "transformer.layers", 13), Column("b", "mlp.alpha", 9)], [])
        assert " trans….layers mlp.alpha" == app.table.render_line(0).text.rstrip()


def test_fit_cuts_and_pads() -> None:
    """Exactly the width in cells."""
    assert ["ab  ", "  ab", "abc…", "abc~", "日 …", "", "…"] == [
        fit("ab", 4, "left"),
        fit("ab", 4, "right"),
        fit("abcdef", 4, "left"),
        fit("abcdef", 4, "left", ascii_only=True),
        fit("日本語", 4, "left"),
        fit("abc", 0, "left"),
        fit("abc", 1, "left"),
    ]
