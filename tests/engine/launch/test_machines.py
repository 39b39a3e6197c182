"""workspace.toml: what may be in it, and that nothing in it becomes an option or a command of a shell."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.launch.link import BRIDGE_MODULE, agent_command, link_to, ssh_command
from bertdistill.engine.launch.machines import FILE, Machine, add, read_machines, remove
from bertdistill.engine.study.notify_section import NotifySection, read_workspace_notify


def test_machines_are_added_replaced_and_removed(tmp_path: Path) -> None:
    """The id of the workspace stays, whatever happens to its machines."""
    assert read_machines(tmp_path).machines == ()
    first = add(tmp_path, Machine("gpu-1", ssh="me@host", slots=2))
    add(tmp_path, Machine("b", folder="/data/über", lost_after=5.0))
    add(tmp_path, Machine("gpu-1", ssh="other"))
    found = read_machines(tmp_path)
    assert [(one.name, one.ssh, one.slots) for one in found.machines] == [("b", "", 0), ("gpu-1", "other", 0)]
    assert (found.id, found.root(found.find("b"))) == (first.id, f"/data/über/{first.id}")
    assert [one.name for one in remove(tmp_path, "gpu-1").machines] == ["b"]
    with pytest.raises(ConfigError, match="not a machine") as refused:
        remove(tmp_path, "gpu-1")
    assert "b" in refused.value.hint


def test_notify_shares_the_file_and_is_kept(tmp_path: Path) -> None:
    """Each reads its own keys; machines come and go."""
    (tmp_path / FILE).write_text('[notify]\ncommand = ["notify-send", "a \\"b\\""]\ntimeout = 5.0\n')
    wanted = NotifySection(command=["notify-send", 'a "b"'], timeout=5.0)
    assert (read_machines(tmp_path).machines, read_workspace_notify(tmp_path)) == ((), wanted)
    add(tmp_path, Machine("b", ssh="host"))
    assert read_workspace_notify(tmp_path) == wanted
    assert [one.ssh for one in read_machines(tmp_path).machines] == ["host"]
    assert (remove(tmp_path, "b").machines, read_workspace_notify(tmp_path)) == ((), wanted)


@pytest.mark.parametrize(
    "text",
    [
        "machines = 3",
        'id = "x"\n[machines.b]',
        'id = "0123456789ab"\n[machines.local]',
        'id = "0123456789ab"\n[machines."a/b"]',
        'id = "0123456789ab"\n[machines.b]\nssh = "-oProxyCommand=x"',
        'id = "0123456789ab"\n[machines.b]\nssh = "a b"',
        'id = "0123456789ab"\n[machines.b]\nssh = "a;b"',
        'id = "0123456789ab"\n[machines.b]\npython = "-c"',
        'id = "0123456789ab"\n[machines.b]\nfolder = "relative"',
        'id = "0123456789ab"\n[machines.b]\nfolder = "/a\\u001b[2J"',
        'id = "0123456789ab"\n[machines.b]\nslots = "two"',
        'id = "0123456789ab"\n[machines.b]\nslots = true',
        'id = "0123456789ab"\n[machines.b]\nslots_per_gpu = 0',
        'id = "0123456789ab"\n[machines.b]\nlost_after = 0',
        'id = "0123456789ab"\n[machines.b]\nport = 3',
        'id = "0123456789ab"\n[machines.b]\nray = "auto"',
        'id = "0123456789ab"\n[machines.b]\nray = "-x:1"',
        'id = "0123456789ab"\n[machines.b]\nray = "head:6379"\nssh = "host"',
        'id = "0123456789ab"\n[machines.b]\nray = "head:6379"\npython = "/python"',
        'id = "0123456789ab"\n[machines.b]\nray = "head:6379"\nnode = "a\\u001b[2J"',
        'id = "0123456789ab"\n[machines.b]\nnode = "a"',
        "surprise = 1",
        "machines = {",
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str) -> None:
    """With the file and the key."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=FILE):
        read_machines(tmp_path)


def test_each_kind_of_machine_has_its_command() -> None:
    """A host by ssh, a node of a cluster by a bridge, a folder by an agent; a test worker asks Ray for no GPU."""
    by_ssh, here = link_to(Machine("a", ssh="host"), "/far"), link_to(Machine("a"), "/far")
    assert (by_ssh.command[0], "python3" in by_ssh.command[-1]) == ("ssh", True)
    assert list(here.command) == agent_command(sys.executable, "/far")
    machine = Machine("a", ray="head:6379", node="b", slots=3, slots_per_gpu=2)
    for environ, gpus in (({}, 2), ({"X": "y"}, 0)):
        command = link_to(machine, "/far", environ).command
        wanted = {"address": "head:6379", "node": "b", "folder": "/far", "gpus": gpus, "environ": environ}
        assert (command[-2], json.loads(command[-1])) == (BRIDGE_MODULE, wanted)
    assert json.loads(link_to(Machine("a", ray="head:6379"), "/far").command[-1])["gpus"] == -1


def test_the_far_shell_sees_words() -> None:
    """A folder with blanks, quotes and commands stays one word; only a leading ~ is expanded."""
    folder = "~/my $(reboot) 'data'"
    command = ssh_command("host", "/opt/my python", folder, {"X": "a b; c"})
    assert command[-3:-1] == ["--", "host"]
    words = shlex.split(command[-1])
    assert words[:3] == ["exec", "env", "X=a b; c"]
    assert (words[3], words[-1]) == ("/opt/my python", folder)
    assert command[-1].endswith("~/'my $(reboot) '\"'\"'data'\"'\"''")
    assert {"BatchMode=yes", "ControlMaster=no"} <= set(command)
