"""OpenSSH, and the tag store behind it. May import the base modules."""
