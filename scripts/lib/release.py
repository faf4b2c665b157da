"""Checks a release, builds it into dist/, and prints the commands that would upload it. Started by scripts/release.

Imports the standard library only, because no environment exists yet.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
FORGE = "https://github.com/yellowdog/raydog/blob"
PROJECTS = {"yellowdog-ray": ".", "yellowdog-local": "packages/yellowdog-local"}
"""The directory of each distribution's pyproject.toml."""

PACKAGES = {"yellowdog-ray": {"yellowdog_ray"}, "yellowdog-local": {"yellowdog_local", "raydog_cli"}}
FORBIDDEN = {"yellowdog-ray": {"typer", "rich", "starlette", "uvicorn"}, "yellowdog-local": {"ray"}}
"""Dependencies that a distribution must not have: the other one's purpose."""

MAX_BYTES = 1_000_000
"""Maximum size of one file of a release. `ray up` sends the provider over SSH."""

TWINE = "twine>=6,<7"
_ENTRY = re.compile(r"^([a-z0-9][^\n]*?==[^\n]*?) *\\?\n((?:^ +.*\n?)*)", re.MULTILINE)
_VIA = re.compile(r"^ +#(?: via|  ) +(\S.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?://|#)([^)\s]+)\)")


def main(uv: str) -> int:
    """The command; 0 if there is no problem."""
    version = source_version(ROOT)
    problems = source_problems(
        version,
        (ROOT / "CHANGELOG.md").read_text(),
        tags=_output("git", "tag", "--list").split(),
        changes=_output("git", "status", "--porcelain").splitlines(),
    )
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="release-") as directory:
        _export(Path(directory), version)
        for project in PROJECTS.values():
            subprocess.run([uv, "build", "--quiet", "--out-dir", DIST, Path(directory) / project], check=True)
    lock = (ROOT / "requirements/dev.txt").read_text()
    for name in PROJECTS:
        problems += archive_problems(DIST, name, version)
        (DIST / f"{name}-{version}.cdx.json").write_text(
            json.dumps(sbom(name, version, locked_dependencies(lock, name)), indent=2)
        )
    archives = sorted(str(file) for file in DIST.glob("*-py3-none-any.whl")) + sorted(map(str, DIST.glob("*.tar.gz")))
    if subprocess.run(
        [uv, "tool", "run", "--from", TWINE, "twine", "check", "--strict", *archives], check=False
    ).returncode:
        problems.append("a description does not render: see above")
    _say(*(f"dist/{file.name}: {file.stat().st_size:,} bytes" for file in sorted(DIST.iterdir()) if file.suffix))
    if problems:
        _say("", "This commit cannot be released:", *(f"  - {problem}" for problem in problems))
        return 1
    files = " ".join(str(Path(file).relative_to(ROOT)) for file in archives)
    _say("", "Nothing was uploaded. These commands publish the release:")
    _say(f"  git tag v{version} && git push origin v{version}", f"  uv publish {files}")
    return 0


def source_version(root: Path) -> str:
    """The version in the provider's `__init__`, from which both distributions take it."""
    text = (root / "src/yellowdog_ray/__init__.py").read_text()
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise ValueError("src/yellowdog_ray/__init__.py has no __version__")
    return found[1]


def source_problems(version: str, changelog: str, *, tags: Sequence[str], changes: Sequence[str]) -> list[str]:
    """What keeps a commit from being released.

    Args:
        version: the version.
        changelog: the text of CHANGELOG.md.
        tags: the existing git tags.
        changes: the uncommitted changes, as `git status --porcelain` lists them.
    """
    problems = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        problems.append(f"version {version} is not of the form 1.2.3")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    newest = next((heading for heading in headings if heading != "[Unreleased]"), "none")
    if not re.fullmatch(rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d", newest):
        problems.append(
            f"CHANGELOG.md: the newest heading of a version must be `## [{version}] - <date>`, and is: {newest}"
        )
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if unreleased and unreleased[1].strip():
        problems.append("CHANGELOG.md: entries under *Unreleased* belong below the version's heading")
    if f"v{version}" in tags:
        problems.append(f"the git tag v{version} exists: increase __version__ in src/yellowdog_ray/__init__.py")
    if changes:
        problems.append(f"{len(changes)} uncommitted changes, such as: {changes[0].strip()}")
    return problems


def archive_problems(dist: Path, name: str, version: str) -> list[str]:
    """What is wrong with the built files of one distribution."""
    stem = f"{name.replace('-', '_')}-{version}"
    wheel, archive = dist / f"{stem}-py3-none-any.whl", dist / f"{stem}.tar.gz"
    missing = [file.name for file in (wheel, archive) if not file.exists()]
    if missing:
        return [f"{name}: {', '.join(missing)} was not built"]
    problems = [
        f"{file.name} has {file.stat().st_size:,} bytes, more than {MAX_BYTES:,}"
        for file in (wheel, archive)
        if file.stat().st_size > MAX_BYTES
    ]
    with zipfile.ZipFile(wheel) as contents:
        names = contents.namelist()
        metadata = HeaderParser().parsestr(contents.read(f"{stem}.dist-info/METADATA").decode())
    packages = {path.split("/")[0] for path in names if path.endswith(".py")}
    if packages != PACKAGES[name]:
        problems.append(f"{wheel.name} has the packages {sorted(packages)}, not {sorted(PACKAGES[name])}")
    problems += [
        f"{wheel.name}: {package} has no py.typed" for package in packages if f"{package}/py.typed" not in names
    ]
    if metadata["Version"] != version:
        problems.append(f"{wheel.name} says version {metadata['Version']}")
    needed = {re.split(r"[^\w.-]", line)[0].lower() for line in metadata.get_all("Requires-Dist", [])}
    problems += [f"{wheel.name} requires {package}" for package in sorted(needed & FORBIDDEN[name])]
    return problems


def locked_dependencies(lock: str, name: str) -> list[str]:
    """The dependencies of a distribution, direct and indirect, as lines `name==version ; marker`.

    Args:
        lock: the text of requirements/dev.txt, where each package names those that require it.
        name: the distribution.
    """
    direct = f"{name} ({'' if PROJECTS[name] == '.' else PROJECTS[name] + '/'}pyproject.toml)"
    required_by = {
        pinned.strip(): {line.strip() for line in _VIA.findall(rest)} for pinned, rest in _ENTRY.findall(lock)
    }
    found: dict[str, None] = {}
    wanted = {direct}
    while wanted:
        new = [pinned for pinned, parents in required_by.items() if parents & wanted and pinned not in found]
        found |= dict.fromkeys(new)
        wanted = {pinned.split("==")[0] for pinned in new}
    return sorted(found)


def sbom(name: str, version: str, requirements: Iterable[str]) -> dict[str, Any]:
    """A software bill of materials in CycloneDX 1.5.

    Args:
        name: the distribution.
        version: its version.
        requirements: the locked dependencies, direct and indirect, as lines `name==version ; marker`.
    """
    components = []
    for line in requirements:
        pinned, _, marker = (part.strip() for part in line.partition(";"))
        component: dict[str, Any] = _component(*pinned.split("=="))
        if marker:
            component["properties"] = [{"name": "python:marker", "value": marker}]
        components.append(component)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {**_component(name, version), "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
    }


def with_absolute_links(page: str, version: str) -> str:
    """A README for a package index, which has no other file of the repository: links lead to the version's files."""
    return _LINK.sub(rf"]({FORGE}/v{version}/\1)", page)


def _component(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _export(directory: Path, version: str) -> None:
    """Write the committed files to a directory, with READMEs for a package index."""
    archive = directory / "head.tar"
    subprocess.run(["git", "archive", "--output", archive, "HEAD"], cwd=ROOT, check=True)
    with tarfile.open(archive) as files:
        files.extractall(directory)  # noqa: S202 - made from this repository
    archive.unlink()
    for project in PROJECTS.values():
        readme = directory / project / "README.md"
        readme.write_text(with_absolute_links(readme.read_text(), version))


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
