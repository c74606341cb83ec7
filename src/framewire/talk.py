"""Framings of text protocols that talk in lines: LineCounted (NATS, memcached, beanstalkd), RESP (Redis) and
FIX. All of them deliver whole frames, and take whole frames to send."""

from __future__ import annotations

from ._framing import COMMON, FIX_, LINE_COUNTED, MIB, REQUIRED, RESP_, Framing, no_delivery, policies
from .errors import DeclarationError
from .fields import escape_bytes, need_bool, need_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["LineCounted", "RESP", "FIX"]

_FAR = 255  # words of a line


class LineCounted(Framing):
    """Lines that end with CRLF, some of which announce a body: NATS, memcached's text protocol, beanstalkd.

    `verbs` maps the first word of such a line to the index of the word that counts the body's bytes, negative
    from the end: `{b"set": 4}`, `{b"PUB": -1}`. Behind the body stands CRLF. Every other line is a frame by
    itself. Frames are delivered whole, with every CRLF. Words are separated by spaces or tabs;
    `ignore_case` means the verbs' ASCII letters, as in NATS. `max_frame` limits bodies, `max_line` lines,
    both without CRLF. A count of anything but 1 to 18 plain digits, without leading zero, is bad-length, LF
    without CR bad-terminator, a longer line protocol-violation.

    A message to send is a whole frame; a count of 0 with a body behind it is filled in. Text form
    `line-counted:set=4|PUB=-1`.

    >>> from framewire import LineCounted
    >>> nats = LineCounted({b"PUB": -1, b"MSG": -1}, ignore_case=True)
    >>> nats.decoder().decode(b"PING\\r\\nPUB greet 5\\r\\nhello\\r\\nPO")
    [b'PING\\r\\n', b'PUB greet 5\\r\\nhello\\r\\n']
    >>> nats.encode(b"PUB greet 0\\r\\nhello\\r\\n")
    b'PUB greet 5\\r\\nhello\\r\\n'
    """

    __slots__ = ()
    _parameters = (("verbs", REQUIRED), ("ignore_case", False), ("max_line", 8192), *COMMON)

    def __init__(
        self,
        verbs: Mapping[bytes, int],
        *,
        ignore_case: bool = False,
        max_line: int = 8192,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "LineCounted"
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        no_delivery(where, eof)
        need_bool(where, "ignore_case", ignore_case)
        need_int(where, "max_line", max_line, 1, MIB)
        rows: dict[bytes, int] = {}
        for verb, index in dict(verbs).items():
            if not isinstance(verb, bytes):
                raise TypeError(f"{where}: a verb must be bytes, not {type(verb).__name__}")
            if not verb or not all(32 < byte < 127 for byte in verb):
                raise DeclarationError(f"{where}: the verb {verb!r} is not a word of printable ASCII")
            need_int(where, f"the index of {verb!r}", index, -_FAR, _FAR)
            if index == 0:
                raise DeclarationError(f"{where}: the index of {verb!r} is 0, which is the verb itself")
            if rows.setdefault(verb.lower() if ignore_case else verb, index) != index:
                raise DeclarationError(f"{where}: {verb!r} twice, with different indexes")
        if not rows:
            raise DeclarationError(f"{where}: without verbs, Delimited(b'\\r\\n') is meant")
        given = (tuple(dict(verbs).items()), ignore_case, max_line, max_frame, on_too_large, eof)
        kind = (LINE_COUNTED, limit, skip, eof, 2)
        self._freeze(given, (*kind, False, max_line, ignore_case, tuple(sorted(rows.items()))))

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        return dict(value) if name == "verbs" else value

    def _name(self) -> str:
        rows = (f"{escape_bytes(verb)}={index}" for verb, index in self.verbs.items())
        return "line-counted:" + "|".join(rows)


class RESP(Framing):
    """The serialization protocol of Redis, versions 2 and 3: requests, replies, pushes, each whole.

    A frame is a simple string, error, integer, null, boolean, double or big number (one line), a bulk string,
    verbatim string or bulk error (counted), or an array, map, set or push with all its elements, nested up to
    `max_depth` levels (1 to 64); attributes belong to what follows them. Contents of lines are not judged.
    Counts are 1 to 18 plain digits, or -1 for the nulls of RESP2. The streamed aggregates of RESP3 (`$?`,
    `*?`), which no server sends, are bad-length, unknown types bad-tag, LF without CR is bad-terminator,
    deeper nesting protocol-violation. `inline=True` also takes lines of plain words, `PING\\r\\n`, as servers
    do. `max_frame` limits whole frames; larger ones cannot be skipped. Messages to send are whole frames.
    Text form `resp`. (https://redis.io/docs/latest/develop/reference/protocol-spec/)

    >>> from framewire import RESP
    >>> RESP().decoder().decode(b"+OK\\r\\n*2\\r\\n$3\\r\\nfoo\\r\\n:7\\r\\n$-1\\r\\n")
    [b'+OK\\r\\n', b'*2\\r\\n$3\\r\\nfoo\\r\\n:7\\r\\n', b'$-1\\r\\n']
    """

    __slots__ = ()
    _parameters = (("max_depth", 64), ("inline", False), *COMMON)

    def __init__(
        self,
        *,
        max_depth: int = 64,
        inline: bool = False,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        limit, skip, eof = policies("RESP", max_frame, on_too_large, eof)
        no_delivery("RESP", eof)
        need_int("RESP", "max_depth", max_depth, 1, 64)
        need_bool("RESP", "inline", inline)
        if skip:
            raise DeclarationError("RESP: on_too_large='skip' cannot be: only walking finds a reply's end")
        given = (max_depth, inline, max_frame, on_too_large, eof)
        self._freeze(given, (RESP_, limit, skip, eof, 2 if inline else 3, False, max_depth, inline))

    def _name(self) -> str:
        return "resp"


class FIX(Framing):
    """The tag=value encoding of the Financial Information eXchange protocol.

    A frame is a whole message: `8=FIX...`, `9=` BodyLength, the fields that it counts, `10=` CheckSum, each
    ended by SOH. Another beginning is bad-magic; BodyLength has 1 to 10 plain digits (bad-length) and must
    end where CheckSum begins (bad-terminator); a CheckSum that does not fit is bad-checksum, raised once, and
    the stream goes on behind the message. `max_frame` limits BodyLength.

    A message to send is a whole one, whose CheckSum is written; or it has the BodyLength 0 and no CheckSum,
    and gets both. Text form `fix`. (FIX TagValue Encoding, FIX Trading Community.)

    >>> from framewire import FIX
    >>> FIX().encode(b"8=FIX.4.4\\x019=0\\x0135=0\\x01")
    b'8=FIX.4.4\\x019=5\\x0135=0\\x0110=163\\x01'
    >>> FIX().decoder().decode(b"8=FIX.4.4\\x019=5\\x0135=0\\x0110=163\\x018=FIX")
    [b'8=FIX.4.4\\x019=5\\x0135=0\\x0110=163\\x01']
    """

    __slots__ = ()
    _parameters = COMMON

    def __init__(
        self, *, max_frame: int | None = MIB, on_too_large: str = "fail", eof: str = "error"
    ) -> None:
        limit, skip, eof = policies("FIX", max_frame, on_too_large, eof)
        no_delivery("FIX", eof)
        self._freeze((max_frame, on_too_large, eof), (FIX_, limit, skip, eof, 17, False))

    def _name(self) -> str:
        return "fix"
