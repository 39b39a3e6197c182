"""What a person reads about cascades, as plain text. It computes nothing and prints nothing."""

from __future__ import annotations

from collections.abc import Sequence

from bertdistill.app.draw.canvas import Look
from bertdistill.app.draw.curves import Curve, curves_chart
from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.tables import text_table
from bertdistill.app.views.cascades import rows_of
from bertdistill.engine.analysis.cascade import Cascade, Cost, Cut
from bertdistill.engine.analysis.joined import Joined

HEIGHT = 16


def cascade_text(found: Cascade, chosen: Cut | None, page: Page, oracle: Cut | None = None, note: str = "") -> str:
    """Who is joined and what counts as cost, the chosen threshold, a row a share, and score against cost."""
    said = [f"{heading(found)}; {cost_words(found.cost)}"]
    if chosen is not None:
        said.append(chosen_words(found, chosen) + (f"\nnote: {note}" if note else ""))
    if oracle is not None:
        said.append(oracle_words(found, oracle))
    return "\n\n".join([*said, _table(found, chosen, page), cascade_chart(found, page)])


def heading(found: Cascade) -> str:
    """One line: the members and the router."""
    return (
        f"{found.small.name} answers if it is sure, else {found.large.name}; temperature "
        f"{found.small.temperature:.3f}; {len(found.truth):,} validation examples"
    )


def cost_words(cost: Cost) -> str:
    """What the mean cost is made of."""
    parts = [f"{number(cost.small)} always, {number(cost.large)} for what is passed on"]
    if cost.unit == "ms":
        again = f", {number(cost.tokenizer_again)} again for the second" if cost.tokenizer_again else ""
        parts.append(f"tokenizer {number(cost.tokenizer)}{again}" if cost.tokenizer else "tokenizer not measured")
    return f"cost by {cost.metric} ({cost.unit}): {'; '.join(parts)}"


def number(value: float) -> str:
    """A cost with three digits that mean something."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def chosen_words(found: Cascade, cut: Cut) -> str:
    """The chosen threshold in one sentence."""
    name = found.scores[0]
    closed = found.closed(cut, name)
    gap = "" if closed is None else f", {closed:.0%} of the gap"
    return (
        f"threshold {cut.threshold:.4f}: {cut.share:.1%} passed on, {name} {fmt.metric(name, cut.scores[name])} "
        f"({cut.scores[name] - cut.random[name]:+.2f} against random routing{gap}), mean cost {number(cut.cost)} "
        f"{found.cost.unit}. It was chosen on these examples; a promotion measures it on the report split."
    )


def oracle_words(found: Cascade, cut: Cut) -> str:
    """What routing by the flags of an oracle would bring, beside the router at the same share."""
    return (
        f"shuffle oracle: {oracle_figures(found, cut)}. It passes on what the teacher answers differently when the "
        "words are shuffled. That asks the teacher twice about every example, which no cost here counts: it judges a "
        "router and is none."
    )


def oracle_figures(found: Cascade, cut: Cut) -> str:
    """Its share and score, and those of the routers at the same share."""
    name, same = found.scores[0], found.at_share(cut.share)
    return (
        f"{cut.share:.1%} passed on, {name} {fmt.metric(name, cut.scores[name])} (at random "
        f"{fmt.metric(name, cut.random[name])}, by confidence {fmt.metric(name, same.scores[name])})"
    )


def _table(found: Cascade, chosen: Cut | None, page: Page) -> str:
    titles = ["", *cut_titles(found)]
    rows = [[">" if cut == chosen else "", *cut_cells(found, cut)] for cut in rows_of(found, chosen)]
    return text_table(titles, rows, right=titles[1:], width=page.width)


def cut_titles(found: Cascade) -> list[str]:
    """The heads of `cut_cells`."""
    main, *others = found.scores
    return ["passed on", "threshold", main, f"random {main}", "gap", f"cost ({found.cost.unit})", *others]


def cut_cells(found: Cascade, cut: Cut) -> list[str]:
    """Share, threshold, score, expected score of random routing, share of the gap closed, cost, then other scores."""
    main = found.scores[0]
    closed = found.closed(cut, main)
    return [
        f"{cut.share:.1%}",
        f"{cut.threshold:.4f}",
        fmt.metric(main, cut.scores[main]),
        fmt.metric(main, cut.random[main]),
        fmt.NONE if closed is None else f"{closed:.0%}",
        number(cut.cost),
        *(fmt.metric(name, cut.scores[name]) for name in found.scores[1:]),
    ]


def cascade_chart(found: Cascade, page: Page) -> str:
    """The first score of the study against the mean cost, with random routing beside it."""
    look = Look(min(page.width or 78, 110), HEIGHT, page.colour, page.ascii_only)
    return curves_chart(cascade_curves(found), f"mean cost ({found.cost.unit})", look)


def cascade_curves(found: Cascade) -> list[Curve]:
    """Score over mean cost: by confidence, and at random."""
    cuts, name = found.curve(), found.scores[0]
    costs = [cut.cost for cut in cuts]
    return [
        Curve("by confidence", costs, [cut.scores[name] for cut in cuts]),
        Curve("at random", costs, [cut.random[name] for cut in cuts]),
    ]


def joined_text(found: Sequence[Joined], x: str, y: str, page: Page) -> str:
    """Cascades on the frontier of two metrics, a line each."""
    if not found:
        return f"no cascade is on the frontier of {x} and {y}"
    rows = [
        [
            one.small,
            one.large,
            f"{one.share:.1%}",
            fmt.metric(y, one.values[y]),
            fmt.metric(y, one.random[y]),
            fmt.metric(x, one.values[x]),
        ]
        for one in sorted(found, key=lambda one: one.values[x])
    ]
    titles = ["asked first", "then", "passed on", y, f"random {y}", x]
    table = text_table(titles, rows, right=titles[2:], width=page.width)
    return f"cascades on the frontier (not trials; scores of the validation split)\n{table}"
