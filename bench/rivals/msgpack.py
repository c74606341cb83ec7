"""msgpack: a streaming Unpacker over objects of type bin."""

from __future__ import annotations

from collections.abc import Iterable

from msgpack import Packer, Unpacker  # type: ignore[import-untyped]

from . import Feed

PACKAGE = "msgpack"


def wire(bodies: Iterable[bytes]) -> bytes:
    pack = Packer().pack
    return b"".join([pack(body) for body in bodies])


def frames() -> Feed:
    unpacker = Unpacker()

    def feed(chunk: bytes) -> list[bytes]:
        unpacker.feed(chunk)
        return list(unpacker)

    return feed
