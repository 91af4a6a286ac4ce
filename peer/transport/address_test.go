package transport_test

import (
	"strings"
	"testing"

	"peermesh/peer/transport"
)

const somePin = "sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func TestParseAddresses(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"127.0.0.1:7117":           "tcp://127.0.0.1:7117",
		":7117":                    "tcp://:7117",
		"[::1]:7117":               "tcp://[::1]:7117",
		"[fe80::1%eth0]:1":         "tcp://[fe80::1%eth0]:1",
		"tcp://host:1":             "tcp://host:1",
		"tcp://:7119?codec=terse":  "tcp://:7119?codec=terse",
		"tcps://host:1":            "tcps://host:1",
		"tcps://h:1?codec=jrpc:lf": "tcps://h:1?codec=jrpc:lf",
		"tcps://h:1?pin=" + somePin + "&codec=terse": "tcps://h:1?codec=terse&pin=" + somePin,
		"ws://host:1":                              "ws://host:1/mesh",
		"ws://host/x":                              "ws://host:80/x",
		"ws://host:1/a%3Fb/%C3%A9":                 "ws://host:1/a%3Fb/%C3%A9",
		"ws://[fe80::1%25eth0]:1/":                 "ws://[fe80::1%25eth0]:1/mesh",
		"ws://[::1]":                               "ws://[::1]:80/mesh",
		"wss://host":                               "wss://host:443/mesh",
		"tcp://h:1?protect=hmac":                   "tcp://h:1?protect=hmac",
		"ws://h:1/?protect=none":                   "ws://h:1/mesh?protect=none",
		"wss://:1/x?pin=" + somePin:                "wss://:1/x?pin=" + somePin,
		"wss://host:1?pin=" + somePin:              "wss://host:1/mesh?pin=" + somePin,
		"stdio:":                                   "stdio:",
		"mux(tcp://a:1, stdio:,mux(b:2,ws://c:3))": "tcp://a:1 stdio: tcp://b:2 ws://c:3/mesh",
	} {
		all, err := transport.ParseAddresses(expr)
		var got []string
		for _, a := range all {
			got = append(got, a.String())
			if again, err := transport.ParseAddress(a.String()); err != nil || again != a {
				t.Errorf("%s: read again: %+v, %v", a, again, err)
			}
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v, %v; want %s", expr, got, err, want)
		}
	}
	for expr, want := range map[string]string{
		"":                                     "it is empty",
		"host":                                 "want host:port",
		"host:":                                "want host:port",
		"host:http":                            "want host:port",
		"host:65536":                           "want host:port",
		"h o:1":                                "want host:port",
		"h\n:1":                                "want host:port",
		"tcp://host":                           "want host:port",
		"tcp://h:1/x":                          "want host:port",
		"ws://h:x":                             "want ws://host:port/path",
		"http://host:1":                        `the scheme "http" is not known; there are tcp, tcps, ws, wss and stdio`,
		"tcp://h:1?x=y":                        "after the ? of a tcp address there may be codec=, protect=",
		"tcp://h:1?protect=no":                 "protect= is hmac or none",
		"tcp://h:1?pin=a":                      "after the ? of a tcp address there may be codec=, protect=",
		"tcps://h:1?Pin=a":                     "after the ? of a tcps address there may be codec=, pin=, protect=",
		"wss://h:1?codec=terse":                "after the ? of a wss address there may be pin=, protect=",
		"ws://h:1?pin=a":                       "after the ? of a ws address there may be protect=",
		"tcp://h:1?codec=gob":                  "gob",
		"tcps://h:1?codec=terse&codec=terse":   "codec= is there twice",
		"tcps://h:1?pin=":                      "pin= is sha256/ and 43 characters",
		"tcps://h:1?pin=" + somePin[7:]:        "pin= is sha256/",
		"tcps://h:1?pin=" + somePin + "=":      "pin= is sha256/",
		"tcps://h:1?pin=" + somePin[:49] + "9": "pin= is sha256/", // bits to spare
		"tcps://h:1?pin=" + somePin[:40] + "\n" + somePin[40:]: "pin= is sha256/",
		"tcps://h:1?pin=" + somePin + "&":                      "there may be",
		"ws://u@h:1":                                           "without user or fragment",
		"ws://h:1/#x":                                          "without user or fragment",
		"wss://h:1?pin=" + somePin + "#x":                      "without user or fragment",
		"mux(a:1":                                              "the parenthesis is not closed",
		"mux(a:1,b)":                                           `address "b": want host:port`,
		"a:1,b:2":                                              "want host:port",
		strings.Repeat("mux(", 18) + "a:1" + strings.Repeat(")", 18): "nested too deep",
	} {
		if all, err := transport.ParseAddresses(expr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %s", expr, all, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1:7117", ":0", "[fe80::1%eth0]:1", "tcp://:7119?codec=terse", "tcps://h:1?pin=" + somePin + "&codec=lsp",
		"ws://host/x", "ws://[fe80::1%25eth0]:1/a%3Fb", "wss://:1?pin=" + somePin, "stdio", "mux(a:1,mux(b:2),wss://c)", "ws://h:1/é b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		all, err := transport.ParseAddresses(expr)
		if err != nil {
			if len(all) > 0 || len(err.Error()) > 5000 {
				t.Fatal(all, err)
			}
			return
		}
		for _, a := range all {
			text := a.String()
			again, err := transport.ParseAddress(text)
			if err != nil || again != a || again.String() != text {
				t.Fatalf("%q: %+v is written as %q and read as %+v, %v", expr, a, text, again, err)
			}
			if (a.Scheme == "stdio") != (a.Host == "") || a.Secure() != (a.Scheme == "tcps" || a.Scheme == "wss") {
				t.Fatalf("%q: %+v", expr, a)
			}
		}
	})
}
