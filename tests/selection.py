"""Whether tests marked `search` try all their cases, as `scripts/test --exhaustive` does, or a selection of them."""

import os

VARIABLE = "RAYDOG_EXHAUSTIVE"

EXHAUSTIVE = os.environ.get(VARIABLE) == "1"
