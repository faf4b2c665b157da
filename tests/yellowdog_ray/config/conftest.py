from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def ray_with_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray below 2.52, with which these tests also run, would add a warning to every result."""
    monkeypatch.setattr("ray.__version__", "2.60.0")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """The YAML's folder, and another working directory."""
    made = [tmp_path / "project", tmp_path / "elsewhere"]
    for folder in made:
        folder.mkdir()
    return made
