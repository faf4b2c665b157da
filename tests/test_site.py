"""The documentation site: every page has its place, and the site builds without a warning or another host."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

import yellowdog_ray
from tests.script_modules import script_module

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MKDOCS = ROOT / ".venv-docs/bin/mkdocs"
OUTSIDE_DOCS = {"CONTRIBUTING.md", "CHANGELOG.md"}
LOADED = re.compile(r'<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="(https?:)?//')

needs_mkdocs = pytest.mark.skipif(not MKDOCS.exists(), reason="needs MkDocs: `scripts/docs` installs it")
# A build takes 4 s, and a minute on a machine that is very busy.
pytestmark = pytest.mark.timeout(180)


def pages_in_order(entry) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, dict):
        entry = list(entry.values())
    return [page for part in entry for page in pages_in_order(part)]


def build(config: Path, target: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [MKDOCS, "build", "--strict", "--config-file", config, "--site-dir", target],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"},
    )


def test_site_has_a_place_for_every_page():
    order = pages_in_order(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])

    assert len(order) == len(set(order))
    assert set(order) == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} | OUTSIDE_DOCS


def test_questions_are_all_in_the_index_of_their_page():
    text = (DOCS / "questions.md").read_text()
    index, _, _ = text.partition("\n## ")
    anchors = [
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^## (.*)$", text, re.MULTILINE)
    ]

    assert len(anchors) >= 20
    assert [anchor for anchor in anchors if f"(#{anchor})" not in index] == []


publish_site = script_module("publish_site")


def test_published_site_is_beside_those_of_other_versions(tmp_path):
    directory = tmp_path / "public"
    for version in ("3.10.0", "3.9.0", "3.9.0"):
        (tmp_path / "built").mkdir(exist_ok=True)
        (tmp_path / "built/index.html").write_text(f"RayDog {version}")
        publish_site.publish(tmp_path / "built", directory, version)

    listed = json.loads((directory / "versions.json").read_text())
    assert [(one["version"], one["aliases"]) for one in listed] == [("3.10.0", ["latest"]), ("3.9.0", [])]
    assert "url=3.10.0/index.html" in (directory / "index.html").read_text()
    assert (directory / "3.9.0/index.html").read_text() == "RayDog 3.9.0"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site."""
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", target)
    assert done.returncode == 0, done.stderr
    return target


@needs_mkdocs
class TestBuild:
    def test_site_loads_nothing_from_other_hosts(self, site):
        pages = sorted(site.rglob("*.html"))

        assert len(pages) > 30
        assert [page.name for page in pages if LOADED.search(page.read_text())] == []

    def test_pages_name_the_version_that_they_describe(self, site):
        assert f"RayDog {yellowdog_ray.__version__}" in (site / "index.html").read_text()

    def test_site_links_to_the_forge_for_files_that_are_no_pages(self, site):
        text = (site / "CONTRIBUTING.html").read_text()

        assert 'href="https://github.com/yellowdog/raydog/blob/main/LICENSE"' in text
        assert 'href="design.html"' in text

    @pytest.mark.parametrize(
        ("link", "message"),
        [
            ("nodes-and-images.md", "x.md links to nodes-and-images.md, which does not exist"),
            ("#no-such-heading", "no-such-heading"),
        ],
    )
    def test_build_fails_for_a_broken_link(self, tmp_path, link, message):
        page = tmp_path / "docs/x.md"
        page.parent.mkdir()
        page.write_text(f"# Page\n\n[broken]({link})\n")
        config = tmp_path / "mkdocs.yml"
        config.write_text(
            f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: docs\nhooks: [{ROOT}/scripts/lib/site.py]\nnav: [x.md]\n"
        )

        done = build(config, tmp_path / "site")

        assert done.returncode != 0
        assert message in done.stderr
