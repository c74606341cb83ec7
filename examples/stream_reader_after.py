"""The service of stream_reader_before.py, by framewire: the same bytes on the wire.

    python examples/stream_reader_after.py 9000

docs/from_streamreader.md shows the difference.
"""

import asyncio
import json
import sys

import framewire as fw

FRAMING = fw.LengthPrefixed(fw.u32)
JSON = (lambda value: json.dumps(value).encode(), json.loads)


async def handle(conn, request):
    return {"sum": sum(request["numbers"])}


async def main(port="9004"):
    async with await fw.aio.serve(handle, f"tcp://127.0.0.1:{port}", FRAMING, codec=JSON) as server:
        print(server.address, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
