"""Frames between a start and an end mark: MLLP, STX/ETX with DLE, JSON text sequences, GDB packets."""

from __future__ import annotations

from ._framing import COMMON, ENCLOSED_, MIB, NO_LIMIT, REQUIRED, Framing, need_strip, no_delivery, policies
from .errors import DeclarationError
from .fields import escape_bytes, need_bool, need_bytes, need_choice, need_int

__all__ = ["Enclosed"]

NOISE_LIMIT = 65536


class Enclosed(Framing):
    """Frames from a `start` mark to an `end` mark, any bytes of any length up to 255.

    - `escape`: one byte that stands before every byte of a body that begins a mark, and before itself; any
      byte behind it is taken as data. `escape_xor` is what such a byte is xored with. A mark may begin with
      the escape byte (DLE STX, DLE ETX). Without `escape`, encoding refuses a body that a mark would cut.
    - `noise`: bytes between two frames. "skip": up to `noise_limit` bytes (None: any number) are passed over
      until a frame starts, and the stream may end there; one more is bad-magic. "error": so is the first.
    - `restart`: a start mark inside a frame ends it, as MalformedFrame once, in its place, and begins the
      next; one right behind another is fill. Without it, it is data.
    - `trailer`: so many bytes of any value behind the end mark, for a checksum, which is yours to verify,
      over the bytes as they were sent: frames are delivered whole then.
    - `strip=False` keeps marks and escapes in the frame, and takes frames that have them.

    `max_frame` limits the body. An unfinished frame is never delivered.

    MLLP is `Enclosed(b"\\x0b", b"\\x1c\\r")`. JSON text sequences (RFC 7464), of texts without line breaks,
    are `Enclosed(b"\\x1e", b"\\n", restart=True)`. GDB's packets are `Enclosed(b"$", b"#", escape=b"}",
    escape_xor=0x20, trailer=2)`, and the bare `+` and `-` between them noise; `framewire.protocols.GDB`
    delivers those too, as frames of one byte, by `Tagged`. Text form `enclosed:\\x02|\\x03`.

    >>> from framewire import Enclosed
    >>> Enclosed(b"\\x02", b"\\x03", escape=b"\\x10").encode(b"a\\x03b")
    b'\\x02a\\x10\\x03b\\x03'
    >>> Enclosed(b"\\x0b", b"\\x1c\\r").decoder().decode(b"\\r\\n\\x0bMSH|1\\x1c\\r\\x0bMSH|2")
    [b'MSH|1']
    """

    __slots__ = ()
    _parameters = (
        ("start", REQUIRED),
        ("end", REQUIRED),
        ("escape", None),
        ("escape_xor", 0),
        ("noise", "skip"),
        ("noise_limit", NOISE_LIMIT),
        ("restart", False),
        ("trailer", 0),
        ("strip", None),
        *COMMON,
    )

    def __init__(
        self,
        start: bytes,
        end: bytes,
        *,
        escape: bytes | None = None,
        escape_xor: int = 0,
        noise: str = "skip",
        noise_limit: int | None = NOISE_LIMIT,
        restart: bool = False,
        trailer: int = 0,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "Enclosed"
        for name, mark in (("start", start), ("end", end)):
            if not 1 <= len(need_bytes(where, name, mark)) <= 255:
                raise DeclarationError(f"{where}: {name} has 1 to 255 bytes, not {len(mark)}")
        need_int(where, "escape_xor", escape_xor, 0, 255)
        self._check_escape(start, end, escape, escape_xor)
        need_choice(where, "noise", noise, ("skip", "error"))
        allowed = (
            NO_LIMIT if noise_limit is None else need_int(where, "noise_limit", noise_limit, 1, NO_LIMIT)
        )
        if noise == "error":
            if noise_limit != NOISE_LIMIT:
                raise DeclarationError(f"{where}: noise_limit goes with noise='skip'")
            allowed = 0
        if need_bool(where, "restart", restart) and (start in end[: len(start)] or end in start):
            raise DeclarationError(
                f"{where}: restart needs marks of which none is the beginning of the other"
            )
        need_int(where, "trailer", trailer, 0, 255)
        keep = need_strip(where, strip) is False or trailer > 0
        if strip and trailer:
            raise DeclarationError(f"{where}: strip=True would lose the trailer: leave strip out")
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        no_delivery(where, eof)
        least = len(start) + len(end) + trailer
        self._freeze(
            (
                *(start, end, escape, escape_xor, noise, noise_limit, restart, trailer, strip),
                *(max_frame, on_too_large, eof),
            ),
            (
                *(ENCLOSED_, limit, skip, eof, least, not keep),
                *(start, end, escape or b"", escape_xor, allowed, restart, trailer),
            ),
        )

    @staticmethod
    def _check_escape(start: bytes, end: bytes, escape: bytes | None, escape_xor: int) -> None:
        if escape is None:
            if escape_xor:
                raise DeclarationError("Enclosed: escape_xor without escape")
            return
        if len(need_bytes("Enclosed", "escape", escape)) != 1:
            raise DeclarationError(f"Enclosed: escape is one byte, not {len(escape)}")
        written = {byte ^ escape_xor for byte in (escape[0], start[0], end[0])}
        for name, mark in (("start", start), ("end", end)):
            if mark == escape or (mark[:1] == escape and mark[1] in written):
                raise DeclarationError(f"Enclosed: {name}={mark!r} cannot be told from escaped data")

    def _name(self) -> str:
        return f"enclosed:{escape_bytes(self.start)}|{escape_bytes(self.end)}"
