"""Errors of programs from and to other languages."""

from __future__ import annotations

from qdiff.errors import QdiffError


class ConversionError(QdiffError):
    """Something that the other language can say, and this one cannot; it says what, and where."""
