"""python3 -m unittest, in this folder"""
import json
import unittest

from quickrpc_hmac import HMACSecurity, InvalidSignature

KEY = bytes(range(32))
PAYLOAD = b'{"jsonrpc": "2.0", "method": "say", "params": {"text": "hi"}}'
REPLY = b'{"jsonrpc": "2.0", "result": "hi", "id": 7}'


class Test(unittest.TestCase):
    def setUp(self):
        self.me, self.cam = HMACSecurity(KEY, "py", "cam1"), HMACSecurity(KEY, "cam1", "py")

    def signed(self, payload=PAYLOAD, **change):
        fields, replaced = self.cam.sec_out(payload)
        self.assertIsNone(replaced)
        fields.update(change)
        if "sig" not in change:
            fields["sig"] = self.cam.signature(fields, payload)
        return fields

    def test_vector_of_the_protocol(self):
        fields = {"v": "1", "alg": "HS256", "kid": "cf6785d9", "user": "alice", "to": "*", "ts": "1767225600000",
                  "nonce": "000102030405060708090a0b0c0d0e0f"}
        payload = b'{"jsonrpc":"2.0","method":"chat.say","params":{"text":"hello"}}'
        self.assertEqual(self.me.kid, "cf6785d9")
        self.assertEqual(self.me.signature(fields, payload), "fe3b7b26100b11780c9bd8af24c229e126c1d3c986219c4285ae121847f5b6dd")

    def test_accepted(self):
        self.assertIsNone(self.me.sec_in(PAYLOAD, self.signed()))
        self.assertIsNone(self.me.sec_in(REPLY, self.signed(REPLY)))
        self.assertIsNone(self.me.sec_in(PAYLOAD, self.signed(to="*")))
        self.assertIsNone(self.me.sec_in(PAYLOAD, self.signed(more="signed too")))

    def test_as_json(self):
        fields, _ = self.cam.sec_out(PAYLOAD)
        self.assertTrue(all(isinstance(v, str) for v in fields.values()))
        self.assertIsNone(self.me.sec_in(PAYLOAD, json.loads(json.dumps(fields))))

    def test_refused(self):
        once = self.signed()
        self.me.sec_in(PAYLOAD, once)
        stranger = HMACSecurity(bytes(32), "cam1", "py")
        for name, payload, fields in [
            ("another payload", REPLY, self.signed()),
            ("white space", PAYLOAD + b" ", self.signed()),
            ("a changed field", PAYLOAD, dict(self.signed(), more="not signed")),
            ("a field less", PAYLOAD, {k: v for k, v in self.signed().items() if k != "nonce"}),
            ("no signature", PAYLOAD, {"user": "cam1"}),
            ("nothing", PAYLOAD, {}),
            ("another key", PAYLOAD, stranger.sec_out(PAYLOAD)[0]),
            ("another key of the same kid", PAYLOAD, dict(stranger.sec_out(PAYLOAD)[0], kid=self.me.kid)),
            ("for another", PAYLOAD, self.signed(to="cam2")),
            ("by another", PAYLOAD, self.signed(user="cam2")),
            ("by myself", PAYLOAD, self.signed(user="py")),
            ("of yesterday", PAYLOAD, self.signed(ts="1767225600000")),
            ("of no time", PAYLOAD, self.signed(ts="now")),
            ("a response for everybody", REPLY, self.signed(REPLY, to="*")),
            ("again", PAYLOAD, once),
            ("no text", PAYLOAD, self.signed(sig=7)),
            ("no ASCII", PAYLOAD, self.signed(sig="ä")),
        ]:
            with self.subTest(name), self.assertRaises(InvalidSignature):
                self.me.sec_in(payload, fields)


if __name__ == "__main__":
    unittest.main()
