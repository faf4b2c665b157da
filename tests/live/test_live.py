"""Live runs: refused without an account, and cleaned up after however they end. On a local platform."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from requests import ConnectionError as NoConnection
from yellowdog_client.model import (
    ComputeRequirementTemplateUsage,
    ProvisionedWorkerPoolProperties,
    RunSpecification,
    TaskGroup,
    WorkRequirement,
)

from tests.live import life
from tests.live.__main__ import main as command
from tests.live.account import OPTIONS, VARIABLES, Account, AccountError, NoAccountError
from tests.live.guardian import LEFT, MARKER, REMOVED, Guardian, removal_command, remove
from tests.live.life import MACHINES, LifeFailed, _step, cluster_yaml, live
from tests.ssh_keys import write_key
from yellowdog_local.state.profiles import load_profile
from yellowdog_local.state.settings import Settings
from yellowdog_local.testing import RunningPlatform, local_platform

ROOT = Path(__file__).parents[2]
PROFILES = sorted((ROOT / "tests/live/profiles").glob("*.json"))
CLUSTER = "raydog-live-0badcafe-v2"
MAKER = """
import signal, sys, time
from pathlib import Path
from tests.live.guardian import Guardian
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that run in the background inherit that it is ignored
with Guardian(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]), settling=0):
    print("ready", flush=True)
    time.sleep(60)
"""
"""A process that makes a cluster, under a guardian."""


@pytest.fixture
def variables(tmp_path):
    """An environment with every variable of a live run."""
    key = write_key(tmp_path / "key")
    return {**dict.fromkeys(VARIABLES, "x"), "RAYDOG_LIVE_NAMESPACE": "demo", "RAYDOG_LIVE_SSH_KEY": str(key)}


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_profile_changes_every_setting_it_names(profile):
    settings, defaults = load_profile(profile), Settings()

    names = json.loads(profile.read_text())
    assert names
    assert [name for name in names if getattr(settings, name) == getattr(defaults, name)] == []


class TestAccount:
    def test_missing_variables_are_named(self, variables):
        del variables["YD_API_KEY_ID"]
        variables["RAYDOG_LIVE_TEMPLATE"] = ""

        with pytest.raises(NoAccountError, match=r"set YD_API_KEY_ID, RAYDOG_LIVE_TEMPLATE$"):
            Account.of(variables)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RAYDOG_LIVE_SSH_KEY", "/nowhere"),
            ("RAYDOG_LIVE_USERDATA", "/nowhere"),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "many"),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "nan"),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "inf"),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "0.5"),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "1441"),
        ],
    )
    def test_invalid_value_is_refused(self, variables, name, value):
        with pytest.raises(AccountError, match=value) as refusal:
            Account.of({**variables, name: value})
        assert not isinstance(refusal.value, NoAccountError)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("RAYDOG_LIVE_SSH_KEY", "/nowhere"),
            ("RAYDOG_LIVE_SSH_KEY", str(ROOT)),
            ("RAYDOG_LIVE_SSH_KEY", __file__),
            ("RAYDOG_LIVE_USERDATA", str(ROOT)),
            ("RAYDOG_LIVE_MACHINE_MINUTES", "many"),
            ("YD_API_URL", "127.0.0.1:9"),
            ("YD_API_KEY_ID", "line\nbreak"),
        ],
    )
    def test_error_names_the_variable(self, variables, name, value):
        with pytest.raises(AccountError, match=name):
            Account.of({**variables, name: value})

    def test_secret_is_not_in_the_error(self, variables):
        with pytest.raises(AccountError, match="YD_API_KEY_SECRET") as refusal:
            Account.of({**variables, "YD_API_KEY_SECRET": "hidden\n"})
        assert "hidden" not in str(refusal.value)

    def test_ssh_key_is_absolute_for_a_relative_path(self, variables, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

        assert Account.of({**variables, "RAYDOG_LIVE_SSH_KEY": "key"}).ssh_key == tmp_path / "key"

    def test_machine_minutes_limit_the_lifetime_of_all_machines(self, variables):
        account = Account.of({**variables, "RAYDOG_LIVE_MACHINE_MINUTES": "30"})

        provider = cluster_yaml(account, CLUSTER, account.machine_minutes * 60 / MACHINES)["provider"]

        assert provider["cluster_lifetime_hours"] * 60 * MACHINES == 30


def test_command_without_an_account_is_skipped_with_the_variables():
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}

    done = subprocess.run(
        [sys.executable, "-m", "tests.live"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50
    )

    assert done.returncode == 0
    assert f"SKIPPED: set {', '.join(VARIABLES)}\n" in done.stdout


def test_command_with_an_invalid_account_fails(variables, monkeypatch, capsys):
    monkeypatch.setattr("os.environ", {**variables, "RAYDOG_LIVE_MACHINE_MINUTES": "nan"})
    monkeypatch.setattr("sys.argv", ["live"])

    assert command() == 2
    assert "SKIPPED" not in capsys.readouterr().out


def test_command_fails_without_traceback_when_the_output_is_closed():
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    reader, writer = os.pipe()
    os.close(reader)

    with os.fdopen(writer, "w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "tests.live"],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=50,
        )

    assert (done.returncode, done.stderr) == (1, "FAILED: the output was closed\n")


class TestStep:
    @pytest.mark.parametrize(
        "error", [AssertionError("503"), subprocess.TimeoutExpired("ray", 503), NoConnection("503")], ids=repr
    )
    def test_failure_is_printed_at_once(self, capsys, error):
        with pytest.raises(LifeFailed, match=r"ray up: .*503"), _step("ray up"):
            raise error

        assert "ray up: FAILED" in capsys.readouterr().out

    @pytest.mark.parametrize("error", [SystemExit(143), KeyboardInterrupt()], ids=repr)
    def test_interruption_is_printed_at_once(self, capsys, error):
        with pytest.raises(type(error)), _step("ray up"):
            raise error

        assert "ray up: interrupted" in capsys.readouterr().out


def test_life_starts_nothing_when_the_platform_cannot_be_read(variables, monkeypatch):
    guardian = Mock()
    monkeypatch.setattr(life, "Guardian", guardian)
    account = Account.of({**variables, "YD_API_URL": "http://127.0.0.1:9"})

    with pytest.raises(LifeFailed, match=r"http://127\.0\.0\.1:9 cannot be read, and nothing was started"):
        live(account, "v2", CLUSTER)

    guardian.assert_not_called()


class TestReport:
    @pytest.fixture
    def guardian(self, tmp_path):
        guardian = Guardian(CLUSTER, 1, tmp_path / "guardian.log")
        guardian.log.touch()
        return guardian

    @pytest.fixture
    def run(self, variables, tmp_path, monkeypatch, guardian):
        """Runs a life that ends with an error, under a guardian that has this report."""

        def run(error: BaseException, status: int, *, text: str = "removing work requirement x") -> None:
            ready = "import os, sys; os.write(int(sys.argv[1]), b'.')"
            code = f"{ready}; sys.stdin.read(); sys.stdout.write({text!r}); sys.exit({status})"
            guardian._command = [sys.executable, "-c", code]
            monkeypatch.setattr(life, "Guardian", lambda *_: guardian)
            monkeypatch.setattr(life, "_Life", Mock(side_effect=error))
            monkeypatch.setattr(life, "_ray", Mock())
            monkeypatch.setattr(life, "ClusterView", Mock())
            with pytest.raises((type(error), LifeFailed)):
                live(Account.of(variables), "v2", CLUSTER)

        return run

    @pytest.mark.parametrize("error", [SystemExit(143), OSError("full"), KeyboardInterrupt()], ids=repr)
    def test_report_is_printed_and_log_kept_whatever_ends_the_life(self, run, guardian, capsys, error):
        run(error, LEFT)

        assert "removing work requirement x" in capsys.readouterr().out
        assert guardian.log.exists()

    def test_log_is_removed_when_nothing_is_left(self, run, guardian):
        run(SystemExit(143), REMOVED)

        assert not guardian.log.exists()

    def test_removal_command_is_printed_when_something_may_be_left(self, run, guardian, capsys):
        run(SystemExit(143), LEFT)

        assert f"read {guardian.log}, and run `{removal_command(CLUSTER)}`" in capsys.readouterr().out

    def test_guardian_that_ends_without_a_word_is_reported(self, run, guardian, capsys):
        run(SystemExit(143), 9, text="")

        assert "the guardian has ended with 9" in capsys.readouterr().out

    def test_report_is_on_stderr_when_the_output_is_closed(self, run, guardian, capsys, monkeypatch):
        def fail(*arguments, file=sys.stdout, **options):
            if file is not sys.stderr and "guardian:" in arguments[0]:
                raise BrokenPipeError
            file.write(arguments[0])

        monkeypatch.setattr(life, "print", fail, raising=False)

        run(BrokenPipeError(), LEFT)

        assert "removing work requirement x" in capsys.readouterr().err

    def test_life_starts_nothing_without_a_guardian(self, variables, monkeypatch, guardian):
        guardian._command = [sys.executable, "-c", "raise SystemExit('no memory')"]
        begun = Mock()
        monkeypatch.setattr(life, "Guardian", lambda *_: guardian)
        monkeypatch.setattr(life, "_Life", begun)
        monkeypatch.setattr(life, "ClusterView", Mock())

        with pytest.raises(LifeFailed, match=r"the guardian has ended with 1: no memory"):
            live(Account.of(variables), "v2", CLUSTER)

        begun.assert_not_called()


class TestRemove:
    @pytest.fixture
    def clock(self, monkeypatch):
        """The seconds slept so far."""
        slept = [0.0]
        clock = SimpleNamespace(sleep=lambda seconds: slept.append(slept.pop() + seconds), monotonic=lambda: slept[0])
        monkeypatch.setattr("tests.live.guardian.time", clock)
        monkeypatch.setattr("tests.live.guardian._end_commands", lambda _: None)
        return slept

    @pytest.mark.parametrize("settling", [5.0, 0.0])
    def test_two_readings_of_nothing_have_a_pause_between(self, clock, settling):
        view = Mock(remove=Mock(return_value=([], {})))

        assert remove(view, CLUSTER, settling) == 0
        assert clock[0] == max(1.0, settling)

    def test_cluster_that_lists_show_late_is_removed(self, clock):
        ended = []

        def view_remove():
            if clock[0] < 3 or ended:
                return [], {}
            ended.append(clock[0])
            return ["work requirement x"], {}

        assert remove(Mock(remove=view_remove), CLUSTER, 5.0) == REMOVED
        assert ended == [3]

    def test_cluster_that_does_not_end_is_reported(self, clock, capfd):
        assert remove(Mock(remove=Mock(return_value=(["worker pool x"], {}))), CLUSTER, 5.0) == LEFT
        assert f"LEFT: worker pool x: run `{removal_command(CLUSTER)}`" in capfd.readouterr().out

    def test_cluster_is_removed_when_the_log_cannot_be_written(self, clock, monkeypatch):
        monkeypatch.setattr("tests.live.guardian.os.write", Mock(side_effect=OSError("no space left on device")))
        view = Mock(remove=Mock(side_effect=[(["worker pool x"], {}), ([], {}), ([], {})]))

        assert remove(view, CLUSTER, 0.0) == REMOVED


def test_help_of_scripts_test_names_every_variable():
    text = (ROOT / "scripts/test").read_text()

    assert [name for name in {**VARIABLES, **OPTIONS} if name not in text] == []


class TestGuardian:
    @pytest.fixture
    def local(self):
        with local_platform() as local:
            yield local

    @pytest.fixture
    def environment(self, local, variables):
        key = {"YD_API_URL": local.url, "YD_API_KEY_ID": local.key_id, "YD_API_KEY_SECRET": local.key_secret}
        return {**os.environ, **variables, **key}

    @pytest.fixture
    def start(self, environment, tmp_path):
        """Starts a process that makes a cluster."""
        processes = []

        def start(seconds: float = 50) -> subprocess.Popen[str]:
            command = [sys.executable, "-c", MAKER, CLUSTER, str(seconds), str(tmp_path / "guardian.log")]
            maker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            processes.append(maker)
            assert maker.stdout
            assert maker.stdout.readline() == "ready\n"
            return maker

        yield start
        for process in processes:
            process.stdout.close()
            process.kill()
            process.wait()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda number: number.name)
    def test_cluster_and_commands_end_with_the_process_that_makes_it(self, local, start, environment, tmp_path, number):
        maker = start()
        Path(environment["RAYDOG_LIVE_SSH_KEY"]).unlink()
        command = subprocess.Popen(["sleep", "60"], env={**environment, MARKER: CLUSTER})
        make_cluster(local, CLUSTER)
        make_cluster(local, "another")

        maker.send_signal(number)

        assert command.wait(30) == -signal.SIGKILL
        assert "removed; nothing is left" in report(tmp_path)
        assert alive(local) == ["another", "another-head-0badcafe", "another-head-0badcafe"]

    def test_cluster_and_process_end_when_the_machine_minutes_are_used_up(self, local, start, tmp_path):
        maker = start(seconds=0.5)
        make_cluster(local, CLUSTER)

        assert maker.wait(30) == -signal.SIGTERM
        assert "removed; nothing is left" in report(tmp_path)
        assert alive(local) == []


def make_cluster(local: RunningPlatform, name: str) -> None:
    """A work requirement and a pool with a machine, as `ray up` makes them."""
    group = TaskGroup(name="head", runSpecification=RunSpecification(["bash"]), finishIfAllTasksFinished=False)
    pool = f"{name}-head-0badcafe"
    usage = ComputeRequirementTemplateUsage("demo/local", pool, "demo", targetInstanceCount=1)
    with local.client() as client:
        client.work_client.add_work_requirement(WorkRequirement("demo", name, [group]))
        client.worker_pool_client.provision_worker_pool(usage, ProvisionedWorkerPoolProperties())


def alive(local: RunningPlatform) -> list[str]:
    """The names of all unfinished work requirements, pools and compute requirements."""
    store = local.platform.store
    names = [str(work.entity.name) for work in store.works.values() if not work.status.finished]
    names += [pool.name for pool in store.open_pools.values()]
    names += [str(one.entity.name) for one in store.requirements.values() if str(one.entity.status) != "TERMINATED"]
    return names


def report(folder: Path) -> str:
    """The guardian's report, once it has ended."""
    log = folder / "guardian.log"
    wait(lambda: "nothing is left" in log.read_text() or "LEFT" in log.read_text())
    return log.read_text()


def wait(condition: Callable[[], bool]) -> None:
    """Wait for another process."""
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
