"""A new API key reaches the running autoscaler."""

import os
from pathlib import Path

import pytest

from yellowdog_ray.credentials import Credentials
from yellowdog_ray.monitor.new_key import NewKey
from yellowdog_ray.platform.client import Platform


@pytest.fixture
def head_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".raydog").mkdir()
    return tmp_path / ".raydog/credentials"


def send(file: Path, credentials: Credentials) -> None:
    """As `ray up` does: a new file under the old name."""
    new = file.with_suffix(".new")
    new.write_text(credentials.as_dotenv())
    new.chmod(0o600)
    new.replace(file)


@pytest.fixture
def client(platform) -> Platform:
    return Platform(Credentials(platform.url, platform.key_id, "an old secret"), "demo")


def good_key(platform, **changes: str) -> Credentials:
    return Credentials(**{"url": platform.url, "key_id": platform.key_id, "key_secret": platform.key_secret} | changes)


def test_replaced_file_is_used_from_the_next_call_on(platform, client, head_file):
    new_key = NewKey(client)
    send(head_file, client.credentials)
    new_key.read()
    with pytest.raises(Exception, match="key"):
        client.account_name()

    send(head_file, good_key(platform))
    new_key.read()

    assert client.account_name()


def test_malformed_responses_are_quoted_after_a_change_too(platform, client, head_file):
    send(head_file, good_key(platform))
    NewKey(client).read()

    client.account_name()

    assert client._responses.received


def test_unchanged_file_is_read_once(client, head_file, monkeypatch):
    send(head_file, client.credentials)
    new_key = NewKey(client)
    new_key.read()
    monkeypatch.setattr("yellowdog_ray.monitor.new_key.load_head_file", lambda: pytest.fail("read again"))

    new_key.read()


def test_missing_file_changes_nothing(client, head_file):
    before = client.credentials

    NewKey(client).read()

    assert client.credentials == before


@pytest.mark.parametrize("text", ["", "YD_API_KEY_ID=id\n"])
def test_unusable_file_gives_one_warning(client, head_file, caplog, text):
    before = client.credentials
    head_file.write_text(text)
    new_key = NewKey(client)

    for _ in range(3):
        new_key.read()

    assert client.credentials == before
    assert caplog.text.count("The previous API key stays in use") == 1


def test_key_of_another_platform_is_not_used(platform, client, head_file, caplog):
    """The cluster's nodes are on this platform: the other one would show none of them."""
    before = client.credentials
    send(head_file, good_key(platform, url="http://elsewhere"))

    NewKey(client).read()

    assert client.credentials == before
    assert "is for http://elsewhere" in caplog.text


def test_log_has_no_secret(platform, client, head_file, caplog):
    caplog.set_level("DEBUG")
    send(head_file, good_key(platform))

    NewKey(client).read()

    assert "is in use from now on" in caplog.text
    assert platform.key_secret not in caplog.text


def test_head_reads_it_at_each_tick(platform, head_provider, in_a_users_folder):
    head_provider.non_terminated_nodes({})
    used = head_provider.side.platform.credentials
    file = in_a_users_folder / ".raydog/credentials"
    file.parent.mkdir(exist_ok=True)
    send(file, Credentials(used.url, used.key_id, "another secret"))
    os.utime(file)

    head_provider.non_terminated_nodes({})

    assert head_provider.side.platform.credentials.key_secret == "another secret"
