"""The tree of errors is DESIGN's, its members survive pickling, and every fault of the C core has a text."""

from __future__ import annotations

import copy
import pickle
import re
import struct
from pathlib import Path
from typing import Any

import pytest

import framewire as fw
from framewire import errors

FW_H = Path(__file__).parent.parent / "csrc/fw.h"

# class: (our base, standard base, members with a value for each)
TREE: dict[str, tuple[type[BaseException], type[BaseException] | None, dict[str, Any]]] = {
    "FramewireError": (Exception, None, {}),
    "DeclarationError": (fw.FramewireError, ValueError, {}),
    "EncodeError": (fw.FramewireError, ValueError, {"size": 9, "limit": 8, "path": "a[1].b"}),
    "DecodeError": (
        fw.FramewireError,
        ValueError,
        {"offset": 5, "frame_index": 2, "reason": "bad-length", "recoverable": True},
    ),
    "FrameTooLarge": (
        fw.DecodeError,
        None,
        {
            "size": 9,
            "limit": 8,
            "header": b"\1",
            "offset": 5,
            "frame_index": 2,
            "reason": "x",
            "recoverable": True,
        },
    ),
    "MalformedFrame": (
        fw.DecodeError,
        None,
        {"offset": 5, "frame_index": 2, "reason": "bad-tag", "recoverable": False},
    ),
    "RecordError": (
        fw.DecodeError,
        struct.error,
        {"record": "Sample", "path": "a[1].b", "offset": 5, "frame_index": 2, "reason": "x"},
    ),
    "EndOfStream": (fw.FramewireError, EOFError, {}),
    "Truncated": (fw.FramewireError, EOFError, {"partial": b"ab", "needed": 3, "tls_unclean": True}),
    "ConnectionClosed": (fw.FramewireError, ConnectionError, {}),
    "ConnectionLost": (fw.FramewireError, ConnectionError, {"errno": 104}),
    "Timeout": (fw.FramewireError, TimeoutError, {"phase": "connect"}),
    "ConcurrencyError": (fw.FramewireError, RuntimeError, {}),
}


def test_the_tree_is_complete() -> None:
    assert set(TREE) == set(errors.__all__)
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes == set(TREE)
    tree = (errors.__doc__ or "").split("\n\n")[1]
    assert re.findall(r"^ *(\w+)", tree, re.MULTILINE) == list(TREE)


@pytest.mark.parametrize("name", TREE)
def test_bases_members_and_pickles(name: str) -> None:
    base, standard, members = TREE[name]
    cls = getattr(fw, name)
    bases = (base,) if standard is None else (base, standard)
    assert cls.__bases__ == bases
    assert issubclass(cls, fw.FramewireError) and cls.__module__ == "framewire.errors"
    error = cls("what happened", **members)
    others = [
        pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    ]
    for other in [error, *others, copy.copy(error), copy.deepcopy(error)]:
        assert type(other) is cls and str(other) == "what happened" and other.args == ("what happened",)
        assert {member: getattr(other, member) for member in members} == members
    assert str(cls()) == "", "every member has a default"
    with pytest.raises(TypeError):
        cls("text", nonsense=1)


def test_standard_except_clauses_catch_ours() -> None:
    for name, standard in [
        ("DeclarationError", ValueError),
        ("FrameTooLarge", ValueError),
        ("RecordError", struct.error),
        ("RecordError", ValueError),
        ("Truncated", EOFError),
        ("ConnectionLost", OSError),
        ("Timeout", OSError),
        ("Timeout", TimeoutError),
        ("ConcurrencyError", RuntimeError),
    ]:
        with pytest.raises(standard):
            raise getattr(fw, name)("text")
    assert not issubclass(fw.EndOfStream, fw.Truncated) and not issubclass(fw.Truncated, fw.EndOfStream)


def test_the_texts_say_what_where_how_much_and_the_limit() -> None:
    assert str(errors.malformed(-4, 0, b"1x", 70, 3)) == (
        "bad-length: 0x78 stands where a digit of the length is wanted; "
        "frame 3 at offset 70, first bytes 31 78"
    )
    assert (
        str(errors.malformed(-2, -7, b"", 0, 0))
        == "bad-length: the length -7 is negative; frame 0 at offset 0"
    )
    assert str(errors.malformed(-11, 255, bytes(20), 5, 1)) == (
        "bad-tag: the tag 255 (0xff) is not in the table; frame 1 at offset 5, first bytes "
        + "00 " * 16
        + "..."
    )
    assert str(errors.too_large(4096, 100, b"\x10\0", 7, 2, True)) == (
        "frame too large: the peer announced 4096 bytes, our limit is 100 (max_frame); "
        "frame 2 at offset 7, first bytes 10 00; raise max_frame if the peer is right"
    )
    assert str(errors.too_large(0x48545450, 100, b"HTTP", 0, 0, False)).endswith(
        "first bytes 48 54 54 50; these are the characters 'HTTP': is it the right framing?"
    )
    assert str(errors.too_large(None, 100, b"", 7, 2, False)) == (
        "frame too large: no end of the frame within 100 bytes (max_frame); frame 2 at offset 7; "
        "raise max_frame if the peer is right"
    )
    assert str(errors.truncated(b"\0\5he", 3, 9, 1)) == (
        "the stream ended inside a frame: 4 bytes of it arrived, at least 3 more were needed; "
        "frame 1 at offset 9, first bytes 00 05 68 65"
    )
    error = errors.too_large(4096, 100, b"\x10\0", 7, 2, True)
    assert vars(error) == {
        "size": 4096,
        "limit": 100,
        "header": b"\x10\0",
        "offset": 7,
        "frame_index": 2,
        "reason": "too-large",
        "recoverable": True,
    }


@pytest.mark.parametrize(
    ("error", "text", "size", "limit"),
    [
        (errors.encode_too_large(9, 8), "a message of 9 bytes is beyond our limit of 8 (max_frame)", 9, 8),
        (
            errors.encode_unsayable(256, 255),
            "a body of 256 bytes does not fit the length field, which says at most 255",
            256,
            255,
        ),
        (errors.encode_unsayable(1, 255), "a body of 1 bytes does not fit the length field", 1, 255),
        (errors.encode_unsayable(1, None), "a body of 1 bytes does not fit the length field", 1, None),
        (errors.encode_fixed(2, 3), "a message of 2 bytes is not a fixed frame of 3 bytes", 2, 3),
        (errors.encode_scale(5, 4), "a body of 5 bytes cannot be counted in units of 4 bytes", 5, None),
        (errors.encode_mismatch(9, 8), "a whole frame of 9 bytes, but its header says 8 bytes", 9, None),
        (
            errors.encode_mismatch(9, None),
            "a whole frame of 9 bytes, but its header says no whole length",
            9,
            None,
        ),
        (
            errors.encode_broken(-12, 0, b"\x82", 9),
            "a whole frame of 9 bytes that cannot be sent, "
            "bad-magic: 0x82 is not the fixed byte that belongs here",
            9,
            None,
        ),
        (
            errors.encode_short(3, 8),
            "a whole frame of 3 bytes is shorter than its header and trailer of 8 bytes",
            3,
            8,
        ),
        (
            errors.encode_delimiter(1, b"\r\n", 4),
            r"a message of 4 bytes would end early: the delimiter b'\r\n' stands at byte 1",
            4,
            None,
        ),
        (
            errors.encode_unterminated(4),
            "a message of 4 bytes does not end with its delimiter (strip=False)",
            4,
            None,
        ),
        (
            errors.encode_no_join(),
            "Custom: this framing has no join function, so it cannot encode",
            None,
            None,
        ),
    ],
    ids=lambda value: "",
)
def test_the_texts_of_refused_messages(error: fw.EncodeError, text: str, size: int, limit: int) -> None:
    assert str(error) == text and (error.size, error.limit, error.path) == (size, limit, "")


def test_buffer_errors_name_both_sizes() -> None:
    assert str(errors.encode_no_room(9, 2, 10)) == "9 bytes at offset 2 do not fit into a buffer of 10 bytes"
    assert "11 bytes" in str(errors.buffer_full(11, 10)) and "of 10 bytes" in str(errors.buffer_full(11, 10))


@pytest.mark.skipif(not FW_H.exists(), reason="an installed package has no C sources")
def test_every_fault_of_the_c_core_has_its_text() -> None:
    found = re.findall(r"FW_E_(\w+) = (-\d+),? */\* (encoding:)?", FW_H.read_text())
    codes = {name: int(code) for name, code, encoding in found if not encoding}
    assert len(found) >= 20 and codes.pop("TOO_LARGE") == -1, "which has a text of its own"
    assert set(codes.values()) == set(errors._MALFORMED)
    from framewire._pure import plan

    assert {name: getattr(plan, name) for name in codes} == codes
    reasons = {reason for reason, _ in errors._MALFORMED.values()}
    assert all(reason in (fw.MalformedFrame.__doc__ or "") for reason in reasons)
    for code in errors._MALFORMED:
        assert "{" not in str(errors.malformed(code, 1, b"\1", 0, 0))
