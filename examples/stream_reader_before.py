"""A service of length-prefixed JSON on asyncio's streams, as it is usually written.

    python examples/stream_reader_before.py 9000

docs/from_streamreader.md takes it to framewire; stream_reader_after.py is what it becomes.
"""

import asyncio
import json
import struct
import sys


async def read_message(reader):
    (size,) = struct.unpack("!I", await reader.readexactly(4))
    if size > 1 << 20:
        raise ValueError(f"{size} bytes are too many")
    return json.loads(await asyncio.wait_for(reader.readexactly(size), 10))


def write_message(writer, value):
    body = json.dumps(value).encode()
    writer.write(struct.pack("!I", len(body)) + body)


async def handle(reader, writer):
    try:
        while True:
            request = await read_message(reader)
            write_message(writer, {"sum": sum(request["numbers"])})
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass  # the end; or the middle of a message: who knows
    finally:
        writer.close()


async def main(port="9004"):
    server = await asyncio.start_server(handle, "127.0.0.1", int(port))
    print(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
