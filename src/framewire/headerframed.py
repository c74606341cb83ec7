"""A record with a `size` as a framing: the record says where its size stands and what that counts."""

from __future__ import annotations

from ._framing import MIB
from ._lowering import is_record, is_steady, least_of, lowered
from .errors import DeclarationError
from .fields import CONST, NAMED, SIZE, UINT, LengthType
from .framings import LengthPrefixed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .records import Record

__all__ = ["HeaderFramed"]


def HeaderFramed(
    header: type[Record],
    *,
    max_frame: int | None = MIB,
    on_too_large: str = "fail",
    eof: str = "error",
) -> LengthPrefixed:
    """The framing of records that say how long they are: a frame is a whole record.

    `header` is a record class with a `size` field, and with nothing of varying width in front of it. What
    that counts, and the constants in front, make a LengthPrefixed that does not strip; the other options are
    its own. With `codec=Messages(header)` a connection sends and receives such records; without, their bytes.
    TypeError for what is no record class, DeclarationError for one that cannot say how long it is.

    >>> import framewire as fw
    >>> class Frame(fw.Record):
    ...     kind: fw.u8
    ...     length: int = fw.size(fw.u32, plus=4)
    ...     body: fw.rest
    >>> fw.HeaderFramed(Frame)
    LengthPrefixed(u32, offset=1, counts='rest', adjust=-4, strip=False)
    >>> wire = Frame(81, b"select 1").pack() + Frame(88, b"").pack()
    >>> [Frame.unpack(frame) for frame in fw.HeaderFramed(Frame).decoder().decode(wire)]
    [Frame(kind=81, body=b'select 1'), Frame(kind=88, body=b'')]
    """
    if not is_record(header):
        raise TypeError(f"HeaderFramed: header must be a record class, not {header!r}")
    layout = lowered(header)
    offset = 0
    magic: list[tuple[int, bytes]] = []
    for name, kind in layout.types:
        where = f"HeaderFramed: {header.__name__}.{name}"
        if kind[0] == SIZE:
            number = _length_type(layout.given[name].length, layout.little)
            options: Any = {"offset": offset, "counts": "rest", "adjust": -kind[6], "magic": tuple(magic)}
            options |= {"max_frame": max_frame, "on_too_large": on_too_large, "eof": eof}
            return LengthPrefixed(number, strip=False, **options)
        if not is_steady(kind):
            raise DeclarationError(
                f"{where}: its width varies, so the size behind it has no place of its own"
            )
        if kind[0] == CONST:
            magic.append((offset, kind[3]))
        offset += least_of(kind)
    raise DeclarationError(f"HeaderFramed: {header.__name__} has no size, so it does not say where it ends")


def _length_type(number: LengthType, little: bool) -> LengthType:
    """The type of the size, in the byte order of its class."""
    swaps = little and number.spec[0] == UINT and number.spec[1] > 1 and not number.spec[2]
    return NAMED[f"{number.text}le"] if swaps else number
