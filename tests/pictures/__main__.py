"""Writes the pictures of `raydog` commands into docs/pictures. See scripts/docs."""

import tempfile
from pathlib import Path

from tests.pictures.record import FOLDER, record


def main() -> None:
    """Write every picture."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        for picture in record(Path(home)):
            (FOLDER / f"{picture.name}.svg").write_text(picture.as_svg(), encoding="utf-8")
    print(f"The pictures are in {FOLDER}")


if __name__ == "__main__":
    main()
