"""The cases, one per module, each with a NAME, a TITLE and a function `run`."""
