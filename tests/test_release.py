"""The checks of `scripts/release`: each problem is reported, and a good release has none."""

import zipfile
from pathlib import Path

import pytest

from tests.script_modules import script_module

ROOT = Path(__file__).parents[1]
release = script_module("release")

GOOD = "# Changelog\n\n## [Unreleased]\n\n## [3.1.0] - 2027-01-31\n\n- x\n\n## [3.0.0] - 2026-12-01\n"


def problems(version="3.1.0", changelog=GOOD, tags=("v3.0.0",), changes=()):
    return release.source_problems(version, changelog, tags=tags, changes=changes)


class TestSource:
    def test_good_source_has_no_problem(self):
        assert problems() == []

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"version": "3.1"}, "is not of the form"),
            ({"version": "3.2.0"}, "must be `## [3.2.0] - <date>`, and is: [3.1.0] - 2027-01-31"),
            ({"changelog": "## [Unreleased]\n\n- x\n"}, "and is: none"),
            ({"changelog": GOOD.replace("leased]\n", "leased]\n\n- y\n")}, "belong below the version's heading"),
            ({"tags": ("v3.0.0", "v3.1.0")}, "the git tag v3.1.0 exists"),
            ({"changes": (" M README.md",)}, "1 uncommitted changes, such as: M README.md"),
        ],
        ids=["version", "heading", "no heading", "unreleased", "tag", "changes"],
    )
    def test_problem_is_reported(self, wrong, words):
        assert words in " ".join(problems(**wrong))

    def test_version_is_that_of_the_package(self):
        import yellowdog_ray

        assert release.source_version(ROOT) == yellowdog_ray.__version__


class TestArchives:
    NAME, VERSION = "yellowdog-local", "3.1.0"

    @pytest.fixture
    def built(self, tmp_path):
        """Writes the files of a distribution, with changes to the good ones."""

        def write(metadata="Version: 3.1.0\nRequires-Dist: typer>=0.15\n", without="", size=0):
            stem = tmp_path / "yellowdog_local-3.1.0"
            files = {
                f"{package}/{file}": ""
                for package in ("yellowdog_local", "raydog_cli")
                for file in ("__init__.py", "py.typed")
            }
            with zipfile.ZipFile(f"{stem}-py3-none-any.whl", "w") as wheel:
                for file in {**files, f"{stem.name}.dist-info/METADATA": ""}:
                    if not without or without not in file:
                        wheel.writestr(file, metadata)
            Path(f"{stem}.tar.gz").write_bytes(bytes(size))
            return release.archive_problems(tmp_path, self.NAME, self.VERSION)

        return write

    def test_good_archives_have_no_problem(self, built):
        assert built() == []

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"without": "raydog_cli"}, "has the packages ['yellowdog_local']"),
            ({"without": "local/py.typed"}, "yellowdog_local has no py.typed"),
            ({"metadata": "Version: 3.0.0\n"}, "says version 3.0.0"),
            ({"metadata": "Version: 3.1.0\nRequires-Dist: ray[default]>=2.50\n"}, "requires ray"),
            ({"size": 1_000_001}, "has 1,000,001 bytes"),
        ],
        ids=["package", "py.typed", "version", "dependency", "size"],
    )
    def test_problem_is_reported(self, built, wrong, words):
        assert words in " ".join(built(**wrong))

    def test_missing_archive_is_reported(self, tmp_path):
        assert "was not built" in " ".join(release.archive_problems(tmp_path, self.NAME, self.VERSION))


def test_sbom_lists_each_locked_dependency():
    made = release.sbom("yellowdog-ray", "3.1.0", ["redis==5.0.1", "tomli==2.0 ; python_version < '3.11'"])

    assert [component["purl"] for component in made["components"]] == ["pkg:pypi/redis@5.0.1", "pkg:pypi/tomli@2.0"]
    assert made["components"][1]["properties"] == [{"name": "python:marker", "value": "python_version < '3.11'"}]
    assert made["metadata"]["component"]["bom-ref"] == "pkg:pypi/yellowdog-ray@3.1.0"


LOCK = """\
click==8.1 \\
    --hash=sha256:00
    # via
    #   ray
    #   typer
mypy==1.0 \\
    --hash=sha256:00
    # via yellowdog-ray (pyproject.toml:dev)
ray==2.60 ; python_version < '3.14' \\
    --hash=sha256:00
    # via yellowdog-ray (pyproject.toml)
typer==0.15 \\
    --hash=sha256:00
    # via yellowdog-local (packages/yellowdog-local/pyproject.toml)
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("yellowdog-ray", ["click==8.1", "ray==2.60 ; python_version < '3.14'"]),
        ("yellowdog-local", ["click==8.1", "typer==0.15"]),
    ],
)
def test_locked_dependencies_are_those_of_the_distribution(name, found):
    assert release.locked_dependencies(LOCK, name) == found


def test_links_of_a_description_lead_to_the_forge():
    page = "[a](docs/a.md#b), [c](#c) and [d](https://example.com/d)"

    assert release.with_absolute_links(page, "3.1.0") == (
        "[a](https://github.com/yellowdog/raydog/blob/v3.1.0/docs/a.md#b), [c](#c) and [d](https://example.com/d)"
    )
