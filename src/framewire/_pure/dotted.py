"""Dot-stuffed text in Python, the twin of csrc/fw_dotted.c: lines that end with a line of one dot, as SMTP,
POP3 and NNTP send them (RFC 5321, section 4.5.2). The CRLF in front of that line belongs to the body."""

from __future__ import annotations

from .. import errors
from .plan import DOTTED, LEAVES, TOO_LARGE, Fault, Scanned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .plan import Bytes, Cut, Wire

LAST_LINE = b".\r\n"


class Dotted(Scanned):
    def __init__(self, plan: tuple[Any, ...]) -> None:
        super().__init__(plan)
        self.joins = bool(self.strip)
        # A line that needs a dot has three bytes at least.
        self.reach = self.limit + self.limit // 3 + len(LAST_LINE)
        self.loop = None

    def cut(self, data: Bytes, at: int, size: int, scanned: int) -> Cut:
        first = data[at : min(size, at + 3)]
        if first == LAST_LINE[: len(first)]:
            # An empty body, or as much of one as is there.
            if len(first) < 3:
                return len(first) - 3
            end = at + 3
        else:
            end, _ = self.find(data, at, at + scanned, min(size, at + self.reach))
        if not end:
            if size - at >= self.reach:
                raise Fault(TOO_LARGE, 0, self.reach, None, 0)
            return -self.find_need(data[max(at, size - self.longest) : size])
        body = end - 3
        if body - at > self.limit < len(self.extract(bytes(data[at:body]))):
            raise Fault(TOO_LARGE, 0, end - at, None, 0)
        return at, body if self.strip else end, end

    def extract(self, raw: bytes) -> bytes:
        """The body without the dots that were added."""
        return (b"\r\n" + raw).replace(b"\r\n.", b"\r\n")[2:]

    def measure(self, message: Bytes, size: int) -> Wire:
        message = bytes(message)
        if self.strip:
            if size > self.limit:
                raise errors.encode_too_large(size, self.limit)
            if message and message[-2:] != b"\r\n":
                raise errors.encode_line(size)
            return 0, (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:] + LAST_LINE, size, b""
        try:
            found = self.cut(message, 0, size, 0)
        except Fault:
            raise errors.encode_too_large(size, self.limit) from None
        if type(found) is int:
            raise errors.encode_unterminated(size)
        end: int = found[2]  # type: ignore[index, misc]
        if end != size:
            raise errors.encode_delimiter(end - 3, LAST_LINE, size)
        return size, b"", size, b""


LEAVES[DOTTED] = Dotted
