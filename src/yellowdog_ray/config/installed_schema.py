"""The JSON schema of a cluster's YAML that the installed Ray has. A leaf."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def rays_schema() -> dict[str, Any]:
    """The schema of the installed Ray; a new one at each call."""
    import ray.autoscaler

    schema: dict[str, Any] = json.loads((Path(str(ray.autoscaler.__file__)).parent / "ray-schema.json").read_text())
    return schema
