from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import laptop as ray_commands
from tests.commands.account import NAME, Account
from tests.commands.laptop import Laptop
from tests.simulation.wire import Wire
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture
def local() -> Iterator[RunningPlatform]:
    """A platform on which time passes only when a test says so, or a `ray` command waits."""
    with local_platform(clock=SteppedClock()) as running:
        yield running


@pytest.fixture
def home(local: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who has a good key, and whose `ray` commands are on the platform's clock."""
    for name in ("RAYDOG_ON_HEAD", "RAYDOG_WORK_REQUIREMENT_ID", "RAY_enable_autoscaler_v2"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YD_API_URL", local.url)
    monkeypatch.setenv("YD_API_KEY_ID", local.key_id)
    monkeypatch.setenv("YD_API_KEY_SECRET", local.key_secret)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "id_ed25519").write_text("not a real key\n")
    ray_commands.prepare(monkeypatch, local, tmp_path)
    return tmp_path


@pytest.fixture
def account(local: RunningPlatform, home: Path) -> Iterator[Account]:
    """The platform's account, with somebody else's things in it."""
    made = Account(local, home)
    yield made
    made.close()


@pytest.fixture
def wire(account: Account, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """The way to the platform."""
    return Wire(monkeypatch)


@pytest.fixture
def laptop(account: Account, home: Path) -> Laptop:
    """Where `ray up` and `ray down` are given."""
    return Laptop(home, NAME)
