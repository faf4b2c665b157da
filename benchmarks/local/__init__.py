"""What `scripts/bench local` measures: the local platform itself."""
