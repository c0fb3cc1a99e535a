"""Here, so that a checkout that nobody has installed knows it too."""

__version__ = "0.1.0"
