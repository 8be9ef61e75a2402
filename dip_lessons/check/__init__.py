"""Checks of the lessons' exercises: ``dip.check.<exercise>(your_function)`` returns a :class:`Verdict`."""

from .verdict import Exercise, Verdict

__all__ = ["Exercise", "Verdict"]
