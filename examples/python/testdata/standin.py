"""What an unchanged quickrpc program puts on the wire and makes of what comes, without quickrpc: the jrpc codec's
framing, spacing and order of keys, and its answers. python3 standin.py KEYFILE HOST:PORT NAME"""
import base64
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quickrpc_hmac import HMACSecurity  # noqa: E402


def plain(value):
    if isinstance(value, bytes):
        return {"__bytes": base64.b64encode(value).decode()}
    raise TypeError(value)


def encode(sec_out, id=0, **fields):
    message = {"jsonrpc": "2.0", **fields}
    if id:
        message["id"] = id
    payload = json.dumps(message, default=plain).encode()
    secinfo, replaced = sec_out(payload)
    payload = payload if replaced is None else replaced
    header = json.dumps({"jsonrpc": "2.0", "method": "rpc.secinfo", "params": secinfo}).encode()
    return header + b"\0" + payload + b"\0"


def decode(data, sec_in):
    """Returns the messages, each with its secinfo, and what is left over."""
    *telegrams, rest = data.split(b"\0")
    messages, secinfo = [], None
    for telegram in filter(None, telegrams):
        if secinfo is not None:
            replaced = sec_in(telegram, secinfo)
            telegram = telegram if replaced is None else replaced
        message = json.loads(telegram)
        if message.get("method") == "rpc.secinfo":
            secinfo = message.get("params") or {}
            continue
        messages.append((message, secinfo))
        secinfo = None
    if secinfo is not None:
        rest = b"\0".join([telegrams[-1], rest])
    return messages, rest


def main(key_file, address, name):
    security = HMACSecurity.from_file(key_file, user="qr", to=name)
    host, _, port = address.rpartition(":")
    conn = socket.create_connection((host, int(port)))

    def send(**message):
        conn.sendall(encode(security.sec_out, **message))

    def method_error(id, text):
        send(error={"code": 0, "message": text, "data": f"AttributeError: {text}\n"}, id=id)

    send(method="say", params={"text": "hi"})
    send(method="echo", params={"text": "hi"}, id=7)
    send(method="put", params={"b": b"\x00\x01\xff", "u": "ä\n", "n": None, "f": 1.5, "t": True}, id=8)
    send(method="quit", params={}, id=9)
    conn.sendall(b"\0\0")  # a keep-alive
    rest = b""
    while chunk := conn.recv(1024):
        messages, rest = decode(rest + chunk, security.sec_in)
        for message, secinfo in messages:
            signed = "signed" if secinfo else "unsigned"
            if message.get("method") == "ask":
                send(result="the answer", id=message["id"])
            elif "method" in message and message.get("id"):
                method_error(message["id"], f"Incoming call of {message['method']} not defined on the api")
            else:
                print(signed, json.dumps(message, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
