"""What runs in a `ray` command on the laptop. May import anything but `monitor`."""
