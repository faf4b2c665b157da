"""One Ray cluster on the platform. May import `platform`, `config`, `node` and the base modules."""
