"""Mistakes to plant for `raydog doctor`: on the user's machine, in the YAML, on the platform; each with its remedy."""

import socket
import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

from yellowdog_client.model import (
    AwsCredential,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    GceInstancesComputeSource,
    ImageOsType,
    MachineImageFamily,
    NamespacePolicy,
    Permission,
    Role,
    StringAttributeConstraint,
)

from tests.own_machines import configured_pool
from tests.raydog_cli.world import World
from tests.ssh_keys import write_key
from tests.yellowdog_ray.inventory.conftest import add_strangers_work
from yellowdog_ray.commands import laptop_checks

Disk = namedtuple("Disk", "free")


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


def may_not_read_templates(world: World) -> None:
    world.refuse("GET /compute/namespaces/*/templates/requirements/*")


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


def in_google_cloud(world: World) -> None:
    """The workers' template has a source in a cloud, whose credential is `main` of keyring `cloud`."""
    source = GceInstancesComputeSource(
        name="gce",
        credential="cloud/main",
        project="p",
        region="europe-west2",
        zone="europe-west2-a",
        network="n",
        machineType="n2-standard-4",
        image="i",
    )
    with world.local.client() as client:
        kept = client.compute_client.add_compute_source_template(ComputeSourceTemplate(source=source, namespace="demo"))
        usages = [ComputeSourceUsage(sourceTemplateId=str(kept.id))]
        strategy = "co.yellowdog.platform.model.SingleSourceProvisionStrategy"
        template = ComputeRequirementStaticTemplate("gce", strategy, usages, namespace="demo")
        client.compute_client.add_compute_requirement_template(template)
    world.node_config["compute_requirement_template"] = "demo/gce"


def with_keyring(world: World, *credentials: str) -> None:
    in_google_cloud(world)
    with world.local.client() as client:
        client.keyring_client.add_keyring("cloud", "")
        for name in credentials:
            client.keyring_client.put_credential_by_name("cloud", AwsCredential(name, "id", "secret"))


def no_keyring(world: World) -> None:
    in_google_cloud(world)


def no_credential(world: World) -> None:
    with_keyring(world, "other")


def foreign_keyring(world: World) -> None:
    with_keyring(world, "main")


def tag_that_google_refuses(world: World) -> None:
    in_google_cloud(world)
    world.config["provider"]["instance_tags"] = {"Cost Centre": "42"}


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
    wrong_secret: (BAD, "API key", "Check YD_API_KEY_ID and YD_API_KEY_SECRET"),
    no_key: (BAD, "API key", "Set them in the environment, or in a file .env"),
    open_dotenv: (BAD, "API key", "run `chmod 600 "),
    foreign_namespace: (BAD, "namespace", "(it can read: team): correct provider.cluster_namespace, or give"),
    new_namespace: (WARNING, "namespace", "shows no namespace 'dmeo'"),
    may_not_read_pools: (BAD, "reading worker pools", "give its application a role with WORKER_POOL_READ"),
    role_without_pools: (BAD, "permission to create", " in namespace 'demo': give its application a role with WORKER_"),
    may_not_read_templates: (BAD, "template demo/local", "give its application a role with COMPUTE_READ"),
    no_template: (BAD, "template demo/locla", "give the id or `namespace/name` of one"),
    template_without_sources: (BAD, "template demo/nowhere", "correct the template in YellowDog's portal"),
    small_sources: (WARNING, "template demo/local", "need up to 51: lower max_workers, or raise the limit of a source"),
    no_image: (BAD, "image ydid:imgfam:", "correct images_id or the template"),
    windows_image: (BAD, "image ydid:imgfam:", "is for WINDOWS: RayDog's nodes need Linux"),
    unknown_size: (BAD, "resources", "Write it, for example `resources: {CPU: 4}`"),
    pool_without_bash: (BAD, "worker pools", "Add it to yda.taskTypes in their agents' application.yaml"),
    no_keyring: (WARNING, "credential cloud/main", "create it with that credential"),
    no_credential: (BAD, "credential cloud/main", "add it, or correct the credential of the source"),
    foreign_keyring: (WARNING, "credential cloud/main", "give it access in YellowDog's portal"),
    tag_that_google_refuses: (WARNING, "tags", "Use at most 63 lower-case letters"),
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
    port_in_use: (WARNING, "port ", "end that program, or use another local port for it"),
    token_with_spaces: (BAD, "token", "give one line of printable ASCII characters without spaces"),
}
"""What else is wrong: mark, subject and remedy."""

EVERY = {plant: (BAD, *found) for plant, found in ON_THIS_MACHINE.items()} | ELSEWHERE
