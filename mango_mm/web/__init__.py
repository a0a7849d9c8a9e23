"""A page to play with: break a sensor and see whom the model believes."""

from mango_mm.web.app import create_app

__all__ = ['create_app']
