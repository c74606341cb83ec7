"""Twisted: Int32StringReceiver and LineOnlyReceiver, without a transport or a reactor."""

from __future__ import annotations

from twisted.protocols.basic import Int32StringReceiver, LineOnlyReceiver

from . import Feed

PACKAGE = "twisted"


class _Strings(Int32StringReceiver):
    frames: list[bytes]

    def stringReceived(self, string: bytes) -> None:
        self.frames.append(string)


class _Lines(LineOnlyReceiver):
    delimiter = b"\n"
    frames: list[bytes]

    def lineReceived(self, line: bytes) -> None:
        self.frames.append(line)


class _NoTransport:
    """LineOnlyReceiver asks it before every line."""

    disconnecting = False


def u32() -> Feed:
    protocol = _Strings()

    def feed(chunk: bytes) -> list[bytes]:
        protocol.frames = []
        protocol.dataReceived(chunk)  # type: ignore[no-untyped-call]
        return protocol.frames

    return feed


def lines() -> Feed:
    protocol = _Lines()
    protocol.transport = _NoTransport()  # type: ignore[assignment]

    def feed(chunk: bytes) -> list[bytes]:
        protocol.frames = []
        protocol.dataReceived(chunk)  # type: ignore[no-untyped-call]
        return protocol.frames

    return feed
