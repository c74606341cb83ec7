"""Frames larger than memory: their beginning, their bytes as they arrive, their end.

A `StreamDecoder` cuts with an ordinary decoder whose limit is the size from which frames are streamed. What
that decoder refuses as too large is begun here: its error names the size and the header, `detach` gives back
the bytes, and the body is passed on until its end. Behind it a new ordinary decoder goes on, told where in
the stream it stands, so that errors keep their places.
"""

from __future__ import annotations

from operator import index

from . import _backend, errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, NoReturn, TypeAlias

    from typing_extensions import Buffer

    Event: TypeAlias = "bytes | FrameStart | FrameEnd"

__all__ = ["FrameStart", "FrameEnd", "StreamDecoder"]

# The kinds of plan, as in _framing.py, that is above this module.
FIXED, COUNTED, SCANNED, TAGGED, UNTIL_EOF, _, PREAMBLE = range(7)


class FrameStart:
    """A frame that is delivered in pieces begins: its `size` in bytes, None if only a mark will end it, and
    the `header` bytes in front of its body; of a frame that is delivered whole they are in the pieces too.

    >>> import framewire as fw
    >>> fw.Lines().decoder(stream_over=2).decode(b"abcdef")
    [FrameStart(None, b''), b'abcde']
    """

    __slots__ = ("size", "header")

    def __init__(self, size: int | None, header: bytes) -> None:
        self.size = size
        self.header = header

    def __repr__(self) -> str:
        return f"FrameStart({self.size}, {self.header!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameStart) and (self.size, self.header) == (other.size, other.header)

    def __hash__(self) -> int:
        return hash((self.size, self.header))


class FrameEnd:
    """The frame that a `FrameStart` began is complete.

    >>> import framewire as fw
    >>> fw.LengthPrefixed(fw.u8).decoder(stream_over=2).decode(b"\\3abc")
    [FrameStart(3, b'\\x03'), b'abc', FrameEnd()]
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "FrameEnd()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameEnd)

    def __hash__(self) -> int:
        return hash(FrameEnd)


def _limited(plan: tuple[Any, ...], over: int) -> tuple[Any, ...]:
    """The plan with frames above `over` refused; DeclarationError for what cannot be streamed."""
    kind = plan[0]
    if kind == PREAMBLE:
        return (*plan[:5], _limited(plan[5], over), plan[6], _limited(plan[7], over))
    if kind == TAGGED:
        offset, mask, rows, default = plan[5:]
        parts = tuple((tag, _limited(part, over)) for tag, part in rows)
        return (*plan[:5], offset, mask, parts, None if default is None else _limited(default, over))
    if (
        kind not in (COUNTED, SCANNED, UNTIL_EOF)
        and not (kind == FIXED and plan[5] <= over)
        or (kind == COUNTED and plan[10])
    ):
        raise errors.DeclarationError(
            f"stream_over={over}: this framing's frames cannot be delivered in pieces"
        )
    if plan[2]:
        raise errors.DeclarationError(f"stream_over={over} cannot be with on_too_large='skip'")
    # 2 instead of True or False: read the whole length, as if to skip the frame, and then stop.
    return (kind, plan[1] if kind == FIXED else min(plan[1], over), 2, *plan[3:])


def _remaining(plan: tuple[Any, ...], done: int) -> tuple[Any, ...]:
    """The plan behind the first `done` frames."""
    while plan[0] == PREAMBLE:
        if done < plan[6]:
            return (*plan[:6], plan[6] - done, plan[7])
        done -= plan[6]
        plan = plan[7]
    return plan


def _leaf(plan: tuple[Any, ...], frame: bytes) -> tuple[Any, ...]:
    """The plan of the frame that begins with these bytes, the tag among them."""
    while plan[0] in (PREAMBLE, TAGGED):
        if plan[0] == PREAMBLE:
            plan = plan[5]
        else:
            offset, mask, rows, default = plan[5:]
            plan = dict(rows).get(frame[offset] & mask, default)
    return plan


def _find(delimiters: tuple[bytes, ...], data: bytes) -> tuple[int, int]:
    """(end, size) of the delimiter in `data` that ends first, the longest of several; (0, 0) without one."""
    ends = [hit + len(one) for one in delimiters if (hit := data.find(one)) >= 0]
    if not ends:
        return 0, 0
    end = min(ends)
    return end, max(len(one) for one in delimiters if data.endswith(one, 0, end))


class StreamDecoder:
    """A decoder that delivers frames of more than `over` bytes in pieces. Made by
    `framing.decoder(stream_over=...)`.

    `decode` returns frames as bytes and, for a larger one, a `FrameStart`, the bytes of its body in pieces as
    they arrive, and a `FrameEnd`. Joined, the pieces are the frame that an ordinary decoder would deliver;
    where they are cut depends on how the stream arrives. Everything else is as with `Decoder`: limits, faults
    behind good frames, `Truncated`. One thread at a time.

    >>> import framewire as fw
    >>> decoder = fw.LengthPrefixed(fw.u16).decoder(stream_over=4)
    >>> decoder.decode(b"\\0\\2ab\\0\\6large")
    [b'ab', FrameStart(6, b'\\x00\\x06'), b'large']
    >>> decoder.decode(b"r\\0\\1c")
    [b'r', FrameEnd(), b'c']
    """

    def __init__(self, plan: tuple[Any, ...], over: int) -> None:
        self._plan, self._over = plan, over
        self._index = 0
        self._fault: Exception | None = None
        self._leaf: tuple[Any, ...] | None = None  # the plan of the frame that is being streamed
        self._decoder = self._ordinary(0)

    def __reduce__(self) -> NoReturn:
        raise errors.uncopyable(self)

    def __repr__(self) -> str:
        return f"<StreamDecoder: {self._index} frames, offset {self.offset}, buffered {self.buffered}>"

    def _ordinary(self, offset: int) -> Any:
        rest = _limited(_remaining(self._plan, self._index), self._over)
        return _backend.codec.Decoder(rest, None, offset, self._index)

    # --- one frame in pieces -----------------------------------------------------------------------

    def _begin(self, events: list[Event]) -> bytes:
        """What stopped the ordinary decoder: a frame to be streamed, whose bytes are returned, or a fault."""
        error = self._decoder.error
        if not isinstance(error, errors.FrameTooLarge):
            self._fault = error
            return b""
        raw: bytes = self._decoder.detach()
        leaf = _leaf(_remaining(self._plan, self._index), raw)
        limit, start = leaf[1], int(error.offset or 0)
        self._first, self._start, self._seen = raw[:16], start, 0
        if error.size is None:
            self._position, self._held = start, b""
            self._leaf = leaf
            events.append(FrameStart(None, b""))
            return raw
        if error.size > limit:
            self._fault = errors.too_large(error.size, limit, error.header, start, self._index, False)
            return b""
        strip, trailer = leaf[5], leaf[-1]
        marks = (
            0
            if isinstance(trailer, bytes) and strip
            else len(trailer)
            if isinstance(trailer, bytes)
            else trailer
        )
        self._body = error.size if strip else len(error.header) + error.size + marks
        self._trailer = trailer if isinstance(trailer, bytes) else b""
        self._position = start + (len(error.header) if strip else 0)
        self._leaf = leaf
        events.append(FrameStart(self._body, error.header))
        return raw[len(error.header) :] if strip else raw

    def _pass(self, data: bytes, events: list[Event]) -> bytes:
        """Deliver pieces of the frame that is being streamed; what is left of `data` behind its end."""
        leaf = self._leaf
        assert leaf is not None
        if leaf[0] == COUNTED:
            return self._pass_counted(data, events)
        data = self._held + data
        end = found = 0
        keep = 0
        if leaf[0] == SCANNED:
            end, found = _find(leaf[6], data)
            keep = max(len(one) for one in leaf[6]) - 1
        stop = end - found if end else max(0, len(data) - keep)
        if self._seen + stop > leaf[1]:
            self._fault = errors.too_large(None, leaf[1], b"", self._start, self._index, False)
            self._leaf = None
            return b""
        self._seen += stop
        if end and not leaf[5]:
            stop = end
        self._emit(data[:stop], events)
        if not end:
            self._held = data[stop:]
            return b""
        self._position += end - stop
        self._finish(events)
        return data[end:]

    def _pass_counted(self, data: bytes, events: list[Event]) -> bytes:
        assert self._leaf is not None
        strip, trailer = self._leaf[5], self._trailer
        piece = data[: max(0, self._body - self._seen)]
        # Behind a stripped body, or as the end of a whole frame, the trailer is verified as it arrives.
        begin = self._body if strip else self._body - len(trailer)
        for at in range(max(self._seen, begin), min(self._seen + len(data), begin + len(trailer))):
            byte = data[at - self._seen]
            if byte != trailer[at - begin]:
                self._emit(piece[: max(0, begin - self._seen)], events)
                head = self._first + bytes([byte])
                self._fault = errors.malformed(-13, 0, head, self._start, self._index)
                self._leaf = None
                return b""
        self._emit(piece, events)
        whole = self._body + (len(trailer) if strip else 0)
        used = min(len(data), whole - self._seen)
        self._seen += used
        self._position += used - len(piece)
        if self._seen == whole:
            self._finish(events)
        return data[used:]

    def _emit(self, piece: bytes, events: list[Event]) -> None:
        if piece:
            events.append(piece)
            self._position += len(piece)

    def _finish(self, events: list[Event]) -> None:
        events.append(FrameEnd())
        self._leaf = None
        self._index += 1
        self._decoder = self._ordinary(self._position)

    def _must_wait(self) -> bool:
        """Whether the frame that is being streamed is not complete, or never will be."""
        return self._leaf is not None or self._fault is not None

    # --- the calls ---------------------------------------------------------------------------------

    def _run(self, rest: bytes, events: list[Event], decode: Any) -> None:
        while True:
            if self._leaf is not None:
                rest = self._pass(rest, events)
                if self._must_wait():
                    return
                decode = self._decoder.decode
            try:
                frames = decode(rest)
            except errors.FramewireError:
                frames = []
            events += frames
            self._index += len(frames)
            if self._decoder.error is None:
                return
            rest = self._begin(events)
            if self._fault is not None:
                return

    def _result(self, events: list[Event]) -> list[Event]:
        if not events and self._fault is not None:
            raise self._fault.with_traceback(None)
        return events

    def decode(self, data: Buffer = b"") -> list[Event]:
        """Take `data` and return frames, and the pieces of large ones. Raises as `Decoder.decode`."""
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        events: list[Event] = []
        self._run(bytes(data), events, self._decoder.decode)
        return self._result(events)

    def feed_eof(self) -> list[Event]:
        """The stream has ended: what is left, as `Decoder.feed_eof`; Truncated inside a streamed frame,
        unless the framing's `eof` says "deliver" or the end completes the frame."""
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        events: list[Event] = []
        if self._leaf is None:
            self._run(b"", events, lambda data: self._decoder.feed_eof())
            return self._result(events)
        leaf = self._leaf
        if leaf[0] == UNTIL_EOF or leaf[3] == "deliver":
            self._emit(self._held, events)
            self._held = b""
            self._finish(events)
            self._decoder.feed_eof()
        else:
            held = self._held if leaf[0] == SCANNED else b""
            self._fault = errors.truncated(held, self.needed, self._start, self._index)
        return self._result(events)

    @property
    def needed(self) -> int:
        """As `Decoder.needed`; inside a streamed frame the bytes that are missing to its end, at least."""
        if self._fault is not None:
            return 0
        if self._leaf is None:
            return int(self._decoder.needed)
        if self._leaf[0] != COUNTED:
            return 1
        return self._body + (len(self._trailer) if self._leaf[5] else 0) - self._seen

    @property
    def buffered(self) -> int:
        """How many bytes are held that have not been delivered."""
        if self._leaf is None:
            return 0 if self._fault is not None else int(self._decoder.buffered)
        return len(self._held) if self._leaf[0] != COUNTED else 0

    @property
    def offset(self) -> int:
        """The stream position of the first byte that is not yet delivered."""
        return int(self._decoder.offset) if self._leaf is None and self._fault is None else self._position

    @property
    def error(self) -> Exception | None:
        """The fault that ended this stream, or None."""
        return self._fault


def encode_stream(plan: tuple[Any, ...], size: int | None, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
    """The buffers that carry one message of `size` bytes given in pieces. See `Framing.encode_stream`."""
    kind, limit = plan[:2]
    head, tail = b"", b""
    marks: tuple[bytes, ...] = ()
    if kind == FIXED and size is None:
        size = plan[5]
    if size is not None:
        size = index(size)
        if size < 0:
            raise errors.EncodeError(f"encode_stream: no message has {size} bytes", size=size, limit=limit)
        if kind == FIXED and size != plan[5]:
            raise errors.encode_fixed(size, plan[5])
        if size > limit:
            raise errors.encode_too_large(size, limit)
    if kind == SCANNED and plan[5]:
        marks, tail = plan[6], plan[6][0]
    elif kind not in (UNTIL_EOF, FIXED):
        if kind != COUNTED or not plan[5]:
            raise errors.EncodeError(
                "encode_stream: only a message of fixed size, one up to the end of the stream, and a body"
                " that is delivered without its length or delimiter can be written in pieces"
            )
        if size is None:
            raise errors.EncodeError("encode_stream: this framing needs the size of the message")
        head, tail = _backend.codec.Encoder(plan).encode_head(size)
    return _pieces(size, limit, chunks, head, tail, marks)


def _pieces(
    size: int | None, limit: int, chunks: Iterable[Buffer], head: bytes, tail: bytes, marks: tuple[bytes, ...]
) -> Iterator[Buffer]:
    if head:
        yield head
    sent, seam = 0, b""
    keep = max((len(one) for one in marks), default=1) - 1
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        if not len(view):
            continue
        sent += len(view)
        if sent > (limit if size is None else size):
            raise errors.encode_too_large(sent, limit) if size is None else _uneven(size, sent)
        if marks:
            near = seam + bytes(view)
            end, found = _find(marks, near)
            if end:
                raise errors.encode_delimiter(sent - len(near) + end - found, near[end - found : end], sent)
            seam = near[max(0, len(near) - keep) :] if keep else b""
        yield chunk
    if size is not None and sent != size:
        raise _uneven(size, sent)
    if marks:
        end, found = _find(marks, seam + tail)
        if end != len(seam) + len(tail) or found != len(tail):
            at = sent - len(seam) + end - found
            raise errors.encode_delimiter(at, (seam + tail)[end - found : end], sent)
    if tail:
        yield tail


def _uneven(size: int, sent: int) -> errors.EncodeError:
    return errors.EncodeError(f"the pieces have {sent} bytes, {size} were announced", size=sent, limit=size)
