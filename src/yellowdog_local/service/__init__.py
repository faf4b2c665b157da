"""Runs the platform as a server, in this process or in the background. May import anything but `cli`."""
