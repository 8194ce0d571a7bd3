"""The version of the package, in one place for the build and the command line."""

__version__ = "0.1.0"
