"""Protocols that talk in lines, in Python, the twin of csrc/fw_talk.c: lines that count a body (NATS,
memcached), RESP (Redis) and FIX.

Their frames are delivered whole, so encoding asks the decoder whether a message is one frame, and fills in
what was left open. Nothing here recurses: an RESP reply is walked with a counter for each open aggregate, and
the walk goes on where it stopped. What a reply must still have, three bytes an element, is part of its size
from the moment it is announced.
"""

from __future__ import annotations

from .. import errors
from .plan import (
    CHECK,
    COUNT,
    DEPTH,
    DIGIT,
    LEAVES,
    LF,
    LONG,
    LONG_LINE,
    MAGIC,
    TAG,
    TOO_LARGE,
    TRAILER,
    ZERO,
    Fault,
    Leaf,
    Unfinished,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .plan import Bytes, Cut, Wire

LINE_COUNTED, RESP, FIX = range(13, 16)

_MOST_DIGITS = 18
_LEAST_ELEMENT = 3
_FIX_BEGIN, _FIX_DIGITS, _FIX_TRAILER = 16, 10, 7
_DIGITS = frozenset(b"0123456789")


class _Short(Exception):
    """So many bytes are missing at least."""

    def __init__(self, need: int) -> None:
        self.need = need


def _check_end(data: Bytes, at: int, end: int, size: int) -> None:
    """CRLF at data[end - 2 : end] of the frame at `at`, as far as it is there."""
    for i, byte in ((end - 2, 13), (end - 1, 10)):
        if i < size and data[i] != byte:
            raise Fault(TRAILER, 0, i + 1 - at)


class _Talk(Leaf):
    """What the three have in common: a message is one whole frame, or `fill` makes it one."""

    def fill(self, message: bytes, size: int) -> Wire | None:
        """How a message is written whose size was left open; None if it was not."""
        return None

    def measure(self, message: Bytes, size: int) -> Wire:
        message = bytes(message)
        try:
            wire = self.fill(message, size)
            if wire is not None:
                return wire
            found: Any = self.cut(message, 0, size, 0)
        except Fault as fault:
            if fault.code == CHECK and fault.recover == size:
                return size - _FIX_TRAILER, _checksum(message[:-_FIX_TRAILER]), size, b""
            if fault.code == CHECK:
                raise errors.encode_mismatch(size, fault.recover) from None
            if fault.code == TOO_LARGE:
                raise errors.encode_too_large(fault.size or size, self.limit) from None
            head = message[: fault.proof]
            raise errors.encode_broken(fault.code, fault.value, head, size) from None
        if type(found) is tuple:
            if found[2] == size:
                return size, b"", size, b""
            raise errors.encode_mismatch(size, found[2])
        need = found.need if type(found) is Unfinished else found
        raise errors.encode_mismatch(size, size - need)


class _LineCounted(_Talk):
    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        _, self.max_line, self.any_case, verbs = plan[5:]
        # The first of two that are the same decides.
        self.verbs = {self._folded(verb): index for verb, index in reversed(verbs)}

    def _folded(self, verb: bytes) -> bytes:
        return verb.lower() if self.any_case else verb

    def _line(self, data: Bytes, at: int, size: int, scanned: int) -> tuple[int, int, int | None]:
        """(its size, where its count begins, the count or None) of the line at data[at:size]; Fault, or
        _Short."""
        reach = self.max_line + 2
        hit = data.find(10, at + scanned, min(size, at + reach))  # type: ignore[union-attr]
        if hit < 0:
            if size - at >= reach:
                raise Fault(LONG_LINE, self.max_line, reach)
            raise _Short(1 if data[size - 1] == 13 else 2)
        line = bytes(data[at : hit + 1])
        if line[-2:-1] != b"\r":
            raise Fault(LF, 0, len(line))
        words = [word for word in line[:-2].replace(b"\t", b" ").split(b" ") if word]
        index = self.verbs.get(self._folded(words[0])) if words else None
        if index is None:
            return len(line), 0, None
        if not -len(words) <= index < len(words):
            raise Fault(COUNT, 0, len(line))
        word = words[index]
        if not word.isdigit() or len(word) > _MOST_DIGITS or (word[:1] == b"0" and len(word) > 1):
            raise Fault(COUNT, 0, len(line))
        start = 0
        for before in words[: index if index >= 0 else len(words) + index]:
            start = line.index(before, start) + len(before)
        return len(line), line.index(word, start), int(word)

    def cut(self, data: Bytes, at: int, size: int, scanned: Any) -> Cut:
        if size == at:
            return -self.min_size
        end: int | None
        scanned, end = scanned or (0, None)
        if end is None:
            try:
                line, _, count = self._line(data, at, size, scanned)
            except _Short as short:
                return Unfinished(-short.need, (size - at, None))
            end = line
            if count is not None:
                end = line + count + 2
                if count > self.limit:
                    raise Fault(TOO_LARGE, count, line, count, end)
        if end > 2:
            _check_end(data, at, at + end, size)
        if at + end > size:
            return Unfinished(size - at - end, (size - at, end))
        return at, at + end, at + end

    def fill(self, message: bytes, size: int) -> Wire | None:
        try:
            line, start, count = self._line(message, 0, size, 0) if size else (0, 0, None)
        except (Fault, _Short):
            return None
        if count != 0 or size <= line + 2:
            return None
        _check_end(message, 0, size, size)
        body = size - line - 2
        if body > self.limit:
            raise Fault(TOO_LARGE, body, 0, body)
        made = b"%d" % body
        if line - 3 + len(made) > self.max_line:
            raise Fault(LONG_LINE, self.max_line, line)
        return start, made, start + 1, b""


def _count(data: Bytes, at: int, here: int, bound: int, nil: bool) -> tuple[int | None, int]:
    """(count, index behind its CRLF) at data[here:bound] of the frame at `at`; with `nil`, -1 is None."""
    first = here
    value: int | None = 0
    if nil and here < bound and data[here] == 45:
        if here + 1 == bound:
            raise _Short(3)
        if data[here + 1] != 49:
            raise Fault(DIGIT, 0, here + 2 - at)
        value = None
        here += 2
    else:
        while here < bound and data[here] in _DIGITS:
            if here > first and data[first] == 48:
                raise Fault(ZERO, 0, here + 1 - at)
            if here - first == _MOST_DIGITS:
                raise Fault(LONG, _MOST_DIGITS, here + 1 - at)
            here += 1
        if here == first:
            if here < bound:
                raise Fault(DIGIT, 0, here + 1 - at)
            raise _Short(3)
        value = int(bytes(data[first:here]))
    for byte, need in ((13, 2), (10, 1)):
        if here == bound:
            raise _Short(need)
        if data[here] != byte:
            raise Fault(DIGIT, 0, here + 1 - at)
        here += 1
    return value, here


class _Resp(_Talk):
    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        _, self.max_depth, self.inline = plan[5:]

    def cut(self, data: Bytes, at: int, size: int, scanned: Any) -> Cut:
        if size == at:
            return -self.min_size
        searched, here, left = scanned or (0, 0, [1])
        searched += at
        here += at
        # Kept by the decoder for the next call, so never changed in place.
        left = list(left)
        pending = sum(left)
        while pending:
            room = at + self.limit - _LEAST_ELEMENT * (pending - 1)
            behind = _LEAST_ELEMENT * (pending - 1)
            bound = min(size, room)
            try:
                here = self._element(data, at, here, bound, size, searched, left, behind)
            except _Short as short:
                if size >= room:
                    raise Fault(TOO_LARGE, 0, room - at, None, 0) from None
                return Unfinished(-short.need - behind, (size - at, here - at, left))
            while len(left) > 1 and not left[-1]:
                left.pop()
            pending = sum(left)
        return at, here, here

    def _element(
        self,
        data: Bytes,
        at: int,
        here: int,
        bound: int,
        size: int,
        searched: int,
        left: list[int],
        behind: int,
    ) -> int:
        """Behind one element at data[here:size], whose first line ends before `bound`, or behind the header
        of an aggregate, counted in `left`. So many bytes are still to come `behind` it."""
        if here >= bound:
            raise _Short(_LEAST_ELEMENT)
        kind = bytes(data[here : here + 1])
        first = here + 1
        if kind in b"$=!*%~>|":
            value, after = _count(data, at, first, bound, kind in b"$*")
            if kind in b"$=!":
                if value is not None:
                    after += value + 2
                    least = after - at + behind
                    if least > self.limit:
                        raise Fault(TOO_LARGE, least, after - value - 2 - at, least, least)
                    _check_end(data, at, after, size)
                    if after > size:
                        raise _Short(after - size)
                left[-1] -= 1
                return after
            count = (value or 0) * (2 if kind in b"%|" else 1)
            # An attribute stands before the element that it is about, and is none itself.
            own = kind != b"|"
            least = after - at + behind + _LEAST_ELEMENT * (1 - own + count)
            if least > self.limit:
                raise Fault(TOO_LARGE, least, after - at, least, least)
            left[-1] -= own
            if count:
                if len(left) > self.max_depth:
                    raise Fault(DEPTH, self.max_depth, after - at)
                left.append(count)
            return after
        if kind not in b"+-:_#,(":
            if not self.inline or here > at:
                raise Fault(TAG, data[here], first - at)
            first = here
        hit = data.find(10, max(searched, first), bound)  # type: ignore[union-attr]
        if hit < 0:
            raise _Short(1 if bound > first and data[bound - 1] == 13 else 2)
        if hit == here or data[hit - 1] != 13:
            raise Fault(LF, 0, hit + 1 - at)
        left[-1] -= 1
        return hit + 1


def _checksum(data: bytes) -> bytes:
    return b"10=%03d\x01" % (sum(data) & 255)


class _Fix(_Talk):
    def _head(self, data: Bytes, at: int, size: int) -> tuple[int, int, int]:
        """(index behind BodyLength, how many digits it has, the length); Fault, or _Short."""
        here = at
        for i, byte in enumerate(b"8=FIX"):
            if here == size:
                raise _Short(10 - i + _FIX_TRAILER)
            if data[here] != byte:
                raise Fault(MAGIC, 0, here + 1 - at)
            here += 1
        while here < size and here < at + 2 + _FIX_BEGIN and 32 < data[here] < 127 and data[here] != 61:
            here += 1
        for i, byte in enumerate(b"\x019="):
            if here == size:
                raise _Short(5 - i + _FIX_TRAILER)
            if data[here] != byte:
                raise Fault(MAGIC, 0, here + 1 - at)
            here += 1
        first = here
        while here < size and data[here] in _DIGITS:
            if here - first == _FIX_DIGITS:
                raise Fault(LONG, _FIX_DIGITS, here + 1 - at)
            here += 1
        if here == size:
            raise _Short((1 if here > first else 2) + _FIX_TRAILER)
        if here == first or data[here] != 1:
            raise Fault(DIGIT, 0, here + 1 - at)
        return here + 1, here - first, int(bytes(data[first:here]))

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        if size == at:
            return -self.min_size
        try:
            head, _, body = self._head(data, at, size)
        except _Short as short:
            return -short.need
        last = head + body
        end = last + _FIX_TRAILER
        if body > self.limit:
            raise Fault(TOO_LARGE, body, head - at, body, end - at)
        # What stands behind the body, and the SOH that ends its last field; 0 is any digit.
        for i, byte in enumerate(b"\x0110=\0\0\0\x01", last - 1):
            if i >= size:
                break
            if data[i] != byte if byte else data[i] not in _DIGITS:
                raise Fault(TRAILER, 0, i + 1 - at)
        if end > size:
            return size - end
        if _checksum(bytes(data[at:last])) != data[last:end]:
            raise Fault(CHECK, 0, end - at, recover=end - at)
        return at, end, end

    def fill(self, message: bytes, size: int) -> Wire | None:
        try:
            head, digits, length = self._head(message, 0, size)
        except (Fault, _Short):
            return None
        body = size - head
        if length or digits != 1 or message[-1] != 1:
            return None
        if body >= _FIX_TRAILER and message[-_FIX_TRAILER : size - 4] == b"10=":
            return None
        if body > self.limit:
            raise Fault(TOO_LARGE, body, 0, body)
        made = b"%d" % body
        return head - 2, made, head - 1, _checksum(message[: head - 2] + made + message[head - 1 :])


LEAVES.update({LINE_COUNTED: _LineCounted, RESP: _Resp, FIX: _Fix})
