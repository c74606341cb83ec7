"""The micro level: one call at a time, both backends (`python -m pytest bench/test_micro.py`).

For regressions of one operation on one machine; comparisons with others are the work of `python -m bench`.
"""

from __future__ import annotations

from struct import pack
from typing import Any

import pytest

import framewire as fw
from framewire import _backend

pytest.importorskip("pytest_benchmark")

FRAMINGS = {
    "u32": fw.LengthPrefixed(fw.u32),
    "u16,offset=2": fw.LengthPrefixed(fw.u16, offset=2, strip=True),
    "varint": fw.LengthPrefixed(fw.varint),
    "netstring": fw.Netstring(),
    "lines": fw.Lines(),
    "crlf": fw.Delimited(b"\r\n"),
    "fixed:64": fw.FixedLength(64),
}
MESSAGES = [(b"%d" % i).rjust(64, b".") for i in range(1000)]


@pytest.fixture(params=["native", "pure"])
def backend(request: pytest.FixtureRequest) -> _backend.Backend:
    try:
        return _backend.load(request.param)
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(params=FRAMINGS)
def framing(request: pytest.FixtureRequest) -> Any:
    return FRAMINGS[request.param]


def test_decode(benchmark: Any, backend: _backend.Backend, framing: Any) -> None:
    """1000 frames in one piece."""
    wire = framing.encode_many(MESSAGES)
    decoder = backend.codec.Decoder(framing._plan)
    assert benchmark(decoder.decode, wire) == MESSAGES


def test_decode_one(benchmark: Any, backend: _backend.Backend, framing: Any) -> None:
    """What a call costs that has one frame to give."""
    wire = framing.encode(MESSAGES[0])
    decoder = backend.codec.Decoder(framing._plan)
    assert benchmark(decoder.decode, wire) == MESSAGES[:1]


def test_decode_halves(benchmark: Any, backend: _backend.Backend, framing: Any) -> None:
    """One frame that arrives in two pieces."""
    wire = framing.encode(MESSAGES[0])
    decode = backend.codec.Decoder(framing._plan).decode
    first, second = wire[:33], wire[33:]
    assert benchmark(lambda: decode(first) + decode(second)) == MESSAGES[:1]


def test_encode_many(benchmark: Any, backend: _backend.Backend, framing: Any) -> None:
    encoder = backend.codec.Encoder(framing._plan)
    wire = benchmark(encoder.encode_many, MESSAGES)
    assert framing.decoder().decode(wire) == MESSAGES


def test_encode_one(benchmark: Any, backend: _backend.Backend, framing: Any) -> None:
    encoder = backend.codec.Encoder(framing._plan)
    wire = benchmark(encoder.encode, MESSAGES[0])
    assert framing.decoder().decode(wire) == MESSAGES[:1]


@pytest.mark.parametrize(
    "name, expected", [("get_u16", 0x0102), ("get_u32", 0x01020304), ("get_u24le", 0x030201)]
)
def test_get(benchmark: Any, backend: _backend.Backend, name: str, expected: int) -> None:
    assert benchmark(getattr(backend.byteorder, name), b"\0\1\2\3\4", 1) == expected


def test_put_u32(benchmark: Any, backend: _backend.Backend) -> None:
    buffer = bytearray(8)
    benchmark(backend.byteorder.put_u32, buffer, 2, 0x01020304)
    assert buffer == b"\0\0\1\2\3\4\0\0"


@pytest.mark.parametrize("width, code", [(2, "H"), (4, "I"), (8, "Q")])
def test_swapped(benchmark: Any, backend: _backend.Backend, width: int, code: str) -> None:
    """4000 bytes."""
    count = 4000 // width
    numbers = range(1, count + 1)
    swapped = benchmark(backend.byteorder.swapped, pack(f"<{count}{code}", *numbers), width)
    assert swapped == pack(f">{count}{code}", *numbers)
