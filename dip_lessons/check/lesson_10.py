"""Exercises of lesson 10."""

__all__: list[str] = []
