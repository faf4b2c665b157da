"""`ray` on the laptop. May import `side`, `cluster`, `remote`, `platform`, `config`, `node` and the base modules."""
