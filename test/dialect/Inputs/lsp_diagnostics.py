#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""lsp_diagnostics.py FILE SERVER: opens the file in the language server, as an editor does, and prints what the
server publishes about it: LINE:COLUMN: MESSAGE, or "no diagnostics"."""
import json
import pathlib
import subprocess
import sys

path = pathlib.Path(sys.argv[1]).resolve()
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def send(method, params, number=None):
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        message["id"] = number
    body = json.dumps(message).encode()
    server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    server.stdin.flush()


def receive():
    size = 0
    while (line := server.stdout.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    if not size:
        sys.exit("the server ended")
    return json.loads(server.stdout.read(size))


def wait_for(found):
    while not found(message := receive()):
        pass
    return message


send("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 0)
answer = wait_for(lambda m: m.get("id") == 0)
print(answer["result"]["serverInfo"]["name"])
send("initialized", {})
send("textDocument/didOpen",
     {"textDocument": {"uri": path.as_uri(), "languageId": "mlir", "version": 1, "text": path.read_text()}})
published = wait_for(lambda m: m.get("method") == "textDocument/publishDiagnostics")["params"]
assert published["uri"] == path.as_uri(), published
for d in published["diagnostics"]:
    start = d["range"]["start"]
    print(f"{start['line'] + 1}:{start['character'] + 1}: {d['message']}")
if not published["diagnostics"]:
    print("no diagnostics")
send("shutdown", None, 1)
wait_for(lambda m: m.get("id") == 1)
send("exit", None)
sys.exit(server.wait(timeout=20))
