"""What is done on the head by SSH, done here by a shell of this machine."""

import stat
import subprocess

import pytest

from yellowdog_ray.ssh import SshTarget


@pytest.fixture
def target(tmp_path, monkeypatch) -> SshTarget:
    """A host that is a folder, for a user whose files everybody may read."""

    def run(self: SshTarget, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        subprocess.run(["bash", "-c", f"umask 022; {command}"], input=stdin, cwd=tmp_path, check=True)
        return ""

    monkeypatch.setattr(SshTarget, "run", run)
    return SshTarget("yd-agent", "10.0.0.1", "key")


def test_a_secret_is_for_its_owner_only(target, tmp_path):
    (tmp_path / ".raydog").mkdir()
    (tmp_path / ".raydog/credentials").write_text("an older key")
    (tmp_path / ".raydog/credentials").chmod(0o644)

    for file in (".raydog/credentials", "a folder/key"):
        target.write_secret("YD_API_KEY_SECRET=x\n", file)

        assert (tmp_path / file).read_text() == "YD_API_KEY_SECRET=x\n"
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a folder").stat().st_mode) == 0o700


def test_no_command_line_shows_a_secret(monkeypatch):
    commands = []
    monkeypatch.setattr(SshTarget, "run", lambda self, command, stdin=b"": commands.append(command))

    SshTarget("yd-agent", "10.0.0.1", "key").write_secret("the-secret", ".raydog/credentials")

    assert commands
    assert "the-secret" not in "".join(commands)
