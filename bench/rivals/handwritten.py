"""The loops that one writes by hand in Python, each with the checks that a real one needs: a limit, the
tail of a split frame, and the marks that the framing itself demands."""

from __future__ import annotations

import struct

from . import Feed

PACKAGE = ""
LIMIT = 1 << 20
MOST_HEADER = 8192


def u32() -> Feed:
    """A four-byte length by int.from_bytes, on the chunk itself."""
    tail = b""
    from_bytes = int.from_bytes

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        while (body := at + 4) <= size:
            length = from_bytes(data[at:body], "big")
            if length > LIMIT:
                raise ValueError(f"frame of {length} bytes")
            stop = body + length
            if stop > size:
                break
            append(data[body:stop])
            at = stop
        tail = data[at:]
        return frames

    return feed


def u32_struct() -> Feed:
    """The same by a Struct; which of the two is the faster depends on the version of Python."""
    tail = b""
    unpack_from = struct.Struct(">I").unpack_from

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        while (body := at + 4) <= size:
            (length,) = unpack_from(data, at)
            if length > LIMIT:
                raise ValueError(f"frame of {length} bytes")
            stop = body + length
            if stop > size:
                break
            append(data[body:stop])
            at = stop
        tail = data[at:]
        return frames

    return feed


def u16_at_2() -> Feed:
    """Two bytes of anything, a two-byte length, a body; a frame is all of it."""
    tail = b""
    from_bytes = int.from_bytes

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        while at + 4 <= size:
            length = from_bytes(data[at + 2 : at + 4], "big")
            if length > LIMIT:
                raise ValueError(f"frame of {length} bytes")
            stop = at + 4 + length
            if stop > size:
                break
            append(data[at:stop])
            at = stop
        tail = data[at:]
        return frames

    return feed


def varint() -> Feed:
    """Base-128 lengths, least significant group first."""
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        while at < size:
            body = at + 1
            length = data[at]
            if length >= 0x80:
                length &= 0x7F
                shift = 7
                while body < size:
                    byte = data[body]
                    body += 1
                    length |= (byte & 0x7F) << shift
                    if byte < 0x80:
                        break
                    shift += 7
                    if shift > 63:
                        raise ValueError("a length of more than ten bytes")
                else:
                    break
            if length > LIMIT:
                raise ValueError(f"frame of {length} bytes")
            stop = body + length
            if stop > size:
                break
            append(data[body:stop])
            at = stop
        tail = data[at:]
        return frames

    return feed


def netstring() -> Feed:
    """Decimal digits, a colon, the body, a comma."""
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        find = data.find
        while at < size:
            colon = find(b":", at, at + 20)
            digits = data[at : colon if colon >= 0 else at + 20]
            if not digits.isdigit() or (digits[0] == 48 and len(digits) > 1) or len(digits) == 20:
                raise ValueError(f"bad length {digits!r}")
            length = int(digits)
            if length > LIMIT:
                raise ValueError(f"frame of {length} bytes")
            stop = colon + 1 + length
            if colon < 0 or stop >= size:
                break
            if data[stop] != 44:
                raise ValueError(f"no comma at {stop}")
            append(data[colon + 1 : stop])
            at = stop + 1
        tail = data[at:]
        return frames

    return feed


def lines() -> Feed:
    """Lines that end with LF or CRLF."""
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at = 0
        find = data.find
        while (hit := find(b"\n", at)) >= 0:
            if hit - at > LIMIT:
                raise ValueError(f"line of {hit - at} bytes")
            append(data[at : hit - 1] if hit > at and data[hit - 1] == 13 else data[at:hit])
            at = hit + 1
        tail = data[at:]
        if len(tail) > LIMIT:
            raise ValueError("line without an end")
        return frames

    return feed


def crlf() -> Feed:
    """Lines that end with CRLF."""
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at = 0
        find = data.find
        while (hit := find(b"\r\n", at)) >= 0:
            if hit - at > LIMIT:
                raise ValueError(f"line of {hit - at} bytes")
            append(data[at:hit])
            at = hit + 2
        tail = data[at:]
        if len(tail) > LIMIT:
            raise ValueError("line without an end")
        return frames

    return feed


def header_block() -> Feed:
    """Header lines, an empty one, and as many bytes as Content-Length says; a frame is these."""
    tail = b""

    def feed(chunk: bytes) -> list[bytes]:
        nonlocal tail
        data = tail + chunk if tail else chunk
        frames: list[bytes] = []
        append = frames.append
        at, size = 0, len(data)
        find = data.find
        while (end := find(b"\r\n\r\n", at, at + MOST_HEADER)) >= 0:
            length = -1
            for line in data[at:end].split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    value = value.strip()
                    if not value.isdigit():
                        raise ValueError(f"bad length {value!r}")
                    length = int(value)
            if not 0 <= length <= LIMIT:
                raise ValueError(f"frame of {length} bytes" if length >= 0 else "no Content-Length")
            body = end + 4
            stop = body + length
            if stop > size:
                break
            append(data[body:stop])
            at = stop
        else:
            if size - at >= MOST_HEADER:
                raise ValueError("header without an end")
        tail = data[at:]
        return frames

    return feed
