"""bytes.split: the lines of a chunk in one call."""

from __future__ import annotations

from . import Feed

PACKAGE = ""


def lines() -> Feed:
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        frames = (tail + chunk).split(b"\n")
        tail = frames.pop()
        return frames

    return feed
