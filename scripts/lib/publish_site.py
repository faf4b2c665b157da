"""Puts a built site beside those of other versions: `publish_site.py SITE DIRECTORY`. See scripts/docs.

A web server serves the directory. It has a directory for each version, `versions.json` for the site's version selector,
and an `index.html` that leads to the newest version. `versions.json` has the format of the program `mike`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

_SOURCE = Path(__file__).resolve().parents[2] / "src/yellowdog_ray/__init__.py"
_VERSION = re.compile(r"\d+(\.\d+)*")
_LATEST = "latest"
_INDEX = (
    '<!doctype html>\n<meta http-equiv="refresh" content="0; url={0}/index.html">\n<a href="{0}/index.html">{0}</a>\n'
)


def main() -> None:
    """Publish the site of this checkout's version."""
    site, directory = map(Path, sys.argv[1:])
    version = re.findall(r'^__version__ = "(.*)"', _SOURCE.read_text(encoding="utf-8"), re.MULTILINE)[0]
    publish(site, directory, version)
    sys.stdout.write(f"Version {version} is in {directory / version}\n")


def publish(site: Path, directory: Path, version: str) -> None:
    """Add or replace the site of one version.

    Args:
        site: the built site.
        directory: the directory of all versions; it is created.
        version: the version that the site describes.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(directory / version, ignore_errors=True)
    shutil.copytree(site, directory / version)
    versions = sorted(
        (path.name for path in directory.iterdir() if path.is_dir() and _VERSION.fullmatch(path.name)),
        key=lambda name: [int(part) for part in name.split(".")],
        reverse=True,
    )
    listed = [
        {"version": name, "title": name, "aliases": [_LATEST] if name == versions[0] else []} for name in versions
    ]
    (directory / "versions.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    (directory / "index.html").write_text(_INDEX.format(versions[0]), encoding="utf-8")


if __name__ == "__main__":
    main()
