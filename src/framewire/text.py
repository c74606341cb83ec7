"""Framings whose headers are lines of text: header blocks with a length field, and chunks."""

from __future__ import annotations

from ._framing import CHUNKED, COMMON, HEADERS, MIB, REQUIRED, Framing, need_strip, no_delivery, policies
from .errors import DeclarationError
from .fields import need_bool, need_choice, need_int

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["HeaderBlock", "Chunked"]

_MISSING = ("error", "empty", "nul")
_STYLES = ("netconf", "http")
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MOST_HEADER = 1 << 30


class HeaderBlock(Framing):
    """Header lines, an empty line, and a body whose size one of the header fields says: LSP, DAP, SIP, STOMP.

    `field` is that field's name, in any case; its value is digits 0-9 with white space around them. A field
    that stands twice must say the same number (bad-length). Every line is `NAME: VALUE` and ends with CR LF;
    a lone LF is bad-terminator, unless `bare_lf` allows it beside CR LF. NUL, a lone CR, white space in front
    of the colon and folded lines are protocol-violation. More than `max_header` bytes of header, its empty
    line included, are too; `max_frame` limits the body.

    - `start_line`: in front of the fields stands one line of any form, such as a request; empty lines between
      frames are fill.
    - `missing`: a header without the field is an `"error"` (bad-length), or has an `"empty"` body, or with
      `"nul"` the first NUL ends its body, and one stands behind every other body too.
    - `strip`: True: a frame is the body, and encoding writes the length alone; False: the whole frame. None:
      True without a start line, with which it cannot be.

    A whole frame must say its own length, or 0, which encoding fills in. `eof="deliver"` cannot be.
    Text form `header-block`. (LSP 3.17 Base Protocol; RFC 3261 section 18.3; STOMP 1.2 Frame Body.)

    >>> from framewire import HeaderBlock
    >>> HeaderBlock().encode(b"{}")
    b'Content-Length: 2\\r\\n\\r\\n{}'
    >>> HeaderBlock().decoder().decode(b"Content-Type: x\\r\\ncontent-length:2\\r\\n\\r\\n{}Cont")
    [b'{}']
    """

    __slots__ = ()
    _parameters = (
        ("field", "Content-Length"),
        ("start_line", False),
        ("bare_lf", False),
        ("missing", "error"),
        ("max_header", 8192),
        ("strip", None),
        *COMMON,
    )

    def __init__(
        self,
        field: str = "Content-Length",
        *,
        start_line: bool = False,
        bare_lf: bool = False,
        missing: str = "error",
        max_header: int = 8192,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "HeaderBlock"
        if not isinstance(field, str):
            raise TypeError(f"{where}: field must be a str, not {type(field).__name__}")
        if not 1 <= len(field) <= 100 or not _TOKEN.issuperset(field):
            raise DeclarationError(
                f"{where}: field={field!r} must be a name of 1 to 100 letters, digits and !#$%&'*+-.^_`|~"
            )
        need_bool(where, "start_line", start_line)
        need_bool(where, "bare_lf", bare_lf)
        need_choice(where, "missing", missing, _MISSING)
        line_end = 1 if bare_lf else 2
        # ": ", 19 digits, CR LF twice; a start line of one byte
        need_int(where, "max_header", max_header, len(field) + 25 + 3 * start_line, _MOST_HEADER)
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        no_delivery(where, eof)
        need_strip(where, strip)
        if strip and start_line:
            raise DeclarationError(
                f"{where}: strip=True cannot be with start_line: encode could not write one"
            )
        least = line_end + (1 + line_end) * start_line
        least += len(field) + 2 + line_end if missing == "error" else missing == "nul"
        self._freeze(
            (field, start_line, bare_lf, missing, max_header, strip, max_frame, on_too_large, eof),
            (
                HEADERS,
                limit,
                skip,
                eof,
                least,
                not start_line if strip is None else strip,
                field.encode(),
                start_line,
                bare_lf,
                _MISSING.index(missing),
                max_header,
            ),
        )

    def _name(self) -> str:
        return "header-block"


class Chunked(Framing):
    """Messages in chunks, each with its size in front; a frame is the joined chunks.

    - `style="netconf"`: `LF # SIZE LF` and so many bytes, at last `LF ## LF` (RFC 6242 section 4.2). No
      leading zero, at most 4294967295; there is at least one chunk, so an empty message cannot be carried.
    - `style="http"`: `SIZE CR LF`, so many bytes and CR LF, at last a size of 0, header lines and an empty
      line (RFC 9112 section 7.1). Sizes are hexadecimal, at most 16 digits; what stands behind one on its
      line, and the header lines at the end, are discarded, unless `strip=False` keeps the frame as it came.

    `max_frame` limits the joined bytes, `max_header` all others, and with them the number of chunks: more are
    protocol-violation. Encoding writes one chunk. As nothing says where a frame that is too large ends,
    `on_too_large="skip"` cannot be, and neither can `eof="deliver"`. Text forms `chunked:netconf`,
    `chunked:http`.

    >>> from framewire import Chunked
    >>> Chunked("netconf").encode(b"<ok/>")
    b'\\n#5\\n<ok/>\\n##\\n'
    >>> Chunked("http").decoder().decode(b"3\\r\\nabc\\r\\n2;x=y\\r\\nde\\r\\n0\\r\\n\\r\\n")
    [b'abcde']
    """

    __slots__ = ()
    _parameters = (("style", REQUIRED), ("max_header", 65536), ("strip", None), *COMMON)

    def __init__(
        self,
        style: str,
        *,
        max_header: int = 65536,
        strip: bool | None = None,
        max_frame: int | None = MIB,
        on_too_large: str = "fail",
        eof: str = "error",
    ) -> None:
        where = "Chunked"
        need_choice(where, "style", style, _STYLES)
        need_int(where, "max_header", max_header, 32, _MOST_HEADER)
        limit, skip, eof = policies(where, max_frame, on_too_large, eof)
        no_delivery(where, eof)
        if skip:
            raise DeclarationError(
                f"{where}: on_too_large='skip' cannot be: nothing says where a frame that is too large ends"
            )
        http = style == "http"
        given: tuple[Any, ...] = (style, max_header, strip, max_frame, on_too_large, eof)
        plan = (CHUNKED, limit, skip, eof, 5 if http else 9, need_strip(where, strip) is not False, http)
        self._freeze(given, (*plan, max_header))

    def _name(self) -> str:
        return f"chunked:{self.style}"
