"""Runs the local platform: in this process, or in the background. Knows no command line and prints nothing.

`run` is the platform's whole life. `start` has it in a process of its own, which tells through a pipe when it is ready
or why it cannot be; `stop` ends that process, and looks whether anything is left.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from yellowdog_local.hosts import leftovers
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.hosts.kinds import Choice, HostKind, choose
from yellowdog_local.hosts.loopback import LoopbackError
from yellowdog_local.hosts.namespace import NamespaceHosts
from yellowdog_local.hosts.network import NetworkError
from yellowdog_local.hosts.process import ProcessHosts
from yellowdog_local.hosts.real import HostError, RealHosts
from yellowdog_local.hosts.requirements import MissingRequirementError
from yellowdog_local.hosts.rootfs import ImageError
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory, State

LOGGER = logging.getLogger(__name__)
DEFAULT_PORT = 8700
LOOPBACK = "127.0.0.1"
REAL_TIME = 1.0
START_PATIENCE_SECONDS = 60.0
STOP_PATIENCE_SECONDS = 90.0
SERVER_PACKAGES = ("starlette", "uvicorn")

Progress = Callable[[str], None]


def check_machine(wish: HostKind = HostKind.AUTO) -> Choice:
    """Refuse a machine, or an installation, that cannot run the platform; otherwise say which hosts it will have.

    Args:
        wish: the kind of hosts that was asked for.

    Raises:
        LocalPlatformError: what is missing, and how to get it.
    """
    missing = [name for name in SERVER_PACKAGES if find_spec(name) is None]
    if missing:
        raise LocalPlatformError(
            f"the local platform needs {' and '.join(missing)}: run `pip install 'yellowdog-ray[local]'`"
        )
    try:
        return choose(wish)
    except MissingRequirementError as error:
        raise LocalPlatformError(str(error)) from error


def check_speed(speed: float, wish: HostKind) -> None:
    """Refuse a speed that cannot be kept.

    Args:
        speed: seconds of the platform in a real second.
        wish: the kind of hosts; what runs on real ones takes real time.

    Raises:
        LocalPlatformError: what is wrong with it, and what to do.
    """
    if not (math.isfinite(speed) and speed > 0):
        raise LocalPlatformError(f"--speed must be above 0, not {speed:g}: 100 lets a day pass in 15 minutes")
    if speed != REAL_TIME and wish is not HostKind.SIMULATED:
        raise LocalPlatformError("--speed needs --hosts simulated: real hosts run in real time")


def run(
    directory: PlatformDirectory,
    port: int,
    ready: Callable[[State], None],
    stop: threading.Event,
    wish: HostKind = HostKind.AUTO,
    speed: float = REAL_TIME,
) -> None:
    """Be the platform until `stop` is set; nothing of it is left afterwards.

    Args:
        directory: where keys, logs and disks are.
        port: where to listen, at the address that hosts can reach, or on 127.0.0.1 if they are simulated.
        ready: told once, when clients may come.
        stop: ends it.
        wish: the kind of hosts.
        speed: seconds of the platform in a real second; other than 1 with simulated hosts only.

    Raises:
        LocalPlatformError: it cannot be started.
    """
    check_speed(speed, wish)
    choice = check_machine(wish)
    LOGGER.info("%s hosts: %s", choice.kind.value, choice.why)
    directory.prepare(with_ssh_key=choice.kind is not HostKind.SIMULATED)
    with directory.locked():
        directory.forget_state()  # what a killed platform wrote
        try:
            if choice.kind is HostKind.SIMULATED:
                _run_simulated(directory, port, ready, stop, choice, speed)
            else:
                _run_hosts(directory, port, ready, stop, choice)
        finally:
            directory.forget_state()
            LOGGER.info("ended")
        _check_nothing_left(directory)


def _run_hosts(
    directory: PlatformDirectory, port: int, ready: Callable[[State], None], stop: threading.Event, choice: Choice
) -> None:
    make = ProcessHosts if choice.kind is HostKind.PROCESS else NamespaceHosts
    hosts: RealHosts = make(directory.path, directory.public_key())

    def announce(url: str) -> None:
        ready(directory.write_state(url, hosts.kind, choice.why, hosts.ssh_user))

    try:
        _open(hosts)
        _check_port(hosts.gateway, port)
        hosts.platform_url = f"http://{hosts.gateway}:{port}"
        _serve(directory, hosts, hosts.gateway, port, announce, stop)
    finally:
        LOGGER.info("ending all hosts")
        hosts.close()


def _run_simulated(
    directory: PlatformDirectory,
    port: int,
    ready: Callable[[State], None],
    stop: threading.Event,
    choice: Choice,
    speed: float,
) -> None:
    from yellowdog_local.hosts.simulated import SimulatedHosts

    _check_port(LOOPBACK, port)
    hosts = SimulatedHosts()

    def announce(url: str) -> None:
        ready(directory.write_state(url, hosts.kind, choice.why, ssh_user=""))

    _serve(directory, hosts, LOOPBACK, port, announce, stop, speed)


def _check_nothing_left(directory: PlatformDirectory) -> None:
    left = leftovers.find(directory.path)
    if left:
        raise LocalPlatformError(f"still there: {', '.join(left)}; run `raydog local stop` (as root)")


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
    speed: float = REAL_TIME,
) -> None:
    # Here and not above: `status` and `logs` must answer quickly, and without the server's packages.
    from yellowdog_local.platform import LocalPlatform
    from yellowdog_local.service.server import serve
    from yellowdog_local.state.clock import AcceleratedClock, RealClock
    from yellowdog_local.state.settings import Settings

    def announce(url: str) -> None:
        LOGGER.info("ready at %s", url)
        ready(url)

    key = directory.api_key()
    clock = RealClock() if speed == REAL_TIME else AcceleratedClock(speed)
    platform = LocalPlatform(settings=Settings(), clock=clock, hosts=hosts, api_key=(key.key_id, key.secret))
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


def start(directory: PlatformDirectory, port: int, wish: HostKind = HostKind.AUTO, speed: float = REAL_TIME) -> State:
    """Run the platform in the background, and return when it is ready.

    Args:
        directory: where keys, logs and disks are.
        port: where to listen.
        wish: the kind of hosts.
        speed: seconds of the platform in a real second; other than 1 with simulated hosts only.

    Raises:
        LocalPlatformError: it did not start.
    """
    check_speed(speed, wish)
    choice = check_machine(wish)
    directory.prepare(with_ssh_key=choice.kind is not HostKind.SIMULATED)
    if directory.is_running():
        raise LocalPlatformError(directory.already_running())
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "yellowdog_local.service.daemon", "--dir", str(directory.path)]
    command += ["--port", str(port), "--report", str(writing), "--hosts", wish.value, "--speed", str(speed)]
    with os.fdopen(reading, "rb") as report:
        with directory.new_log() as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writing],
                start_new_session=True,  # it outlives the terminal it was started from
            )
        os.close(writing)
        if not select.select([report], [], [], START_PATIENCE_SECONDS)[0]:
            process.kill()
            process.wait()
            raise LocalPlatformError(
                f"the platform was not ready within {START_PATIENCE_SECONDS:.0f} s and was ended: see {directory.log}"
            )
        line = report.readline()
    if not line:
        process.wait()
        raise LocalPlatformError(f"the platform ended while it started: see the last lines of {directory.log}")
    said = json.loads(line)
    if "error" in said:
        process.wait()
        raise LocalPlatformError(said["error"])
    return State(**said)


def stop(directory: PlatformDirectory, progress: Progress) -> bool:
    """End the platform of a directory, and remove what one that was killed has left.

    Args:
        directory: whose platform.
        progress: told what is being waited for.

    Returns:
        Whether one was running.

    Raises:
        LocalPlatformError: it could not be ended, or something is left; the message names it.
    """
    was_running = directory.is_running()
    if was_running:
        _end_process(directory, progress)
    progress("looking for anything that is left")
    try:
        leftovers.clean(directory.path)
    except NetworkError as error:
        if os.geteuid() != 0:
            raise LocalPlatformError("removing what is left needs root: run the same command with sudo") from error
        raise LocalPlatformError(str(error)) from error
    directory.forget_state()
    _check_nothing_left(directory)
    return was_running


def _end_process(directory: PlatformDirectory, progress: Progress) -> None:
    deadline = time.monotonic() + STOP_PATIENCE_SECONDS
    signalled: int | None = None
    while directory.is_running() or (signalled is not None and _lives(signalled)):
        state = directory.running()
        if state is not None and signalled != state.pid:
            progress(f"ending process {state.pid} and its hosts")
            _signal(state.pid, signal.SIGTERM)
            signalled = state.pid
        if time.monotonic() > deadline:
            if signalled is None:
                raise LocalPlatformError(f"the platform in {directory.path} neither gets ready nor ends: see its log")
            progress(f"process {signalled} does not end: killing it")
            _signal(signalled, signal.SIGKILL)
            deadline = time.monotonic() + STOP_PATIENCE_SECONDS
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether a process still runs; one that is dead and not yet waited for has no command line any more."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended by itself
    except PermissionError as error:
        raise LocalPlatformError(f"process {pid} belongs to root: run the same command with sudo") from error


def end_on_signals(stop_event: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C end the platform in order."""

    def end(number: int, _frame: FrameType | None) -> None:
        LOGGER.info("signal %s: ending", signal.Signals(number).name)
        stop_event.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def main() -> int:
    """The background process of `start`."""
    parser = argparse.ArgumentParser(prog="yellowdog_local.service.daemon", description=main.__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--report", type=int, required=True, help="descriptor that is told the outcome, one JSON line")
    parser.add_argument("--hosts", type=HostKind, default=HostKind.AUTO, help="the kind of hosts")
    parser.add_argument("--speed", type=float, default=REAL_TIME, help="seconds of the platform in a real second")
    arguments = parser.parse_args()
    os.chdir("/")  # it must not hold on to the directory that somebody stood in
    os.set_inheritable(arguments.report, False)  # or every host would hold the pipe open
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ending = threading.Event()
    end_on_signals(ending)

    def tell(**said: object) -> None:
        try:
            with os.fdopen(arguments.report, "wb") as pipe:
                pipe.write(json.dumps(said).encode() + b"\n")
        except BrokenPipeError:
            LOGGER.warning("who started the platform did not wait for it")

    try:
        directory = PlatformDirectory(arguments.dir)
        run(directory, arguments.port, lambda state: tell(**vars(state)), ending, arguments.hosts, arguments.speed)
    except LocalPlatformError as error:
        LOGGER.error("%s", error)  # noqa: TRY400 (it is one clear sentence; a traceback would hide it)
        tell(error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
