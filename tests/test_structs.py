"""`Struct`: the standard library's `struct` is the judge of results and of the types of exceptions."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import random
import struct
import sys
import weakref
from array import array
from collections.abc import Callable
from typing import Any

import pytest
from conftest import examples
from hypothesis import given
from hypothesis import strategies as st

from framewire import _backend

Backend = _backend.Backend
HAS_NATIVE = _backend.name == "native"
FIXED_0P = sys.version_info >= (3, 14)  # elsewhere `struct` reads or writes a byte too many
INTS = "bBhHiIlLqQ"
CODES = "xcbB?hHiIlLqQefdsp"
WIDTHS = {"c": 1, "?": 1, "e": 2, "f": 4, "d": 8, **dict(zip(INTS, (1, 1, 2, 2, 4, 4, 4, 4, 8, 8)))}


class Indexed:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __index__(self) -> Any:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Floated(Indexed):
    __index__ = None  # type: ignore[assignment]

    def __float__(self) -> Any:
        return Indexed.__index__(self)

    def __bool__(self) -> Any:
        return Indexed.__index__(self)


class Int(int):
    pass


def seen(value: Any) -> Any:
    """What tells values apart: a float by its bits, anything else by its type and value."""
    if isinstance(value, tuple):
        return tuple(map(seen, value))
    return (type(value), struct.pack("d", value) if isinstance(value, float) else value)


def outcome(call: Callable[[], Any], *buffers: Any) -> tuple[Any, ...]:
    """("gave", result) or ("raised", type), and what the buffers hold afterwards."""
    try:
        result = ("gave", seen(call()))
    except Exception as error:
        result = ("raised", type(error))
    return *result, *map(bytes, buffers)


# --- random formats and values --------------------------------------------------------------------------


def some_format(rng: random.Random) -> str:
    runs: list[str] = []
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 6))):
        code = rng.choice(CODES)
        count = rng.choice(("", "", "", "0", "1", "2", "3", "17", "007"))
        if code == "p" and count == "0" and not FIXED_0P:
            count = "1"
        if code in "sp":
            count = rng.choice((count, "5", "255", "256", "300"))
        runs.append(count + code + rng.choice(("", "", "", " ", "\t\n")))
    format = rng.choice("><!=") + "".join(runs)
    if rng.random() < 0.05:
        at = rng.randrange(1, len(format) + 1)
        format = (
            format[:at] + rng.choice(("Z", "n", "N", "P", "@", ">", "\0", "3", "é", "9" * 20)) + format[at:]
        )
    return format


def some_value(rng: random.Random, code: str) -> Any:
    if code in INTS:
        bits = 8 * WIDTHS[code] - code.islower()
        low, high = (-(1 << bits) if code.islower() else 0), (1 << bits) - 1
        return rng.choice(
            (low, high, 0, 1, rng.randint(low, high), rng.randint(low, high) >> rng.randrange(64))
        )
    if code in "efd":
        special = (
            0.0,
            -0.0,
            float("inf"),
            -float("inf"),
            float("nan"),
            6e-8,
            65504.0,
            65520.0,
            1e39,
            5e-324,
            7,
        )
        bits = struct.unpack(">d", rng.randbytes(8))[0]
        return rng.choice((*special, bits, rng.uniform(-9, 9), struct.unpack(">e", rng.randbytes(2))[0]))
    if code in "sp":
        kind = rng.choice((bytes, bytes, bytearray))
        return kind(rng.randbytes(rng.choice((0, 1, 4, 5, 6, 254, 255, 256, 400))))
    return bytes([rng.randrange(256)]) if code == "c" else rng.choice((True, False, 0, 2, "", "x", None, []))


STRANGE: list[Callable[[random.Random], Any]] = [
    lambda rng: rng.choice((None, "a", b"", b"ab", 1.5, 1j, [], object(), memoryview(b"a"), bytearray(b"a"))),
    lambda rng: rng.choice(
        (-1, 1 << 8, 1 << 16, 1 << 31, 1 << 32, 1 << 63, 1 << 64, -(1 << 63) - 1, 10**400)
    ),
    lambda rng: Int(rng.choice((0, 200, -1, 1 << 40, 1 << 63))),
    lambda rng: rng.choice((Indexed, Floated))(rng.choice((3, -3, 1 << 64, 1.5, True, "x", None))),
    lambda rng: rng.choice((Indexed, Floated))(
        rng.choice((ZeroDivisionError(), TypeError(), struct.error()))
    ),
]


def items_of(format: str) -> list[str]:
    """The code of each value, from what `struct` says of ever longer beginnings."""
    codes: list[str] = []
    digits = ""
    for one in format[1:]:
        if one.isdigit():
            digits += one
        elif not one.isspace():
            codes += [one] * (1 if one in "sp" else 0 if one == "x" else int(digits or 1))
            digits = ""
    return codes


def some_values(rng: random.Random, codes: list[str]) -> list[Any]:
    values = [some_value(rng, code) for code in codes]
    if values and rng.random() < 0.25:
        values[rng.randrange(len(values))] = rng.choice(STRANGE)(rng)
    if rng.random() < 0.05:
        values = values[:-1] if rng.random() < 0.5 else [*values, 1]
    return values


def some_buffer(rng: random.Random, data: bytes) -> Any:
    kind = rng.choice((bytes, bytes, bytearray, memoryview, "array", "strided", "text"))
    if kind == "array":
        return array("B", data)
    if kind == "strided":
        return memoryview(bytes(2 * len(data)))[::2]
    return "text" if kind == "text" else kind(data)  # type: ignore[operator]


def check(rng: random.Random, cls: Any) -> None:
    format = some_format(rng)
    given = format.encode() if rng.random() < 0.1 else format
    made = outcome(lambda: cls(given).size)
    assert made == outcome(lambda: struct.Struct(given).size)
    if made[0] == "raised":
        return
    ours, theirs = cls(given), struct.Struct(given)
    assert (ours.format, ours.size) == (theirs.format, theirs.size)
    values = some_values(rng, items_of(format))
    assert outcome(lambda: ours.pack(*values)) == outcome(lambda: theirs.pack(*values)), values

    room = ours.size + rng.choice((-1, 0, 0, 3, 9))
    offset = rng.choice(
        (0, 0, 1, -1, 3, -3, -ours.size, -room, room, 1 << 70, -(1 << 70), 1.0, Indexed(1), None)
    )
    results = []
    for one in (ours, theirs):
        target: Any = bytearray(b"\xee" * max(room, 0))
        results.append(outcome(lambda: one.pack_into(target, offset, *values), target))  # noqa: B023
    # How far `struct` came before it raised is its own affair.
    raised = results[0][0] == "raised"
    assert results[0][:2] == results[1][:2] and (raised or results[0] == results[1]), (offset, values)
    readonly = rng.choice(
        (b"x" * ours.size, memoryview(b"x" * ours.size), "text", 3, memoryview(bytearray(9))[::2])
    )
    refused = [outcome(lambda: one.pack_into(readonly, 0, *values)) for one in (ours, theirs)]  # noqa: B023
    assert refused[0] == refused[1] and refused[0][0] == "raised"

    data = rng.randbytes(max(0, ours.size + rng.choice((0, 0, 0, 0, 1, -1, 5))))
    if values and rng.random() < 0.5 and outcome(lambda: theirs.pack(*values))[0] == "gave":
        data = theirs.pack(*values)
    buffer = some_buffer(rng, data)
    assert outcome(lambda: ours.unpack(buffer)) == outcome(lambda: theirs.unpack(buffer))
    for call in (
        lambda one: one.unpack_from(buffer, offset),
        lambda one: one.unpack_from(buffer=buffer, offset=offset),
        lambda one: one.unpack_from(buffer),
        lambda one: tuple(one.iter_unpack(buffer)),
        lambda one: tuple(one.iter_unpack(bytes(data) * 3)),
    ):
        assert outcome(lambda: call(ours)) == outcome(lambda: call(theirs)), offset  # noqa: B023


@pytest.mark.parametrize("part", range(4))
def test_struct_is_the_judge(backend: Backend, part: int) -> None:
    rng = random.Random(part)
    for number in range(examples(5000, 200_000)):
        state = rng.getstate()
        try:
            check(rng, backend.structs.Struct)
        except AssertionError:
            rng.setstate(state)
            pytest.fail(f"part {part}, number {number}: {some_format(rng)!r}", pytrace=True)


@given(st.data())
def test_every_float_and_its_bits(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from("efd"))
    order = data.draw(st.sampled_from("<>!="))
    raw = data.draw(st.binary(min_size=WIDTHS[code], max_size=WIDTHS[code]))
    for name in ["native"] * HAS_NATIVE + ["pure"]:
        one, theirs = _backend.load(name).structs.Struct(order + code), struct.Struct(order + code)
        assert seen(one.unpack(raw)) == seen(theirs.unpack(raw))
        value = theirs.unpack(raw)[0]
        assert one.pack(value) == theirs.pack(value)


@given(st.sampled_from(INTS), st.sampled_from("<>!="), st.integers(-(1 << 70), 1 << 70))
def test_every_int(code: str, order: str, value: int) -> None:
    for name in ["native"] * HAS_NATIVE + ["pure"]:
        one, theirs = _backend.load(name).structs.Struct(order + code), struct.Struct(order + code)
        for shown in (value, Int(value), Indexed(value)):
            assert outcome(lambda: one.pack(shown)) == outcome(lambda: theirs.pack(shown))  # noqa: B023
        for data in [struct.pack(">q", value & (1 << 63) - 1)[-one.size :], b"\xff" * one.size]:
            assert one.unpack(data) == theirs.unpack(data)


# --- what `struct` does not say -------------------------------------------------------------------------


@pytest.mark.skipif(not HAS_NATIVE, reason="built without the extension")
def test_both_backends_say_the_same() -> None:
    classes = [_backend.load(name).structs.Struct for name in ("native", "pure")]
    rng = random.Random(5)
    messages = set()

    def said(call: Callable[[], Any]) -> str:
        try:
            return repr(call())
        except Exception as error:
            messages.add(str(error))
            cause = error.__cause__
            return f"{type(error).__name__}: {error} <- {type(cause).__name__}: {cause}"

    def compare() -> None:
        format = some_format(rng)
        made = [said(lambda cls=cls: cls(format)) for cls in classes]  # type: ignore[misc]
        assert made[0] == made[1]
        if not made[0].startswith("Struct("):
            return
        values = some_values(rng, items_of(format))
        native, pure = (cls(format) for cls in classes)
        offset = rng.choice((0, -1, 1, 3, -3, 99, -99))
        data = rng.randbytes(rng.choice((0, 1, native.size, native.size + 1)))
        for call in (
            lambda one: one.pack(*values),
            lambda one: one.pack_into(bytearray(data), offset, *values),
            lambda one: one.pack_into(bytearray(99), 0, *values[:-1]),
            lambda one: one.unpack(data),
            lambda one: one.unpack_from(data, offset),
            lambda one: list(one.iter_unpack(data)),
        ):
            assert said(lambda: call(native)) == said(lambda: call(pure))  # noqa: B023

    for _ in range(examples(4000, 40_000)):
        compare()
    assert len(messages) > 500


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("", "Struct(''): native sizes are not for the wire: begin with > ! < or ="),
        ("IH", "Struct('IH'): native sizes"),
        ("@I", "Struct('@I'): native sizes"),
        (" >I", "Struct(' >I'): native sizes"),
        (">In", "Struct('>In'): 'n' at 2 has a native size only"),
        (">I3Z", "Struct('>I3Z'): 'Z' at 3 is no code"),
        (">3 I", "Struct('>3 I'): ' ' at 2 is no code"),
        (">H3", "Struct('>H3'): a repeat count without a code behind it, at 2"),
        (">9223372036854775807H", "Struct('>9223372036854775807H'): more bytes than there can be"),
        (b">\0", "Struct('>\\x00'): '\\x00' at 1 is no code"),
    ],
)
def test_formats_that_are_refused(backend: Backend, format: str | bytes, text: str) -> None:
    with pytest.raises(struct.error) as caught:
        backend.structs.Struct(format)
    assert str(caught.value).startswith(text)
    assert type(caught.value) is struct.error


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda s: s.pack(1, b"", 3), "Struct('>Hx2s').pack: 2 values needed, 3 given"),
        (lambda s: s.pack(-1, b""), "value 0 ('H' at offset 0): -1 is not in 0..65535"),
        (lambda s: s.pack(1, "ab"), "value 1 ('s' at offset 3): a bytes object is needed, not str"),
        (lambda s: s.pack(1.0, b""), "value 0 ('H' at offset 0): an int is needed, not float"),
        (lambda s: s.unpack(b"1234"), "Struct('>Hx2s').unpack: 5 bytes needed, 4 given"),
        (lambda s: s.unpack_from(b"123456", 2), "unpack_from: 5 bytes needed at offset 2, 4 left"),
        (lambda s: s.unpack_from(b"123456", -4), "unpack_from: 5 bytes needed at offset -4, 4 left"),
        (lambda s: s.unpack_from(b"123456", 7), "the offset 7 is not in the buffer of 6 bytes"),
        (lambda s: s.pack_into(bytearray(6), -7, 1, b""), "the offset -7 is not in the buffer of 6 bytes"),
        (lambda s: s.pack_into(), "pack_into: 4 values needed, 0 given"),
        (lambda s: s.iter_unpack(b"123456"), "iter_unpack: a multiple of 5 bytes needed, 6 given"),
    ],
)
def test_what_an_error_says(backend: Backend, call: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(struct.error) as caught:
        call(backend.structs.Struct(">Hx2s"))
    assert text in str(caught.value)


@pytest.mark.parametrize("error", [ZeroDivisionError("mine"), OverflowError("mine"), KeyError("mine")])
def test_exceptions_of_users(backend: Backend, error: Exception) -> None:
    one = backend.structs.Struct(">Hd?")
    with pytest.raises(type(error), match="mine"):
        one.pack(Indexed(error), 1.0, True)
    with pytest.raises(type(error), match="mine"):
        one.pack(1, 1.0, Floated(error))
    with pytest.raises(
        struct.error, match="value 1 .'d' at offset 2.: a float is needed, not Floated"
    ) as caught:
        one.pack(1, Floated(error), True)
    assert caught.value.__cause__ is error


def test_counts_of_nothing(backend: Backend) -> None:
    """Python 3.11 raises SystemError for 0p, and writes behind its buffer."""
    one = backend.structs.Struct(">B0pB0s")
    assert one.size == 2
    assert one.pack(1, b"abc", 2, b"abc") == b"\1\2"
    assert one.unpack(b"\1\2") == (1, b"", 2, b"")
    with pytest.raises(struct.error):
        one.pack(1, "abc", 2, b"")
    ten = backend.structs.Struct(">10p")
    assert ten.pack(b"abc") == b"\3abc" + bytes(6)


class Meddler:
    """Its `__index__` and `__float__` do something first."""

    def __init__(self, action: Callable[[], Any]) -> None:
        self.action = action

    def __index__(self) -> int:
        self.action()
        return 7

    def __float__(self) -> float:
        self.action()
        return 7.0

    def __bool__(self) -> bool:
        self.action()
        return True


@pytest.mark.parametrize("code", ["H", "q", "d", "e", "?"])
def test_meddling_while_packing(backend: Backend, code: str) -> None:
    one = backend.structs.Struct(f">4s{code}{code}4s")
    target = bytearray(40)
    values: list[Any] = [b"abcd", 0, 7, b"wxyz"]
    values[1] = Meddler(lambda: (values.clear(), gc.collect()))
    expected = struct.pack(one.format, b"abcd", 7, 7, b"wxyz")
    assert one.pack(*values) == expected

    def shrink() -> None:
        with pytest.raises(BufferError):
            target.clear()

    one.pack_into(target, 3, b"abcd", Meddler(shrink), 7, b"wxyz")
    assert target[3 : 3 + one.size] == expected
    one.pack_into(target, Meddler(shrink), b"abcd", 7, 7, b"wxyz")
    one.pack_into(target, 0, b"abcd", Meddler(lambda: target.__setitem__(0, 1)), 7, b"wxyz")
    assert target[0] == 1
    grown = bytearray(b"abcd")
    grow = Meddler(lambda: grown.extend(bytes(10_000)))
    assert one.pack(grown, grow, 7, grown)[:4] == b"abcd"


def test_iteration(backend: Backend) -> None:
    one = backend.structs.Struct(">H")
    buffer = bytearray(b"\0\1\0\2\0\3")
    items = one.iter_unpack(buffer)
    assert iter(items) is items
    assert operator.length_hint(items) == 3
    with pytest.raises(BufferError):
        buffer.append(1)
    assert next(items) == (1,)
    assert items.__length_hint__() == 2
    assert list(items) == [(2,), (3,)]
    assert operator.length_hint(items) == 0
    buffer.append(1)
    assert next(items, None) is None
    with pytest.raises(TypeError):
        type(items)()
    dropped = one.iter_unpack(buffer[:6])
    del dropped
    with pytest.raises(struct.error, match="structs without bytes have no number"):
        backend.structs.Struct(">0s").iter_unpack(b"")


def test_the_object_itself(backend: Backend) -> None:
    cls = backend.structs.Struct
    one = cls(format=b"!HI")
    assert (repr(one), one.format, one.size) == ("Struct('!HI')", "!HI", 6)
    for name in ("format", "size", "other"):
        with pytest.raises(AttributeError):
            setattr(one, name, 1)
    for call in (lambda: pickle.dumps(one), lambda: copy.copy(one)):
        assert outcome(call) in (outcome(lambda: pickle.dumps(struct.Struct("!HI"))), ("raised", TypeError))
    assert weakref.ref(one)() is one
    assert one != cls("!HI") and hash(one) == hash(one)
    with pytest.raises(RuntimeError):
        one.__init__(">I")
    with pytest.raises((RuntimeError, AttributeError)):
        cls.__new__(cls).pack()
    for call in (cls, lambda: cls(">I", 1), lambda: cls(3), lambda: cls(bytearray(b">I"))):
        with pytest.raises(TypeError):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.pack(value=1),
        lambda s: s.unpack(buffer=b"12"),
        lambda s: s.unpack(),
        lambda s: s.unpack(b"12", 0),
        lambda s: s.unpack_from(),
        lambda s: s.unpack_from(offset=0),
        lambda s: s.unpack_from(b"12", 0, 0),
        lambda s: s.unpack_from(b"12", buffer=b"12"),
        lambda s: s.unpack_from(b"12", other=1),
        lambda s: s.pack_into(buffer=bytearray(2), offset=0),
        lambda s: s.iter_unpack(buffer=b"12"),
        lambda s: s.iter_unpack(),
    ],
)
def test_arguments_that_are_refused(backend: Backend, call: Callable[[Any], Any]) -> None:
    assert outcome(lambda: call(backend.structs.Struct(">H"))) == ("raised", TypeError)
    assert outcome(lambda: call(struct.Struct(">H"))) == ("raised", TypeError)


def test_subclasses(backend: Backend) -> None:
    class Header(backend.structs.Struct):  # type: ignore[misc, name-defined]
        def __init__(self, order: str, *, codes: str) -> None:
            super().__init__(order + codes)
            self.extra = codes

        def unpack_one(self, data: bytes) -> Any:
            return self.unpack(data)[0]

    header = Header(">", codes="H")
    assert (header.pack(3), header.unpack_one(b"\0\3"), header.extra) == (b"\0\3", 3, "H")
    assert repr(header) == "Header('>H')"
    with pytest.raises((TypeError, AttributeError)):
        backend.structs.Struct.pack(object(), 1)


def test_nothing_leaks(backend: Backend) -> None:
    one, marker = backend.structs.Struct(">2sHd"), object()
    before = sys.getrefcount(marker)
    for _ in range(200):
        with pytest.raises(struct.error):
            one.pack(b"", marker, 1.0)
        with pytest.raises(struct.error):
            one.pack(b"", 1, marker)
        with pytest.raises(struct.error):
            one.pack_into(bytearray(20), 0, b"", 1, marker)
        with pytest.raises(struct.error):
            one.pack_into(bytearray(20), 15, marker, 1, 1)
        with pytest.raises(TypeError):
            one.unpack_from(b"", marker)
        with pytest.raises(TypeError):
            one.unpack(marker)
    gc.collect()
    assert sys.getrefcount(marker) <= before + 1
