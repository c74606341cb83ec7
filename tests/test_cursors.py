"""`Reader` and `Writer`: one value after the other, the same over both backends."""

from __future__ import annotations

import inspect
import io
import sys
from array import array
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from conftest import module_over, peak_memory
from hypothesis import given
from hypothesis import strategies as st
from test_records import HAS_NATIVE

import framewire as fw
from framewire import _backend, cursors, fields

Backend = _backend.Backend
NAMES = list(cursors.Reader.__mro__[0].__dict__.keys() - cursors.Reader.__mro__[1].__dict__.keys())
NAMES = sorted(name for name in (*fields.__all__, "bool") if name in NAMES)


def sample() -> Any:
    """A record class of its own for each test, as a class is run by one backend for good."""

    class Sample(fw.Record):
        sensor: fw.u16
        name: fw.str_u8
        values: fw.list_u16[fw.f64]

    return Sample


@pytest.fixture
def over(backend: Backend) -> ModuleType:
    return module_over(cursors, backend.name)


def typed(name: str) -> Any:
    return bool if name == "bool" else getattr(fw, name)


def values_of(name: str) -> st.SearchStrategy[Any]:
    kind = typed(name)
    if kind is bool:
        return st.booleans()
    if isinstance(kind, fw.LengthType):
        return st.integers(-kind.maximum - 1 if kind.spec[3] else 0, kind.maximum)
    if name.startswith("f"):
        return st.floats(width=int(name[1:3]), allow_nan=False)  # type: ignore[arg-type]
    if name == "cstr":
        return st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=9)
    return st.text(max_size=9) if name.startswith("str") else st.binary(max_size=9)


MESSAGES = st.lists(
    st.sampled_from([name for name in NAMES if name != "rest"]).flatmap(
        lambda name: st.tuples(st.just(name), values_of(name))
    ),
    max_size=6,
)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


# --- what both do ---------------------------------------------------------------------------------------


def test_every_type_that_stands_by_itself_has_a_method() -> None:
    assert {"u8", "i64le", "varint", "ber", "f16", "str_varint", "bytes_u32", "rest", "bool"} <= set(NAMES)
    assert not {"list_u8", "array_u8", "const"} & set(NAMES)
    alone = {name for name, kind in vars(fields).items() if isinstance(kind, fw.LengthType)} & set(fw.__all__)
    assert alone <= set(NAMES)


@given(MESSAGES)
def test_round_trip_in_both_backends(message: list[tuple[str, Any]]) -> None:
    written = []
    for backend in ["native"] * HAS_NATIVE + ["pure"]:
        module = module_over(cursors, backend)
        writer = module.Writer()
        for name, value in message:
            assert getattr(writer, name)(value) is None
        data = writer.getvalue()
        written.append(data)
        again = module.Writer(len(data) // 2)
        for name, value in message:
            again.write(typed(name), value)
        assert again.getvalue() == data == bytes(again.getbuffer())
        assert again.tell() == len(data)
        reader, twice = module.Reader(data), module.Reader(bytearray(data))
        for name, value in message:
            assert getattr(reader, name)() == value == twice.read(typed(name))
        assert (reader.tell(), reader.remaining) == (len(data), 0)
    assert written[0] == written[-1]


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5), st.binary(max_size=20))
def test_both_backends_read_the_same(names: list[str], data: bytes) -> None:
    seen = []
    for backend in ["native"] * HAS_NATIVE + ["pure"]:
        reader = module_over(cursors, backend).Reader(data)
        trace = []
        for name in names:
            before = reader.tell()
            got = outcome(getattr(reader, name))
            if isinstance(got, tuple):
                assert reader.tell() == before, "a failed read leaves the place"
                assert got[0] is fw.RecordError and got[1].startswith(f"Reader.{name}: ")
            trace.append((repr(got), reader.tell(), reader.remaining))
        seen.append(trace)
    assert seen[0] == seen[-1]


@given(st.sampled_from(NAMES), st.one_of(st.integers(), st.text(), st.floats(), st.binary(), st.none()))
def test_both_backends_write_the_same(name: str, value: Any) -> None:
    seen = []
    for backend in ["native"] * HAS_NATIVE + ["pure"]:
        writer = module_over(cursors, backend).Writer()
        writer.bytes(b"before")
        got = outcome(lambda: getattr(writer, name)(value))  # noqa: B023
        if got is not None:
            assert writer.getvalue() == b"before"
            assert got[0] is fw.EncodeError and got[1].startswith(f"Writer.{name}: ")
        seen.append((got, writer.getvalue()))
    assert seen[0] == seen[-1]


# --- reading --------------------------------------------------------------------------------------------


def test_bytes_and_views(over: ModuleType) -> None:
    buffer = bytearray(b"abcdefgh")
    reader = over.Reader(buffer)
    assert (reader.bytes(2), reader.view(3)) == (b"ab", b"cde")
    view = reader.view(3)
    buffer[5:] = b"xyz"
    assert bytes(view) == b"xyz" and reader.remaining == 0
    with pytest.raises(BufferError):
        buffer.append(1)
    for call in (reader.bytes, reader.view):
        assert call(0) == b""
        name = "bytes" if call == reader.bytes else "view"
        assert outcome(lambda: call(1)) == (  # noqa: B023
            fw.RecordError,
            f"Reader.{name}: 1 bytes needed at offset 8, 0 left",
        )
        with pytest.raises(ValueError, match="at least 0"):
            call(-1)
        with pytest.raises(TypeError):
            call("1")
    numbers = array("H", [1, 2])
    assert over.Reader(numbers).remaining == 4
    assert over.Reader(b"").remaining == 0 and over.Reader(b"").rest() == b""


def test_seeking(over: ModuleType) -> None:
    reader = over.Reader(b"\1\2\3")
    reader.seek(2)
    assert (reader.u8(), reader.remaining) == (3, 0)
    reader.seek(0)
    for offset in (-1, 4, 1 << 70):
        with pytest.raises(IndexError, match="not in the buffer of 3 bytes"):
            reader.seek(offset)
    assert reader.tell() == 0
    reader.seek(3)
    with pytest.raises(fw.RecordError) as caught:
        reader.u16le()
    error = caught.value
    assert (error.record, error.path, error.offset, error.reason) == ("Reader", "u16le", 3, "truncated")


def test_records_and_what_is_inside(over: ModuleType) -> None:
    Sample = sample()
    data = b"\0" + Sample(7, "t1", [2.5]).pack() + b"\2" + Sample(8, "", []).pack() * 2
    reader = over.Reader(data)
    reader.u8()
    assert reader.read(Sample) == Sample(7, "t1", [2.5])
    assert reader.read(fw.list_u8[Sample]) == [Sample(8, "", [])] * 2
    assert reader.remaining == 0
    short = over.Reader(data[:-1])
    short.seek(len(data) - 2 * len(Sample(8, "", []).pack()) - 1)
    with pytest.raises(fw.RecordError, match=r"^Reader.Sample\[u8\]\[1\]\.values: ") as caught:
        short.read(fw.list_u8[Sample])
    assert caught.value.offset == len(data) - 2
    with pytest.raises(fw.RecordError, match=r"^Sample.sensor: 2 bytes needed at offset 0, 1 left"):
        over.Reader(b"1").read(Sample)
    for kind in (int, "u8", fw.const(b"x"), fw.list_u8, fw.Record):
        with pytest.raises((TypeError, fw.DeclarationError)):
            reader.read(kind)


def test_unpacking_a_message_of_dns() -> None:
    """Compressed names, as the docstring of Reader has it; a loop of pointers ends."""
    space: dict[str, Any] = {}
    text = inspect.getdoc(cursors.Reader) or ""
    lines = [line[4:] for line in text.splitlines() if line[:4] in (">>> ", "... ")]
    start = lines.index("def name(reader):")
    stop = next(i for i, line in enumerate(lines) if line.startswith("    return"))
    exec("\n".join(lines[start : stop + 1]), space)
    query = b"\3www\7example\3com\0" + b"\2ns\xc0\4" + b"\xc0\x11" + b"\xc0\x18"
    reader = fw.Reader(query)
    names = [space["name"](reader) for _ in range(3)]
    assert names == [b"www.example.com", b"ns.example.com", b"ns.example.com"]
    with pytest.raises(ValueError):
        space["name"](reader)


def test_a_count_that_lies_costs_nothing(over: ModuleType) -> None:
    reader = over.Reader(b"\xff\xff\xff\xff")
    for kind in (fw.list_u32[fw.u8], fw.array_u32[fw.u8], fw.bytes_u32):
        assert outcome(lambda: reader.read(kind))[0] is fw.RecordError  # noqa: B023
        assert peak_memory(lambda: outcome(lambda: reader.read(kind))) < 10_000  # noqa: B023
    assert reader.tell() == 0


# --- writing --------------------------------------------------------------------------------------------


def test_lengths(over: ModuleType) -> None:
    writer = over.Writer()
    writer.u8(1)
    with writer.length(fw.u16), writer.length(fw.u8, counts="field"):
        writer.u32(7)
        assert writer.tell() == 8
    assert writer.getvalue() == b"\1\0\5\5\0\0\0\7"
    with writer.length(fw.varint):
        writer.bytes(bytes(200))
    assert writer.getvalue()[8:11] == b"\xc8\1\0" and writer.tell() == 8 + 202


@pytest.mark.parametrize(
    "kind", [fw.varint, fw.leb128(max_bytes=2), fw.ber, fw.digits(end=b":"), fw.digits(3), fw.u16le]
)
def test_a_length_that_counts_itself(over: ModuleType, kind: Any) -> None:
    for size in (0, 1, 7, 8, 9, 97, 98, 99, 126, 127, 128, 250):
        writer = over.Writer()
        writer.u8(9)
        with writer.length(kind, counts="field"):
            writer.bytes(b"x" * size)
        reader = over.Reader(writer.getvalue())
        reader.u8()
        assert reader.read(kind) == writer.tell() - 1
        assert reader.rest() == b"x" * size


def test_a_block_that_fails_leaves_nothing(over: ModuleType) -> None:
    writer = over.Writer()
    writer.u8(1)
    with pytest.raises(fw.EncodeError, match=r"^Writer.u8: 300 is not in 0..255"), writer.length(fw.u8):
        writer.bytes(bytes(300))
    assert writer.getvalue() == b"\1"
    with pytest.raises(ZeroDivisionError), writer.length(fw.u16):
        with writer.length(fw.varint):
            writer.u8(2)
        raise ZeroDivisionError
    assert writer.getvalue() == b"\1"
    with writer.length(fw.u16), pytest.raises(fw.EncodeError), writer.length(fw.u8):
        writer.bytes(bytes(256))
    assert writer.getvalue() == b"\1\0\0"
    for bad in (lambda: writer.length(3), lambda: writer.length(fw.str_u8)):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(fw.DeclarationError, match="counts='all' must be one of body, field"):
        writer.length(fw.u8, counts="all")


def test_records_are_written(over: ModuleType) -> None:
    Sample, writer = sample(), over.Writer()
    writer.write(Sample(7, "t1", [2.5]))
    writer.write(Sample, Sample(7, "t1", [2.5]))
    assert writer.getvalue() == Sample(7, "t1", [2.5]).pack() * 2
    with pytest.raises(fw.EncodeError, match="^Sample.sensor: 70000 is not in"):
        writer.write(Sample(70000, "", []))
    for arguments in ((3,), (b"x",), (Sample,), (Sample, 3), (fw.u8, 1, 2), (fw.Record, 3)):
        with pytest.raises((TypeError, fw.DeclarationError)):
            writer.write(*arguments)
    assert writer.getvalue() == Sample(7, "t1", [2.5]).pack() * 2


def test_views_of_what_is_written(over: ModuleType) -> None:
    writer = over.Writer(8)
    writer.u32(1)
    with writer.getbuffer() as view:
        assert view == b"\0\0\0\1"
        view[0] = 9
        writer.u32(2)  # there is room
        for call in (lambda: writer.u8(1), lambda: writer.bytes(b"x"), lambda: writer.write(fw.str_u8, "x")):
            with pytest.raises(BufferError):
                call()
    writer.u8(3)
    assert writer.getvalue() == b"\x09\0\0\1\0\0\0\2\3"
    with pytest.raises(ValueError, match="at least 0"):
        over.Writer(-1)
    assert io.BytesIO(writer.getbuffer()).read() == writer.getvalue()


def test_replacing(over: ModuleType) -> None:
    writer = over.Writer()
    writer.bytes(b"abcdef")
    writer.replace(1, 3, b"xyz!")
    writer.replace(0, 1, b"")
    writer.replace(7, 7, b"+")
    assert writer.getvalue() == b"xyz!def+"
    for start, stop in ((-1, 2), (3, 2), (0, 9)):
        with pytest.raises(IndexError):
            writer.replace(start, stop, b"")


def test_a_value_that_writes_itself(over: ModuleType) -> None:
    """User code within a write may use the writer: its bytes come first."""
    writer = over.Writer()

    class Nested:
        def __index__(self) -> int:
            writer.bytes(bytes(5000))
            return 7

    writer.u16(Nested())
    assert writer.getvalue() == bytes(5000) + b"\0\7"


def test_methods(over: ModuleType) -> None:
    reader = over.Reader(b"\0\7\0\1")
    bound = reader.u16
    assert (bound(), bound()) == (7, 1)
    assert over.Reader.u16(over.Reader(b"\0\3")) == 3
    assert over.Reader.u16.__name__ == "u16" and "u16" in repr(over.Reader.u16)
    for call in (
        lambda: reader.u16(1),
        lambda: reader.u16(x=1),
        lambda: over.Reader.u16(),
        lambda: over.Reader.u16(3),
    ):
        with pytest.raises(TypeError, match=r"Reader.u16\(\) takes no arguments"):
            call()
    writer = over.Writer()
    for call in (
        writer.u16,
        lambda: writer.u16(1, 2),
        lambda: writer.u16(value=1),
        lambda: over.Writer.u16(1),
    ):
        with pytest.raises(TypeError, match=r"Writer.u16\(\) takes one argument"):
            call()
    with pytest.raises(RuntimeError):
        reader.__init__(b"")
    with pytest.raises(TypeError):
        over.Reader("text")
    with pytest.raises(BufferError):
        over.Reader(memoryview(b"abcd")[::2])

    class Named(over.Reader):  # type: ignore[misc, name-defined]
        def pair(self) -> tuple[int, int]:
            return self.u8(), self.u8()

    assert Named(b"\1\2").pair() == (1, 2)


def test_nothing_leaks(over: ModuleType) -> None:
    class Big(int):
        pass

    value = Big(1 << 60)
    before = sys.getrefcount(value)
    data = b"\3abc"
    held = sys.getrefcount(data)
    for _ in range(100):
        writer = over.Writer()
        writer.u64(value)
        with pytest.raises(fw.EncodeError):
            writer.u8(value)
        reader = over.Reader(data)
        text = reader.str_u8()
        with pytest.raises(fw.RecordError):
            reader.u8()
    del writer, reader
    assert text == "abc" and sys.getrefcount(text) <= 3
    assert sys.getrefcount(value) <= before + 1
    assert sys.getrefcount(data) <= held + 1
