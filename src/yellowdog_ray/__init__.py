"""RayDog: a Ray node provider that rents its nodes through YellowDog. May import nothing of RayDog."""

import sys as _sys
from pathlib import Path as _Path

__version__ = "3.0.0"

# On the head, `ray up` sends this package (node/package.py) and may later send another: modules that this process
# imports afterwards must still be this package's. So links are resolved once. Beside it may be distributions that the
# image lacks, or has in too old a version; only processes that import this package use them.
_root = _Path(__file__).resolve().parents[1]
__path__ = [str(_root / __name__)]
if (_root / ".dependencies").is_dir():
    _sys.path.insert(0, str(_root / ".dependencies"))
