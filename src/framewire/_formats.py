"""What is wrong with a call of `Struct`, told from its format: the texts that both backends raise.

Only what failed comes here, so the format is read again, in Python. An item is what takes one value: its
code, its offset and its size in bytes.
"""

from __future__ import annotations

import re
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS = "><!="
SIZES = dict(zip("xcbB?hHiIlLqQefdsp", (1, 1, 1, 1, 1, 2, 2, 4, 4, 4, 4, 8, 8, 2, 4, 8, 1, 1)))
_MOST = (1 << 63) - 1
_RUN = re.compile(r"[ \t\n\v\f\r]*(?:(\d*)(\D)|(\d+)$)", re.ASCII)


def bad_type(format: object) -> TypeError:
    """The format is neither text nor bytes."""
    return TypeError(f"Struct() argument 1 must be a str or bytes object, not {type(format).__name__}")


def bad_format(format: str) -> struct.error:
    """No format of standard sizes."""
    where = f"Struct({format!r})"
    if format[:1] not in tuple(ORDERS):
        return struct.error(f"{where}: native sizes are not for the wire: begin with > ! < or =")
    size = 0
    for run in _RUN.finditer(format.rstrip(" \t\n\v\f\r"), 1):
        count, code, alone = run.groups()
        if alone:
            return struct.error(f"{where}: a repeat count without a code behind it, at {run.start(3)}")
        if code in "nNP":
            return struct.error(f"{where}: {code!r} at {run.start(2)} has a native size only")
        if code not in SIZES:
            return struct.error(f"{where}: {code!r} at {run.start(2)} is no code")
        size += int(count or 1) * SIZES[code]
        if size > _MOST:
            break
    return struct.error(f"{where}: more bytes than there can be, {size}")


def _runs(format: str) -> Iterator[tuple[str, int, int, int]]:
    """(code, how many items, size of one, offset) of each code of a good format, in turn."""
    offset = 0
    for run in _RUN.finditer(format.rstrip(" \t\n\v\f\r"), 1):
        count, code = int(run[1] or 1), run[2]
        size = SIZES[code]
        if code in "sp":
            count, size = 1, count
        if code != "x":
            yield code, count, size, offset
        offset += count * size


def count(format: str) -> int:
    """How many values a good format takes."""
    return sum(items for _, items, _, _ in _runs(format))


def codes(format: str) -> Iterator[str]:
    """The code of each item of a good format, in turn."""
    for code, items, _, _ in _runs(format):
        for _ in range(items):
            yield code


def item(format: str, index: int) -> tuple[str, int]:
    """(code, offset) of the item `index`."""
    for code, count, size, offset in _runs(format):
        if index < count:
            return code, offset + index * size
        index -= count
    raise IndexError(index)


def bad_count(format: str, call: str, count: int, given: int) -> struct.error:
    """The wrong number of values."""
    return struct.error(f"Struct({format!r}).{call}: {count} values needed, {given} given")


class _Indexed:
    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


def _kind(order: str, code: str, number: int) -> type[Exception]:
    """What `struct` raises for an object whose `__index__` gives this: up to 3.11, at times OverflowError."""
    try:
        struct.pack(order + code, _Indexed(number))
    except Exception as error:
        return type(error)
    return struct.error


def bad_value(format: str, call: str, index: int, value: object, number: int | None = None) -> Exception:
    """A value that its item cannot hold; `number` is what its `__index__` gave, if it is no int itself."""
    code, offset = item(format, index)
    cls = type(value)
    kind: type[Exception] = struct.error
    if number is not None:
        value, kind = number, _kind(format[0], code, number)
    if code == "c":
        reason = f"a bytes object of length 1 is needed, not {cls.__name__}"
        if isinstance(value, bytes):
            reason += f" of length {len(value)}"
    elif code in "sp":
        reason = f"a bytes object is needed, not {cls.__name__}"
    elif code in "efd":
        huge = isinstance(value, int)
        reason = "the number is too large" if huge else f"a float is needed, not {cls.__name__}"
    elif isinstance(value, int):
        bits = 8 * SIZES[code] - code.islower()
        low, high = (-(1 << bits) if code.islower() else 0), (1 << bits) - 1
        large = value.bit_length() > 256
        shown = f"an integer of {value.bit_length()} bits" if large else int.__repr__(value)
        reason = f"{shown} is not in {low}..{high}"
    else:
        reason = f"an int is needed, not {cls.__name__}"
    return kind(f"Struct({format!r}).{call}: value {index} ({code!r} at offset {offset}): {reason}")


def bad_float(format: str, call: str, index: int) -> OverflowError:
    """A float that is too large for 16 or 32 bits; an int would be no OverflowError."""
    code, offset = item(format, index)
    return OverflowError(
        f"Struct({format!r}).{call}: value {index} ({code!r} at offset {offset}): "
        f"the number is too large for a float of {8 * SIZES[code]} bits"
    )


def bad_size(format: str, size: int, given: int) -> struct.error:
    """A buffer of another size than that of the format."""
    return struct.error(f"Struct({format!r}).unpack: {size} bytes needed, {given} given")


def bad_place(format: str, call: str, size: int, offset: int, length: int) -> struct.error:
    """An offset at which the buffer does not have the bytes."""
    where = f"Struct({format!r}).{call}"
    if -length <= offset <= length:
        left = -offset if offset < 0 else length - offset
        return struct.error(f"{where}: {size} bytes needed at offset {offset}, {left} left")
    return struct.error(f"{where}: the offset {offset} is not in the buffer of {length} bytes")


def bad_multiple(format: str, size: int, given: int) -> struct.error:
    """A buffer that cannot be cut into structs."""
    return struct.error(f"Struct({format!r}).iter_unpack: a multiple of {size} bytes needed, {given} given")


def uncountable(format: str) -> struct.error:
    """Structs that no buffer can be cut into."""
    return struct.error(f"Struct({format!r}).iter_unpack: structs without bytes have no number")
