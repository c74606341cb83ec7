"""Packing without record classes: `Struct`, the standard library's words for fixed layouts."""

from __future__ import annotations

from . import _backend

__all__ = ["Struct"]

Struct = _backend.structs.Struct
