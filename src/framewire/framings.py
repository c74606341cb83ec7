"""The framings: one class each, in the order of the HOWTO's ways out, then what is built from others."""

from __future__ import annotations

from ._framing import (
    CHUNKED,
    COBS_,
    COMMON,
    COUNTED,
    CUSTOM,
    DOTTED_,
    ENCLOSED_,
    FIXED,
    FRAGMENTED,
    HDLC_,
    MAX_FRAGMENTS,
    MIB,
    NO_LIMIT,
    PREAMBLE,
    REQUIRED,
    SCANNED,
    SLIP_,
    TAGGED,
    UNTIL_EOF,
    Framing,
    alternatives,
    need_strip,
    no_delivery,
    policies,
)
from .errors import DeclarationError
from .fields import (
    DIGITS,
    HEXDIGITS,
    TIERED,
    UINT,
    LengthType,
    digits,
    escape_bytes,
    masked,
    need_bool,
    need_bytes,
    need_choice,
    need_int,
    need_length_type,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import EllipsisType
    from typing import Any, TypeAlias

    from typing_extensions import Buffer

    from .fields import LengthLike

    Split: TypeAlias = Callable[[memoryview, int, bool], int | tuple[int, int, int] | None]
    Magic: TypeAlias = bytes | tuple[tuple[int, bytes | tuple[bytes, ...]], ...]
    Fragments: TypeAlias = str | tuple[str, int] | tuple[str, int, int] | None

__all__ = [
    "Framing",
    "FixedLength",
    "LengthPrefixed",
    "Netstring",
    "Delimited",
    "Lines",
    "Tagged",
    "Preamble",
    "UntilEOF",
    "Custom",
]

MAX_HEADER = 512
COUNTS = ("body", "rest", "field", "frame")


class FixedLength(Framing):
    """Frames of exactly `size` bytes.

    `max_frame` is `size`. Text form `fixed:16`.

    >>> from framewire import FixedLength
    >>> FixedLength(4).decoder().decode(b"abcdefghij")
    [b'abcd', b'efgh']
    """

    __slots__ = ()
    _parameters = (("size", REQUIRED), *COMMON)

    def __init__(
        self, size: int, *, max_frame: int | None = MIB, on_too_large: str = "fail", eof: str = "error"
    ) -> None:
        where = "FixedLength"
        need_int(where, "size", size, 1, NO_LIMIT)
        no_delivery(where, eof)
        if max_frame is not None and max_frame != MIB:
            need_int(where, "max_frame", max_frame, size)
        _, skip, _ = policies(where, max_frame, on_too_large, eof, size)
        self._freeze((size, max_frame, on_too_large, eof), (FIXED, size, skip, eof, size, size))

    def _name(self) -> str:
        return f"fixed:{self.size}"


class LengthPrefixed(Framing):
    """Frames that say how long they are: header, body, extras, trailer.

    The value v of the `length_type` field, found `offset` bytes into the frame (or behind one variable-width
    field, where `offset` is a type), says where the body ends: at start + v*`scale` + `adjust`, where start
    is the body's start (`counts="body"`), the end of the field ("rest"), its first byte ("field") or the
    first byte of the frame ("frame"). The body starts at `header`, by default the field's end.

    - `mask`: the bits of the field that are the length, shifted down; the others are free header bits.
    - `strip`: True: a frame is the body; False: the whole frame; None: True only if the header holds nothing
      but the length and fixed bytes.
    - `magic`: bytes at offset 0, or ((offset, bytes or a tuple of alternatives), ...), checked on arrival.
    - `trailer`: bytes behind the body, verified and written; an int is so many bytes of any value.
    - `escape=(value, type)`: that value means that the length is in a `type` field right behind.
    - `extra=((offset, type[, mask]), ...)`: header fields that count bytes between body and trailer.
    - `control=(value, ...)`: lengths that mean a frame of a header only, whatever they would count.
    - `fragments`: frames come in fragments, which are joined: a frame is all their bodies, behind the first
      header unless it is stripped. "top_bit": that bit of the length is set in the last one (encoding sends
      one). ("full", v[, offset]): a length of v says that another follows, an empty one where need be, and
      the byte at `offset` of the header counts on by one from each to the next (encoding splits likewise).
      `max_frame` limits the joined body; a frame of more than 1,024 fragments is malformed.
    - `max_frame` limits the body, in bytes; None lifts the limit.

    Raises DeclarationError for what cannot be, saying which parameter and why. Text form: that of the
    length type and the parameters, `u32`, `u16,offset=4,header=8`.

    >>> from framewire import LengthPrefixed, u16, u32
    >>> LengthPrefixed(u16).encode(b"hi")
    b'\\x00\\x02hi'
    >>> postgres = LengthPrefixed(u32, offset=1, counts="field")
    >>> postgres.decoder().decode(b"Z\\0\\0\\0\\x05I")
    [b'Z\\x00\\x00\\x00\\x05I']
    """

    __slots__ = ()
    _parameters = (
        ("length_type", REQUIRED),
        ("offset", 0),
        ("counts", "body"),
        ("adjust", 0),
        ("scale", 1),
        ("mask", None),
        ("header", None),
        ("strip", None),
        ("magic", ()),
        ("trailer", b""),
        ("escape", None),
        ("extra", ()),
        ("control", ()),
        ("fragments", None),
        *COMMON,
    )

    def __init__(
        self,
        length_type: LengthLike,
        *,
        offset: int | LengthLike = 0,
        counts: str = "body",
        adjust: int = 0,
        scale: int = 1,
        mask: int | None = None,
        header: int | None = None,
        strip: bool | None = None,
        magic: Magic = (),
        trailer: bytes | int = b"",
        escape: tuple[int, LengthLike] | None = None,
        extra: tuple[tuple[Any, ...], ...] = (),
        control: tuple[int, ...] = (),
        fragments: Fragments = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "LengthPrefixed"
        field = need_length_type(where, "length_type", length_type)
        lead = None if isinstance(offset, int) else need_length_type(where, "offset", offset)
        at = need_int(where, "offset", offset, 0, MAX_HEADER) if lead is None else lead.narrowest
        if lead is not None and lead.fixed:
            raise DeclarationError(f"{where}: offset={lead!r} has a fixed width: write offset={lead.widest}")
        need_choice(where, "counts", counts, COUNTS)
        need_int(where, "adjust", adjust, -(1 << 31), 1 << 31)
        need_int(where, "scale", scale, 1, 1 << 16)
        spec: tuple[Any, ...] = field.spec
        top = field.maximum
        if mask is not None:
            if spec[0] != UINT:
                raise DeclarationError(f"{where}: mask needs an integer of fixed width, not {field!r}")
            bits, shift, top = masked(where, field, mask)
            spec = (*spec[:4], bits, shift, *spec[6:])
        control_plan = _control(where, control, top)
        if control_plan and escape is not None:
            raise DeclarationError(f"{where}: control and escape cannot be together")
        whole_field = spec[0] not in (UINT, TIERED) or spec[4] == (1 << 8 * spec[1]) - 1
        last_bit = 0
        if fragments is not None:
            if spec[0] != UINT or spec[3] or lead is not None:
                raise DeclarationError(f"{where}: fragments needs an unsigned integer at a fixed offset")
            if escape is not None or extra or trailer != b"" or control_plan:
                raise DeclarationError(
                    f"{where}: fragments cannot be with escape, extra, control or a trailer"
                )
            if on_too_large == "skip":
                raise DeclarationError(
                    f"{where}: on_too_large='skip' cannot be with fragments, no length says where they end"
                )
            last_bit, spec = _last_bit(where, fragments, spec, mask)
            top = spec[4] >> spec[5]
        start = at + field.narrowest
        after = 0 if header is None else need_int(where, "header", header, start, MAX_HEADER) - start
        no_delivery(where, eof)
        # The part of the header that never moves, and the bits in it that encoding writes.
        fixed_part = 0
        own: dict[int, int] = {}
        if lead is None and spec[0] in (UINT, TIERED, DIGITS, HEXDIGITS):
            fixed_part = start + after if field.fixed and escape is None else start
            written = spec[4] if spec[0] in (UINT, TIERED) else (1 << 8 * spec[1]) - 1
            own = _bits(at, spec[1], spec[2], written)
        elif lead is None:
            fixed_part = at
        magic = magic or ()
        magic_plan = _magic(where, magic, fixed_part, range(at, start))
        extra_plan = _extra(where, extra, fixed_part, own)
        if isinstance(trailer, int):
            need_int(where, "trailer", trailer, 1, 4096)
        elif len(need_bytes(where, "trailer", trailer)) > 4096:
            raise DeclarationError(f"{where}: trailer of {len(trailer)} bytes is longer than 4096")
        # (the most a form of the field says, its bytes)
        forms = [(top, field.widest)]
        if spec[0] == TIERED:
            forms = [(spec[9], spec[1])]
            forms += [
                (min(base + (1 << 8 * width - signed) - 1, (1 << 64) - 1), spec[1] + width)
                for _, width, _, signed, base in spec[8]
            ]
        escape_plan: tuple[Any, ...] | None = None
        if escape is not None:
            if not isinstance(escape, tuple) or len(escape) != 2:
                raise TypeError(f"{where}: escape must be (value, type), not {escape!r}")
            beyond = need_length_type(where, "escape type", escape[1])
            if spec[0] != UINT or beyond.spec[0] != UINT:
                raise DeclarationError(f"{where}: escape needs integers of fixed width on both sides")
            low = -top - 1 if spec[3] else 0
            need_int(where, "escape value", escape[0], low, top)
            forms.append((beyond.maximum, field.widest + beyond.widest))
            escape_plan = escape[0], beyond.spec

        def behind(width: int) -> int:
            """How far the body's start lies behind the point that the value counts from."""
            return {"body": 0, "rest": after, "field": width + after, "frame": at + width + after}[counts]

        capacity = min(max(most * scale + adjust - behind(width) for most, width in forms), NO_LIMIT)
        if capacity < 0:
            raise DeclarationError(f"{where}: no value of {field!r} ends the frame behind its header")
        special: tuple[Any, ...] = control_plan
        if fragments is not None:
            full, counter = _fragments(where, fragments, top, start + after, range(at, start), magic_plan)
            body = full * scale + adjust - behind(field.widest) if full else 0
            if full and body < 1:
                raise DeclarationError(f"{where}: a fragment of length {full} has no body")
            special = last_bit, full, body, counter, MAX_FRAGMENTS
            capacity = min(MAX_FRAGMENTS * body - 1, NO_LIMIT) if full else capacity
        length_only = _only_length(spec, whole_field, start + after, magic_plan, lead, range(at, start))
        plain = length_only and not (extra or control_plan) and not isinstance(trailer, int)
        strip = need_strip(where, strip)
        if strip and (extra or control_plan or isinstance(trailer, int)):
            raise DeclarationError(
                f"{where}: strip=True cannot be with extra, control or a trailer of any value"
            )
        limit, skip, eof = policies(where, max_frame, on_too_large, eof, None if fragments else capacity)
        least = start + after
        if not control_plan:
            least += trailer if isinstance(trailer, int) else len(trailer)
            least += max(0, adjust - behind(field.narrowest))
        self._freeze(
            (
                field,
                offset if lead is None else lead,
                counts,
                adjust,
                scale,
                mask,
                header,
                strip,
                magic,
                trailer,
                escape,
                extra,
                control,
                fragments,
                max_frame,
                on_too_large,
                eof,
            ),
            (
                COUNTED if fragments is None else FRAGMENTED,
                limit,
                skip,
                eof,
                least,
                plain if strip is None else strip,
                capacity,
                (
                    at if lead is None else 0,
                    None if lead is None else lead.spec,
                    spec,
                    after,
                    escape_plan,
                ),
                (COUNTS.index(counts), adjust, scale),
                magic_plan,
                extra_plan,
                special,
                trailer,
            ),
        )

    def _name(self) -> str:
        return str(self.length_type.text)


def _bits(at: int, width: int, little: bool, mask: int) -> dict[int, int]:
    """The bits of `mask` by the byte of the header in which they stand."""
    return {at + i: mask >> 8 * (i if little else width - 1 - i) & 0xFF for i in range(width)}


def _magic(
    where: str, magic: Any, fixed_part: int, field: range
) -> tuple[tuple[int, tuple[bytes, ...]], ...]:
    """`magic` in its general form, checked against the part of the header that never moves."""
    if isinstance(magic, bytes):
        magic = ((0, magic),)
    if not isinstance(magic, tuple):
        raise TypeError(f"{where}: magic must be bytes or ((offset, bytes), ...), not {magic!r}")
    result = []
    taken = set(field)
    for entry in magic:
        if not isinstance(entry, tuple) or len(entry) != 2:
            raise TypeError(f"{where}: magic entry must be (offset, bytes), not {entry!r}")
        at, values = entry
        need_int(where, "magic offset", at, 0, MAX_HEADER)
        values = alternatives(values)
        for value in values:
            need_bytes(where, "magic", value)
        sizes = {len(value) for value in values}
        if len(sizes) != 1 or sizes == {0}:
            raise DeclarationError(f"{where}: magic at {at}: alternatives must have one length, not empty")
        size = sizes.pop()
        if at + size > fixed_part or not taken.isdisjoint(range(at, at + size)):
            raise DeclarationError(
                f"{where}: magic at {at} of {size} bytes must lie in the fixed part of the header, "
                f"{fixed_part} bytes without the length field and other magic"
            )
        taken.update(range(at, at + size))
        result.append((at, values))
    return tuple(result)


def _extra(
    where: str, extra: Any, fixed_part: int, own: dict[int, int]
) -> tuple[tuple[int, int, bool, int, int], ...]:
    if not isinstance(extra, tuple):
        raise TypeError(f"{where}: extra must be a tuple of (offset, type[, mask]), not {extra!r}")
    if len(extra) > 4:
        raise DeclarationError(f"{where}: extra has {len(extra)} entries, give up to 4")
    result = []
    for entry in extra:
        if not isinstance(entry, tuple) or len(entry) not in (2, 3):
            raise TypeError(f"{where}: extra entry must be (offset, type[, mask]), not {entry!r}")
        kind = need_length_type(where, "extra type", entry[1])
        if kind.spec[0] != UINT or kind.spec[3]:
            raise DeclarationError(f"{where}: extra type {kind!r} must be an unsigned integer")
        at = need_int(where, "extra offset", entry[0], 0, MAX_HEADER)
        if at + kind.widest > fixed_part:
            raise DeclarationError(
                f"{where}: extra at {at} must lie in the fixed part of the header, {fixed_part} bytes"
            )
        bits, shift, _ = masked(where, kind, entry[2] if len(entry) == 3 else None)
        if any(bit & own.get(i, 0) for i, bit in _bits(at, kind.widest, kind.spec[2], bits).items()):
            raise DeclarationError(f"{where}: extra at {at} shares bits with the length")
        result.append((at, kind.widest, kind.spec[2], bits, shift))
    return tuple(result)


def _control(where: str, control: Any, top: int) -> tuple[int, ...]:
    if not isinstance(control, tuple):
        raise TypeError(f"{where}: control must be a tuple of lengths, not {control!r}")
    if len(control) > 16:
        raise DeclarationError(f"{where}: control has {len(control)} values, give up to 16")
    return tuple(sorted({need_int(where, "control", value, 0, top) for value in control}))


def _last_bit(
    where: str, fragments: Any, spec: tuple[Any, ...], mask: int | None
) -> tuple[int, tuple[Any, ...]]:
    """The bit that marks the last fragment, 0 without one, and the length's spec without that bit."""
    if fragments != "top_bit":
        if not (isinstance(fragments, tuple) and 2 <= len(fragments) <= 3 and fragments[0] == "full"):
            raise TypeError(
                f"{where}: fragments must be 'top_bit' or ('full', length[, offset]), not {fragments!r}"
            )
        return 0, spec
    bit = 1 << 8 * spec[1] - 1
    if mask is not None and mask & bit:
        raise DeclarationError(f"{where}: mask=0x{mask:x} has the bit that marks the last fragment")
    return bit, (*spec[:4], spec[4] & ~bit, *spec[5:])


def _fragments(
    where: str,
    fragments: Any,
    top: int,
    header: int,
    field: range,
    magic: tuple[tuple[int, tuple[bytes, ...]], ...],
) -> tuple[int, int | None]:
    """The length that says that another fragment follows, 0 for a bit, and the offset of the counter."""
    if fragments == "top_bit":
        return 0, None
    full = need_int(where, "fragments length", fragments[1], 1, top)
    if len(fragments) == 2:
        return full, None
    counter = need_int(where, "fragments counter offset", fragments[2], 0, header - 1)
    if counter in field or any(at <= counter < at + len(values[0]) for at, values in magic):
        raise DeclarationError(
            f"{where}: the fragments counter at {counter} is a byte of the length or magic"
        )
    return full, counter


def _only_length(
    spec: tuple[Any, ...],
    whole_field: bool,
    header: int,
    magic: tuple[tuple[int, tuple[bytes, ...]], ...],
    lead: LengthType | None,
    own: range,
) -> bool:
    """Whether the header holds nothing but the length and one-valued magic."""
    known = set(own)
    for at, values in magic:
        if len(values) == 1:
            known.update(range(at, at + len(values[0])))
    return lead is None and whole_field and not spec[10][0] and known >= set(range(header))


class Netstring(Framing):
    """Netstrings: `5:hello,`. Strict: digits only, no leading zero, the comma is verified.

    Text form `netstring`. (D. J. Bernstein, Netstrings, 1997.)

    >>> from framewire import Netstring
    >>> Netstring().encode(b"hello"), Netstring().decoder().decode(b"0:,3:abc,")
    (b'5:hello,', [b'', b'abc'])
    """

    __slots__ = ()
    _parameters = (("strip", None), *COMMON)

    def __init__(
        self,
        *,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "Netstring"
        keep = need_strip(where, strip)
        no_delivery(where, eof)
        limit = policies(where, max_frame, on_too_large, eof)[0]
        size = digits(end=b":", max_digits=max(10, len(str(limit))))
        same = LengthPrefixed(
            size,
            trailer=b",",
            strip=keep is not False,
            max_frame=max_frame,
            on_too_large=on_too_large,
            eof=eof,
        )
        self._freeze((strip, max_frame, on_too_large, eof), same._plan)

    def _name(self) -> str:
        return "netstring"


class Delimited(Framing):
    """Frames that end with one of `delimiters`, any bytes of any length up to 255.

    The delimiter whose end comes first ends the frame, of several that end there the longest; encoding
    writes the first one and refuses a message that contains a delimiter or would form one with the
    delimiter behind it. `strip=False` keeps the delimiter in the frame. `eof="deliver"` hands over a tail
    without a delimiter at the end of the stream. A lone LF is data to `Delimited(b"\\r\\n")`: a peer that
    also takes LF as the end would see other messages (SMTP smuggling). Text forms `crlf`, `nul`,
    `delimited:\\r\\n`, several separated by `|`.

    `dot_stuffed` goes with the one delimiter CRLF.CRLF: the DATA of SMTP and POP3 (RFC 5321, section 4.5.2).
    A body is lines that end with CRLF, or nothing, and the CRLF in front of the last dot is its own: `.` and
    CRLF alone is the empty body. The dot before lines that begin with one is added and taken off; EncodeError
    for a body whose last line has no end. No `eof="deliver"`.

    >>> from framewire import Delimited
    >>> Delimited(b"\\r\\n").decoder().decode(b"one\\r\\ntwo\\nstill two\\r\\nthr")
    [b'one', b'two\\nstill two']
    >>> mail = Delimited(b"\\r\\n.\\r\\n", dot_stuffed=True)
    >>> mail.encode(b"Hello\\r\\n.hidden\\r\\n")
    b'Hello\\r\\n..hidden\\r\\n.\\r\\n'
    """

    __slots__ = ()
    _parameters: tuple[tuple[str, Any], ...] = (
        ("delimiters", REQUIRED),
        ("dot_stuffed", False),
        ("strip", None),
        *COMMON,
    )

    def __init__(
        self,
        *delimiters: bytes,
        dot_stuffed: bool = False,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = type(self).__name__
        if not 1 <= len(delimiters) <= 16:
            raise DeclarationError(f"{where}: {len(delimiters)} delimiters, give 1 to 16")
        for one in delimiters:
            if not 1 <= len(need_bytes(where, "delimiter", one)) <= 255:
                raise DeclarationError(f"{where}: a delimiter has 1 to 255 bytes, not {len(one)}")
        if len(set(delimiters)) != len(delimiters):
            raise DeclarationError(f"{where}: the same delimiter twice")
        for one in delimiters:
            for other in delimiters:
                if one != other and other in one[:-1]:
                    raise DeclarationError(
                        f"{where}: {one!r} could never end a frame: {other!r} ends one inside it"
                    )
        keep = need_strip(where, strip)
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        kind, least = SCANNED, min(len(one) for one in delimiters)
        if need_bool(where, "dot_stuffed", dot_stuffed):
            if delimiters != (b"\r\n.\r\n",):
                raise DeclarationError(f"{where}: dot_stuffed goes with the delimiter CRLF.CRLF and no other")
            if eof == "deliver":
                raise DeclarationError(f"{where}: dot_stuffed text is whole or not at all: no eof='deliver'")
            kind, least = DOTTED_, 3
        self._freeze(
            self._given(delimiters, dot_stuffed, strip, max_frame, on_too_large, eof),
            (kind, limit, skip, eof, least, keep is not False, delimiters),
        )

    def _given(self, delimiters: tuple[bytes, ...], *options: Any) -> tuple[Any, ...]:
        return (delimiters, *options)

    def replace(self, **changes: Any) -> Any:
        named = {name: value for (name, _), value in zip(self._parameters, self._arguments)}
        delimiters = changes.pop("delimiters", named.pop("delimiters", ()))
        unknown = [name for name in changes if name not in named]
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}")
        return type(self)(*delimiters, **{**named, **changes})

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_delimited, (type(self), self._arguments)

    def __repr__(self) -> str:
        parts = [repr(one) for one in getattr(self, "delimiters", ())]
        return f"{type(self).__name__}({', '.join(parts + [f'{n}={v!r}' for n, v in self._options()])})"

    def _name(self) -> str:
        short = {(b"\r\n",): "crlf", (b"\0",): "nul"}.get(self.delimiters)
        return short or "delimited:" + "|".join(map(escape_bytes, self.delimiters))


def _rebuild_delimited(cls: type[Delimited], arguments: tuple[Any, ...]) -> Delimited:
    named = {name: value for (name, _), value in zip(cls._parameters, arguments)}
    return cls(*named.pop("delimiters", ()), **named)


class Lines(Delimited):
    """Lines that end with LF or CRLF; LF is written. A lone CR is data.

    Text form `lines`.

    >>> from framewire import Lines
    >>> Lines().decoder().decode(b"one\\r\\ntwo\\nthr")
    [b'one', b'two']
    """

    __slots__ = ()
    _parameters = (("strip", None), *COMMON)

    def __init__(
        self,
        *,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        super().__init__(b"\n", b"\r\n", strip=strip, max_frame=max_frame, on_too_large=on_too_large, eof=eof)

    def _given(self, delimiters: tuple[bytes, ...], *options: Any) -> tuple[Any, ...]:
        return options[1:]

    def _name(self) -> str:
        return "lines"


def _apply(
    where: str,
    part: object,
    max_frame: int | None | EllipsisType,
    on_too_large: str | EllipsisType,
    eof: str | EllipsisType,
    whole: bool,
) -> Framing:
    """A part of Tagged or Preamble under the policies given for all parts, each limit clamped to what the
    part can carry; `whole`: keep headers unless the part says otherwise."""
    if not isinstance(part, Framing):
        raise TypeError(f"{where}: {part!r} is not a framing")
    policies(
        where,
        None if max_frame is ... else max_frame,
        "fail" if on_too_large is ... else on_too_large,
        "error" if eof is ... else eof,
    )
    if isinstance(part, (Tagged, Preamble)):
        return part.replace(max_frame=max_frame, on_too_large=on_too_large, eof=eof)  # type: ignore[no-any-return]
    changes: dict[str, Any] = {}
    if max_frame is not ... and not isinstance(part, FixedLength):
        capacity = part._plan[6] if part._plan[0] == COUNTED else NO_LIMIT
        changes["max_frame"] = None if max_frame is None else min(max_frame, capacity)
    if on_too_large is not ...:
        changes["on_too_large"] = on_too_large
    if eof is not ...:
        changes["eof"] = eof
    if whole and getattr(part, "strip", False) is None:
        changes["strip"] = False
    return part.replace(**changes) if changes else part


def _widest(parts: Iterable[tuple[Any, ...]]) -> int:
    return max(int(plan[1]) for plan in parts)


class Tagged(Framing):
    """A byte of the frame decides its framing: the HOWTO's type byte that decides the length.

    `table` maps tags to framings of the whole frame, tag included; a key is an int or bytes (any of them).
    The tag is the byte at `offset`, under `mask`. `default` serves all other tags; without one they are
    bad-tag. The tag belongs to the frame: inside Tagged `strip` defaults to False, and encoding chooses by
    the byte of the message, even for a part whose strip=True has the tag taken off what is read (the
    digits of syslog's octet counts). Each part keeps its own `max_frame`, `on_too_large` and `eof`,
    unless Tagged is given them: then they hold for all parts. No text form. Preamble, Custom, SLIP, HDLC
    and COBS, whose first byte says nothing, cannot be parts.

    >>> from framewire import FixedLength, LengthPrefixed, Tagged, u16
    >>> framing = Tagged({b"AB": FixedLength(3), ord("C"): LengthPrefixed(u16, offset=1)})
    >>> framing.decoder().decode(b"A12B34C\\0\\x01!")
    [b'A12', b'B34', b'C\\x00\\x01!']
    """

    __slots__ = ()
    _parameters = (
        ("table", REQUIRED),
        ("default", None),
        ("offset", 0),
        ("mask", 0xFF),
        ("max_frame", ...),
        ("on_too_large", ...),
        ("eof", ...),
    )

    def __init__(
        self,
        table: Mapping[int | bytes, Framing],
        default: Framing | None = None,
        *,
        offset: int = 0,
        mask: int = 0xFF,
        max_frame: int | None | EllipsisType = ...,
        on_too_large: str | EllipsisType = ...,
        eof: str | EllipsisType = ...,
    ) -> None:
        where = "Tagged"
        need_int(where, "offset", offset, 0, MAX_HEADER)
        need_int(where, "mask", mask, 1, 0xFF)
        rows: dict[int, Framing] = {}
        try:
            entries = dict(table)
        except (TypeError, ValueError):
            raise TypeError(f"{where}: table must map tags to framings, not {table!r}") from None
        for key, part in entries.items():
            tags = key if isinstance(key, bytes) else (need_int(where, "tag", key, 0, 255),)
            part = self._part(part, max_frame, on_too_large, eof)
            for tag in tags:
                if tag & ~mask:
                    raise DeclarationError(f"{where}: tag 0x{tag:02x} has bits outside mask=0x{mask:02x}")
                if tag in rows:
                    raise DeclarationError(f"{where}: tag 0x{tag:02x} twice")
                rows[tag] = part
        if not rows:
            raise DeclarationError(f"{where}: the table is empty")
        other = None if default is None else self._part(default, max_frame, on_too_large, eof)
        plans = [part._plan for part in rows.values()] + ([other._plan] if other is not None else [])
        least = max(offset + 1, min(plan[4] for plan in plans))
        self._freeze(
            (tuple(rows.items()), other, offset, mask, ..., ..., ...),
            (
                TAGGED,
                _widest(plans),
                False,
                # for bytes in front of the tag
                "drop" if all(plan[3] == "drop" for plan in plans) else "error",
                least,
                offset,
                mask,
                tuple((tag, rows[tag]._plan) for tag in sorted(rows)),
                None if other is None else other._plan,
            ),
        )

    @staticmethod
    def _part(
        part: object,
        max_frame: int | None | EllipsisType,
        on_too_large: str | EllipsisType,
        eof: str | EllipsisType,
    ) -> Framing:
        if isinstance(part, Framing) and part._plan[0] in (CUSTOM, PREAMBLE, SLIP_, HDLC_, COBS_):
            raise DeclarationError(f"Tagged: {type(part).__name__} cannot be a part")
        if isinstance(part, Framing) and part._plan[0] == FRAGMENTED:
            raise DeclarationError("Tagged: a framing with fragments cannot be a part")
        whole = _apply("Tagged", part, max_frame, on_too_large, eof, True)
        if whole._plan[0] in (CHUNKED, DOTTED_) and whole._plan[5]:
            # The tag belongs to the frame, and what these deliver does not hold it.
            raise DeclarationError(f"Tagged: {type(part).__name__} needs strip=False here")
        if whole._plan[0] == ENCLOSED_ and (whole._plan[5] or whole._plan[10] or whole._plan[11]):
            # A tag chooses whole frames: none is for noise, and a stripped start mark is gone.
            raise DeclarationError("Tagged: Enclosed needs noise='error', restart=False, strip=False here")
        return whole

    def __repr__(self) -> str:
        groups: dict[Framing, list[int]] = {}
        for tag, part in self._arguments[0]:
            groups.setdefault(part, []).append(tag)
        table = ", ".join(
            f"{tags[0] if len(tags) == 1 else bytes(tags)!r}: {part!r}" for part, tags in groups.items()
        )
        options = "".join(f", {name}={value!r}" for name, value in self._options())
        return f"Tagged({{{table}}}{options})"

    __str__ = __repr__


class Preamble(Framing):
    """A fixed opening: the first `count` frames are cut by `first`, all later ones by `then`.

    The state lives in the decoder and in `framing.encoder()`; the stateless `encode` raises EncodeError.
    Parts keep their own policies as in `Tagged`. `then` may be a Preamble again. No text form.

    >>> from framewire import FixedLength, Lines, Preamble
    >>> Preamble(FixedLength(4), Lines()).decoder().decode(b"HELOone\\ntwo\\n")
    [b'HELO', b'one', b'two']
    """

    __slots__ = ()
    _parameters = (
        ("first", REQUIRED),
        ("then", REQUIRED),
        ("count", 1),
        ("max_frame", ...),
        ("on_too_large", ...),
        ("eof", ...),
    )

    def __init__(
        self,
        first: Framing,
        then: Framing,
        count: int = 1,
        *,
        max_frame: int | None | EllipsisType = ...,
        on_too_large: str | EllipsisType = ...,
        eof: str | EllipsisType = ...,
    ) -> None:
        where = "Preamble"
        need_int(where, "count", count, 1, 1 << 31)
        first = _apply(where, first, max_frame, on_too_large, eof, False)
        then = _apply(where, then, max_frame, on_too_large, eof, False)
        if isinstance(first, (Preamble, UntilEOF)):
            raise DeclarationError(f"{where}: {type(first).__name__} cannot come first, nothing could follow")
        plans = (first._plan, then._plan)
        self._freeze(
            (first, then, count, ..., ..., ...),
            (PREAMBLE, _widest(plans), False, "error", plans[0][4], plans[0], count, plans[1]),
        )

    __str__ = Framing.__repr__


class UntilEOF(Framing):
    """One frame: everything up to the end of the stream, the HOWTO's end by shutdown.

    It is complete when the peer shuts down its sending side, and may be empty. Encoding adds nothing.
    Text form `until-eof`.

    >>> from framewire import UntilEOF
    >>> decoder = UntilEOF().decoder()
    >>> decoder.decode(b"all ") + decoder.decode(b"of it") + decoder.feed_eof()
    [b'all of it']
    """

    __slots__ = ()
    _parameters = COMMON

    def __init__(
        self, *, max_frame: int | None = MIB, on_too_large: str = "fail", eof: str = "error"
    ) -> None:
        limit, skip, eof = policies("UntilEOF", max_frame, on_too_large, eof)
        if eof != "error":
            raise DeclarationError(f"UntilEOF: eof={eof!r} has no meaning, the end completes the frame")
        self._freeze((max_frame, on_too_large, eof), (UNTIL_EOF, limit, skip, eof, 0))

    def _name(self) -> str:
        return "until-eof"


class Custom(Framing):
    """A framing of one's own: `split` cuts, `join` writes.

    `split(view, scanned, eof)` gets a memoryview of the bytes not yet cut (valid during the call), how many
    of them it has already seen, and whether the stream has ended. It returns None or the number of bytes
    that are at least missing, or (start, stop, consumed): the frame is view[start:stop], the next one begins
    at `consumed`. An answer without progress is a DeclarationError. It may raise `MalformedFrame(text)`;
    the decoder fills in the place. `max_frame` limits `consumed`. `join(message)` returns bytes; without it
    the framing cannot encode. Picklable if the functions are. No text form.

    >>> from framewire import Custom
    >>> def pairs(view, scanned, eof):
    ...     return (0, 2, 2) if len(view) >= 2 else 2 - len(view)
    >>> Custom(pairs).decoder().decode(b"abcde")
    [b'ab', b'cd']
    """

    __slots__ = ()
    _parameters = (("split", REQUIRED), ("join", None), *COMMON)

    def __init__(
        self,
        split: Split,
        join: Callable[[Buffer], Buffer] | None = None,
        *,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "Custom"
        if not callable(split) or not (join is None or callable(join)):
            raise TypeError(f"{where}: split and join must be functions")
        no_delivery(where, eof)
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        if skip:
            raise DeclarationError(
                f"{where}: on_too_large='skip' cannot be, only split knows where a frame ends"
            )
        self._freeze((split, join, max_frame, on_too_large, eof), (CUSTOM, limit, skip, eof, 1, split, join))

    __str__ = Framing.__repr__
