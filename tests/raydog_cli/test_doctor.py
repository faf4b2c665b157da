"""`raydog doctor`: planted misconfigurations are found, each with its remedy; the good ones of this machine pass."""

import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from yellowdog_client.model import (
    ComputeRequirementDynamicTemplate,
    ImageOsType,
    MachineImageFamily,
    NamespacePolicy,
    Permission,
    Role,
    StringAttributeConstraint,
)

from tests.own_machines import configured_pool
from tests.ssh_keys import write_key
from tests.yellowdog_ray.cluster_lab import make_head
from tests.yellowdog_ray.inventory.conftest import Raydog, add_strangers_work
from tests.yellowdog_ray.ray_cli import assert_refused, complete, ray
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.commands import laptop_checks
from yellowdog_ray.inventory import doctor

Disk = namedtuple("Disk", "free")


@dataclass
class World:
    """A user's machine with a good YAML, and an account in which it would run."""

    local: RunningPlatform
    config: dict[str, Any]
    home: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def worker(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["available_node_types"]["worker"]
        return found

    @property
    def node_config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.worker["node_config"]
        return found

    def script(self, text: str, kind: str = "head") -> None:
        self.config["provider"][f"ray_{kind}_node_task_script"] = text

    def refuse(self, call: str) -> None:
        rule = faults.Status(call=call, status=403, error_type="MissingPermissionException", message="no")
        self.stack.enter_context(self.local.faults.during(rule))

    def programs(self, *names: str) -> None:
        """The only programs on this machine."""
        folder = self.home / "bin"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(str(shutil.which(name)))
        self.patch.setenv("PATH", str(folder))

    def fake(self, name: str, script: str) -> None:
        """A program that comes before the real one."""
        file = self.home / "fakes" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        self.patch.setenv("PATH", str(file.parent), prepend=":")

    def write(self) -> str:
        (self.home / "cluster.yaml").write_text(yaml.safe_dump(complete(self.config)))
        return "cluster.yaml"


@pytest.fixture
def world(
    local: RunningPlatform,
    cluster_yaml: dict[str, Any],
    in_a_users_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setattr(laptop_checks, "DASHBOARD_PORT", free_port())  # another test, or a user, may have the real one
    monkeypatch.setattr(laptop_checks, "CLIENT_SERVER_PORT", free_port())
    made = World(local, cluster_yaml, in_a_users_folder, monkeypatch)
    with made.stack:
        yield made


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


def wrong_secret(world: World) -> None:
    world.patch.setenv("YD_API_KEY_SECRET", "wrong-secret")


def no_key(world: World) -> None:
    world.patch.delenv("YD_API_KEY_ID")
    world.patch.delenv("YD_API_KEY_SECRET")


def open_dotenv(world: World) -> None:
    no_key(world)
    file = world.home / ".env"
    file.write_text(f"YD_API_KEY_ID={world.local.key_id}\nYD_API_KEY_SECRET={world.local.key_secret}\n")
    file.chmod(0o666)


def foreign_namespace(world: World) -> None:
    details = world.local.platform.application
    details.allNamespacesReadable, details.readableNamespaces = False, ["team"]


def new_namespace(world: World) -> None:
    world.config["provider"]["cluster_namespace"] = "dmeo"


def may_not_read_pools(world: World) -> None:
    world.refuse("GET /workerPools")


def role_without_pools(world: World) -> None:
    account = world.local.platform.account
    others = [permission for permission in Permission if permission is not Permission.WORKER_POOL_WRITE]
    role = Role("some", others)
    role.id = account.role.id
    account.role = role
    account.group.adminGroup = False


def no_template(world: World) -> None:
    world.node_config["compute_requirement_template"] = "demo/locla"


def template_without_sources(world: World) -> None:
    with world.local.client() as client:
        client.compute_client.add_compute_requirement_template(
            ComputeRequirementDynamicTemplate(
                name="nowhere",
                namespace="demo",
                strategyType="co.yellowdog.platform.model.WaterfallProvisionStrategy",
                constraints=[StringAttributeConstraint(attribute="source.region", anyOf=["eu-nowhere-1"])],
                maximumSourceCount=2,
            )
        )
    world.node_config["compute_requirement_template"] = "demo/nowhere"


def small_sources(world: World) -> None:
    world.config["max_workers"] = world.worker["max_workers"] = 50


def no_image(world: World) -> None:
    world.node_config["images_id"] = "ydid:imgfam:000000:00000000-0000-0000-0000-000000000000"


def windows_image(world: World) -> None:
    with world.local.client() as client:
        family = client.images_client.add_image_family(MachineImageFamily("demo", "desk", ImageOsType.WINDOWS))
    world.node_config["images_id"] = str(family.id)


def unknown_size(world: World) -> None:
    del world.worker["resources"]


def pool_without_bash(world: World) -> None:
    configured_pool(world.local, 1, supportedTaskTypes=["docker"])
    world.worker["node_config"] = {"worker_pool": "demo/own"}


def low_policy(world: World) -> None:
    with world.local.client() as client:
        client.namespaces_client.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=2))


def taken_name(world: World) -> None:
    add_strangers_work(world.local, "demo")


def late_clock(world: World) -> None:
    world.local.advance(3_600)


def open_key(world: World) -> None:
    Path(world.config["auth"]["ssh_private_key"]).chmod(0o644)


def key_with_passphrase(world: World) -> None:
    file = world.home / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", file], check=True)
    world.config["auth"]["ssh_private_key"] = str(file)


def public_key(world: World) -> None:
    key = write_key(world.home / "other")
    text = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
    (world.home / "other.pub").write_text(text)
    world.config["auth"]["ssh_private_key"] = str(world.home / "other.pub")


def no_ssh(world: World) -> None:
    world.programs("bash", "rsync", "ssh-keygen")


def no_rsync(world: World) -> None:
    world.programs("bash", "ssh", "ssh-keygen")


def old_ray(world: World) -> None:
    version = laptop_checks.metadata.version
    world.patch.setattr(laptop_checks.metadata, "version", lambda name: "2.9.3" if name == "ray" else version(name))


def strange_ray(world: World) -> None:
    world.fake("ray", "exit 1")


def broken_ssh_config(world: World) -> None:
    world.fake("ssh", 'echo "/home/me/.ssh/config: line 3: Bad configuration option: hots" >&2; exit 255')


def long_control_path(world: World) -> None:
    path = f"/home/{'d' * 60}/.ssh/sockets/{'0' * 40}"
    world.fake("ssh", f"echo controlmaster auto; echo controlpath {path}")


def no_proxy_program(world: World) -> None:
    world.config["auth"]["ssh_proxy_command"] = "cloud-tunnel-x %h %p"


def unreachable_bastion(world: World) -> None:
    world.fake("ssh", '[ "$1" = -G ] || { echo "ssh: connect to host bastion port 22: timed out" >&2; exit 255; }')
    world.config["auth"]["ssh_proxy_command"] = "ssh -W %h:%p me@bastion"


def proxy_that_exits(world: World) -> None:
    world.config["auth"]["ssh_proxy_command"] = "sh -c 'exit 3'"


def broken_script(world: World) -> None:
    world.script("#!/bin/bash\nif true; then\n  ray start --head\n")


def python_script(world: World) -> None:
    world.script("#!/usr/bin/env python3\nimport ray\n", "worker")


def script_without_ray(world: World) -> None:
    world.script("#!/bin/bash\nsleep infinity\n", "worker")


def worker_at_another_port(world: World) -> None:
    world.script("#!/bin/bash\nray start --address=$RAY_HEAD_IP:6380 --block\n", "worker")


def windows_line_ends(world: World) -> None:
    (world.home / "setup.sh").write_bytes(b"#!/bin/bash\r\necho\r\n")
    world.config["provider"]["files_to_upload"] = ["setup.sh"]


def other_ray_in_userdata(world: World) -> None:
    world.node_config["userdata"] = "#!/bin/bash\npip install 'ray[default]==2.9.3'\n"


def no_mounted_file(world: World) -> None:
    world.config["file_mounts"] = {"~/data": str(world.home / "no-data")}


def same_port(world: World) -> None:
    world.config["provider"]["head_node_tag_server_port"] = 6379


def port_in_use(world: World) -> None:
    server = world.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    world.patch.setattr(laptop_checks, "CLIENT_SERVER_PORT", server.getsockname()[1])


def full_disk(world: World) -> None:
    world.patch.setattr(laptop_checks.shutil, "disk_usage", lambda _: Disk(0))


def file_in_the_way(world: World) -> None:
    (world.home / ".raydog").write_text("")


def token_with_spaces(world: World) -> None:
    world.patch.setenv("RAY_AUTH_TOKEN", "not a token")


BAD = "✗"
WARNING = "!"
Plant = Callable[[World], None]

ON_THIS_MACHINE: dict[Plant, tuple[str, str]] = {
    open_key: ("SSH key", "run `chmod 600 "),
    key_with_passphrase: ("SSH key", "run `ssh-add "),
    public_key: ("SSH key", "name the private key, usually the same path without `.pub`"),
    no_ssh: ("programs", "this machine has no `ssh`: install OpenSSH's client"),
    no_rsync: ("programs", "this machine has no `rsync`: install rsync"),
    old_ray: ("versions", "install Ray 2.50 or later here and on every node's image"),
    broken_ssh_config: ("OpenSSH", "line 3: Bad configuration option: hots): correct the file that it names"),
    long_control_path: ("OpenSSH", "write a shorter ControlPath in ~/.ssh/config"),
    no_proxy_program: ("proxy command", "no program `cloud-tunnel-x`: install it, or write its whole path"),
    broken_script: ("scripts", "bash cannot read line"),
    python_script: ("scripts", "write a script for bash that starts your `python3` program"),
    no_mounted_file: ("files to copy", "there is no file or directory"),
    same_port: ("YAML", "choose another, for example 16667"),
    full_disk: ("directory ~/.raydog", "free 4 MiB there"),
    file_in_the_way: ("directory ~/.raydog", "is no directory: remove it, or move it away"),
}
"""What is wrong on the user's machine or in the YAML: subject and remedy. `ray up` refuses these."""

ELSEWHERE: dict[Plant, tuple[str, str, str]] = {
    wrong_secret: (BAD, "API key", "check YD_API_KEY_ID and YD_API_KEY_SECRET"),
    no_key: (BAD, "API key", "Set them in the environment, or in a file .env"),
    open_dotenv: (BAD, "API key", "run `chmod 600 "),
    foreign_namespace: (BAD, "namespace", "(it can read: team): correct provider.cluster_namespace, or give"),
    new_namespace: (WARNING, "namespace", "shows no namespace 'dmeo'"),
    may_not_read_pools: (BAD, "reading worker pools", "give its application a role with WORKER_POOL_READ"),
    role_without_pools: (BAD, "permission to create", "give its application a role with WORKER_POOL_WRITE"),
    no_template: (BAD, "template demo/locla", "give the id or `namespace/name` of one"),
    template_without_sources: (BAD, "template demo/nowhere", "correct the template in YellowDog's portal"),
    small_sources: (WARNING, "template demo/local", "need up to 51: lower max_workers, or raise the limit of a source"),
    no_image: (BAD, "image ydid:imgfam:", "correct images_id or the template"),
    windows_image: (BAD, "image ydid:imgfam:", "is for WINDOWS: RayDog's nodes need Linux"),
    unknown_size: (BAD, "resources", "Write it, for example `resources: {CPU: 4}`"),
    pool_without_bash: (BAD, "worker pools", "add it to yda.taskTypes in their agents' application.yaml"),
    low_policy: (WARNING, "namespace's limit", "lower max_workers, or raise autoscalingMaxNodes of the policy"),
    taken_name: (BAD, "cluster name", "choose another cluster_name, or end that work requirement"),
    late_clock: (WARNING, "clock", "set the clock, for example by NTP"),
    unreachable_bastion: (BAD, "way to the head", "timed out): run that command by itself, and correct it"),
    proxy_that_exits: (WARNING, "way to the head", "ended with exit code 3"),
    script_without_ray: (WARNING, "scripts", "does not contain `ray start`: add it"),
    worker_at_another_port: (WARNING, "scripts", "make the two ports equal, or no worker joins"),
    windows_line_ends: (WARNING, "files to copy", "run `sed -i 's/"),
    other_ray_in_userdata: (WARNING, "scripts", "Change the script, or install its versions here"),
    strange_ray: (WARNING, "installation", "install RayDog beside that `ray`"),
    port_in_use: (WARNING, "port ", "end that, or use another local port for it"),
    token_with_spaces: (BAD, "token", "give one line of printable ASCII characters without spaces"),
}
"""What else is wrong: mark, subject and remedy."""

EVERY = {plant: (BAD, *found) for plant, found in ON_THIS_MACHINE.items()} | ELSEWHERE


@pytest.mark.parametrize("plant", EVERY, ids=lambda plant: plant.__name__)
def test_planted_mistake_is_found_with_its_remedy(world: World, raydog: Raydog, plant: Plant):
    mark, subject, remedy = EVERY[plant]
    plant(world)

    result = raydog.run("doctor", world.write())

    lines = [line for line in result.stdout.splitlines() if line.startswith(f"  {mark} {subject}")]
    assert any(remedy in line for line in lines), result.output
    assert result.exit_code == (1 if mark == BAD else 0), result.output


@pytest.mark.parametrize("plant", ON_THIS_MACHINE, ids=lambda plant: plant.__name__)
def test_ray_up_refuses_what_doctor_finds_on_this_machine(world: World, plant: Plant):
    plant(world)

    result = ray("up", world.config, world.home, "--yes")

    assert_refused(result, world.local, ON_THIS_MACHINE[plant][1])


def states(shape: dict[str, Any]) -> dict[str, str]:
    return {check["subject"]: check["state"] for check in shape["checks"]}


def test_good_machine_yaml_and_account_have_nothing_wrong(world: World, raydog: Raydog):
    result = raydog.run("doctor", world.write())

    assert result.exit_code == 0, result.output
    marks = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert set(marks) == {"✓", "-"}
    unknown = {line.split(":")[0].strip(" -") for line in result.stdout.splitlines() if line.startswith("  - ")}
    assert unknown == {"way to the head", "image sim-image", "task type"}


def test_doctor_creates_nothing_and_takes_few_calls(world: World, raydog: Raydog):
    file = world.write()
    mark = world.local.calls.mark()

    raydog.run("doctor", file)

    assert world.local.calls.count("POST /work/**", since=mark) == 0
    assert world.local.calls.count("POST /workerPools/**", since=mark) == 0
    assert world.local.calls.count("*", since=mark) <= 16


def test_machine_and_account_are_checked_without_a_yaml(world: World, raydog: Raydog):
    shape = raydog.json("doctor")

    assert shape["good"] is True
    assert states(shape)["namespace"] == states(shape)["reading worker pools"] == "ok"
    assert {check["section"] for check in shape["checks"]} == {"This machine", "YellowDog"}


def test_key_with_no_namespace_is_found_without_a_yaml(world: World, raydog: Raydog):
    foreign_namespace(world)
    world.local.platform.application.readableNamespaces = []

    assert states(raydog.json("doctor"))["namespace"] == "failed"


def test_key_that_may_not_read_its_own_application_is_good(world: World, raydog: Raydog):
    world.refuse("GET /application")

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is True
    assert states(shape)["permission to create"] == "not checked"


def test_key_that_may_not_read_roles_images_or_policies_leaves_them_unchecked(world: World, raydog: Raydog):
    no_image(world)
    for call in ("GET /account/**", "GET /images/**", "GET /namespaces/*/policy"):
        world.refuse(call)

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is True
    image = next(subject for subject in states(shape) if subject.startswith("image ydid:"))
    assert {states(shape)[subject] for subject in (image, "permission to create", "namespace's limit")} == {
        "not checked"
    }


def test_template_that_the_key_may_not_test_is_unchecked(world: World, raydog: Raydog):
    world.refuse("PUT /compute/templates/test")

    shape = raydog.json("doctor", world.write())

    assert states(shape)["template demo/local"] == "not checked"
    assert shape["good"] is True


def test_living_cluster_is_reported_as_one_that_ray_up_updates(world: World, raydog: Raydog, make_cluster):
    make_head(make_cluster("demo"))

    result = raydog.run("doctor", world.write())

    assert "✓ cluster name: cluster 'demo' is alive" in result.stdout


def test_yaml_with_mistakes_hides_no_mistake_elsewhere(world: World, raydog: Raydog):
    world.config["max_wrokers"] = 3
    no_template(world)
    full_disk(world)

    shape = raydog.json("doctor", world.write())

    assert states(shape)["YAML"] == states(shape)["template demo/locla"] == "failed"
    assert states(shape)["directory ~/.raydog"] == "failed"
    assert states(shape)["resources"] == states(shape)["token"] == "not checked"


def test_file_that_is_no_yaml_is_reported_with_its_place(world: World, raydog: Raydog):
    (world.home / "cluster.yaml").write_text("a: [\n")

    result = raydog.run("doctor", "cluster.yaml")

    assert result.exit_code == 1
    assert "✗ YAML: cluster.yaml:2:1: this is no YAML" in result.stdout


def test_missing_file_ends_with_exit_code_2(world: World, raydog: Raydog):
    result = raydog.run("doctor", "no.yaml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: no.yaml cannot be read: there is no such file\n"


def test_unreachable_platform_leaves_the_local_checks(world: World, raydog: Raydog):
    world.patch.setenv("YD_API_URL", f"http://127.0.0.1:{free_port()}")
    open_key(world)

    shape = raydog.json("doctor", world.write())

    assert shape["good"] is False
    assert states(shape)["connection"] == states(shape)["SSH key"] == "failed"
    assert states(shape)["programs"] == states(shape)["scripts"] == "ok"
    assert states(shape)["account, templates, pools"] == "not checked"


def test_checks_that_hang_are_named_and_left_unchecked(world: World, raydog: Raydog):
    world.patch.setattr(doctor, "GRACE_SECONDS", 0.0)
    world.patch.setattr(doctor, "CHECK_SECONDS", 1.0)
    world.stack.enter_context(world.local.faults.during(faults.Hang(call="GET /workerPools")))

    result = raydog.run("doctor", world.write())

    assert "still checking: " in result.stderr
    assert "- reading: no answer within 1 s" in result.stdout
    assert "✓ namespace: " in result.stdout


def test_silent_platform_is_a_failed_check(world: World, raydog: Raydog):
    world.patch.setattr(doctor, "CHECK_SECONDS", 0.3)
    world.stack.enter_context(world.local.faults.during(faults.Hang(call="GET /application")))

    shape = raydog.json("doctor")

    assert (shape["good"], states(shape)["connection"]) == (False, "failed")


def test_plain_marks_replace_those_that_the_output_cannot_show(world: World, raydog: Raydog):
    open_key(world)
    command = [sys.executable, "-c", "from raydog_cli.main import app; app()", "doctor", world.write()]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:replace", "YD_API_URL": "http://127.0.0.1:1"}

    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert done.returncode == 1
    assert "  FAILED SSH key: " in done.stdout
    assert "  ok programs: " in done.stdout
