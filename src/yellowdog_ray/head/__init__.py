"""The supervisor of Ray's processes on the head: it starts again those that die. May import `node`."""
