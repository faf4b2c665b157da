"""The Python modules in scripts/lib, which are in no package."""

import importlib.util
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parents[1] / "scripts/lib"


def script_module(name: str) -> Any:
    """Load a module by its name."""
    spec = importlib.util.spec_from_file_location(name, _FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
