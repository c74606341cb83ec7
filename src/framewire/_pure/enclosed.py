"""Frames between a start and an end mark in Python, the twin of csrc/fw_enclosed.c: MLLP, STX/ETX, DLE.

What stands between two frames is noise. The decoder moves over it as soon as it is known to be noise; how
much it was is remembered in `scanned`, from HUNT upwards. Inside a frame `scanned` is where the walk goes on:
at an element, which is a byte, or an escape byte with the one behind it. A mark counts only where an element
begins.
"""

from __future__ import annotations

from itertools import count

from .. import errors
from .plan import ENCLOSED, LEAVES, NOISE, RESTART, TOO_LARGE, Fault, Leaf, Unfinished

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .plan import Bytes, Cut, Wire

HUNT = 1 << 63
NOTHING, END, START = range(3)


def _stands(mark: bytes, data: Bytes, at: int, size: int) -> int:
    """Whether the mark stands at data[at:size]: 1, 0, or -1 where the data ends inside what could be it."""
    have = data[at : min(size, at + len(mark))]
    if have != mark[: len(have)]:
        return 0
    return 1 if len(have) == len(mark) else -1


class Enclosed(Leaf):
    start: bytes
    end: bytes
    escape: bytes
    trailer: int

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, self.start, self.end, self.escape, self.xor, self.noise, self.restart, self.trailer = (
            plan[5:]
        )
        self.longest = len(self.end)
        self.joins = bool(self.strip and self.escape)
        # The first bytes of everything that the walk must look at, the end's in front.
        others = self.escape + (self.start[:1] if self.restart else b"")
        self.firsts = list(dict.fromkeys([self.end[0], *others]))
        self.reach = 2 * self.limit if self.escape else self.limit
        self.sight = self.reach + len(self.start) + max(len(self.start), len(self.end)) + 1
        special = self.escape + self.start[:1] + self.end[:1] if self.escape else b""
        self.escaped = {byte: self.escape + bytes([byte ^ self.xor]) for byte in special}
        if not self.escape and not self.restart:
            self.loop = self._loop

    def _loop(self, data: bytes, at: int, size: int, scanned: int, out: list[bytes], most: int) -> int:
        """Whole, good frames that follow one another without noise."""
        start, end, behind = self.start, self.end, len(self.end) + self.trailer
        head, limit, strip, find = len(start), self.limit, self.strip, data.find
        search = at + max(head, scanned if scanned < HUNT else 0)
        while most and data.startswith(start, at):
            hit = find(end, search, size)
            if hit < 0 or hit - at - head > limit or hit + behind > size:
                break
            out.append(data[at + head : hit] if strip else data[at : hit + behind])
            at = hit + behind
            search = at + head
            most -= 1
        return at

    def _walk(self, data: Bytes, base: int, at: int, size: int) -> tuple[int, int]:
        """(END or START, where it stands in data[base:size]), from the element at `at` on; or (NOTHING, the
        first element that is not decided yet)."""
        find = data.find  # type: ignore[union-attr]
        closing = -1
        i = base + at
        while i < size:
            if closing < i:
                closing = find(self.end[0], i, size)
                closing = size if closing < 0 else closing
            hit = closing
            for first in self.firsts[1:]:
                other = find(first, i, hit)
                hit = other if other >= 0 else hit
            i = hit
            if i == size:
                break
            is_end = _stands(self.end, data, i, size)
            is_start = _stands(self.start, data, i, size) if self.restart else 0
            if is_end == 1 or is_start == 1:
                return (END if is_end == 1 else START), i - base
            pair = data[i : i + 1] == self.escape
            if is_end < 0 or is_start < 0 or (pair and size - i < 2):
                break
            i += 1 + pair
        return NOTHING, i - base

    def _hunt(self, data: Bytes, at: int, size: int, scanned: int) -> int | Unfinished:
        """Where the next start mark stands; Fault, or Unfinished."""
        noise = scanned - HUNT if scanned >= HUNT else 0
        left = self.noise - noise
        bound = min(size, at + left + 1)
        i = at
        while True:
            hit = data.find(self.start[0], i, bound)  # type: ignore[union-attr]
            i = bound if hit < 0 else hit
            found = _stands(self.start, data, i, size) if i < bound else 0
            if found or i == bound:
                break
            i += 1
        if found == 1:
            return i
        if found or left >= size - at:
            return Unfinished(size - i - self.min_size, HUNT + noise + i - at, i - at)
        # The last of the bytes that show that no start mark stands at any place where one may.
        places = range(max(0, left + 1 - len(self.start)), left + 1)
        proof = max(
            next(k for k in count(place) if data[at + k] != self.start[k - place]) + 1 for place in places
        )
        fault = Fault(NOISE, self.noise, proof - left)
        fault.skip = left
        raise fault

    def _candidate(self, mark: bytes, data: Bytes, at: int, size: int) -> int:
        """The first element of the undecided data[at:size] where the mark may stand; size, or behind it:
        nowhere."""
        while at < size and not _stands(mark, data, at, size):
            at += 2 if data[at : at + 1] == self.escape else 1
        return at

    def _end_need(self, data: Bytes, at: int, size: int) -> int:
        """The fewest bytes that complete a frame whose undecided end is data[at:size]."""
        return self._candidate(self.end, data, at, size) + len(self.end) + self.trailer - size

    def find_need(self, data: Bytes) -> int:
        size = len(data)
        # With `restart` a start mark ends what is discarded, and is of the next frame: less than nothing.
        if self.restart and _stands(self.end, data, 0, size) != 1:
            return self._candidate(self.start, data, 0, size) - size
        return self._end_need(data, 0, size)

    def discard(self, data: Bytes, start: int, end: int, scanned: int) -> tuple[int, bool, int]:
        # Here `scanned` is 0 in front of the start mark of the frame, 1 behind it.
        event, at = self._walk(data, start, 0 if scanned else len(self.start), end)
        whole = at + len(self.end) + self.trailer
        if event == END and whole <= end - start:
            return whole, True, 1
        return at, event == START, 1

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        begin, head = at, len(self.start)
        try:
            while True:
                if _stands(self.start, data, at, size) != 1:
                    found = self._hunt(data, at, size, scanned)
                    if type(found) is Unfinished:
                        found.fill += at - begin
                        return found
                    at, scanned = found, 0  # type: ignore[assignment]
                walked = scanned if head < scanned < HUNT else head
                event, where = self._walk(data, at, walked, min(size, at + self.sight))
                body = where - head
                if body > self.reach or (
                    event == END and body > self.limit < self._content(data, at + head, body)
                ):
                    raise Fault(TOO_LARGE, 0, where, None, 0)
                if event == START:
                    if body:
                        raise Fault(RESTART, 0, where + head, recover=where)
                    # A start mark on a start mark is fill.
                    at, scanned = at + head, 0
                    continue
                if event == NOTHING:
                    return Unfinished(-self._end_need(data, at + where, size), where, at - begin)
                whole = where + len(self.end) + self.trailer
                if whole > size - at:
                    return Unfinished(size - at - whole, where, at - begin)
                return (at + head, at + where, at + whole) if self.strip else (at, at + whole, at + whole)
        except Fault as fault:
            fault.skip += at - begin
            raise

    def _content(self, data: Bytes, at: int, size: int) -> int:
        return len(self.extract(bytes(data[at : at + size]))) if self.escape else size

    def extract(self, raw: bytes) -> bytes:
        """The body of a frame without its escapes."""
        out, at = bytearray(), 0
        hit = raw.find(self.escape)
        while hit >= 0:
            out += raw[at:hit]
            out.append(raw[hit + 1] ^ self.xor)
            at = hit + 2
            hit = raw.find(self.escape, at)
        return bytes(out + raw[at:])

    def measure(self, message: Bytes, size: int) -> Wire:
        message = bytes(message)
        if not self.strip:
            return self._whole(message, size)
        if size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        if self.escape:
            if any(byte in message for byte in self.escaped):
                message = b"".join([self.escaped.get(byte) or bytes([byte]) for byte in message])
            return 0, self.start + message + self.end, size, b""
        wire = message + self.end
        event, at = self._walk(wire, 0, 0, len(wire))
        if event != END or at != size:
            mark = self.end if event == END else self.start
            raise errors.encode_delimiter(at, mark, size)
        return 0, self.start, 0, self.end

    def _whole(self, message: bytes, size: int) -> Wire:
        found: Any = None
        stands = _stands(self.start, message, 0, size)
        try:
            if not stands:
                proof = next(i for i, byte in enumerate(self.start) if message[i] != byte) + 1
                raise Fault(NOISE, 0, proof)
            if stands > 0:
                found = self.cut(message, 0, size, 0)
        except Fault as fault:
            if fault.code == TOO_LARGE:
                raise errors.encode_too_large(size, self.limit) from None
            raise errors.encode_broken(fault.code, fault.value, message[: fault.proof], size) from None
        if type(found) is not tuple:
            raise errors.encode_unterminated(size)
        if found[0]:
            raise errors.encode_delimiter(len(self.start), self.start, size)
        if found[2] != size:
            raise errors.encode_delimiter(found[2] - self.trailer - len(self.end), self.end, size)
        return size, b"", size, b""


LEAVES[ENCLOSED] = Enclosed
