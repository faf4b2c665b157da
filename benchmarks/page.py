"""Replaces the text between the markers of a page. Pure.

<!-- bench: listing -->
old text
<!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLOCK = re.compile(r"(<!-- bench: (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class NoSuchMarker(LookupError):
    """A text has no marker in the page."""


def fill(page: str, blocks: Mapping[str, str]) -> str:
    """The page with these texts between its markers; other blocks stay unchanged.

    Raises:
        NoSuchMarker: a text has no marker.
    """
    present = {found["name"] for found in _BLOCK.finditer(page)}
    missing = sorted(blocks.keys() - present)
    if missing:
        raise NoSuchMarker(f"no `<!-- bench: {missing[0]} -->` followed by `<!-- end -->` in the page")

    def with_block(found: re.Match[str]) -> str:
        text = blocks.get(found["name"])
        return found[0] if text is None else f"{found[1]}\n{text.strip()}\n\n{found[3]}"

    return _BLOCK.sub(with_block, page)
