"""What reaches the head: API key, token, the user's extra files, and the configuration."""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from ray.autoscaler._private.util import prepare_config

from tests.yellowdog_ray.config.test_bootstrap import RAY_SCHEMA
from yellowdog_ray.commands.deliver import deliver, for_the_head, upload_files
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.provider import RayDogNodeProvider
from yellowdog_ray.remote.head_files import Authentication
from yellowdog_ray.remote.package import REFUSAL, make_package
from yellowdog_ray.remote.ssh import SshTarget

CREDENTIALS = Credentials("https://example.org", "id", "the-secret")
PACKAGE = make_package("3.0.0", {"yellowdog_ray/__init__.py": b"print('the sent package')\n"})
SETTINGS = parse_provider({"cluster_namespace": "demo"}, "cluster.yaml")


def test_mapped_files_are_copied_to_the_given_remote_paths(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    upload_files(target, {"~/data/x": "x", "/opt/y": "y"})

    assert uploaded == {"data/x": "x", "/opt/y": "y"}


def recording_target(monkeypatch: pytest.MonkeyPatch, uploaded: dict[str, str]) -> SshTarget:
    record: Callable[..., None] = lambda self, local, remote: uploaded.__setitem__(remote, local)  # noqa: E731
    monkeypatch.setattr(SshTarget, "upload", record)
    return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")


def test_config_for_the_head_has_no_local_path(platform, in_a_users_folder, cluster_yaml, ssh_key):
    cluster_yaml["provider"]["files_to_upload"] = [str(ssh_key)]
    config = RayDogNodeProvider.bootstrap_config(cluster_yaml)
    config["provider"]["_config_cache_path"] = str(ssh_key.parent / "ray-config-x")
    config["auth"]["ssh_private_key"] = "~/ray_bootstrap_key.pem"  # Ray does that before it calls the provider

    for_head = for_the_head(config)

    assert str(ssh_key) not in json.dumps(for_head)
    assert "_config_cache_path" not in for_head["provider"]
    assert "files_to_upload" not in for_head["provider"]
    jsonschema.validate(for_head, RAY_SCHEMA)


def test_config_for_the_head_keeps_setup_commands_once(platform, in_a_users_folder, cluster_yaml):
    """Ray puts them before those of head and workers whenever it reads a configuration: here, and again on the head."""
    commands = {"setup_commands": ["every"], "head_setup_commands": ["head"], "worker_setup_commands": ["worker"]}
    config = RayDogNodeProvider.bootstrap_config(prepare_config(cluster_yaml | commands))

    on_head = prepare_config(for_the_head(config))

    assert config["head_setup_commands"] == ["every", "head"]
    assert on_head["worker_setup_commands"] == ["every", "worker"]


class HeadHome:
    """A head's home, of a user with umask 022."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commands: list[str] = []

    def target(self) -> SshTarget:
        return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")

    def run(self, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        self.commands.append(command)
        done = subprocess.run(
            ["bash", "-c", f"echo 'a message of the login shell'; umask 022; {command}"],
            input=stdin,
            cwd=self.path,
            env={"HOME": str(self.path), "PATH": os.environ["PATH"]},
            stdout=subprocess.PIPE,
            check=True,
            timeout=timeout,
        )
        return done.stdout.decode()

    def deliver(self, mode: str | None = "token", head_id: str = "head-1", token: str = "the-token") -> str:  # noqa: S107
        return deliver(self.target(), CREDENTIALS, SETTINGS, Authentication(mode, head_id, token), PACKAGE).token

    def shell(self, *arguments: str) -> str:
        """What Ray's variables are in a shell that is started in this way."""
        done = subprocess.run(
            ["bash", *arguments, "env"],
            env={"HOME": str(self.path), "PATH": os.environ["PATH"], "RAY_AUTH_TOKEN": "of-the-image"},
            capture_output=True,
            text=True,
            check=True,
        )
        return "\n".join(sorted(line for line in done.stdout.splitlines() if line.startswith("RAY_")))


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeadHome:
    home = HeadHome(tmp_path)
    monkeypatch.setattr(SshTarget, "run", lambda _, *arguments, **options: home.run(*arguments, **options))
    return home


class TestDelivery:
    def test_delivery_writes_private_files(self, head):
        (head.path / ".raydog").mkdir()
        (head.path / ".raydog/credentials").write_text("an older key")
        (head.path / ".raydog/credentials").chmod(0o644)

        head.deliver()

        for file, text in ((".raydog/credentials", CREDENTIALS.as_dotenv()), (".ray/auth_token", "the-token\n")):
            assert (head.path / file).read_text() == text
            assert stat.S_IMODE((head.path / file).stat().st_mode) == 0o600
        assert not list(head.path.rglob("*.new"))

    def test_delivery_makes_an_existing_folder_private(self, head):
        (head.path / ".raydog").mkdir(mode=0o755)

        head.deliver()

        assert stat.S_IMODE((head.path / ".raydog").stat().st_mode) == 0o700

    def test_delivery_keeps_secrets_off_the_command_line(self, head):
        head.deliver()

        assert head.commands
        assert "the-token" not in "".join(head.commands)
        assert CREDENTIALS.key_secret not in "".join(head.commands)

    def test_delivery_is_one_connection(self, head):
        head.deliver()

        assert len(head.commands) == 1

    @pytest.mark.parametrize("secret", ["a'b\"c$HOME`id`\\d", "END_OF_FILE"])
    def test_key_arrives_as_it_is(self, head, secret):
        credentials = Credentials("https://example.org", "id", secret)

        deliver(head.target(), credentials, SETTINGS, Authentication(), PACKAGE)

        assert (head.path / ".raydog/credentials").read_text() == credentials.as_dotenv()

    @pytest.mark.parametrize(
        ("message", "kind"),
        [(f"{REFUSAL}: its image lacks tar", HeadUnusable), ("connection refused", SshError)],
        ids=["refused by the head", "connection failed"],
    )
    def test_failure_names_a_head_that_cannot_take_the_package(self, head, monkeypatch, message, kind):
        def fail(*_: object, **__: object) -> str:
            raise SshError(message)

        monkeypatch.setattr(SshTarget, "run", fail)

        with pytest.raises(kind, match=message):
            head.deliver()


class TestToken:
    def test_new_head_gets_the_proposed_token(self, head):
        assert head.deliver() == "the-token"

    @pytest.mark.parametrize(
        "token", [r"abc\tdef\nghi", r"long\cXYZ", "END_OF_FILE", "a'b\"$(id)`id`", "-n", "%s%d", r"\\x", "x" * 9000]
    )
    def test_any_token_arrives_and_is_reported_as_it_is(self, head, token):
        """Debian's `sh` interprets backslashes in `echo`."""
        assert head.deliver(token=token) == token
        assert (head.path / ".ray/auth_token").read_text() == f"{token}\n"

    def test_token_without_a_newline_is_reported(self, head):
        head.deliver()
        (head.path / ".ray/auth_token").write_text("copied-by-ray")

        assert head.deliver() == "copied-by-ray"

    def test_running_heads_token_is_adopted(self, head):
        head.deliver(token="first")

        assert head.deliver(token="second") == "first"
        assert (head.path / ".ray/auth_token").read_text() == "first\n"

    @pytest.mark.parametrize("owner", [None, "head-0"])
    def test_token_of_the_image_or_of_an_earlier_head_is_replaced(self, head, owner):
        (head.path / ".ray").mkdir()
        (head.path / ".ray/auth_token").write_text("old")
        if owner:
            (head.path / ".raydog").mkdir()
            (head.path / ".raydog/auth_token_of").write_text(owner)

        assert head.deliver() == "the-token"
        assert (head.path / ".ray/auth_token").read_text() == "the-token\n"

    @pytest.mark.parametrize("mode", ["disabled", None])
    def test_cluster_without_tokens_gets_none(self, head, mode):
        assert head.deliver(mode) == ""
        assert not (head.path / ".ray/auth_token").exists()

    def test_unreported_token_is_an_error(self, head, monkeypatch):
        monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "nothing\n")

        with pytest.raises(SshError, match="did not report its token"):
            head.deliver()


class TestShells:
    WITH = "RAY_AUTH_MODE=token\nRAY_AUTH_TOKEN_PATH={}/.ray/auth_token"

    # Ray's command runner; a login; a command over SSH, for which Debian's bash reads ~/.bashrc.
    @pytest.mark.parametrize(
        "arguments",
        [("--login", "-i", "-c"), ("--login", "-c"), ("-i", "-c")],
        ids=["ray exec", "login", "interactive"],
    )
    def test_shell_has_the_variables(self, head, arguments):
        head.deliver()

        assert head.shell(*arguments) == self.WITH.format(head.path)

    def test_debians_bashrc_that_returns_early_has_them(self, head):
        (head.path / ".bashrc").write_text("case $- in *i*) ;; *) return;; esac\nPS1=x\n")
        (head.path / ".bashrc").chmod(0o640)
        head.deliver()

        assert head.shell("-c", ". ~/.bashrc; env; exit").startswith("RAY_AUTH_MODE=token")
        assert (head.path / ".bashrc").read_text().endswith("esac\nPS1=x\n")
        assert stat.S_IMODE((head.path / ".bashrc").stat().st_mode) == 0o640

    def test_kernel_ends_programs_of_login_shells_before_ray_when_memory_is_short(self, head):
        head.deliver()
        command = ["bash", "--login", "-c", "cat /proc/self/oom_score_adj"]
        environment = {"HOME": str(head.path), "PATH": os.environ["PATH"]}
        shell = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

        assert int(shell.stdout) > int(Path("/proc/self/oom_score_adj").read_text())

    @pytest.mark.parametrize("login", [".bash_profile", ".bash_login", ".profile"])
    def test_login_file_that_bash_reads_is_changed(self, head, login):
        (head.path / login).write_text("export MINE=1\n")

        head.deliver()

        assert head.shell("--login", "-c") == self.WITH.format(head.path)
        assert "MINE=1" in (head.path / login).read_text()

    def test_second_delivery_changes_no_file_of_the_user(self, head):
        head.deliver()
        before = (head.path / ".bashrc").read_text(), (head.path / ".profile").read_text()

        head.deliver()

        assert before == ((head.path / ".bashrc").read_text(), (head.path / ".profile").read_text())

    def test_read_only_start_files_do_not_stop_ray_up(self, head):
        (head.path / ".bashrc").mkdir()

        assert head.deliver() == "the-token"

    def test_cluster_without_tokens_says_so_to_its_shells(self, head):
        head.deliver("disabled")

        assert "RAY_AUTH_MODE=disabled" in head.shell("--login", "-c")

    def test_head_of_an_earlier_raydog_is_left_alone(self, head):
        head.deliver(None)

        assert not (head.path / ".raydog/shell").exists()
        assert not (head.path / ".bashrc").exists()

    def test_shell_works_when_the_cluster_has_ended(self, head):
        head.deliver()
        (head.path / ".raydog/shell").unlink()

        assert head.shell("--login", "-c") == "RAY_AUTH_TOKEN=of-the-image"
