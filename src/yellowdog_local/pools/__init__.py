"""Worker pools and platform nodes."""
