"""An echo server in uvloop, by callbacks: no task and no future for a message.

    python examples/uvloop_server.py [ADDRESS]     # tcp://127.0.0.1:9003

`framewire connect 127.0.0.1:9003 u32` is a client.
"""

import sys

import framewire as fw


def shout(conn, message):
    return message.upper()


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:9003"
    server = fw.Server(shout, address, fw.LengthPrefixed(fw.u32), mode="asyncio", loop="uvloop")
    print(server.address, flush=True)
    server.serve_forever()
