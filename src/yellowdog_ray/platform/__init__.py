"""The only users of the YellowDog SDK. May import `node` and the base modules. Loads no Ray."""
