import pytest


@pytest.fixture(autouse=True)
def ray_with_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray below 2.52, with which these tests also run, would add a warning to every result."""
    monkeypatch.setattr("ray.__version__", "2.60.0")
