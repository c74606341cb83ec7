"""Framings whose headers are text of any length, the twin of csrc/fw_text.c: header blocks (LSP, SIP, STOMP)
and chunks (RFC 6242, RFC 9112).

Both are read in steps, so that a frame that came in a thousand pieces is looked at once: what is known of an
unfinished one is a `_Lines`. A line is judged when its line feed is there, digits of a chunk's size as they
come, and what a header means at its empty line: so each fault is proven by one definite byte. All that is not
body is bounded by `max_header`, and with it the number of chunks.
"""

from __future__ import annotations

from .. import errors
from .plan import (
    DIGIT,
    HEADER,
    LEAVES,
    LENGTHS,
    LINE,
    LINE_END,
    LONG,
    MAGIC,
    NUMBER,
    OVERFLOW,
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

HEADERS, CHUNKED = 11, 12
NO_LENGTH_ERROR, NO_LENGTH_EMPTY, NO_LENGTH_NUL = range(3)
IN_SIZE, IN_TRAILER = range(2)

_FAR = 1 << 62
_U64 = (1 << 64) - 1
_DIGITS = b"0123456789"
_HEX = b"0123456789abcdefABCDEF"
_NO_NAME = bytes(range(33)) + b":\x7f"


class _Lines:
    """How far header lines have been read. `delta` is where the line begins that is not all there, later the
    size of the header; `count` digits at `stop` said the length `value`; `end` is 0 in the header."""

    __slots__ = ("scanned", "delta", "value", "count", "stop", "end")

    def __init__(self, scanned: int = 0, delta: int = 0, value: int = 0, end: int = 0) -> None:
        self.scanned, self.delta, self.value, self.end = scanned, delta, value, end
        self.count = self.stop = 0

    def copy(self) -> _Lines:
        other = _Lines(self.scanned, self.delta, self.value, self.end)
        other.count, other.stop = self.count, self.stop
        return other


class _Text(Leaf):
    """What both have in common: lines."""

    max_header: int
    start_line = bare_lf = False
    missing = NO_LENGTH_ERROR
    name = b""

    def read_lines(self, data: Bytes, at: int, size: int, body: int, seen: _Lines) -> bool:
        """Read the lines up to the empty one, as far as they are there; whether that one is. `body` is how
        many of the bytes before are none of the header's."""
        room = self.max_header + body
        bound = min(size, at + room)
        while seen.scanned < bound - at:
            hit = data.find(b"\n", at + seen.scanned, bound)  # type: ignore[union-attr]
            if hit < 0:
                seen.scanned = bound - at
                break
            empty = self._read_line(bytes(data[at + seen.delta : hit]), hit - at, seen)
            seen.scanned = seen.delta = hit - at + 1
            if empty:
                return True
        if size - at >= room:
            raise Fault(HEADER, self.max_header, room)
        return False

    def _read_line(self, line: bytes, feed: int, seen: _Lines) -> bool:
        """Judge the line that the line feed at `feed` ends; whether it is empty."""
        if line.endswith(b"\r"):
            line = line[:-1]
        elif not self.bare_lf:
            raise Fault(LINE_END, 0, feed + 1)
        first = self.start_line and seen.delta == 0
        if not line and not first:
            return True
        if not line or b"\0" in line or b"\r" in line:
            raise Fault(LINE, 0, feed + 1)
        if first:
            return False
        name = line[: line.find(b":") + 1]
        if len(name) < 2 or name[:-1] != name.translate(None, _NO_NAME):
            raise Fault(LINE, 0, feed + 1)
        if self.name and name[:-1].lower() == self.name:
            self._read_length(line, len(name), feed, seen)
        return False

    @staticmethod
    def _read_length(line: bytes, start: int, feed: int, seen: _Lines) -> None:
        text = line[start:].lstrip(b" \t")
        begin = len(line) - len(text)
        text = text.rstrip(b" \t")
        digits = len(text) - len(text.lstrip(_DIGITS))
        # int() takes no more than 4300 digits at once.
        value = int(text[:digits].lstrip(b"0")[:21] or b"0")
        if value > _U64:
            raise Fault(OVERFLOW, 0, feed + 1)
        if digits < len(text) or not text:
            raise Fault(NUMBER, 0, feed + 1)
        if seen.count and seen.value != value:
            raise Fault(LENGTHS, 2, feed + 1)
        seen.value, seen.count, seen.stop = value, digits, seen.delta + begin

    def header_need(self, data: Bytes, at: int, size: int, seen: _Lines) -> int:
        """The fewest bytes that could end the header of which data[at:size] is there, and its body."""
        line_end = 1 if self.bare_lf else 2
        have, need = size - at - seen.delta, line_end
        half = have > 0 and data[size - 1] == 13
        if half and have == 1:
            need = 1
        elif have:
            need += 1 if half else line_end
        if seen.count and seen.value <= self.limit:
            need += seen.value
        need += self.missing == NO_LENGTH_NUL
        return max(need, self.min_size - (size - at))


class _Headers(_Text):
    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, name, self.start_line, self.bare_lf, self.missing, self.max_header = plan[5:]
        self.given = name
        self.name = name.lower()
        self.by_nul = self.missing == NO_LENGTH_NUL
        self.longest = 1 if self.by_nul else 0

    def find(self, data: Bytes, start: int, at: int, size: int) -> tuple[int, int]:
        """(end, 1) of the first NUL in data[at:size]; (0, 0) without one."""
        hit = data.find(b"\0", at, size)  # type: ignore[union-attr]
        return (hit + 1, 1) if hit >= 0 else (0, 0)

    def find_need(self, data: Bytes) -> int:
        """The fewest bytes that could complete a NUL."""
        return 1

    def _fill(self, data: Bytes, at: int, size: int) -> tuple[int, bool]:
        """Where the empty lines in front of a start line end, and whether half of one is left there."""
        while at < size:
            if self.bare_lf and data[at] == 10:
                at += 1
            elif data[at] != 13:
                break
            elif at + 1 == size:
                return at, True
            elif data[at + 1] != 10:
                break
            else:
                at += 2
        return at, False

    def cut(self, data: Bytes, at: int, size: int, scanned: Any) -> Cut:
        begin, seen = at, scanned.copy() if scanned else _Lines()
        if not seen.scanned and self.start_line:
            at, half = self._fill(data, at, size)
            if half:
                return self._unfinished(at - begin, -1 - self.min_size, seen)
        try:
            return self._cut(data, begin, at, size, seen)
        except Fault as fault:
            fault.skip = at - begin
            raise

    def _cut(self, data: Bytes, begin: int, at: int, size: int, seen: _Lines) -> Cut:
        if not seen.end:
            if not self.read_lines(data, at, size, 0, seen):
                return self._unfinished(at - begin, -self.header_need(data, at, size, seen), seen)
            self._measure_header(seen)
        header = at + seen.delta
        if self.by_nul and not seen.count:
            reach = header + self.limit + 1
            hit, _ = self.find(data, at, at + seen.scanned, min(size, reach))
            if not hit:
                if size >= reach:
                    raise Fault(TOO_LARGE, 0, reach - at, None, 0)
                seen.scanned = size - at
                return self._unfinished(at - begin, -1, seen)
            seen.end = hit - at
        end = at + seen.end
        if end > size:
            return self._unfinished(at - begin, end - size, seen)
        if self.by_nul and data[end - 1]:
            raise Fault(TRAILER, 0, end - at)
        return (header, end - self.by_nul, end) if self.strip else (at, end, end)

    @staticmethod
    def _unfinished(fill: int, need: int, seen: _Lines) -> Cut:
        return (fill, Unfinished(need, seen)) if fill else Unfinished(need, seen)

    def _measure_header(self, seen: _Lines) -> None:
        """What the whole header says about the body."""
        header, value = seen.delta, seen.value
        if not seen.count and self.missing == NO_LENGTH_ERROR:
            raise Fault(LENGTHS, 0, header)
        if seen.count and value > self.limit:
            end = _FAR if value > _FAR - header - 1 else header + value + self.by_nul
            raise Fault(TOO_LARGE, value, header, value, end)
        seen.end = _FAR if not seen.count and self.by_nul else header + value + self.by_nul

    def measure(self, message: Bytes, size: int) -> Wire:
        if not self.strip:
            return self._whole(bytes(message), size)
        if size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        return 0, b"%b: %d\r\n\r\n" % (self.given, size), 0, b"\0" if self.by_nul else b""

    def _whole(self, message: bytes, size: int) -> Wire:
        """A whole frame: its length must be right, or a lone 0, which is written over."""
        seen, nul = _Lines(), int(self.by_nul)
        try:
            if not self.read_lines(message, 0, size, 0, seen):
                raise errors.encode_mismatch(size, None)
            header = seen.delta
            if not seen.count and self.missing == NO_LENGTH_ERROR:
                raise Fault(LENGTHS, 0, header)
            if not seen.count:
                return self._unsaid(message, header, size)
            body, wire = size - header - nul, (size, b"", size, b"")
            if seen.value != body:
                if body < 0 or seen.value or seen.count != 1:
                    announced = _FAR if seen.value > _FAR else header + seen.value + nul
                    raise errors.encode_mismatch(size, announced)
                wire = seen.stop, b"%d" % body, seen.stop + 1, b""
            if body > self.limit:
                raise errors.encode_too_large(body, self.limit)
            if wire[1] and header + len(wire[1]) - 1 > self.max_header:
                raise Fault(HEADER, self.max_header, header)
            if nul and message[-1]:
                raise Fault(TRAILER, 0, size)
        except Fault as fault:
            raise errors.encode_broken(fault.code, fault.value, message[: fault.proof], size) from None
        return wire

    def _unsaid(self, message: bytes, header: int, size: int) -> Wire:
        """A body whose length the header does not say."""
        if self.missing == NO_LENGTH_EMPTY:
            if size != header:
                raise errors.encode_mismatch(size, header)
            return size, b"", size, b""
        hit = message.find(b"\0", header)
        if hit < 0:
            raise errors.encode_unterminated(size)
        if hit + 1 < size:
            raise errors.encode_delimiter(hit, b"\0", size)
        if hit - header > self.limit:
            raise errors.encode_too_large(hit - header, self.limit)
        return size, b"", size, b""


class _Chunked(_Text):
    """`seen.delta` is where the chunk's size, or the line, begins, `value` the body bytes before it, `end`
    one of the two marks or where the chunk's bytes end."""

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, self.http, self.max_header = plan[5:]
        self.joins = bool(self.strip)
        self.digits = _HEX if self.http else _DIGITS
        self.most = 16 if self.http else 10
        self.behind = b"\r\n" if self.http else b""
        self.end_size = 5 if self.http else 4

    def _read_size(self, data: Bytes, start: int, size: int, base: int) -> tuple[int, int, bool]:
        """(where the digits at data[start:size] end, their value, whether a byte behind them is there);
        proofs count from `base`."""
        at = start
        while at < size and data[at] in self.digits:
            if at - start == self.most:
                raise Fault(LONG, self.most, at + 1 - base)
            if at == start and data[at] == 48 and not self.http:
                raise Fault(ZERO, 0, at + 1 - base)
            at += 1
        value = int(bytes(data[start:at]) or b"0", 16 if self.http else 10)
        if at == size:
            return at, value, False
        if at == start or data[at] not in (b"\r; \t" if self.http else b"\n"):
            raise Fault(DIGIT, 0, at + 1 - base)
        if not self.http and value > 0xFFFFFFFF:
            raise Fault(NUMBER, 0, at + 1 - base)
        return at, value, True

    def _check_sum(self, seen: _Lines, value: int, proof: int) -> None:
        """No length of the whole is known."""
        if value > self.limit - seen.value:
            raise Fault(TOO_LARGE, 0, proof, None, 0)

    def _read_netconf(self, data: Bytes, base: int, size: int, seen: _Lines) -> int:
        """The size of a NETCONF chunk, or the end of the chunks; how many bytes are missing, or 0."""
        first, at = seen.value == 0, base + seen.delta
        for byte in b"\n#":
            if at == size:
                break
            if data[at] != byte:
                raise Fault(MAGIC, 0, at + 1 - base)
            at += 1
        if at == size:
            return (9 if first else 4) - (at - base - seen.delta)
        if data[at] == 0x23 and not first:
            if at + 1 == size:
                return 1
            if data[at + 1] != 10:
                raise Fault(MAGIC, 0, at + 2 - base)
            seen.end = at + 2 - base
            return 0
        at, value, ended = self._read_size(data, at, size, base)
        if not ended:
            return 5 + (value if value <= self.limit else 0)
        self._check_sum(seen, value, at + 1 - base)
        seen.scanned = at + 1 - base
        seen.value += value
        seen.end = seen.scanned + value
        return 0

    def _read_http(self, data: Bytes, base: int, size: int, seen: _Lines) -> int:
        """The same for HTTP: a whole line, extensions included."""
        start, room = base + seen.delta, base + self.max_header + seen.value
        bound, hit, at, value, ended = min(size, room), -1, start, 0, False
        if start < bound:
            at, value, ended = self._read_size(data, start, bound, base)
        if ended:
            self._check_sum(seen, value, at + 1 - base)
            hit = data.find(b"\n", base + seen.scanned, bound)  # type: ignore[union-attr]
        if hit < 0:
            if size >= room:
                raise Fault(HEADER, self.max_header, max(start, room) - base)
            seen.scanned = size - base
            if start == size:
                return 5
            rest = 2 if not value else 0 if value > self.limit else value + 7
            return (1 if data[size - 1] == 13 else 2) + rest
        line = bytes(data[at:hit])
        if not line.endswith(b"\r"):
            raise Fault(LINE_END, 0, hit + 1 - base)
        if b"\0" in line or b"\r" in line[:-1]:
            raise Fault(LINE, 0, hit + 1 - base)
        seen.scanned = hit + 1 - base
        seen.value += value
        seen.end = seen.scanned + value if value else IN_TRAILER
        if not value:
            seen.delta = seen.scanned
        return 0

    def _read_behind(self, data: Bytes, base: int, size: int, seen: _Lines) -> int:
        """What stands behind a chunk's bytes; how many bytes are missing, or 0."""
        at = base + seen.end
        for byte in self.behind:
            if at < size and data[at] != byte:
                raise Fault(LINE_END, 0, at + 1 - base)
            at += 1
        if at > size:
            return at - size + self.end_size
        seen.scanned = seen.delta = at - base
        seen.end = IN_SIZE
        return 0

    def cut(self, data: Bytes, at: int, size: int, scanned: Any) -> Cut:
        seen, whole = scanned.copy() if scanned else _Lines(), 0
        while not whole:
            before = seen.value
            if seen.end == IN_TRAILER:
                missing = 0
                if self.read_lines(data, at, size, seen.value, seen):
                    whole = seen.scanned
                else:
                    missing = self.header_need(data, at, size, seen)
            elif seen.end != IN_SIZE:
                missing = self._read_behind(data, at, size, seen)
            elif self.http:
                missing = self._read_http(data, at, size, seen)
            elif seen.delta - seen.value > self.max_header:
                raise Fault(HEADER, self.max_header, seen.delta)
            else:
                missing = self._read_netconf(data, at, size, seen)
                if not missing and seen.value == before:
                    whole = seen.end
            if missing:
                return Unfinished(-missing, seen)
        return at, at + whole, at + whole

    def extract(self, raw: bytes) -> bytes:
        """The joined chunks of a frame."""
        seen = _Lines()
        out: list[bytes] = []
        read = self._read_http if self.http else self._read_netconf
        while True:
            before = seen.value
            read(raw, 0, len(raw), seen)
            if seen.value == before:
                return b"".join(out)
            out.append(raw[seen.scanned : seen.end])
            self._read_behind(raw, 0, len(raw), seen)

    def measure(self, message: Bytes, size: int) -> Wire:
        if not self.strip:
            return self._whole(bytes(message), size)
        if size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        if self.http:
            return (0, b"%x\r\n" % size, 0, b"\r\n0\r\n\r\n") if size else (0, b"", 0, b"0\r\n\r\n")
        if not 0 < size <= 0xFFFFFFFF:
            raise errors.encode_unsayable(size, 0xFFFFFFFF)
        return 0, b"\n#%d\n" % size, 0, b"\n##\n"

    def _whole(self, message: bytes, size: int) -> Wire:
        try:
            found = self.cut(message, 0, size, None)
        except Fault as fault:
            if fault.code == TOO_LARGE:
                raise errors.encode_too_large(size, self.limit) from None
            raise errors.encode_broken(fault.code, fault.value, message[: fault.proof], size) from None
        if isinstance(found, Unfinished):
            raise errors.encode_mismatch(size, None)
        if found[2] != size:  # type: ignore[index, misc]
            raise errors.encode_mismatch(size, found[2])  # type: ignore[index, misc]
        return size, b"", size, b""


LEAVES.update({HEADERS: _Headers, CHUNKED: _Chunked})
