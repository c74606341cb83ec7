"""socket.makefile: what it returns is a BufferedReader, here over memory instead of a socket.

It pulls, so the whole stream is behind it from the start; `feed` reads the lines that end in the chunk.
"""

from __future__ import annotations

import io

PACKAGE = ""


class _Chunks(io.RawIOBase):
    """A raw stream that gives one chunk a read, as a socket would."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._rest or next(self._chunks, b"")
        size = min(len(data), len(buffer))
        buffer[:size] = data[:size]
        self._rest = data[size:]
        return size


def read_lines(chunks: list[bytes]) -> list[bytes]:
    """All lines, the LF removed."""
    with io.BufferedReader(_Chunks(chunks)) as file:
        return [line[:-1] for line in iter(file.readline, b"")]


def count_lines(chunks: list[bytes]) -> int:
    """How many lines there are; each is dropped at once."""
    count = 0
    with io.BufferedReader(_Chunks(chunks)) as file:
        while file.readline():
            count += 1
    return count
