"""Runs a program of a host: `python -I -S <this directory> PROGRAM ARGUMENT ...`. Standard library only.

Isolated like this, Python imports from the standard library and this directory alone. The directory lies in a complete
package, the platform's own or a copy on a host, whose root is added here, behind the standard library.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

PROGRAMS = ("agent", "init", "process_init")


def main() -> int:
    """Run the program that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in PROGRAMS:
        print(f"usage: {sys.argv[0]} {'|'.join(PROGRAMS)} ARGUMENT ...", file=sys.stderr)  # noqa: T201
        return 2
    # In the place of this directory, where `import agent` would load a second copy of a module.
    sys.path[:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    program = import_module(f"yellowdog_local.hosts.guest.{sys.argv[1]}")
    code: int = program.main(sys.argv[2:])
    return code


if __name__ == "__main__":
    sys.exit(main())
