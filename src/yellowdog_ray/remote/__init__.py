"""OpenSSH, what it sends to a head, and the tag store behind it. May import `node` and the base modules."""
