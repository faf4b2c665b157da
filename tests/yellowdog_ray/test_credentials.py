"""The sources of the API key, and its form in the head's file."""

import pytest

from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import CredentialsError


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No key in the environment, none in the home, and an empty working directory."""
    for name in ("YD_API_KEY_ID", "YD_API_KEY_SECRET", "YD_API_URL"):
        monkeypatch.delenv(name, raising=False)
    home, work = tmp_path / "home", tmp_path / "project" / "work"
    home.mkdir()
    work.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)


def test_key_is_read_from_a_dotenv_above_the_working_directory(tmp_path):
    (tmp_path / "project" / ".env").write_text("YD_API_KEY_ID=id\nYD_API_KEY_SECRET=secret\n")

    found = load_credentials()

    assert (found.key_id, found.key_secret, found.url) == ("id", "secret", "https://api.yellowdog.ai")


def test_environment_overrides_the_dotenv(tmp_path, monkeypatch):
    (tmp_path / "project" / ".env").write_text("YD_API_KEY_ID=id\nYD_API_KEY_SECRET=secret\nYD_API_URL=http://a\n")
    monkeypatch.setenv("YD_API_KEY_ID", "other")
    monkeypatch.setenv("YD_API_URL", "http://b/")

    found = load_credentials()

    assert (found.key_id, found.key_secret, found.url) == ("other", "secret", "http://b")


def test_key_is_read_from_the_heads_file(tmp_path):
    folder = tmp_path / "home" / ".raydog"
    folder.mkdir()
    (folder / "credentials").write_text("YD_API_KEY_ID=id\nYD_API_KEY_SECRET=secret\nYD_API_URL=http://c\n")

    assert load_credentials().url == "http://c"


def test_heads_file_reads_back_as_the_same_key(tmp_path, monkeypatch):
    monkeypatch.setenv("YD_API_KEY_ID", "id")
    monkeypatch.setenv("YD_API_KEY_SECRET", "se$cret#'\"x")
    original = load_credentials()
    monkeypatch.delenv("YD_API_KEY_ID")
    monkeypatch.delenv("YD_API_KEY_SECRET")
    (tmp_path / "project" / ".env").write_text(original.as_dotenv())

    assert load_credentials() == original


def test_missing_part_is_reported_with_the_remedy(monkeypatch):
    monkeypatch.setenv("YD_API_KEY_ID", "id")

    with pytest.raises(CredentialsError) as caught:
        load_credentials()

    assert "YD_API_KEY_SECRET not set" in str(caught.value)
    assert ".env" in str(caught.value)


def test_repr_does_not_contain_the_secret(monkeypatch):
    monkeypatch.setenv("YD_API_KEY_ID", "id")
    monkeypatch.setenv("YD_API_KEY_SECRET", "hush")

    assert "hush" not in repr(load_credentials())
