"""Messages as dumps that also show what the framing put around them: the header in front, the trailer behind.

To see it, a dump's stream is cut into whole frames, and each frame into its message once more.
"""

from __future__ import annotations

from ..errors import DeclarationError
from ..explain import body_of
from ..framings import Preamble, Tagged
from .report import CYAN, hexdump, painted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..framings import Framing

__all__ = ["Dumper", "dump"]


def whole(framing: Framing) -> Framing:
    """The framing that cuts a stream alike, and delivers frames with all that belongs to them.

    >>> from framewire import Lines, Preamble
    >>> whole(Lines(max_frame=9))
    Lines(strip=False, max_frame=9)
    >>> whole(Preamble(Lines(), Lines())).then
    Lines(strip=False)
    """
    if isinstance(framing, Preamble):
        return framing.replace(first=whole(framing.first), then=whole(framing.then))  # type: ignore[no-any-return]
    if isinstance(framing, Tagged):
        table = {tag: whole(part) for tag, part in framing.table}
        default = None if framing.default is None else whole(framing.default)
        return framing.replace(table=table, default=default)  # type: ignore[no-any-return]
    if not hasattr(framing, "strip"):
        return framing
    try:
        return framing.replace(strip=False)  # type: ignore[no-any-return]
    except DeclarationError:
        return framing


def dump(title: str, message: bytes, header: bytes = b"", trailer: bytes = b"") -> bytes:
    """`title`, then a message in hex and ASCII between what its framing put around it."""
    return _lines(title, message, header, trailer, 0, False)


def _lines(title: str, message: bytes, header: bytes, trailer: bytes, kept: int, color: bool) -> bytes:
    """`kept`: so many bytes of the message are the framing's header. They are coloured as headers are."""
    body = hexdump(message)
    if color:
        for number, start in enumerate(range(0, kept, 16)):
            line, size = body[number], min(kept - start, 16)
            cut = line.index("|") + 1
            hexed, shown = slice(10, 10 + 3 * size - 1 + (size > 8)), slice(cut, cut + size)
            body[number] = (
                line[:10]
                + painted(line[hexed], CYAN, True)
                + line[hexed.stop : cut]
                + painted(line[shown], CYAN, True)
                + line[shown.stop :]
            )
    before, behind = (
        [painted(f"{name:>8}{line[8:]}", CYAN, color) for line in hexdump(data)]
        for name, data in (("header", header), ("trailer", trailer))
    )
    return "\n".join([title, *before, *body, *behind, ""]).encode("ascii")


class Dumper:
    """Shows the frames of a stream that `whole(framing)` cuts: writes them, as the other formats do.

    >>> from framewire import Netstring
    >>> show = Dumper(Netstring(), color=False)
    >>> print(show(1, 0, b"5:hello,").decode(), end="")
    #1 5 bytes @0
      header  35 3a                                             |5:|
           0  68 65 6c 6c 6f                                    |hello|
     trailer  2c                                                |,|
    """

    def __init__(self, framing: Framing, color: bool) -> None:
        self._framing, self._color = framing, color

    def __call__(self, number: int, offset: int, frame: bytes, came: str = "", where: str = "") -> bytes:
        """Frame `number`, from 1, of the stream: `came` says in which direction, `where` on what."""
        framing, index = self._framing, number - 1
        while isinstance(framing, Preamble):
            first = index < framing.count
            index -= framing.count
            framing = framing.first if first else framing.then
        message, kept = frame, 0
        start, stop = body_of(framing, frame) or (0, len(frame))
        if isinstance(framing, Tagged) or hasattr(framing, "strip"):
            decoder = framing.decoder()
            message = next(iter(decoder.decode(frame) or decoder.feed_eof()), frame)
        if message == frame:
            kept, start, stop = start, 0, len(frame)
        title = f"#{number} {came}{len(message)} bytes @{offset}{where}"
        return _lines(title, message, frame[:start], frame[stop:], kept, self._color)
