"""Texts that are neither a script nor data for cloud-init."""

import base64
import gzip

import pytest

from yellowdog_ray.config.script_texts import has_private_key, script_mistake

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def encoded(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("#!/bin/bash\necho \0\n", "contains a NUL character, which no script can contain: remove it"),
        ("a\0b", "contains a NUL character, which no script can contain: remove it"),
        ("#\0!\0/\0", "contains NUL characters, as a text in UTF-16 does: save it as UTF-8"),
        ("PK\x03\x04\0", "is an archive or a program: give a script that unpacks or runs it"),
        (KEY, "is a key or a certificate: give a script"),
        (f"\n{KEY}", "is a key or a certificate"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@here\n", "is a key or a certificate"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "is a key or a certificate"),
        ("<your script>\n", "a variable or a placeholder, which RayDog does not replace: write a script"),
        ("{{ userdata }}", "is '{{ userdata }}', a variable or a placeholder"),
        ("file:other.sh\n", "is 'file:other.sh', a path: write the path of the script itself"),
        ("\x1f\x8b\x08x", "is compressed (gzip), which RayDog passes on as it is: give the decoded text"),
        (encoded(b"#cloud-config\npackages: [x]\n"), "is in base64, which RayDog passes on"),
        (encoded(b"#!/bin/bash\n" + b"echo x\n" * 20), "is in base64"),
        (encoded(gzip.compress(b"#!/bin/bash\necho x\n", mtime=0)), "is compressed (gzip) and in base64"),
    ],
)
@pytest.mark.parametrize("is_userdata", [True, False])
def test_text_that_is_no_script_is_refused_without_a_key_in_the_message(text, phrase, is_userdata):
    mistake = script_mistake(text, is_userdata=is_userdata) or ""

    assert phrase in mistake
    assert "b3Blb" not in mistake


def test_cloud_config_is_refused_as_a_task_script_only():
    text = "#cloud-config\npackages: [x]\n"

    assert "write a script, and cloud-init data in userdata" in (script_mistake(text, is_userdata=False) or "")
    assert script_mistake(text, is_userdata=True) is None


@pytest.mark.parametrize("text", ["$SCRIPT", "${SCRIPT}\n"])
def test_variable_is_refused_as_user_data_which_has_no_environment(text):
    assert "a variable or a placeholder" in (script_mistake(text, is_userdata=True) or "")
    assert script_mistake(text, is_userdata=False) is None


@pytest.mark.parametrize(
    "text",
    [
        "$HOME/start.sh",
        "reboot",
        "/opt/ray/bin/startworkernode",
        "systemctlrestartworker",
        "curl https://example.com/setup.sh | bash",
        f"cat >key <<END\n{KEY}END\n",
        "echo ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me >>keys",
    ],
)
def test_script_is_accepted(text):
    assert script_mistake(text, is_userdata=True) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"cat >key <<END\n{KEY}END\n", True),
        (f"#cloud-config\nwrite_files:\n- content: |\n    {KEY}", True),
        ("grep -q 'BEGIN RSA PRIVATE KEY' key", False),
        ('echo "-----BEGIN RSA PRIVATE KEY-----\n$KEY" >key', False),
    ],
)
def test_private_key_inside_a_script_is_found(text, found):
    assert has_private_key(text) == found
