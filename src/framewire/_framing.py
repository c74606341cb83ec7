"""What all framings have in common: how they are frozen, compared, printed, and lowered to a plan.

A framing is a value: hashable, comparable, picklable, printable both as Python (`repr`) and as the short
text form (`str`, read back by `framewire.framing`). It does no work itself. At construction it checks that
the declaration can be, and lowers it to `_plan`, a tuple of ints, bytes and nested tuples that either
backend runs; the backends import nothing from here. The plans are

    (kind, max_frame, skip, eof, min_size, ...)
    FIXED      size
    COUNTED    strip, capacity, header, count, magic, extra, control, trailer   (LengthPrefixed, Netstring)
                 header = (offset, lead, field, after, escape)   count = (counts, adjust, scale)
                 magic = ((offset, (bytes, ...)), ...)           escape = None | (value, field)
                 extra = ((offset, width, little, mask, shift), ...)       trailer = bytes | int
                 control = (value, ...)
    FRAGMENTED as COUNTED, but for control: (last bit | 0, full length, its body, counter | None, most)
    SCANNED    strip, delimiters                                          (Delimited, Lines)
    TAGGED     offset, mask, ((tag, plan), ...), default plan | None
    UNTIL_EOF
    CUSTOM     split, join
    PREAMBLE   first plan, count, then plan
    HEADERS    strip, field, start_line, bare_lf, missing (0 error, 1 empty, 2 nul), max_header
    CHUNKED    strip, http, max_header
    LINE_COUNTED   False, max_line, ignore_case, ((verb, index), ...)
    RESP       False, max_depth, inline
    FIX        False
    ENCLOSED   strip, start, end, escape, escape_xor, noise limit, restart, trailer size
    DOTTED     strip, delimiters                       (Delimited with dot_stuffed)
    SLIP, HDLC, COBS   strip, option: bytes of the check sequence; whether the reduced form is meant

where `lead` and `field` are `LengthType.spec` tuples and `min_size` is the fewest bytes of a whole frame.
"""

from __future__ import annotations

import sys

from . import _backend, streaming
from .errors import DeclarationError
from .fields import LengthType, escape_bytes, need_bool, need_choice, need_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, SupportsIndex, overload

    from typing_extensions import Buffer
else:

    def overload(function):
        return function


__all__ = ["Framing"]

FIXED, COUNTED, SCANNED, TAGGED, UNTIL_EOF, CUSTOM, PREAMBLE, SLIP_, HDLC_, COBS_ = range(10)
HEADERS, CHUNKED = 11, 12
FRAGMENTED, MAX_FRAGMENTS = 16, 1024
LINE_COUNTED, RESP_, FIX_ = range(13, 16)
ENCLOSED_, DOTTED_ = 10, 17

MIB = 1 << 20
# What "no limit" means to both backends: sizes beyond it could not be addressed anyway.
NO_LIMIT = sys.maxsize >> 1


class Framing:
    """The base of all framings: what they have in common. Framings are frozen; threads may share them.

    >>> import framewire as fw
    >>> framing = fw.LengthPrefixed(fw.u32)
    >>> framing.decoder().decode(framing.encode(b"hello") + b"\\0")
    [b'hello']
    """

    __slots__ = ("_arguments", "_plan", "_codec", "max_frame")
    # name -> default, in the order of the constructor; REQUIRED where there is none
    _parameters: tuple[tuple[str, Any], ...] = ()

    if TYPE_CHECKING:
        _arguments: tuple[Any, ...]
        _plan: tuple[Any, ...]
        _codec: _backend.codec.Encoder | None
        max_frame: int | None

    def _freeze(self, arguments: tuple[Any, ...], plan: tuple[Any, ...]) -> None:
        object.__setattr__(self, "_arguments", arguments)
        object.__setattr__(self, "_plan", plan)
        object.__setattr__(self, "_codec", None)
        object.__setattr__(self, "max_frame", None if plan[1] == NO_LIMIT else plan[1])

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        for (parameter, _), value in zip(self._parameters, self._arguments):
            if parameter == name:
                return value
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def replace(self, **changes: Any) -> Any:
        """A copy of this framing with some parameters changed; DeclarationError, TypeError as when made new.

        >>> from framewire import Lines
        >>> Lines(max_frame=80).replace(eof="deliver")
        Lines(max_frame=80, eof='deliver')
        """
        named = {name: value for (name, _), value in zip(self._parameters, self._arguments)}
        unknown = [name for name in changes if name not in named]
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}")
        named.update(changes)
        return type(self)(*[named.pop(name) for name in self._positional()], **named)

    @classmethod
    def _positional(cls) -> list[str]:
        return [name for name, default in cls._parameters if default is REQUIRED]

    def _options(self) -> list[tuple[str, Any]]:
        """(name, value) of every parameter that is not its default, positional ones left out."""
        pairs = zip(self._parameters, self._arguments)
        return [
            (name, value) for (name, default), value in pairs if default is not REQUIRED and value != default
        ]

    def __repr__(self) -> str:
        parts = [repr(getattr(self, name)) for name in self._positional()]
        parts += [f"{name}={value!r}" for name, value in self._options()]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __str__(self) -> str:
        return self._name() + "".join(f",{name}={_text(name, value)}" for name, value in self._options())

    def _name(self) -> str:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Framing):
            return NotImplemented
        return type(self) is type(other) and self._plan == other._plan

    def __hash__(self) -> int:
        return hash((type(self), self._plan))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self._arguments)

    @overload
    def decoder(self, buffer: bytearray | None = None) -> _backend.codec.Decoder: ...
    @overload
    def decoder(self, *, stream_over: int) -> streaming.StreamDecoder: ...  # noqa: F811
    def decoder(  # noqa: F811
        self, buffer: bytearray | None = None, *, stream_over: int | None = None
    ) -> Any:
        """A new `Decoder` for one stream, or with `stream_over` a `StreamDecoder`.

        With `buffer`, frames are reassembled in that bytearray, whose size is never changed: `max_frame`
        drops to what fits (DeclarationError if nothing does). With `stream_over=n`, frames of more than n
        bytes are delivered in pieces as they arrive; DeclarationError where a frame's bytes do not stand in
        the stream as they are delivered, or with `on_too_large="skip"`."""
        if stream_over is not None:
            need_int(type(self).__name__, "stream_over", stream_over, 1)
            if buffer is not None:
                raise DeclarationError(f"{type(self).__name__}: stream_over goes without a buffer")
            return streaming.StreamDecoder(self._plan, stream_over)
        if buffer is not None and not isinstance(buffer, bytearray):
            raise TypeError(f"buffer must be a bytearray, not {type(buffer).__name__}")
        return _backend.codec.Decoder(self._plan if buffer is None else self._plan_for(len(buffer)), buffer)

    def _plan_for(self, room: int) -> tuple[Any, ...]:
        """The plan with its limits lowered to what fits whole into a buffer of `room` bytes."""
        return _fitted(self._plan, room)

    def encoder(self) -> _backend.codec.Encoder:
        """A new `Encoder` for one stream; only `Preamble` needs one, as its first messages differ."""
        return _backend.codec.Encoder(self._plan)

    def _shared(self) -> _backend.codec.Encoder:
        codec = self._codec
        if type(codec) is not _backend.codec.Encoder:
            codec = _backend.codec.Encoder(self._plan, True)
            object.__setattr__(self, "_codec", codec)
        return codec

    def encode(self, message: Buffer) -> bytes:
        """The bytes that carry `message`, any C-contiguous buffer. EncodeError if the framing cannot."""
        return self._shared().encode(message)

    def encode_many(self, messages: Iterable[Buffer]) -> bytes:
        """The bytes that carry all `messages`, in order; EncodeError, and nothing, if one cannot be."""
        return self._shared().encode_many(messages)

    def encode_into(self, buffer: Buffer, offset: SupportsIndex, message: Buffer) -> int:
        """Write the encoded `message` at `offset` of a writable buffer and return the offset behind it.

        EncodeError, or BufferError naming both sizes where it does not fit; `buffer` is then untouched."""
        return self._shared().encode_into(buffer, offset, message)

    def encode_parts(self, message: Buffer) -> tuple[Buffer, ...]:
        """The encoded `message` as buffers for a vectored send: header, body, trailer, no empty ones.

        The body is a view of `message` or `message` itself, not a copy. EncodeError as `encode`."""
        return self._shared().encode_parts(message)

    def encode_stream(self, size: int | None, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        """The buffers that carry one message of `size` bytes whose bytes come in `chunks`: for messages
        larger than memory.

        `size` may be None where a mark or the end of the stream ends the message. EncodeError as soon as the
        framing cannot carry what came: before the first buffer for the size, later for pieces that have more
        or fewer bytes or form a delimiter; what was yielded before may have been sent by then.
        TypeError for a size that is not an int.

        >>> from framewire import LengthPrefixed, u32
        >>> list(LengthPrefixed(u32).encode_stream(4, [b"ab", b"cd"]))
        [b'\\x00\\x00\\x00\\x04', b'ab', b'cd']
        """
        return streaming.encode_stream(self._plan, size, chunks)


REQUIRED = object()
# The most bytes of BeginString, BodyLength and CheckSum.
FIX_AROUND = 39
COMMON = (("max_frame", MIB), ("on_too_large", "fail"), ("eof", "error"))


def _rebuild(cls: type[Framing], arguments: tuple[Any, ...]) -> Framing:
    named = {name: value for (name, _), value in zip(cls._parameters, arguments)}
    return cls(*[named.pop(name) for name in cls._positional()], **named)


def alternatives(values: bytes | tuple[bytes, ...]) -> tuple[bytes, ...]:
    return values if isinstance(values, tuple) else (values,)


def _text(name: str, value: object) -> str:
    """One parameter's value in the text form."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, LengthType):
        return value.text.replace("\\", "\\\\").replace(",", "\\,")
    if isinstance(value, bytes):
        # An int trailer is a run of digits, so bytes that look like one are escaped.
        return "".join(f"\\x{b:02x}" for b in value) if value.isdigit() else escape_bytes(value)
    if name == "mask":
        return f"0x{value:x}"
    if name == "magic" and isinstance(value, tuple):
        return "/".join(f"{at}:" + "|".join(map(escape_bytes, alternatives(one))) for at, one in value)
    if name == "escape" and isinstance(value, tuple):
        return f"{value[0]}:{value[1].text}"
    if name == "extra" and isinstance(value, tuple):
        return "/".join(f"{at}:{kind.text}" + "".join(f":0x{m:x}" for m in mask) for at, kind, *mask in value)
    if name == "control" and isinstance(value, tuple):
        return "|".join(map(str, value))
    if name == "fragments" and isinstance(value, tuple):
        return f"full:0x{value[1]:x}" + "".join(f":{at}" for at in value[2:])
    return str(value)


def policies(
    where: str, max_frame: int | None, on_too_large: str, eof: str, capacity: int | None = None
) -> tuple[int, bool, str]:
    """The checked (max_frame, skip, eof) of a plan; the default limit is clamped to `capacity`."""
    if max_frame is None:
        limit = NO_LIMIT
    else:
        limit = need_int(where, "max_frame", max_frame, 1, NO_LIMIT)
        if capacity is not None and limit > capacity:
            if limit != MIB:
                raise DeclarationError(
                    f"{where}: max_frame={limit} can never be reached: "
                    f"a frame carries at most {capacity} bytes"
                )
            limit = capacity
    need_choice(where, "on_too_large", on_too_large, ("fail", "skip"))
    need_choice(where, "eof", eof, ("error", "deliver", "drop"))
    return limit, on_too_large == "skip", eof


def no_delivery(where: str, eof: str) -> None:
    if eof == "deliver":
        raise DeclarationError(f"{where}: eof='deliver' needs a mark that ends a frame: choose error or drop")


def need_strip(where: str, strip: object) -> bool | None:
    return None if strip is None else need_bool(where, "strip", strip)


def _widest_field(spec: tuple[Any, ...] | None) -> int:
    if spec is None:
        return 0
    return int(spec[1] + len(spec[7]) + max([tier[1] for tier in spec[8]], default=0) + spec[10][1])


def _fitted(plan: tuple[Any, ...], room: int) -> tuple[Any, ...]:
    kind, limit = plan[:2]
    if kind == PREAMBLE:
        first, count, then = plan[5:]
        return (*plan[:5], _fitted(first, room), count, _fitted(then, room))
    if kind == TAGGED:
        offset, mask, rows, default = plan[5:]
        rows = tuple((tag, _fitted(part, room)) for tag, part in rows)
        return (*plan[:5], offset, mask, rows, None if default is None else _fitted(default, room))
    around = 0
    if kind in (COUNTED, FRAGMENTED):
        (offset, lead, field, after, escape), _, _, extra, special, trailer = plan[7:]
        around = offset + _widest_field(lead) + _widest_field(field) + after
        around += 0 if escape is None else _widest_field(escape[1])
        around += sum(mask >> shift for _, _, _, mask, shift in extra)
        around += trailer if isinstance(trailer, int) else len(trailer)
        if kind == FRAGMENTED:
            # As many headers as full fragments can have, or as half of the room holds.
            most = room // (around + special[2]) + 1 if special[2] else max(1, room // (2 * around))
            most = min(most, special[4])
            around *= most
            plan = (*plan[:11], (*special[:4], most), trailer)
    elif kind == SCANNED:
        around = max(len(one) for one in plan[6])
    elif kind in (HEADERS, CHUNKED):
        # and a NUL, or the size of the last chunk, with which the limit is exceeded
        around = plan[-1] + 32
    elif kind == LINE_COUNTED:
        around = plan[6] + 4
    elif kind == FIX_:
        around = FIX_AROUND
    elif kind in (SLIP_, HDLC_):
        # What fits even if every byte of it is escaped.
        around = room - (room - 1) // 2 + plan[6]
    elif kind == COBS_:
        around = 2 + (room - 1) // 255
    elif kind == DOTTED_:
        # The last line, and up to a dot for every three bytes.
        around = 3 + (room - 3) // 4 + 1
    elif kind == ENCLOSED_:
        around = len(plan[6]) + len(plan[7]) + plan[12]
        around += (room - around + 1) // 2 if plan[8] else 0
    if room - around < (limit if kind == FIXED else 1):
        raise DeclarationError(
            f"buffer: {room} bytes do not hold a whole frame, {around} bytes go around its body"
        )
    return (kind, min(limit, room - around), *plan[2:])
