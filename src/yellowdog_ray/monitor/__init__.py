"""Autoscaler on the head. May import `side`, `cluster`, `remote`, `platform`, `config`, `node` and the base modules."""
