"""What mypy and pyright say about calls without classes; see framings.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typing_extensions import assert_type

import framewire as fw


class Point(fw.Record):
    x: fw.u16
    y: fw.u16


header = fw.Struct("!HI")
assert_type(header.size, int)
assert_type(header.format, str)
assert_type(header.pack(1, 2), bytes)
assert_type(header.pack_into(bytearray(6), 0, 1, 2), None)
assert_type(header.unpack(b""), tuple[Any, ...])
assert_type(header.unpack_from(buffer=memoryview(b""), offset=1), tuple[Any, ...])
assert_type(header.iter_unpack(b""), Iterator[tuple[Any, ...]])
header.size = 3  # type: ignore[misc]
fw.Struct(3)  # type: ignore[arg-type]
header.unpack("text")  # type: ignore[arg-type]

packer = fw.Packer("u8 Point[u8]", {"Point": Point})
assert_type(packer.pack(1, []), bytes)
assert_type(packer.pack_into(bytearray(2), 0, 1, []), int)
assert_type(packer.unpack(b""), tuple[Any, ...])
assert_type(packer.unpack_from(b"", 1), tuple[tuple[Any, ...], int])
assert_type(packer.iter_unpack(b""), Iterator[tuple[Any, ...]])
assert_type(packer.missing(b""), int)
assert_type(packer.fixed_size, int | None)
assert_type(packer.min_size, int)
fw.Packer(3)  # type: ignore[arg-type]
fw.Packer("int", {"int": int})  # type: ignore[dict-item]

assert_type(fw.record("Point", "u16 x, u16 y", frozen=True), type[fw.Record])
assert_type(Point.__layout__, str)

reader = fw.Reader(b"")
assert_type(reader.u16(), int)
assert_type(reader.f32le(), float)
assert_type(reader.str_varint(), str)
assert_type(reader.bytes_u8(), bytes)
assert_type(reader.view_u8(), memoryview)
assert_type(reader.rest(), bytes)
assert_type(reader.bool(), bool)
assert_type(reader.bytes(3), bytes)
assert_type(reader.view(3), memoryview)
assert_type(reader.read(Point), Point)
assert_type(reader.read(fw.u16), int)
assert_type(reader.read(fw.list_u8[Point]), list[Point])
assert_type(reader.tell(), int)
assert_type(reader.remaining, int)
assert_type(reader.seek(3), None)
reader.u16(3)  # type: ignore[call-arg]
reader.u17()  # type: ignore[attr-defined]

writer = fw.Writer(capacity=100)
writer.u16(3)
writer.f64(2.5)
writer.str_u8("text")
writer.bytes_u8(bytearray(b"x"))
writer.bool(True)
writer.bytes(memoryview(b"x"))
writer.write(Point(1, 2))
writer.write(Point, Point(1, 2))
writer.write(fw.list_u8[Point], [Point(1, 2)])
with writer.length(fw.u32, counts="field"):
    pass
assert_type(writer.getvalue(), bytes)
assert_type(writer.getbuffer(), memoryview)
writer.u16("3")  # type: ignore[arg-type]
writer.str_u8(b"text")  # type: ignore[arg-type]
writer.length(fw.u32, counts="frame")  # type: ignore[arg-type]
