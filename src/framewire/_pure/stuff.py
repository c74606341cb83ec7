"""Byte-stuffed framings in Python, the twin of csrc/fw_stuff.c: SLIP (RFC 1055), HDLC-like framing (RFC 1662)
and COBS (Cheshire and Baker, 1999).

A frame ends with one byte that its stuffed content never holds, so a broken frame costs no more than itself:
every fault here is recoverable, and a delimiter with nothing before it is idle fill.
"""

from __future__ import annotations

from binascii import crc32
from itertools import repeat

from .. import errors
from .plan import CHECK, CODE, ESCAPE, LEAVES, TOO_LARGE, Fault, Leaf

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .plan import Bytes, Cut, Wire

SLIP, HDLC, COBS = range(7, 10)


def _shifted(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return crc


_TABLE16 = [_shifted(byte) for byte in range(256)]


def _crc16(data: bytes) -> int:
    """FCS-16 of RFC 1662, appendix C."""
    table, crc = _TABLE16, 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF


def _check_of(size: int, content: bytes) -> bytes:
    return (crc32(content) if size == 4 else _crc16(content)).to_bytes(size, "little") if size else b""


class Stuffed(Leaf):
    """What the three have in common."""

    mark: bytes

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, self.option = plan[5:]
        self.longest = 1
        self.reach = self.most(self.limit)
        self.joins = bool(self.strip)
        self.loop = self._loop

    def most(self, content: int) -> int:
        """How many stuffed bytes so much content can take."""
        raise NotImplementedError

    def extract(self, raw: bytes) -> bytes:
        """The content of a frame, of which `raw` is what stands before its mark; Fault, or _Forgotten."""
        raise NotImplementedError

    def stuff(self, content: bytes) -> bytes:
        """The bytes that carry the content, without the mark."""
        raise NotImplementedError

    def find(self, data: Bytes, start: int, at: int, size: int) -> tuple[int, int]:
        """(end, 1) of the first mark in data[at:size]; (0, 0) without one."""
        hit = data.find(self.mark, at, size)  # type: ignore[union-attr]
        return (hit + 1, 1) if hit >= 0 else (0, 0)

    def find_need(self, data: Bytes) -> int:
        """The fewest bytes that could complete a mark."""
        return 1

    def _loop(self, data: bytes, at: int, size: int, scanned: int, out: list[bytes], most: int) -> int:
        """The frames that are whole and good, and within the limit even as they stand."""
        find, append, extract, mark, limit = data.find, out.append, self.extract, self.mark, self.limit
        search = at + scanned
        try:
            for _ in repeat(None, most):
                hit = find(mark, search, size)
                if not 0 < hit - at <= limit:
                    break
                content = extract(data[at:hit])
                append(content if self.strip else data[at : hit + 1])
                at = search = hit + 1
        except (Fault, _Forgotten):
            pass
        return at

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        begin = at
        try:
            while at < size:
                end, _ = self.find(data, at, at + scanned, min(size, at + self.reach + 1))
                scanned = 0
                if not end:
                    if size - at > self.reach:
                        raise Fault(TOO_LARGE, 0, self.reach + 1, None, 0)
                    return at - begin, -max(1, self.min_size - (size - at))
                if end - 1 > at:
                    try:
                        content = self.extract(bytes(data[at : end - 1]))
                    except _Forgotten:
                        pass
                    else:
                        if len(content) > self.limit:
                            raise Fault(TOO_LARGE, 0, end - at, None, 0)
                        return at, end - 1 if self.strip else end, end
                at = end
        except Fault as fault:
            fault.skip = at - begin
            raise
        return at - begin, -max(1, self.min_size - (size - at))

    def measure(self, message: Bytes, size: int) -> Wire:
        message = bytes(message)
        if self.strip:
            if not size and self.kind != COBS and not self.option:
                raise errors.encode_empty()
            if size > self.limit:
                raise errors.encode_too_large(size, self.limit)
            return 0, self.stuff(message) + self.mark, size, b""
        hit = message.find(self.mark)
        if hit < 0:
            raise errors.encode_unterminated(size)
        if hit == 0 or hit + 1 < size:
            raise errors.encode_delimiter(hit, self.mark, size)
        try:
            content = self.extract(message[:-1])
        except Fault as fault:
            head = message[: fault.proof]
            raise errors.encode_broken(fault.code, fault.value, head, size) from None
        except _Forgotten:
            # It is refused as what it is, an abort or a runt.
            code = ESCAPE if message[-2] == 0x7D else CHECK
            raise errors.encode_broken(code, 0, message, size) from None
        if len(content) > self.limit:
            raise errors.encode_too_large(len(content), self.limit)
        return size, b"", size, b""


class _Forgotten(Exception):
    """An aborted frame, or one too short for its check sequence: RFC 1662 has it discarded in silence."""


class _Slip(Stuffed):
    mark = b"\xc0"

    def most(self, content: int) -> int:
        return 2 * content

    def extract(self, raw: bytes) -> bytes:
        at = raw.find(0xDB)
        while at >= 0:
            if raw[at + 1 : at + 2] not in (b"\xdc", b"\xdd"):
                raise Fault(ESCAPE, 0, at + 2, recover=len(raw) + 1)
            at = raw.find(0xDB, at + 2)
        return raw.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")

    def stuff(self, content: bytes) -> bytes:
        return content.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")


class _Hdlc(Stuffed):
    mark = b"\x7e"

    def most(self, content: int) -> int:
        return 2 * (content + int(self.option))

    def extract(self, raw: bytes) -> bytes:
        if raw[-1] == 0x7D:
            raise _Forgotten
        out, at = bytearray(), 0
        hit = raw.find(0x7D)
        while hit >= 0:
            out += raw[at:hit]
            out.append(raw[hit + 1] ^ 0x20)
            at = hit + 2
            hit = raw.find(0x7D, at)
        out += raw[at:]
        content = bytes(out)
        if not self.option:
            return content
        if len(content) < self.option:
            raise _Forgotten
        content, check = content[: -self.option], content[-self.option :]
        if _check_of(self.option, content) != check:
            raise Fault(CHECK, 0, len(raw) + 1, recover=len(raw) + 1)
        return content

    def stuff(self, content: bytes) -> bytes:
        content += _check_of(self.option, content)
        return content.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")


class _Cobs(Stuffed):
    mark = b"\0"

    def most(self, content: int) -> int:
        return content + content // 254 + 1

    def extract(self, raw: bytes) -> bytes:
        out, at, size = bytearray(), 0, len(raw)
        while at < size:
            code = raw[at]
            if code > size - at:
                if not self.option:
                    raise Fault(CODE, code, size + 1, recover=size + 1)
                out += raw[at + 1 :]
                out.append(code)
                break
            out += raw[at + 1 : at + code]
            at += code
            if code < 255 and at < size:
                out.append(0)
        return bytes(out)

    def stuff(self, content: bytes) -> bytes:
        out, at, size = bytearray(), 0, len(content)
        while True:
            hit = content.find(0, at, at + 254)
            run = content[at : at + 254 if hit < 0 else hit]
            at += len(run)
            if hit < 0 and at == size:
                break
            out.append(len(run) + 1)
            out += run
            at += hit >= 0
        if self.option and run and run[-1] > len(run):
            # The last byte can stand in the place of the last code if it is at least as large.
            return bytes(out + run[-1:] + run[:-1])
        out.append(len(run) + 1)
        return bytes(out + run)


LEAVES.update({SLIP: _Slip, HDLC: _Hdlc, COBS: _Cobs})
