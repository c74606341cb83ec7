"""Every error framewire raises.

FramewireError(Exception)
  DeclarationError(ValueError)      ours: a framing or record that cannot be
  EncodeError(ValueError)           ours: a message this framing or record cannot carry
  DecodeError(ValueError)           the peer's: bytes that break the framing
    FrameTooLarge                   a frame beyond max_frame
    MalformedFrame                  bad-length, bad-tag, bad-magic, bad-terminator, protocol-violation
    RecordError(struct.error)       a record that does not unpack
  EndOfStream(EOFError)             the clean end, from recv
  Truncated(EOFError)               the stream ended inside a frame
  ConnectionClosed(ConnectionError) used after we closed it, or in another process
  ConnectionLost(ConnectionError)   reset, aborted, dead
  Timeout(TimeoutError)             a deadline passed
  ConcurrencyError(RuntimeError)    two users of an object that has room for one

Every class also derives from the standard class in brackets, so `except ValueError`, `except EOFError`
or `except ConnectionError` keep working. All of them pickle. The texts of the errors that decoding and
encoding raise are made here, so that the native and the pure backend cannot say different things.
"""

from __future__ import annotations

import errno as _errno
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "FramewireError",
    "DeclarationError",
    "EncodeError",
    "DecodeError",
    "FrameTooLarge",
    "MalformedFrame",
    "RecordError",
    "EndOfStream",
    "Truncated",
    "ConnectionClosed",
    "ConnectionLost",
    "Timeout",
    "ConcurrencyError",
]


class FramewireError(Exception):
    """The base class of every error of this package.

    >>> import framewire as fw
    >>> try:
    ...     fw.framing("no such framing")
    ... except fw.FramewireError as error:
    ...     print(type(error).__name__)
    DeclarationError
    """


class DeclarationError(FramewireError, ValueError):
    """A framing, record or address that cannot be: raised when it is constructed, never by peer bytes.

    >>> import framewire as fw
    >>> fw.FixedLength(0)
    Traceback (most recent call last):
    framewire.errors.DeclarationError: FixedLength: size=0 must be at least 1
    """


class EncodeError(FramewireError, ValueError):
    """A message that this framing or record cannot carry; nothing was written.

    `size` is the message's size in bytes and `limit` what the framing carries at most (both None where
    size is not the matter); `path` names the record field ("samples[12].load"), "" for framings.

    >>> import framewire as fw
    >>> try:
    ...     fw.LengthPrefixed(fw.u8).encode(bytes(256))
    ... except fw.EncodeError as error:
    ...     print(error.size, error.limit)
    256 255
    """

    def __init__(
        self, message: str = "", *, size: int | None = None, limit: int | None = None, path: str = ""
    ) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit
        self.path = path


class DecodeError(FramewireError, ValueError):
    """Bytes from the peer that break the framing.

    `offset` is the stream position of the faulty frame's first byte, `frame_index` the number of frames
    before it, `reason` a short fixed word, `recoverable` whether decoding goes on behind the frame.

    >>> import framewire as fw
    >>> decoder = fw.Netstring().decoder()
    >>> decoder.decode(b"2:ok,2:no!")
    [b'ok']
    >>> decoder.error.offset, decoder.error.frame_index, decoder.error.reason
    (5, 1, 'bad-terminator')
    """

    # How much of the frame proves the fault, and the last bytes of that: what the command shows.
    _proof: tuple[int, bytes] = (0, b"")

    def __init__(
        self,
        message: str = "",
        *,
        offset: int | None = None,
        frame_index: int | None = None,
        reason: str = "protocol-violation",
        recoverable: bool = False,
    ) -> None:
        super().__init__(message)
        self.offset = offset
        self.frame_index = frame_index
        self.reason = reason
        self.recoverable = recoverable


class FrameTooLarge(DecodeError):
    """A frame of more than `limit` (`max_frame`) body bytes.

    `size` is what the peer announced, None where a mark ends the frame (how much is buffered depends on
    how the stream was cut). `header` holds the header bytes, so that a request id in them can be answered.

    >>> import framewire as fw
    >>> try:
    ...     fw.LengthPrefixed(fw.u16, max_frame=1000).decoder().decode(b"\\xff\\xff")
    ... except fw.FrameTooLarge as error:
    ...     print(error.size, error.limit, error.header)
    65535 1000 b'\\xff\\xff'
    """

    def __init__(
        self,
        message: str = "",
        *,
        size: int | None = None,
        limit: int | None = None,
        header: bytes = b"",
        offset: int | None = None,
        frame_index: int | None = None,
        reason: str = "too-large",
        recoverable: bool = False,
    ) -> None:
        super().__init__(
            message, offset=offset, frame_index=frame_index, reason=reason, recoverable=recoverable
        )
        self.size = size
        self.limit = limit
        self.header = header


class MalformedFrame(DecodeError):
    """Bytes that cannot be a frame; `reason` is one of bad-length, bad-tag, bad-magic, bad-terminator,
    bad-checksum, protocol-violation. A `split` function of `Custom` may raise it too: offset and index are
    filled in.

    >>> import framewire as fw
    >>> fw.LengthPrefixed(fw.digits(2)).decoder().decode(b"1x")
    Traceback (most recent call last):
    framewire.errors.MalformedFrame: bad-length: 0x78 stands where a digit of the length is wanted; ...
    """


class RecordError(DecodeError, struct.error):
    """Bytes that do not unpack: `record` names the class, `path` the field ("samples[12].load").

    >>> import framewire as fw
    >>> import struct
    >>> issubclass(fw.RecordError, struct.error)
    True
    """

    def __init__(
        self,
        message: str = "",
        *,
        record: str = "",
        path: str = "",
        offset: int | None = None,
        frame_index: int | None = None,
        reason: str = "protocol-violation",
    ) -> None:
        super().__init__(message, offset=offset, frame_index=frame_index, reason=reason)
        self.record = record
        self.path = path


class EndOfStream(FramewireError, EOFError):
    """The peer ended the stream cleanly, at a frame boundary.

    >>> import framewire as fw
    >>> issubclass(fw.EndOfStream, EOFError)
    True
    """


class Truncated(FramewireError, EOFError):
    """The stream ended inside a frame.

    `partial` holds the bytes of the unfinished frame, `needed` how many more would at least have been
    needed, `tls_unclean` is True where TLS ended without close_notify.

    >>> import framewire as fw
    >>> decoder = fw.LengthPrefixed(fw.u16).decoder()
    >>> decoder.decode(b"\\0\\5he")
    []
    >>> try:
    ...     decoder.feed_eof()
    ... except fw.Truncated as error:
    ...     print(error.partial, error.needed)
    b'\\x00\\x05he' 3
    """

    def __init__(
        self, message: str = "", *, partial: bytes = b"", needed: int = 0, tls_unclean: bool = False
    ) -> None:
        super().__init__(message)
        self.partial = partial
        self.needed = needed
        self.tls_unclean = tls_unclean


class ConnectionClosed(FramewireError, ConnectionError):
    """A connection used after it was closed here, or in a process that does not own it.

    >>> import framewire as fw
    >>> issubclass(fw.ConnectionClosed, ConnectionError)
    True
    """


class ConnectionLost(FramewireError, ConnectionError):
    """The peer or the path to it is gone: reset, aborted, dead. `errno` as the system gave it, or None.

    >>> import errno
    >>> import framewire as fw
    >>> fw.ConnectionLost("reset by the peer", errno=errno.ECONNRESET).errno == errno.ECONNRESET
    True
    """

    def __init__(self, message: str = "", *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside the dict that is pickled.
        return type(self), self.args, {**vars(self), "errno": self.errno}


class Timeout(FramewireError, TimeoutError):
    """A deadline passed; `phase` is connect, handshake, recv, frame, idle, send or close.

    >>> import framewire as fw
    >>> fw.Timeout("no answer within 2 s", phase="connect").phase
    'connect'
    """

    def __init__(self, message: str = "", *, phase: str = "recv") -> None:
        super().__init__(message)
        self.phase = phase


class ConcurrencyError(FramewireError, RuntimeError):
    """A second thread, or a callback, used an object in the middle of a call.

    >>> import framewire as fw
    >>> issubclass(fw.ConcurrencyError, RuntimeError)
    True
    """


# --- texts shared by both backends -----------------------------------------------------------------

# The numbers are fw_status in csrc/fw.h. {value} and {byte} are what the cutter found.
_MALFORMED = {
    -2: ("bad-length", "the length {value} is negative"),
    -3: ("bad-length", "the length {value} ends the frame before its body starts"),
    -4: ("bad-length", "0x{byte:02x} stands where a digit of the length is wanted"),
    -5: ("bad-length", "the length has a leading zero"),
    -6: ("bad-length", "the length field is longer than {value} bytes"),
    -7: ("bad-length", "the length does not fit into 64 bits"),
    -8: ("bad-length", "the length is not in its shortest form"),
    -9: ("bad-length", "0x{byte:02x} is no definite BER length of at most 4 bytes"),
    -10: ("bad-length", "the selector {value} announces no length"),
    -11: ("bad-tag", "the tag {value} (0x{value:02x}) is not in the table"),
    -12: ("bad-magic", "0x{byte:02x} is not the fixed byte that belongs here"),
    -13: ("bad-terminator", "0x{byte:02x} is not the byte that ends the frame"),
    -14: ("protocol-violation", "0x{byte:02x} does not follow an escape byte"),
    -15: ("bad-checksum", "the frame check sequence does not fit"),
    -16: ("protocol-violation", "the code {value} points behind its frame"),
    -40: ("protocol-violation", "the reply is nested deeper than {value} levels"),
    -41: ("protocol-violation", "the line is longer than {value} bytes"),
    -42: ("bad-terminator", "a line ends with LF alone"),
    -43: ("bad-length", "the word that counts the body is missing or no plain number"),
    -35: ("protocol-violation", "what is not body takes more than {value} bytes (max_header)"),
    -36: ("protocol-violation", "a line of the header is not NAME: VALUE"),
    -37: ("bad-terminator", "0x{byte:02x} is not the end of line that belongs here"),
    -38: ("bad-length", "the length is no plain number, or one that may not stand here"),
    -39: ("bad-length", "the header says {value} different lengths, wanted is one"),
    -45: ("protocol-violation", "the counter of a fragment is {byte}, and {value} should follow"),
    -46: ("protocol-violation", "{value} fragments, and still not the last"),
    -30: ("bad-magic", "more than {value} bytes stand before the start of a frame"),
    -31: ("protocol-violation", "a frame starts before the end of this one"),
}


_PROOF = 32


def _place(index: int, offset: int, head: bytes) -> str:
    shown = head[:16].hex(" ") + (" ..." if len(head) > 16 else "")
    return f"frame {index} at offset {offset}" + (f", first bytes {shown}" if shown else "")


def malformed(
    code: int, value: int, head: bytes, offset: int, index: int, recoverable: bool = False
) -> MalformedFrame:
    """The error for fault `code`; `head` is the frame up to and including the byte that proves it."""
    reason, text = _MALFORMED[code]
    what = text.format(value=value, byte=head[-1] if head else 0)
    message = f"{reason}: {what}; {_place(index, offset, head)}"
    error = MalformedFrame(message, offset=offset, frame_index=index, reason=reason, recoverable=recoverable)
    error._proof = len(head), head[-_PROOF:]
    return error


def _remedy(header: bytes) -> str:
    """What may help: a length that is text is mostly the beginning of another protocol."""
    if len(header) >= 4 and all(32 < byte < 127 for byte in header[:4]):
        text = header[:16].decode("ascii", "replace")
        return f"these are the characters {text!r}: is it the right framing?"
    return "raise max_frame if the peer is right"


def too_large(
    size: int | None, limit: int, header: bytes, offset: int, index: int, recoverable: bool
) -> FrameTooLarge:
    """The error for a frame beyond `limit`; `size` None where only a mark would have ended it."""
    what = f"the peer announced {size} bytes" if size is not None else "no end of the frame"
    where = f"our limit is {limit} (max_frame)" if size is not None else f"within {limit} bytes (max_frame)"
    message = (
        f"frame too large: {what}{',' if size is not None else ''} {where}; {_place(index, offset, header)}; "
        + _remedy(header)
    )
    return FrameTooLarge(
        message,
        size=size,
        limit=limit,
        header=header,
        offset=offset,
        frame_index=index,
        recoverable=recoverable,
    )


def truncated(partial: bytes, needed: int, offset: int, index: int) -> Truncated:
    """The error for a stream that ended inside a frame."""
    message = (
        f"the stream ended inside a frame: {len(partial)} bytes of it arrived, "
        f"at least {needed} more were needed; {_place(index, offset, partial)}"
    )
    return Truncated(message, partial=partial, needed=needed)


def no_progress(result: object, size: int) -> DeclarationError:
    """The error for a `Custom` split function whose answer cannot be."""
    return DeclarationError(
        f"Custom: split returned {result!r} for {size} bytes; wanted: None, how many more bytes are "
        f"needed (at least 1), or (start, stop, consumed) with 0 <= start <= stop <= consumed <= {size} "
        f"and consumed >= 1"
    )


def uncopyable(what: object) -> TypeError:
    """The error for copying or pickling what belongs to one stream."""
    return TypeError(f"a {type(what).__name__} belongs to one stream: it cannot be copied or pickled")


def encode_too_large(size: int, limit: int) -> EncodeError:
    """The error for a message beyond `max_frame`."""
    return EncodeError(
        f"a message of {size} bytes is beyond our limit of {limit} (max_frame)", size=size, limit=limit
    )


def encode_unsayable(size: int, limit: int | None) -> EncodeError:
    """The error for a size the length field cannot express; `limit` the most it can, if that is known."""
    most = f", which says at most {limit}" if limit is not None and size > limit else ""
    return EncodeError(f"a body of {size} bytes does not fit the length field{most}", size=size, limit=limit)


def encode_fixed(size: int, wanted: int) -> EncodeError:
    """The error for a message that is not exactly the fixed size."""
    return EncodeError(
        f"a message of {size} bytes is not a fixed frame of {wanted} bytes", size=size, limit=wanted
    )


def encode_scale(size: int, scale: int) -> EncodeError:
    """The error for a body that the scaled length cannot count exactly."""
    return EncodeError(f"a body of {size} bytes cannot be counted in units of {scale} bytes", size=size)


def encode_mismatch(size: int, announced: int | None) -> EncodeError:
    """The error for a whole frame whose own length field says something else."""
    says = "no whole length" if announced is None else f"{announced} bytes"
    return EncodeError(f"a whole frame of {size} bytes, but its header says {says}", size=size)


def encode_broken(code: int, value: int, head: bytes, size: int) -> EncodeError:
    """The error for a whole frame that our own decoder would refuse with fault `code`."""
    reason, text = _MALFORMED[code]
    what = text.format(value=value, byte=head[-1] if head else 0)
    return EncodeError(f"a whole frame of {size} bytes that cannot be sent, {reason}: {what}", size=size)


def encode_retagged(tag: int, other: int, size: int) -> EncodeError:
    """The error for a message whose tag would not be what it is, once its length is written."""
    return EncodeError(
        f"a message of {size} bytes would be misread: with its length written, its tag {tag:#04x} is "
        f"{other:#04x}",
        size=size,
    )


def encode_short(size: int, wanted: int) -> EncodeError:
    """The error for a whole frame that is shorter than its own header and trailer."""
    return EncodeError(
        f"a whole frame of {size} bytes is shorter than its header and trailer of {wanted} bytes",
        size=size,
        limit=wanted,
    )


def encode_delimiter(at: int, delimiter: bytes, size: int) -> EncodeError:
    """The error for a message that contains, or straddles, a delimiter."""
    return EncodeError(
        f"a message of {size} bytes would end early: the delimiter {delimiter!r} stands at byte {at}",
        size=size,
    )


def encode_unterminated(size: int) -> EncodeError:
    """The error for a message that keeps its delimiter but has none."""
    return EncodeError(f"a message of {size} bytes does not end with its delimiter (strip=False)", size=size)


def encode_line(size: int) -> EncodeError:
    """The error for text whose last line has no end."""
    return EncodeError(f"a message of {size} bytes does not end with CRLF, as every line must", size=size)


def encode_empty() -> EncodeError:
    """The error for an empty message where nothing between two marks is idle fill."""
    return EncodeError("an empty message cannot be carried: the peer takes it for idle fill", size=0)


def encode_no_join() -> EncodeError:
    """The error for encoding with a Custom framing that only splits."""
    return EncodeError("Custom: this framing has no join function, so it cannot encode")


def encode_no_room(size: int, offset: int, room: int) -> BufferError:
    """The error for a destination that is too small."""
    return BufferError(f"{size} bytes at offset {offset} do not fit into a buffer of {room} bytes")


def buffer_full(size: int, capacity: int) -> BufferError:
    """The error for more data than the caller's preallocated buffer holds."""
    return BufferError(
        f"{size} bytes do not fit into the decoder's buffer of {capacity} bytes: take frames out"
    )


# --- texts of records ---------------------------------------------------------------------------------

# Levels of records and lists of records within each other.
MOST_LEVELS = 64

# What can be wrong with a record's bytes. Negative codes are those of _MALFORMED, for numbers.
SHORT, CONSTANT, TEXT, DEEP, BEHIND, TAG, MEMBER = range(1, 8)
_RECORD_FAULTS = {
    SHORT: ("truncated", "{a} bytes needed at offset {offset}, {b} left"),
    CONSTANT: ("bad-magic", "{a} must stand at offset {offset}, not {b}"),
    TEXT: ("bad-text", "the byte 0x{a:02x} at offset {offset} is no UTF-8"),
    DEEP: ("too-deep", "more than {a} records within each other at offset {offset}"),
    BEHIND: ("trailing-bytes", "{a} bytes too many at offset {offset}"),
    TAG: ("bad-tag", "the tag {a} at offset {offset} is not in the table"),
    MEMBER: ("bad-value", "{a} at offset {offset} is no {b}"),
    -2: ("bad-number", "the number at offset {offset} is negative"),
    -4: ("bad-number", "a byte of the number at offset {offset} is no digit"),
    -5: ("bad-number", "the number at offset {offset} begins with a zero"),
    -6: ("bad-number", "the number at offset {offset} is too long"),
    -7: ("bad-number", "the number at offset {offset} is beyond 64 bits"),
    -8: ("bad-number", "the number at offset {offset} is not in its shortest form"),
    -9: ("bad-number", "the number at offset {offset} begins with a byte that cannot be"),
    -10: ("bad-number", "the number at offset {offset} begins with a byte that cannot be"),
}


def _record_place(record: str, parts: Iterable[str | int]) -> tuple[str, str]:
    """("Report.samples[12].load", "samples[12].load") of the names and indices on the way to a field."""
    # A list: CPython 3.12 and 3.13 crash where there is no memory to make a generator.
    path = "".join([f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts])
    return record + path, path.removeprefix(".")


def record_fault(
    code: int, record: str, parts: Iterable[str | int], offset: int, a: object = 0, b: object = 0
) -> RecordError:
    """The error for bytes that are no such record."""
    where, path = _record_place(record, parts)
    if code == CONSTANT:
        a, b = _hex(a), _hex(b)  # type: ignore[arg-type]
    reason, text = _RECORD_FAULTS[code]
    message = f"{where}: {text.format(a=a, b=b, offset=offset)}"
    return RecordError(message, record=record, path=path, offset=offset, reason=reason)


def _hex(data: bytes) -> str:
    return data[:16].hex(" ") + (" ..." if len(data) > 16 else "")


def _record_refused(
    record: str, parts: Iterable[str | int], text: str, size: int | None = None, limit: int | None = None
) -> EncodeError:
    where, path = _record_place(record, parts)
    return EncodeError(f"{where}: {text}", size=size, limit=limit, path=path)


def record_range(record: str, parts: Iterable[str | int], value: int, low: int, high: int) -> EncodeError:
    """The error for an integer that its field cannot say."""
    # Python refuses to print integers of thousands of digits.
    shown = str(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"
    return _record_refused(record, parts, f"{shown} is not in {low}..{high}")


def record_member(record: str, parts: Iterable[str | int], value: int, name: str) -> EncodeError:
    """The error for an integer that is not in a closed enumeration."""
    shown = str(value) if value.bit_length() <= 256 else f"an integer of {value.bit_length()} bits"
    return _record_refused(record, parts, f"{shown} is no {name}")


def record_type(record: str, parts: Iterable[str | int], wanted: str, value: object) -> EncodeError:
    """The error for a value of another type than its field's."""
    return _record_refused(record, parts, f"{wanted} is needed, not {type(value).__name__}")


def record_float(record: str, parts: Iterable[str | int], width: int) -> EncodeError:
    """The error for a number beyond the largest of a float."""
    return _record_refused(record, parts, f"the number is too large for a float of {8 * width} bits")


def record_size(record: str, parts: Iterable[str | int], size: int, limit: int, unit: str) -> EncodeError:
    """The error for more bytes or items than can be counted; `unit` is "bytes" or "items"."""
    text = f"{size} {unit} are too many: the field before them says at most {limit}"
    return _record_refused(record, parts, text, size, limit)


def record_text(record: str, parts: Iterable[str | int], error: UnicodeEncodeError) -> EncodeError:
    """The error for a string that UTF-8 cannot say."""
    character = error.object[error.start]
    text = f"the character {character!r} at index {error.start} is no text, so it has no UTF-8"
    return _record_refused(record, parts, text)


def record_unset(record: str, parts: Iterable[str | int]) -> EncodeError:
    """The error for a field that was deleted."""
    return _record_refused(record, parts, "it has no value")


def record_changed(record: str, parts: Iterable[str | int]) -> EncodeError:
    """The error for a list that one of its own items changes."""
    return _record_refused(record, parts, "the list was changed while it was packed")


def record_deep(record: str, parts: Iterable[str | int]) -> EncodeError:
    """The error for records that contain each other without an end."""
    return _record_refused(record, parts, f"more than {MOST_LEVELS} records within each other")


def record_items(record: str, parts: Iterable[str | int], typecode: str, value: object) -> EncodeError:
    """The error for a buffer of other items than the field's array has."""
    view = memoryview(value)  # type: ignore[arg-type]
    text = f"items of type {view.format!r} of {view.itemsize} bytes are no array of type {typecode!r}"
    return _record_refused(record, parts, text)


def record_uncountable(record: str) -> DeclarationError:
    """The error for reading several records that may have no bytes."""
    return DeclarationError(f"{record}: it may have no bytes, so nothing limits how many there are")


def bad_offset(offset: int, size: int) -> IndexError:
    """The error for a record outside of the buffer."""
    return IndexError(f"the offset {offset} is not in the buffer of {size} bytes")


def bad_count(count: int) -> ValueError:
    """The error for unpacking less than no record."""
    return ValueError(f"count={count} must be at least 0")


# --- texts of connections ----------------------------------------------------------------------------

# System calls that fail so have lost the connection.
LOST = frozenset(
    {_errno.ECONNRESET, _errno.ECONNABORTED, _errno.EPIPE, _errno.ETIMEDOUT, _errno.ENOTCONN}
    | {_errno.EHOSTUNREACH, _errno.ENETDOWN, _errno.ENETUNREACH, _errno.ESHUTDOWN, _errno.EIO}
)


def closed_here(peer: str) -> ConnectionClosed:
    """The error for using a connection that this side has closed."""
    return ConnectionClosed(f"this connection to {peer} was closed here")


def foreign(peer: str, owner: int) -> ConnectionClosed:
    """The error for using a connection in another process than that which has used it first."""
    return ConnectionClosed(
        f"this connection to {peer} belongs to process {owner}, which used it before the fork"
    )


def write_was_shut() -> ConnectionClosed:
    """The error for sending behind the end."""
    return ConnectionClosed("shutdown_write() was called: this end sends no more")


def lost(peer: str, number: int | None, text: str | None) -> ConnectionLost:
    """The error for a connection that a system call found dead."""
    return ConnectionLost(f"the connection to {peer} is lost: {text}", errno=number)


def silent(peer: str, seconds: float) -> ConnectionLost:
    """The error for a peer that sends no heartbeats."""
    return ConnectionLost(
        f"the connection to {peer} is lost: not a byte for {seconds} s (peer_timeout), and no heartbeat",
        errno=_errno.ETIMEDOUT,
    )


def ended(peer: str) -> EndOfStream:
    """The clean end."""
    return EndOfStream(f"{peer} has ended the stream")


def timed_out(timeout: float, phase: str, what: str) -> Exception:
    """What to raise when a call's time is over: a timeout of 0 asked not to wait at all. But whoever closes
    cannot do it again later."""
    if timeout == 0 and phase != "close":
        return BlockingIOError(_errno.EAGAIN, what)
    return Timeout(f"{what} within {timeout} s", phase=phase)


def slow_frame(peer: str, size: int, seconds: float | None) -> Timeout:
    """The error for a frame that takes longer than it may."""
    return Timeout(
        f"a frame from {peer} is not whole after {seconds} s (frame_timeout), {size} bytes have come",
        phase="frame",
    )


def idle(peer: str, seconds: float) -> Timeout:
    """The error for a peer that sends nothing."""
    return Timeout(f"not a byte from {peer} for {seconds} s (idle_timeout)", phase="idle")


def close_lost(peer: str, size: int, timeout: float) -> Timeout:
    """The error for a close that could not send everything."""
    return Timeout(f"{size} bytes were lost: {peer} did not take them within {timeout} s", phase="close")


def receiving_twice(who: str = "thread") -> ConcurrencyError:
    """The error for a second receiver, a thread or a task."""
    return ConcurrencyError(f"another {who} is receiving from this connection")


def cannot_wait() -> ConcurrencyError:
    """The error for a call that would stop an event loop."""
    return ConcurrencyError("inside an event loop a call must not wait: give it timeout=0")


def inside_itself() -> ConcurrencyError:
    """The error for a callback that uses its own connection."""
    return ConcurrencyError("a callback used its connection in the middle of a call")


def bad_timeout(timeout: object) -> ValueError:
    """The error for a timeout that cannot be."""
    return ValueError(f"timeout={timeout!r} must be None, 0 or more seconds")


def bad_limit(limit: int) -> ValueError:
    """The error for a batch of nothing."""
    return ValueError(f"limit={limit} must be at least 1")


def bad_reserve(size: int) -> ValueError:
    """The error for reserving less than nothing."""
    return ValueError(f"reserve({size}): the size must be at least 0 bytes")


def bad_commit(size: int, reserved: int) -> ValueError:
    """The error for committing what was not reserved; `reserved` is -1 where nothing was."""
    what = "nothing" if reserved < 0 else f"{reserved} bytes"
    return ValueError(f"commit({size}): reserve() gave {what}")


def no_room(size: int, room: int) -> BufferError:
    """The error for a message that is larger than the buffer it should be received into."""
    return BufferError(f"a message of {size} bytes does not fit into a buffer of {room} bytes")


def detach_unsent(size: int) -> BlockingIOError:
    """The error for detaching from a stream that still owes bytes to its peer."""
    return BlockingIOError(_errno.EAGAIN, f"{size} bytes are unsent: flush() first")


def detach_uncut(count: int) -> BlockingIOError:
    """The error for detaching from a stream of which messages were cut and not yet taken."""
    return BlockingIOError(_errno.EAGAIN, f"{count} messages were cut already: receive them first")


# --- texts of TLS -------------------------------------------------------------------------------------


def unclean_end(peer: str, partial: bytes, needed: int, offset: int, index: int) -> Truncated:
    """The error for a TLS stream that ended without close_notify."""
    inside = f", inside a frame of which {len(partial)} bytes arrived" if partial else ""
    message = (
        f"{peer} ended the stream without close_notify of TLS, so anybody may have cut it off{inside}; "
        + _place(index, offset, partial)
    )
    return Truncated(message, partial=partial, needed=needed if partial else 0, tls_unclean=True)


def tls_lost(peer: str, what: str, shaken: bool) -> ConnectionLost:
    """The error for what OpenSSL finds wrong, or was told by the peer."""
    where = "" if shaken else " in the TLS handshake"
    remedy = _TLS_REMEDY.get(what, "")
    return ConnectionLost(f"the connection to {peer} is lost{where}: {what}{remedy and '; '}{remedy}")


_TLS_REMEDY = {
    "wrong version number": "the peer's bytes are not TLS: is it the right port?",
    "http request": "the peer's bytes are not TLS but an HTTP request",
    "https proxy request": "the peer's bytes are not TLS but a request to an HTTP proxy",
    "tlsv1 alert unknown ca": "the peer does not know the CA of our certificate",
    "sslv3 alert bad certificate": "the peer refuses our certificate",
    "sslv3 alert certificate expired": "the peer refuses our certificate",
    "tlsv13 alert certificate required": "the peer wants a certificate of ours (load_cert_chain)",
    "peer did not return a certificate": "the context wants one of every client (verify_mode)",
    "no shared cipher": "the contexts of both ends allow no common cipher",
    "unsupported protocol": "the contexts of both ends allow no common version (minimum_version)",
    "tlsv1 alert protocol version": "the contexts of both ends allow no common version (minimum_version)",
    "tlsv1 alert no application protocol": "the contexts of both ends have no common ALPN protocol",
}


def certificate_refused(peer: str, code: int, text: str, server_side: bool) -> str:
    """The text for a certificate that does not prove what it should; `code` is OpenSSL's X509_V_ERR."""
    remedy = _CERTIFICATE_REMEDY.get(code, "")
    if server_side and code in (18, 19, 20, 21):
        remedy = "the CA that signs clients' certificates belongs into the context (load_verify_locations)"
    return f"the certificate of {peer} is refused: {text}{remedy and '; '}{remedy}"


_UNKNOWN_CA = "if the CA is your own, tls=ssl.create_default_context(cafile=...) trusts it"
_CERTIFICATE_REMEDY = {
    9: "is this machine's clock right?",
    10: "the peer must renew it, if this machine's clock is right",
    18: _UNKNOWN_CA,
    19: _UNKNOWN_CA,
    20: _UNKNOWN_CA,
    21: _UNKNOWN_CA,
    62: "server_hostname= gives another name than the address has",
    64: "server_hostname= gives another name than the address has",
}


def tls_interrupted(peer: str) -> ConnectionLost:
    """The error for a stream that cannot be continued without perhaps losing a byte of it."""
    return ConnectionLost(f"the connection to {peer} is lost: a signal handler raised inside of decryption")


def handshake_ended(peer: str) -> ConnectionLost:
    """The error for a peer that goes away before TLS has begun."""
    return ConnectionLost(f"the connection to {peer} is lost: it was ended inside the TLS handshake")


def handshake_late(peer: str, seconds: float | None) -> Timeout:
    """The error for a handshake that takes too long."""
    return Timeout(
        f"the TLS handshake with {peer} was not done within {0 if seconds is None else round(seconds, 3)} s",
        phase="handshake",
    )


def read_ahead(peer: str, size: int) -> MalformedFrame:
    """The error for plaintext that came before TLS: somebody on the way may have put it there."""
    return MalformedFrame(
        f"protocol-violation: {size} bytes from {peer} came in the clear, behind the message that begins "
        "TLS: they are refused, as nobody vouches for them",
        reason="protocol-violation",
    )


def tls_impossible(peer: str, server_side: bool, what: str) -> DeclarationError:
    """The error for a context, or a name, that OpenSSL does not take."""
    role = "server" if server_side else "client"
    remedy = ": server_hostname= says which name" if "check_hostname requires" in what else ""
    return DeclarationError(f"TLS with {peer} as {role} cannot be: {what}{remedy}")


def bad_tls(tls: object, wanted: str) -> DeclarationError:
    """The error for what is no `tls=`."""
    return DeclarationError(f"tls={tls!r}: wanted is {wanted}")


def tls_already(peer: str) -> DeclarationError:
    """The error for TLS inside TLS."""
    return DeclarationError(f"start_tls(): the connection to {peer} is TLS already")


def not_connected() -> DeclarationError:
    """The error for TLS before there is a stream."""
    return DeclarationError("start_tls(): there is no connection yet, connection_made() comes first")


def tls_over(peer: str) -> DeclarationError:
    """The error for an SSLSocket without TLS."""
    return DeclarationError(f"the ssl.SSLSocket to {peer} is not connected, or its TLS has been ended")


def cannot_halve(peer: str) -> DeclarationError:
    """The error for ending one direction of an SSLSocket."""
    return DeclarationError(
        f"shutdown_write(): the connection to {peer} is an ssl.SSLSocket, which loses what comes while it "
        "says the end: give the plain socket, with connect(sock, framing, tls=context) or start_tls(context)"
    )


def detach_tls(peer: str) -> DeclarationError:
    """The error for taking back a stream whose keys are here."""
    return DeclarationError(
        f"detach(): the connection to {peer} is TLS, and the socket alone means nothing without its keys: "
        "close() it"
    )
