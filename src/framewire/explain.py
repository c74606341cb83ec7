"""What a framing looks like on the wire, drawn from the declaration itself, and given bytes taken apart.

Nothing here knows a protocol. The layout is read off the parameters, the example is what the framing encodes,
and where frames of the given bytes begin and end is what the engine says: a drawing cannot disagree with it.
Only inside a frame the fields are told apart here. Everything that is shown of bytes is printable ASCII.
"""

from __future__ import annotations

import re
from contextlib import suppress

from . import fields
from ._lowering import is_record
from .enclosed import Enclosed
from .errors import DecodeError, FramewireError, Truncated
from .fields import LengthType, digits, escape_bytes
from .framings import (
    Custom,
    Delimited,
    FixedLength,
    Framing,
    LengthPrefixed,
    Netstring,
    Preamble,
    Tagged,
    UntilEOF,
)
from .layout import explain_record
from .protocols import PRESETS
from .stuffed import COBS, HDLC, SLIP
from .text import HeaderBlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from typing_extensions import Buffer

    from .records import Record

    # (offset, width, what it is), and (where, its bytes, what they are)
    Row: TypeAlias = tuple[str, str, str]
    Piece: TypeAlias = tuple[int, bytes, str]

__all__ = ["body_of", "explain"]

_SHOWN_BYTES = 12  # of one field
_SHOWN_FIELDS = 40  # of one frame
_SHOWN_FRAMES = 20
_SHOWN_NAMES = 8
_COUNTS = {
    "body": "counts the body",
    "rest": "counts what follows it, to the body's end",
    "field": "counts itself and what follows, to the body's end",
    "frame": "counts from the frame's first byte to the body's end",
}
_STUFFING = {
    SLIP: (b"\xc0", "content, in which DB DC stands for C0 and DB DD for DB"),
    HDLC: (b"\x7e", "content, in which 7D stands before a byte whose sixth bit is flipped"),
    COBS: (b"\0", "content in blocks: a code byte n, then n - 1 bytes, then a zero that is left out"),
}


def explain(framing: Framing | type[Record], data: Buffer | None = None) -> str:
    """A drawing of `framing` as lines of ASCII text: fields, limits, an encoded example, the declaration.
    Of a record class, it is the layout of a record, and `data` are the bytes of one.

    With `data`, any buffer that begins at the start of a stream, its frames are taken apart field by field;
    where the bytes break the framing, the text says where and why. Raises TypeError for what is no framing or
    no buffer, and what a Custom framing's own functions raise. Thread-safe.

    >>> from framewire import LengthPrefixed, u16
    >>> print(explain(LengthPrefixed(u16, offset=1, counts="field"), b"Z\\0\\x03I"))
    text form  u16,offset=1,counts=field
    python     LengthPrefixed(u16, offset=1, counts='field')
    <BLANKLINE>
    offset     width      field
    0          1          free header byte, part of the frame
    1          2          length: integer, big-endian; counts itself and what follows, to the body's end
    3          0..65533   body
    <BLANKLINE>
    a frame is all of it, header included; encoding fills in or checks the length
    limits     65533 bytes of body; a larger frame is an error; so is an end inside a frame
    example    00 00 07 68 65 6c 6c 6f               |...hello|
    <BLANKLINE>
    frame 0    4 bytes at offset 0
    0          5a                                    |Z|               free header byte
    1          00 03                                 |..|              length 3: body of 1 byte
    3          49                                    |I|               body
    """
    if is_record(framing):
        return explain_record(framing, data)
    if not isinstance(framing, Framing):
        raise TypeError(f"explain: {framing!r} is not a framing, and no record class")
    lines = _declaration(framing)
    lines += ["", *_drawing(framing), "", *_behaviour(framing), *_example(framing)]
    if data is not None:
        lines += ["", *_taken_apart(framing, bytes(memoryview(data).cast("B")))]
    # A function's name may hold any letter.
    return "\n".join(line.rstrip() for line in lines).encode("ascii", "backslashreplace").decode("ascii")


def body_of(framing: Framing, frame: bytes) -> tuple[int, int] | None:
    """Where the body of a whole frame begins and ends in it; None where it is in pieces, or not set apart.

    >>> from framewire import Lines, LengthPrefixed, u16
    >>> body_of(LengthPrefixed(u16, offset=1), b"Z\\0\\x02Hi"), body_of(Lines(), b"Hi\\r\\n")
    ((3, 5), (0, 2))
    """
    part, _ = _part_at(framing, frame, 0, 0)
    if isinstance(part, HeaderBlock):
        end = re.search(rb"\n\r?\n", frame)
        return None if end is None else (end.end(), len(frame))
    if isinstance(part, Enclosed):
        return len(part.start), len(frame) - len(part.end) - part.trailer
    found = [
        (at, at + len(data))
        for at, data, what in _fields(part, frame, 0, len(frame))
        if what in ("body", "stuffed")
    ]
    return found[0] if len(found) == 1 else None


def _line(first: object, *rest: str) -> str:
    return f"{first!s:<10} " + " ".join(rest)


def _hex(data: bytes) -> str:
    """Bytes as hex and as ASCII, long ones cut short."""
    part = data[:_SHOWN_BYTES]
    more = "" if len(data) <= len(part) else ".."
    text = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
    return f"{part.hex(' ') + more:<37} {'|' + text + more + '|':<16}"


def _plural(count: int, noun: str = "byte") -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _declaration(framing: Framing) -> list[str]:
    text, python = str(framing), repr(framing)
    lines = [*([] if text == python else [_line("text form", text)]), _line("python", python)]
    for row in PRESETS.values():
        for name, side in row.sides.items():
            if side == framing:
                lines.append(_line("known as", f"{name}: {row.about} ({row.source})"))
    return lines[:_SHOWN_NAMES]


# --- the drawing ------------------------------------------------------------------------------------------


def _drawing(framing: Framing) -> list[str]:
    if isinstance(framing, Tagged):
        lines = [_line(framing.offset, f"{'1':<10} tag: decides the framing of the frame it stands in")]
        if framing.mask != 0xFF:
            lines[0] += f"; of it the bits 0x{framing.mask:02x}"
        groups: dict[Framing, list[str]] = {}
        for tag, part in framing.table:
            groups.setdefault(part, []).append(f"0x{tag:02x}")
        parts = [(f"tag {' '.join(tags)}", part) for part, tags in groups.items()]
        parts += [("every other tag", framing.default)] if framing.default is not None else []
        return lines + [line for name, part in parts for line in _part(name, part)]
    if isinstance(framing, Preamble):
        name = "the first frame" if framing.count == 1 else f"the first {framing.count} frames"
        first = _part(name, framing.first)
        return [*first[1:], *_part("every later frame", framing.then)]
    return [_line("offset", f"{'width':<10} field")] + [
        _line(at, f"{w:<10} {what}") for at, w, what in _rows(framing)
    ]


def _part(name: str, part: Framing) -> list[str]:
    return ["", f"{name}: {part}", *(f"  {line}" for line in _drawing(part))]


def _body_width(framing: Framing) -> str:
    return "any" if framing.max_frame is None else f"0..{framing.max_frame}"


def _rows(framing: Framing) -> list[Row]:
    counted = _as_counted(framing)
    if counted is not None:
        return _counted_rows(counted)
    if isinstance(framing, FixedLength):
        return [("0", str(framing.size), "body")]
    if isinstance(framing, Delimited):
        marks = framing._plan[6]
        sizes = sorted({len(one) for one in marks})
        what = " or ".join(one.hex(" ") for one in marks)
        shown = " or ".join(escape_bytes(one) for one in marks)
        return [
            ("0", _body_width(framing), "body, which does not hold the delimiter"),
            ("", " or ".join(map(str, sizes)), f"delimiter: {what} ({shown})"),
        ]
    if isinstance(framing, UntilEOF):
        return [("0", _body_width(framing), "body: everything to the end of the stream")]
    if isinstance(framing, Custom):
        return [("0", "", f"whatever {getattr(framing.split, '__qualname__', 'split')} cuts")]
    for kind, (mark, content) in _STUFFING.items():
        if isinstance(framing, kind):
            rows = [("0", "", content)]
            if isinstance(framing, HDLC) and framing.fcs:
                rows.append(
                    ("", str(framing.fcs // 8), f"check sequence of {framing.fcs} bits, escaped alike")
                )
            return [*rows, ("", "1", f"end: {mark.hex()}; alone it is fill")]
    # A framing with a grammar of its own says in its first line what it is.
    about = (type(framing).__doc__ or "").partition("\n")[0]
    named = [f"{name} = {getattr(framing, name)!r}" for name, _ in framing._parameters]
    return [("0", "", about), *(("", "", one) for one in named)]


def _as_counted(framing: Framing) -> LengthPrefixed | None:
    if isinstance(framing, Netstring):
        size = digits(end=b":", max_digits=framing._plan[7][2][1])
        strip = framing.strip is not False
        return LengthPrefixed(size, trailer=b",", strip=strip, max_frame=framing.max_frame)
    return framing if isinstance(framing, LengthPrefixed) else None


def _type_text(kind: LengthType) -> str:
    """The length type in words."""
    what, width, little, signed = kind.spec[:4]
    if what == fields.UINT:
        order = "" if width == 1 else ", little-endian" if little else ", big-endian"
        return f"{'signed ' if signed else ''}integer{order}"
    if what in (fields.LEB128, fields.VLQ):
        return f"base-128 number, {'lowest' if what == fields.LEB128 else 'highest'} seven bits first"
    if what == fields.DIGITS_END:
        return f"decimal digits, then {ascii(kind.spec[7])[1:]}"
    if what == fields.TIERED:
        rows = ", ".join(f"{tier[0]}: {_plural(tier[1])} more" for tier in kind.spec[8])
        return f"number up to {kind.spec[9]}, or a selector ({rows})"
    return {
        fields.QUIC: "integer whose top two bits say its width",
        fields.BER: "BER length, up to 127 itself, else 80 + so many bytes",
        fields.ZIGZAG: "signed base-128 number (zigzag), lowest seven bits first",
        fields.SLEB128: "signed base-128 number, lowest seven bits first",
        fields.DIGITS: "decimal digits",
        fields.HEXDIGITS: "hexadecimal digits",
    }[what]


def _type_width(kind: LengthType) -> str:
    return str(kind.widest) if kind.fixed else f"{kind.narrowest}..{kind.widest}"


def _header(framing: LengthPrefixed, start: int, stop: int) -> list[tuple[int, int, str]]:
    """The header's bytes from `start` to `stop` that are not the length: magic, extras, free bytes."""
    known: dict[int, tuple[int, str]] = {}
    magic = framing.magic
    for at, values in ((0, magic),) if isinstance(magic, bytes) and magic else magic or ():
        values = values if isinstance(values, tuple) else (values,)
        known[at] = (len(values[0]), "magic: " + " or ".join(one.hex(" ") for one in values))
    for at, kind, *mask in framing.extra:
        bits = f", of it the bits 0x{mask[0]:x}" if mask else ""
        known.setdefault(at, (kind.widest, f"count of bytes behind the body: {_type_text(kind)}{bits}"))
    rows, at = [], start
    while at < stop:
        if at in known:
            size, what = known[at]
        else:
            size = min([one for one in known if one > at] + [stop]) - at
            what = f"free header byte{'' if size == 1 else 's'}"
        rows.append((at, min(size, stop - at), what))
        at += size
    return rows


def _counted_rows(framing: LengthPrefixed) -> list[Row]:
    kind, offset, strip = framing.length_type, framing.offset, framing._plan[5]
    kept = "" if strip else ", part of the frame"
    rows: list[Row] = []
    if isinstance(offset, int):
        at, moved = offset, ""
        rows += [
            (str(a), str(w), what + kept * what.startswith("free")) for a, w, what in _header(framing, 0, at)
        ]
    else:
        at, moved = 0, f"{_type_width(offset)} "
        rows.append(("0", _type_width(offset), f"skipped: {_type_text(offset)}"))
    what = f"length: {_type_text(kind)}; {_COUNTS[framing.counts]}"
    if framing.mask is not None:
        what = what.replace("length:", f"length, the bits 0x{framing.mask:x}:")
    if framing.scale != 1:
        what += f", in units of {framing.scale} bytes"
    if framing.adjust:
        what += f"; {_plural(abs(framing.adjust))} {'more' if framing.adjust > 0 else 'less'} than it says"
    rows.append((f"{'' if moved else at}" or "next", _type_width(kind), what))
    if framing.control:
        rows.append(
            ("", "", f"a length of {' '.join(map(str, framing.control))}: a frame of the header alone")
        )
    if framing.fragments == "top_bit":
        rows.append(("", "", "its top bit is set on the last fragment of a frame"))
    elif framing.fragments is not None:
        _, full, *counter = framing.fragments
        where = f"; byte {counter[0]} of the header counts them" if counter else ""
        rows.append(("", "", f"a length of {full}: another fragment of the frame follows{where}"))
    fixed = kind.fixed and not moved and framing.escape is None
    if framing.escape is not None:
        value, beyond = framing.escape
        rows.append(
            ("next", _type_width(beyond), f"only if the length is {value}: the length, {_type_text(beyond)}")
        )
    if kind.spec[10][0]:
        bit, size = kind.spec[10]
        rows.append(
            (
                "next",
                str(size),
                f"only if bit 0x{bit:x} of the length's first field is set: part of the header",
            )
        )
    narrow = (offset if isinstance(offset, int) else offset.narrowest) + kind.narrowest
    end = narrow if framing.header is None else framing.header
    rows += [
        (str(a) if fixed else "next", str(w), what + kept * what.startswith("free"))
        for a, w, what in _header(framing, narrow, end)
    ]
    rows.append((str(end) if fixed else "next", _body_width(framing), "body"))
    if framing.extra:
        rows.append(("", "counted", "padding, as many bytes as the header counts"))
    if isinstance(framing.trailer, int):
        rows.append(("", str(framing.trailer), "trailer of any value"))
    elif framing.trailer:
        rows.append(("", str(len(framing.trailer)), f"trailer: {framing.trailer.hex(' ')}"))
    return rows


# --- what it does -----------------------------------------------------------------------------------------


def _behaviour(framing: Framing) -> list[str]:
    if isinstance(framing, (Tagged, Preamble)):
        return [_line("limits", "each part has its own")]
    lines = []
    counted = isinstance(framing, LengthPrefixed)
    strip = framing._plan[5] if counted else getattr(framing, "strip", ...) is not False
    if isinstance(framing, Custom):
        lines.append(_line("a frame is", "what its split says"))
    elif strip and (hasattr(framing, "strip") or isinstance(framing, (FixedLength, UntilEOF))):
        lines.append(_line("a frame is", "the body alone"))
    elif counted:
        lines.append(
            _line("a frame is", "all of it, header included; encoding fills in or checks the length")
        )
    else:
        lines.append(_line("a frame is", "all of it, as it stands in the stream"))
    large = "an error" if framing._arguments[-2] != "skip" else "skipped, and raised once"
    end = {"deliver": "an end inside a frame delivers it", "drop": "an end inside a frame drops it"}
    ending = end.get(
        framing._arguments[-1],
        "so is an end inside a frame" if large == "an error" else "an end inside a frame is an error",
    )
    if isinstance(framing, UntilEOF):
        ending = "the end completes the frame"
    size = "none" if framing.max_frame is None else f"{_plural(framing.max_frame)} of body"
    return [*lines, _line("limits", f"{size}; a larger frame is {large}; {ending}")]


def _messages(framing: Framing) -> list[bytes]:
    """Messages of which the framing can carry one at least, if there are any that can be made up."""
    if isinstance(framing, FixedLength):
        return [(b"hello" * (framing.size // 5 + 1))[: framing.size]] if framing.size <= 1 << 20 else []
    if isinstance(framing, Tagged):
        parts = [part for _, part in framing.table] + [framing.default]
        tags = [tag for tag, _ in framing.table]
        made = [bytearray(one) for part in parts if part is not None for one in _messages(part)]
        at = framing.offset
        return [bytes(one[:at]) + bytes([tag]) + bytes(one[at + 1 :]) for tag in tags for one in made]
    counted = _as_counted(framing)
    mark = framing._plan[6][0] if isinstance(framing, Delimited) else b""
    result = [b"hello", b"hello" + (mark or b"\r\n"), b"+hello\r\n", b"8=FIX.4.4\x019=0\x0135=0\x01"]
    if isinstance(framing, HeaderBlock):
        start = "HELLO\r\n" if framing.start_line else ""
        result.append(f"{start}{framing.field}: 0\r\n\r\nhello".encode())
        result.append(result[-1] + b"\0")
    elif counted is None and getattr(framing, "strip", None) is False:
        with suppress(FramewireError):
            result.append(framing.replace(strip=True).encode(b"hello"))
    if counted is not None:
        trailer = bytes(counted.trailer) if isinstance(counted.trailer, int) else counted.trailer
        unit = counted.scale * 8
        head = b"" if counted._plan[5] else _example_header(counted)
        tail = b"" if counted._plan[5] else trailer
        result = [head + body + tail for body in (b"hello", (b"hello" * unit)[:unit], b"h", b"")]
    return result


def _example_header(framing: LengthPrefixed) -> bytes:
    """A header of zeros but for its magic and a length in its narrowest form."""
    offset, kind = framing.offset, framing.length_type
    narrow = (offset if isinstance(offset, int) else offset.narrowest) + kind.narrowest
    header = bytearray(max(narrow, framing.header or 0))
    if kind.spec[0] in (fields.DIGITS, fields.DIGITS_END, fields.HEXDIGITS) and isinstance(offset, int):
        text = b"0" * (kind.narrowest - len(kind.spec[7])) + kind.spec[7]
        header[offset : offset + len(text)] = text
    magic = framing.magic
    for at, values in ((0, magic),) if isinstance(magic, bytes) and magic else magic or ():
        value = values[0] if isinstance(values, tuple) else values
        header[at : at + len(value)] = value
    return bytes(header)


def _encoded(framing: Framing) -> bytes | None:
    """A message as `framing` encodes it; None where none can be made up."""
    if isinstance(framing, Preamble):
        return _encoded(framing.first)
    for message in _messages(framing):
        try:
            wire = framing.encode(message)
            decoder = framing.decoder()
            if len(decoder.decode(wire) + decoder.feed_eof()) == 1:
                return wire
        except FramewireError:
            continue
    return None


def _example(framing: Framing) -> list[str]:
    wire = _encoded(framing)
    return [] if wire is None else [_line("example", _hex(wire))]


# --- given bytes ------------------------------------------------------------------------------------------


def _taken_apart(framing: Framing, data: bytes) -> list[str]:
    """The frames of `data`, then what is left of it or why it breaks the framing."""
    decoder = framing.decoder()
    decoder.feed(data)
    lines: list[str] = []
    number, ended = 0, False
    while True:
        start = decoder.offset
        try:
            frame = decoder.next_frame() if not ended else next(iter(decoder.feed_eof()), None)
        except DecodeError as error:
            lines += _broken(framing, data, number, error)
            if error.recoverable:
                continue
            return lines
        except Truncated as error:
            part, name = _part_at(framing, data, start, number)
            missing = f"unfinished at offset {start}, at least {_plural(error.needed)} missing{name}"
            return [*lines, _line(f"frame {number}", missing), *_pieces(part, data, start, None)]
        if frame is None:
            if ended:
                if start < len(data):
                    lines.append(_line("dropped", f"{_plural(len(data) - start)} at offset {start}"))
                return lines or [_line("no frame", "there are no bytes")]
            ended = True
            continue
        if number == _SHOWN_FRAMES:
            return [*lines, f"and {_plural(len(data) - start)} more from offset {start} on"]
        stop = decoder.offset
        part, name = _part_at(framing, data, start, number)
        lines.append(_line(f"frame {number}", f"{_plural(stop - start)} at offset {start}{name}"))
        lines += _pieces(part, data, start, stop)
        if isinstance(part, tuple(_STUFFING)) and part.strip is not False:
            lines.append(_line("", _hex(frame), " content, delivered"))
        number += 1


def _part_at(framing: Framing, data: bytes, start: int, number: int) -> tuple[Framing, str]:
    """What frames the frame `number` at `start`, below Preamble and Tagged, and how that was decided."""
    name = ""
    while isinstance(framing, (Preamble, Tagged)):
        if isinstance(framing, Preamble):
            first = number < framing.count
            number -= framing.count
            framing = framing.first if first else framing.then
            continue
        at = start + framing.offset
        if at >= len(data):
            return framing, name
        tag = data[at] & framing.mask
        part = dict(framing.table).get(tag, framing.default)
        name += f", tag 0x{tag:02x}: {'unknown' if part is None else part}"
        if part is None:
            break
        framing = part
    return framing, name


def _broken(framing: Framing, data: bytes, number: int, error: DecodeError) -> list[str]:
    """Where and why `data` breaks the framing, with the byte that proves it marked."""
    start = error.offset or 0
    good, bad = start, len(data)
    # Errors come at the same byte however a stream is cut: the shortest prefix that shows one ends there.
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if _fails(framing, data[:middle], start) else (middle, bad)
    at = max(bad - 1, start)
    lines = [_line(f"frame {number}", f"broken at offset {at}: {str(error).partition('; frame ')[0]}")]
    lines += _pieces(_part_at(framing, data, start, number)[0], data[:bad], start, None)
    return [*lines, _line(at, _hex(data[at : at + 1]), " <- this byte proves it")]


def _fails(framing: Framing, data: bytes, start: int) -> bool:
    decoder = framing.decoder()
    decoder.feed(data)
    while True:
        try:
            if decoder.next_frame() is None:
                return False
        except DecodeError as error:
            if (error.offset or 0) >= start:
                return True
            if not error.recoverable:
                return False


def _pieces(framing: Framing, data: bytes, start: int, stop: int | None) -> list[str]:
    """The fields of the frame at `start`; without `stop` of one that is not all there."""
    rows = [row for row in _fields(framing, data, start, stop) if row[1]]
    lines = [_line(at, _hex(part), f" {what}") for at, part, what in rows[:_SHOWN_FIELDS]]
    return [*lines, f"and {len(rows) - _SHOWN_FIELDS} more fields"] if len(rows) > _SHOWN_FIELDS else lines


def _fields(framing: Framing, data: bytes, start: int, stop: int | None) -> list[Piece]:
    end = len(data) if stop is None else stop
    counted = _as_counted(framing)
    if counted is not None:
        return _counted_fields(counted, data, start, stop)
    if isinstance(framing, Delimited):
        mark = max(
            (one for one in framing._plan[6] if stop and data.endswith(one, start, stop)),
            key=len,
            default=b"",
        )
        body = end - len(mark)
        return [(start, data[start:body], "body"), (body, data[body:end], "delimiter")]
    for kind, (mark, _) in _STUFFING.items():
        if isinstance(framing, kind):
            first = start
            while first < end - 1 and data[first : first + 1] == mark:
                first += 1
            last = end - (stop is not None)
            return [
                (start, data[start:first], "fill"),
                (first, data[first:last], "stuffed"),
                (last, data[last:end], "end"),
            ]
    if isinstance(framing, (FixedLength, UntilEOF, Custom)):
        return [(start, data[start:end], "body")]
    # A grammar of its own: text protocols, which read best line by line.
    pieces = []
    separator = b"\1" if type(framing).__name__ == "FIX" else b"\r\n"
    while start < end:
        cut = data.find(separator, start, end)
        stop = end if cut < 0 else cut + len(separator)
        pieces.append(
            (start, data[start:stop], "bytes" if cut < 0 else "line" if separator == b"\r\n" else "field")
        )
        start = stop
    return pieces


def _number(spec: tuple[Any, ...], data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """(value, where it ends) of a length field; None if it is not all there or none."""
    kind, width, little, signed = spec[:4]
    order = "little" if little else "big"
    if at >= end:
        return None
    if kind in (fields.LEB128, fields.VLQ, fields.ZIGZAG, fields.SLEB128):
        value, shift = 0, 0
        for stop in range(at, min(end, at + width)):
            byte = data[stop]
            value = value << 7 | byte & 0x7F if kind == fields.VLQ else value | (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if kind == fields.ZIGZAG:
                    value = value >> 1 ^ -(value & 1)
                elif kind == fields.SLEB128 and byte & 0x40:
                    value -= 1 << shift
                return value, stop + 1
        return None
    mask = 0
    if kind == fields.QUIC:
        width = 1 << (data[at] >> 6)
        mask = (1 << 8 * width - 2) - 1
    elif kind == fields.BER:
        if data[at] < 0x80:
            return data[at], at + 1
        width = data[at] & 0x7F
        at += 1
    elif kind == fields.DIGITS_END:
        stop = data.find(spec[7], at, min(end, at + width + len(spec[7])))
        return None if stop < 0 or not data[at:stop].isdigit() else (int(data[at:stop]), stop + len(spec[7]))
    if end - at < width:
        return None
    part = data[at : at + width]
    if kind in (fields.DIGITS, fields.HEXDIGITS):
        base = 10 if kind == fields.DIGITS else 16
        allowed = b"0123456789abcdefABCDEF" if base == 16 else b"0123456789"
        return None if part.strip(allowed) else (int(part, base), at + width)
    value = int.from_bytes(part, order, signed=bool(signed))  # type: ignore[arg-type]
    if kind == fields.QUIC:
        return value & mask, at + width
    if kind in (fields.UINT, fields.TIERED) and not signed:
        value = (value & spec[4]) >> spec[5]
        if kind == fields.TIERED:
            for selector, more, tier_little, tier_signed, base in spec[8]:
                if selector == value and end - at - width >= more:
                    part = data[at + width : at + width + more]
                    tier = int.from_bytes(part, "little" if tier_little else "big", signed=tier_signed)
                    return tier + base, at + width + more
            if value > spec[9]:
                return None
    return value, at + width


def _counted_fields(framing: LengthPrefixed, data: bytes, start: int, stop: int | None) -> list[Piece]:
    """The fields of one frame, of all its fragments where it has several."""
    end = len(data) if stop is None else stop
    pieces: list[Piece] = []
    at: int | None = start
    while at is not None:
        more, at = _one_counted(framing, data, at, end, stop is not None)
        pieces += more
    return pieces


def _one_counted(
    framing: LengthPrefixed, data: bytes, start: int, end: int, whole: bool
) -> tuple[list[Piece], int | None]:
    """The fields of a frame or fragment, and where its next fragment begins, if one follows."""
    offset, kind, spec = framing.offset, framing.length_type, framing._plan[7][2]
    pieces: list[Piece] = []

    def header(first: int, last: int, base: int) -> None:
        for at, size, what in _header(framing, first, last):
            pieces.append((base + at, data[base + at : min(base + at + size, end)], what))

    if isinstance(offset, int):
        header(0, offset, start)
        first = start + offset
        narrow = offset + kind.narrowest
    else:
        lead = _number(offset.spec, data, start, end)
        if lead is None:
            return [(start, data[start:end], "skipped number")], None
        first = lead[1]
        narrow = offset.narrowest + kind.narrowest
        pieces.append((start, data[start:first], f"skipped number {lead[0]}"))
    field, number = first, _number(spec, data, first, end)
    if number is not None and framing.escape is not None and number[0] == framing.escape[0]:
        pieces.append((field, data[field : number[1]], f"length {number[0]}: the next field says it"))
        field = number[1]
        number = _number(framing.escape[1].spec, data, field, end)
    if number is None:
        return [*pieces, (field, data[field:end], "length")], None
    value, behind = number
    bit, size = kind.spec[10]
    raw = int.from_bytes(data[first : first + kind.spec[1]], "little" if kind.spec[2] else "big")
    moved = behind + (size if raw & bit else 0)
    after = 0 if framing.header is None else framing.header - narrow
    body = moved + after
    origin = {"body": body, "rest": behind, "field": first, "frame": start}[framing.counts]
    body_end = origin + value * framing.scale + framing.adjust
    last = True
    if value in framing.control:
        what = "a frame of the header alone"
    elif body_end < body:
        what = "ends inside the header"
    else:
        what = f"body of {_plural(body_end - body)}"
    if framing.fragments is not None:
        top = raw >> 8 * kind.spec[1] - 1
        last = bool(top) if framing.fragments == "top_bit" else value != framing.fragments[1]
        what += ", the last fragment" if last else ", another fragment follows"
    pieces.append((field, data[field:behind], f"length {value}: {what}"))
    pieces.append((behind, data[behind : min(moved, end)], "part of the header"))
    header(narrow, narrow + after, moved - narrow)
    if body_end < body or value in framing.control:
        return pieces, None
    trailer = framing.trailer if isinstance(framing.trailer, int) else len(framing.trailer)
    tail = end - trailer if whole and framing.fragments is None else min(body_end, end)
    pieces.append((body, data[body : min(body_end, end)], "body"))
    pieces.append((body_end, data[body_end:tail], "padding"))
    if framing.fragments is None:
        pieces.append((tail, data[tail:end], "trailer"))
    return pieces, None if last or body_end >= end else body_end
