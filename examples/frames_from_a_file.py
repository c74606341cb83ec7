"""Frames from a file, in three lines: they stand in `frames`.

    python examples/frames_from_a_file.py FRAMING FILE    # u32 capture.bin; see `framewire list`

A FILE of - is standard input. Anything that gives bytes will do in place of the file.
"""

import sys

import framewire as fw


def frames(framing, file):
    decoder = framing.decoder()
    for chunk in iter(lambda: file.read(65536), b""):
        yield from decoder.decode(chunk)
    yield from decoder.feed_eof()  # Truncated, if the file ends inside a frame


def main(text, name):
    with sys.stdin.buffer if name == "-" else open(name, "rb") as file:
        for number, frame in enumerate(frames(fw.framing(text), file)):
            print(number, frame)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (fw.FramewireError, OSError) as error:
        sys.exit(f"frames_from_a_file: {error}")
