"""hiredis: a Reader over Redis bulk strings and simple strings."""

from __future__ import annotations

from collections.abc import Iterable

from hiredis import Reader

from . import Feed

PACKAGE = "hiredis"


def wire(bodies: Iterable[bytes]) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(body), body) for body in bodies])


def frames() -> Feed:
    reader = Reader()

    def feed(chunk: bytes) -> list[bytes]:
        reader.feed(chunk)
        replies = []
        while (reply := reader.gets()) is not False:
            replies.append(reply)
        return replies

    return feed


def bulk(value: bytes) -> bytes:
    return wire([value])


def simple(value: bytes) -> bytes:
    return b"+%b\r\n" % value
