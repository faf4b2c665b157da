"""The pictures of the documentation show what the commands print now."""

import re

from raydog_cli.main import app
from tests.pictures.record import FOLDER, record, shown_text, subjects

WITHOUT_PICTURE = {"validate", "schema"}
"""Commands about a file, which docs/configuration.md explains."""

PAGE = FOLDER.parent / "commands.md"


def test_pictures_show_what_the_commands_print(tmp_path):
    made = {picture.name: shown_text(picture.as_svg()) for picture in record(tmp_path)}
    kept = {file.stem: shown_text(file.read_text(encoding="utf-8")) for file in FOLDER.glob("*.svg")}
    checked = subjects(made.pop("doctor"))

    assert subjects(kept.pop("doctor")) == checked != []
    assert kept == made, "run `scripts/docs pictures`"


def test_every_command_for_clusters_has_a_picture():
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}

    assert {file.stem for file in FOLDER.glob("*.svg")} == commands - WITHOUT_PICTURE


def test_page_of_commands_shows_every_picture():
    shown = re.findall(r"\(pictures/(\w+)\.svg\)", PAGE.read_text())

    assert sorted(shown) == sorted(file.stem for file in FOLDER.glob("*.svg"))
