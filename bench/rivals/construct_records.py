"""construct, compiled: the same bytes out of dicts, and containers with attributes out of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import construct as c

PACKAGE = "construct"

HEADER = c.Struct(
    "version" / c.Int8ub,
    "kind" / c.Int8ub,
    "flags" / c.Int16ub,
    "sequence" / c.Int32ub,
    "stamp" / c.Int64ub,
    "gain" / c.Float64b,
)
ITEM = c.Struct("port" / c.Int16ub, "address" / c.Int32ub, "load" / c.Float64b)
TEXT = c.PascalString(c.Int16ub, "utf8")
NUMBERS = "values" / c.PrefixedArray(c.Int32ub, c.Int32ub)
LAYOUTS = {
    "a": HEADER,
    "b": c.Struct("name" / TEXT, "topic" / TEXT, NUMBERS),
    "c": c.Struct(NUMBERS),
    "d": c.Struct("header" / HEADER, "items" / c.PrefixedArray(c.Int16ub, ITEM)),
    "e": c.Struct("values" / c.PrefixedArray(c.Int32ub, c.VarInt)),
}


def calls(case: str, record: Any) -> tuple[Callable[[], bytes], Callable[[], Any]]:
    """What packs the values of `record`, and what unpacks the bytes of that."""
    layout = LAYOUTS[case].compile()
    values = record.asdict()
    data = layout.build(values)
    return lambda: layout.build(values), lambda: layout.parse(data)


def plain(value: Any) -> Any:
    """What was unpacked, as a record's `astuple` shows it."""
    if isinstance(value, c.Container):
        return tuple(plain(one) for key, one in value.items() if key != "_io")
    return [plain(one) for one in value] if isinstance(value, list) else value
