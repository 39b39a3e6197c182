"""The table of keys in Textual's terms: bindings of a place, the footer's words, the palette's commands.

It names no key: those stand in `keymap`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget

from bertdistill.app.keymap import ACTIONS, Action, of, shown_keys, together

LEAST = (40, 12)
"""Columns and rows below which only the size message is shown."""
FOOTER_KEYS, WIDE_FOOTER_KEYS = 7, 11
"""At 80 columns more do not fit; in a wide window more than the second number are not read."""
WIDE = 120
"""Columns from which a footer is a wide one."""
LEADING_OUT = 90
"""From this place in the footer on: help and quit."""
GATHERING = CommandPalette._GATHER_COMMANDS_GROUP
"""Group of the workers that look for what was typed into the palette; Textual has no public name for it."""


def bindings(place: str) -> list[Any]:
    """Textual bindings of a place; each keeps its id, so that a config can remap it."""
    return [Binding(a.keys, a.name, a.words, show=False, id=a.id, tooltip=a.words, priority=a.first) for a in of(place)]


def available(screen: Any) -> Iterator[tuple[Action, Any]]:
    """Actions of the focused pane, the screen and the app that make sense now, each with the object that does it."""
    for owner in (screen.focused, screen, screen.app):
        for action in of(getattr(owner, "PLACE", "")):
            name = action.name.partition("(")[0]
            target = next((o for o in (owner, screen, screen.app) if hasattr(o, f"action_{name}")), None)
            if target is not None and target.check_action(name, ()):
                yield action, target


def is_typing(focused: Widget | None) -> bool:
    """Whether characters go into this widget, a field of text."""
    return focused is not None and focused.check_consume_key("a", "a")


def footer(screen: Any, keymap: Mapping[str, str], *, ascii_only: bool = False) -> list[tuple[str, str]]:
    """(key, word) of the footer, most useful first, as many as are read. Help and quit stay: they lead out of all else.

    While text is typed, keys that are characters of a text are none; what has no other key is left out.
    """
    typing = is_typing(screen.focused)
    wanted = [action for action, _ in available(screen) if action.footer and (not action.leads or one_pane(screen))]
    shown: dict[str, tuple[int, list[str]]] = {}
    for action in sorted(wanted, key=lambda a: (not a.leads, a.footer)):
        key = next((key for key in shown_keys(action, keymap) if not typing or (len(key) > 1 and key != "space")), None)
        place, keys = shown.get(action.short, (action.footer, []))
        taken = any(key in others for _, others in shown.values())
        if key is not None and not taken and (not keys or (place == action.footer and len(key + keys[0]) == 2)):
            shown[action.short] = (place, [*keys, key])
    words = [(place, together(keys, ascii_only=ascii_only), short) for short, (place, keys) in shown.items()]
    out = [(keys, short) for place, keys, short in words if place >= LEADING_OUT]
    useful = [(keys, short) for place, keys, short in words if place < LEADING_OUT]
    most = WIDE_FOOTER_KEYS if screen.size.width >= WIDE else FOOTER_KEYS
    return [*useful[: most - len(out)], *out]


def key_of(action_id: str, keymap: Mapping[str, str], *, ascii_only: bool = False) -> str:
    """The first key of an action, as it is shown."""
    action = next(one for one in ACTIONS if one.id == action_id)
    return shown_keys(action, keymap, ascii_only=ascii_only)[0]


def does(screen: Any, word: str) -> tuple[Action, Any] | None:
    """What a word of the footer does now, with the object that does it; of several keys the first."""
    found = [(action, target) for action, target in available(screen) if action.footer and action.short == word]
    return found[0] if found else None


def one_pane(screen: Any) -> bool:
    """Whether only one of the panes of a screen is to be seen: the window is narrow, or the pane maximised."""
    panes = [screen.query_one(f"#{widget}") for widget in getattr(screen, "panes", {}).values()]
    return [pane.is_on_screen for pane in panes].count(True) == 1


class Once:
    """Mixed into what opens over a screen: it closes once. A second click, still on its way, would close what is below.

    Textual's `dismiss` takes away whatever screen is on top.
    """

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Close with a result, unless that has happened."""
        screen: Any = self
        if screen.app.screen is not self:
            return AwaitComplete()
        mixed_into: Any = super()
        closed: AwaitComplete = mixed_into.dismiss(result)
        return closed


class Palette(Once, CommandPalette):
    """Textual's palette, closed when the window gets too small for it: it hands keys to a list that has no lines."""

    DEFAULT_CSS = "Palette SearchIcon { color: $text-accent; }"

    def on_mount(self) -> None:
        self.query_one(SearchIcon).icon = "/"  # Textual's is missing in the fonts of many terminals

    def on_resize(self, event: Resize) -> None:
        if self.is_current and not has_room(event.size):
            self.dismiss()


def has_room(size: Size) -> bool:
    """Whether a window of this size shows more than that it is too small."""
    return size.width >= LEAST[0] and size.height >= LEAST[1]


class ActionCommands(Provider):
    """The palette: every action that works here and now, as `group: Order` with its key, and every theme."""

    def _commands(self) -> Iterator[tuple[str, str, Any]]:
        app: Any = self.app
        for action, target in available(self.screen):
            if action.palette:
                run = partial(app.run_action, action.name, target)
                yield f"{action.group}: {action.words}", " ".join(shown_keys(action, app.options.keymap)), run
        for theme in app.theme_names:
            yield f"Theme: {theme}", "", partial(app.keep_theme, theme)

    async def discover(self) -> Hits:
        for words, keys, run in self._commands():
            yield DiscoveryHit(_in_line(words, keys), run, words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for words, keys, run in self._commands():
            if (score := matcher.match(words)) > 0:
                yield Hit(score, _in_line(matcher.highlight(words), keys), run, words)


def _in_line(words: str | Content, keys: str) -> Content:
    """What a command does behind its group, and its keys beside it."""
    content = words if isinstance(words, Content) else Content(words)
    group = content.plain.partition(" ")[0]
    content = content.stylize("dim", 0, len(group))
    return Content.assemble(content, ("  " + keys, "bold $text-accent")) if keys else content
