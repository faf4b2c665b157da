"""The private key of `auth`, checked before a machine is paid for."""

import base64
import os
import subprocess

import pytest

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.errors import ConfigError


@pytest.fixture(autouse=True)
def no_agent(monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def protected(tmp_path):
    """A key with a passphrase."""
    return make_key(tmp_path / "protected", "a passphrase")


def make_key(path, passphrase, *options):
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-f", path, *(options or ("-t", "ed25519"))], check=True)
    return path


def run(config, key, tmp_path):
    config["auth"]["ssh_private_key"] = str(key)
    return bootstrap(config, "cluster.yaml", [tmp_path])[0]


def error_of(config, key, tmp_path):
    with pytest.raises(ConfigError) as caught:
        run(config, key, tmp_path)
    assert str(caught.value).startswith("cluster.yaml: auth.ssh_private_key: ")
    return str(caught.value)


def test_key_without_a_passphrase_is_accepted(cluster_yaml, tmp_path):
    key = make_key(tmp_path / "key", "")

    assert run(cluster_yaml, key, tmp_path)["auth"]["ssh_private_key"] == str(key)


DAMAGES = {
    "no last line feed": lambda key: key.rstrip(b"\n"),
    "carriage returns": lambda key: key.replace(b"\n", b"\r\n"),
    "cut": lambda key: b"\n".join(key.split(b"\n")[:3]) + b"\n",
    "byte-order mark": lambda key: b"\xef\xbb\xbf" + key,
    "indented": lambda key: b"  " + key.replace(b"\n", b"\n  "),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_key_is_refused_as_openssh_refuses_it(cluster_yaml, tmp_path, damage):
    key = make_key(tmp_path / "key", "")
    key.write_bytes(DAMAGES[damage](key.read_bytes()))

    assert f"{key} is damaged" in error_of(cluster_yaml, key, tmp_path)
    assert subprocess.run(["ssh-keygen", "-y", "-P", "", "-f", key], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("options", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048", "-m", "PEM")], ids=["new", "pem"])
def test_key_with_a_passphrase_is_refused_without_an_agent(cluster_yaml, tmp_path, options):
    key = make_key(tmp_path / "key", "a passphrase", *options)

    assert f"no ssh-agent holds it: run `ssh-add {key}`" in error_of(cluster_yaml, key, tmp_path)


def test_key_with_a_passphrase_is_accepted_when_the_agent_holds_it(cluster_yaml, tmp_path, protected, monkeypatch):
    (tmp_path / "bin").mkdir()
    agent = tmp_path / "bin" / "ssh-add"
    agent.write_text(f"#!/bin/sh\ncat {protected}.pub\n")
    agent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{agent.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_AUTH_SOCK", "a socket")

    assert run(cluster_yaml, protected, tmp_path)["auth"]["ssh_private_key"] == str(protected)


USES = {
    "head_restart": (True, "with provider.head_restart workers log in to a new head with it"),
    "disable_node_updaters": (False, "the head sets workers up with it"),
}


@pytest.mark.parametrize("needs", ["a passphrase", "a device that holds its secret (FIDO)"])
@pytest.mark.parametrize("use", USES)
def test_key_is_refused_that_the_machines_of_the_cluster_cannot_use(cluster_yaml, tmp_path, protected, use, needs):
    key = protected if needs == "a passphrase" else security_key(tmp_path / "key")
    cluster_yaml["provider"][use], words = USES[use]

    assert f"{key} has {needs}, and {words}: name a key without" in error_of(cluster_yaml, key, tmp_path)


def security_key(path):
    """The beginning of a key whose secret a device holds: fields with their lengths, as in OpenSSH's PROTOCOL.key."""
    public = field(b"sk-ssh-ed25519@openssh.com") + field(bytes(32)) + field(b"ssh:")
    whole = b"openssh-key-v1\0" + field(b"none") * 2 + field(b"") + (1).to_bytes(4, "big") + field(public)
    name = "OPENSSH PRIVATE " + "KEY"
    path.write_text(f"-----BEGIN {name}-----\n{base64.b64encode(whole).decode()}\n-----END {name}-----\n")
    path.chmod(0o600)
    return path


def field(content):
    return len(content).to_bytes(4, "big") + content


def test_key_that_others_may_read_is_refused(cluster_yaml, tmp_path, ssh_key):
    ssh_key.chmod(0o640)

    assert f"run `chmod 600 {ssh_key}`" in error_of(cluster_yaml, ssh_key, tmp_path)


def test_public_key_is_refused(cluster_yaml, tmp_path, protected):
    assert "is a public key" in error_of(cluster_yaml, f"{protected}.pub", tmp_path)


def test_file_that_is_no_key_is_refused(cluster_yaml, tmp_path):
    (tmp_path / "notes").write_text("my key is under the mat\n")

    assert "is no private key that OpenSSH can read" in error_of(cluster_yaml, tmp_path / "notes", tmp_path)


@pytest.mark.parametrize("options", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048", "-m", "PEM")], ids=["new", "pem"])
def test_whole_key_is_refused_with_contents_that_openssh_cannot_read(cluster_yaml, tmp_path, options):
    key = make_key(tmp_path / "key", "", *options)
    first, *middle, last = key.read_text().splitlines()
    key.write_text("\n".join([first, *reversed(middle), last, ""]))

    assert f"OpenSSH cannot read {key} (" in error_of(cluster_yaml, key, tmp_path)


def test_key_is_accepted_without_ssh_keygen(cluster_yaml, tmp_path, ssh_key, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    run(cluster_yaml, ssh_key, tmp_path)


def test_linked_key_is_resolved(cluster_yaml, tmp_path, ssh_key):
    (tmp_path / "link").symlink_to(ssh_key)

    assert run(cluster_yaml, tmp_path / "link", tmp_path)["auth"]["ssh_private_key"] == str(ssh_key)


def test_relative_key_is_found_beside_the_yaml(cluster_yaml, tmp_path, ssh_key):
    assert run(cluster_yaml, ssh_key.name, tmp_path)["auth"]["ssh_private_key"] == str(ssh_key)


def test_path_that_openssh_would_expand_is_refused(cluster_yaml, tmp_path, ssh_key):
    key = tmp_path / "50%" / "key"
    key.parent.mkdir()
    ssh_key.rename(key)

    assert "OpenSSH replaces the `%`" in error_of(cluster_yaml, key, tmp_path)


@pytest.mark.parametrize("characters", ["'", '"', "${"])
def test_path_that_rsync_or_openssh_would_change_is_refused(cluster_yaml, tmp_path, characters):
    key = make_key(tmp_path / f"qu{characters}ote", "")

    assert f"the `{characters}` in {key}: move the key to a path without" in error_of(cluster_yaml, key, tmp_path)


@pytest.mark.parametrize("name", ["a space", "tab\t", "back\\slash", "é", "#h"])
def test_path_that_rsync_and_openssh_pass_on_is_accepted(cluster_yaml, tmp_path, name):
    key = make_key(tmp_path / name, "")

    assert run(cluster_yaml, key, tmp_path)["auth"]["ssh_private_key"] == str(key)
