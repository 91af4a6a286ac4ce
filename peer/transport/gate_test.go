package transport_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"peermesh/peer/transport"
)

// request sends an HTTP request, as it stands, and returns the answer's head.
func request(t *testing.T, c net.Conn, text string) *http.Response {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = c.Write([]byte(text)) }() // its error shows in what is read
	method, _, _ := strings.Cut(text, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Errorf("%q: %v", text, err)
		return &http.Response{}
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%q is answered with %s", text, name)
		}
	}
	return resp
}

// upgrade is the text of a request for a WebSocket.
func upgrade(host string, headers ...string) string {
	text := "GET /mesh HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return text + "\r\n"
}

// drain closes whatever a listener hands out, and counts it.
func drain(ln *transport.Listener) (count func() int) {
	handed := make(chan int, 1)
	handed <- 0
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			handed <- <-handed + 1
			_ = c.Close()
		}
	}()
	return func() int { n := <-handed; handed <- n; return n }
}

// TestHeaderMatrix sends every combination of Host, Origin and token to listeners on an address of the network and on
// loopback. Only what is right in all three gets a WebSocket.
func TestHeaderMatrix(t *testing.T) {
	t.Parallel()
	const listed, listedToo = "https://desk.example", "http://127.0.0.1:8080"
	type origin struct {
		lines []string
		ok    bool // without or with a token
		token bool // needs one
	}
	origins := map[string]origin{
		"none":            {nil, true, false},
		"listed":          {[]string{listed}, true, true},
		"listed too":      {[]string{listedToo}, true, true},
		"other":           {[]string{"https://evil.example"}, false, false},
		"other scheme":    {[]string{"http://desk.example"}, false, false},
		"other port":      {[]string{listed + ":8443"}, false, false},
		"its own port":    {[]string{listed + ":443"}, false, false},
		"upper case":      {[]string{"https://DESK.example"}, false, false},
		"with a slash":    {[]string{listed + "/"}, false, false},
		"below it":        {[]string{listed + ".evil.example"}, false, false},
		"null":            {[]string{"null"}, false, false},
		"star":            {[]string{"*"}, false, false},
		"empty":           {[]string{""}, false, false},
		"two":             {[]string{listed, listed}, false, false},
		"the host itself": {[]string{"http://192.168.7.9:7117"}, false, false},
	}
	type network struct {
		local string
		hosts map[string]bool
	}
	networks := []network{
		{"192.168.7.9:7117", map[string]bool{
			"192.168.7.9:7117": true, "192.168.7.9": true, "[::ffff:192.168.7.9]:7117": true,
			"box.local:7117": true, "BOX.local": true, "front.example:443": true, "10.1.1.1:80": true,
			"192.168.7.9:80": false, "192.168.7.10:7117": false, "127.0.0.1:7117": false, "localhost:7117": false, "localhost": false,
			"[::1]:7117": false, "evil.example:7117": false, "box.local:80": false, "box.local.:7117": false, "front.example": false,
			"front.example:7117": false, "10.1.1.1": false, "0.0.0.0:7117": false, "": false,
		}},
		{"127.0.0.1:7117", map[string]bool{
			"127.0.0.1:7117": true, "127.0.0.1": true, "127.9.9.9:7117": true, "localhost:7117": true, "LocalHost": true, "[::1]:7117": true, "[::1]": true,
			"127.0.0.1:80": false, "localhost:80": false, "192.168.7.9:7117": false, "evil.example": false, "localhost.evil.example": false,
			"127.0.0.1.evil.example:7117": false, "0.0.0.0:7117": false, "": false,
		}},
		{"[fe80::1%eth0]:7117", map[string]bool{
			"[fe80::1]:7117": true, "[fe80::1]": true, "[fe80::2]:7117": false, "[::1]:7117": false, "localhost": false, "[fe80::1]:80": false,
		}},
	}
	for _, n := range networks {
		tokens := transport.NewTokens()
		refused := newRefusals()
		m, ln := listenMemory(t, n.local, func(c *transport.ListenConfig) {
			c.Hosts = []string{"Box.local", "front.example:443", "10.1.1.1:80"}
			c.Origins, c.Tokens, c.Refused = []string{listed, listedToo}, tokens, refused.note
		})
		handed := drain(ln)
		upgraded, issued, later := 0, 0, time.Duration(0)
		used := ""
		for host, hostOK := range n.hosts {
			for originName, o := range origins {
				for tokenName, lines := range map[string]func(good string) []string{
					"none":        func(string) []string { return nil },
					"no protocol": func(string) []string { return []string{"jsonrpc.mesh.v1"} },
					"good":        func(good string) []string { return []string{"jsonrpc.mesh.v1, auth." + good} },
					"good, alone": func(good string) []string { return []string{"auth." + good} },
					"good, lines": func(good string) []string { return []string{"auth." + good, "jsonrpc.mesh.v1"} },
					"two":         func(good string) []string { return []string{"jsonrpc.mesh.v1, auth." + good + ", auth." + used} },
					"used":        func(string) []string { return []string{"jsonrpc.mesh.v1, auth." + used} },
					"made up":     func(string) []string { return []string{"jsonrpc.mesh.v1, auth.AAAA"} },
					"empty":       func(string) []string { return []string{"jsonrpc.mesh.v1, auth."} },
					"not auth":    func(good string) []string { return []string{"jsonrpc.mesh.v1, " + good} },
					"upper case":  func(good string) []string { return []string{"jsonrpc.mesh.v1, AUTH." + good} },
				} {
					name := fmt.Sprintf("%s: host %q, origin %s, token %s", n.local, host, originName, tokenName)
					from := listed
					if len(o.lines) > 0 && o.ok {
						from = o.lines[0]
					}
					if issued++; issued%32 == 0 { // a later time forgets those that were not used
						later += 2 * transport.TokenTTL
						if _, err := tokens.New(listed, time.Now().Add(later)); err != nil {
							t.Fatal(err)
						}
					}
					good, err := tokens.New(from, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					var headers []string
					for _, l := range o.lines {
						headers = append(headers, "Origin: "+l)
					}
					for _, l := range lines(good) {
						headers = append(headers, "Sec-WebSocket-Protocol: "+l)
					}
					want := ""
					switch {
					case !hostOK:
						want = transport.RefusedHost
					case !o.ok:
						want = transport.RefusedOrigin
					case o.token && !strings.HasPrefix(tokenName, "good"):
						want = transport.RefusedToken
					}
					c := m.from(fmt.Sprintf("10.0.%d.%d:5000", issued/256, issued%256)) // no address has too many
					resp := request(t, c, upgrade(host, headers...))
					switch {
					case want == "":
						upgraded++
						if resp.StatusCode != http.StatusSwitchingProtocols {
							t.Errorf("%s: %s", name, resp.Status)
						}
						protocol := "jsonrpc.mesh.v1"
						if tokenName == "none" || tokenName == "good, alone" {
							protocol = ""
						}
						if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != protocol {
							t.Errorf("%s: the protocol is %q", name, got)
						}
						if o.token {
							used = good
						}
					default:
						if got := refused.next(); resp.StatusCode != http.StatusForbidden || got != want {
							t.Errorf("%s: %s, refused as %q, want %q", name, resp.Status, got, want)
						}
					}
					_ = c.Close()
				}
			}
		}
		waitFor(t, func() bool { return handed() == upgraded })
		if len(refused) > 0 {
			t.Errorf("%s: more was refused: %s", n.local, <-refused)
		}
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

// TestWebPages: what a web page is answered elsewhere than at a WebSocket, whatever it holds.
func TestWebPages(t *testing.T) {
	t.Parallel()
	const listed = "https://desk.example"
	tokens := transport.NewTokens()
	refused := newRefusals()
	m, ln := listenMemory(t, "127.0.0.1:7117", func(c *transport.ListenConfig) {
		c.Origins, c.Tokens, c.Refused = []string{listed}, tokens, refused.note
	})
	drain(ln)
	good, err := tokens.New(listed, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	page := "Host: localhost:7117\r\nOrigin: " + listed + "\r\nSec-WebSocket-Protocol: jsonrpc.mesh.v1, auth." + good + "\r\n"
	none := "Host: localhost:7117\r\n"
	for _, c := range []struct {
		text   string
		status int
		reason string
	}{
		{"POST /rpc HTTP/1.1\r\n" + page + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", 403, transport.RefusedOrigin},
		{"OPTIONS /rpc HTTP/1.1\r\n" + page + "Access-Control-Request-Method: POST\r\n\r\n", 403, transport.RefusedOrigin},
		{"OPTIONS * HTTP/1.1\r\n" + page + "\r\n", 403, transport.RefusedOrigin},
		{"GET / HTTP/1.1\r\n" + page + "\r\n", 403, transport.RefusedOrigin},
		{"GET /Mesh HTTP/1.1\r\n" + page + "\r\n", 403, transport.RefusedOrigin},
		{"GET //mesh HTTP/1.1\r\n" + page + "\r\n", 403, transport.RefusedOrigin},
		{"GET http://evil.example/mesh HTTP/1.1\r\n" + none + "\r\n", 403, transport.RefusedHost},
		{"GET / HTTP/1.0\r\n\r\n", 403, transport.RefusedHost},
		{"OPTIONS /rpc HTTP/1.1\r\n" + none + "Access-Control-Request-Method: POST\r\n\r\n", 405, ""},
		{"OPTIONS * HTTP/1.1\r\n" + none + "\r\n", 404, ""},
		{"GET /rpc HTTP/1.1\r\n" + none + "\r\n", 405, ""},
		{"HEAD /rpc HTTP/1.1\r\n" + none + "\r\n", 405, ""},
		{"GET / HTTP/1.1\r\n" + none + "\r\n", 404, ""},
		{"GET /mesh/ HTTP/1.1\r\n" + none + "\r\n", 404, ""},
		{"GET /mesh HTTP/1.1\r\n" + none + "\r\n", 426, ""},
		{"CONNECT localhost:7117 HTTP/1.1\r\n" + none + "\r\n", 404, ""},
		{"POST /mesh HTTP/1.1\r\n" + none + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", 405, ""},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403, transport.RefusedHost}, // HTTP/2
		{"GET /mesh HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, ""},
		{"GET /mesh HTTP/1.1\r\n\r\n", 400, ""},
		{"GET /mesh HTTP/1.1\r\n" + none + "X: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", 431, ""},
	} {
		conn := m.from("127.0.0.1:5000")
		resp := request(t, conn, c.text)
		if resp.StatusCode != c.status {
			t.Errorf("%.60q: %s", c.text, resp.Status)
		}
		if c.reason != "" {
			if got := refused.next(); got != c.reason {
				t.Errorf("%.60q: refused as %q", c.text, got)
			}
		}
		_ = conn.Close()
	}
	conn := m.from("127.0.0.1:5000") // nothing of that has used the token up
	if resp := request(t, conn, upgrade("localhost", "Origin: "+listed, "Sec-WebSocket-Protocol: jsonrpc.mesh.v1, auth."+good)); resp.StatusCode != 101 {
		t.Error(resp.Status)
	}
	_ = conn.Close()
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const here, there = "https://here.example", "https://there.example"
	tokens := transport.NewTokens()
	m, ln := listenMemory(t, "127.0.0.1:7117", func(c *transport.ListenConfig) { c.Origins, c.Tokens = []string{here, there}, tokens })
	drain(ln)
	now := time.Now()
	use := func(origin, token string) bool {
		t.Helper()
		c := m.from("127.0.0.1:5000")
		defer c.Close()
		return request(t, c, upgrade("localhost", "Origin: "+origin, "Sec-WebSocket-Protocol: jsonrpc.mesh.v1,auth."+token)).StatusCode == 101
	}
	issue := func(at time.Time) string {
		t.Helper()
		token, err := tokens.New(here, at)
		if err != nil || len(token) != 43 || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Fatal(token, err)
		}
		return token
	}
	once := issue(now)
	if !use(here, once) || use(here, once) {
		t.Error("a token is of use once")
	}
	if a, b := issue(now), issue(now); a == b || !use(here, b) || !use(here, a) {
		t.Error("two tokens")
	}
	if other := issue(now); use(there, other) || use(here, other) {
		t.Error("a token that another origin has got hold of is of use")
	}
	if old := issue(now.Add(-transport.TokenTTL)); use(here, old) {
		t.Error("an old token is of use")
	}
	if late := issue(now.Add(5*time.Second - transport.TokenTTL)); !use(here, late) {
		t.Error("a token has expired too early")
	}
	for range transport.MaxTokens {
		issue(now)
	}
	if token, err := tokens.New(here, now.Add(transport.TokenTTL-1)); !errors.Is(err, transport.ErrTooManyTokens) || token != "" {
		t.Error(token, err)
	}
	issue(now.Add(transport.TokenTTL))
	for _, bad := range []string{"", "null", "*", "here.example", "https://", "https://*", "https://*.example", "https://a/", "https://a?b", "https://a#b",
		"https://u@a", "https://a:443", "http://a:80", "https://a:", "https://A", "HTTPS://a", "https://a b", "//a", "https:a", "https://a\x00"} {
		if token, err := tokens.New(bad, now.Add(time.Hour)); !errors.Is(err, transport.ErrOrigin) || token != "" {
			t.Errorf("%q: %v", bad, err)
		}
		if ln, err := transport.Listen(parse(t, "127.0.0.1:0"), transport.ListenConfig{Origins: []string{bad}, Tokens: tokens}); !errors.Is(err, transport.ErrOrigin) {
			t.Errorf("%q: %v, %v", bad, ln, err)
		}
	}
	for _, good := range []string{"http://a", "https://a:80", "http://127.0.0.1:8080", "http://[::1]:8080", "chrome-extension://abcdef", "http://a.b-c.example"} {
		if _, err := tokens.New(good, now.Add(time.Hour)); err != nil {
			t.Error(err)
		}
	}
}

// TestTokensRace: of all that use one token at the same time exactly one gets in.
func TestTokensRace(t *testing.T) {
	t.Parallel()
	const here = "https://here.example"
	tokens := transport.NewTokens()
	m, ln := listenMemory(t, "127.0.0.1:7117", func(c *transport.ListenConfig) { c.Origins, c.Tokens = []string{here}, tokens })
	drain(ln)
	token, err := tokens.New(here, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	statuses := make(chan int)
	for range 16 {
		go func() {
			c := m.from("127.0.0.1:5000")
			defer c.Close()
			statuses <- request(t, c, upgrade("localhost", "Origin: "+here, "Sec-WebSocket-Protocol: auth."+token)).StatusCode
		}()
	}
	got := map[int]int{}
	for range 16 {
		got[<-statuses]++
	}
	if got[101] != 1 || got[403] != 15 {
		t.Error(got)
	}
}
