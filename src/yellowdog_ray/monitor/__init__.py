"""What runs in the autoscaler on the head. May import anything but `commands`."""
