"""The only users of the YellowDog SDK. May import `node` and the base modules; loads no Ray."""
