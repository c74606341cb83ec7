"""SLIP and COBS by their packages, HDLC by hand; where only unstuffing is given, split at the marks first."""

from __future__ import annotations

from collections.abc import Callable

from . import Feed


def _split(mark: bytes, unstuff: Callable[[bytes], bytes]) -> Feed:
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        *whole, tail = (tail + chunk).split(mark)
        return [unstuff(part) for part in whole if part]

    return feed


def cobs_c() -> Feed:
    from cobs import cobs

    return _split(b"\0", cobs.decode)


def cobs_python() -> Feed:
    from cobs.cobs import _cobs_py

    return _split(b"\0", _cobs_py.decode)


def sliplib() -> Feed:
    from sliplib import Driver

    driver = Driver()

    def feed(chunk: bytes) -> list[bytes]:
        driver.receive(chunk)
        return list(iter(lambda: driver.get(block=False), None))

    return feed


def _table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
        table.append(crc)
    return table


def hdlc_16() -> Feed:
    """The loop over bytes of RFC 1662, appendix C, with its table."""
    table = _table()

    def unstuff(part: bytes) -> bytes:
        content = bytearray()
        crc = 0xFFFF
        escaped = False
        for byte in part:
            if byte == 0x7D:
                escaped = True
                continue
            if escaped:
                byte ^= 0x20
                escaped = False
            content.append(byte)
            crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
        if crc != 0xF0B8:
            raise ValueError("the frame check sequence does not fit")
        return bytes(content[:-2])

    return _split(b"~", unstuff)
