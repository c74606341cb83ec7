"""What mypy and pyright say about records; see framings.py."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from typing import Any

from typing_extensions import assert_type

import framewire as fw


class Sample(fw.Record):
    port: fw.u16
    load: fw.f64le
    good: bool = True


class Report(fw.Record, frozen=True):
    magic: bytes = fw.const(b"RP")
    size: int = fw.leb128(max_bytes=4)
    name: fw.str_u16
    raw: fw.bytes_varint
    first: Sample
    samples: fw.list_u16[Sample]
    rows: fw.list_u8[fw.list_u8[fw.u32]]
    values: fw.array_u32[fw.u32]
    floats: fw.array_u8[fw.f32]
    hole: bytes = fw.pad(2)
    note: fw.str_u8 = ""
    tail: fw.rest = b""


class Kind(IntEnum):
    PING = 1


class Topic(fw.Record):
    size: fw.zigzag
    name: str | None = fw.string(fw.varint, bias=1, null=0)
    data: bytes = fw.binary(fw.u32, align=4, default=b"")
    part: memoryview = fw.view(fw.u16, max=100, default=memoryview(b""))
    hole: fw.view_u8 = memoryview(b"")
    key: fw.cstr = ""
    path: str = fw.cstring(encoding="ascii", default="/")
    digest: bytes = fw.fixed(16, default=bytes(16))
    kinds: list[Kind] = fw.list_of(fw.enumerated(fw.u8, Kind), fw.u8, default=[])
    values: array[int] = fw.array_of(fw.u16, fw.compactsize, default=array("H"))
    pair: list[int] = fw.repeat(fw.u16, 2, default=[])
    when: complex = fw.codec(lambda value: bytes(8), lambda buffer, offset: (0j, offset + 8), 8, default=0j)
    code: int = fw.digits(3, default=200)


topic = Topic(-1, None)
assert_type(topic.size, int)
assert_type(topic.name, "str | None")
assert_type(topic.part, memoryview)
assert_type(topic.hole, memoryview)
assert_type(topic.key, str)
assert_type(topic.kinds, list[Kind])
assert_type(topic.values, "array[int]")
assert_type(topic.when, complex)
Topic(1, "x", b"data", memoryview(b"x"), code=404)
Topic(1)  # type: ignore[call-arg]
Topic(1, b"x")  # type: ignore[arg-type]
fw.string("u8")  # type: ignore[arg-type]
fw.LengthPrefixed(fw.zigzag)


class Message(fw.Record):
    kind: Kind = fw.enumerated(fw.u8)
    other: Kind | int = fw.enumerated(fw.u16, open=True)


message = Message(Kind.PING, 7)
assert_type(message.kind, Kind)
assert_type(message.other, "Kind | int")
Message(1, 2)  # type: ignore[arg-type]

sample = Sample(1, 2.5)
report = Report(300, "name", b"raw", sample, [sample], [[1]], array("I", [1]), array("f", [1.0]), tail=b"x")
assert_type(sample.port, int)
assert_type(sample.load, float)
assert_type(sample.good, bool)
assert_type(report.size, int)
assert_type(report.name, str)
assert_type(report.raw, bytes)
assert_type(report.first, Sample)
assert_type(report.samples, list[Sample])
assert_type(report.rows, list[list[int]])
assert_type(report.values, "array[int]")
assert_type(report.floats, "array[float]")
assert_type(report.magic, bytes)
assert_type(report.tail, bytes)

Sample(1)  # type: ignore[call-arg]
Sample("1", 2.0)  # type: ignore[arg-type]
Sample(1, 2.0, nonsense=3)  # type: ignore[call-arg]
report.name = "other"  # type: ignore[misc]
sample.port = "80"  # type: ignore[assignment]

# --- calls ----------------------------------------------------------------------------------------------

assert_type(sample.pack(), bytes)
assert_type(sample.pack_into(bytearray(9), 1), int)
assert_type(sample.size_of(), int)
assert_type(Sample.unpack(b""), Sample)
assert_type(Sample.unpack_from(memoryview(b""), offset=1), tuple[Sample, int])
assert_type(Sample.iter_unpack(b""), Iterator[Sample])
assert_type(Sample.unpack_many(b"", 3), list[Sample])
assert_type(Sample.missing(b""), int)
assert_type(Sample.fixed_size, int | None)
assert_type(Sample.min_size, int)
assert_type(sample.replace(port=2), Sample)
assert_type(sample.asdict(), dict[str, Any])
sample.append_to([])  # type: ignore[arg-type]
Sample.unpack("text")  # type: ignore[arg-type]

messages = fw.Messages(fw.u8, {1: Sample, 2: Report})
assert_type(messages.encode(report), bytes)
assert_type(messages.decode(b""), fw.Record)
fw.Messages(fw.u8, {1: int})  # type: ignore[dict-item]
fw.connect("tcp://:1", fw.LengthPrefixed(fw.u16), codec=messages)

match messages.decode(b""):
    case Sample(port, load):
        assert_type(port, int)
        assert_type(load, float)
    case Report(name=name):
        assert_type(name, str)
    case _:
        pass


# --- fields that decide about others --------------------------------------------------------------------


class Frame(fw.Record, extensible=True, byteorder="little"):
    length: int = fw.size(fw.u32, plus=4)
    urgent: bool = fw.bits(1, of=fw.u8)
    level: int = fw.bits(4, default=0)
    what: Kind = fw.bits(3, default=Kind.PING)
    body: Sample | Message = fw.oneof(fw.u8, {1: Sample, 2: Message}, default=None)
    bodies: fw.list_u8[Sample | Message] = fw.oneof(fw.u8, {1: Sample, 2: Message}, default=[])
    note: fw.str_u16 | None = fw.when("level", mask=1, default=None)
    number: int | None = fw.when("urgent", type=fw.digits(4), default=None)


frame = Frame(True, body=sample, bodies=[sample, message])
assert_type(frame.urgent, bool)
assert_type(frame.level, int)
assert_type(frame.what, Kind)
assert_type(frame.body, "Sample | Message")
assert_type(frame.bodies, "list[Sample | Message]")
assert_type(frame.note, "str | None")
assert_type(frame.number, "int | None")
Frame()  # type: ignore[call-arg]
Frame(1)  # type: ignore[arg-type]
Frame(True, body=report)  # type: ignore[arg-type]
Frame(True, length=3)  # type: ignore[call-arg]
