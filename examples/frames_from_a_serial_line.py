"""Frames from a serial line, in three lines: the `with` and the `for` in `main`.

    python examples/frames_from_a_serial_line.py /dev/ttyUSB0,115200 FRAMING   # slip; hdlc,fcs=16

Without a device at hand: `socat -d -d pty,raw,echo=0 pty,raw,echo=0` names two ends that are connected. Who
begins to listen in the middle of a frame gets its rest as the first frame, or an error.
"""

import sys

import framewire as fw


def main(line, text):
    framing = fw.framing(text)
    with fw.connect(f"serial:{line}", framing) as conn:  # raw, 8 data bits, no parity, one stop bit
        print("listening on", conn.peer_address, flush=True)
        for message in conn:
            print(message, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        pass
    except (fw.FramewireError, OSError) as error:
        sys.exit(f"frames_from_a_serial_line: {error}")
