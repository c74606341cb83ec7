"""Frames that come in fragments, in Python, the twin of csrc/fw_fragments.c: SunRPC record marking (RFC
5531), where a bit of the length marks the last fragment, and MySQL, where a length of `full` says that
another one follows.

Every fragment has a header of one size, so what is remembered of an unfinished frame is how many bytes and
how many fragments are behind it: the bodies among them are the rest.
"""

from __future__ import annotations

from .. import errors
from .plan import COUNTER, FRAGMENTS, LEAVES, MAGIC, SHORT, TOO_LARGE, Counted, Fault, Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .plan import Bytes, Cut, Wire

FRAGMENTED = 16


class _Fragmented(Counted):
    joins = True

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.last_bit: int
        self.full: int
        self.full_body: int
        self.counter: int | None
        self.most: int
        self.last_bit, self.full, self.full_body, self.counter, self.most = self.special
        self.header = self.offset + self.field.width + self.after
        self.delta = self.adjust - self._behind(self.offset, self.field.width, self.after)

    def _length(self, data: Bytes, at: int) -> tuple[int, bool]:
        """The length in the header at `at`, and whether the fragment is the last one."""
        at += self.offset
        raw = int.from_bytes(data[at : at + self.field.width], self.field.order)
        value = (raw & self.field.mask) >> self.field.shift
        return value, raw & self.last_bit != 0 if self.last_bit else value != self.full

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        passed, count = scanned >> 11, scanned & 0x7FF
        total = passed - count * self.header
        while True:
            start = at + passed
            left = size - start
            bad = self._bad_magic(data, start, size) if self.magic else None
            place = self.counter
            if count and place is not None and place < left and (bad is None or place < bad):
                wanted = data[at + place] + count & 0xFF
                if data[start + place] != wanted:
                    raise Fault(COUNTER, wanted, passed + place + 1)
            if bad is not None:
                raise Fault(MAGIC, 0, passed + bad + 1)
            if left < self.header:
                return Unfinished(left - self.min_size, passed << 11 | count)
            value, last = self._length(data, start)
            body = value * self.scale + self.delta
            proof = passed + self.header
            if body < 0:
                raise Fault(SHORT, value, proof)
            if total + body > self.limit:
                raise Fault(TOO_LARGE, value, proof, total + body)
            if not last and count + 1 == self.most:
                raise Fault(FRAGMENTS, self.most, proof)
            missing = self.header + body - left
            if missing > 0:
                # Behind the last fragment nothing is decided; in the header of another one, byte by byte.
                return Unfinished(missing if last else -missing - self.min_size, passed << 11 | count)
            passed += self.header + body
            total += body
            count += 1
            if last:
                return at, at + passed, at + passed

    def extract(self, raw: bytes) -> bytes:
        """The joined frame."""
        parts = [] if self.strip else [raw[: self.header]]
        at = 0
        while at < len(raw):
            stop = at + self.header + self._length(raw, at)[0] * self.scale + self.delta
            parts.append(raw[at + self.header : stop])
            at = stop
        return b"".join(parts)

    def _units(self, body: int, size: int) -> int:
        """The length of a fragment with so much body, the last of a message with `size` bytes of it."""
        value, rest = divmod(body - self.delta, self.scale)
        if value >= 0 and rest:
            raise errors.encode_scale(size, self.scale)
        if not 0 <= value <= self.field.mask >> self.field.shift:
            raise errors.encode_unsayable(size, self.capacity)
        return value

    def _first(self, message: Bytes, size: int) -> bytes:
        """The header of a message: its own, or one made."""
        if not self.strip:
            bad = self._bad_magic(message, 0, size)
            if bad is not None:
                raise errors.encode_broken(MAGIC, 0, bytes(message[: bad + 1]), size)
            if size < self.header:
                raise errors.encode_short(size, self.header)
            return bytes(message[: self.header])
        header = bytearray(self.header)
        for offset, values in self.magic:
            header[offset : offset + len(values[0])] = values[0]
        return bytes(header)

    def measure(self, message: Bytes, size: int) -> Wire:
        first = self._first(message, size)
        body = bytes(message) if self.strip else bytes(message[self.header :])
        size = len(body)
        if size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        full, fragments = 0, [body]
        if not self.last_bit:
            full = size // self.full_body
            if full >= self.most:
                raise errors.encode_unsayable(size, self.capacity)
            fragments = [body[i * self.full_body : (i + 1) * self.full_body] for i in range(full + 1)]
        lengths = [self.full] * full + [self._units(len(fragments[-1]), size)]
        parts = []
        for number, (length, fragment) in enumerate(zip(lengths, fragments)):
            parts += [self._header(first, length, number), fragment]
        return 0, b"".join(parts), len(message), b""

    def _header(self, first: bytes, length: int, number: int) -> bytes:
        header = bytearray(first)
        field = slice(self.offset, self.offset + self.field.width)
        raw = int.from_bytes(header[field], self.field.order) & ~self.field.mask
        raw |= length << self.field.shift | self.last_bit
        header[field] = raw.to_bytes(self.field.width, self.field.order)
        if self.counter is not None:
            header[self.counter] = header[self.counter] + number & 0xFF
        return bytes(header)


LEAVES[FRAGMENTED] = _Fragmented
