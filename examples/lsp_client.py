"""A language-server client: starts a server, opens a file in it and prints the file's outline.

    pip install python-lsp-server
    python examples/lsp_client.py FILE                   # with pylsp
    python examples/lsp_client.py FILE clangd --log=error

A language server is a program that speaks JSON-RPC over its standard input and output, each message behind a
`Content-Length` header: `spawn` and `HeaderBlock`.
"""

import json
import sys
from pathlib import Path

import framewire as fw

LANGUAGES = {".py": "python", ".c": "c", ".rs": "rust", ".go": "go"}
KINDS = {2: "module", 5: "class", 6: "method", 7: "property", 8: "field", 12: "function", 13: "variable"}


def dumps(value):
    return json.dumps(value).encode()


class LanguageServer:
    def __init__(self, argv):
        self.conn = fw.spawn(argv, fw.HeaderBlock(), codec=(dumps, json.loads))
        self.conn.timeout = 60
        self.last = 0

    def notify(self, method, params=None, **more):
        message = {"jsonrpc": "2.0", **more, "method": method}
        self.conn.send(message if params is None else {**message, "params": params})

    def request(self, method, params=None):
        self.last += 1
        self.notify(method, params, id=self.last)
        while True:
            message = self.conn.recv()
            if "method" in message and "id" in message:  # the server may ask too; this client has no answers
                error = {"code": -32601, "message": "not supported"}
                self.conn.send({"jsonrpc": "2.0", "id": message["id"], "error": error})
            elif message.get("id") == self.last:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            # everything else is a notification, as diagnostics are


def outline(symbols, depth=0):
    for symbol in symbols:
        where = symbol.get("range") or symbol["location"]["range"]
        kind = KINDS.get(symbol["kind"], "symbol")
        yield f"{where['start']['line'] + 1:5}  {'  ' * depth}{kind} {symbol['name']}"
        yield from outline(symbol.get("children", ()), depth + 1)


def main(file, argv):
    path = Path(file).resolve()
    server = LanguageServer(argv)
    with server.conn:  # at its end the server's input ends, and it is waited for
        answer = server.request(
            "initialize", {"processId": None, "rootUri": path.parent.as_uri(), "capabilities": {}}
        )
        print("server:", answer.get("serverInfo", {}).get("name", argv[0]))
        server.notify("initialized", {})
        language = LANGUAGES.get(path.suffix, "plaintext")
        document = {"uri": path.as_uri(), "languageId": language, "version": 1, "text": path.read_text()}
        server.notify("textDocument/didOpen", {"textDocument": document})
        symbols = server.request("textDocument/documentSymbol", {"textDocument": {"uri": document["uri"]}})
        print(*outline(symbols), sep="\n")
        server.request("shutdown")
        server.notify("exit")
    print("exit status:", server.conn.process.returncode)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:] or ["pylsp"])
