"""Hooks of MkDocs: links of the pages work on a forge and on the site. `mkdocs.yml` names this module.

The pages link to each other, and to sources and examples, by relative paths in the repository. The site has the pages
only: a link to another file becomes a link to the forge.
"""

from __future__ import annotations

import logging
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
FORGE = "https://github.com/yellowdog/raydog"
OUTSIDE_DOCS = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages of the site that are files of the repository's root."""

_PARTS = re.compile(r"(^ *```.*?^ *```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")

logger = logging.getLogger("mkdocs.hooks.site")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors that a forge gives them, and each page the version that it describes."""
    config.mdx_configs["toc"]["slugify"] = _anchor
    source = (ROOT / "src/yellowdog_ray/__init__.py").read_text(encoding="utf-8")
    config.copyright = "RayDog " + re.findall(r'^__version__ = "(.*)"', source, re.MULTILINE)[0]
    return config


def _anchor(heading: str, _separator: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are outside the documentation's directory."""
    for name in OUTSIDE_DOCS:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Rewrite the links of a page, except those in code blocks."""
    parts = _PARTS.split(markdown)
    parts[::2] = [_LINK.sub(lambda match: f"]({site_link(match[1], page.file.src_uri)})", part) for part in parts[::2]]
    return "".join(parts)


def site_link(link: str, page: str) -> str:
    """The link as the site needs it.

    Args:
        link: the link as the page has it.
        page: the page's path on the site.
    """
    path, hash_sign, anchor = link.partition("#")
    if "://" in link or link.startswith("mailto:") or not path:
        return link
    origin = ROOT / page if page in OUTSIDE_DOCS else ROOT / "docs" / page
    target = Path(posixpath.normpath(origin.parent / path))
    if not target.exists():
        logger.warning("%s links to %s, which does not exist", page, link)
        return link
    name = target.relative_to(ROOT).as_posix()
    if name in OUTSIDE_DOCS or name.startswith("docs/"):
        return posixpath.relpath(name.removeprefix("docs/"), posixpath.dirname(page) or ".") + hash_sign + anchor
    return f"{FORGE}/{'tree' if target.is_dir() else 'blob'}/main/{name}{hash_sign}{anchor}"
