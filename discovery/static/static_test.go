package static_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"peermesh/discovery"
	"peermesh/discovery/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheck(t *testing.T) {
	t.Parallel()
	good := []string{
		"localhost:7117", "192.0.2.1:1", "[::1]:65535", "[fe80::1%eth0]:7117", "nas.local:80", "my_host:1",
		"tcp://host:7117", "tcps://host:7117", "ws://host:80/mesh", "wss://[2001:db8::1]:443/mesh", "ws://host:1",
	}
	for _, a := range good {
		if err := static.Check(a); err != nil {
			t.Errorf("%q: %v", a, err)
		}
	}
	bad := map[string]string{
		"":                              "host:port",
		"host":                          "host:port",
		"host:":                         "not a number",
		"host:0":                        "not a number",
		"host:65536":                    "not a number",
		"host:+1":                       "not a number",
		":7117":                         "host is missing",
		"::1:7117":                      "host:port",
		"[zz::1]:7117":                  "no IPv6 address",
		"0.0.0.0:7117":                  "cannot be dialled",
		"[::]:7117":                     "cannot be dialled",
		"224.0.0.251:5353":              "cannot be dialled",
		"a b:1":                         "no host name",
		"a/b:1":                         "no host name",
		"http://host:80/":               "none of tcp",
		"tcp://host:1/path":             "no path",
		"tcp://host":                    "host:port",
		"ws://user@host:1/":             "only host, port, path and query",
		"ws://host:1/#f":                "only host, port, path and query",
		"ws://ho st:1/":                 "no URL",
		strings.Repeat("a", 300) + ":1": "no host name",
	}
	for a, want := range bad {
		err := static.Check(a)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("%q", a)) {
			t.Errorf("%q: %v, want an error that names it and says %q", a, err, want)
		}
		if _, err := static.New("ok:1", a); err == nil {
			t.Errorf("New takes %q", a)
		}
	}
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	var addrs []string
	for i := range static.MaxAddrs + 1 {
		addrs = append(addrs, fmt.Sprintf("host:%d", i+1))
	}
	if _, err := static.New(addrs...); err == nil {
		t.Fatal("too many were taken")
	}
	if _, err := static.New(addrs[1:]...); err != nil {
		t.Fatal(err)
	}
}

func TestReportedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src, err := static.New("b:1", "wss://a:2/mesh", " b:1 ")
		if err != nil {
			t.Fatal(err)
		}
		set, err := discovery.New(discovery.Config{}, src)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go set.Run(ctx)
		<-set.Asked()
		for _, want := range []discovery.Record{
			{Source: "static", Addrs: []string{"b:1"}, Trusted: true},
			{Source: "static", Addrs: []string{"wss://a:2/mesh"}, TLS: true, Trusted: true},
		} {
			ev, err := set.Next(ctx)
			if err != nil || ev.Kind != discovery.Joined || !ev.Record.Equal(want) {
				t.Errorf("%v, %v; want %v", ev, err, want)
			}
		}
		if st := set.Status(); st.Peers != 2 || st.Sources[0].State != "running" || st.Sources[0].Records != 2 {
			t.Errorf("%+v", st)
		}
		cancel()
		synctest.Wait()
	})
}
