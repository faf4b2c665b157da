"""What the platform holds, the lock that guards it, and time."""
