"""A gateway in an event loop: lines of JSON on one side, length-prefixed messages to a backend on the other.

    python examples/aio_gateway.py BACKEND [ADDRESS]

Every client has a connection of its own to the backend, made at its first line.
"""

import asyncio
import json
import sys

import framewire as fw

BACKEND = fw.LengthPrefixed(fw.u32)


async def main(backend, address="tcp://127.0.0.1:9001"):
    async def answer(conn, request):
        if conn.state is None:
            conn.state = await fw.aio.connect(backend, BACKEND)
        text = await conn.state.request(json.loads(request)["say"].encode(), timeout=10)
        return json.dumps({"said": text.decode()}).encode()

    def gone(conn, error):
        if conn.state is not None:
            conn.state.abort()

    async with await fw.aio.serve(answer, address, fw.Lines(), on_close=gone) as server:
        print(server.address, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
