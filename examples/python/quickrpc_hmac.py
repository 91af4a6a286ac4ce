"""The signatures of peermesh (rpc.secinfo, HS256) as a security provider of quickrpc. Needs Python 3.8 and no more.

    api = MyAPI(transport="tcp:127.0.0.1:7117", security=HMACSecurity.from_file("bench.key", user="py", to="cam1"))

One provider speaks with one peer, since the signature names the receiver. quickrpc asks it about signed messages alone:
in handlers connected with pass_secinfo(True) an empty secinfo is a message that nobody has signed.
"""
import hashlib
import hmac
import json
import os
import time


class InvalidSignature(Exception):
    """What came in is not signed by whom it should be, or not for us, or not now."""


def expand(key, info, size):
    """HKDF-Expand of RFC 5869 with SHA-256, for up to 32 bytes."""
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:size]


class HMACSecurity:
    window = 60_000  # how far clocks may be apart, in ms

    def __init__(self, key, user, to):
        self.kid = expand(key, b"rpc.secinfo/1 kid", 4).hex()
        self.mac_key = expand(key, b"rpc.secinfo/1 hmac", 32)
        self.user, self.to = user, to
        self.seen = {}  # nonce -> when it was signed

    @classmethod
    def from_file(cls, path, user, to):
        """Read the key that `peerctl key export MESH` wrote: 64 hex digits."""
        with open(path) as file:
            return cls(bytes.fromhex(file.read().strip()), user, to)

    def signature(self, fields, payload):
        text = "rpc.secinfo/1\n"
        text += "".join(f"{name}={len(fields[name])}:{fields[name]}\n" for name in sorted(fields) if name != "sig")
        text += f"\n{len(payload)}:{hashlib.sha256(payload).hexdigest()}\n"
        return hmac.new(self.mac_key, text.encode("ascii"), hashlib.sha256).hexdigest()

    def sec_out(self, payload):
        fields = {"v": "1", "alg": "HS256", "kid": self.kid, "user": self.user, "to": self.to,
                  "ts": str(time.time_ns() // 1_000_000), "nonce": os.urandom(16).hex()}
        fields["sig"] = self.signature(fields, payload)
        return fields, None

    def sec_in(self, payload, secinfo):
        try:
            self.check(payload, secinfo)
        except (KeyError, TypeError, ValueError) as e:
            raise InvalidSignature(f"malformed: {e!r}") from None
        return None

    def check(self, payload, secinfo):
        def demand(holds, what):
            if not holds:
                raise InvalidSignature(what)

        demand((secinfo["v"], secinfo["alg"], secinfo["kid"]) == ("1", "HS256", self.kid), "another key")
        demand(hmac.compare_digest(self.signature(secinfo, payload), secinfo["sig"]), "the signature does not fit")
        demand(secinfo["user"] == self.to, f"signed by {secinfo['user']}")
        demand(secinfo["to"] in (self.user, "*"), f"meant for {secinfo['to']}")
        demand(secinfo["to"] != "*" or "method" in json.loads(payload), "a response for everybody")
        now, then = time.time_ns() // 1_000_000, int(secinfo["ts"])
        demand(abs(now - then) <= self.window, f"signed {(now - then) // 1000} s ago")
        demand(secinfo["nonce"] not in self.seen, "a repetition")
        if len(self.seen) >= 10_000:
            self.seen = {nonce: ts for nonce, ts in self.seen.items() if abs(now - ts) <= self.window}
        self.seen[secinfo["nonce"]] = then
