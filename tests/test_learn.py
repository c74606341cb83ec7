"""The verbs `explain` and `guess`: what they print, their exit statuses, and that nothing raw comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import CAPTURES, Console, console
from test_terminal import HOSTILE, need_harmless

from framewire import LengthPrefixed, Lines, u16, u32

__all__ = ["console"]  # the fixture


def test_explain(console: Console) -> None:
    status, out, err = console.run("explain", "leb128:4,offset=1", "30050001612d2d")
    assert (status, err) == (0, "")
    lines = out.decode("ascii").splitlines()
    assert lines[0] == "text form  leb128:4,offset=1"
    assert lines[1] == "python     LengthPrefixed(leb128(max_bytes=4), offset=1)"
    assert [line.split("|")[-1].strip() for line in lines[-3:]] == [
        "free header byte",
        "length 5: body of 5 bytes",
        "body",
    ]


@pytest.mark.parametrize(
    "arguments", [["00 02 68 69"], ["00", "02", "6869"], ["0x00:02:68:69"], ["0002", "6869"]]
)
def test_explain_reads_hex_as_it_is_pasted(console: Console, arguments: list[str]) -> None:
    plain = console.run("explain", "u16", "00026869")
    assert console.run("explain", "u16", *arguments) == plain
    assert plain[0] == 0 and b"|hi|" in plain[1]


def test_explain_without_bytes_draws_only(console: Console) -> None:
    status, out, _ = console.run("explain", "lines")
    assert status == 0 and b"delimiter" in out and b"frame 0" not in out


def test_explain_takes_a_limit(console: Console) -> None:
    out = console.run("explain", "u32", "--max-frame", "1k", "00001000")[1]
    assert b"1024 bytes of body" in out and b"our limit is 1024" in out


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["explain"], 2, "required: FRAMING"),
        (["explain", "linse"], 2, "did you mean lines"),
        (["explain", "u16", "xyz"], 3, "input line 1 is not hex"),
        (["explain", "u16", "000"], 3, "input line 1 is not hex"),
        (["guess"], 2, "required: FILE"),
        (["guess", "no-such-file"], 1, "no-such-file: No such file"),
        (["guess", "."], 1, ".: Is a directory"),
    ],
)
def test_usage(console: Console, arguments: list[str], status: int, text: str) -> None:
    done, out, err = console.run(*arguments)
    assert (done, out) == (status, b"")
    assert err.startswith("framewire: ") and text in err


def test_guess(console: Console) -> None:
    stream = LengthPrefixed(u32, offset=1, counts="field").encode_many(
        [b"T" + bytes(4) + b"some text here" * n for n in range(1, 20)]
    )
    status, out, err = console.run("guess", "-", source=stream)
    assert (status, err) == (0, "")
    first, second = out.decode("ascii").splitlines()[:2]
    assert first.split()[:2] == ["1", "u32,offset=1,counts=field"]
    assert "  19 messages, ends exactly, " in first and first.endswith(" bits")
    assert second == "    LengthPrefixed(u32, offset=1, counts='field')"
    left = console.run("guess", "-n1", "-", source=stream[:-3])[1].decode("ascii")
    assert "18 messages, " in left and " bytes left over" in left and "\n 2  " not in left


def test_guess_names_protocols_that_cut_alike(console: Console) -> None:
    out = console.run("guess", str(CAPTURES / "dns_py_0.s2c.bin"), "-n", "1")[1].decode("ascii")
    assert out.startswith(" 1  u16 ")
    like = next(line for line in out.splitlines() if line.startswith("    like "))
    assert "dns" in like.split()


def test_guess_several_files(console: Console, tmp_path: Path) -> None:
    lines, noise = tmp_path / "lines", tmp_path / "noise"
    lines.write_bytes(Lines().encode_many([b"one line", b"and another", b"and a third"]))
    noise.write_bytes(b"\xff\x00")
    status, out, err = console.run("guess", "-n1", str(lines), str(noise), str(lines))
    assert status == 1, "one file has no answer"
    assert f"{noise}: no framing cuts this into 3 messages or more" in err
    text = out.decode()
    assert text.count(" 1  lines ") == 2 and f"{lines}:\n" in text and f"\n\n{noise}:\n" in text


def test_guess_says_when_it_counted_a_beginning(console: Console) -> None:
    out = console.run("guess", "-n1", "-", source=b"over and over\n" * 30_000)[1]
    assert b"the first 20000 messages, " in out


@pytest.mark.parametrize("verb", ["explain", "guess"])
def test_nothing_raw_reaches_a_terminal(
    verb: str, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for one in HOSTILE:
        stream = LengthPrefixed(u16).encode_many([one, one * 3, b"x" + one])
        bad = "".join(char for char in one.decode("utf-8", "replace") if char not in "\0/")
        if verb == "explain":
            runs = [
                ["explain", "u16", stream.hex()],
                ["explain", "u16", f"00{bad}"],
                ["explain", f"u16{bad}"],
            ]
        else:
            name = f"name {bad}"
            Path(name).write_bytes(one * 3)
            runs = [["-"], [name], ["-", name], [f"none {bad}"]]
        for arguments in runs:
            _, out, err = console.run(verb, *arguments, source=stream)
            need_harmless(out)
            need_harmless(err)
