"""`Packer`, and records as text: `record` and `__layout__`."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType
from typing import Any

import pytest
from conftest import examples, module_over, peak_memory
from hypothesis import given, settings
from hypothesis import strategies as st
from test_equal_records import SCALARS, value_of
from test_records import HAS_NATIVE

import framewire as fw
from framewire import _backend, packers

Backend = _backend.Backend
BACKENDS = ["native"] * HAS_NATIVE + ["pure"]


class Kind(IntEnum):
    PING = 1
    PONG = 2


class Point(fw.Record):
    x: fw.u16
    y: fw.u16


@pytest.fixture
def over(backend: Backend) -> ModuleType:
    return module_over(packers, backend.name)


def outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


# --- random rows: a described type is as in test_equal_records, "tuple" is ("record", types) -------------

COUNTS = st.sampled_from(["u8", "u16", "varint", "u24le"])
LEAF = st.one_of(
    st.sampled_from(SCALARS).map(lambda name: ("scalar", name)),
    st.just(("bool",)),
    st.tuples(st.sampled_from(["str", "bytes"]), st.sampled_from(["u8", "u16", "varint"])),
)
# A tuple with some bytes, so that it can be in a list.
TYPES = st.recursive(
    LEAF,
    lambda inner: (
        st.tuples(st.just("list"), COUNTS, inner)
        | st.tuples(LEAF, st.lists(inner, max_size=2)).map(lambda made: ("record", [made[0], *made[1]]))
    ),
    max_leaves=6,
)
FILLERS = st.sampled_from(["pad(2)", "const(b'HI')", 'const(b"\\x00,] ")'])


def text_of(kind: Any) -> str:
    if kind[0] == "list":
        return f"{text_of(kind[2])}[{kind[1]}]"
    if kind[0] == "record":
        inner = ", ".join(map(text_of, kind[1]))
        return f"({inner}{',' * (len(kind[1]) == 1)})"
    return {"scalar": kind[-1], "bool": "bool"}.get(kind[0], f"{kind[0]}_{kind[-1]}")


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # NaN is itself


ROWS = st.lists(TYPES, max_size=4).flatmap(
    lambda kinds: st.tuples(
        st.just(kinds), st.tuples(*(value_of(kind) for kind in kinds)), st.lists(FILLERS, max_size=2)
    )
)


def packer_of(name: str, text: str) -> Any:
    """A Packer of one backend, in a test that is about both."""
    module = module_over(packers, name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_backend, "packers", _backend.load(name).packers, raising=False)
        return module.Packer(text)


def row_text(kinds: list[Any], fillers: list[str]) -> str:
    words = [text_of(kind) for kind in kinds]
    words[1:1] = fillers
    return " ".join(words)


@given(ROWS)
def test_round_trip_in_both_backends(row: Any) -> None:
    kinds, values, fillers = row
    wires = []
    for name in BACKENDS:
        packer = packer_of(name, row_text(kinds, fillers))
        data = packer.pack(*values)
        wires.append(data)
        assert same(packer.unpack(data), values) and same(packer.unpack(memoryview(data)), values)
        assert type(packer.unpack(data)) is tuple
        assert same(packer.unpack_from(b"ab" + data + b"c", 2), (values, 2 + len(data)))
        target = bytearray(len(data) + 3)
        assert packer.pack_into(target, 2, *values) == 2 + len(data)
        assert target == b"\0\0" + data + b"\0"
        assert packer.min_size <= len(data)
        assert packer.fixed_size in (None, len(data))
        assert packer.missing(data) == 0
        for end in range(len(data)):
            assert packer.missing(data[:end]) > 0
            assert outcome(lambda: packer.unpack(data[:end]))[0] is fw.RecordError  # noqa: B023
        if packer.min_size:
            assert same(list(packer.iter_unpack(data * 3)), [values] * 3)
        assert str(packer_of(name, str(packer))) == str(packer)
    assert wires[0] == wires[-1]


@given(ROWS, st.binary(max_size=30), st.data())
def test_both_backends_say_the_same(row: Any, junk: bytes, data: st.DataObject) -> None:
    kinds, values, fillers = row
    wrong = list(values)
    if wrong:
        strange = st.sampled_from([None, -1, 1 << 64, "x", b"x", [], (), [None], (1, 2), 1.5, "\ud800"])
        wrong[data.draw(st.integers(0, len(wrong) - 1))] = data.draw(strange)
    seen = []
    for name in BACKENDS:
        packer = packer_of(name, row_text(kinds, fillers))
        good = packer.pack(*values)
        seen.append(
            [
                outcome(lambda: packer.pack(*wrong)),  # noqa: B023
                outcome(lambda: packer.pack(*values, 1)),  # noqa: B023
                outcome(lambda: packer.pack_into(bytearray(len(good)), 1, *values)),  # noqa: B023
                outcome(lambda: repr(packer.unpack(junk))),  # noqa: B023
                outcome(lambda: repr(packer.unpack(good + b"x"))),  # noqa: B023
                outcome(lambda: repr(packer.unpack(good[:-1]))),  # noqa: B023
                outcome(lambda: packer.missing(junk)),  # noqa: B023
                (str(packer), repr(packer), packer.fixed_size, packer.min_size),
            ]
        )
    assert seen[0] == seen[-1]


# --- Packer ---------------------------------------------------------------------------------------------


def test_what_an_error_says(over: ModuleType) -> None:
    packer = over.Packer("u8 const(b'HI') (u16, str_u8)[u8] bool")
    for values, text in [
        ((256, [], True), "Packer[0]: 256 is not in 0..255"),
        ((1, [(2, "a"), (70000, "b")], True), "Packer[1][1][0]: 70000 is not in 0..65535"),
        ((1, [(2, "a", 3)], True), "Packer[1][0]: a tuple of 2 values is needed, not of 3"),
        ((1, [[2, "a"]], True), "Packer[1][0]: a tuple is needed, not list"),
        ((1, [], 1), "Packer[2]: a bool is needed, not int"),
    ]:
        assert outcome(lambda: packer.pack(*values)) == (fw.EncodeError, text)  # noqa: B023
    data = packer.pack(1, [(2, "a")], True)
    for wire, text in [
        (data[:-1], "Packer[2]: 1 bytes needed at offset 8, 0 left"),
        (data[:5], "Packer[1][0][0]: 2 bytes needed at offset 4, 1 left"),
        (data + b"x", "Packer: 1 bytes too many at offset 9"),
    ]:
        kind, said = outcome(lambda: packer.unpack(wire))  # noqa: B023
        assert kind is fw.RecordError and said == text
    wrong = outcome(lambda: packer.unpack(b"\1XX\0\0"))
    assert wrong[0] is fw.RecordError and wrong[1].startswith("Packer.const(b'HI'): ")


def test_calls_that_are_refused(over: ModuleType) -> None:
    packer = over.Packer("u8 u16")
    for call, kind in [
        (lambda: packer.pack(1), TypeError),
        (lambda: packer.pack(1, 2, 3), TypeError),
        (lambda: packer.pack(a=1), TypeError),
        (lambda: packer.pack_into(), TypeError),
        (lambda: packer.pack_into(bytearray(3), 0, 1), TypeError),
        (lambda: packer.pack_into(bytes(3), 0, 1, 2), TypeError),
        (lambda: packer.pack_into(bytearray(2), 0, 1, 2), BufferError),
        (lambda: packer.pack_into(bytearray(3), 1, 1, 2), BufferError),
        (lambda: packer.pack_into(bytearray(3), -1, 1, 2), IndexError),
        (lambda: packer.pack_into(bytearray(3), 4, 1, 2), IndexError),
        (lambda: packer.pack_into(bytearray(3), "0", 1, 2), TypeError),
        (lambda: packer.unpack("abc"), TypeError),
        (lambda: packer.unpack(memoryview(b"abcdef")[::2]), BufferError),
        (lambda: packer.unpack_from(b"abc", 4), IndexError),
        (lambda: packer.unpack_from(b"abc", -1), IndexError),
        (lambda: packer.missing(b"abc", 4), IndexError),
        (lambda: list(over.Packer("").iter_unpack(b"a")), fw.DeclarationError),
        (lambda: over.Packer(3), TypeError),
    ]:
        with pytest.raises(kind):
            call()
    assert packer.unpack_from(b"abcd", offset=1) == ((98, 25444), 4)
    assert (over.Packer("").pack(), over.Packer("").unpack(b"")) == (b"", ())


def test_records_inside(backend: Backend, over: ModuleType) -> None:
    class Place(fw.Record):
        x: fw.u16
        tags: fw.list_u8[fw.str_u8]

    packer = over.Packer("u8 Place[u8]", {"Place": Place})
    data = packer.pack(1, [Place(2, ["a"])])
    assert packer.unpack(data) == (1, [Place(2, ["a"])])
    with pytest.raises(fw.EncodeError, match=r"^Packer\[1\]\[0\].tags\[1\]: a str is needed, not int"):
        packer.pack(1, [Place(2, ["a", 3])])
    assert str(packer) == "u8 Place[u8]" and repr(packer) == "Packer('u8 Place[u8]', {Place})"


def test_it_is_a_value() -> None:
    packer = fw.Packer("u8, u16[u8],\n(u8, f64)", {"Point": Point})
    again = pickle.loads(pickle.dumps(packer))
    assert (str(again), again.unpack(b"\1\0\2" + bytes(8))) == ("u8 u16[u8] (u8, f64)", (1, [], (2, 0.0)))


def test_a_count_that_lies_costs_nothing(over: ModuleType) -> None:
    packer = over.Packer("(u8, u8)[u32]")
    assert peak_memory(lambda: outcome(lambda: packer.unpack(b"\xff" * 9))) < 10_000


def test_the_list_changes_while_it_is_packed(over: ModuleType) -> None:
    values: list[Any] = [1, 2, 3]

    class Shrinks:
        def __index__(self) -> int:
            values.clear()
            return 7

    values[1] = Shrinks()
    with pytest.raises(fw.EncodeError, match="the list was changed while it was packed"):
        over.Packer("u8[u8]").pack(values)


def test_nothing_leaks(over: ModuleType) -> None:
    packer = over.Packer("u8 (u64, str_u8)[u8] u8")
    marker = 1 << 60
    before = sys.getrefcount(marker)
    for _ in range(200):
        data = packer.pack(1, [(marker, "x")], 2)
        assert packer.unpack(data)[2] == 2
        for bad in ((1, [(marker, "x")], marker), (1, [(marker,)], 2), (marker, [], 1)):
            outcome(lambda: packer.pack(*bad))  # noqa: B023
        outcome(lambda: packer.unpack(data[:-1]))  # noqa: B023
    assert sys.getrefcount(marker) <= before + 2


# --- text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("u8", "'u8' is not a type and a name"),
        ("u8 a b", "'u8 a b' is not a type and a name"),
        (", u8 a", "there is no field in front of a comma"),
        ("u8 a,, u8 b", "there is no field in front of a comma"),
        ("u9 a", "there is no type u9"),
        ("u8[ a", "'u8[ a' is not a type and a name"),
        ("u8) a", "'u8) a' is not a type and a name"),
        ("u8 __a", "R.__a: a field cannot begin with two underscores"),
        ("u8[str_u8] a", "in brackets stands a number"),
        ("list_u8 a", "list_u8 of what"),
        ("u8.x a", "'u8.x' is no type"),
        ("u8(3) a", "u8 takes no arguments"),
        ("bool(3) a", "bool takes no arguments"),
        ("__import__('os') a", "there is no type __import__"),
        ("(lambda:1)() a", "is no type"),
        ("u8 a = [i for i in x]", "is no type"),
        ("u8 a = x.y", "is no type"),
        ("int a", "int does not say how it is packed"),
        ("u8 a, u16 a", "two fields have one name"),
        ("u8 pack", "a field cannot have the name of a call"),
        ("u8 1a", "a field needs a name that Python can say"),
        (f"u8{'[u8]' * 5000} a", "'u8[u8][u8]"),
        ("u8\ud800 a", "is no type"),
        (f"u8 a = {'-' * 20000}1", "has too many brackets or signs"),
        ("rest a, u8 b", "rest must be the last field"),
    ],
)
def test_text_that_is_refused(text: str, said: str) -> None:
    with pytest.raises(fw.DeclarationError) as caught:
        assert fw.record("R", text).min_size >= 0
    assert said in str(caught.value)


def test_annotations_that_only_a_checker_needs_have_a_text() -> None:
    def field(type: Any) -> Any:
        return fw.when("flag", type=type, default=None)

    class Optional(fw.Record):
        flag: fw.u8
        items: list[int] | None = field(fw.list_of(fw.u8, fw.u8))
        part: memoryview | None = field(fw.view(fw.u8))
        some: Any = field(fw.str_u8)

    again = fw.record("Optional", Optional.__layout__)
    assert again.__layout__ == Optional.__layout__
    wire = Optional(1, [1, 2], b"ab", "c").pack()
    assert again.unpack(wire).items == [1, 2] and again.unpack(wire).pack() == wire


def test_names_are_a_mapping() -> None:
    for call, where in (
        (lambda: fw.Packer("u8", "u8"), "Packer"),
        (lambda: fw.record("R", "u8 a", "u8 b"), "R"),
    ):
        with pytest.raises(TypeError, match=f"^{where}: names must be a mapping of record classes, not str$"):
            call()


def test_record() -> None:
    text = "u8 version = const(2), pad(2) hole, enumerated(u8, Kind) kind, "
    text += "u16[u8] ports = [], str_u8 name = ', = ('"
    Header: Any = fw.record("Header", text, {"Kind": Kind})
    header = Header(Kind.PING)
    assert header.pack() == b"\2\0\0\1\0\5, = ("
    assert Header.unpack(header.pack()) == header
    assert (Header.__name__, Header.__module__, Header.__layout__) == ("Header", __name__, text)
    assert (
        fw.record("H", "Kind kind=enumerated(u8)", {"Kind": Kind}).__layout__ == "enumerated(u8, Kind) kind"
    )
    again: Any = fw.record("Header", text, {"Kind": Kind}, frozen=True, kw_only=True)
    assert again.__layout__ == text
    assert hash(again(kind=1, ports=()))
    with pytest.raises(TypeError):
        again(1)


def test_a_record_that_names_itself() -> None:
    Node = fw.record("Node", "u8 value, Node[u8] children")
    tree = Node(1, [Node(2, [])])
    assert Node.unpack(tree.pack()) == tree and Node.__layout__ == "u8 value, Node[u8] children"


def test_layouts_of_classes() -> None:
    class Base(fw.Record):
        magic: bytes = fw.const(b"HI")
        version: fw.u8 = fw.const(3)
        size: int = fw.digits(end=b" ")

    class Whole(Base):
        kind: Kind = fw.enumerated(fw.u8)
        open: Kind | int = fw.enumerated(fw.u16, open=True)
        point: Point
        points: fw.list_u16[Point]
        rows: fw.list_u8[fw.list_u8[fw.u32]]
        array: fw.array_u32[fw.f32]
        word: list[int] = fw.repeat(fw.u8, 3)
        flag: bool = True
        tail: fw.rest = b"x"

    text = (
        "const(b'HI') magic, u8 version = const(3), digits(end=b' ') size, enumerated(u8, Kind) kind, "
        "enumerated(u16, Kind, open=True) open, Point point, Point[u16] points, u32[u8][u8] rows, "
        "array_u32[f32] array, u8[3] word, bool flag = True, rest tail = b'x'"
    )
    assert Whole.__layout__ == text
    Moved = fw.record("Moved", text, {"Kind": Kind, "Point": Point})
    assert Moved.__layout__ == text
    assert Base.__layout__ == "const(b'HI') magic, u8 version = const(3), digits(end=b' ') size"


def test_layouts_of_fields_that_decide() -> None:
    text = (
        "size(u16, plus=2) length, bool response = bits(1, of=u8), int operation = bits(7), u8 flags, "
        "str_u8 | None note = when('flags', mask=0x1), Point | None place = when('flags', equals=2), "
        "Point | Node one = oneof(u8, {1: Point, 2: Node}), "
        "(Point | Node)[u8] many = oneof(u8, {1: Point, 2: Node})"
    )
    Node = fw.record("Node", "u8 value")
    Whole: Any = fw.record("Whole", text, {"Point": Point, "Node": Node}, byteorder="little")
    assert Whole.__layout__ == text
    assert fw.record("Whole", text.replace(" | ", "|"), {"Point": Point, "Node": Node}).__layout__ == text
    whole = Whole(True, 5, 3, "hi", None, Point(3, 4), [Node(1)])
    assert Whole.unpack(whole.pack()) == whole and whole.pack()[:2] == b"\x0f\0"
    for wrong in ("u8|3 a", "(u8|'x') a", "1|2 a", "u8| a"):
        with pytest.raises(fw.DeclarationError):
            assert fw.record("R", wrong).min_size


NAMES = st.text("abcxyz", min_size=1, max_size=4)
DEFAULTS: dict[str, st.SearchStrategy[Any]] = {
    "scalar": st.integers(0, 100),
    "bool": st.booleans(),
    "str": st.text(max_size=4),
    "bytes": st.binary(max_size=4),
    "list": st.just([]),
}


@given(st.lists(st.tuples(TYPES, NAMES, st.booleans(), st.data()), max_size=5, unique_by=lambda one: one[1]))
@settings(max_examples=examples(150, 2000))
def test_text_prints_back_as_it_was(fields: list[Any]) -> None:
    words, had_default = [], False
    for kind, name, with_default, data in fields:
        word = f"{text_of(kind)} {name}"
        if (with_default or had_default) and kind[0] in DEFAULTS:
            word += f" = {data.draw(DEFAULTS[kind[0]])!r}"
            had_default = True
        elif had_default:
            continue
        words.append(word)
    text = ", ".join(words)
    made = outcome(lambda: fw.record("R", text))
    if isinstance(made, tuple):
        assert "cannot have the name of a call" in made[1] or "Python can say" in made[1]
        return
    assert made.__layout__ == text
    assert fw.record("R", made.__layout__).__layout__ == text
    assert list(made.__match_args__) == [word.split(" = ")[0].split()[-1] for word in words]


@pytest.mark.parametrize("text", ["u8[3]", "(u8, u16)[2]", "u8[2][u8]", "u8[u8][2] bool"])
def test_repetitions(over: ModuleType, text: str) -> None:
    packer = over.Packer(text)
    assert str(packer) == text
    values = {"u8[3]": ([1, 2, 3],), "(u8, u16)[2]": ([(1, 2), (3, 4)],), "u8[2][u8]": ([[1, 2]],)}.get(
        text, ([[1], [2, 3]], True)
    )
    assert packer.unpack(packer.pack(*values)) == values
