"""Shows RayDog's main use in a terminal: a Ray cluster on a local platform starts, grows, shrinks and is torn down.

Runs a user's commands, and reads the platform through the official SDK only. Started by scripts/demo.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from dotenv import dotenv_values
from rich.console import Console
from yellowdog_client import PlatformClient
from yellowdog_client.model import ApiKey, InstanceSearch, InstanceStatus, ServicesSchema, TaskSearch, TaskStatus

REPOSITORY = Path(__file__).resolve().parents[2]
YAML = REPOSITORY / "examples/local/raydog.yaml"
YAML_USER = "ssh_user: yd-agent"
JOB = "examples/local/two_workers.py"
BIN = Path(sys.executable).parent
SHRINK_SECONDS = 90
_LIVE_TASKS = [status for status in TaskStatus if not status.finished]
_LIVE_INSTANCES = [InstanceStatus.PENDING, InstanceStatus.RUNNING, InstanceStatus.TERMINATING]

console = Console(highlight=False)


class DemoError(Exception):
    """A step failed. The text names it, with the last lines of its output."""


class Demo:
    """One run of the demonstration."""

    def __init__(self, hosts: str) -> None:
        self.hosts = hosts
        self.yaml = str(YAML.relative_to(REPOSITORY))
        self.began = time.monotonic()
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("YD_")}
        self.env |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_UP_enable_autoscaler_v2": "1"}
        self.started_platform = False
        self.cluster_may_exist = False
        self._client: PlatformClient | None = None

    # Steps

    def run_all(self, *, keep: bool) -> None:
        """Run all steps.

        Raises:
            DemoError: a step failed.
        """
        self.step("A YellowDog platform on this machine")
        self.start_platform()
        self.step("ray up: the head node")
        self.cluster_may_exist = True
        self.run("ray", "up", "-y", self.yaml)
        self.show("the head is up")
        self.step("ray submit: a job that needs two workers at once")
        self.watch_job()
        self.show_ray_status()
        self.step("raydog status: the same cluster as YellowDog shows it, without SSH")
        self.run("raydog", "status", self.yaml)
        if keep:
            self.print_next_steps()
            return
        self.step("No more work: the cluster shrinks to its head")
        self.wait_for_shrink()
        self.step("ray down")
        self.run("ray", "down", "-y", self.yaml)
        self.cluster_may_exist = False
        self.step("raydog events: what has happened, also after the cluster's end")
        self.run("raydog", "events", self.yaml)
        self.check_nothing_is_left()

    def start_platform(self) -> None:
        """Start the local platform, or use the running one."""
        with tempfile.TemporaryDirectory() as directory:
            env_file = Path(directory) / "platform.env"
            running = self.quiet("raydog", "local", "status").returncode == 0
            if running:
                self.line("a local platform is already running: using it")
            how = ["env"] if running else ["start", "--hosts", self.hosts]
            self.run("raydog", "local", *how, "--env-file", str(env_file))
            self.started_platform = not running
            values = {name: str(value) for name, value in dotenv_values(env_file).items()}
        self.env |= values
        self.adapt_yaml()
        self._client = PlatformClient.create(
            ServicesSchema(defaultUrl=values["YD_API_URL"]),
            ApiKey(values["YD_API_KEY_ID"], values["YD_API_KEY_SECRET"]),
        )

    def adapt_yaml(self) -> None:
        """Report the kind of hosts, and use the login user of that kind."""
        status = json.loads(self.quiet("raydog", "local", "status", "--json").stdout)
        self.line(f"its hosts are {status['hostKind']} hosts: {status['hostKindBecause']}")
        text = YAML.read_text(encoding="utf-8")
        if YAML_USER not in text:
            raise DemoError(f"{YAML} does not contain `{YAML_USER}`")
        wanted = f"ssh_user: {status['sshUser']}"
        if wanted == YAML_USER:
            return
        own = Path(status["directory"], "demo.yaml")
        own.write_text(text.replace(YAML_USER, wanted), encoding="utf-8")
        self.yaml = str(own)
        self.line(f"their login user is {status['sshUser']}: {own} is {YAML.name} with that user")

    def watch_job(self) -> None:
        """Run the job, and show each change of the cluster on the platform in the meantime."""
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            output = self.run("ray", "submit", self.yaml, JOB)
        finally:
            done.set()
            watcher.join()
        if "met on 2 workers" not in output:
            raise DemoError("the job did not run on two workers")
        if self.counts()[0] != 2:
            raise DemoError("the platform does not show two workers")

    def _watch(self, done: threading.Event) -> None:
        before = self.counts()
        while not done.wait(0.5):
            now = self.counts()
            if now != before:
                self.show("change")
                before = now

    def wait_for_shrink(self) -> None:
        """Wait until Ray has terminated all workers and the platform has terminated their instances."""
        deadline = time.monotonic() + SHRINK_SECONDS
        before = None
        while (now := self.counts()) != (0, 1):
            if now != before:
                self.show("shrinking")
                before = now
            if time.monotonic() > deadline:
                raise DemoError(f"the cluster did not shrink within {SHRINK_SECONDS} s")
            time.sleep(0.5)
        self.show("shrunk")

    def check_nothing_is_left(self) -> None:
        """Check the platform, then stop it, which checks this machine."""
        workers, instances = self.counts()
        if workers or instances:
            raise DemoError(f"the platform still shows {workers} tasks and {instances} instances")
        self.line("the platform shows no task and no instance")
        if self.started_platform:
            self.run("raydog", "local", "stop")
            self.started_platform = False

    def print_next_steps(self) -> None:
        """For --keep: print commands for the running cluster."""
        exports = " ".join(f"{name}={self.env[name]}" for name in ("YD_API_URL", "YD_API_KEY_ID", "YD_API_KEY_SECRET"))
        self.step("The cluster keeps running. Try next")
        for command in (
            f"export {exports}",
            f"source {BIN}/activate",
            f"ray exec {self.yaml} 'ray status'",
            f"ray attach {self.yaml}",
            f"ray dashboard {self.yaml}          # then open http://127.0.0.1:8265",
            f"ray submit {self.yaml} examples/local/sleep.py",
            f"raydog status {self.yaml}",
            f"raydog events {self.yaml}",
            "raydog local status",
            f"ray down -y {self.yaml}",
            "raydog local stop",
        ):
            console.print(f"    {command}", soft_wrap=True)

    # Reading the platform and Ray

    def counts(self) -> tuple[int, int]:
        """Numbers of live workers and of live instances on the platform."""
        client = self._client
        if client is None:
            return 0, 0
        tasks = client.work_client.get_tasks(TaskSearch(statuses=_LIVE_TASKS)).list_all()
        instances = client.compute_client.get_instances(InstanceSearch(statuses=_LIVE_INSTANCES)).list_all()
        return sum(not (task.name or "").startswith("head-") for task in tasks), len(instances)

    def show(self, what: str) -> None:
        """Print the platform's counts in one line."""
        workers, instances = self.counts()
        self.line(f"platform ({what}): {workers} worker task(s), {instances} instance(s) with the head's")

    def show_ray_status(self) -> None:
        """Print the first lines of `ray status`."""
        status = self.quiet("ray", "exec", self.yaml, "ray status").stdout
        body = status[status.find("Node status") :] if "Node status" in status else status
        for text in body.splitlines()[:14]:
            self.line(f"Ray: {text}")

    # Output and commands

    @property
    def elapsed(self) -> str:
        """Time since the start, for example `  12.3 s`."""
        return f"{time.monotonic() - self.began:6.1f} s"

    def step(self, title: str) -> None:
        """Print a heading."""
        console.print(f"\n[bold cyan]{self.elapsed}  {title}[/]")

    def line(self, text: str) -> None:
        """Print a line with the elapsed time."""
        console.print(f"[dim]{self.elapsed}[/]  {text}", markup=True, soft_wrap=True)

    def run(self, *command: str) -> str:
        """Run a command, show its output, and return it.

        Raises:
            DemoError: the command failed.
        """
        if command[0] == "ray":
            # Without a terminal Ray selects the log format of a daemon.
            command = (*command[:2], "--log-style=pretty", *command[2:])
        console.print(f"[dim]{self.elapsed}[/]  [bold]$ {' '.join(command)}[/]", soft_wrap=True)
        printed: list[str] = []
        tail: deque[str] = deque(maxlen=15)
        with subprocess.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=REPOSITORY,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                for text in process.stdout or ():
                    printed.append(text)
                    tail.append(text)
                    console.print(f"          | {text.rstrip()}", markup=False, style="dim", soft_wrap=True)
            except KeyboardInterrupt:
                process.terminate()
                raise
        if process.returncode != 0:
            raise DemoError(f"`{' '.join(command)}` exited with {process.returncode}. Its last lines:\n{''.join(tail)}")
        return "".join(printed)

    def quiet(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command without output on the terminal."""
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            cwd=REPOSITORY,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def clean_up(self) -> None:
        """After a failure: show the platform's log, tear down the cluster, stop the platform."""
        if self.started_platform:
            logs = self.quiet("raydog", "local", "logs").stdout.splitlines()[-20:]
            self.step("The last lines of the platform's log (complete: ~/.raydog/local)")
            for text in logs:
                console.print(f"    {text}", markup=False, soft_wrap=True)
        self.step("Cleaning up")
        if self.cluster_may_exist:
            self.quiet("ray", "down", "-y", self.yaml)
        if self.started_platform:
            console.print(self.quiet("raydog", "local", "stop").stdout, markup=False)


def main() -> int:
    """Run the demonstration; 0 means success."""
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("--keep", action="store_true", help="leave the cluster and the platform running")
    parser.add_argument("--hosts", default="auto", choices=["auto", "namespace", "process"], help="the kind of hosts")
    arguments = parser.parse_args()
    demo = Demo(arguments.hosts)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up after SIGTERM too
    try:
        demo.run_all(keep=arguments.keep)
    except (DemoError, KeyboardInterrupt) as error:
        console.print(f"\n[bold red]{demo.elapsed}  Failed:[/] ", end="")
        console.print(str(error) or "interrupted", markup=False)
        demo.clean_up()
        return 1
    demo.step("Done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
