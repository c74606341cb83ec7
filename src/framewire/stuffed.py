"""Byte-stuffed framings, for serial lines: SLIP, HDLC and COBS."""

from __future__ import annotations

from ._framing import COBS_, COMMON, HDLC_, MIB, SLIP_, Framing, need_strip, no_delivery, policies
from .errors import DeclarationError
from .fields import need_bool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SLIP", "HDLC", "COBS"]


class _Stuffed(Framing):
    """What SLIP, HDLC and COBS share: a frame ends with one byte that its stuffed content never holds."""

    __slots__ = ()
    _kind = 0

    def _settle(self, option: int, strip: bool | None, least: int, given: tuple[Any, ...]) -> None:
        where = type(self).__name__
        limit, skip, eof = policies(where, *given[-3:])
        no_delivery(where, eof)
        keep = need_strip(where, strip) is False
        self._freeze(given, (self._kind, limit, skip, eof, least, not keep, option))


class SLIP(_Stuffed):
    """Serial line IP: frames end with C0, and DB DC, DB DD stand for C0 and DB inside them.

    `max_frame` limits the content. A lone C0 is idle fill. A broken frame is MalformedFrame once, in its
    place, and the stream goes on behind it. `strip=False` keeps frames stuffed, C0 included. An empty message
    cannot be carried. Text form `slip`. (RFC 1055.)

    >>> from framewire import SLIP
    >>> SLIP().encode(b"a\\xc0b")
    b'a\\xdb\\xdcb\\xc0'
    >>> SLIP().decoder().decode(b"\\xc0one\\xc0\\xc0two\\xc0thr")
    [b'one', b'two']
    """

    __slots__ = ()
    _kind = SLIP_
    _parameters = (("strip", None), *COMMON)

    def __init__(
        self,
        *,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        self._settle(0, strip, 2, (strip, max_frame, on_too_large, eof))

    def _name(self) -> str:
        return "slip"


class HDLC(_Stuffed):
    """HDLC-like framing: frames end with 7E, and 7D stands before a byte whose sixth bit is flipped.

    `fcs` is None, 16 or 32: the check sequence that is verified, taken off and written (bad-checksum). An
    aborted frame (7D 7E) and one too short for its check sequence are forgotten in silence, a lone 7E is idle
    fill; otherwise as `SLIP`. Only 7D and 7E are escaped when writing. Text form `hdlc`, `hdlc,fcs=16`.
    (RFC 1662; ISO/IEC 13239.)

    >>> from framewire import HDLC
    >>> HDLC(fcs=16).encode(b"hi~")
    b'hi}^\\xf7-~'
    >>> HDLC(fcs=16).decoder().decode(b"~hi}^\\xf7-~aborted}~")
    [b'hi~']
    """

    __slots__ = ()
    _kind = HDLC_
    _parameters = (("fcs", None), ("strip", None), *COMMON)

    def __init__(
        self,
        *,
        fcs: int | None = None,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        if fcs not in (None, 16, 32):
            raise DeclarationError(f"HDLC: fcs={fcs!r} must be None, 16 or 32")
        size = (fcs or 0) // 8
        self._settle(size, strip, size + 1 if size else 2, (fcs, strip, max_frame, on_too_large, eof))

    def _name(self) -> str:
        return "hdlc"


class COBS(_Stuffed):
    """Consistent overhead byte stuffing: frames end with 00, at the cost of one byte in 254.

    `reduced` means COBS/R, which saves the last code byte where it can. A lone 00 is idle fill, 01 00 an
    empty message. Otherwise as `SLIP`. Text form `cobs`, `cobs,reduced=true`.
    (S. Cheshire and M. Baker, Consistent Overhead Byte Stuffing, IEEE/ACM Transactions on Networking, 1999;
    COBS/R: C. McQueen, 2010.)

    >>> from framewire import COBS
    >>> COBS().encode(b"a\\0b"), COBS().encode(b"")
    (b'\\x02a\\x02b\\x00', b'\\x01\\x00')
    >>> COBS().decoder().decode(b"\\x02a\\x02b\\0\\0")
    [b'a\\x00b']
    """

    __slots__ = ()
    _kind = COBS_
    _parameters = (("reduced", False), ("strip", None), *COMMON)

    def __init__(
        self,
        *,
        reduced: bool = False,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        need_bool("COBS", "reduced", reduced)
        self._settle(int(reduced), strip, 2, (reduced, strip, max_frame, on_too_large, eof))

    def _name(self) -> str:
        return "cobs"
