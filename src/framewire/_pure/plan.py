"""Plan tuples (see framings.py) as objects that cut and measure: what csrc/ does, in Python.

This is the specification of the framings; the C core must agree with it in every frame, fault and need.
`cut` finds one frame; `loop`, where a leaf has one, finds the common ones fast and leaves the rest to `cut`.
A fault is the exception `Fault`, whose `proof` counts the bytes of the frame that prove it, so that it does
not depend on how the stream was cut: inside a header the earliest proving byte decides, and what the length
means is judged only when the whole header is there.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat

from .. import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias

    Bytes: TypeAlias = bytes | bytearray | memoryview
    # A frame: (start, stop, start of the next one). Or n > 0: so many bytes are missing and nothing can be
    # told before they are there. Or -n: at least n bytes are missing, and each of them may prove a fault.
    # Or Unfinished, with that n. Or, where fill stood in front: (bytes of fill, -n or Unfinished).
    Cut: TypeAlias = "tuple[int, int, int] | tuple[int, int | Unfinished] | int | Unfinished"
    # how a message is written: message[:keep], made, message[resume:], tail
    Wire: TypeAlias = tuple[int, bytes, int, bytes]

__all__ = ["Counted", "Fault", "Leaf", "Scanned", "Unfinished", "compile_plan"]

FIXED, COUNTED, SCANNED, TAGGED, UNTIL_EOF, CUSTOM, PREAMBLE = range(7)
ENCLOSED, DOTTED = 10, 17
UINT, LEB128, VLQ, QUIC, BER, DIGITS, DIGITS_END, HEXDIGITS, TIERED, ZIGZAG, SLEB128 = range(1, 12)
BODY, REST, FIELD, WHOLE = range(4)

TOO_LARGE, NEGATIVE, SHORT, DIGIT, ZERO, LONG, OVERFLOW = -1, -2, -3, -4, -5, -6, -7
CANONICAL, INDEFINITE, SELECTOR, TAG, MAGIC, TRAILER = -8, -9, -10, -11, -12, -13
ESCAPE, CHECK, CODE = -14, -15, -16
DEPTH, LONG_LINE, LF, COUNT = -40, -41, -42, -43
HEADER, LINE, LINE_END, NUMBER, LENGTHS = -35, -36, -37, -38, -39
COUNTER, FRAGMENTS = -45, -46
NOISE, RESTART = -30, -31

_U64 = (1 << 64) - 1
_FAR = 1 << 62
_DECIMAL = {ord("0") + i: i for i in range(10)}
_HEX = _DECIMAL | {ord("a") + i: 10 + i for i in range(6)} | {ord("A") + i: 10 + i for i in range(6)}


class Fault(Exception):
    """Bytes that cannot be: the code of errors.malformed, what it is about, and how many bytes prove it.

    For TOO_LARGE `size` is what was announced (None without a length) and `end` where the frame ends. A
    stream can go on `recover` bytes behind the frame's start, if that is not 0. `skip` bytes of fill stood
    before the frame."""

    skip = 0

    def __init__(
        self,
        code: int,
        value: int,
        proof: int,
        size: int | None = None,
        end: int = _FAR,
        recover: int = 0,
    ) -> None:
        self.recover = recover
        self.code = code
        self.value = value
        self.proof = proof
        self.size = size
        self.end = end


class Unfinished:
    """A frame of which bytes are missing, where the next `cut` must be told more than a place: `need` is the
    int that `cut` would return, `seen` comes back as `scanned`; `fill` bytes of fill stood in front."""

    __slots__ = ("need", "seen", "fill")

    def __init__(self, need: int, seen: Any, fill: int = 0) -> None:
        self.need = need
        self.seen = seen
        self.fill = fill


class _Short(Exception):
    """The field is not all there; it has at least `width` bytes. `follows` as far as it is known."""

    def __init__(self, width: int, follows: bool = False) -> None:
        self.width = width
        self.follows = follows


class _Field:
    """A length field (`LengthType.spec`): reading it, and writing it in a form of given width."""

    kind: int
    width: int
    little: bool
    signed: bool
    mask: int
    shift: int
    canonical: bool
    end: bytes
    tiers: tuple[tuple[int, int, bool, bool, int], ...]
    direct: int
    follow_bit: int
    follow_size: int

    def __init__(self, spec: tuple[Any, ...]) -> None:
        (
            self.kind,
            self.width,
            self.little,
            self.signed,
            self.mask,
            self.shift,
            self.canonical,
            self.end,
            self.tiers,
            self.direct,
            (self.follow_bit, self.follow_size),
        ) = spec
        self.order: Literal["little", "big"] = "little" if self.little else "big"
        one_width = self.kind in (UINT, DIGITS, HEXDIGITS, TIERED)
        self.narrowest: int = self.width if one_width else 1 + len(self.end)
        self.forms: list[int] = {
            LEB128: list(range(1, self.width + 1)),
            VLQ: list(range(1, self.width + 1)),
            ZIGZAG: list(range(1, self.width + 1)),
            SLEB128: list(range(1, self.width + 1)),
            DIGITS_END: [n + len(self.end) for n in range(1, self.width + 1)],
            QUIC: [1, 2, 4, 8],
            BER: [1, 2, 3, 4, 5],
            TIERED: [self.width] + [self.width + tier[1] for tier in self.tiers],
        }.get(self.kind, [self.width])

    def read(self, data: Bytes, at: int, size: int, ceiling: int) -> tuple[int, int, bool]:
        """(value, width, follow bit) of the field at data[at:size]; Fault, or _Short."""
        have = size - at
        if have <= 0:
            raise _Short(self.narrowest)
        kind = self.kind
        if kind == UINT:
            if have < self.width:
                raise _Short(self.width)
            raw = self._integer(data, at, self.width, self.little, self.signed)
            return (raw if raw < 0 else (raw & self.mask) >> self.shift), self.width, False
        if kind == TIERED:
            return self._read_tiered(data, at, have)
        if kind in (LEB128, VLQ):
            return self._read_base128(data, at, have)
        if kind == ZIGZAG:
            coded, width, _ = self._read_base128(data, at, have)
            return coded >> 1 ^ -(coded & 1), width, False
        if kind == SLEB128:
            return self._read_sleb128(data, at, have)
        if kind == DIGITS_END:
            return self._read_digits_end(data, at, have, ceiling)
        if kind == QUIC:
            width = 1 << (data[at] >> 6)
            if have < width:
                raise _Short(width)
            return int.from_bytes(data[at : at + width], "big") & (1 << 8 * width - 2) - 1, width, False
        if kind == BER:
            octets = data[at] & 0x7F
            if data[at] < 0x80:
                return octets, 1, False
            if not 1 <= octets <= 4:
                raise Fault(INDEFINITE, data[at], 1)
            if self.canonical and have > 1 and (data[at + 1] < 0x80 if octets == 1 else data[at + 1] == 0):
                raise Fault(CANONICAL, data[at], 2)
            if have < 1 + octets:
                raise _Short(1 + octets)
            return int.from_bytes(data[at + 1 : at + 1 + octets], "big"), 1 + octets, False
        return self._read_digits(data, at, have)

    @staticmethod
    def _integer(data: Bytes, at: int, width: int, little: bool, signed: bool) -> int:
        return int.from_bytes(data[at : at + width], "little" if little else "big", signed=signed)

    def _read_base128(self, data: Bytes, at: int, have: int) -> tuple[int, int, bool]:
        lowest_first = self.kind != VLQ
        value = 0
        for i in range(have):
            byte = data[at + i]
            group = byte & 0x7F
            if group << 7 * i & ~(self.mask or _U64) if lowest_first else value > _U64 >> 7:
                raise Fault(OVERFLOW, self.width, i + 1)
            value = value | group << 7 * i if lowest_first else value << 7 | group
            if byte < 0x80:
                if self.canonical and i and (group == 0 if lowest_first else data[at] == 0x80):
                    raise Fault(CANONICAL, self.width, i + 1)
                return value, i + 1, False
            if i + 1 == self.width:
                raise Fault(LONG, self.width, i + 1)
        raise _Short(have + 1)

    def _read_sleb128(self, data: Bytes, at: int, have: int) -> tuple[int, int, bool]:
        value = 0
        for i in range(have):
            byte = data[at + i]
            group = byte & 0x7F
            # Of the tenth group 63 and more are all sign.
            if i == 9 and group not in (0, 0x7F):
                raise Fault(OVERFLOW, self.width, i + 1)
            value |= group << 7 * i
            if byte < 0x80:
                return value - (1 << 7 * (i + 1) if group & 0x40 else 0), i + 1, False
            if i + 1 == self.width:
                raise Fault(LONG, self.width, i + 1)
        raise _Short(have + 1)

    def _read_digits(self, data: Bytes, at: int, have: int) -> tuple[int, int, bool]:
        digits, base = (_HEX, 16) if self.kind == HEXDIGITS else (_DECIMAL, 10)
        value = 0
        for i in range(min(have, self.width)):
            digit = digits.get(data[at + i])
            if digit is None:
                raise Fault(DIGIT, 0, i + 1)
            value = value * base + digit
        if have < self.width:
            raise _Short(self.width)
        return value, self.width, False

    def _read_digits_end(self, data: Bytes, at: int, have: int, ceiling: int) -> tuple[int, int, bool]:
        value = count = 0
        while count < have:
            digit = _DECIMAL.get(data[at + count])
            if digit is None:
                break
            if count == self.width:
                raise Fault(LONG, self.width, count + 1)
            if count and data[at] == 0x30:
                raise Fault(ZERO, self.width, count + 1)
            value = value * 10 + digit
            count += 1
            if value > ceiling:
                raise Fault(TOO_LARGE, value, count)
        if count == 0:
            raise Fault(DIGIT, 0, 1)
        for i, byte in enumerate(self.end):
            if count + i == have:
                raise _Short(count + len(self.end))
            if data[at + count + i] != byte:
                raise Fault(DIGIT, 0, count + i + 1)
        return value, count + len(self.end), False

    def _read_tiered(self, data: Bytes, at: int, have: int) -> tuple[int, int, bool]:
        if have < self.width:
            raise _Short(self.width)
        first = self._integer(data, at, self.width, self.little, False)
        follows = bool(first & self.follow_bit)
        number = (first & self.mask) >> self.shift
        index = next((i for i, tier in enumerate(self.tiers) if tier[0] == number), None)
        if index is None:
            if number <= self.direct:
                return number, self.width, follows
            raise Fault(SELECTOR, number, self.width)
        _, width, little, signed, base = self.tiers[index]
        whole = self.width + width
        if have < whole:
            raise _Short(whole, follows)
        value = self._integer(data, at + self.width, width, little, signed)
        if value < 0:
            return value, whole, follows
        if value + base > _U64:
            raise Fault(OVERFLOW, value, whole)
        value += base
        if self.canonical:
            if self._is_direct(value) or any(
                0 <= value - lower[4] <= (1 << 8 * lower[1] - lower[3]) - 1 for lower in self.tiers[:index]
            ):
                raise Fault(CANONICAL, value, whole)
        return value, whole, follows

    def follows(self, data: Bytes, at: int) -> bool:
        """Whether the first field of TIERED has the follow bit."""
        return self._integer(data, at, self.width, self.little, False) & self.follow_bit != 0

    def _is_direct(self, value: int) -> bool:
        """Whether the first field of TIERED says the value itself: small enough, and no selector."""
        return value <= self.direct and all(tier[0] != value for tier in self.tiers)

    def write(self, form: int, value: int, free_bits: int) -> bytes | None:
        """The field in the given form, or None if that form cannot say the value."""
        kind, width = self.kind, self.forms[form]
        if kind == UINT:
            if value > self.mask >> self.shift >> self.signed:
                return None
            return (free_bits | value << self.shift).to_bytes(width, self.order)
        if kind == ZIGZAG:
            value = value << 1 ^ value >> 63
        if kind in (LEB128, VLQ, ZIGZAG, SLEB128):
            if kind == SLEB128:
                if value >> 7 * width - 1 not in (0, -1):
                    return None
            elif value >> 7 * width or self.mask and value > self.mask:
                return None
            groups = [value >> 7 * i & 0x7F for i in range(width)]
            if kind == VLQ:
                groups.reverse()
            return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])
        if kind == QUIC:
            if value >> 8 * width - 2:
                return None
            return (value | form << 8 * width - 2).to_bytes(width, "big")
        if kind == BER:
            if form == 0:
                return bytes([value]) if value < 0x80 else None
            return bytes([0x80 | form]) + value.to_bytes(form, "big") if value < 1 << 8 * form else None
        if kind == TIERED:
            if form == 0:
                if not self._is_direct(value):
                    return None
                return (free_bits | value << self.shift).to_bytes(width, self.order)
            selector, wide, little, signed, base = self.tiers[form - 1]
            if not 0 <= value - base <= (1 << 8 * wide - signed) - 1:
                return None
            first = (free_bits | selector << self.shift).to_bytes(self.width, self.order)
            return first + (value - base).to_bytes(wide, "little" if little else "big")
        count = width - len(self.end)
        text = b"%0*x" % (count, value) if kind == HEXDIGITS else b"%0*d" % (count, value)
        return text + self.end if len(text) == count else None

    def vacant(self, data: Bytes, at: int) -> bool:
        """Whether the length at data[at:] is zero in its narrowest form: a place kept free for encode."""
        if self.kind in (UINT, TIERED):
            return self._integer(data, at, self.width, self.little, False) & self.mask == 0
        zero = b"0" + self.end if self.kind == DIGITS_END else b"\0"
        return bytes(data[at : at + len(zero)]) == zero


class Leaf:
    """What all plans have in common; also FIXED, UNTIL_EOF and CUSTOM as they are."""

    longest = 0
    joins = False
    loop: Any = None
    limit: int
    min_size: int
    split: Any
    join: Any

    def __init__(self, plan: tuple[Any, ...]) -> None:
        self.kind, self.limit, self.skip, self.eof, self.min_size = plan[:5]
        self.size: int = plan[5] if self.kind == FIXED else 0
        self.split, self.join = plan[5:7] if self.kind == CUSTOM else (None, None)
        if self.kind == FIXED:
            self.loop = self._fixed_loop

    def cut(self, data: Bytes, at: int, size: int, scanned: Any) -> Cut:
        """One frame at data[at:size], of which `scanned` bytes are known to hold no delimiter's end."""
        if self.kind == FIXED:
            stop = at + self.size
            return (at, stop, stop) if stop <= size else stop - size
        if size - at > self.limit:
            raise Fault(TOO_LARGE, 0, self.limit + 1, None, 0)
        return -1

    def discard(self, data: Bytes, start: int, end: int, scanned: int) -> tuple[int, bool, int]:
        """Of a frame that is too large and that only a mark ends: how many of data[start:end] are of no more
        use, whether the frame ends with them, and what is to be given as `scanned` next time, which is 0 at
        the frame's first byte."""
        if self.kind == UNTIL_EOF:
            return end - start, False, 0
        stop, _ = self.find(data, start, start + scanned, end)  # type: ignore[attr-defined]
        gone = stop - start if stop else max(0, end - start - (self.longest - 1))
        return gone, stop > 0, end - start - gone

    def _fixed_loop(self, data: bytes, at: int, size: int, scanned: int, out: list[bytes], most: int) -> int:
        step = self.size
        stop = at + step * min(most, (size - at) // step)
        out += [data[i : i + step] for i in range(at, stop, step)]
        return stop

    def extract(self, raw: bytes) -> bytes:
        """With `joins`: what is delivered of the frame that `cut` found."""
        raise NotImplementedError

    def measure(self, message: Bytes, size: int) -> Wire:
        """How message, of `size` bytes, is written; EncodeError if it cannot be."""
        if self.kind == FIXED:
            if size != self.size:
                raise errors.encode_fixed(size, self.size)
        elif size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        return size, b"", size, b""


class Counted(Leaf):
    offset: int
    after: int
    counts: int
    adjust: int
    scale: int

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, self.capacity, header, count, self.magic, self.extra, self.special, trailer = plan[5:]
        self.control: tuple[int, ...] = self.special if self.kind == COUNTED else ()
        self.offset, lead, field, self.after, escape = header
        self.counts, self.adjust, self.scale = count
        self.field = _Field(field)
        self.lead = None if lead is None else _Field(lead)
        self.escape_value: int | None = None if escape is None else escape[0]
        self.escape = None if escape is None else _Field(escape[1])
        self.trailer_size: int = trailer if isinstance(trailer, int) else len(trailer)
        self.trailer: bytes = b"" if isinstance(trailer, int) else trailer
        at = self.offset if self.lead is None else self.lead.forms[-1]
        width = self.field.forms[-1] + (0 if self.escape is None else self.escape.width)
        delta = self.adjust - self._behind(at, width, self.after + self.field.follow_size)
        # A value beyond this is too large whatever the width; only then may digits be given up early.
        early = not self.skip and not self.control
        self.ceiling = _U64 if not early else (self.limit - delta) // self.scale if delta <= self.limit else 0
        if self.lead is None and self.kind == COUNTED:
            self.loop = _write_loop(self)

    def _behind(self, at: int, width: int, after: int) -> int:
        """How far the body's start lies behind the point that the value counts from."""
        return (0, after, width + after, at + width + after)[self.counts]

    def _bad_magic(self, data: Bytes, at: int, size: int) -> int | None:
        """The index of the first byte that contradicts the magic."""
        worst = None
        for offset, values in self.magic:
            have = bytes(data[at + offset : min(size, at + offset + len(values[0]))])
            best = 0
            for value in values:
                same = 0
                while same < len(have) and have[same] == value[same]:
                    same += 1
                best = max(best, same)
            if best < len(have) and (worst is None or offset + best < worst):
                worst = offset + best
        return worst

    def _head(self, data: Bytes, at: int, size: int) -> tuple[int, int, int] | int:
        """(value, body's start in the frame, delta) of the header at data[at:size], or as `cut` what is
        missing."""
        bad = self._bad_magic(data, at, size) if self.magic else None
        where, width, after = self.offset, 0, self.after
        short = follows = False
        value = 0
        try:
            if self.lead is not None:
                where = 0
                try:
                    where = self.lead.read(data, at, size, _U64)[1]
                except _Short as error:
                    where = error.width
                    raise _Short(self.field.narrowest) from None
            value, width, follows = self.field.read(data, at + where, size, self.ceiling)
            if self.escape is not None and value == self.escape_value:
                first = width
                width += self.escape.width
                value = self.escape.read(data, at + where + first, size, _U64)[0]
        except _Short as error:
            short = True
            width = width or error.width
            follows = error.follows
        except Fault as fault:
            proof = where + width + fault.proof
            if bad is not None and bad < proof:
                raise Fault(MAGIC, 0, bad + 1) from None
            size_so_far = None
            if fault.code == TOO_LARGE:
                delta = self.adjust - self._behind(where, fault.proof, after)
                size_so_far = fault.value * self.scale + delta
            raise Fault(fault.code, fault.value, proof, size_so_far) from None
        if follows:
            after += self.field.follow_size
        body = where + width + after
        if bad is not None:
            raise Fault(MAGIC, 0, bad + 1)
        delta = self.adjust - self._behind(where, width, after)
        if short or body > size - at:
            if not self.control:
                body += self.trailer_size + max(0, delta)
            return size - at - max(body, self.min_size)
        return value, body, delta

    def _extras(self, data: Bytes, at: int) -> list[int]:
        return [
            (int.from_bytes(data[at + offset : at + offset + width], "little" if little else "big") & mask)
            >> shift
            for offset, width, little, mask, shift in self.extra
        ]

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        head = self._head(data, at, size)
        if type(head) is int:
            return head
        value, start, delta = head  # type: ignore[misc]
        if value in self.control:
            return at, at + start, at + start
        if value < 0:
            raise Fault(NEGATIVE, value, start)
        body = value * self.scale + delta
        if body < 0:
            raise Fault(SHORT, value, start)
        extra = 0
        for more in self._extras(data, at):
            extra += more
            if extra > self.limit:
                raise Fault(TOO_LARGE, more, start, more, _FAR)
        stop = start + body
        end = stop + extra + self.trailer_size
        if body > self.limit:
            raise Fault(TOO_LARGE, value, start, body, min(end, _FAR))
        if self.trailer:
            tail = data[at + end - self.trailer_size : min(size, at + end)]
            if tail != self.trailer[: len(tail)]:
                bad = next(i for i, byte in enumerate(tail) if byte != self.trailer[i])
                raise Fault(TRAILER, 0, end - self.trailer_size + bad + 1)
        if end > size - at:
            # A trailer is checked as it arrives; without one, nothing is decided before the end.
            return size - at - end if self.trailer else end - (size - at)
        if self.strip:
            return at + start, at + stop, at + end
        return at, at + end, at + end

    def _field_for(self, body: int, at: int, after: int, free_bits: int) -> bytes:
        """The shortest length field that announces a body of `body` bytes.

        Where the length counts the field itself, a wide form can be the only one that says a small value,
        padded: that is no answer."""
        uneven = False
        for form, width in enumerate(self.field.forms):
            value, rest = divmod(body + self._behind(at, width, after) - self.adjust, self.scale)
            uneven = value >= 0 and rest != 0
            if value >= 0 and not rest and value != self.escape_value and value not in self.control:
                written = self.field.write(form, value, free_bits)
                if written is not None and (form == 0 or self._reads(written)):
                    return written
        if self.escape is not None and self.escape_value is not None:
            width = self.field.width + self.escape.width
            value, rest = divmod(body + self._behind(at, width, after) - self.adjust, self.scale)
            uneven = value >= 0 and rest != 0
            if value >= 0 and not rest:
                raw = free_bits | self.escape_value << self.field.shift & (1 << 8 * self.field.width) - 1
                written = self.escape.write(0, value, 0)
                if written is not None:
                    return raw.to_bytes(self.field.width, self.field.order) + written
        if uneven:
            raise errors.encode_scale(body, self.scale)
        raise errors.encode_unsayable(body, self.capacity)

    def _reads(self, written: bytes) -> bool:
        try:
            self.field.read(written, 0, len(written), _U64)
        except Fault:
            return False
        return True

    def measure(self, message: Bytes, size: int) -> Wire:
        if self.strip:
            if size > self.limit:
                raise errors.encode_too_large(size, self.limit)
            lead: bytes | None = bytes(self.offset)
            if self.lead is not None:
                forms = (self.lead.write(form, 0, 0) for form in range(len(self.lead.forms)))
                lead = next((form for form in forms if form is not None), None)
            if lead is None:
                raise errors.encode_unsayable(size, self.capacity)
            field = self._field_for(size, len(lead), self.after, 0)
            made = lead + field + bytes(self.after)
            if self.magic:
                header = bytearray(made)
                for offset, values in self.magic:
                    header[offset : offset + len(values[0])] = values[0]
                made = bytes(header)
            return 0, made, 0, self.trailer
        bad = self._bad_magic(message, 0, size)
        if bad is not None:
            raise errors.encode_broken(MAGIC, 0, bytes(message[: bad + 1]), size)
        wire = self._whole(message, size)
        if self.trailer and wire[0] < size:
            tail = bytes(message[size - self.trailer_size :])
            for i, byte in enumerate(self.trailer):
                if tail[i] != byte:
                    proof = size - self.trailer_size + i + 1
                    raise errors.encode_broken(TRAILER, 0, bytes(message[:proof]), size)
        return wire

    def _body(self, message: Bytes, size: int, fixed: int) -> int:
        """The size of the body of a whole frame whose header and trailer have `fixed` bytes."""
        if size < fixed:
            raise errors.encode_short(size, fixed)
        extra = 0
        for more in self._extras(message, 0):
            if more > size - fixed - extra:
                raise errors.encode_short(size, _FAR if more > _FAR else fixed + extra + more)
            extra += more
        body = size - fixed - extra
        if body > self.limit or extra > self.limit:
            raise errors.encode_too_large(body if body > self.limit else extra, self.limit)
        return body

    def _check_right(self, message: Bytes, size: int) -> errors.EncodeError | None:
        """None if the header of a whole frame is right as it stands, else the error that says what is not."""
        announced = None
        try:
            found = self.cut(message, 0, size, 0)
            if type(found) is tuple and len(found) == 3:
                if found[2] == size:
                    return None
                announced = found[2]
            elif type(self._head(message, 0, size)) is tuple:
                announced = size + abs(found)  # type: ignore[arg-type]
        except Fault as fault:
            if fault.code != TOO_LARGE:
                return errors.encode_broken(fault.code, fault.value, bytes(message[: fault.proof]), size)
            if fault.end < _FAR:
                announced = fault.end
        return errors.encode_mismatch(size, announced)

    def _whole(self, message: Bytes, size: int) -> Wire:
        """A whole frame: a length of one width is written over, except for a control frame; any other must be
        right, or vacant."""
        at, after, field = self.offset, self.after, self.field
        narrow = field.narrowest
        if self.lead is not None:
            try:
                at = self.lead.read(message, 0, size, _U64)[1]
            except _Short as short:
                raise errors.encode_short(size, short.width + narrow + after + self.trailer_size) from None
            except Fault as fault:
                raise errors.encode_broken(
                    fault.code, fault.value, bytes(message[: fault.proof]), size
                ) from None
        varies = self.escape is not None or field.kind not in (UINT, DIGITS, HEXDIGITS)
        wrong = None
        if varies or self.control:
            wrong = self._check_right(message, size)
            if wrong is None:
                return size, b"", size, b""
        if varies and wrong is not None:
            if size < at + narrow or not field.vacant(message, at):
                raise wrong
            if field.kind == TIERED and field.follows(message, at):
                after += field.follow_size
        body = self._body(message, size, at + narrow + after + self.trailer_size)
        free_bits = 0
        if field.kind in (UINT, TIERED):
            raw = int.from_bytes(message[at : at + field.width], "little" if field.little else "big")
            free_bits = raw & ~field.mask
        return at, self._field_for(body, at, after, free_bits), at + narrow, b""


def _write_loop(leaf: Counted) -> Any:
    """The loop over whole, good frames that one would write by hand for this declaration.

    Its source is made from the plan, because a loop that asks the plan about each frame is many times
    slower. It stops at the first frame that is unusual in any way, and `cut` says in which.
    """
    field, counts, limit = leaf.field, leaf.counts, leaf.limit
    kind, width, first = field.kind, field.width, f"at + {leaf.offset}" if leaf.offset else "at"
    names: dict[str, Any] = {"read": field.read, "Fault": Fault, "Short": _Short, "trailer": leaf.trailer}
    integer = (
        f"int.from_bytes(data[{first} : here], {field.order!r}{', signed=True' if field.signed else ''})"
    )
    lines = [f"here = {first} + {width}", "if here > size: break"]
    if kind == UINT:
        lines += [f"value = {integer}"]
        if field.signed:
            lines += ["if value < 0: break"]
        elif field.mask != (1 << 8 * width) - 1:
            lines += [f"value = (value & {field.mask}) >> {field.shift}"]
        if leaf.escape is not None:
            lines += [f"if value == {leaf.escape_value}: break"]
    elif kind == DIGITS:
        lines += [f"text = data[{first} : here]", "if not text.isdigit(): break", "value = int(text)"]
    elif kind == DIGITS_END:
        names["mark"] = field.end
        lines = [
            f"here = data.find(mark, {first}, {first} + {width + len(field.end)})",
            f"text = data[{first} : here]",
            "if here < 0 or not text.isdigit() or text[0] == 48 and len(text) > 1: break",
            f"here += {len(field.end)}",
            "value = int(text)",
        ]
    else:
        # The one-byte form inline, if there is one; the others by the function that knows all of them.
        direct = {LEB128: 0x80, VLQ: 0x80, QUIC: 0x40, BER: 0x80}.get(kind, 0)
        lines = [f"here = {first} + 1", "if here > size: break", "value = data[here - 1]"]
        lines += [f"if value >= {direct}:"] if direct else []
        lines += [
            ("    " if direct else "") + line
            for line in (
                f"try: value, here, follows = read(data, {first}, size, {leaf.ceiling})",
                "except (Fault, Short): break",
                f"here += {first}",
            )
        ]
        if kind in (TIERED, ZIGZAG, SLEB128):
            lines += ["if value < 0: break"]
        if field.follow_size:
            lines += [f"after = {leaf.after + field.follow_size} if follows else {leaf.after}"]
    if leaf.control:
        names["control"] = leaf.control
        lines += ["if value in control: break"]
    after = "after" if field.follow_size else leaf.after
    lines += [f"body = here + {after}" if after else "body = here"]
    start = {BODY: "body", REST: "here", FIELD: first, WHOLE: "at"}[counts]
    scaled = f"value * {leaf.scale}" if leaf.scale > 1 else "value"
    lines += [f"stop = {start} + {scaled}" + (f" + {leaf.adjust}" if leaf.adjust else "")]
    if counts == BODY and leaf.adjust >= 0 and leaf.scale == 1:
        lines += [f"if value > {limit - leaf.adjust}: break"]
    else:
        lines += [f"if not 0 <= stop - body <= {limit}: break"]
    end = "stop"
    for offset, size, little, mask, shift in leaf.extra:
        order = "little" if little else "big"
        raw = f"int.from_bytes(data[at + {offset} : at + {offset + size}], {order!r})"
        lines += [f"extra = ({raw} & {mask}) >> {shift}", f"if extra > {limit}: break"]
        end = "end"
    if leaf.extra:
        # More than one is rare: their sum is judged by `cut`.
        lines += ["end = stop + extra"] if len(leaf.extra) == 1 else ["break"]
    if leaf.trailer_size:
        lines += [f"end = {end} + {leaf.trailer_size}"]
        end = "end"
    lines += [f"if {end} > size: break"]
    for index, (offset, values) in enumerate(leaf.magic):
        names[f"magic{index}"] = values
        lines += [f"if data[at + {offset} : at + {offset + len(values[0])}] not in magic{index}: break"]
    if leaf.trailer:
        lines += [f"if data[end - {leaf.trailer_size} : end] != trailer: break"]
    lines += ["append(data[body:stop])" if leaf.strip else f"append(data[at:{end}])", f"at = {end}"]
    head = ["def loop(data, at, size, scanned, out, most):", "    append = out.append"]
    body = ["    for _ in repeat(None, most):", *(f"        {line}" for line in lines), "    return at"]
    source = "\n".join([*head, *body])
    names["repeat"] = repeat
    exec(source, names)
    return names["loop"]


class Scanned(Leaf):
    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.strip, self.delimiters = plan[5:]
        self.by_size = sorted(self.delimiters, key=len, reverse=True)
        self.longest = len(self.by_size[0])
        self.lasts = {one[-1:] for one in self.delimiters}
        self.reach = self.limit + self.longest
        if len(self.delimiters) == 1 or set(self.delimiters) == {b"\n", b"\r\n"}:
            self.loop = self._loop

    def _loop(self, data: bytes, at: int, size: int, scanned: int, out: list[bytes], most: int) -> int:
        """Frames that end with the one delimiter, or with LF that a CR may precede."""
        find, append, limit, strip = data.find, out.append, self.limit, self.strip
        lines = len(self.delimiters) == 2
        mark = b"\n" if lines else self.delimiters[0]
        step = len(mark)
        search = max(at, at + scanned - step + 1)
        for _ in repeat(None, most):
            hit = find(mark, search, size)
            if hit < 0 or hit - at > limit:
                break
            stop = hit + step
            if not strip:
                append(data[at:stop])
            elif lines and hit > at and data[hit - 1] == 13:
                append(data[at : hit - 1])
            else:
                append(data[at:hit])
            at = search = stop
        return at

    def find(self, data: Bytes, start: int, at: int, size: int) -> tuple[int, int]:
        """(end, size) of the first delimiter in data[start:size] whose last byte is at `at` or behind it;
        (0, 0) without one."""
        while at < size:
            hits = [hit for last in self.lasts if (hit := data.find(last, at, size)) >= 0]  # type: ignore[union-attr]
            if not hits:
                break
            end = min(hits) + 1
            for one in self.by_size:
                if len(one) <= end - start and data[end - len(one) : end] == one:
                    return end, len(one)
            at = end
        return 0, 0

    def find_need(self, data: Bytes) -> int:
        """The fewest bytes that could complete a delimiter behind `data`."""
        need = self.longest
        for one in self.delimiters:
            have = min(len(one) - 1, len(data))
            while have and data[len(data) - have :] != one[:have]:
                have -= 1
            need = min(need, len(one) - have)
        return need

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        bound = min(size, at + self.reach)
        end, found = self.find(data, at, at + scanned, bound)
        if not end:
            if size - at >= self.reach:
                raise Fault(TOO_LARGE, 0, self.reach, None, 0)
            return -self.find_need(data[max(at, size - self.longest) : size])
        if end - found - at > self.limit:
            raise Fault(TOO_LARGE, 0, end - at, None, 0)
        return at, end - found if self.strip else end, end

    def measure(self, message: Bytes, size: int) -> Wire:
        data = bytes(message)
        end, found = self.find(data, 0, 0, size)
        if not self.strip:
            if not end:
                raise errors.encode_unterminated(size)
            if end != size:
                raise errors.encode_delimiter(end - found, data[end - found : end], size)
            if size - found > self.limit:
                raise errors.encode_too_large(size - found, self.limit)
            return size, b"", size, b""
        if size > self.limit:
            raise errors.encode_too_large(size, self.limit)
        own = self.delimiters[0]
        if not end:
            data += own
            end, found = self.find(data, 0, size, len(data))
            if end == len(data) and found == len(own):
                return size, b"", size, own
        raise errors.encode_delimiter(end - found, data[end - found : end], size)


class _Tagged(Leaf):
    tag_offset: int
    mask: int

    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.tag_offset, self.mask, rows, default = plan[5:]
        self.default = None if default is None else compile_plan(default)
        parts = {part: compile_plan(part) for _, part in rows}
        self.rows = {tag: parts[part] for tag, part in rows}

    def choose(self, data: Bytes, at: int, size: int) -> Leaf | int:
        """The leaf that cuts the frame at data[at:size], or the fewest bytes that are missing."""
        if size - at <= self.tag_offset:
            return max(self.min_size, self.tag_offset + 1) - (size - at)
        tag = data[at + self.tag_offset] & self.mask
        part = self.rows.get(tag, self.default)
        if part is None:
            raise Fault(TAG, tag, self.tag_offset + 1)
        return part.choose(data, at, size) if isinstance(part, _Tagged) else part

    def measure(self, message: Bytes, size: int) -> Wire:
        if size <= self.tag_offset:
            raise errors.encode_short(size, self.tag_offset + 1)
        tag = message[self.tag_offset] & self.mask
        part = self.rows.get(tag, self.default)
        if part is None:
            raise errors.encode_broken(TAG, tag, bytes(message[: self.tag_offset + 1]), size)
        keep, made, resume, _ = wire = part.measure(message, size)
        need = self.tag_offset + 1
        head = bytes(message[: min(keep, need)]) + made + bytes(message[resume : resume + need])
        if len(head) >= need:
            other = head[self.tag_offset] & self.mask
            if self.rows.get(other, self.default) is not part:
                raise errors.encode_retagged(tag, other, size)
        return wire


LEAVES: dict[int, type[Leaf]] = {COUNTED: Counted, SCANNED: Scanned, TAGGED: _Tagged}


@lru_cache(maxsize=128)
def compile_plan(plan: tuple[Any, ...]) -> Leaf:
    """The object for any plan but PREAMBLE, which is a sequence of plans and lives in the codec.

    Leaves have no state, so decoders share them."""
    return LEAVES.get(plan[0], Leaf)(plan)
