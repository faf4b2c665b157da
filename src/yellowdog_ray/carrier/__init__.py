"""Replaces a lost head, on a worker. May import `remote`, `platform`, `node` and the base modules. Loads no Ray."""
