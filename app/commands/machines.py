"""`engine machines`: other machines that workers run on. They parse, call and print."""

from __future__ import annotations

from typing import Annotated

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, workspace
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show
from bertdistill.app.text.command_line import command_line

group = typer.Typer(
    help="Other machines that workers run on: by ssh, without a daemon or an open port, or nodes of a Ray cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, for `runner.machines` of a study file.")]


@group.command()
def add(
    name: NameArgument,
    ssh: Annotated[
        str,
        typer.Option(
            "--ssh",
            metavar="HOST",
            help="A host of ~/.ssh/config, or user@host; ports, keys and jump hosts are set there. "
            "Without it: another folder of this machine.",
        ),
    ] = "",
    ray: Annotated[
        str,
        typer.Option(
            "--ray",
            metavar="HOST:PORT",
            help="Instead of --ssh: the head of a Ray cluster, which this machine is a node of.",
        ),
    ] = "",
    node: Annotated[
        str,
        typer.Option("--node", metavar="NODE", help="Which node of it: a name, host name, address or id."),
    ] = "",
    python: Annotated[
        str, typer.Option("--python", metavar="PATH", help="The Python there that this program is installed in.")
    ] = "",
    folder: Annotated[
        str, typer.Option("--folder", metavar="PATH", help="Where to keep caches and runs there. Absolute, or ~/….")
    ] = "",
    slots: Annotated[int, typer.Option("--slots", min=0, help="Workers there; 0: one per GPU, or one.")] = 0,
    slots_per_gpu: Annotated[int, typer.Option("--slots-per-gpu", min=1, help="Workers that share one GPU.")] = 1,
    lost_after: Annotated[
        float,
        typer.Option("--lost-after", metavar="SECONDS", help="Silence after which its trials resume elsewhere."),
    ] = 60.0,
    where: WorkspaceOption = None,
) -> None:
    """Add a machine, or change the one of that name. Nothing is started and nothing is sent."""
    from bertdistill.engine.launch.machines import DEFAULT_FOLDER, Machine
    from bertdistill.engine.launch.machines import add as add_machine

    ws = workspace(where)
    ws.make()
    place = folder or (DEFAULT_FOLDER if ssh or ray else f"{DEFAULT_FOLDER}/{name}")
    add_machine(ws.path, Machine(name, ssh, python, place, slots, slots_per_gpu, lost_after, ray, node))
    say(f"added {name}. Check it: {command_line('machines', 'check', name, ws=ws)}")
    say(f'Use it in a study file: [runner] machines = ["local", "{name}"]')


@group.command("list")
def list_machines(where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Machines of the workspace, and what the runner has last seen of them. It connects to none."""
    import time

    from bertdistill.app.commands.session import page_of_output
    from bertdistill.app.report.machines import machine_row, machines_now, machines_text
    from bertdistill.app.text.tables import json_text

    found = machines_now(workspace(where).path, time.time())
    show(json_text([machine_row(one) for one in found]) if as_json else machines_text(found, page_of_output()))


@group.command()
def check(name: NameArgument, where: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Check a machine: version, GPUs, disk, clock, and whether workers outlive the connection.

    Ends by killing a test worker there, to prove that nothing it reported is lost. Takes some seconds.
    """
    from bertdistill.app.commands.machine import show_checks
    from bertdistill.engine.launch.machines import read_machines
    from bertdistill.engine.machine_check import check_machine

    ws = workspace(where)
    machines = read_machines(ws.path)
    show_checks(check_machine(machines.find(name), machines, ws.path), as_json=as_json)


@group.command()
def remove(
    name: NameArgument,
    where: WorkspaceOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although attempts run there: they count as lost, and resume elsewhere.")
    ] = False,
) -> None:
    """Remove a machine. Its folder there stays; refused while it has workers."""
    from bertdistill.app.report.machines import attempts_on
    from bertdistill.engine.launch.machines import read_machines
    from bertdistill.engine.launch.machines import remove as remove_machine

    ws = workspace(where)
    found = read_machines(ws.path)
    machine = found.find(name)
    if (busy := attempts_on(ws.path, name)) and not force:
        raise UsageError(
            f"{name} has {len(busy)} worker(s): {', '.join(busy)}", hint="Wait, stop them, or use --force."
        )
    remove_machine(ws.path, name)
    say(f"removed {name}. Its folder there stays: {found.root(machine)}")
