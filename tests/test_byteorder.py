"""framewire.byteorder on both backends, against struct, int.from_bytes, array.byteswap and socket."""

from __future__ import annotations

import ctypes
import doctest
import inspect
import math
import mmap
import random
import socket
import struct
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import framewire.byteorder as face
from framewire import _backend
from framewire._pure import byteorder as pure

INTS = [n[4:] for n in face.__all__ if n.startswith(("get_u", "get_i"))]
FLOATS = [n[4:] for n in face.__all__ if n.startswith("get_f")]
FIELDS = INTS + FLOATS
HOSTS = {"htons": 2, "htonl": 4, "htonll": 8, "ntohs": 2, "ntohl": 4, "ntohll": 8}
CODES = {array(code).itemsize: code for code in "HILQ"}
FLOAT_CODES = {2: "e", 4: "f", 8: "d"}
LARGEST = {2: 65504.0, 4: 3.4028234663852886e38}


def width_of(field: str) -> int:
    return int(field.removesuffix("le")[1:]) // 8


def order_of(field: str) -> Any:
    return "little" if field.endswith("le") else "big"


def layout_of(field: str) -> struct.Struct:
    return struct.Struct(("<" if field.endswith("le") else ">") + FLOAT_CODES[width_of(field)])


def limits_of(field: str) -> tuple[int, int]:
    bits = 8 * width_of(field)
    return (0, 2**bits - 1) if field[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def expected_get(field: str, raw: bytes) -> int | float:
    if field[0] == "f":
        return float(layout_of(field).unpack(raw)[0])
    return int.from_bytes(raw, order_of(field), signed=field[0] == "i")


def same_float(a: float, b: float) -> bool:
    return struct.pack("=d", a) == struct.pack("=d", b)


def outcome(call: Callable[..., Any], *args: Any) -> Any:
    """What a call gives: its value, or its error's type and text."""
    try:
        value = call(*args)
    except Exception as error:
        return type(error), str(error)
    return struct.pack("=d", value) if isinstance(value, float) else (type(value), value)


class Indexed:
    def __init__(self, value: int, first: Callable[[], object] = int) -> None:
        self.value, self.first = value, first

    def __index__(self) -> int:
        self.first()
        return self.value


class Floating:
    def __float__(self) -> float:
        return 1.5


@pytest.fixture
def lib(backend: Any) -> Any:
    return backend.byteorder


# The face


def test_the_face_is_complete_and_costs_nothing() -> None:
    widths = [8, 16, 24, 32, 40, 48, 56, 64]
    fields = [f"{sign}{w}{le}" for sign in "ui" for w in widths for le in ("", "le") if w > 8 or not le]
    fields += [f"f{w}{le}" for w in (16, 32, 64) for le in ("", "le")]
    names = {f"{verb}_{field}" for verb in ("get", "put") for field in fields}
    assert set(face.__all__) == names | set(HOSTS) | {"swap", "swapped"}
    assert len(face.__all__) == len(set(face.__all__))
    for name in face.__all__:
        assert getattr(face, name) is getattr(_backend.byteorder, name)


def test_every_function_is_documented_with_an_example(lib: Any) -> None:
    result = doctest.testmod(lib)
    assert result.failed == 0
    assert result.attempted >= len(face.__all__)
    for name in face.__all__:
        function = getattr(lib, name)
        assert ">>> " in function.__doc__
        assert function.__doc__.split("--\n\n")[-1] == getattr(pure, name).__doc__ or lib is not pure
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(getattr(pure, name)).parameters
        )


def test_the_faces_example_holds() -> None:
    assert doctest.testmod(face).attempted > 0
    assert doctest.testmod(face).failed == 0


def test_keywords(lib: Any) -> None:
    assert lib.get_u16(buffer=b"\0\1\2", offset=1) == 0x102
    target = bytearray(3)
    assert lib.put_u16(buffer=target, offset=1, value=0x102) == 3
    assert target == b"\0\1\2"
    assert lib.swapped(buffer=b"ab", width=2) == b"ba"
    assert lib.htons(value=0) == 0
    with pytest.raises(TypeError):
        lib.get_u16()
    with pytest.raises(TypeError):
        lib.get_u16(b"", 0, 0)
    with pytest.raises(TypeError):
        lib.put_u16(bytearray(2), 0)


# Host and network order


@pytest.mark.parametrize("name", HOSTS)
def test_host_order(lib: Any, name: str) -> None:
    width = HOSTS[name]
    convert = getattr(lib, name)
    for value in [
        0,
        1,
        0x80,
        0x1234,
        2 ** (8 * width) - 1,
        2 ** (8 * width - 1),
        *random.Random(1).choices(range(2**16), k=50),
    ]:
        expected = int.from_bytes(value.to_bytes(width, sys.byteorder), "big")
        assert convert(value) == expected and type(convert(value)) is int
        if width < 8:
            assert convert(value) == getattr(socket, name)(value)
    assert convert(True) == convert(1) == convert(Indexed(1))


@pytest.mark.parametrize("name", HOSTS)
def test_host_order_refusals(lib: Any, name: str) -> None:
    convert, high = getattr(lib, name), 2 ** (8 * HOSTS[name]) - 1
    for value in (-1, high + 1, -(2**63), -(2**64), 2**64, 2**200):
        with pytest.raises(OverflowError) as caught:
            convert(value)
        assert str(caught.value) == f"{name}: {value} is not in 0..{high}"
    with pytest.raises(OverflowError, match=f"^{name}: an integer of 16610 bits is not in"):
        convert(10**5000)
    for value in (1.0, "1", None, b"1", Decimal(1)):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            convert(value)


# Fields


def buffers(raw: bytes) -> Iterator[Any]:
    """The same bytes in every kind of writable buffer."""
    yield bytearray(raw)
    yield memoryview(bytearray(raw))
    yield memoryview(bytearray(b"x" + raw + b"y"))[1:-1]
    yield array("b", raw)
    yield (ctypes.c_char * len(raw)).from_buffer(bytearray(raw))
    if len(raw) % 4 == 0:
        yield array("i", raw)
        yield memoryview(array("i", raw)).cast("B").cast("i", (len(raw) // 4, 1))
        yield (ctypes.c_uint32.__ctype_be__ * (len(raw) // 4)).from_buffer(bytearray(raw))
    shared = mmap.mmap(-1, len(raw))
    shared[:] = raw
    yield shared


@pytest.mark.parametrize("field", FIELDS)
def test_get_everywhere(lib: Any, field: str) -> None:
    get, width = getattr(lib, "get_" + field), width_of(field)
    raw = random.Random(field).randbytes(24)
    for buffer in [raw, memoryview(raw), *buffers(raw)]:
        for offset in range(24 - width + 1):
            value, expected = get(buffer, offset), expected_get(field, raw[offset : offset + width])
            assert type(value) is type(expected)
            assert same_float(value, expected) if isinstance(expected, float) else value == expected
    assert get(raw) == get(raw, 0) == get(raw, False) or field[0] == "f"
    assert outcome(get, raw, 1) == outcome(get, raw, True) == outcome(get, raw, Indexed(1))


@pytest.mark.parametrize("field", FIELDS)
def test_put_everywhere(lib: Any, field: str) -> None:
    get, put, width = getattr(lib, "get_" + field), getattr(lib, "put_" + field), width_of(field)
    raw = bytes(range(100, 124))
    written = bytes(range(1, width + 1))
    value = get(written)
    for offset in range(24 - width + 1):
        for buffer in buffers(raw):
            end = put(buffer, offset, value)
            assert end == offset + width and type(end) is int
            assert memoryview(buffer).tobytes() == raw[:offset] + written + raw[end:]


@pytest.mark.parametrize("field", INTS)
def test_int_values(lib: Any, field: str) -> None:
    get, put, width = getattr(lib, "get_" + field), getattr(lib, "put_" + field), width_of(field)
    low, high = limits_of(field)
    picks = random.Random(field)
    values = {low, low + 1, -1, 0, 1, high - 1, high, *(picks.randint(low, high) for _ in range(200))}
    for value in values:
        if not low <= value <= high:
            continue
        target = bytearray(b"\xaa" * (width + 2))
        assert put(target, 1, value) == width + 1
        assert target == b"\xaa" + value.to_bytes(width, order_of(field), signed=low < 0) + b"\xaa"
        assert get(target, 1) == value and get(bytes(target), 1) == value
    target = bytearray(width)
    put(target, 0, True)
    assert get(target) == 1
    put(target, 0, Indexed(high))
    assert get(target) == high


@pytest.mark.parametrize("field", INTS)
def test_int_refusals_leave_the_buffer(lib: Any, field: str) -> None:
    put, width = getattr(lib, "put_" + field), width_of(field)
    low, high = limits_of(field)
    target = bytearray(b"\xaa" * width)
    for value in (low - 1, high + 1, -(2**63) - 1, 2**64, 2**64 + 1, -(2**64), 2**255, -(2**255)):
        with pytest.raises(OverflowError) as caught:
            put(target, 0, value)
        assert str(caught.value) == f"put_{field}: {value} is not in {low}..{high}"
    with pytest.raises(OverflowError, match=f"^put_{field}: an integer of 16610 bits is not in"):
        put(target, 0, -(10**5000))
    for wrong in (1.0, "1", None, b"1", [1]):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            put(target, 0, wrong)
    assert target == b"\xaa" * width


@pytest.mark.parametrize("field", FIELDS)
def test_offsets_beyond(lib: Any, field: str) -> None:
    get, put, width = getattr(lib, "get_" + field), getattr(lib, "put_" + field), width_of(field)
    for size in (0, 1, width - 1, width, width + 1, 20):
        for offset in (
            -(2**70),
            -(2**63) - 1,
            -(2**63),
            -width,
            -1,
            *range(25),
            2**31,
            2**63 - 1,
            2**63,
            2**64,
            2**70,
        ):
            if 0 <= offset <= size - width:
                continue
            if offset < 0:
                text = f"_{field} at offset {offset}: offsets count from 0"
            else:
                text = f"_{field} at offset {offset} needs {width} bytes, the buffer has {size}"
            for buffer in (bytes(size), bytearray(size), memoryview(bytes(size))):
                assert outcome(get, buffer, offset) == (IndexError, "get" + text)
                assert outcome(get, buffer, Indexed(offset)) == (IndexError, "get" + text)
            target = bytearray(b"\xaa" * size)
            assert outcome(put, target, offset, 1) == (IndexError, "put" + text)
            assert outcome(put, memoryview(target), Indexed(offset), 1) == (IndexError, "put" + text)
            assert target == b"\xaa" * size
    with pytest.raises(IndexError, match="an integer of 16610 bits needs"):
        get(b"", 10**5000)


@pytest.mark.parametrize(
    "name", ["get_u32", "get_u24le", "get_f32", "put_u32", "put_i56", "put_f16le", "swap", "swapped"]
)
def test_what_is_not_a_buffer(lib: Any, name: str) -> None:
    call = getattr(lib, name)
    rest: tuple[int, ...] = {"get": (0,), "put": (0, 1)}.get(name[:3], (2,))
    released = memoryview(bytearray(8))
    released.release()
    closed = mmap.mmap(-1, 8)
    closed.close()
    cases = [
        "text",
        None,
        7,
        [1, 2, 3, 4],
        released,
        closed,
        memoryview(bytearray(32))[::2],
        memoryview(bytes(32))[::-1],
    ]
    for case in cases:
        got = outcome(call, case, *rest)
        assert got == outcome(getattr(pure, name), case, *rest)
        assert got[0] in (TypeError, ValueError, BufferError)
    assert outcome(call, memoryview(bytearray(32))[::2], *rest)[0] is BufferError
    assert outcome(call, "text", *rest)[0] is TypeError
    for wrong in (0.0, "0", None):
        assert outcome(call, bytearray(8), wrong, *rest[1:])[0] is TypeError
        assert outcome(call, bytearray(8), wrong, *rest[1:]) == outcome(
            getattr(pure, name), bytearray(8), wrong, *rest[1:]
        )


@pytest.mark.parametrize("name", ["put_u32", "put_i24le", "put_f64", "swap"])
def test_read_only_buffers(lib: Any, name: str) -> None:
    rest = (2,) if name == "swap" else (0, 1)
    raw = bytes(8)
    shared = mmap.mmap(-1, 8, access=mmap.ACCESS_READ)
    for buffer, kind in ((raw, "bytes"), (memoryview(raw), "memoryview"), (shared, "mmap")):
        assert outcome(getattr(lib, name), buffer, *rest) == (
            TypeError,
            f"{name}: the buffer is read-only ({kind})",
        )
    assert raw == bytes(8)
    refused = memoryview(raw)
    outcome(getattr(lib, name), refused, *rest)
    refused.release()  # BufferError if the refusal had kept a hold on it


def test_a_value_that_resizes_the_buffer(lib: Any) -> None:
    for field in ("u32", "i24", "u64le"):
        target = bytearray(64)
        with pytest.raises(IndexError, match="needs . bytes, the buffer has 0"):
            getattr(lib, "put_" + field)(target, 32, Indexed(1, target.clear))
        target = bytearray(64)
        with pytest.raises(IndexError, match="needs . bytes, the buffer has 0"):
            getattr(lib, "put_" + field)(target, Indexed(32, target.clear), 1)
        target = bytearray(64)
        with pytest.raises(IndexError, match="needs . bytes, the buffer has 0"):
            getattr(lib, "get_" + field)(target, Indexed(32, target.clear))


def test_no_buffer_stays_locked(lib: Any) -> None:
    target = bytearray(8)
    for call in (
        lambda: lib.get_u32(target, 0), lambda: lib.get_u32(target, 7), lambda: lib.put_u32(target, 0, 1),
        lambda: lib.put_u32(target, 9, 1), lambda: lib.swap(target, 4), lambda: lib.swap(target[:7], 4),
        lambda: lib.swapped(target, 8), lambda: lib.put_f16(target, 0, 1e9), lambda: lib.swapped(target, 3),
    ):  # fmt: skip
        outcome(call)
        target.append(0)  # BufferError while anyone holds the buffer
        target.pop()


def test_errors_leak_nothing(lib: Any) -> None:
    buffer, value = bytearray(8), 2**70
    before = sys.getrefcount(buffer), sys.getrefcount(value), sys.getrefcount(lib.get_u32)
    for _ in range(1000):
        outcome(lib.get_u32, buffer, value)
        outcome(lib.put_u32, buffer, 0, value)
        outcome(lib.put_u32, buffer, value, 0)
        outcome(lib.swap, buffer, 3)
    assert (sys.getrefcount(buffer), sys.getrefcount(value), sys.getrefcount(lib.get_u32)) == before


# Floats


@pytest.mark.parametrize("field", ["f16", "f16le"])
def test_every_half(lib: Any, field: str) -> None:
    get, put, layout = getattr(lib, "get_" + field), getattr(lib, "put_" + field), layout_of(field)
    raw = b"".join(i.to_bytes(2, order_of(field)) for i in range(65536))
    target = bytearray(2)
    for at in range(0, len(raw), 2):
        (expected,) = layout.unpack_from(raw, at)
        value = get(raw, at)
        assert same_float(value, expected)
        put(target, 0, value)
        assert target == layout.pack(expected)


@pytest.mark.parametrize("field", FLOATS)
def test_float_values(lib: Any, field: str) -> None:
    put, layout = getattr(lib, "put_" + field), layout_of(field)
    picks = random.Random(field)
    largest = LARGEST.get(layout.size, sys.float_info.max)
    values = [
        0.0,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        -math.nan,
        5e-324,
        1e-45,
        5.9e-8,
        2.98e-8,
        2.9802322387695312e-08,
    ]
    values += [
        largest,
        -largest,
        math.nextafter(65520.0, 0),
        math.nextafter(2**128 - 2**103, 0),
        65519.99,
        65504.1,
    ]
    values += [struct.unpack("=d", picks.randbytes(8))[0] for _ in range(3000)]
    values += [picks.uniform(-70000, 70000) for _ in range(1000)] + [
        picks.uniform(-1e-7, 1e-7) for _ in range(1000)
    ]
    values += [65520.0, -65520.0, 2.0**128, -(2.0**128), float(2**128 - 2**103), 1e300, -1e300]
    for value in values:
        target = bytearray(b"\xaa" * layout.size)
        try:
            expected = layout.pack(value)
        except OverflowError:
            with pytest.raises(OverflowError) as caught:
                put(target, 0, value)
            assert str(caught.value) == f"put_{field}: {value!r} is too large (at most {largest!r})"
            assert target == b"\xaa" * layout.size
        else:
            assert put(target, 0, value) == layout.size
            assert target == expected


@pytest.mark.parametrize("field", FLOATS)
def test_float_types(lib: Any, field: str) -> None:
    get, put = getattr(lib, "get_" + field), getattr(lib, "put_" + field)
    for value, expected in (
        (3, 3.0),
        (True, 1.0),
        (Indexed(4), 4.0),
        (Floating(), 1.5),
        (Decimal("2.5"), 2.5),
    ):
        target = bytearray(8)
        put(target, 0, value)
        assert get(target) == expected
    target = bytearray(8)
    for wrong in ("1.5", b"1", None, [1.0], 1j, 10**400):
        got = outcome(put, target, 0, wrong)
        assert got == outcome(getattr(pure, "put_" + field), target, 0, wrong)
        assert got[0] is (OverflowError if wrong == 10**400 else TypeError)
    assert target == bytearray(8)


# Reversal


def reference(raw: bytes, width: int) -> bytes:
    items = array(CODES[width], raw)
    items.byteswap()
    return items.tobytes()


@pytest.mark.parametrize("width", [2, 4, 8])
def test_swap_lengths_and_alignments(lib: Any, width: int) -> None:
    raw = random.Random(width).randbytes(400)
    for size in [*range(0, 300, width), 400 - 400 % width]:
        for start in (0, 1, 3, 7, 16):
            part = raw[start : start + size]
            part = part[: len(part) - len(part) % width]
            expected = reference(part, width)
            assert lib.swapped(part, width) == expected
            whole = bytearray(b"\xaa" * start + part + b"\xaa" * 9)
            assert lib.swapped(memoryview(whole)[start : start + len(part)], width) == expected
            assert lib.swap(memoryview(whole)[start : start + len(part)], width) is None
            assert whole == b"\xaa" * start + expected + b"\xaa" * 9


@pytest.mark.parametrize("width", [2, 4, 8])
def test_swap_large(lib: Any, width: int) -> None:
    for size in (262136, 262144, 262152, 3 << 20):
        raw = random.Random(size).randbytes(size)
        target = bytearray(raw)
        lib.swap(target, width)
        assert target == lib.swapped(raw, width) == reference(raw, width)


def test_swap_every_buffer(lib: Any) -> None:
    raw = bytes(range(64))
    for width in (2, 4, 8):
        for buffer in buffers(raw):
            copy = lib.swapped(buffer, Indexed(width))
            assert copy == reference(raw, width) and type(copy) is bytes
            lib.swap(buffer, width)
            assert memoryview(buffer).tobytes() == copy
        items = array(CODES[width], raw)
        lib.swap(items, width)
        assert items.tobytes() == reference(raw, width)


@pytest.mark.parametrize("name", ["swap", "swapped"])
def test_swap_refusals(lib: Any, name: str) -> None:
    call = getattr(lib, name)
    for width in (-2, 0, 1, 3, 5, 16, 2**63, 2**70):
        assert outcome(call, bytearray(16), width) == (
            ValueError,
            f"{name}: width must be 2, 4 or 8, not {width}",
        )
    assert outcome(call, bytearray(16), True) == (ValueError, f"{name}: width must be 2, 4 or 8, not 1")
    for size, width in ((1, 2), (3, 2), (2, 4), (4, 8), (17, 8), (262145, 2)):
        target = bytearray(b"\xab\xcd" * size)[:size]
        before = bytes(target)
        text = f"{name}: {size} bytes are not a multiple of width {width}"
        assert outcome(call, target, width) == (ValueError, text)
        assert target == before
    with pytest.raises(TypeError):
        call(bytearray(16), 2.0)


def test_large_swaps_run_beside_each_other(lib: Any) -> None:
    parts = [bytearray(random.Random(i).randbytes(1 << 20)) for i in range(4)]
    wanted = [reference(bytes(part), 4) for part in parts]
    threads = [threading.Thread(target=lib.swap, args=(part, 4)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert parts == wanted


@given(raw=st.binary(max_size=700), width=st.sampled_from([2, 4, 8]), cut=st.integers(0, 40))
def test_swap_is_the_same_everywhere(raw: bytes, width: int, cut: int) -> None:
    part = memoryview(raw)[cut:]
    part = part[: len(part) - len(part) % width]
    expected = reference(bytes(part), width)
    for lib in twins():
        assert lib.swapped(part, width) == expected
        target = bytearray(part)
        lib.swap(target, width)
        assert target == expected
        lib.swap(target, width)
        assert target == part


ANY_INT = st.integers(-(2**66), 2**66) | st.sampled_from(
    [d + s * 2**b for b in range(66) for s in (-1, 1) for d in (-1, 0, 1)]
)


@given(
    field=st.sampled_from(FIELDS),
    raw=st.binary(max_size=20),
    offset=st.integers(-3, 24) | ANY_INT,
    value=ANY_INT | st.floats() | st.floats(width=16) | st.booleans() | st.text(max_size=2) | st.none(),
)
def test_the_twins_agree(field: str, raw: bytes, offset: int, value: Any) -> None:
    """Same value, same error, same text, same bytes left behind, whatever comes in."""
    seen = []
    for lib in twins():
        target = bytearray(raw)
        seen.append(
            (
                outcome(getattr(lib, "get_" + field), raw, offset),
                outcome(getattr(lib, "get_" + field), target, offset),
                outcome(getattr(lib, "put_" + field), target, offset, value),
                bytes(target),
            )
        )
    assert all(other == seen[0] for other in seen)


def twins() -> list[Any]:
    found = [pure]
    try:
        found.append(_backend.load("native").byteorder)
    except ImportError:
        pass
    return found


def test_import_is_light() -> None:
    code = "import sys, framewire.byteorder; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"asyncio", "dataclasses", "ctypes", "ssl", "logging"} & set(run.stdout.split())
