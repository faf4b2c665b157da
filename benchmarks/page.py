"""What is measured, put between the markers of a page. Pure.

<!-- bench: listing -->
whatever was there
<!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BLOCK = re.compile(r"(<!-- bench: (?P<name>[a-z0-9-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


class NoSuchMarker(LookupError):
    """There is something to show, and the page has no place for it."""


def fill(page: str, blocks: Mapping[str, str]) -> str:
    """A page with these texts between its markers; blocks that nothing is known of stay as they are.

    Raises:
        NoSuchMarker: a text has no marker.
    """
    there = {found["name"] for found in _BLOCK.finditer(page)}
    missing = sorted(blocks.keys() - there)
    if missing:
        raise NoSuchMarker(f"no `<!-- bench: {missing[0]} -->` followed by `<!-- end -->` in the page")

    def with_block(found: re.Match[str]) -> str:
        text = blocks.get(found["name"])
        return found[0] if text is None else f"{found[1]}\n{text.strip()}\n\n{found[3]}"

    return _BLOCK.sub(with_block, page)
