"""Lines of `authorized_keys`: which of them authorise a key."""

import base64

import pytest

from yellowdog_ray.config.authorized_keys import fault_of, kind_of

PUBLIC = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode()
OTHER = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(35) + b"a").decode()
LINE = f"ssh-ed25519 {PUBLIC}"


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"  {LINE} me@home",
        f"ssh-ed25519 {OTHER}\n{LINE}",
        f'from="10.0.0.0/8,192.168.0.1",no-pty {LINE}',
        f'command="echo \\"a b\\"",Restrict {LINE}',
        f"{LINE} ssh-ed25519 {OTHER}",
    ],
)
def test_line_with_key_type_and_options_authorises_the_key(text):
    assert fault_of(text, PUBLIC) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"ssh-ed25519 {OTHER}", "is another key"),
        (f"ssh-ed25519 {PUBLIC[:-8]}", "is another key"),
        (PUBLIC, "lacks the key's type (ssh-ed25519)"),
        (f"ssh-rsa {PUBLIC} me", "has the type ssh-rsa for a key of the type ssh-ed25519"),
        (f"{LINE}AAAA me", "has characters directly beside the key"),
        (f"ssh-ed25519 x{PUBLIC}", "has characters directly beside the key"),
        (f"ssh-ed25519\n{PUBLIC} me", "breaks the line after the key's type"),
        (f"ssh-ed25519 {PUBLIC[:20]}\n{PUBLIC[20:]} me", "breaks the key into several lines"),
        (f"ssh-ed25519 {OTHER} ssh-ed25519 {PUBLIC}", "has two keys in one line"),
        (f"from='10.0.0.0/8' {LINE}", "begins with what is no option of authorized_keys"),
        (f"mine {LINE}", "begins with what is no option of authorized_keys"),
    ],
)
def test_line_that_openssh_cannot_use_has_a_fault(text, fault):
    assert fault_of(text, PUBLIC) == fault


def test_type_is_not_compared_if_the_key_does_not_state_it():
    assert kind_of("AAAAown") is None
    assert fault_of("ssh-rsa AAAAown", "AAAAown") is None
