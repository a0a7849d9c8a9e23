"""The package's version: the only place that holds the number."""

__all__ = ['__version__']

__version__ = '0.1.0'
