"""An agent's home for task scripts: an environment of fake programs, and a package of RayDog that seems unpacked."""

from collections.abc import Mapping
from pathlib import Path

from yellowdog_ray.node.package import CURRENT


def make_home(home: Path, programs: Mapping[str, str]) -> Path:
    """Make a home, and return it.

    Args:
        home: an empty directory.
        programs: the text of each program of the environment, by its name.
    """
    folder = home / "venv/bin"
    folder.mkdir(parents=True)
    (home / CURRENT).mkdir(parents=True)
    (folder / "activate").write_text(f"PATH={folder}:$PATH\n")
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return home
