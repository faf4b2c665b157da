"""Mutants, and the judged survivors. A survivor is identified by its function and changed lines, not by a number."""

import re
from dataclasses import dataclass
from pathlib import Path

JUDGED = Path(__file__).with_name("survivors.txt")


@dataclass(frozen=True)
class Mutant:
    """A mutation and its result.

    Attributes:
        module: below the provider's source, such as `cluster/backoff.py`.
        name: mutmut's name of it.
        status: mutmut's word: killed, survived, timeout, no tests, not checked ...
        diff: the change, as a unified diff.
    """

    module: str
    name: str
    status: str
    diff: str

    @property
    def function(self) -> str:
        """Such as `cluster/backoff.py Backoff.failed`."""
        mangled = self.name.rpartition(".")[2].rpartition("__mutmut_")[0]
        return f"{self.module} {mangled.removeprefix('x_').removeprefix('xǁ').replace('ǁ', '.')}"

    @property
    def change(self) -> str:
        """The changed lines, as `OLD => NEW`."""
        lines = {sign: [] for sign in "-+"}  # type: dict[str, list[str]]
        for sign, text in re.findall(r"^([-+])(?!--|\+\+)(.*)$", self.diff, re.MULTILINE):
            lines[sign].append(text.strip())
        return f"{' '.join(lines['-'])} => {' '.join(lines['+'])}"

    @property
    def checked(self) -> bool:
        """Whether the tests ran; a sample leaves most mutants out."""
        return self.status != "not checked"

    @property
    def survived(self) -> bool:
        """Whether no test failed; a mutant that never ends is detected by its timeout."""
        return self.checked and self.status not in ("killed", "timeout", "suspicious", "segfault")


def judgements() -> dict[str, dict[str, str]]:
    """The judgement of each judged change, by function and change.

    A line `## FUNCTION: JUDGEMENT` of the list stands above the changes that it judges.
    """
    found: dict[str, dict[str, str]] = {}
    for line in JUDGED.read_text().splitlines():
        if line.startswith("## "):
            function, judgement = line.removeprefix("## ").split(": ", 1)
        else:
            found.setdefault(function, {})[line] = judgement
    return found
