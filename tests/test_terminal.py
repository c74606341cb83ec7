"""No byte of a peer, a file or a name reaches a terminal as a control character, whatever way it takes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from framewire import LengthPrefixed, u16
from framewire.cli import main
from framewire.cli.formats import FORMATS
from framewire.cli.report import Progress, hexdump, safe

TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
MARKS = "\u200e\u200f\u061c"

CONTROLS = [chr(code) for code in (*range(32), *range(0x7F, 0xA0))]
BIDI = [*MARKS, *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))]
HOSTILE: list[bytes] = [
    *(char.encode() for char in CONTROLS),
    *(bytes([code]) for code in range(0x80, 0x100)),  # C1 as single bytes, and what is never valid UTF-8
    *(char.encode() for char in BIDI),
    "\u2028\u2029\ufeff\U000e0041".encode(),
    b"\xc0\x80\xed\xa0\x80\xf5\x80\x80\x80\xe2\x82",  # overlong, surrogate, beyond Unicode, cut short
    b"\x1b]0;title\x07\x1b[2J\x1b[31mred\x9b2J\x90q\x9c",
    b"plain \x1bc \r overwritten \x08\x08",
]


def dangerous(char: str) -> bool:
    """The judge, on Unicode's own tables rather than on the list of the program."""
    return (
        unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(char) in TURNS
        or char in MARKS
    )


def need_harmless(data: bytes | str) -> None:
    text = data if isinstance(data, str) else data.decode("utf-8")  # strict: nothing else comes out
    bad = [char for char in text if dangerous(char) and char != "\n"]
    assert not bad, f"{bad!r} in {text!r}"


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.bin"
    framing = LengthPrefixed(u16)
    path.write_bytes(framing.encode_many([*HOSTILE, b"".join(HOSTILE), *(b"a%sz" % one for one in HOSTILE)]))
    return path


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "raw"])
def test_every_format(form: str, stream: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["decode", "u16", str(stream), "-o", form]) == 0
    out, err = capsysbinary.readouterr()
    need_harmless(out)
    need_harmless(err)
    if form != "dump":
        assert out.count(b"\n") == 2 * len(HOSTILE) + 1  # one message, one line


def test_all_of_unicode() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = safe(everything)
    assert not [char for char in shown if dangerous(char)]
    tags = range(0xE0000, 0xE0080)
    harmless = [
        char
        for char in everything
        if not dangerous(char) and unicodedata.category(char) != "Cf" and ord(char) not in tags
    ]
    assert safe("".join(harmless)) == "".join(harmless), "valid UTF-8 passes as it is"


def test_escapes_are_those_people_know() -> None:
    assert safe("a\tb\n\r\0\x1b\x7f\x85\u202e\U000e0041") == r"a\tb\n\r\0\x1b\x7f\u0085\u202e\U000e0041"
    assert safe(b"\x85\xff\n".decode("utf-8", "surrogateescape")) == r"\x85\xff\n"
    assert safe("h\u00e9llo \\n \u4e16\u754c") == "h\u00e9llo \\n \u4e16\u754c"


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", "u32"],
        ["decode", "netstring"],
        ["decode", "digits:3"],
        ["decode", "u16,offset=1,magic=\\x01"],
        ["decode", "u16,trailer=\\x01"],
        ["decode", "lines,max_frame=2"],
        ["decode", "lines,max_frame=2,on_too_large=skip"],
        ["decode", "fixed:4096"],
        ["encode", "fixed:7"],
        ["encode", "lines", "-i", "fixed:1"],
        *(["encode", "u32", "-i", form] for form in ("hex", "base64", "json", "dump")),
    ],
    ids=" ".join,
)
def test_errors_about_input(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    for number, hostile in enumerate([*HOSTILE[::9], *HOSTILE[-10:]]):
        path = tmp_path / str(number)
        path.write_bytes(hostile * 3 + b"\n")
        with path.open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            status = main([*arguments, "--debug"])
        out, err = capsysbinary.readouterr()
        need_harmless(err)
        if arguments[0] == "decode":
            need_harmless(out)
        assert status in (0, 3, 4)


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x9b31m", "\u202egnp", "\x07\r", "\udcff", "\x7f\u2028"])
def test_errors_about_arguments(
    hostile: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    for arguments in (
        [hostile],
        ["decode", hostile],
        ["decode", f"u32,{hostile}=1"],
        ["decode", f"u32,max_frame={hostile}"],
        ["decode", "u32", str(tmp_path / hostile)],
        ["decode", "u32", "-o", hostile],
        ["decode", "u32", "-n", hostile],
        ["decode", "u32", f"--{hostile}"],
        ["decode", "u32", "--max-frame", hostile],
        ["decode", "u32", "--backend", hostile],
        ["decode", "u32", "a", hostile],
        ["encode", "u32", f"@{tmp_path / hostile}"],
        ["encode", "u32", "--hex", hostile],
        ["encode", f"delimited:{hostile}", f"a{hostile}b"],
        ["demo", "--captures", str(tmp_path / hostile)],
    ):
        assert main([*arguments, "--debug"]) in (1, 2, 3), arguments
        out, err = capsysbinary.readouterr()
        need_harmless(out)
        need_harmless(err)
        assert err, arguments


def test_dump_marks_the_byte() -> None:
    lines = hexdump(bytes(range(40)), 100, 128)
    need_harmless("\n".join(lines))
    at = lines[2].index("^^")
    assert lines[1][at : at + 2] == f"{28:02x}"
    assert all(hexdump(bytes(32), 0, mark)[1 + mark // 16].strip() == "^^" for mark in range(32))


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "60")
    clock = iter(range(100))
    monkeypatch.setattr("framewire.cli.report.time.monotonic", lambda: next(clock))
    progress = Progress("streams", 10)
    progress.update(5, "half\x1b[2J")
    progress.clear()
    progress.clear()
    drawn = screen.getvalue()
    assert drawn.startswith("\r[###############...............]  50%  half\\x1b[2J\x1b[K")
    assert drawn.endswith("\r\x1b[K")
    assert drawn.count("\r") == 2
    Progress("bytes").update(1000)
    assert "1,000 bytes" in screen.getvalue()
    monkeypatch.setattr(sys, "stderr", file := io.StringIO())
    Progress("bytes").update(1000)
    assert file.getvalue() == "", "not into a file"


def at_a_terminal(*arguments: str, source: bytes = b"") -> tuple[int, bytes, bytes]:
    """(status, what the terminal shows, standard error) of the command with its output on a terminal."""
    pty = pytest.importorskip("pty", reason="needs terminals")
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen(
        [sys.executable, "-m", "framewire", *arguments],
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": ""},
    ) as process:
        os.close(theirs)
        _, err = process.communicate(source)
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # what Linux says at a terminal's end
            pass
    os.close(ours)
    return process.returncode, shown.replace(b"\r\n", b"\n"), err


HOSTILE_STREAM = b"\0\5\x1b[2J!\0\2hi"


@pytest.mark.parametrize("form", ["raw", "lines", "netstring", "u32"])
def test_raw_is_refused(form: str) -> None:
    status, shown, err = at_a_terminal("decode", "u16", "-o", form, source=HOSTILE_STREAM)
    assert (status, shown) == (2, b"")
    assert b"-o text, -o hex or -o dump" in err


def test_encode_is_refused() -> None:
    status, shown, err = at_a_terminal("encode", "u16", "hi")
    assert (status, shown) == (2, b"")
    assert b"--force" in err


def test_force() -> None:
    assert at_a_terminal("decode", "u16", "-o", "raw", "--force", source=b"\0\2hi") == (0, b"hi", b"")


def test_same_as_in_a_pipe() -> None:
    status, shown, err = at_a_terminal("decode", "u16", source=HOSTILE_STREAM)
    assert (status, shown, err) == (0, b"\\x1b[2J!\nhi\n", b"")
    piped = subprocess.run(
        [sys.executable, "-m", "framewire", "decode", "u16"], input=HOSTILE_STREAM, capture_output=True
    )
    assert piped.stdout == shown
    assert b"1 of 2 messages are not exact" in piped.stderr
