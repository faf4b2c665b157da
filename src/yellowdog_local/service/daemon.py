"""Runs the local platform in this process or in the background. Imports no command line and prints nothing.

`run` runs a platform from start to stop. `start` does so in a process of its own, which reports through a pipe when it
is ready, or why it is not. `stop` ends that process and checks that nothing is left.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.hosts.kinds import Choice, HostKind
from yellowdog_local.hosts.loopback import LoopbackError
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.network import NetworkError
from yellowdog_local.hosts.prerequisites import MissingRequirementError
from yellowdog_local.hosts.process import ProcessHosts
from yellowdog_local.hosts.real import HostError, RealHosts
from yellowdog_local.hosts.rootfs import ImageError
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory, State
from yellowdog_local.service.options import REAL_TIME, Content, check_machine, check_speed, read_content

LOGGER = logging.getLogger(__name__)
DEFAULT_PORT = 8700
LOOPBACK = "127.0.0.1"
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 90.0

Progress = Callable[[str], None]


def run(
    directory: PlatformDirectory,
    port: int,
    ready: Callable[[State], None],
    stop: threading.Event,
    requested: HostKind = HostKind.AUTO,
    speed: float = REAL_TIME,
    profile: Path | None = None,
    seed: Path | None = None,
) -> None:
    """Run the platform until `stop` is set; nothing of it is left afterwards.

    Args:
        directory: the directory of keys, logs and disks.
        port: the port to listen on, at the address that hosts can reach, or on 127.0.0.1 for simulated hosts.
        ready: called once, when the platform accepts calls.
        stop: the event that stops the platform.
        requested: the requested kind of hosts.
        speed: seconds of the platform's clock per second; other than 1 with simulated hosts only.
        profile: a JSON file of settings.
        seed: a file of resources that the platform contains from its start.

    Raises:
        LocalPlatformError: it cannot be started.
    """
    check_speed(speed, requested)
    content = read_content(profile, seed)
    choice = check_machine(requested)
    LOGGER.info("%s hosts: %s", choice.kind.value, choice.why)
    directory.prepare(with_ssh_key=choice.kind is not HostKind.SIMULATED)
    with directory.locked():
        directory.forget_state()  # the state of a killed platform
        try:
            if choice.kind is HostKind.SIMULATED:
                _run_simulated(directory, port, ready, stop, choice, speed, content)
            else:
                _run_hosts(directory, port, ready, stop, choice, content)
        finally:
            directory.forget_state()
            LOGGER.info("stopped")
        _check_nothing_left(directory)


def _run_hosts(
    directory: PlatformDirectory,
    port: int,
    ready: Callable[[State], None],
    stop: threading.Event,
    choice: Choice,
    content: Content,
) -> None:
    make = ProcessHosts if choice.kind is HostKind.PROCESS else NamespaceHosts
    hosts: RealHosts = make(directory.path, directory.public_key())

    def announce(url: str) -> None:
        ready(directory.write_state(url, hosts.kind, choice.why, hosts.ssh_user))

    try:
        _open(hosts)
        _check_port(hosts.gateway, port)
        hosts.platform_url = f"http://{hosts.gateway}:{port}"
        _serve(directory, hosts, hosts.gateway, port, announce, stop, content)
    finally:
        LOGGER.info("destroying all hosts")
        hosts.close()


def _run_simulated(
    directory: PlatformDirectory,
    port: int,
    ready: Callable[[State], None],
    stop: threading.Event,
    choice: Choice,
    speed: float,
    content: Content,
) -> None:
    from yellowdog_local.hosts.simulated import SimulatedHosts

    _check_port(LOOPBACK, port)
    hosts = SimulatedHosts()

    def announce(url: str) -> None:
        ready(directory.write_state(url, hosts.kind, choice.why, ssh_user=""))

    _serve(directory, hosts, LOOPBACK, port, announce, stop, content, speed)


def _check_nothing_left(directory: PlatformDirectory) -> None:
    left = leftovers.find(directory.path)
    if left:
        raise LocalPlatformError(
            f"left on this machine: {', '.join(left)}; remove it with `raydog local stop` (as root)"
        )


def _open(hosts: RealHosts) -> None:
    try:
        hosts.open()
    except (MissingRequirementError, ImageError, NetworkError, LoopbackError, HostError) as error:
        raise LocalPlatformError(str(error)) from error


def _serve(
    directory: PlatformDirectory,
    hosts: HostBackend,
    address: str,
    port: int,
    ready: Callable[[str], None],
    stop: threading.Event,
    content: Content,
    speed: float = REAL_TIME,
) -> None:
    # Not above: `status` and `logs` must start quickly, and without the server's packages.
    from yellowdog_local.platform import LocalPlatform
    from yellowdog_local.service.server import serve
    from yellowdog_local.state.clock import AcceleratedClock, RealClock
    from yellowdog_local.state.profiles import changed

    def announce(url: str) -> None:
        LOGGER.info("ready at %s; changed settings: %s", url, " ".join(changed(content.settings)) or "none")
        ready(url)

    key = directory.api_key()
    clock = RealClock() if speed == REAL_TIME else AcceleratedClock(speed)
    platform = LocalPlatform(
        settings=content.settings,
        clock=clock,
        hosts=hosts,
        api_key=(key.key_id, key.secret),
        plant=content.plant,
    )
    try:
        serve(platform, address, port, announce, stop)
    finally:
        platform.close()


def _check_port(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise LocalPlatformError(
                f"port {port} cannot be used on {address} ({error.strerror}; another program may listen on it on all "
                f"addresses): choose another with --port"
            ) from error


def start(
    directory: PlatformDirectory,
    port: int,
    requested: HostKind = HostKind.AUTO,
    speed: float = REAL_TIME,
    profile: Path | None = None,
    seed: Path | None = None,
) -> State:
    """Run the platform in the background; return when it is ready.

    Args:
        directory: the directory of keys, logs and disks.
        port: the port to listen on.
        requested: the requested kind of hosts.
        speed: seconds of the platform's clock per second; other than 1 with simulated hosts only.
        profile: a JSON file of settings.
        seed: a file of resources that the platform contains from its start.

    Raises:
        LocalPlatformError: the platform did not start.
    """
    check_speed(speed, requested)
    read_content(profile, seed)
    choice = check_machine(requested)
    directory.prepare(with_ssh_key=choice.kind is not HostKind.SIMULATED)
    if directory.is_running():
        raise LocalPlatformError(directory.already_running())
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "yellowdog_local.service.daemon", "--dir", str(directory.path)]
    command += ["--port", str(port), "--report", str(writing), "--hosts", requested.value, "--speed", str(speed)]
    command += ["--profile", str(profile.resolve())] if profile else []
    command += ["--seed", str(seed.resolve())] if seed else []
    with os.fdopen(reading, "rb") as report:
        with directory.new_log() as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
                start_new_session=True,  # it outlives its terminal
            )
        os.close(writing)
        if not select.select([report], [], [], START_TIMEOUT_SECONDS)[0]:
            process.kill()
            process.wait()
            raise LocalPlatformError(
                f"the platform was not ready within {START_TIMEOUT_SECONDS:.0f} s and was killed: see {directory.log}"
            )
        line = report.readline()
    if not line:
        process.wait()
        raise LocalPlatformError(f"the platform ended during its start: see the last lines of {directory.log}")
    outcome = json.loads(line)
    if "error" in outcome:
        process.wait()
        raise LocalPlatformError(outcome["error"])
    return State(**outcome)


def stop(directory: PlatformDirectory, progress: Progress) -> bool:
    """Stop the platform of a directory, and remove what a killed one has left.

    Args:
        directory: the platform's directory.
        progress: called with each step.

    Returns:
        Whether a platform was running.

    Raises:
        LocalPlatformError: the platform cannot be stopped, or something is left; the message names it.
    """
    was_running = directory.is_running()
    if was_running:
        _end_process(directory, progress)
    progress("removing leftovers")
    try:
        leftovers.clean(directory.path)
    except NetworkError as error:
        if os.geteuid() != 0:
            raise LocalPlatformError("removing the leftovers needs root: run the same command with sudo") from error
        raise LocalPlatformError(str(error)) from error
    directory.forget_state()
    _check_nothing_left(directory)
    return was_running


def _end_process(directory: PlatformDirectory, progress: Progress) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    signalled: int | None = None
    while directory.is_running() or (signalled is not None and _lives(signalled)):
        state = directory.running()
        if state is not None and signalled != state.pid:
            progress(f"stopping process {state.pid} and its hosts")
            _signal(state.pid, signal.SIGTERM)
            signalled = state.pid
        if time.monotonic() > deadline:
            if signalled is None:
                raise LocalPlatformError(f"the platform in {directory.path} neither starts nor ends: see its log")
            progress(f"process {signalled} does not end: killing it")
            _signal(signalled, signal.SIGKILL)
            deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether a process still runs; a zombie has no command line."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended
    except PermissionError as error:
        raise LocalPlatformError(f"process {pid} belongs to root: run the same command with sudo") from error


def end_on_signals(stop_event: threading.Event) -> None:
    """Set the event on SIGTERM and Ctrl-C."""

    def end(number: int, _frame: FrameType | None) -> None:
        LOGGER.info("signal %s: stopping", signal.Signals(number).name)
        stop_event.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def main() -> int:
    """The background process of `start`."""
    parser = argparse.ArgumentParser(prog="yellowdog_local.service.daemon", description=main.__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--report", type=int, required=True, help="descriptor for the outcome, one line of JSON")
    parser.add_argument("--hosts", type=HostKind, default=HostKind.AUTO, help="the kind of hosts")
    parser.add_argument("--speed", type=float, default=REAL_TIME, help="seconds of the platform's clock per second")
    parser.add_argument("--profile", type=Path, help="a JSON file of settings")
    parser.add_argument("--seed", type=Path, help="a file of resources")
    arguments = parser.parse_args()
    os.chdir("/")  # the caller's directory must stay removable
    os.set_inheritable(arguments.report, False)  # otherwise every host would keep the pipe open
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ending = threading.Event()
    end_on_signals(ending)

    def report(**outcome: object) -> None:
        try:
            with os.fdopen(arguments.report, "wb") as pipe:
                pipe.write(json.dumps(outcome).encode() + b"\n")
        except BrokenPipeError:
            LOGGER.warning("the starting command ended before the platform was ready")

    try:
        directory = PlatformDirectory(arguments.dir)
        run(
            directory,
            arguments.port,
            lambda state: report(**vars(state)),
            ending,
            arguments.hosts,
            arguments.speed,
            arguments.profile,
            arguments.seed,
        )
    except LocalPlatformError as error:
        LOGGER.error("%s", error)  # noqa: TRY400 (one sentence for the user, without a traceback)
        report(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
