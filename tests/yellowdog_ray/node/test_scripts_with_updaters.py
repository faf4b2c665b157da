"""The default task scripts with Ray's updaters, run by a real bash. Ray, processes and time are fakes made of files."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.yellowdog_ray.node.fake_home import make_home
from yellowdog_ray.node.scripts import (
    HEAD_SCRIPT,
    WORKER_SCRIPT,
    in_task_environment,
    wait_for_ray_command,
    wait_for_raylet_command,
)

NODE = "worker-1"

RAY = """
[ "$1" = start ] || exit 0
ls -a "$HOME/.raydog" > "$HOME/at-start"
"""

# Time is the number of calls; the updater finishes at the third second.
SLEEP = """
echo >> "$HOME/slept"
[ "$(wc -l < "$HOME/slept")" -ne 3 ] || touch "$HOME/.raydog/set-up"
"""

# A raylet runs from the second poll to the sixth.
PGREP = """
echo >> "$HOME/polled"
polls=$(wc -l < "$HOME/polled")
[ "$polls" -ge 2 ] && [ "$polls" -le 6 ] && cat "$HOME/raylet"
"""


@pytest.fixture
def home(tmp_path):
    """The home of a node with the commands above."""
    programs = {"ray": RAY, "sleep": SLEEP, "pgrep": PGREP}
    return make_home(tmp_path, {name: f"#!/bin/bash\n{text}" for name, text in programs.items()})


def run(script: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "YD_AGENT_HOME": str(home), "RAY_HEAD_IP": "10.0.0.1", **variables}
    return subprocess.run(
        ["bash", "-c", script],
        env={"RAY_CLOUD_INSTANCE_ID": NODE, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.parametrize("script", [HEAD_SCRIPT, WORKER_SCRIPT])
def test_default_scripts_are_valid_bash_and_stop_ray(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)

    assert "trap finish EXIT" in script
    assert "ray stop" in script
    assert "--block" in script


@pytest.mark.parametrize(
    "command",
    [
        wait_for_ray_command(),
        wait_for_ray_command(default_script=False),
        wait_for_raylet_command(),
        in_task_environment("true"),
    ],
)
def test_start_commands_are_valid_bash(command):
    subprocess.run(["bash", "-n"], input=command, text=True, check=True)


def test_head_start_command_waits_for_rays_address_file(home):
    """Ray listens before it writes the file with its address."""
    (home / "venv/bin/sleep").write_text("""#!/bin/bash
echo >> "$HOME/slept"
case $(wc -l < "$HOME/slept") in
  150) touch "$HOME/listening" ;;
  160) mkdir "$HOME/ray" && echo 10.0.0.1:6379 > "$HOME/ray/ray_current_cluster" ;;
esac
""")
    command = wait_for_ray_command(default_script=False)
    listening = "(exec 3<>/dev/tcp/127.0.0.1/6379) 2>/dev/null"
    assert listening in command

    done = run(
        f"PATH={home}/venv/bin:$PATH; {command.replace(listening, '[ -f ~/listening ]')}", home, RAY_TMPDIR=str(home)
    )

    assert (done.returncode, lines(home / "slept")) == (0, 160)


def test_script_starts_ray_at_once_without_updater(home):
    done = run(WORKER_SCRIPT, home)

    assert (home / "at-start").exists()
    assert "Waiting" not in done.stdout


def test_script_waits_for_an_updater_that_sets_up(home):
    done = run(WORKER_SCRIPT, home, RAYDOG_UPDATER="sets-up")

    assert "Waiting" in done.stdout
    assert "set-up" in (home / "at-start").read_text().split()


def test_script_ignores_the_set_up_file_of_an_earlier_task(home):
    (home / ".raydog/set-up").touch()

    run(WORKER_SCRIPT, home, RAYDOG_UPDATER="sets-up")

    assert lines(home / "slept") >= 3


class TestUpdaterThatStartsRay:
    @pytest.fixture
    def raylet(self, home):
        with subprocess.Popen(["/bin/sleep", "60"], env={"RAY_CLOUD_INSTANCE_ID": NODE}) as process:
            (home / "raylet").write_text(f"{process.pid}\n")
            yield
            process.kill()

    def test_task_holds_the_node_until_the_raylet_stays_away(self, home, raylet):
        done = run(WORKER_SCRIPT, home, RAYDOG_UPDATER="starts-ray")

        assert done.returncode == 0, done.stderr
        assert "The raylet has exited" in done.stdout
        assert not (home / "at-start").exists()
        assert lines(home / "polled") > 6 + 30, "the task waits for a restarted raylet"

    def test_task_holds_the_node_while_pgrep_fails(self, home, raylet):
        (home / "venv/bin/pgrep").write_text(f"""#!/bin/bash
            {PGREP}
            case $polls in [0-9]|??|1[0-4]?) [ $polls -le 6 ] || exit 3 ;; *) exit 1 ;; esac
            """)

        run(WORKER_SCRIPT, home, RAYDOG_UPDATER="starts-ray")

        assert lines(home / "polled") > 149 + 30, "polls that fail do not count"

    def test_start_commands_have_the_environment_of_the_task(self, home, raylet):
        run(WORKER_SCRIPT, home, RAYDOG_UPDATER="starts-ray", RAY_NODE_TYPE_NAME="a type", YD_SECRET="x")

        found = subprocess.run(
            ["bash", "-c", in_task_environment('echo "$RAY_CLOUD_INSTANCE_ID,$RAY_NODE_TYPE_NAME,$(command -v ray)"')],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == f"{NODE},a type,{home}/venv/bin/ray"
        assert "YD_SECRET" not in (home / ".raydog/environment").read_text()
