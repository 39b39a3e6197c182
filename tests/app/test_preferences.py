"""Preferences: the config file, what was typed, the defaults, and which of them wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.app.pty_terminal import PROGRAM, PtyTerminal

from bertdistill.app.keymap import ids
from bertdistill.app.preferences import Options, Wishes, config_path, options, read_config, state_path
from bertdistill.engine.contract.errors import ConfigError

IDS = ("quit", "rerun", "stop-trial")
FULL = """
theme = "light"
marker = "ascii"
mouse = false
refresh = 5
notify = "bell"

[keys]
quit = "f10, ctrl+q"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the config file of `environ` lies; its folder is there."""
    path = tmp_path / "bertdistill-tui" / "config.toml"
    path.parent.mkdir()
    return path


def test_defaults_without_a_config_file(tmp_path: Path) -> None:
    """Two looks a second; one over SSH."""
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert Options(tmp_path) == options(tmp_path, Wishes(), environ, IDS)
    assert (2.0, 1.0) == tuple(
        options(tmp_path, Wishes(), environ | more, IDS).refresh for more in ({}, {"SSH_CONNECTION": "1 2 3 4"})
    )


@pytest.mark.parametrize(
    ("term", "marker"), [("linux", "ascii"), ("vt100", "ascii"), ("xterm-256color", "braille"), ("vte", "braille")]
)
def test_a_console_with_a_poor_font_gets_ascii(tmp_path: Path, term: str, marker: str) -> None:
    """Unless somebody chose another marker."""
    environ = {"TERM": term}
    assert marker == options(tmp_path, Wishes(), environ, ()).marker
    assert "hd" == options(tmp_path, Wishes(marker="hd"), environ, ()).marker


def test_the_config_file_beats_the_defaults(tmp_path: Path, file: Path) -> None:
    """Every key; also over SSH, where the default would be slower. Blanks in a list of keys do not count."""
    file.write_text(FULL)
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "SSH_CONNECTION": "1 2 3 4"}
    keymap = {"quit": "f10,ctrl+q"}
    expected = Options(tmp_path, theme="light", marker="ascii", mouse=False, refresh=5.0, notify="bell", keymap=keymap)
    assert expected == options(tmp_path, Wishes(), environ, IDS)


def test_what_was_typed_beats_the_config_file(tmp_path: Path, file: Path) -> None:
    """Each option for itself; `--mouse` wins over `mouse = false`."""
    file.write_text(FULL)
    typed = Wishes(theme="auto", mouse=True, refresh=0.5)
    found = options(tmp_path, typed, {"XDG_CONFIG_HOME": str(tmp_path)}, IDS)
    assert ("auto", "ascii", True, 0.5) == (found.theme, found.marker, found.mouse, found.refresh)


def test_what_is_remembered_of_the_user_has_its_own_folder(tmp_path: Path) -> None:
    """None without a home; a relative variable counts as unset."""
    assert options(tmp_path, Wishes(), {"HOME": "/h"}, IDS).state == Path("/h/.local/state/bertdistill-tui")
    assert state_path({"HOME": "/h", "XDG_STATE_HOME": "/x"}) == Path("/x/bertdistill-tui")
    assert state_path({"XDG_STATE_HOME": "x"}) is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.config/bertdistill-tui/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/bertdistill-tui/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": ""}, "/h/.config/bertdistill-tui/config.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/bertdistill-tui/config.toml"),
        ({}, None),
    ],
)
def test_where_the_config_file_lies(environ: dict[str, str], expected: str | None) -> None:
    """As the XDG standard says; without a home there is none."""
    found = config_path(environ)
    assert expected == (found and str(found))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('them = "dark"', "them is not a known key; did you mean theme?"),
        ('theme = "pink"', 'theme = "pink" is not valid; use auto, dark, light or ansi'),
        ("theme = 3", "theme = 3 is not valid"),
        ('notify = "loud"', 'notify = "loud" is not valid; use none, bell or desktop'),
        ('marker = "dots"', 'marker = "dots" is not valid; use braille, hd or ascii'),
        ('mouse = "no"', 'mouse = "no" must be true or false, without quotes'),
        ('refresh = "fast"', 'refresh = "fast" must be a number'),
        ("refresh = true", "refresh = true must be a number"),
        ("refresh = 0", "refresh = 0 is below 0.1; use 0.1 to 10"),
        ("refresh = nan", "refresh = nan must be a number"),
        ('keys = "q"', "[keys] must be a table"),
        ('[keys]\nquitt = "q"', "[keys] quitt is not a known key; did you mean quit?"),
        ('[keys]\nquit = ["q"]', '[keys] quit = ["q"] must be text'),
        ('[keys]\nquit = "Ctrl+Q"', '"Ctrl+Q" is not a key; write r, R, ctrl+r'),
        ('[keys]\nquit = ""', '"" is not a key'),
        ('[keys]\nquit = "q,"', '"" is not a key'),
        ("theme = dark", "not valid TOML"),
    ],
)
def test_a_wrong_config_file_names_file_key_and_remedy(file: Path, text: str, words: str) -> None:
    """One line for each problem, and nothing of the file is used."""
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_config(file, IDS)
    assert [True, True] == [part in str(refused.value) for part in (f"{file}: ", words)], str(refused.value)


def test_every_problem_is_told_at_once(file: Path) -> None:
    """Not one after the other."""
    file.write_text('theme = "pink"\nmouse = 1\n[keys]\nnothing = "x"\n')
    with pytest.raises(ConfigError) as refused:
        read_config(file, IDS)
    assert 3 == len(str(refused.value).splitlines())


@pytest.mark.parametrize("keys", ["q", "Q", "?", "question_mark", "ctrl+shift+f5", "alt+x", "f12,space", "é"])
def test_keys_as_people_write_them(file: Path, keys: str) -> None:
    """Single characters, names, and modifiers in small letters."""
    file.write_text(f'[keys]\nquit = "{keys}"\n')
    assert {"quit": keys} == read_config(file, IDS).keymap


def test_every_binding_can_be_remapped(file: Path) -> None:
    """The ids of the real table are keys of `[keys]`."""
    file.write_text("[keys]\n" + "".join(f'{name} = "f5"\n' for name in ids()))
    assert set(ids()) == set(read_config(file, ids()).keymap)


def test_the_app_obeys_the_config_file(tmp_path: Path, file: Path) -> None:
    """A remapped key works, the old one does not, and the footer shows the new one."""
    file.write_text(FULL.replace("f10, ctrl+q", "f10"))
    with PtyTerminal(cwd=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("f10 quit")
        assert set() == {1000, 1003, 1006} & terminal.modes
        terminal.send("q")
        terminal.wait_silence()
        assert terminal.process.poll() is None
        terminal.send("\x1b[21~")
        assert (0, True) == (terminal.wait_end(), terminal.is_clean)


def test_a_wrong_config_file_is_told_before_the_terminal_is_touched(tmp_path: Path, file: Path) -> None:
    """Exit 2 with the file and the remedy; no escape sequence."""
    file.write_text('theme = "pink"')
    with PtyTerminal((*PROGRAM, "--mouse"), cwd=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path)}) as terminal:
        assert 2 == terminal.wait_end()
        assert [True, False] == [part in terminal.output for part in (b"use auto, dark, light or ansi", b"\x1b")]
