"""The command: its grammar, formats, exit statuses and signals."""

from __future__ import annotations

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import LengthPrefixed, Netstring, _backend, u16, u32
from framewire._version import __version__
from framewire.cli import HELP, convert, main
from framewire.cli.formats import FORMATS, WRITERS, parser
from framewire.cli.grammar import VERBS
from framewire.cli.report import color_wanted, row
from framewire.protocols import PRESETS

CAPTURES = Path(__file__).parent / "captures"
COMMAND = [sys.executable, "-m", "framewire"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals as shells expect them")


class Console:
    """Runs the command in this process: `run(...)` is (status, standard output, standard error)."""

    def __init__(
        self, capture: pytest.CaptureFixture[bytes], patch: pytest.MonkeyPatch, folder: Path
    ) -> None:
        self._capture = capture
        self._patch = patch
        self._file = folder / "stdin"

    def run(self, *arguments: str, source: bytes = b"") -> tuple[int, bytes, str]:
        self._file.write_bytes(source)
        with self._file.open() as file, self._patch.context() as patch:
            patch.setattr(sys, "stdin", file)
            status = main(arguments)
        out, err = self._capture.readouterr()
        return status, out, err.decode()


@pytest.fixture
def console(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Console:
    monkeypatch.delenv("COLUMNS", raising=False)
    return Console(capsysbinary, monkeypatch, tmp_path)


# --- decode -----------------------------------------------------------------------------------------

WIRE = LengthPrefixed(u32).encode_many([b"hello", b"", b"\x00\xff\n"])


def test_formats(console: Console) -> None:
    expected = {
        "text": b"hello\n\n\\0\\xff\\n\n",
        "hex": b"68656c6c6f\n\n00ff0a\n",
        "base64": b"aGVsbG8=\n\nAP8K\n",
        "raw": b"hello\x00\xff\n",
        "json": b'{"n":1,"offset":0,"size":5,"text":"hello"}\n{"n":2,"offset":9,"size":0,"text":""}\n'
        b'{"n":3,"offset":13,"size":3,"base64":"AP8K"}\n',
        "dump": b"#1 5 bytes @0\n"
        b"  header  00 00 00 05                                       |....|\n"
        b"       0  68 65 6c 6c 6f                                    |hello|\n"
        b"#2 0 bytes @9\n"
        b"  header  00 00 00 00                                       |....|\n"
        b"#3 3 bytes @13\n"
        b"  header  00 00 00 03                                       |....|\n"
        b"       0  00 ff 0a                                          |...|\n",
    }
    assert set(expected) == set(FORMATS)
    for form, shown in expected.items():
        status, out, err = console.run("decode", "u32", "-o", form, source=WIRE)
        assert (status, out) == (0, shown), form
        assert (form == "text") == ("1 of 3 messages are not exact as text" in err)
    assert console.run("decode", "u32", "-q", source=WIRE)[2] == ""


def test_to_another_framing(console: Console) -> None:
    assert console.run("decode", "u32", "-o", "netstring", source=WIRE) == (0, b"5:hello,0:,3:\0\xff\n,", "")
    assert console.run("decode", "u32", "-o", "u32", source=WIRE) == (0, WIRE, "")
    status, out, err = console.run("decode", "u32", "-o", "lines", source=WIRE)
    assert (status, out) == (3, b"hello\n\n")
    assert "message 3: a message of 3 bytes would end early" in err


def test_from_a_file(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(WIRE)
    assert console.run("decode", "u32", str(path), "-o", "hex")[1] == b"68656c6c6f\n\n00ff0a\n"
    assert console.run("decode", "-o", "hex", "u32", "-n", "1", str(path))[1] == b"68656c6c6f\n"
    for name, what in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        status, out, err = console.run("decode", "u32", str(name))
        assert (status, out) == (1, b"")
        assert err.startswith(f"framewire: {name}: ") and what in err


def test_n_stops_before_a_fault(console: Console) -> None:
    assert console.run("decode", "u32", "-n2", source=WIRE + b"\xff" * 9)[:2] == (0, b"hello\n\n")
    assert console.run("decode", "u32", "-n9", source=WIRE)[0] == 0


@pytest.mark.parametrize("size", [1, 3, 100, 65_529, 70_000, 300_000])
def test_broken_after_good_frames(console: Console, size: int) -> None:
    """Good frames first, then what, where, and the bytes with the caret below the byte that proves it."""
    good = Netstring().encode(b"x" * size)
    status, out, err = console.run("decode", "netstring", "-o", "raw", source=good + b"2:okX" + b"behind" * 9)
    assert (status, out) == (3, b"x" * size)
    lines = err.splitlines()
    assert lines[0] == "framewire: bad-terminator: 0x58 is not the byte that ends the frame"
    assert lines[1].startswith(f"  frame 1 at offset {len(good)}, first bytes 32 3a 6f 6b 58")
    assert lines[2] == '  the frame begins with the text "2:ok": is netstring the right framing?'
    caret = next(number for number, line in enumerate(lines) if line.strip() == "^^")
    at = lines[caret].index("^^")
    assert lines[caret - 1][at : at + 2] == "58"
    dump = [line for line in lines[3:] if line.strip() != "^^"]
    assert 1 <= len(dump) <= 2
    assert "2:okX" in "".join(line.split("|")[1] for line in dump)
    assert int(dump[0].split()[0]) == max(len(good) - 8, 0)


def test_fault_far_inside_a_frame(console: Console) -> None:
    stream = b"5:hello," + b"200000:" + b"y" * 200_000 + b"!" + b"rest"
    status, out, err = console.run("decode", "netstring", source=stream)
    assert (status, out) == (3, b"hello\n")
    lines = err.splitlines()
    caret = next(number for number, line in enumerate(lines) if line.strip() == "^^")
    at = lines[caret].index("^^")
    assert lines[caret - 1][at : at + 2] == "21"
    assert int(lines[3].split()[0]) == 8 + 7 + 200_000 + len("!rest") - 32


def test_too_large(console: Console) -> None:
    status, out, err = console.run("decode", "u32", source=b"HTTP/1.1 400 Bad Request\r\n")
    assert (status, out) == (3, b"")
    assert "the peer announced 1213486160 bytes, our limit is 1048576 (--max-frame)" in err
    assert 'the text "HTTP": is u32 the right framing?' in err
    assert console.run("decode", "u32", "--max-frame", "4", source=WIRE)[0] == 3
    assert "a larger --max-frame takes it" in console.run("decode", "u32", "--max-frame", "4", source=WIRE)[2]
    big = LengthPrefixed(u32, max_frame=None).encode(bytes(2 << 20))
    assert console.run("decode", "u32", "-o", "raw", source=big)[0] == 3
    for limit in ("2M", "2048k", "none", "1G", "2097152"):
        assert console.run("decode", "u32", "-o", "raw", "--max-frame", limit, source=big)[:2] == (
            0,
            bytes(2 << 20),
        )
    again = console.run("decode", "u32", "-o", "u32", "--max-frame", "none", source=big)
    assert again[:2] == (0, big), "the output takes what the input took"
    status, out, err = console.run("decode", "lines", "--max-frame", "3", source=b"abc\nabcdefgh\n")
    assert (status, out) == (3, b"abc\n")
    assert "a larger --max-frame takes it" in err and "raise max_frame" not in err


def test_skipping_goes_on(console: Console) -> None:
    wire = LengthPrefixed(u16).encode_many([b"one", b"too large", b"two", b"much too large"])
    status, out, err = console.run("decode", "u16,max_frame=4,on_too_large=skip", "-o", "json", source=wire)
    assert status == 3
    assert [(json.loads(line)["offset"], json.loads(line)["text"]) for line in out.splitlines()] == [
        (0, "one"),
        (16, "two"),
    ]
    assert err.count("frame too large") == 2


def test_truncated(console: Console) -> None:
    status, out, err = console.run("decode", "u32", source=WIRE + b"\0\0\0\x09part")
    assert (status, out.count(b"\n")) == (4, 3)
    assert "the stream ended inside a frame: 8 bytes of it arrived, at least 5 more were needed" in err
    assert "frame 3 at offset 20" in err
    assert console.run("decode", "lines", source=b"one\ntwo")[:2] == (4, b"one\n")
    assert console.run("decode", "lines,eof=deliver", source=b"one\ntwo")[:2] == (0, b"one\ntwo\n")
    assert console.run("decode", "lines,eof=drop", source=b"one\ntwo")[:2] == (0, b"one\n")
    assert console.run("decode", "until-eof", source=b"one\ntwo")[:2] == (0, b"one\\ntwo\n")


@pytest.mark.parametrize("name", ["kafka_1.s2c", "mqtt_paho_0.c2s", "ldap_0.s2c", "syslog_ng_octet_0.c2s"])
def test_offsets_are_the_sidecars(console: Console, name: str, backend: _backend.Backend) -> None:
    framing = {
        "kafka": "i32",
        "mqtt": "leb128:4,offset=1",
        "ldap": "ber,offset=1,magic=\\x30,strip=false",
        "syslog": "digits,end=\\x20",
    }[name.split("_")[0]]
    path = str(CAPTURES / f"{name}.bin")
    status, out, _ = console.run("decode", framing, path, "-o", "json", "--backend", backend.name)
    frames = json.loads((CAPTURES / f"{name}.json").read_text())["frames"]
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [record["offset"] for record in records] == [frame["at"] for frame in frames]
    assert [record["n"] for record in records] == list(range(1, len(frames) + 1))


def test_constant_memory(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(LengthPrefixed(u16).encode(b"m" * 1000) * 20_000)
    frames = 0
    tracemalloc.start()
    for batch in convert.Cutter(
        convert.source_of(str(path))[0], LengthPrefixed(u16), _backend.load("pure"), "never"
    ):
        frames += len(batch)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert frames == 20_000
    assert peak < 2 << 20, "20 MB pass through"


# --- encode -----------------------------------------------------------------------------------------


def test_arguments_are_messages(console: Console, tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(b"from\0file")
    expected = LengthPrefixed(u16).encode_many([b"a", b"from\0file", b"\\n", b"-x", "\u00e9".encode()])
    assert console.run("encode", "u16", "a", f"@{path}", "\\n", "--", "-x", "\u00e9")[:2] == (0, expected)
    assert console.run("encode", "u16", "68 69", "--hex", "0x6a:6b")[1] == b"\0\2hi\0\2jk"
    assert console.run("encode", "-i", "base64", "u16", "aGk=")[1] == b"\0\2hi"
    assert console.run("encode", "u16", "a", "@-", source=b"all\nof it")[1] == b"\0\1a\0\x09all\nof it"
    assert console.run("encode", "u16", "")[1] == b"\0\0"


def test_standard_input_is_cut(console: Console) -> None:
    for form, source in (
        ("lines", b"one\r\ntwo"),
        ("text", b"one\ntwo\n"),
        ("nul", b"one\0two\0"),
        ("u32", b"\0\0\0\3one\0\0\0\3two"),
        ("hex", b"6f 6e:65\n\n0x74776f\n"),
        ("base64", b"b25l\ndHdv\n"),
        ("json", b'{"event":"open"}\n{"text":"one","n":7}\n{"base64":"dHdv"}\n'),
        ("dump", b"#1 3 bytes @0\n 0 6f 6e 65 |one|\n#2 3 bytes\n  0  74 77\n 2 6f\n"),
    ):
        assert console.run("encode", "netstring", "-i", form, source=source) == (0, b"3:one,3:two,", ""), form
    assert console.run("encode", "netstring", "-i", "raw", source=b"one\ntwo")[1] == b"7:one\ntwo,"
    assert console.run("encode", "netstring")[:2] == (0, b"")


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("hex", b"6"),
        ("hex", b"zz"),
        ("base64", b"b25"),
        ("base64", b"b2*5l"),
        ("json", b"{"),
        ("json", b"[]"),
        ("json", b'{"text":5}'),
        ("json", b'{"n":1}'),
        ("json", b'{"text":"\\ud800"}'),
        ("json", b"[" * 200_000),
        ("json", b"\xff"),
        ("dump", b"0 6f"),
        ("dump", b"#1 2 bytes\n 0 6f 6f 6f"),
        ("dump", b"#1 2 bytes\n#2 2 bytes"),
    ],
)
def test_input_that_cannot_be_read(console: Console, form: str, line: bytes) -> None:
    good = {"hex": b"6f6e65", "base64": b"b25l", "json": b'{"text":"one"}', "dump": b"#1 3 bytes\n0 6f 6e 65"}
    status, out, err = console.run(
        "encode", "netstring", "-i", form, source=good[form] + b"\n" + line + b"\n"
    )
    assert (status, out) == (3, b"3:one,"), err
    assert err.startswith("framewire: input line ") and f" is not {form}: " in err


def test_messages_that_cannot_be_carried(console: Console) -> None:
    status, out, err = console.run("encode", "u8", "ok", "x" * 256, "never")
    assert (status, out) == (3, b"\2ok")
    assert err.startswith("framewire: message 2: a ")
    assert "256 bytes" in err
    assert console.run("encode", "u32", "--max-frame", "3", "abcd")[0] == 3
    assert console.run("encode", "crlf", "a\r\nb")[0] == 3
    assert console.run("encode", "u16", "-i", "netstring", source=b"2:ok,3:bad!")[:2] == (3, b"\0\2ok")
    assert console.run("encode", "u16", "-i", "netstring", source=b"2:ok,3:ba")[:2] == (4, b"\0\2ok")


@given(st.lists(st.binary(max_size=70), max_size=6))
def test_formats_both_ways(messages: list[bytes]) -> None:
    for form in ("json", "hex", "base64", "dump"):
        parse = parser(form)
        wire = b"".join(WRITERS[form](number, 0, message) for number, message in enumerate(messages, 1))
        back = [message for line in wire.split(b"\n")[:-1] if (message := parse(line)) is not None]
        assert back == messages, form


@pytest.mark.parametrize("form", ["json", "base64", "dump", "u32le", "netstring"])
def test_pipe_both_ways(console: Console, form: str) -> None:
    chance = random.Random(form)
    messages = [chance.randbytes(chance.choice((0, 1, 15, 16, 17, 300))) or b"x" for _ in range(50)]
    wire = LengthPrefixed(u16).encode_many(messages)
    middle = console.run("decode", "u16", "-o", form, source=wire)[1]
    assert console.run("encode", "u16", "-i", form, source=middle) == (0, wire, "")


# --- usage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "required: VERB"),
        (["deocde"], "there is no verb 'deocde': did you mean decode"),
        (["decode"], "required: FRAMING"),
        (["decode", "netsting"], "column 1: unknown name 'netsting': did you mean netstring?"),
        (["decode", "u32,max_frame=0"], "max_frame=0 must be at least 1"),
        (["decode", "u32", "a", "b"], "unrecognized arguments: b"),
        (["decode", "u32", "-n", "0"], "'0' is no number from 1"),
        (["decode", "u32", "-n", "-1"], "-n"),
        (["decode", "u32", "--max-frame", "0"], "'0' is no size"),
        (["decode", "u32", "--max-frame", "1.5k"], "'1.5k' is no size"),
        (["decode", "u8", "--max-frame", "300"], "carries at most 255"),
        (["decode", "u32", "-o", "jsn"], "'jsn'"),
        (["decode", "u32", "--backend", "fast"], "invalid choice"),
        (["encode", "json", "x"], "json is a format"),
        (["decode", "raw", "x"], "raw is a format, for -i and -o: a framing says where messages end"),
        (["conect", ":1", "u32"], "there is no verb 'conect': did you mean connect?"),
        (["\x1b[2J"], "there is no verb '\\x1b[2J'"),
        (["encode", "u32", "-i", "nonsense"], "'nonsense'"),
        (["decode", "Tagged({1: 2})"], "no text form"),
        (["demo", "--captures", "/nowhere"], "no recorded streams in /nowhere"),
    ],
)
def test_usage_errors(console: Console, arguments: list[str], text: str) -> None:
    status, out, err = console.run(*arguments)
    assert (status, out) == (2, b"")
    assert err.startswith("framewire: ") and text in err
    assert err.count("\n") <= 3


def test_help_fits(console: Console) -> None:
    status, out, err = console.run("--help")
    assert (status, out.decode(), err) == (0, HELP, "")
    lines = HELP.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert HELP.count("\n  $ framewire") + HELP.count("\n  $ printf") == 4
    for verb in VERBS:
        assert re.search(rf"\n  (.* )?{verb} ", HELP), verb
        status, out, err = console.run(verb, "--help")
        assert (status, err) == (0, "") and b"--debug" in out
    assert console.run("--version")[:2] == (0, f"framewire {__version__}\n".encode())


def test_list(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = console.run("list")
    assert (status, err) == (0, "")
    lines = out.decode().splitlines()
    names = [name for row in PRESETS.values() for name in row.sides]
    assert [line.split()[0] for line in lines] == ["NAME", *names]
    assert max(map(len, lines)) <= 110
    assert next(line for line in lines if line.startswith("dns ")).split(maxsplit=2) == [
        "dns",
        "u16",
        "RFC 1035 section 4.2.2; RFC 7766 section 8",
    ]
    status, out, err = console.run("list", "-o", "json")
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["name"] for record in records] == names
    for record in records:
        assert set(record) == {"name", "framing", "limit", "about", "source"}
        assert " at 0x" not in record["framing"]
    limits = {record["name"]: record["limit"] for record in records}
    assert (limits["dns"], limits["tls"], limits["mqtt"], limits["epp"]) == (65535, 18432, 268435455, None)
    assert console.run("list", "-o", "yaml")[0] == 2
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, console.run("list")[1].decode().splitlines())) <= 80


def test_list_shows_other_packages_names(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    group = "framewire.framings"
    points = {
        "acme": EntryPoint("acme", "framewire.protocols:AMQP", group),
        "broken": EntryPoint("broken", "framewire.protocols:GONE", group),
        "dns": EntryPoint("dns", "framewire.protocols:AMQP", group),
    }
    monkeypatch.setattr("framewire.cli.listing.others", lambda: points)
    lines = console.run("list")[1].decode().splitlines()[-3:]
    assert [line.split()[0] for line in lines] == ["acme.client", "acme.server", "broken"]
    assert "entry point framewire.protocols:AMQP" in lines[0] and "cannot be used" in lines[2]
    records = [json.loads(line) for line in console.run("list", "-o", "json")[1].splitlines()][-3:]
    assert [record["framing"] for record in records[1:]] == ["u32,offset=3,trailer=\\xce", "cannot be used"]


def test_the_page_of_protocols_is_what_the_declarations_say(console: Console) -> None:
    page = (CAPTURES.parent.parent / "docs/protocols.md").read_bytes()
    assert console.run("list", "-o", "markdown") == (0, page, ""), (
        "stale: framewire list -o markdown > docs/protocols.md"
    )


def test_a_name_decodes(console: Console) -> None:
    path = str(CAPTURES / "dns_py_0.c2s.bin")
    assert console.run("decode", "dns", path, "-o", "json") == console.run(
        "decode", "u16", path, "-o", "json"
    )
    status, out, err = console.run("decode", "postgresql", path)
    assert (status, out) == (2, b"")
    assert "postgresql.client is what a client sends, postgresql.server what a server sends" in err
    assert console.run("encode", "dns", "hello")[1] == b"\0\5hello"


def test_info(console: Console) -> None:
    status, out, err = console.run("info")
    assert (status, err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in out.decode().splitlines())
    assert facts["framewire"] == __version__
    assert facts["backend"].startswith(_backend.name)
    assert {"extension", "python", "compiler", "platform"} <= set(facts)


def test_without_the_extension(console: Console, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = _backend.load

    def only_pure(name: str) -> _backend.Backend:
        if name == "native":
            raise ImportError("No module named 'framewire._native.codec'")
        return load(name)

    monkeypatch.setattr(_backend, "load", only_pure)
    monkeypatch.setattr(_backend, "name", "pure")
    status, out, err = console.run("decode", "u32", "--backend", "native", source=WIRE)
    assert (status, out) == (2, b"")
    assert "the native backend is not there" in err
    assert b"not there: No module named" in console.run("info")[1]
    assert console.run("decode", "u32", source=WIRE)[0] == 0
    status, out, _ = console.run("demo", "--captures", str(few))
    assert status == 0
    assert b"the native backend is not there, so its column is empty" in out
    assert b"104 frames, on pure; 800 messages live on pure" in out


def test_a_fault_of_ours_is_no_traceback(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "declared", lambda *_: 1 // 0)
    status, out, err = console.run("decode", "u32")
    assert (status, out) == (1, b"")
    assert err.startswith("framewire: a fault of this program: ZeroDivisionError: ")
    assert "Traceback" not in err
    assert "Traceback" in console.run("decode", "u32", "--debug")[2]


def test_color(monkeypatch: pytest.MonkeyPatch, console: Console) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert color_wanted(Terminal()) and not color_wanted(io.StringIO())
    assert color_wanted(io.StringIO(), "always") and not color_wanted(Terminal(), "never")
    monkeypatch.setenv("TERM", "dumb")
    assert not color_wanted(Terminal())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert color_wanted(io.StringIO())
    assert console.run("decode", "x")[2].startswith("\x1b[31mframewire:\x1b[m ")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not color_wanted(Terminal())
    assert console.run("decode", "x", "--color", "always")[2].startswith("\x1b[31m")
    assert console.run("decode", "u32", "--color", "always", source=b"\0")[2].startswith("\x1b[31m")


def test_row() -> None:
    assert row(["ab", "abcdef", "1"], [4, 4, -3]) == "ab    ab..    1"


# --- as a process -----------------------------------------------------------------------------------


@POSIX
def test_prompt_output() -> None:
    """A message is shown when it is complete, although the input stays open."""
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [*COMMAND, "decode", "u16"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=buffered
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for message in (b"one", b"two"):
            process.stdin.write(LengthPrefixed(u16).encode(message) + b"\0")
            process.stdin.flush()
            assert process.stdout.readline() == message + b"\n"
            process.stdin.write(b"\1x")
            process.stdin.flush()
            assert process.stdout.readline() == b"x\n"
        process.stdin.close()
    assert process.returncode == 0


@POSIX
@pytest.mark.parametrize(
    "arguments", [["decode", "fixed:4", "/dev/zero"], ["decode", "u16", "/dev/zero", "-o", "u16"]]
)
def test_a_reader_that_goes_away(arguments: list[str]) -> None:
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE


@POSIX
@pytest.mark.parametrize("verb", ["--help", "--version", "info"])
def test_a_reader_that_never_was(verb: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run([*COMMAND, verb], stdout=writer, stderr=subprocess.PIPE, env=environment)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


@POSIX
def test_control_c() -> None:
    with subprocess.Popen(
        [*COMMAND, "decode", "u16"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"\0\1a\0\1")
        process.stdin.flush()
        assert process.stdout.readline() == b"a\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b""
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGINT


@POSIX
@pytest.mark.parametrize(("closed", "status"), [("<&-", 1), (">&-", 1), ("2>&-", 4)])
def test_closed_descriptors(closed: str, status: int) -> None:
    shell = f'printf "\\0\\0\\0" | "{sys.executable}" -m framewire decode u32 {closed}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr and b"fault of this program" not in done.stderr


@POSIX
def test_full_disk() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*COMMAND, "encode", "u32", "x"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"framewire: No space left on device\n"


def test_nothing_heavy_is_imported() -> None:
    code = "import sys; from framewire.cli import main; main(['info']); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert not {"asyncio", "ssl", "dataclasses", "logging", "importlib.metadata", "rich", "json"} & set(
        loaded
    )


# --- demo -------------------------------------------------------------------------------------------


@pytest.fixture
def few(tmp_path: Path) -> Path:
    folder = tmp_path / "few"
    folder.mkdir()
    names = {name: name for name in ("modbus_0.c2s", "modbus_0.s2c", "proxy_v1_1.c2s")}
    names["unheard_0.c2s"] = "redis_0.c2s"
    for name, source in names.items():
        for end in ("bin", "json"):
            (folder / f"{name}.{end}").write_bytes((CAPTURES / f"{source}.{end}").read_bytes())
    return folder


def test_demo(console: Console, few: Path) -> None:
    status, out, err = console.run("demo", "--captures", str(few), "--seed", "5")
    text = out.decode()
    assert (status, err) == (0, ""), text
    assert "--seed 5" in text
    rows = [line.split() for line in text.splitlines() if ".c2s" in line or ".s2c" in line]
    assert [cells[cells.index("equal") - 1] for cells in rows if "equal" in cells] == ["50", "50", "4"]
    assert text.count(" 400  equal") == 2
    assert "1 streams (unheard 1)" in text
    assert "3 streams, 104 frames" in text and text.rstrip().endswith("all equal")


def test_demo_finds_a_difference(console: Console, few: Path) -> None:
    sidecar = few / "modbus_0.s2c.json"
    recorded = json.loads(sidecar.read_text())
    recorded["frames"][7]["sha256"] = "0" * 64
    sidecar.write_text(json.dumps(recorded))
    status, out, _ = console.run("demo", "--captures", str(few), "--seed", "5")
    text = out.decode()
    assert status == 1
    assert "differ" in text and "frame 8 at offset" in text
    assert "1 streams and 0 live exchanges DIFFER" in text


@pytest.mark.parametrize("text", ["{", "{}", "[]"])
def test_demo_with_a_broken_sidecar(console: Console, few: Path, text: str) -> None:
    (few / "modbus_0.s2c.json").write_text(text)
    status, _, err = console.run("demo", "--captures", str(few))
    assert status == 1
    assert err.startswith("framewire: a recording in ") and err.count("\n") == 1


def test_demo_judges_the_live_exchanges(console: Console, few: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from framewire.sockets import MessageSocket

    recv = MessageSocket.recv

    def one_bit_off(self: MessageSocket, timeout: float | None = None) -> bytes:
        message = bytearray(recv(self, timeout=timeout))
        message[-1] ^= 1
        return bytes(message)

    monkeypatch.setattr(MessageSocket, "recv", one_bit_off)
    status, out, _ = console.run("demo", "--captures", str(few))
    assert status == 1
    assert "what arrived is not what was recorded" in out.decode()


def test_module_is_the_command() -> None:
    done = subprocess.run([*COMMAND, "encode", "u16", "hi"], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"\0\2hi", b"")


def test_debug_shows_where(console: Console) -> None:
    err = console.run("decode", "u32", "--debug", source=b"\xff" * 4)[2]
    assert "Traceback" in err and "FrameTooLarge" in err
