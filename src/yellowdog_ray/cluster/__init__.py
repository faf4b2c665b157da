"""One Ray cluster on the platform: listing, launch, terminations. May import `platform`, `config`, `node`."""
