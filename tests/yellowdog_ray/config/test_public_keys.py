"""The public key in scripts of user data, compared with the private key of `auth`."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.ssh_keys import write_key
from tests.yellowdog_ray.ray_cli import complete
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.public_keys import public_key_warnings
from yellowdog_ray.config.validation import validate

EXAMPLE = Path(__file__).parents[3] / "examples/autoscaler/scripts/node-setup.sh"
OWN, OTHER = "AAAAown", "AAAAother"
EMPTY = "SSH_PUBLIC_KEY is empty, so no login works"
WRONG = "SSH_PUBLIC_KEY is another key than the public half of /k (auth.ssh_private_key). Set it to the output of `ssh-"


def script_with(key: str) -> str:
    """The example's script with a public key."""
    before, line, after = EXAMPLE.read_text().partition('SSH_PUBLIC_KEY="${SSH_PUBLIC_KEY:-}"')
    assert line
    return f'{before}SSH_PUBLIC_KEY="${{SSH_PUBLIC_KEY:-{key}}}"{after}'


def warnings_of(head, worker=None, *, public=OWN, updaters=False):
    types = {"head": {"node_config": head}, "worker": {"node_config": worker or {}}}
    config = {
        "auth": {"ssh_private_key": "/k"},
        "provider": {"disable_node_updaters": not updaters},
        "head_node_type": "head",
        "available_node_types": types,
    }
    return public_key_warnings(config, config, public, "c.yaml")


@pytest.mark.parametrize(
    ("script", "phrase"),
    [
        (script_with(""), EMPTY),
        ("SSH_PUBLIC_KEY=  # yours", EMPTY),
        (script_with(f"ssh-ed25519 {OTHER} me@home"), WRONG),
        (f"export SSH_PUBLIC_KEY='ssh-ed25519 {OTHER}'\n# ssh-ed25519 {OWN}", WRONG),
        (script_with(f"ssh-ed25519 {OWN} me@home"), None),
        (f"SSH_PUBLIC_KEY=\necho 'ssh-ed25519 {OWN}' >>authorized_keys", None),
        ('SSH_PUBLIC_KEY="$(curl https://example.com/key)"', None),
        ('SSH_PUBLIC_KEY="$KEY"', None),
        ('SSH_PUBLIC_KEY="${SSH_PUBLIC_KEY:-$KEY}"', None),
        ("# SSH_PUBLIC_KEY=\necho 'set SSH_PUBLIC_KEY='", None),
    ],
)
def test_public_key_gives_a_warning_if_it_is_empty_or_another(script, phrase):
    warnings = warnings_of({"userdata": script})

    assert len(warnings) == (phrase is not None)
    assert (phrase or "") in " ".join(warnings)


LINE = f"ssh-ed25519 {OWN} me"
READS = 'grep -qsxF "$SSH_PUBLIC_KEY" "$file" || echo "$SSH_PUBLIC_KEY" >>"$file"'


@pytest.mark.parametrize(
    ("script", "phrase"),
    [
        (f"SSH_PUBLIC_KEY={LINE}", "is not in quotes and ends at its first space"),
        (f"SSH_PUBLIC_KEY = '{LINE}'", "has a space beside `=`"),
        (f"SSH_PUBLIC_KEY={OWN}", "lacks the key's type"),
        (f"SSH_PUBLIC_KEY='{LINE}'\nSSH_PUBLIC_KEY=''", "is empty"),
        (f"SSH_PUBLIC_KEY='{LINE}'\nSSH_PUBLIC_KEY='ssh-ed25519 {OTHER}'", "is another key"),
        (f'SSH_PUBLIC_KEY="ssh-rsa {OTHER}\\nssh-rsa {OWN}"', "has two keys in one line"),
        (f': "${{SSH_PUBLIC_KEY:=ssh-ed25519 {OTHER}}}"', "is another key"),
        (f"SSH_PUBLIC_KEY='' # {LINE}", "is empty"),
        (f"# {LINE}\nSSH_PUBLIC_KEY=", "is empty"),
        (f"SSH_PUBLIC_KEY=''\necho '{LINE}' >>/etc/x", "is empty"),
        (f"SSH_PUBLICKEY='{LINE}'\nSSH_PUBLIC_KEY=", "is empty (the script sets `SSH_PUBLICKEY`)"),
        (f"SSH_PUBLICKEY='{LINE}'\n{READS}", "is read and never set (the script sets `SSH_PUBLICKEY`)"),
        (script_with("").replace('SSH_PUBLIC_KEY="${SSH_PUBLIC_KEY:-}"', ""), "is read and never set"),
    ],
)
def test_value_that_authorises_nothing_gives_a_warning_with_the_reason(script, phrase):
    (warning,) = warnings_of({"userdata": script})

    assert f"SSH_PUBLIC_KEY {phrase}" in warning
    assert "the public half of /k (auth.ssh_private_key). Set it to the output of `ssh-" in warning


@pytest.mark.parametrize(
    "script",
    [
        f"SSH_PUBLIC_KEY=''\nSSH_PUBLIC_KEY='{LINE}'",
        f"SSH_PUBLIC_KEY='ssh-ed25519 {OTHER}\n{LINE}'",
        f'#!/bin/sh\nSSH_PUBLIC_KEY="ssh-rsa {OTHER}\\n{LINE}"',
        f"if x; then\nSSH_PUBLIC_KEY='{LINE}'\nelse\nSSH_PUBLIC_KEY='ssh-ed25519 {OTHER}'\nfi",
        f"SSH_PUBLIC_KEY='{LINE}'\ncat >/etc/env <<END\nSSH_PUBLIC_KEY=\nEND",
        f"SSH_PUBLIC_KEY=\necho '{LINE}' >>\"$file\"",
        f"SSH_PUBLIC_KEY=; echo '{LINE}' >>authorized_keys",
        f"#cloud-config\nruncmd:\n- SSH_PUBLIC_KEY='{LINE}' bash /x\n- SSH_PUBLIC_KEY=",
        f"SSH_PUBLIC_KEY=\necho '{LINE}' >/tmp/key\ncat /tmp/key >>~/.ssh/authorized_keys",
        f"SSH_PUBLIC_KEYS='{LINE}'\nSSH_PUBLIC_KEY=\necho \"$SSH_PUBLIC_KEYS\" >>authorized_keys",
        f"#!/usr/bin/python3\nSSH_PUBLIC_KEY = '{LINE}'",
        f"source /etc/keys\n{READS}",
        f"read -r SSH_PUBLIC_KEY </etc/key\n{READS}",
        '[ -z "${SSH_PUBLIC_KEY:-}" ] || exit 1',
    ],
)
def test_value_that_may_authorise_the_key_gives_no_warning(script):
    assert warnings_of({"userdata": script}) == []


def test_unknown_public_half_gives_a_warning_for_an_empty_value_only():
    assert warnings_of({"userdata": script_with(f"ssh-ed25519 {OTHER}")}, public=None) == []
    assert EMPTY in warnings_of({"userdata": script_with("")}, public=None)[0]


def test_default_of_a_script_is_not_judged_if_other_user_data_sets_the_key():
    export = f"export SSH_PUBLIC_KEY='ssh-ed25519 {OWN}'"

    assert warnings_of({"userdata": export, "extra_userdata": script_with("")}) == []
    (warning,) = warnings_of({"userdata": export.replace(OWN, OTHER), "extra_userdata": script_with("")})
    assert warning.startswith("c.yaml: available_node_types.head.node_config.userdata: SSH_PUBLIC_KEY is another")


def test_later_user_data_replaces_the_value():
    first, second = (f"SSH_PUBLIC_KEY='ssh-ed25519 {key}'" for key in (OWN, OTHER))

    (warning,) = warnings_of({"userdata": first, "extra_userdata": second})
    assert warning.startswith("c.yaml: available_node_types.head.node_config.extra_userdata: SSH_PUBLIC_KEY is another")


@pytest.mark.parametrize("updaters", [False, True])
def test_workers_give_a_warning_only_if_updaters_log_in_there(updaters):
    assert len(warnings_of({}, {"userdata": script_with("")}, updaters=updaters)) == updaters


def test_validate_warns_with_file_key_and_remedy_at_the_script(cluster_yaml, tmp_path, ssh_key):
    (tmp_path / "setup.sh").write_text("#!/bin/bash\nSSH_PUBLIC_KEY=\n")
    cluster_yaml["available_node_types"]["head"]["node_config"]["userdata"] = "file:setup.sh"
    file = tmp_path / "raydog.yaml"
    file.write_text(yaml.safe_dump(complete(cluster_yaml)))

    (found,) = validate(file)

    assert found.is_warning
    assert "userdata:" in file.read_text().splitlines()[found.line - 1]
    assert "userdata (file:setup.sh): SSH_PUBLIC_KEY is empty" in found.text
    assert f"`ssh-keygen -y -f {ssh_key}`" in found.text


def test_ray_up_compares_with_the_public_half_of_the_private_key(cluster_yaml, tmp_path, ssh_key):
    node_config = cluster_yaml["available_node_types"]["head"]["node_config"]
    found = []
    for key in (ssh_key, write_key(tmp_path / "other", 1)):
        public = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
        node_config["userdata"] = f"SSH_PUBLIC_KEY='{public.strip()}'\n"
        found.append(bootstrap(cluster_yaml, "c.yaml", [tmp_path])[1])

    assert found[0] == []
    assert [f"is another key than the public half of {ssh_key}" in text for text in found[1]] == [True]
