"""Records of random declarations are the same to both backends: bytes, values, types, errors, messages."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from test_records import FORMATS, HAS_NATIVE, Kind, Sample, declared, outcome

import framewire as fw
from framewire import _backend, fields

pytestmark = pytest.mark.skipif(not HAS_NATIVE, reason="built without the extension")


def on(name: str, make: Callable[[], Any]) -> Any:
    """The record class that `make` gives, run by one backend for good."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_backend, "records", _backend.load(name).records, raising=False)
        cls = make()
        assert cls.min_size >= 0
    assert type(cls._layout.program).__module__ == f"framewire._{name}.records"
    return cls


SCALARS = [*FORMATS, "u24", "i40", "u56le", "i16le", "f32le", "varint", "vlq", "quicvarint", "ber"]
SCALARS += ["varint32", "zigzag", "zigzag32", "sleb128", "compactsize", "derlength"]
COUNTS = ["u8", "u16", "varint"]


PREFIXES = ["u8", "u16", "varint", "i16", "i24le", "zigzag", "sleb128", "compactsize", "derlength"]
ENCODINGS = ["utf-8", "ascii", "latin-1", "utf-16-be", "utf-16-le", "mutf-8"]


def pack_number(number: int) -> bytes:
    """The mpint of SSH, nearly: for the hook."""
    if not isinstance(number, int):
        raise TypeError("mine")
    data = number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True) if number else b""
    return bytes([len(data)]) + data


def unpack_number(buffer: memoryview, offset: int) -> tuple[int, int]:
    if buffer[offset] == 0xFF:
        raise EOFError
    end = offset + 1 + buffer[offset]
    return int.from_bytes(buffer[offset + 1 : end], "big", signed=True), end


def text_of(encoding: str, size: int = 5, nul: bool = True) -> st.SearchStrategy[str]:
    most = {"ascii": 0x7F, "latin-1": 0xFF}.get(encoding, 0x10FFFF)
    return st.text(
        st.characters(min_codepoint=0 if nul else 1, max_codepoint=most, exclude_categories=("Cs",)),
        max_size=size,
    )


@st.composite
def counted(draw: Any, heads: list[str], items: st.SearchStrategy[Any]) -> Any:
    """Something behind a number: (name of its function, number, item or encoding or None, options)."""
    head, prefix = draw(st.sampled_from(heads)), draw(st.sampled_from(PREFIXES))
    bias = draw(st.integers(0, 1))
    nulls = [None, *([-1] if fields.NAMED[prefix].spec[3] else []), *([0] if bias else []), 120]
    options = {"bias": bias, "null": draw(st.sampled_from(nulls)), "max": draw(st.sampled_from([None, 30]))}
    what = draw(items) if head.endswith("_of") else draw(st.sampled_from(ENCODINGS))
    if not head.endswith("_of"):
        options["align"] = draw(st.sampled_from([1, 1, 2, 4]))
    return head, prefix, what, {name: value for name, value in options.items() if value is not None}


def declared_type(kind: Any) -> Any:
    """The type of what sequences.py declares."""
    head, *rest = kind
    if head in ("string", "binary", "view", "list_of", "array_of"):
        prefix, what, options = rest
        if head == "string":
            options = {**options, "encoding": what}
        item = [annotated(what)] if head.endswith("_of") else []
        return getattr(fw, head)(*item, getattr(fw, prefix), **options)
    if head == "cstring":
        return fw.cstring(encoding=rest[0], max=rest[1])
    if head == "fixed":
        return fw.fixed(rest[0], pad=rest[1], encoding=rest[2])
    if head in ("repeat", "row"):
        return fw.repeat(annotated(rest[0]), rest[1], array=head == "row")
    if head == "member":
        return fw.enumerated(fw.u8, Kind, open=rest[0])
    return fw.codec(pack_number, unpack_number, 1)


def declared_value(kind: Any) -> st.SearchStrategy[Any]:
    head, *rest = kind
    value: st.SearchStrategy[Any]
    if head in ("string", "binary", "view", "list_of", "array_of"):
        _, what, options = rest
        value = text_of(what) if head == "string" else st.binary(max_size=5)
        if head.endswith("_of"):
            value = st.lists(value_of(what), max_size=4)
        return value | st.none() if "null" in options else value
    if head == "cstring":
        return (
            text_of(rest[0], nul=rest[0] == "mutf-8")
            if rest[0]
            else st.binary(max_size=5).filter(lambda data: 0 not in data)
        )
    if head == "fixed":
        size, pad, encoding = rest
        if encoding:
            letters = st.text("abc", max_size=size // 2)
            return letters if pad else st.text("abc", min_size=size, max_size=size)
        value = st.binary(min_size=0 if pad else size, max_size=size)
        return value.filter(lambda data: not (pad and data.endswith(pad)))
    if head in ("repeat", "row"):
        return st.lists(value_of(rest[0]), min_size=rest[1], max_size=rest[1])
    if head == "member":
        return st.sampled_from(Kind)
    return st.integers(-(1 << 64), 1 << 64)


FIXED = st.one_of(
    st.tuples(st.integers(1, 6), st.sampled_from([None, b"\0", b" "]), st.none()),
    st.tuples(st.integers(1, 6), st.sampled_from([None, b" "]), st.sampled_from(["ascii", "mutf-8"])),
    st.just((6, b"\0\0", "utf-16-le")),
)


def value_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values for a described type; a record's value is the list of its fields'."""
    head = kind[0]
    if head in DECLARED:
        return declared_value(kind)
    if head == "scalar":
        name = kind[1]
        if name[0] == "f":
            return st.floats(width=int(name[1:3]))
        field = fields.NAMED[name]
        low = -field.maximum - 1 if field.spec[3] else 0
        return st.integers(low, field.maximum) | st.integers(0, 3)
    if head == "bool":
        return st.booleans()
    if head == "str":
        return st.text(max_size=5)
    if head == "enum":
        return st.sampled_from(Kind) | st.integers(0, 3 if kind[2] else 2).filter(lambda n: kind[2] or n)
    if head in ("bytes", "rest"):
        return st.binary(max_size=5)
    if head in ("list", "array"):
        return st.lists(value_of(kind[2]), max_size=4)
    if head == "record":
        return st.tuples(*(value_of(one) for one in kind[1]))
    return st.none()


SCALAR = st.sampled_from(SCALARS).map(lambda name: ("scalar", name))
ITEMS = st.sampled_from(["u8", "u16", "i32le", "u64", "f32", "f64le"]).map(lambda name: ("scalar", name))
DECLARED = {
    "string",
    "binary",
    "view",
    "list_of",
    "array_of",
    "cstring",
    "fixed",
    "repeat",
    "row",
    "member",
    "codec",
}
SEQUENCE = st.one_of(
    counted(["string", "binary", "view"], st.none()),
    counted(["array_of"], ITEMS),
    st.tuples(st.just("cstring"), st.sampled_from([None, *ENCODINGS]), st.sampled_from([None, 30])),
    FIXED.map(lambda made: ("fixed", *made)),
    st.tuples(st.just("row"), ITEMS, st.integers(1, 3)),
    st.tuples(st.just("member"), st.booleans()),
    st.just(("codec",)),
)
LEAF = st.one_of(
    SEQUENCE,
    SEQUENCE,
    SCALAR,
    SCALAR,
    st.just(("bool",)),
    st.tuples(st.sampled_from(["str", "bytes"]), st.sampled_from(COUNTS)),
    st.tuples(st.just("array"), st.sampled_from(COUNTS), ITEMS),
    st.tuples(st.just("const"), st.binary(min_size=1, max_size=3)),
    st.tuples(st.just("pad"), st.integers(1, 3)),
    st.tuples(st.just("enum"), st.sampled_from(["u8", "i24", "varint"]), st.booleans()),
)
# What needs more than an annotation cannot be in a list.
VALUED = LEAF.filter(lambda kind: kind[0] not in ("const", "pad", "enum"))


def record_of(kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # Without one of them, a record may have no bytes and cannot be in a list.
    return st.tuples(SCALAR, st.lists(kinds, max_size=5)).map(lambda made: ("record", [made[0], *made[1]]))


NESTED = st.recursive(
    LEAF,
    lambda inner: (
        record_of(inner)
        | st.tuples(st.just("list"), st.sampled_from(COUNTS), VALUED | record_of(inner))
        | counted(["list_of"], VALUED | record_of(inner))
        | st.tuples(st.just("repeat"), VALUED | record_of(inner), st.integers(1, 3))
    ),
    max_leaves=8,
)
WHOLE = st.tuples(record_of(NESTED), st.booleans()).map(
    lambda made: ("record", made[0][1] + [("rest",)] * made[1])
)


def annotated(kind: Any) -> Any:
    head = kind[0]
    if head in DECLARED:
        return declared_type(kind)
    if head == "scalar":
        return getattr(fw, kind[1])
    if head == "record":
        return build(kind)
    if head in ("str", "bytes"):
        return getattr(fw, f"{head}_{kind[1]}")
    if head in ("list", "array"):
        return getattr(fw, f"{head}_{kind[1]}")[annotated(kind[2])]
    return {"bool": bool, "rest": fw.rest, "enum": Kind}.get(head, bytes)


def build(kind: Any) -> Any:
    given: dict[str, Any] = {}
    for i, one in enumerate(kind[1]):
        if one[0] in ("const", "pad"):
            given[f"f{i}"] = fw.const(one[1]) if one[0] == "const" else fw.pad(one[1])
        elif one[0] in DECLARED:
            given[f"f{i}"] = declared_type(one)
        elif one[0] == "enum":
            given[f"f{i}"] = fw.enumerated(getattr(fw, one[1]), open=one[2])
    names = {f"f{i}": one for i, one in enumerate(kind[1])}
    return declared(
        "R", {n: object if one[0] in DECLARED else annotated(one) for n, one in names.items()}, given
    )


def instance(cls: Any, kind: Any, value: Any) -> Any:
    """The record of class `cls` with the described values; junk stays what it is."""

    def made(annotation: Any, one: Any, inner: Any) -> Any:
        if one[0] == "record" and isinstance(inner, tuple) and len(inner) == len(one[1]):
            return instance(annotation, one, inner)
        if one[0] == "list" and isinstance(inner, list):
            return [made(annotation.detail, one[2], item) for item in inner]
        if one[0] in ("list_of", "repeat") and isinstance(inner, list):
            item_type = annotation.detail[0] if isinstance(annotation.detail, tuple) else annotation.detail
            return [made(item_type, one[1 if one[0] == "repeat" else 2], item) for item in inner]
        return inner

    layout = cls._layout
    annotations = {name: layout.given.get(name, known) for name, known in layout.annotations.items()}
    values = [
        made(annotations[f"f{i}"], one, inner)
        for i, (one, inner) in enumerate(zip(kind[1], value))
        if one[0] not in ("const", "pad")
    ]
    return cls(*values)


def spoiled(draw: Any, kind: Any, value: Any) -> Any:
    """The same value with something else somewhere."""
    if kind[0] == "record" and draw(st.integers(0, 4)):
        at = draw(st.integers(0, len(value) - 1))
        return (*value[:at], spoiled(draw, kind[1][at], value[at]), *value[at + 1 :])
    if (
        kind[0] in ("list", "array", "list_of", "array_of", "repeat", "row")
        and value
        and draw(st.integers(0, 4))
    ):
        at = draw(st.integers(0, len(value) - 1))
        item = kind[1 if kind[0] in ("repeat", "row") else 2]
        return [*value[:at], spoiled(draw, item, value[at]), *value[at + 1 :]]
    return draw(
        st.sampled_from(
            [
                None,
                -1,
                1 << 64,
                1 << 3000,
                1.5,
                1e300,
                "x",
                "\ud800",
                "x" * 300,
                b"x",
                b"x" * 300,
                [1],
                (2, 3),
                [None],
            ]
            + [
                True,
                Sample(1, 2, 3.0),
                array("H", [1, 2]),
                array("d", [1.0]),
                memoryview(b"abc")[::2],
                [1] * 300,
            ]
        )
    )


@settings(max_examples=examples(400, 20000))
@given(st.data())
def test_the_twins_agree(data: Any) -> None:
    kind = data.draw(WHOLE)
    value = data.draw(value_of(kind))
    native, pure = (on(name, lambda: build(kind)) for name in ("native", "pure"))
    assert (native.min_size, native.fixed_size) == (pure.min_size, pure.fixed_size)
    mine, theirs = instance(native, kind, value), instance(pure, kind, value)
    wire = outcome(mine.pack)
    assert wire == outcome(theirs.pack)
    packed = mine.pack()
    assert len(packed) == mine.size_of() == theirs.size_of() >= native.min_size
    assert native.fixed_size in (None, len(packed))
    again = native.unpack(packed)
    assert again.pack() == packed
    assert outcome(lambda: again) == outcome(lambda: pure.unpack(packed))
    open_end = kind[1][-1] == ("rest",)
    for size in range(len(packed)):
        cut = packed[:size]
        lacks = native.missing(cut)
        assert lacks == pure.missing(cut) and lacks <= len(packed) - size
        assert open_end or lacks > 0
        refused = outcome(partial(native.unpack, cut))
        assert refused == outcome(partial(pure.unpack, cut))
        assert isinstance(refused, str) is (lacks == 0)
    assert native.missing(packed) == 0
    for _ in range(4):
        damaged = bytearray(packed)
        if damaged:
            at = data.draw(st.integers(0, len(damaged) - 1))
            damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        for call in ("unpack", "unpack_from", "missing"):
            mine, theirs = (outcome(partial(getattr(cls, call), damaged)) for cls in (native, pure))
            assert mine == theirs
    bad = spoiled(data.draw, kind, value)
    if isinstance(bad, tuple) and len(bad) == len(kind[1]):
        assert outcome(instance(native, kind, bad).pack) == outcome(instance(pure, kind, bad).pack)


@settings(max_examples=examples(300, 20000))
@given(WHOLE, st.binary(max_size=40))
def test_any_bytes_mean_the_same_to_both(kind: Any, data: bytes) -> None:
    native, pure = (on(name, lambda: build(kind)) for name in ("native", "pure"))
    for call in ("unpack_from", "missing"):
        mine = outcome(partial(getattr(native, call), data))
        assert mine == outcome(partial(getattr(pure, call), data))
        if not isinstance(mine, str):
            assert mine[0] is fw.RecordError
