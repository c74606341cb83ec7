"""The Encoder in Python: the plan says which bytes go before, into and behind a message, and every verb here
puts them where its caller wants them. Also the one way in which this backend takes buffers."""

from __future__ import annotations

from operator import index

from .. import errors
from . import dotted as dotted  # these add their leaves to those that compile_plan knows
from . import enclosed as enclosed
from . import fragments as fragments
from . import stuff as stuff
from . import talk as talk
from . import text as text
from .plan import CUSTOM, PREAMBLE, compile_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn, SupportsIndex

    from typing_extensions import Buffer

    from .plan import Bytes, Wire

__all__ = ["Encoder", "flat", "size_of", "writable"]

_WORD = 1 << 63


def flat(data: Buffer) -> bytes | memoryview:
    """`data` itself if it is bytes, else a flat memoryview of its bytes."""
    if type(data) is bytes:
        return data
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"a bytes-like object is required, not {type(data).__name__}") from None
    if not view.c_contiguous:
        raise BufferError("the buffer is not C-contiguous")
    return view.cast("B")


def writable(buffer: Buffer) -> memoryview:
    try:
        view = memoryview(buffer)
        if not view.readonly and view.c_contiguous:
            return view.cast("B")
    except TypeError:
        pass
    raise TypeError(f"a writable contiguous buffer is required, not {type(buffer).__name__}")


def size_of(value: SupportsIndex) -> int:
    """`value` as the extension takes a size: an int, or what has __index__, that fits a machine word."""
    number = index(value)
    if not -_WORD <= number < _WORD:
        raise OverflowError("Python int too large to convert to C ssize_t")
    return number


class Encoder:
    """Turns messages into the bytes that carry them. Made by `framing.encoder()`.

    Nothing is written when a message is refused. Only under `Preamble` has it a state: the messages
    encoded so far; then one thread at a time may use it, otherwise any number may.

    >>> import framewire as fw
    >>> encoder = fw.Preamble(fw.FixedLength(4), fw.Netstring()).encoder()
    >>> encoder.encode(b"HELO"), encoder.encode(b"hi")
    (b'HELO', b'2:hi,')
    """

    def __init__(self, plan: tuple[Any, ...], shared: bool = False) -> None:
        self._is_shared = shared
        self._begin(plan)

    def __reduce__(self) -> NoReturn:
        raise errors.uncopyable(self)

    def _begin(self, plan: tuple[Any, ...]) -> None:
        self._then: tuple[Any, ...] | None = None
        self._phase_left = -1
        if plan[0] == PREAMBLE:
            plan, self._phase_left, self._then = plan[5:]
        self._leaf = compile_plan(plan)

    def _count(self) -> None:
        if self._phase_left > 0:
            self._phase_left -= 1
            if self._phase_left == 0:
                assert self._then is not None
                self._begin(self._then)

    def _measure(self, message: Buffer) -> tuple[Bytes, Wire]:
        """The message as flat bytes, and how it is written; an EncodeError if it cannot be."""
        leaf = self._leaf
        if leaf.kind == CUSTOM:
            if leaf.join is None:
                raise errors.encode_no_join()
            message = leaf.join(message)
        data = flat(message)
        if self._then is not None and self._is_shared:
            raise errors.EncodeError("Preamble: its first messages differ, so use framing.encoder()")
        return data, leaf.measure(data, len(data))

    def encode(self, message: Buffer) -> bytes:
        """The bytes that carry `message` (any C-contiguous buffer). EncodeError if the framing cannot."""
        data, (keep, made, resume, tail) = self._measure(message)
        self._count()
        if not keep and not resume:
            return b"".join((made, data, tail))
        return b"".join((data[:keep], made, data[resume:], tail))

    def encode_many(self, messages: Iterable[Buffer]) -> bytes:
        """The bytes that carry all `messages` in order; EncodeError, and nothing, if one cannot be."""
        state = self._leaf, self._then, self._phase_left
        try:
            return b"".join([self.encode(message) for message in messages])
        except BaseException:
            self._leaf, self._then, self._phase_left = state
            raise

    def encode_into(self, buffer: Buffer, offset: SupportsIndex, message: Buffer) -> int:
        """Write the encoded `message` at `offset` of a writable buffer; the offset behind it is returned.

        EncodeError, or BufferError naming both sizes where it does not fit; `buffer` is then untouched.
        """
        at = size_of(offset)
        with writable(buffer) as target:
            data, (keep, made, resume, tail) = self._measure(message)
            wire = b"".join((data[:keep], made, data[resume:], tail))
            if not 0 <= at <= len(target) - len(wire):
                raise errors.encode_no_room(len(wire), at, len(target))
            target[at : at + len(wire)] = wire
        self._count()
        return at + len(wire)

    def encode_head(self, size: int) -> tuple[bytes, bytes]:
        """(header, trailer) of a message of `size` bytes, under a framing that strips a length from it.

        For messages that are sent in pieces; EncodeError if the framing cannot carry so many bytes.
        """
        _, made, _, tail = self._leaf.measure(b"", size)
        return made, tail

    def encode_parts(self, message: Buffer) -> tuple[Buffer, ...]:
        """The encoded `message` as a tuple of buffers for a vectored send: header, body, trailer.

        The body is `message` itself or a view of it, not a copy; empty parts are left out.
        """
        data, (keep, made, resume, tail) = self._measure(message)
        parts: list[tuple[Buffer, int]]
        if made and (keep or resume):
            body = memoryview(data)
            before, behind = body[:keep], body[resume:]
            parts = [(before, keep), (made, 1), (behind, len(behind)), (tail, len(tail))]
        else:
            whole = data if self._leaf.kind == CUSTOM else message
            parts = [(made, len(made)), (whole, len(data)), (tail, len(tail))]
        self._count()
        # By sizes, because a ctypes object has no length.
        return tuple([part for part, length in parts if length])
