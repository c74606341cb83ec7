"""What sequences.py declares, on both backends: strings, bytes, views, lists, fixed fields, the hook."""

from __future__ import annotations

import copy
import gc
import pickle
import struct
import sys
import weakref
from array import array
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import pytest
from conftest import peak_memory
from hypothesis import given
from hypothesis import strategies as st
from test_records import declared

import framewire as fw


class Kind(IntEnum):
    PING = 1
    PONG = 2


def one(kind: Any, annotation: Any = object) -> Any:
    return declared("One", {"x": annotation}, {"x": kind})


def refused(call: Callable[[], object], error: type[Exception], text: str) -> Any:
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
    return caught.value


def unreadable(cls: Any, data: bytes, text: str, reason: str) -> None:
    """Both by unpacking and by passing over it."""
    for read in (cls.unpack, cls.missing):
        assert refused(lambda read=read: read(data), fw.RecordError, text).reason == reason


# --- numbers in front -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (fw.string(fw.u8, bias=1), {"": b"\1", "ab": b"\3ab", "x" * 254: b"\xff" + b"x" * 254}),
        (fw.string(fw.i16, null=-1), {None: b"\xff\xff", "": b"\0\0", "é": b"\0\2\xc3\xa9"}),
        (fw.string(fw.u8, null=255), {None: b"\xff", "x" * 254: b"\xfe" + b"x" * 254}),
        (fw.binary(fw.varint, bias=1, null=0), {None: b"\0", b"": b"\1", b"ab": b"\3ab"}),
        (fw.binary(fw.zigzag, null=-1), {None: b"\1", b"ab": b"\4ab"}),
        (fw.binary(fw.digits(2)), {b"": b"00", b"ab": b"02ab"}),
        (fw.binary(fw.tiered(fw.u8, {255: fw.u16}), null=300), {None: b"\xff\1\x2c", b"a": b"\1a"}),
    ],
)
def test_bias_and_null(kind: Any, values: dict[Any, bytes], backend: Any) -> None:
    cls = one(kind)
    for value, wire in values.items():
        assert cls(value).pack() == wire and cls.unpack(wire).x == value and cls.missing(wire) == 0
        assert all(cls.missing(wire[:n]) > 0 for n in range(len(wire)))


def test_lists_and_arrays_may_be_none(backend: Any) -> None:
    for make in (fw.list_of, fw.array_of):
        cls = one(make(fw.u16, fw.u8, bias=1, null=0))
        assert cls(None).pack() == b"\0" and cls.unpack(b"\0").x is None and cls.missing(b"\0") == 0
        assert cls([]).pack() == b"\1" and list(cls.unpack(b"\2\0\7").x) == [7]
        assert cls(array("H", [7])).pack() == b"\2\0\7" if make is fw.array_of else True
        wanted = "a list or a tuple" if make is fw.list_of else "a contiguous buffer"
        refused(lambda cls=cls: cls("x").pack(), fw.EncodeError, f"One.x: {wanted} is needed, not str")


@pytest.mark.parametrize(
    ("kind", "wire", "text", "reason"),
    [
        (fw.string(fw.i16), b"\xff\xff", "the number at offset 0 is negative", "bad-number"),
        (fw.string(fw.i16, null=-1), b"\xff\xfe", "the number at offset 0 is negative", "bad-number"),
        (fw.binary(fw.u8, bias=1), b"\0", "the number at offset 0 is negative", "bad-number"),
        (fw.list_of(fw.u8, fw.zigzag, null=-1), b"\3", "the number at offset 0 is negative", "bad-number"),
        (fw.array_of(fw.u8, fw.sleb128), b"\x7f", "the number at offset 0 is negative", "bad-number"),
        (fw.string(fw.u8, max=3), b"\4abcd", "4 bytes at offset 0 are too many: at most 3", "too-large"),
        (fw.view(fw.u32, max=3), b"\0\0\0\4", "4 bytes at offset 0 are too many: at most 3", "too-large"),
        (fw.binary(fw.u8, null=9), b"\x0a", "10 bytes at offset 0 are too many: at most 8", "too-large"),
        (
            fw.list_of(fw.u8, fw.u8, max=0),
            b"\1\1",
            "1 items at offset 0 are too many: at most 0",
            "too-large",
        ),
        (fw.array_of(fw.u8, fw.u8, max=2), b"\3", "3 items at offset 0 are too many: at most 2", "too-large"),
        (
            fw.binary(fw.u8, align=4),
            b"\5abcde\0\1\0",
            "the byte 0x01 at offset 7 is no padding",
            "bad-padding",
        ),
        (fw.cstring(max=2), b"abc", "no NUL within 2 bytes from offset 0 on", "too-large"),
        (
            fw.cstring(max=3, encoding="utf-16-le"),
            b"a\0b\0",
            "no NUL within 3 bytes from offset 0 on",
            "too-large",
        ),
    ],
)
def test_bytes_that_cannot_be(kind: Any, wire: bytes, text: str, reason: str, backend: Any) -> None:
    unreadable(one(kind), wire, f"One.x: {text}", reason)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (fw.string(fw.i16), None, "a str is needed, not NoneType"),
        (fw.string(fw.u8, bias=1), "x" * 255, "255 bytes are too many: at most 254"),
        (fw.string(fw.u8, null=255), "x" * 255, "255 bytes are too many: at most 254"),
        (fw.string(fw.u8, max=3), "éé", "4 bytes are too many: at most 3"),
        (fw.binary(fw.i8), b"x" * 128, "128 bytes are too many: at most 127"),
        (fw.view(fw.u8, max=2), b"xxx", "3 bytes are too many: at most 2"),
        (fw.binary(fw.u8, max=2), "x", "a contiguous buffer is needed, not str"),
        (fw.list_of(fw.u8, fw.u8, max=2), [1, 2, 3], "3 items are too many: at most 2"),
        (fw.list_of(fw.u8, fw.u8, max=2), [1, 256], None),
        (fw.array_of(fw.u8, fw.u8, max=2), array("B", [1, 2, 3]), "3 items are too many: at most 2"),
        (fw.array_of(fw.u8, fw.u8, max=2), [1, 2, 3], "3 items are too many: at most 2"),
        (fw.repeat(fw.u8, 2), [1], "1 items are not 2"),
        (fw.repeat(fw.u8, 2, array=True), array("B", [1, 2, 3]), "3 items are not 2"),
        (
            fw.repeat(fw.u8, 2, array=True),
            array("H", [1, 2]),
            "items of type 'H' of 2 bytes are no array of type 'B'",
        ),
        (fw.cstring(), "a\0b", "it would end early: a NUL stands at byte 1"),
        (fw.cstring(encoding="utf-16-le"), "a\0", "it would end early: a NUL stands at byte 2"),
        (fw.cstring(max=2), "abc", "3 bytes are too many: at most 2"),
        (fw.cstring(encoding=None), "abc", "a contiguous buffer is needed, not str"),
        (fw.fixed(3), b"ab", "2 bytes are not 3"),
        (fw.fixed(3), b"abcd", "4 bytes are not 3"),
        (fw.fixed(3, encoding="utf-8"), "é", "2 bytes are not 3"),
        (fw.fixed(3, pad=b" "), b"abcd", "4 bytes are too many: at most 3"),
        (fw.fixed(3, pad=b" "), b"a ", "it ends with its padding b' ', which reading takes off"),
        (fw.fixed(3, pad=b"\0", encoding="ascii"), "é", "the character 'é' at index 0 is not in ASCII"),
        (fw.string(fw.u8, encoding="ascii"), "aé", "the character 'é' at index 1 is not in ASCII"),
        (fw.string(fw.u8, encoding="latin-1"), "€", "the character '€' at index 0 is not in LATIN-1"),
        (
            fw.string(fw.u8, encoding="mutf-8"),
            "a\0\ud800",
            "the character '\\ud800' at index 2 is no text, so it has no MUTF-8",
        ),
        (
            fw.string(fw.u8, encoding="utf-16-be"),
            "\udc00",
            "the character '\\udc00' at index 0 is no text, so it has no UTF-16-BE",
        ),
        (
            fw.string(fw.u8, max=9),
            "\ud800",
            "the character '\\ud800' at index 0 is no text, so it has no UTF-8",
        ),
    ],
)
def test_values_that_cannot_be(kind: Any, value: Any, text: str | None, backend: Any) -> None:
    place = "One.x" if text else "One.x[1]"
    refused(one(kind)(value).pack, fw.EncodeError, f"{place}: {text or '256 is not in 0..255'}")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "utf-16-be", "utf-16-le", "mutf-8"])
def test_encodings(encoding: str, backend: Any) -> None:
    counted = one(fw.string(fw.u16, encoding=encoding))
    ended = one(fw.cstring(encoding=encoding))

    @given(st.text(max_size=20) | st.text("a\0é€\U0001f600", max_size=5))
    def check(text: str) -> None:
        try:
            wire = text.encode(encoding) if encoding != "mutf-8" else None
        except UnicodeEncodeError:
            with pytest.raises(fw.EncodeError):
                counted(text).pack()
            return
        packed = counted(text).pack()
        assert wire is None or packed[2:] == wire
        assert counted.unpack(packed).x == text
        if "\0" not in text or encoding == "mutf-8":
            assert ended.unpack(ended(text).pack()).x == text

    check()


@given(
    st.binary(max_size=9)
    | st.lists(st.sampled_from(b"\0a\xc0\x80\xed\xa0\xb0\xbf\xe0\xf0"), max_size=9).map(bytes)
)
def test_each_text_has_one_form_in_modified_utf8(data: bytes) -> None:
    cls = one(fw.string(fw.u8, encoding="mutf-8"))
    wire = bytes([len(data)]) + data
    try:
        text = cls.unpack(wire).x
    except fw.RecordError as error:
        assert error.reason == "bad-text" and 1 <= error.offset < len(wire)
        return
    assert cls(text).pack() == wire


def test_text_that_is_none(backend: Any) -> None:
    for encoding, data, at in (
        ("ascii", b"a\xe9", 2),
        ("utf-16-le", b"a\0\0\xd8", 3),
        ("mutf-8", b"a\0", 2),
        ("mutf-8", b"\xed\xa0\x80", 1),
        ("mutf-8", b"\xf0\x9f\x98\x80", 1),
        ("utf-8", b"ab\xff", 3),
    ):
        cls = one(fw.string(fw.u8, encoding=encoding, max=99))
        wire = bytes([len(data)]) + data
        text = f"One.x: the byte 0x{wire[at]:02x} at offset {at} is no {encoding.upper()}"
        assert refused(lambda cls=cls, wire=wire: cls.unpack(wire), fw.RecordError, text).reason == "bad-text"
        assert cls.missing(wire) == 0, "text is not looked at"


# --- views ----------------------------------------------------------------------------------------------


def test_views_are_the_buffer(backend: Any) -> None:
    cls = one(fw.view_u8, fw.view_u8)
    data = bytes([3]) + b"abc"
    record = cls.unpack(data)
    assert record.x.obj is data and record.x.readonly and record.x == b"abc" and record.x.format == "B"
    assert cls(record.x).pack() == data and record == cls(b"abc")
    mine = bytearray(data)
    for buffer in (mine, memoryview(mine), memoryview(mine)[:], memoryview(mine).cast("b")):
        record = cls.unpack(buffer)
        assert record.x.obj is mine and not record.x.readonly
        record.x[0] = ord("A")
        assert mine == b"\3Abc"
        mine[1] = ord("a")
        with pytest.raises(BufferError):
            mine.append(1)
        del record
    buffer.release()
    mine.append(1)
    words = array("H", [int.from_bytes(b"\1x", sys.byteorder)])  # type: ignore[arg-type]
    assert cls.unpack(words).x == b"x" and cls.unpack(words).x.obj is words
    assert cls.unpack(b"\0").x == b"" and cls.unpack_from(mine, 4) == (cls(b""), 6) if mine[4] == 0 else True


def test_views_keep_the_buffer_alive(backend: Any) -> None:
    class Block(bytearray):
        pass

    cls = one(fw.list_of(fw.view_u8, fw.u8))
    block = Block(b"\2\1a\2bc")
    gone = weakref.ref(block)
    record = cls.unpack(block)
    del block
    gc.collect()
    assert gone() is not None and record.x == [b"a", b"bc"]
    del record
    gc.collect()
    assert gone() is None


def test_views_of_nothing_and_in_the_middle(backend: Any) -> None:
    cls = declared(
        "Two", {"x": fw.view_varint, "y": object, "z": fw.u8}, {"y": fw.view(fw.u8, align=4, null=9)}
    )
    record = cls.unpack(b"\0\2ab\0\0\7")
    assert (record.x, record.y, record.z) == (b"", b"ab", 7)
    assert cls.unpack(b"\1a\x09\7").y is None
    assert cls(b"", None, 1).pack() == b"\0\x09\1"
    empty = declared("Only", {"x": object}, {"x": fw.list_of(fw.view(fw.u8), fw.u8)})
    assert empty.unpack(memoryview(b"\0")).x == []
    with pytest.raises(TypeError):
        copy.deepcopy(record)
    assert copy.copy(record) == record


# --- ended, fixed and repeated --------------------------------------------------------------------------


def test_ended_text(backend: Any) -> None:
    cls = declared(
        "Pair",
        {"x": fw.cstr, "y": str, "z": bytes},
        {"y": fw.cstring(encoding="utf-16-le"), "z": fw.cstring(encoding=None, max=3)},
    )
    wire = b"key\0" + "ā€".encode("utf-16-le") + b"\0\0abc\0"
    assert cls("key", "ā€", b"abc").pack() == wire and cls.unpack(wire) == cls("key", "ā€", b"abc")
    assert cls.min_size == 4
    many = one(fw.list_of(fw.cstr, fw.u16))
    value = ["", "x" * 63, "y" * 64, "z" * 1000]
    assert many.unpack(bytearray(many(value).pack())).x == value
    assert cls.missing(b"ke") == 4 and cls.missing(wire[:-1]) == 1


def test_ended_text_in_a_large_buffer_takes_linear_time(backend: Any) -> None:
    cls = one(fw.list_of(fw.cstr, fw.u32))
    data = bytearray(struct.pack(">I", 20_000) + b"a\0" * 20_000 + bytes(8_000_000))
    assert peak_memory(lambda: cls.unpack_from(data)) < 8_000_000
    assert len(cls.unpack_from(data)[0].x) == 20_000 and cls.missing(data) == 0


def test_fixed(backend: Any) -> None:
    cls = declared(
        "All",
        {"a": bytes, "b": bytes, "c": str, "d": str},
        {
            "a": fw.fixed(2),
            "b": fw.fixed(4, pad=b"\0"),
            "c": fw.fixed(4, pad=b" ", encoding="utf-8"),
            "d": fw.fixed(6, pad=b" \0", encoding="utf-16-le"),
        },
    )
    wire = b"\0\0ab\0\0\xc3\xa9  x\0 \0 \0"
    assert cls(b"\0\0", b"ab", "é", "x").pack() == wire and cls.fixed_size == 16
    assert cls.unpack(wire) == cls(b"\0\0", b"ab", "é", "x")
    assert cls.unpack(bytes(16)) == cls(b"\0\0", b"", "\0\0\0\0", "\0\0\0")
    assert cls(bytearray(2), b"", "", "").pack() == bytes(6) + b"    " + b" \0" * 3
    refused(lambda: cls.unpack(wire[:5]), fw.RecordError, "All.b: 4 bytes needed at offset 2, 3 left")


def test_repeat(backend: Any) -> None:
    item = declared("Item", {"a": fw.u8, "b": fw.str_u8})
    cls = declared(
        "Rows",
        {"x": list, "y": list, "z": object},
        {
            "x": fw.repeat(item, 2),
            "y": fw.repeat(fw.repeat(fw.u16, 2), 2),
            "z": fw.repeat(fw.u16, 2, array=True),
        },
    )
    record = cls([item(1, "a"), item(2, "")], [[1, 2], [3, 4]], array("H", [5, 6]))
    wire = bytes.fromhex("01 01 61 02 00 0001 0002 0003 0004 0005 0006")
    assert (
        record.pack() == wire and cls.unpack(wire) == record and (cls.min_size, cls.fixed_size) == (16, None)
    )
    assert type(cls.unpack(wire).z) is array
    refused(lambda: cls.unpack(wire[:4]), fw.RecordError, "Rows.x[1].b: 1 bytes needed at offset 4, 0 left")
    refused(
        lambda: cls.unpack(wire[:11]), fw.RecordError, "Rows.y[1][1]: 2 bytes needed at offset 11, 0 left"
    )
    refused(lambda: cls.unpack(wire[:-1]), fw.RecordError, "Rows.z[1]: 2 bytes needed at offset 15, 1 left")
    refused(
        lambda: cls.unpack(b"\1\1\xff"), fw.RecordError, "Rows.x[0].b: the byte 0xff at offset 2 is no UTF-8"
    )
    assert [cls.missing(wire[:n]) for n in (0, 2, 13, 16)] == [16, 14, 4, 1]
    assert one(fw.repeat(fw.u24, 3)).fixed_size == 9
    assert one(fw.repeat(declared("P", {"a": fw.u8, "b": bytes}, {"b": fw.pad(1)}), 3)).fixed_size == 6


# --- what can be in a list ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "values", "wire"),
    [
        (fw.enumerated(fw.u8, Kind), [Kind.PING, Kind.PONG], b"\2\1\2"),
        (fw.enumerated(fw.varint, Kind, open=True), [Kind.PING, 200], b"\2\1\xc8\1"),
        (fw.digits(3), [7, 42], b"\x02007042"),
        (fw.digits(end=b";"), [7, 42], b"\x027;42;"),
        (fw.hexdigits(2), [255], b"\1ff"),
        (fw.leb128(2), [300], b"\1\xac\2"),
        (fw.fixed(2), [b"ab", b"cd"], b"\2abcd"),
        (fw.string(fw.u8, null=255), ["a", None], b"\2\1a\xff"),
        (fw.cstr, ["a", ""], b"\2a\0\0"),
        (fw.repeat(fw.u8, 2), [[1, 2], [3, 4]], b"\2\1\2\3\4"),
        (fw.list_of(fw.zigzag, fw.u8, max=2), [[-1], []], b"\2\1\1\0"),
        (bool, [True, False], b"\2\1\0"),
    ],
)
def test_every_type_can_be_in_a_list(item: Any, values: Any, wire: bytes, backend: Any) -> None:
    for cls in (declared("One", {"x": fw.list_u8[item]}), one(fw.list_of(item, fw.u8, max=9))):
        assert cls(values).pack() == wire
        read = cls.unpack(wire).x
        assert read == values and [type(a) for a in read] == [type(a) for a in values]
        assert cls.missing(wire) == 0


def test_members_in_a_list_are_checked(backend: Any) -> None:
    cls = declared("One", {"x": fw.list_u8[fw.enumerated(fw.u8, Kind)]})
    unreadable(cls, b"\2\1\7", "One.x[1]: 7 at offset 2 is no Kind", "bad-value")
    refused(cls([1, 7]).pack, fw.EncodeError, "One.x[1]: 7 is no Kind")


def test_items_without_bytes_are_limited(backend: Any) -> None:
    Empty = declared("Empty", {})
    cls = one(fw.list_of(Empty, fw.u32, max=1000))
    wire = struct.pack(">I", 1000)
    assert cls([Empty()] * 1000).pack() == wire and cls.unpack(wire).x == [Empty()] * 1000
    assert cls.missing(wire) == 0
    unreadable(
        cls, struct.pack(">I", 1001), "One.x: 1001 items at offset 0 are too many: at most 1000", "too-large"
    )
    nested = one(fw.list_of(fw.list_of(Empty, fw.u8, max=3), fw.u8, max=3))
    assert nested.unpack(b"\2\1\3").x == [[Empty()], [Empty()] * 3]
    with pytest.raises(fw.DeclarationError, match=r"^One.x: its items have no bytes.*\(max=\)$"):
        one(fw.list_of(Empty, fw.u8)).min_size  # noqa: B018


# --- defaults -------------------------------------------------------------------------------------------


def test_types_have_defaults(backend: Any) -> None:
    given = {
        "a": fw.string(fw.i16, null=-1, default=None),
        "b": fw.digits(3, default=7),
        "c": fw.list_of(fw.u8, fw.u8, default=[]),
        "d": fw.enumerated(fw.u8, default=Kind.PING),
        "e": fw.leb128(2, default=300),
        "f": fw.tiered(fw.u8, {255: fw.u16}, default=1),
        "g": fw.hexdigits(2, default=16),
        "h": fw.fixed(2, default=b"ab"),
        "i": fw.codec(mpint, from_mpint, 4, default=0),
        "j": fw.string(fw.u8, default="x"),
        "k": fw.repeat(fw.u8, 2, default=(1, 2)),
        "l": fw.digits(end=b" ", default=3),
    }
    cls = declared("Defaults", {name: Kind if name == "d" else object for name in given}, given)
    record = cls()
    assert record == cls(None, 7, [], Kind.PING, 300, 1, 16, b"ab", 0, "x", (1, 2), 3)
    assert record.c is not cls().c
    assert record.pack() == b"\xff\xff007\0\1\xac\2\x01" + b"10ab\0\0\0\0\1x\1\2" + b"3 "
    with pytest.raises(fw.DeclarationError, match="^Bad.x: the default of a list must be empty$"):
        declared("Bad", {"x": list}, {"x": fw.list_of(fw.u8, fw.u8, default=[1])})
    with pytest.raises(TypeError, match="length_type must be a length type such as u32 or varint"):
        fw.LengthPrefixed(fw.digits(3, default=1))
    late = declared("Late", {"x": "Nowhere[int]"}, {"x": fw.array_of(fw.u8, fw.u8)})
    assert late(b"ab").pack() == b"\2ab", "nobody needs the annotation"


def test_types_are_values() -> None:
    kinds = [
        fw.string(fw.i16, null=-1, encoding="ascii"),
        fw.binary(fw.u32, align=4, max=9),
        fw.view(fw.varint, bias=1, null=0),
        fw.cstring(max=3),
        fw.cstring(encoding=None),
        fw.fixed(3, pad=b" ", encoding="ascii"),
        fw.list_of(fw.u8, fw.u16, max=3),
        fw.array_of(fw.u8, fw.zigzag),
        fw.repeat(fw.u8, 2, array=True),
        fw.enumerated(fw.u8, Kind, open=True),
        fw.view_u8,
        fw.cstr,
    ]
    names = {**{name: getattr(fw, name) for name in fw.__all__}, "Kind": Kind}
    for kind in kinds:
        for other in (pickle.loads(pickle.dumps(kind)), copy.deepcopy(kind), eval(repr(kind), names)):
            assert other == kind and hash(other) == hash(kind) and repr(other) == repr(kind)
    assert len(set(kinds)) == len(kinds)
    assert fw.string(fw.u8) == fw.str_u8 and fw.binary(fw.varint) == fw.bytes_varint
    assert fw.list_of(fw.u8, fw.u16) == fw.list_u16[fw.u8] and fw.cstring() == fw.cstr
    assert fw.view(fw.u8) == fw.view_u8 and fw.array_of(fw.u8, fw.u8) == fw.array_u8[fw.u8]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: fw.string(fw.u8, encoding="utf-7"), "string: encoding='utf-7' must be one of utf-8, ascii"),
        (lambda: fw.string(fw.u8, bias=-1), "string: bias=-1 must be at least 0"),
        (lambda: fw.string(fw.u8, null=256), "string: null=256 must be at most 255"),
        (lambda: fw.string(fw.u8, null=-1), "string: null=-1 must be at least 0"),
        (lambda: fw.string(fw.u8, null=0), "string: u8 leaves no number for an empty value"),
        (lambda: fw.string(fw.u8, bias=256), "string: u8 leaves no number for an empty value"),
        (lambda: fw.binary(fw.u8, align=0), "binary: align=0 must be at least 1"),
        (lambda: fw.binary(fw.u8, max=-1), "binary: max=-1 must be at least 0"),
        (lambda: fw.cstring(encoding="x"), "cstring: encoding='x' must be one of"),
        (lambda: fw.fixed(0), "fixed: size=0 must be at least 1"),
        (lambda: fw.fixed(2, pad=b""), "fixed: pad=b'' must be 1 bytes long"),
        (lambda: fw.fixed(2, pad=b"x", encoding="utf-16-le"), "fixed: pad=b'x' must be 2 bytes long"),
        (lambda: fw.fixed(3, pad=b" \0", encoding="utf-16-le"), "fixed: size=3 must be a multiple of 2"),
        (lambda: fw.repeat(fw.u8, 0), "repeat: count=0 must be at least 1"),
        (lambda: fw.codec(len, len, -1), "codec: min_size=-1 must be at least 0"),
        (lambda: one(fw.array_of(fw.u24, fw.u8)), "One.x: an array is of integers of 1, 2, 4 or 8 bytes"),
        (lambda: one(fw.repeat(fw.varint, 2, array=True)), "One.x: an array is of integers"),
        (lambda: one(fw.repeat(fw.rest, 2)), "One.x: rest cannot be in a list"),
        (
            lambda: one(fw.repeat(fw.repeat(fw.u8, 1 << 20), 1 << 20)),
            "One.x: 1048576 items of 1048576 bytes are more",
        ),
        (lambda: one(fw.list_of(int, fw.u8)), "One.x: int does not say how it is packed"),
        (lambda: one(fw.list_of(fw.enumerated(fw.u8), fw.u8)), "One.x: enumerated.u8. needs an IntEnum"),
        (lambda: one(fw.enumerated(fw.u8, int)), "One.x: enumerated.u8, int. needs an IntEnum"),
        (
            lambda: one(fw.repeat(fw.list_u8[fw.list_u8[fw.repeat(fw.u8, 2)]], 2)),
            "One.x: lists within lists, more than 3 deep",
        ),
        (
            lambda: declared("Self", {"x": list}, {"x": fw.repeat("Self", 2)}).min_size,
            "Self: it contains itself",
        ),
    ],
)
def test_what_cannot_be_declared(make: Callable[[], Any], text: str, backend: Any) -> None:
    with pytest.raises(fw.DeclarationError, match=f"^{text}"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: fw.string("u8"),
        lambda: fw.list_of(fw.u8, 8),
        lambda: fw.string(fw.u8, bias="1"),
        lambda: fw.fixed(2, pad="x"),
        lambda: fw.codec(None, len, 1),
        lambda: fw.repeat(fw.u8, 2, array=1),
    ],
)
def test_what_is_of_the_wrong_type(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


# --- the hook -------------------------------------------------------------------------------------------


def mpint(number: int) -> bytes:
    data = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) if number else b""
    return struct.pack(">I", len(data)) + data


def from_mpint(buffer: memoryview, offset: int) -> tuple[int, int]:
    end = offset + 4 + struct.unpack_from(">I", buffer, offset)[0]
    return int.from_bytes(buffer[offset + 4 : end], "big", signed=True), end


def test_the_hook(backend: Any) -> None:
    seen: list[Any] = []

    def spying(buffer: memoryview, offset: int) -> tuple[int, int]:
        seen.append((type(buffer), bytes(buffer), buffer.readonly, offset))
        return from_mpint(buffer, offset)

    cls = declared("Key", {"a": fw.u8, "b": int, "c": fw.u8}, {"b": fw.codec(mpint, spying, 4)})
    wire = b"\7\0\0\0\2\0\x80\x09"
    assert cls(7, 0x80, 9).pack() == wire and cls.unpack(wire) == cls(7, 0x80, 9) and cls.min_size == 6
    assert seen == [(memoryview, wire, True, 1)]
    assert cls.unpack_from(bytearray(b"x" + wire), 1) == (cls(7, 0x80, 9), 9)
    assert seen[1] == (memoryview, b"x" + wire, False, 2)
    assert [cls.missing(wire[:n]) for n in range(9)] == [6, 5, 4, 3, 2, 3, 2, 1, 0]
    for size in range(8):
        with pytest.raises(fw.RecordError) as caught:
            cls.unpack(wire[:size])
        assert caught.value.reason == "truncated"
    refused(lambda: cls.unpack(wire[:6]), fw.RecordError, "Key.b: 6 bytes needed at offset 1, 5 left")
    many = one(fw.list_of(fw.codec(mpint, from_mpint, 4), fw.u8))
    assert many.unpack(many([1, -1, 0]).pack()).x == [1, -1, 0]
    assert many.missing(b"\3\0\0\0\1\1\0\0\0\1\1\0\0\0") == 1


def test_the_hook_that_does_not_know_how_much_it_needs(backend: Any) -> None:
    def line(buffer: memoryview, offset: int) -> tuple[bytes, int]:
        end = bytes(buffer[offset:]).find(b"\n")
        if end < 0:
            raise EOFError
        return bytes(buffer[offset : offset + end]), offset + end + 1

    cls = one(fw.codec(lambda data: data + b"\n", line, 1))
    assert cls.unpack(b"abc\n").x == b"abc" and cls.missing(b"abc") == 1 and cls.missing(b"") == 1
    refused(lambda: cls.unpack(b"abc"), fw.RecordError, "One.x: 4 bytes needed at offset 0, 3 left")


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (None, "a NoneType"),
        ((1,), "a tuple"),
        ([1, 4], "a list"),
        ((1, None), "the end NoneType"),
        ((1, 0), "the end 0"),
        ((1, -(1 << 70)), "an end that no buffer has"),
        ((1, 1 << 63), "the end 9223372036854775808"),
        ((1, 1 << 5000), "an end that no buffer has"),
    ],
)
def test_an_end_that_cannot_be(made: Any, shown: str, backend: Any) -> None:
    cls = one(fw.codec(bytes, lambda buffer, offset: made, 1))
    text = f"One.x: unpack_from at offset 0 gave {shown}, not (value, end) with an end from 1 on"
    unreadable(cls, b"abcd", text, "bad-end")


def test_a_far_end_is_more(backend: Any) -> None:
    cls = one(fw.codec(bytes, lambda buffer, offset: (None, (1 << 63) - 1), 1))
    assert cls.missing(b"abcd") == (1 << 63) - 5
    refused(
        lambda: cls.unpack(b"abcd"),
        fw.RecordError,
        f"One.x: {(1 << 63) - 1} bytes needed at offset 0, 4 left",
    )


@pytest.mark.parametrize(
    ("made", "shown"),
    [(None, "a NoneType"), ("ab", "a str"), (bytearray(4), "a bytearray"), (b"a", "1 bytes")],
)
def test_bytes_that_are_none(made: Any, shown: str, backend: Any) -> None:
    cls = one(fw.codec(lambda value: made, from_mpint, 2))
    refused(cls(1).pack, fw.EncodeError, f"One.x: pack gave {shown}, not bytes, at least 2 of them")


@pytest.mark.parametrize("error", [ValueError, IndexError, struct.error, AttributeError, KeyboardInterrupt])
def test_its_exceptions_pass(error: Any, backend: Any) -> None:
    def fail(*arguments: object) -> Any:
        raise error("mine")

    for kind in (fw.codec(fail, fail, 1), fw.repeat(fw.codec(fail, fail, 1), 1)):
        cls = one(kind)
        for call in (lambda cls=cls: cls.unpack(b"a"), lambda cls=cls: cls.missing(b"a"), cls([1]).pack):
            with pytest.raises(error, match="^mine$") as caught:
                call()
            assert type(caught.value) is error


def test_it_uses_records_itself(backend: Any) -> None:
    """As deep as Python goes, then RecursionError; never a crash."""
    cls: Any = None

    def pack(value: Any) -> bytes:
        return cls(value - 1).pack() if value else b"\0"

    def unpack_from(buffer: memoryview, offset: int) -> Any:
        if buffer[offset] == 0:
            return 0, offset + 1
        inner, end = cls.unpack_from(buffer, offset + 1)
        return inner.x + 1, end

    cls = one(fw.codec(pack, unpack_from, 1))
    assert cls(20).pack() == b"\0" and cls.unpack(b"\1" * 20 + b"\0").x == 20
    for call in (
        lambda: cls.unpack(b"\1" * 100_000),
        lambda: cls.missing(b"\1" * 100_000),
        cls(1 << 30).pack,
    ):
        with pytest.raises(RecursionError):
            call()


def test_it_changes_what_is_packed(backend: Any) -> None:
    items: list[Any] = [1, 2, 3]

    def pack(value: int) -> bytes:
        items.clear()
        gc.collect()
        return b"ab"

    cls = one(fw.list_of(fw.codec(pack, from_mpint, 1), fw.u8))
    refused(cls(items).pack, fw.EncodeError, "One.x: the list was changed while it was packed")
    record: Any = None

    def forget(value: int) -> bytes:
        record.y = None
        return b"a"

    cls = declared("Two", {"x": int, "y": fw.str_u8}, {"x": fw.codec(forget, from_mpint, 1)})
    record = cls(1, "x")
    refused(record.pack, fw.EncodeError, "Two.y: a str is needed, not NoneType")


def test_it_cannot_change_the_size_of_what_is_read(backend: Any) -> None:
    data = bytearray(b"\0\0\0\0\0\0\0\1")

    def shrink(buffer: memoryview, offset: int) -> tuple[int, int]:
        data.clear()
        return 0, offset + 4

    cls = declared("Two", {"x": int, "y": fw.u32}, {"x": fw.codec(mpint, shrink, 4)})
    with pytest.raises(BufferError):
        cls.unpack(data)
    data.clear()
