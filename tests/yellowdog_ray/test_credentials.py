"""The sources of the API key, and its form in the head's file."""

import os
from types import SimpleNamespace

import pytest

from yellowdog_ray.credentials import Credentials, load_credentials, load_head_file
from yellowdog_ray.errors import CredentialsError

KEY = "YD_API_KEY_ID=id\nYD_API_KEY_SECRET=secret\n"
WORD = "word"
"""A password, in no literal that looks like a secret."""


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No key in the environment, none in the home, and an empty working directory."""
    for name in ("YD_API_KEY_ID", "YD_API_KEY_SECRET", "YD_API_URL", "RAYDOG_ON_HEAD"):
        monkeypatch.delenv(name, raising=False)
    home, work = tmp_path / "home", tmp_path / "project" / "work"
    (home / ".raydog").mkdir(parents=True)
    work.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)


@pytest.fixture
def dotenv(tmp_path):
    return tmp_path / "project" / ".env"


@pytest.fixture
def head_file(tmp_path):
    return tmp_path / "home" / ".raydog" / "credentials"


@pytest.fixture
def name_users(monkeypatch):
    """Call the owner of every file `me`, and its group by a name, if it has one, with these members.

    The group is also the primary one of `primary`.
    """

    def name(group: str | None, members: list[str], primary: tuple[str, ...] = ()) -> None:
        def find(_: int) -> SimpleNamespace:
            if group is None:
                raise KeyError
            return SimpleNamespace(gr_name=group, gr_mem=members)

        mine = SimpleNamespace(pw_name="me", pw_uid=os.getuid(), pw_gid=os.getgid())
        theirs = [SimpleNamespace(pw_name=user, pw_uid=4242, pw_gid=os.getgid()) for user in primary]
        monkeypatch.setattr("pwd.getpwuid", lambda _: mine)
        monkeypatch.setattr("pwd.getpwall", lambda: [mine, *theirs])
        monkeypatch.setattr("grp.getgrgid", find)

    return name


def set_key(monkeypatch, **values):
    for name, value in {"KEY_ID": "id", "KEY_SECRET": "secret", **values}.items():
        monkeypatch.setenv(f"YD_API_{name}", value)


def error_of():
    with pytest.raises(CredentialsError) as caught:
        load_credentials()
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestSources:
    def test_key_is_read_from_a_dotenv_above_the_working_directory(self, dotenv):
        dotenv.write_text(KEY)

        found = load_credentials()

        assert (found.key_id, found.key_secret, found.url) == ("id", "secret", "https://api.yellowdog.ai")

    @pytest.mark.parametrize("text", ["", "EDITOR=vi\n"])
    def test_dotenv_without_a_key_hides_none_above_it(self, dotenv, text):
        nearest = dotenv.parent / "work" / ".env"
        nearest.write_text(text)
        nearest.chmod(0o666)
        dotenv.write_text(KEY)

        assert load_credentials().key_id == "id"

    def test_dotenv_with_a_url_alone_does_not_choose_where_a_key_is_sent(self, dotenv):
        (dotenv.parent / "work" / ".env").write_text("YD_API_URL=http://theirs\n")
        dotenv.write_text(KEY)

        assert "put key and URL into one place" in error_of()

    def test_environment_overrides_the_dotenv(self, dotenv, monkeypatch):
        dotenv.write_text(f"{KEY}YD_API_URL=http://a\n")
        set_key(monkeypatch, KEY_ID="other", KEY_SECRET="hidden", URL="http://b/")

        found = load_credentials()

        assert (found.key_id, found.key_secret, found.url) == ("other", "hidden", "http://b")

    def test_key_is_read_from_the_heads_file(self, head_file):
        head_file.write_text(f"{KEY}YD_API_URL=http://c\n")

        assert load_credentials().url == "http://c"

    def test_heads_file_overrides_a_dotenv_on_the_head(self, dotenv, head_file, monkeypatch):
        dotenv.write_text(f"{KEY}YD_API_URL=http://stranger\n")
        head_file.write_text(f"{KEY}YD_API_URL=http://c\n")
        monkeypatch.setenv("RAYDOG_ON_HEAD", "1")

        assert load_credentials().url == "http://c"

    def test_missing_key_is_reported_with_the_remedy(self):
        message = error_of()

        assert "YD_API_KEY_ID and YD_API_KEY_SECRET not set" in message
        assert ".env" in message

    def test_key_from_two_sources_is_refused(self, dotenv, monkeypatch):
        dotenv.write_text(KEY)
        monkeypatch.setenv("YD_API_KEY_ID", "id")

        assert "YD_API_KEY_SECRET not set in the environment, which has the rest" in error_of()


class TestHeadFile:
    def test_key_is_read_although_the_environment_has_another(self, head_file, monkeypatch):
        set_key(monkeypatch, KEY_ID="old", KEY_SECRET="old-secret", URL="http://a")
        head_file.write_text(f"{KEY}YD_API_URL=http://c/\n")

        found = load_head_file()

        assert (found.key_id, found.key_secret, found.url) == ("id", "secret", "http://c")

    @pytest.mark.parametrize("text", ["", "YD_API_KEY_ID=id\n", f"{KEY}YD_API_URL=ftp://x\n"])
    def test_unusable_file_is_refused(self, head_file, text):
        head_file.write_text(text)

        with pytest.raises(CredentialsError):
            load_head_file()

    def test_dotenv_overrides_the_head_file_outside_a_head(self, dotenv, head_file):
        dotenv.write_text(KEY)
        head_file.write_text(KEY.replace("secret", "other"))

        assert load_credentials().key_secret == "secret"

    def test_secret_of_the_head_file_is_literal(self, head_file):
        head_file.write_text("YD_API_KEY_ID=id\nYD_API_KEY_SECRET='a${HOME}b'\nYD_API_URL=http://a\n")

        assert load_head_file().key_secret == "a${HOME}b"

    def test_byte_order_mark_of_a_dotenv_is_no_part_of_it(self, dotenv):
        dotenv.write_bytes(b"\xef\xbb\xbf" + KEY.encode())

        assert load_credentials().key_id == "id"


class TestUrl:
    def test_key_of_the_environment_is_not_sent_to_the_url_of_a_dotenv(self, dotenv, monkeypatch):
        dotenv.write_text("YD_API_URL=http://stranger\n")
        set_key(monkeypatch)

        assert load_credentials().url == "https://api.yellowdog.ai"

    @pytest.mark.parametrize("lines", [KEY, f"{KEY}YD_API_URL=http://b\n"])
    def test_key_of_a_dotenv_is_refused_with_another_url_in_the_environment(self, dotenv, monkeypatch, lines):
        dotenv.write_text(lines)
        monkeypatch.setenv("YD_API_URL", "http://a")

        assert f"key is in {dotenv}, and the environment has another YD_API_URL (http://a)" in error_of()

    @pytest.mark.parametrize("url", ["api.yellowdog.ai", "ftp://a", "http://", "http://[a", "https://127.0.0.1:99999"])
    def test_text_that_is_no_url_is_refused(self, monkeypatch, url):
        set_key(monkeypatch, URL=url)

        assert "which is no URL: give one like https://api.yellowdog.ai" in error_of()

    @pytest.mark.parametrize("url", [f"https://me:pass@{WORD}@host", "https://me@host/x", f"ftp://me:{WORD}@host"])
    def test_user_and_password_in_a_url_are_refused_and_not_shown(self, monkeypatch, url):
        set_key(monkeypatch, URL=url)

        assert "://(secret)@host" in error_of()
        assert f"{WORD}@" not in error_of()

    def test_password_in_the_url_of_another_source_is_not_shown(self, dotenv, monkeypatch):
        dotenv.write_text(KEY)
        monkeypatch.setenv("YD_API_URL", f"http://me:{WORD}@a")

        assert "(http://(secret)@a)" in error_of()


class TestFiles:
    def test_dotenv_that_others_may_write_is_refused(self, dotenv):
        dotenv.write_text(KEY)
        dotenv.chmod(0o606)

        assert f"other users may write {dotenv}: run `chmod 600 {dotenv}`" in error_of()

    @pytest.mark.parametrize(
        ("group", "members"), [("staff", []), ("me", ["me", "other"]), ("staff", ["me"]), (None, [])]
    )
    def test_dotenv_that_a_shared_group_may_write_is_refused(self, dotenv, name_users, group, members):
        dotenv.write_text(KEY)
        dotenv.chmod(0o660)
        name_users(group, members)

        assert f"other users may write {dotenv}" in error_of()

    def test_dotenv_is_refused_when_its_group_is_another_users_primary_one(self, dotenv, name_users):
        dotenv.write_text(KEY)
        dotenv.chmod(0o660)
        name_users("me", [], primary=("other",))

        assert f"other users may write {dotenv}" in error_of()

    @pytest.mark.parametrize("members", [[], ["me"]])
    def test_dotenv_that_its_owners_own_group_may_write_is_read(self, dotenv, name_users, members):
        dotenv.write_text(KEY)
        dotenv.chmod(0o660)
        name_users("me", members)

        assert load_credentials().key_id == "id"

    def test_dotenv_that_an_access_list_opens_to_others_is_refused(self, dotenv, name_users, monkeypatch):
        dotenv.write_text(KEY)
        dotenv.chmod(0o660)
        name_users("me", [])
        monkeypatch.setattr("os.listxattr", lambda _: ["system.posix_acl_access"])

        assert f"other users may write {dotenv}" in error_of()

    def test_dotenv_is_read_when_sudos_user_is_no_number(self, dotenv, monkeypatch):
        dotenv.write_text(KEY)
        monkeypatch.setenv("SUDO_UID", "nobody")

        assert load_credentials().key_id == "id"

    @pytest.mark.parametrize("mode", [0o602, 0o662])
    def test_dotenv_that_all_may_write_is_refused_with_a_group_of_its_owner(self, dotenv, name_users, mode):
        dotenv.write_text(KEY)
        dotenv.chmod(mode)
        name_users("me", [])

        assert f"other users may write {dotenv}" in error_of()

    def test_dotenv_of_sudos_user_is_read(self, dotenv, monkeypatch):
        dotenv.write_text(KEY)
        owner = dotenv.stat().st_uid
        monkeypatch.setattr("os.getuid", lambda: owner + 1)
        monkeypatch.setenv("SUDO_UID", str(owner))

        assert load_credentials().key_id == "id"

    def test_dotenv_of_another_user_is_refused(self, dotenv, monkeypatch):
        dotenv.write_text(KEY)
        owner = dotenv.stat().st_uid
        if owner == 0:
            os.chown(dotenv, 4321, -1)
        else:
            monkeypatch.setattr("os.getuid", lambda: owner + 1)

        assert f"{dotenv} belongs to another user" in error_of()

    def test_dotenv_in_utf_16_is_refused_with_the_remedy(self, dotenv):
        dotenv.write_text(KEY, encoding="utf-16")

        assert error_of() == f"{dotenv} is not UTF-8 text: save it as UTF-8"

    def test_dotenv_with_a_byte_order_mark_is_read(self, dotenv):
        dotenv.write_text(KEY, encoding="utf-8-sig")

        assert load_credentials().key_id == "id"


@pytest.mark.parametrize("key_id", ["id\r", " id", "id\x1b", "id\u2013"])
def test_character_that_no_key_has_is_reported_with_its_place(dotenv, monkeypatch, key_id):
    set_key(monkeypatch, KEY_ID=key_id)

    message = error_of()

    assert "YD_API_KEY_ID in the environment contains the character" in message


@pytest.mark.parametrize("secret", ["simple", "se$cret#'\"x", "a b", "${HOME}", "a\\b\\'c", "#", "a=b", "'", "`x`"])
def test_heads_file_reads_back_as_the_same_key(head_file, secret):
    original = Credentials("https://api.yellowdog.ai", "id", secret)
    head_file.write_text(original.as_dotenv())

    assert load_credentials() == original


def test_repr_does_not_contain_the_secret(monkeypatch):
    set_key(monkeypatch, KEY_SECRET="hush")

    assert "hush" not in repr(load_credentials())
