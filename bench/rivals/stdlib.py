"""The standard library's way to build frames, read a field and reverse an array."""

from __future__ import annotations

import struct
from collections.abc import Iterable

PACKAGE = ""
U32 = struct.Struct(">I")


def join_u32(bodies: Iterable[bytes]) -> bytes:
    """Struct headers and bodies, joined."""
    pack = U32.pack
    return b"".join([part for body in bodies for part in (pack(len(body)), body)])
