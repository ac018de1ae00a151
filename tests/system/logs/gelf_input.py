"""A GELF input by the letter of the specification, with nothing of Farol in it.

Usage: gelf_input.py udp|tcp PORT   (0 takes a free port)

Prints its port, then each record as one line of JSON with `_transport` added: how it came ("whole", "chunked" or
"frame") and how it was compressed. Anything that breaks the specification ends it with an error.
"""

import gzip
import json
import re
import socket
import sys
import zlib

LEVELS = {2, 3, 4, 6, 7}
STANDARD = {"version", "host", "short_message", "full_message", "timestamp", "level"}


def unpack(data):
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data), "gzip"
    if data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0:
        return zlib.decompress(data), "zlib"
    return data, "none"


def no_name_twice(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a name stands twice: {names}"
    return dict(pairs)


def accept(data, came, compression):
    record = json.loads(data.decode("utf-8"), object_pairs_hook=no_name_twice)
    assert record["version"] == "1.1", record
    assert record["host"] and record["short_message"], record
    assert isinstance(record["timestamp"], float) and record["level"] in LEVELS, record
    for name, value in record.items():
        if name not in STANDARD:
            assert re.fullmatch(r"_[\w.\-]+", name, re.ASCII) and name != "_id", name
            assert isinstance(value, (str, int, float)) and not isinstance(value, bool), (name, value)
    record["_transport"] = f"{came} {compression}"
    print(json.dumps(record), flush=True)


def udp(port):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    print(receiver.getsockname()[1], flush=True)
    messages = {}
    while True:
        data = receiver.recv(65_535)
        if data[:2] != b"\x1e\x0f":
            whole, how = unpack(data)
            accept(whole, "whole", how)
            continue
        message, number, count = data[2:10], data[10], data[11]
        assert 0 < count <= 128 and number < count, (number, count)
        chunks = messages.setdefault(message, {})
        assert number not in chunks, "a chunk came twice"
        chunks[number] = data[12:]
        if len(chunks) == count:
            del messages[message]
            whole, how = unpack(b"".join(chunks[at] for at in range(count)))
            accept(whole, "chunked", how)


def tcp(port):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        rest = b""
        while data := connection.recv(65_536):
            *frames, rest = (rest + data).split(b"\0")
            for frame in frames:
                accept(frame, "frame", "none")


{"udp": udp, "tcp": tcp}[sys.argv[1]](int(sys.argv[2]))
