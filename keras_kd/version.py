"""The version, for the library and for `setup.cfg`, which reads it without importing Keras."""

__version__ = "0.1.0"
