"""Records against hostile bytes, values that fight back, and a machine without memory."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import peak_memory
from test_records import declared, needs_native, outcome, sample

import framewire as fw
from framewire import fields


@pytest.mark.parametrize("count", [1 << 29, 1 << 61, (1 << 62) + 1, (1 << 64) - 1])
def test_counts_that_nothing_can_hold(count: int, backend: Any) -> None:
    """C04: compared with what is left, before anything is allocated or multiplied."""
    head = declared("Count", {"n": fw.varint})(count).pack()
    Sample = sample()
    for annotation in (fw.list_varint[fw.u32], fw.list_varint[Sample], fw.array_varint[fw.u64]):
        cls = declared("Many", {"x": annotation})
        data = head + bytes(20)
        assert peak_memory(lambda cls=cls, data=data: outcome(lambda: cls.unpack(data))) < 100_000
        width = 8 if annotation.kind == fields.ARRAY else 4
        lacks = "load: 8" if annotation.detail is Sample else ""
        with pytest.raises(
            fw.RecordError, match=rf"^Many\.x\[[0-9]+\].*{lacks or width} bytes needed at offset "
        ):
            cls.unpack(data)
        assert cls.missing(data) > 1 << 30
    for annotation in (fw.list_of(fw.u32, fw.varint, null=3), fw.array_of(fw.u32, fw.varint, null=3)):
        cls = declared("Many", {"x": object}, {"x": annotation})
        data = head + bytes(20)
        assert outcome(lambda cls=cls, data=data: cls.unpack(data))[2]["reason"] == "too-large"
    for annotation in (
        fw.list_of(fw.u32, fw.varint, bias=1),
        fw.list_of(fw.cstr, fw.varint, bias=1),
        fw.array_of(fw.u64, fw.varint, bias=1),
        fw.repeat(fw.list_of(fw.u16, fw.varint, bias=1), 2),
        fw.string(fw.varint, bias=1),
        fw.view(fw.varint, bias=1, align=4),
    ):
        cls = declared("Many", {"x": object}, {"x": annotation})
        data = head + bytes(20)
        assert peak_memory(lambda cls=cls, data=data: outcome(lambda: cls.unpack(data))) < 100_000
        assert outcome(lambda cls=cls, data=data: cls.unpack(data))[2]["reason"] == "truncated"
        assert cls.missing(data) > 1 << 28
    for annotation in (fw.str_varint, fw.bytes_varint):
        cls = declared("Large", {"x": annotation})
        with pytest.raises(
            fw.RecordError, match=f"^Large.x: {count} bytes needed at offset {len(head)}, 3 left"
        ):
            cls.unpack(head + b"abc")
        assert cls.missing(head + b"abc") == min(count, (1 << 63) - 1) - 3


def test_levels(backend: Any) -> None:
    """C09: 64 levels of records, not one more, in either direction; a cycle ends too."""

    class Deep(fw.Record):
        children: fw.list_u8[Deep]

    def nested(levels: int) -> Any:
        record = Deep([])
        for _ in range(levels - 1):
            record = Deep([record])
        return record

    wire = nested(64).pack()
    assert wire == b"\1" * 63 + b"\0" and Deep.unpack(wire) == nested(64) and Deep.missing(wire) == 0
    for data in (b"\1" + wire, b"\1" * 1_000_000):
        for read in (Deep.unpack, Deep.missing):
            with pytest.raises(
                fw.RecordError, match="more than 64 records within each other at offset 64$"
            ) as caught:
                read(data)
            assert caught.value.path == ".".join(["children[0]"] * 64) and caught.value.reason == "too-deep"
    loop = Deep([])
    loop.children.append(loop)
    for record in (nested(65), loop):
        with pytest.raises(fw.EncodeError, match="more than 64 records within each other$"):
            record.pack()
    lists = declared("Lists", {"x": fw.list_u8[fw.list_u8[fw.list_u8["Lists"]]]})
    wire = b"\1\1\1" * 63 + b"\0"
    assert lists.unpack(wire).pack() == wire and lists.missing(wire) == 0
    for read in (lists.unpack, lists.missing):
        with pytest.raises(fw.RecordError, match="more than 64 records within each other"):
            read(b"\1" * 1000)


def test_the_kth_item_is_bad(backend: Any) -> None:
    """C05: what was made before the fault goes away with it."""
    cls = declared("Names", {"x": fw.list_u8[fw.str_u8]})
    good = cls(["ab"] * 9).pack()
    for k in range(9):
        bad = bytearray(good)
        bad[1 + 3 * k + 1] = 0xFF
        with pytest.raises(fw.RecordError, match=rf"^Names\.x\[{k}\]: the byte 0xff at offset {2 + 3 * k} "):
            cls.unpack(bad)
        with pytest.raises(fw.EncodeError, match=rf"^Names\.x\[{k}\]: a str is needed, not int$"):
            cls([*["ab"] * k, 7, *["ab"] * (8 - k)]).pack()


def test_counts_within_counts(backend: Any) -> None:
    """Each level may promise what is left: together they have room for no more than what has come."""

    class Node(fw.Record):
        children: fw.list_u32[Node]

    data = (1 << 16).to_bytes(4, "big") * 64 + bytes(1 << 18)
    assert outcome(lambda: Node.unpack(data))[2]["reason"] == "too-deep"
    assert peak_memory(lambda: outcome(lambda: Node.unpack(data))) < 2_000_000
    many = declared("Many", {"x": fw.list_u32[fw.list_u8[fw.i8]]})
    items = [[-n % 5] for n in range(5000)]
    assert many.unpack(many(items).pack()).x == items


def look(buffer: memoryview, offset: int) -> tuple[int, int]:
    """A hook that looks at all objects, and changes one."""
    for found in gc.get_objects():
        if type(found) in (list, tuple) and len(found) == 77:
            str([*found])
        elif type(found).__name__ == "Outer":
            found.inner = 5
    return 1, offset + 1


def test_what_is_half_read_has_no_holes(backend: Any) -> None:
    one = fw.codec(lambda value: b"a", look, 1)
    inner = declared("Inner", {"flag": fw.u8})
    types = {"many": fw.list_of(one, fw.u8), "last": fw.when("inner.flag", type=one)}
    outer = declared("Outer", {"inner": inner, "many": list, "last": object}, types)
    assert len(outer.unpack_from(b"\1" + bytes([77]) + bytes(78))[0].many) == 77


def test_a_half_read_row_has_no_holes() -> None:
    hooked = declared("Hooked", {"x": object}, {"x": fw.codec(lambda value: b"a", look, 1)})
    assert len(fw.Packer(" ".join(["Hooked"] * 77), {"Hooked": hooked}).unpack(bytes(77))) == 77


@needs_native
def test_a_program_is_of_one_class() -> None:
    cls = declared("Two", {"x": fw.u16, "y": fw.u16})
    assert cls.unpack(b"\0\1\0\2") == cls(1, 2)
    with pytest.raises(RuntimeError, match="a program is of one class"):
        cls._program.__init__("Two", int)
    assert cls.unpack(b"\0\1\0\2") == cls(1, 2)


def test_classes_that_are_called_their_own_way(backend: Any) -> None:
    class Mine(type(fw.Record)):  # type: ignore[misc]
        def __call__(cls, *values: object) -> str:
            return f"called with {values}"

    made: Any = Mine("Made", (fw.Record,), {"__annotations__": {"x": fw.u8}})
    assert made(7) == "called with (7,)" and made.unpack(b"\7").x == 7
    cls = declared("Plain", {"x": fw.u8})
    cls._constructor = 5
    assert cls(7).x == 7


class Changing:
    """Changes a list while it is asked for its number."""

    def __init__(self, change: Callable[[], object]) -> None:
        self.change = change

    def __index__(self) -> int:
        self.change()
        return 1

    def __float__(self) -> float:
        self.change()
        return 1.0


@pytest.mark.parametrize("name", ["u16", "f64", "varint", "u24"])
def test_lists_that_change_while_they_are_packed(name: str, backend: Any) -> None:
    cls = declared("Many", {"x": fw.list_u8[getattr(fw, name)]})
    for change in ("clear", "append", "pop"):
        items: list[Any] = [1, 2, 3]
        call = {"clear": items.clear, "append": lambda items=items: items.append(1), "pop": items.pop}[change]
        items.insert(1, Changing(call))
        with pytest.raises(fw.EncodeError, match=r"^Many\.x: the list was changed while it was packed$"):
            cls(items).pack()
    record: Any = None
    two = declared("Two", {"x": getattr(fw, name), "y": fw.list_u8[fw.u8]})

    def drop() -> None:
        record.y = None
        gc.collect()

    record = two(Changing(drop), [1, 2])
    with pytest.raises(fw.EncodeError, match=r"^Two\.y: a list or a tuple is needed, not NoneType$"):
        record.pack()
    target = bytearray(b"12")
    record = two(Changing(target.clear), [])
    wire = record.pack()
    target += b"34"
    assert record.append_to(target) is None
    assert target == wire, "what the value's own code does to the target comes first"


def test_the_users_exceptions_pass(backend: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError("mine")

    for name in ("u8", "u24", "varint", "f32", "f64"):
        annotation = getattr(fw, name)
        for cls in (
            declared("One", {"x": annotation}),
            declared("Three", {"x": annotation, "y": annotation, "z": annotation}),
            declared("Many", {"x": fw.list_u8[annotation]}),
        ):
            values = [Changing(fail)] * len(cls._layout.names)
            if cls.__name__ == "Many":
                values = [values]  # type: ignore[list-item]
            with pytest.raises(ZeroDivisionError, match="^mine$"):
                cls(*values).pack()


def from_mark(buffer: memoryview, offset: int) -> tuple[bytes, int]:
    end = bytes(buffer[offset:]).find(b";")
    if end < 0:
        raise EOFError
    return bytes(buffer[offset : offset + end]), offset + end + 1


def test_nothing_leaks(backend: Any) -> None:
    Sample = sample()
    more = {
        "e": fw.string(fw.u8, encoding="mutf-8", align=4),
        "f": fw.list_of(fw.view_u8, fw.u8, null=255, default=[]),
        "g": fw.array_of(fw.f64, fw.u8, max=9, default=(1.0, 2.0)),
        "h": fw.repeat(fw.cstring(encoding="utf-16-be"), 2, default=("ä", "")),
        "i": fw.repeat(fw.u16, 2, array=True, default=(1, 2)),
        "j": fw.fixed(9, pad=b" ", encoding="latin-1", default="ü"),
        "k": fw.codec(lambda value: value + b";", from_mark, 1, default=b"hook" * 9),
    }
    known = {"a": fw.str_u8, "b": fw.list_u8[Sample], "c": fw.array_u8[fw.u16], "d": fw.bytes_u8}
    cls = declared("All", {**known, **dict.fromkeys(more, object)}, more)
    good = cls("é", [Sample(1, 2, 3.0)] * 3, [1, 2], b"x" * 200, "é\0", [b"view"] * 3).pack()
    bad = cls("é", [Sample(1, 2, 3.0)] * 3, [1, "x"], b"x" * 2000, "é")

    def work() -> None:
        for n in range(len(good)):
            outcome(lambda n=n: cls.unpack(good[:n]))
            outcome(lambda n=n: cls.missing(good[:n]))
        record = cls.unpack(good)
        record.pack(), outcome(bad.pack), cls.missing(good), record.replace(d=bytes(255)).pack()

    work()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(20):
        work()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
    gone = weakref.ref(declared("Gone", {"x": fw.list_u8["Gone"]}))
    held = gone()
    assert held is not None and held.unpack(b"\0").pack() == b"\0"
    del held
    gc.collect()
    assert gone() is None, "a class and its program keep each other alive"


NO_MEMORY = """
import _testcapi, gc, sys
import framewire as fw
from array import array

class Item(fw.Record):
    a: fw.u16
    b: fw.f64

# In C once it was used: Python's own code without memory is not what is tried here.
Item.unpack(bytes(10))

class All(fw.Record):
    name: fw.str_u8
    raw: fw.bytes_u16
    items: fw.list_u8[Item]
    numbers: fw.list_u8[fw.u64]
    values: fw.array_u8[fw.u32]
    text: str = fw.string(fw.u8, encoding="mutf-8", align=4, default="a\\0\\u20ac")
    wide: str = fw.cstring(encoding="utf-16-le", default="w\\u20ac")
    ended: fw.cstr = "ended"
    plain: bytes = fw.binary(fw.i16, null=-1, default=b"plain")
    part: memoryview = fw.view(fw.u8, default=b"part")
    hooked: list = fw.repeat(fw.codec(Item.pack, Item.unpack_from, 10), 1, default=(Item(1, 2.0),))
    row: object = fw.repeat(fw.u16, 3, array=True, default=(1, 2, 3))
    none: object = fw.list_of(Item, fw.u8, bias=1, null=0, default=None)
    padded: str = fw.fixed(8, pad=b" ", encoding="ascii", default="abc")

items = [Item(i, i / 2) for i in range(20)]
record = All("h\u00e9llo", bytes(1500), items, [1 << 60] * 3, array("I", [1, 2]))
data = record.pack()

def attempts(call):
    failures = at = clean = 0
    while clean < 20:
        _testcapi.set_nomemory(at, at + 1)
        try:
            call()
            failed = False
        except MemoryError:
            failed = True
        except fw.RecordError:
            failed = False
        finally:
            _testcapi.remove_mem_hooks()
        failures, clean, at = failures + failed, 0 if failed else clean + 1, at + 1
    return failures

calls = [lambda: All.unpack(data), lambda: All.unpack_many(data * 2, 2), lambda: All.unpack(data[:-1])]
calls += [lambda: All.missing(data)]
header, row = fw.Struct(">HI8sd"), fw.Packer("u8 (str_u8, u64)[u8] bytes_u16")
values = (1, [("a", 1 << 60), ("b", 2)], bytes(1500))
packed = header.pack(1, 1 << 31, b"x", 1.5), row.pack(*values)
calls += [lambda: header.pack(1, 1 << 31, b"x", 1.5), lambda: header.unpack(packed[0])]
calls += [lambda: list(header.iter_unpack(packed[0] * 2))]
calls += [lambda: row.pack(*values), lambda: row.unpack(packed[1])]

def cursors():
    writer = fw.Writer()
    with writer.length(fw.varint):
        writer.write(record)
        writer.str_u8("abc")
    reader = fw.Reader(writer.getbuffer())
    reader.varint(), reader.read(All), reader.str_u8()

calls.append(cursors)
cursors()  # what it imports, it imports now
for call in (*calls, record.pack):
    attempts(call)
    gc.collect()
    before = sys.getallocatedblocks()
    assert attempts(call) > 0
    gc.collect()
    assert sys.getallocatedblocks() - before < 60
again = All.unpack(data)
assert again.replace(hooked=record.hooked, row=(1, 2, 3)) == record and again.pack() == data
"""


@needs_native
@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="no _testcapi to take memory away")
def test_no_memory_at_any_point() -> None:
    source = Path(fw.__file__).parent.parent
    kept = {**os.environ, "FRAMEWIRE_BACKEND": "native", "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", NO_MEMORY], env=kept, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
