"""What the SVG charts are made of: a plot with axes and ticks, marks, and labels that cover nothing. It reads no store.

No script and no font of its own; all text is escaped. Light, and dark on a screen whose reader prefers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from bertdistill.app.draw.axes import Axis, Scale
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import cell_width

WIDTH, HEIGHT = 760, 430
LETTER, LINE = 7.4, 16.0
"""Width of a character and height of a line at 12 px, as fonts without serifs have them at most on average."""
MARK = 5.0
"""Half of the height of a mark."""
LONGEST = 110
"""Characters of a text at most: those that fit beside each other."""


@dataclass(frozen=True)
class Palette:
    """The colours of a chart."""

    ink: str
    dim: str
    grid: str
    paper: str
    front: str
    series: tuple[str, ...]


LIGHT = Palette(
    "#1c2128",
    "#59636e",
    "#dde2e8",
    "#ffffff",
    "#116329",
    ("#0b62c4", "#b34700", "#1a7f37", "#7c3fd1", "#b3266f", "#0a7180"),
)
DARK = Palette(
    "#e6edf3",
    "#9aa4af",
    "#30363d",
    "#11151a",
    "#56d364",
    ("#63adff", "#f09a4a", "#4cc763", "#c39bff", "#ff86c3", "#43cfdc"),
)


def _colours(p: Palette) -> str:
    series = " ".join(f".chart .series{place} {{ color: {colour}; }}" for place, colour in enumerate(p.series))
    return f"""
.chart text {{ fill: {p.ink}; }} .chart text.dim, .chart text.line {{ fill: {p.dim}; }}
.chart .paper, .chart .open {{ fill: {p.paper}; }} .chart .mark {{ stroke: {p.paper}; }}
.chart .axis, .chart line.line {{ stroke: {p.dim}; }} .chart .grid {{ stroke: {p.grid}; }}
.chart .area, .chart .share {{ fill: {p.front}; }} .chart .step {{ stroke: {p.front}; }}
.chart .bar {{ stroke: {p.dim}; }}
.chart .frontier, .chart .tied {{ color: {p.front}; }}
.chart .baseline, .chart .cascade, .chart .reference, .chart .running {{ color: {p.ink}; }}
.chart .dominated, .chart .infeasible {{ color: {p.dim}; }}
{series}
.chart .open, .chart .infeasible {{ stroke: currentColor; }}
"""


CHART_STYLE = f"""
.chart {{ color-scheme: light dark; font: 12px system-ui, sans-serif; }}
.chart .mark {{ fill: currentColor; stroke-width: .8; }} .chart .open, .chart .infeasible {{ stroke-width: 1.6; }}
.chart .curve {{ fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }}
.chart .axis {{ fill: none; }} .chart line.line {{ stroke-dasharray: 5 4; }} .chart .area {{ opacity: .08; }}
.chart .step {{ stroke-width: 1.5; fill: none; }} .chart .bar {{ stroke-width: 1; opacity: .5; fill: none; }}
.chart .tied {{ opacity: .6; }}
.chart text.frontier, .chart text.head {{ font-weight: 600; }}
{_colours(LIGHT)}
@media screen and (prefers-color-scheme: dark) {{ {_colours(DARK)} }}
"""
"""Plain colours: programs other than browsers know no variables of CSS, and would paint everything black."""

SHAPES = {
    "star": "M0-6.5 1.6-2.1 6.2-2 2.6.9 3.8 5.3 0 2.7-3.8 5.3-2.6.9-6.2-2-1.6-2.1Z",
    "diamond": "M0-6 6 0 0 6-6 0Z",
    "cross": "M-4-4 4 4M-4 4 4-4",
    "circle": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0Z",
    "square": "M-4-4h8v8h-8Z",
    "up": "M0-5 5 4-5 4Z",
    "down": "M0 5 5-4-5-4Z",
    "plus": "M-1.6-5h3.2v3.4H5v3.2H1.6V5h-3.2V1.6H-5v-3.2h3.4Z",
    "right": "M-4-5 5 0-4 5Z",
    "hexagon": "M-2.6-4.6h5.2L5.2 0 2.6 4.6h-5.2L-5.2 0Z",
}
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def words(text: str, limit: int = LONGEST) -> str:
    """Foreign text for an element or an attribute."""
    return escape(safe_line(text, limit))


def at(value: float) -> str:
    """A coordinate."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def length(text: str) -> float:
    """The width of a text, rather too wide than too narrow."""
    return cell_width(text) * LETTER


def mark(shape: str, x: float, y: float, classes: str, title: str = "") -> str:
    """A mark, with a title that browsers show under the pointer."""
    told = f"<title>{words(title, 200)}</title>" if title else ""
    return f'<path class="mark {classes}" transform="translate({at(x)} {at(y)})" d="{SHAPES[shape]}">{told}</path>'


def text(x: float, y: float, written: str, classes: str = "", anchor: str = "start") -> str:
    """A text on its base line."""
    put = f'<text class="{classes}" x="{at(x)}" y="{at(y)}" text-anchor="{anchor}">'
    return f"{put}{words(written)}</text>"


@dataclass(frozen=True)
class Key:
    """A part of the legend."""

    text: str
    shape: str = ""
    classes: str = ""


@dataclass
class Plot:
    """The inside of a chart: where values are, what is drawn there, and which places are taken."""

    x: Scale
    y: Scale
    right: float = 16.0
    """Room at the right of the plot."""
    height: float = HEIGHT
    parts: list[str] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    crossed: list[Box] = field(default_factory=list)
    """Where lines are: labels cover them only where there is no other room."""

    def __post_init__(self) -> None:
        self.up = self.y.ticks(max(2, int(self.height // 55)))
        self.left = 20 + max((length(self.y.text(value)) for value in self.up), default=0.0)
        self.top = 30.0 if self.y.axis.title else 14.0
        self.bottom = self.height - 44.0
        self.end = WIDTH - self.right
        self.across = self.x.ticks(max(2, int((self.end - self.left) // 95)))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a pair of values is."""
        across, up = self.x.share(x), self.y.share(y)
        return self.left + across * (self.end - self.left), self.bottom - up * (self.bottom - self.top)

    def take(self, x: float, y: float, half: float = MARK) -> None:
        self.taken.append((x - half, y - half, x + half, y + half))

    def cross(self, places: Sequence[tuple[float, float]]) -> None:
        """A line goes through these places: labels stand beside it if they can."""
        for (x1, y1), (x2, y2) in pairwise(places):
            parts = 1 + int(max(abs(x2 - x1), abs(y2 - y1)) / 8)
            for part in range(parts + 1):
                x, y = x1 + (x2 - x1) * part / parts, y1 + (y2 - y1) * part / parts
                self.crossed.append((x - 3, y - 3, x + 3, y + 3))

    def label(self, written: str, classes: str, places: Iterable[tuple[float, float, str]]) -> bool:
        """Write a label at the first free place (x, base line, anchor); False if there is none."""
        tries = [(self._box(written, *one), one) for one in places]
        for occupied in ([*self.taken, *self.crossed], self.taken):
            for box, (x, y, anchor) in tries:
                if self._inside(box) and not any(_overlap(box, other) for other in occupied):
                    self.taken.append(box)
                    self.parts.append(text(x, y, written, classes, anchor))
                    return True
        return False

    def _box(self, written: str, x: float, y: float, anchor: str) -> Box:
        wide = length(safe_line(written, LONGEST))
        start = x - wide if anchor == "end" else x - wide / 2 if anchor == "middle" else x
        return start, y - 10, start + wide, y + 3

    def _inside(self, box: Box) -> bool:
        return self.left <= box[0] and box[2] <= WIDTH and self.top <= box[1] and box[3] <= self.bottom

    def frame(self) -> list[str]:
        """Axes with their ticks and names."""
        drawn = []
        for value in self.up:
            _, y = self.place(self.x.low, value)
            drawn.append(_line(self.left, y, self.end, y, "grid"))
            drawn.append(text(self.left - 8, y + 4, self.y.text(value), "dim", "end"))
        for value in self.across:
            x, _ = self.place(value, self.y.low)
            drawn.append(_line(x, self.top, x, self.bottom, "grid"))
            drawn.append(text(x, self.bottom + 17, self.x.text(value), "dim", "middle"))
        drawn.append(f'<path class="axis" d="M{at(self.left)} {at(self.top)}V{at(self.bottom)}H{at(self.end)}"/>')
        drawn.append(text(8, self.top - 12, self.y.axis.title, "name"))
        drawn.append(text(self.end, self.bottom + 35, self.x.axis.title, "name", "end"))
        return drawn

    def rulers(self) -> None:
        """Thresholds, chance and the teacher's score."""
        for value in (value for value, _ in self.x.axis.lines if self.x.holds(value)):
            x, _ = self.place(value, self.y.low)
            self.parts.append(_line(x, self.top, x, self.bottom, "line"))
            self.crossed.append((x - 1, self.top, x + 1, self.bottom))
        for value in (value for value, _ in self.y.axis.lines if self.y.holds(value)):
            _, y = self.place(self.x.low, value)
            self.parts.append(_line(self.left, y, self.end, y, "line"))
            self.crossed.append((self.left, y - 1, self.end, y + 1))

    def ruler_labels(self) -> None:
        for value, said in self.x.axis.lines:
            if self.x.holds(value):
                x, _ = self.place(value, self.y.low)
                tries = ((x + 4, y, "start") for y in (self.bottom - 6, self.bottom - 22, self.top + 12))
                self.label(said, "line", tries)
        for value, said in self.y.axis.lines:
            if self.y.holds(value):
                _, y = self.place(self.x.low, value)
                ends = ((self.left + 6, "start"), (self.end - 4, "end"), ((self.left + self.end) / 2, "middle"))
                self.label(said, "line", [(x, y + by, anchor) for by in (-5, 14) for x, anchor in ends])


def _line(x1: float, y1: float, x2: float, y2: float, classes: str) -> str:
    return f'<line class="{classes}" x1="{at(x1)}" y1="{at(y1)}" x2="{at(x2)}" y2="{at(y2)}"/>'


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def off_chart(*axes: Scale) -> list[str]:
    """The lines that lie outside of the chart, in words."""
    found = [(scale, value, said) for scale in axes for value, said in scale.axis.lines]
    return [f"{said} (off the chart)" for scale, value, said in found if not scale.holds(value)]


def legend(keys: Sequence[Key], top: float) -> tuple[list[str], float]:
    """The legend in as many lines as it needs, and where it ends."""
    drawn, x, y = [], 12.0, top
    for key in keys:
        wide = (20 if key.shape else 0) + length(key.text) + 18
        if x > 12 and x + wide > WIDTH:
            x, y = 12.0, y + LINE + 2
        if key.shape:
            drawn.append(mark(key.shape, x + 6, y - 4, key.classes))
        drawn.append(text(x + (18 if key.shape else 0), y, key.text, "" if key.shape else "dim"))
        x += wide
    return drawn, y + 12 if keys else top - 8


def picture(name: str, title: str, told: str, parts: Sequence[str], height: float, *, styled: bool) -> str:
    """The SVG element; `name` makes its ids unique on a page, and a page of several has the style once."""
    style = f"<style>{CHART_STYLE}</style>" if styled else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {at(height)}" width="{WIDTH}"'
        f' height="{at(height)}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{words(title, 200)}</title><desc id="{name}-desc">{words(told, 2000)}</desc>{style}'
        f'<rect class="paper" width="{WIDTH}" height="{at(height)}"/>\n' + "\n".join(parts) + "\n</svg>"
    )


def no_picture(name: str, title: str, said: str, *, styled: bool) -> str:
    """A chart of nothing says why."""
    return picture(name, title, said, [text(12, 28, said, "dim")], 48, styled=styled)


def counted_out(hidden: int, *, log: bool) -> str:
    """How many values are not drawn; empty if all are."""
    if not hidden:
        return ""
    why = "no finite value, or not above 0 on a logarithmic axis" if log else "not finite"
    return f"{hidden:,} {'value is' if hidden == 1 else 'values are'} not drawn ({why})"


def axis_words(axis: Axis) -> str:
    """The axis for a screen reader."""
    better = "lower" if axis.better == "minimize" else "higher"
    return f"{axis.title.rstrip('↑↓ ')} ({better} is better{', logarithmic' if axis.log else ''})"
