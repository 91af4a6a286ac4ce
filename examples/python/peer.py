"""A peer in plain Python: python3 peer.py KEYFILE HOST:PORT NAME

KEYFILE holds what `peerctl key export` has written, and NAME is the peer that listens at HOST:PORT. This peer is known
by the name that it signs with, "py". It takes a picture with NAME, hears its frames, and answers rpc.ping and py.stats.
"""
import json
import socket
import statistics
import sys

from quickrpc_hmac import HMACSecurity, InvalidSignature

METHODS = {
    "rpc.ping": lambda **_: {},
    "py.stats": lambda values: {"mean": statistics.fmean(values), "median": statistics.median(values)},
}


class Link:
    def __init__(self, address, security):
        host, _, port = address.rpartition(":")
        self.socket, self.security = socket.create_connection((host.strip("[]"), int(port))), security

    def send(self, **message):
        payload = json.dumps({"jsonrpc": "2.0", **message}).encode()
        secinfo, _ = self.security.sec_out(payload)
        header = json.dumps({"jsonrpc": "2.0", "method": "rpc.secinfo", "params": secinfo}).encode()
        self.socket.sendall(header + b"\0" + payload + b"\0")

    def messages(self):
        """Yields what comes in, once its signature has proven right; nothing else is believed."""
        rest, secinfo = b"", None
        while chunk := self.socket.recv(65536):
            *frames, rest = (rest + chunk).split(b"\0")
            if len(rest) > 8 << 20:
                sys.exit("a frame of more than 8 MiB")
            for frame in filter(None, frames):
                if secinfo is None:
                    secinfo = secinfo_of(frame)
                    continue
                try:
                    self.security.sec_in(frame, secinfo)
                    yield json.loads(frame)
                except InvalidSignature as e:
                    print("not believed:", e, file=sys.stderr)
                secinfo = None


def secinfo_of(frame):
    """The signature that a frame holds for the next one, or None; then the frame itself is not signed."""
    try:
        message = json.loads(frame)
        if message["method"] == "rpc.secinfo":
            return message["params"]
    except (KeyError, TypeError, ValueError, RecursionError):
        pass
    print("not signed:", frame[:200], file=sys.stderr)
    return None


def answer(method, params):
    if method not in METHODS:
        return {"error": {"code": -32601, "message": "method not found"}}
    try:
        return {"result": METHODS[method](**params)}
    except (TypeError, statistics.StatisticsError) as e:
        return {"error": {"code": -32602, "message": str(e)}}


def main(key_file, address, name):
    link = Link(address, HMACSecurity.from_file(key_file, user="py", to=name))
    link.send(method="lab.camera.snap", params={"exposure_ms": 20}, id=1)
    for message in link.messages():
        if "method" not in message:
            picture = message.get("result") or sys.exit(f"{name} answers: {message['error']}")
            print(f"{name}: a picture, {picture['width']} x {picture['height']}", flush=True)
        elif "id" in message:
            link.send(id=message["id"], **answer(message["method"], message.get("params") or {}))
        elif message["method"] == "lab.camera.frame":
            print(f"{name}: frame {message['params']['seq']}, mean {message['params']['mean']:.2f}", flush=True)
    sys.exit("the link ended")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError) as e:
        sys.exit(f"peer.py: {e}")
    except KeyboardInterrupt:
        pass
