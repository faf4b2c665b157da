"""The command line `raydog local`: options, messages and tables. No logic: `service` starts, stops and reads."""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from yellowdog_local.cli import calls as cli_calls
from yellowdog_local.cli import faults as cli_faults
from yellowdog_local.cli.common import (
    NOT_RUNNING,
    DirOption,
    EnvFileOption,
    JsonOption,
    admin,
    console,
    not_running,
    progress,
    reports_errors,
    running,
)
from yellowdog_local.cli.durations import format_seconds
from yellowdog_local.cli.overview import Overview, OverviewReader
from yellowdog_local.hosts.kinds import HostKind
from yellowdog_local.service import daemon, logs
from yellowdog_local.service.admin_client import RESET_TIMEOUT_SECONDS
from yellowdog_local.service.directory import (
    LocalPlatformError,
    PlatformDirectory,
    State,
    default_directory,
    write_env_file,
)
from yellowdog_local.service.options import REAL_TIME

DEFAULT_LINES = 100

app = typer.Typer(
    name="local",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="""Run a local YellowDog platform: its API on this machine, with local hosts as instances.

Ray clusters run on it as on YellowDog, with the same API and the same YAML.

It needs Linux. Root gives the best kind of hosts; see `raydog local start --help`.

[bold]A first cluster[/bold]

    raydog local start --env-file .env

    ray up examples/local/raydog.yaml

    raydog local status

    ray down examples/local/raydog.yaml

    raydog local stop

[bold]Fault injection[/bold]

    raydog local fault add status --call "POST /work/**" --status 429 --retry-after 2 --times 3

    raydog local calls
""",
)
app.add_typer(cli_faults.app, name="fault")
app.command(name="calls")(cli_calls.calls)
app.command(name="top")(cli_calls.top)


@app.command()
@reports_errors
def start(
    directory: DirOption = default_directory(),  # noqa: B008 (how typer takes a default)
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the API.")] = daemon.DEFAULT_PORT,
    env_file: EnvFileOption = None,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Run in this terminal and print the log; Ctrl-C stops the platform.")
    ] = False,
    hosts: Annotated[HostKind, typer.Option("--hosts", help="Kind of hosts; see above.")] = HostKind.AUTO,
    speed: Annotated[
        float, typer.Option(help="Speed of the platform's clock, 1 for real time; simulated hosts only.")
    ] = REAL_TIME,
    profile: Annotated[
        Path | None,
        typer.Option(help='JSON file of settings, such as {"reuse_finished_names": false}; see docs/differences.md.'),
    ] = None,
    seed: Annotated[
        Path | None,
        typer.Option(
            help="JSON or YAML file of namespaces, templates, images and pools, as `yd resource create` takes it."
        ),
    ] = None,
) -> None:
    """Start the platform and print its URL and key.

    Each instance is a host. There are three kinds of hosts (--hosts):

    [bold]namespace[/bold]: a small Linux machine made of kernel namespaces. Needs root; in a container, --privileged.

    [bold]process[/bold]: processes on a loopback address, with their own home and SSH server. Needs no root where port
    22 is free, as in most containers. Supports one Ray cluster at a time. The SSH user is you, not yd-agent.

    [bold]simulated[/bold]: a record without processes, for programs that use the API alone; too little for Ray. A task
    ends as its environment says (SIM_TASK_SECONDS, SIM_TASK_EXIT_CODE).

    [bold]auto[/bold]: namespace hosts where this machine allows them, process hosts otherwise.

    For example:

        raydog local start --env-file .env

        raydog local start --dir /var/tmp/second --port 8701

        raydog local start --foreground

        raydog local start --hosts process

        raydog local start --hosts simulated --speed 100

        raydog local start --profile profile.json

        raydog local start --seed seed.json
    """
    place = PlatformDirectory(directory)
    if foreground:
        _run_here(place, port, env_file, hosts, speed, profile, seed)
        return
    if place.is_running():
        raise LocalPlatformError(place.already_running())
    with progress(f"starting the platform in {place.path}"):
        state = daemon.start(place, port, requested=hosts, speed=speed, profile=profile, seed=seed)
    _introduce(place, state, env_file)


def _run_here(
    place: PlatformDirectory,
    port: int,
    env_file: Path | None,
    hosts: HostKind,
    speed: float,
    profile: Path | None,
    seed: Path | None,
) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ending = threading.Event()
    daemon.end_on_signals(ending)
    daemon.run(place, port, lambda state: _introduce(place, state, env_file), ending, hosts, speed, profile, seed)
    typer.echo("stopped; nothing is left")


def _introduce(place: PlatformDirectory, state: State, env_file: Path | None) -> None:
    typer.echo(f"The local platform runs at {state.url} (process {state.pid}).\n")
    _show_environment(place, state, env_file)
    typer.echo(f"\nHosts:                {_hosts(state)}")
    if state.ssh_user:
        typer.echo(f"SSH key of the hosts: {place.ssh_key} (user {state.ssh_user})")
    typer.echo(f"Logs:                 {place.log}")
    typer.echo("Template to use:      demo/local")
    typer.echo("\nStop it with `raydog local stop`; `raydog local status` shows its state.")


def _hosts(state: State) -> str:
    """The kind of hosts and its consequence for users."""
    if state.hosts == HostKind.SIMULATED.value:
        return "simulated: they run no processes"
    if state.hosts == HostKind.PROCESS.value:
        return f"process ({state.why}); `auth: ssh_user` in a cluster's YAML must be {state.ssh_user}"
    return f"{state.hosts} ({state.why})"


def _show_environment(place: PlatformDirectory, state: State, env_file: Path | None) -> None:
    lines = place.env_lines(state.url)
    if env_file is not None:
        write_env_file(env_file, lines)
        typer.echo(f"URL and key were written to {env_file}.")
        return
    typer.echo("Put these lines into `.env` in the directory where you run `ray`, or pass --env-file .env:\n")
    for name, value in lines.items():
        typer.echo(f"{name}={value}")


@app.command()
@reports_errors
def env(directory: DirOption = default_directory(), env_file: EnvFileOption = None) -> None:  # noqa: B008
    """Print URL and key of the running platform, as lines for `.env`.

    For example:

        raydog local env

        raydog local env --env-file .env
    """
    place = PlatformDirectory(directory)
    state = running(place)
    if env_file is not None:
        _show_environment(place, state, env_file)
        return
    for name, value in place.env_lines(state.url).items():
        typer.echo(f"{name}={value}")


@app.command()
@reports_errors
def stop(directory: DirOption = default_directory()) -> None:  # noqa: B008
    """Stop the platform and terminate all hosts. Keys and logs stay.

    Also removes what a killed platform has left on this machine.

    For example:

        raydog local stop

        raydog local stop --dir /var/tmp/second
    """
    place = PlatformDirectory(directory)
    with progress(f"stopping the platform in {place.path}") as report:
        was_running = daemon.stop(place, report)
    typer.echo(
        f"{'stopped' if was_running else 'no platform was running'}; nothing is left (keys and logs: {place.path})"
    )


@app.command()
@reports_errors
def reset(directory: DirOption = default_directory()) -> None:  # noqa: B008
    """Reset the running platform: terminate all hosts and delete all state; the URL and key stay.

    Faults and recorded calls are deleted as well.

    For example:

        raydog local reset
    """
    client = admin(directory)
    with progress("terminating all hosts"):
        client.post("/admin/reset", timeout_seconds=RESET_TIMEOUT_SECONDS)
    typer.echo("reset: no hosts, no pools, no work, no faults, no recorded calls")


@app.command()
@reports_errors
def status(directory: DirOption = default_directory(), as_json: JsonOption = False) -> None:  # noqa: B008
    """Show hosts, worker pools and tasks of the running platform. Exit code 3 if none runs.

    For example:

        raydog local status

        raydog local status --json
    """
    place = PlatformDirectory(directory)
    state = place.running()
    if state is None:
        starting = place.is_running()
        if as_json:
            typer.echo(json.dumps({"running": False, "starting": starting, "directory": str(place.path)}))
        else:
            typer.echo("a local platform is starting or stopping" if starting else not_running(place))
        raise typer.Exit(NOT_RUNNING)
    overview = OverviewReader(state.url, place.api_key()).read()
    if as_json:
        typer.echo(json.dumps(_as_json(place, state, overview), indent=2))
    else:
        _print_overview(place, state, overview)


def _as_json(place: PlatformDirectory, state: State, overview: Overview) -> dict[str, Any]:
    return {
        "running": True,
        "url": state.url,
        "pid": state.pid,
        "uptimeSeconds": round(state.uptime, 1),
        "directory": str(place.path),
        "sshKey": str(place.ssh_key),
        "sshUser": state.ssh_user,
        "hostKind": state.hosts,
        "hostKindBecause": state.why,
        "hosts": overview.hosts,
        "pools": overview.pools,
        "nodes": overview.nodes,
        "tasks": overview.tasks,
        "runningTasks": overview.running,
    }


def _print_overview(place: PlatformDirectory, state: State, overview: Overview) -> None:
    screen = console()
    table = Table(title="Local platform", show_header=False, title_justify="left")
    table.add_row("URL", state.url)
    table.add_row("uptime", format_seconds(state.uptime))
    table.add_row("directory", str(place.path))
    table.add_row("kind of hosts", _hosts(state))
    table.add_row("hosts", str(len(overview.hosts)))
    table.add_row("worker pools", str(len(overview.pools)))
    table.add_row("platform nodes", _counts(overview.nodes))
    table.add_row("tasks", _counts(overview.tasks))
    screen.print(table)
    task_on = {task["host"]: task for task in overview.running}
    if overview.hosts:
        hosts = Table("host", "status", "address", "running task", title="Hosts", title_justify="left")
        for host in overview.hosts:
            task = task_on.get(host["instance"])
            shown = f"{task['name'] or ''} {task['id']}".strip() if task else "-"
            hosts.add_row(host["instance"], host["status"], host["address"] or "-", shown)
        screen.print(hosts)
    if overview.pools:
        pools = Table("worker pool", "status", "platform nodes", title="Worker pools", title_justify="left")
        for pool in overview.pools:
            pools.add_row(pool["name"], pool["status"], str(pool["nodes"]))
        screen.print(pools)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"


@app.command(name="logs")
@reports_errors
def show_logs(
    directory: DirOption = default_directory(),  # noqa: B008
    host: Annotated[str | None, typer.Option(help="Show the logs of this host: boot, user data, agent, tasks.")] = None,
    task: Annotated[str | None, typer.Option(help="Show the output of the task with this id.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print new lines as they are written; Ctrl-C ends it.")
    ] = False,
    lines: Annotated[
        int | None,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            help="Number of last lines of each file.",
            show_default=f"all; {DEFAULT_LINES} with -f",
        ),
    ] = None,
) -> None:
    """Show the platform's log, a host's logs, or a task's output. Logs stay after their hosts.

    For example:

        raydog local logs --follow

        raydog local logs --host i-sim-1

        raydog local logs --task ydid:task:000000:00000000-0000-0000-0000-000000000000:1:1
    """
    place = PlatformDirectory(directory)
    if host is not None and task is not None:
        raise LocalPlatformError("--host and --task exclude each other: --task finds the host itself")
    reader = logs.Reader(lambda: _log_files(place, host, task), DEFAULT_LINES if follow and lines is None else lines)
    with suppress(KeyboardInterrupt):  # the way to end --follow
        for text in reader.follow() if follow else reader.past():
            typer.echo(text, nl=False)


def _log_files(place: PlatformDirectory, host: str | None, task: str | None) -> list[Path]:
    if host is not None:
        return logs.host_files(place, host)
    if task is not None:
        return logs.task_files(place, task)
    return logs.platform_files(place)


def main() -> None:
    """Run the command `yellowdog-local`."""
    app(prog_name="yellowdog-local")
