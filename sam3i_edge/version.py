"""The package's version. In a module of its own, so that the ground floor can name it."""

__version__ = "0.1.0"
