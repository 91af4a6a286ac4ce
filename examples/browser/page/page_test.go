package page_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"peermesh/examples/browser/page"
	"peermesh/peer"
	"peermesh/peer/transport"
	"peermesh/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a Site with its peer. The links that it gives out can be received.
type site struct {
	*page.Site
	peer   *peer.Peer
	keys   *security.Keyring
	group  *security.Key
	origin string
	links  chan string
}

func start(t *testing.T) *site {
	t.Helper()
	ln, origin, err := page.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close() // requests are made without it
	s := &site{group: security.NewKey(), origin: origin, links: make(chan string, 100)}
	if s.keys, err = security.NewKeyring(security.Entry{Key: s.group, Send: true}); err != nil {
		t.Fatal(err)
	}
	s.peer, err = peer.New(peer.Config{Name: "bath", Keys: s.keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true,
		Accept: security.AcceptHMAC, Origins: []string{origin}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.peer.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.peer.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Site = page.New(s.peer, s.keys, origin, func(link string) { s.links <- link })
	return s
}

// link returns the secret of the next link.
func (s *site) link(t *testing.T) string {
	t.Helper()
	select {
	case link := <-s.links:
		secret, ok := strings.CutPrefix(link, s.origin+"/#")
		if !ok || len(secret) != 43 {
			t.Fatalf("the link is %s", link)
		}
		return secret
	default:
		t.Fatal("no link was given out")
		return ""
	}
}

// ask makes a request; change, if given, changes it.
func (s *site) ask(method, path string, change ...func(*http.Request)) *http.Response {
	r := httptest.NewRequest(method, s.origin+path, nil)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func with(headers ...string) func(*http.Request) {
	return func(r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestListen: the page is for this machine alone.
func TestListen(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{"127.0.0.1:0": "http://127.0.0.1:", "[::1]:0": "http://[::1]:", "localhost:0": "http://", ":0": "", "0.0.0.0:0": "", "nonsense": ""} {
		ln, origin, err := page.Listen(addr)
		if ln != nil {
			_ = ln.Close()
		}
		if addr == "[::1]:0" && err != nil {
			continue // not every machine has it
		}
		if ok := want != ""; ok != (err == nil) || !strings.HasPrefix(origin, want) {
			t.Errorf("%s: %q, %v", addr, origin, err)
		}
	}
}

// TestHeaders: every answer tells the browser to be strict, and there are no other headers that grant something.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	secret := s.link(t)
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws://" + s.peer.Self().Address +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	for _, c := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/index.html", 200, "text/html; charset=utf-8"},
		{"GET", "/page.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/peer.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/icon.svg", 200, "image/svg+xml"},
		{"GET", "/page.go", 404, ""},
		{"GET", "/../page.go", 404, ""},
		{"GET", "/testdata/peer_test.mjs", 404, ""},
		{"GET", "//", 404, ""},
		{"POST", "/", 405, ""},
		{"OPTIONS", "/", 405, ""},
		{"OPTIONS", "/key", 405, ""},
		{"GET", "/key", 405, ""},
		{"POST", "/key", 403, ""},
	} {
		for _, origin := range []string{"", s.origin, "http://evil.example", "null"} {
			resp := s.ask(c.method, c.path, with("Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"))
			name := c.method + " " + c.path
			if resp.StatusCode != c.status || c.kind != "" && resp.Header.Get("Content-Type") != c.kind {
				t.Errorf("%s: %s, %s", name, resp.Status, resp.Header.Get("Content-Type"))
			}
			for header, want := range map[string]string{"Content-Security-Policy": policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
				"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
				if got := resp.Header[header]; len(got) != 1 || got[0] != want {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			for header := range resp.Header {
				if strings.HasPrefix(header, "Access-Control-") || header == "Set-Cookie" {
					t.Errorf("%s is answered with %s", name, header)
				}
			}
			text := body(t, resp)
			for _, e := range s.keys.Entries() {
				if strings.Contains(text, e.Key.Export()) || strings.Contains(text, secret) {
					t.Errorf("%s gives a secret away", name)
				}
			}
		}
	}
	html := body(t, s.ask("GET", "/"))
	for _, bad := range []string{"<script>", "style=", " on", "javascript:", "http:", "https:"} {
		if strings.Contains(html, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	for _, script := range []string{"/page.js", "/peer.js"} {
		text := body(t, s.ask("GET", script))
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "localStorage", "sessionStorage", "cookie"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", script, bad)
			}
		}
	}
}

// TestHost: a name that somebody has pointed here gets nothing, not even with the secret.
func TestHost(t *testing.T) {
	t.Parallel()
	s := start(t)
	secret := s.link(t)
	port := s.origin[strings.LastIndex(s.origin, ":"):]
	for _, host := range []string{"evil.example" + port, "evil.example", "localhost" + port, "127.0.0.1", "127.0.0.1:1", "127.0.0.2" + port, "127.0.0.1.evil.example" + port,
		"[::1]" + port, "x@127.0.0.1" + port, ""} {
		for _, path := range []string{"/", "/peer.js", "/key"} {
			for _, method := range []string{"GET", "POST"} {
				resp := s.ask(method, path, with("Origin", s.origin, "Authorization", "Bearer "+secret), func(r *http.Request) { r.Host = host })
				if text := body(t, resp); resp.StatusCode != http.StatusForbidden || text != "this host name is not served here\n" {
					t.Errorf("%s %s for host %q: %s, %s", method, path, host, resp.Status, text)
				}
			}
		}
	}
	if resp := s.ask("POST", "/key", with("Origin", s.origin, "Authorization", "Bearer "+secret)); resp.StatusCode != http.StatusOK {
		t.Errorf("the link was used up: %s", resp.Status)
	}
}

// access is what a page gets.
type access struct{ URL, Token, Key, Name, Peer string }

// TestKey: what a page needs is given for the secret, to the page alone, and once.
func TestKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.link(t)
	refused := func(what string, headers ...string) {
		t.Helper()
		resp := s.ask("POST", "/key", with(headers...))
		if text := body(t, resp); resp.StatusCode != http.StatusForbidden || len(text) > 80 || len(s.keys.Entries()) > 1 {
			t.Errorf("%s: %s, %s", what, resp.Status, text)
		}
	}
	refused("nothing", "Origin", s.origin)
	refused("no secret", "Origin", s.origin, "Authorization", "Bearer ")
	refused("a wrong secret", "Origin", s.origin, "Authorization", "Bearer "+strings.Repeat("A", 43))
	refused("half of it", "Origin", s.origin, "Authorization", "Bearer "+first[:21])
	refused("more than it", "Origin", s.origin, "Authorization", "Bearer "+first+"A")
	refused("in upper case", "Origin", s.origin, "Authorization", "Bearer "+strings.ToUpper(first))
	refused("twice in one header", "Origin", s.origin, "Authorization", "Bearer "+first+", Bearer "+first)
	refused("in a cookie", "Origin", s.origin, "Cookie", "secret="+first)
	if resp := s.ask("POST", "/key?secret="+first, with("Origin", s.origin)); resp.StatusCode != http.StatusForbidden {
		t.Errorf("in the query: %s", resp.Status)
	}
	if len(s.links) > 0 {
		t.Error("the link was used up by requests that did not know it")
	}

	// A secret that has come into the hands of another page is of no use there, nor anywhere any more.
	for _, origins := range [][]string{{"http://evil.example"}, {"null"}, {}, {s.origin, s.origin}, {s.origin + "/"}, {"http://localhost" + s.origin[len("http://127.0.0.1"):]}} {
		refused("another page", append([]string{"Authorization", "Bearer " + first}, headersOf(origins)...)...)
		refused("the page after another", "Origin", s.origin, "Authorization", "Bearer "+first)
		first = s.link(t)
	}

	resp := s.ask("POST", "/key", with("Origin", s.origin, "Authorization", "Bearer "+first))
	var got access
	if err := json.Unmarshal([]byte(body(t, resp)), &got); err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatal(resp.Status, err)
	}
	if got.URL != "ws://"+s.peer.Self().Address+"/mesh" || got.Name != "browser-7" || got.Peer != "bath" || len(got.Token) != 43 {
		t.Errorf("it gets %+v", got)
	}
	entries := s.keys.Entries()
	if len(entries) != 2 || !entries[0].Key.Equal(s.group) || entries[1].Key.Export() != got.Key || !slices.Equal(entries[1].Users, []string{got.Name}) ||
		time.Until(entries[1].NotAfter) > page.KeyLife || entries[1].Role != security.RoleMember || got.Key == s.group.Export() {
		t.Errorf("the keys are %+v", entries)
	}
	s.Forget("browser-1")
	if n := s.keys.Len(); n != 2 {
		t.Errorf("another page's leaving leaves %d keys", n)
	}
	s.Forget(got.Name)
	refused("a second time", "Origin", s.origin, "Authorization", "Bearer "+first) // demands that the page's key is gone

	connect := func() error {
		ws, _, err := websocket.Dial(t.Context(), got.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {s.origin}},
			Subprotocols: []string{transport.Subprotocol, "auth." + got.Token}})
		if err == nil {
			_ = ws.CloseNow()
		}
		return err
	}
	if err := connect(); err != nil {
		t.Error(err)
	}
	if connect() == nil {
		t.Error("a token lets in twice")
	}
}

func headersOf(origins []string) (headers []string) {
	for _, o := range origins {
		headers = append(headers, "Origin", o)
	}
	return headers
}

// TestRace: of many who ask at once, one gets something.
func TestRace(t *testing.T) {
	t.Parallel()
	s := start(t)
	secret := s.link(t)
	var wg sync.WaitGroup
	status := make(chan int, 32)
	for range cap(status) {
		wg.Go(func() {
			status <- s.ask("POST", "/key", with("Origin", s.origin, "Authorization", "Bearer "+secret)).StatusCode
		})
	}
	wg.Wait()
	close(status)
	n := 0
	for code := range status {
		if code == http.StatusOK {
			n++
		}
	}
	if n != 1 || s.keys.Len() != 2 || len(s.links) != 1 {
		t.Errorf("%d got something; %d keys, %d new links", n, s.keys.Len(), len(s.links))
	}
}

// TestManyTokens: pages that never come use up tokens, and not keys.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	for {
		if _, err := s.peer.BrowserToken(s.origin); err != nil {
			if !errors.Is(err, transport.ErrTooManyTokens) {
				t.Error(err)
			}
			break
		}
	}
	resp := s.ask("POST", "/key", with("Origin", s.origin, "Authorization", "Bearer "+s.link(t)))
	if resp.StatusCode != http.StatusServiceUnavailable || s.keys.Len() != 1 {
		t.Errorf("%s, %d keys", resp.Status, s.keys.Len())
	}
	s.link(t)
}

// TestScript runs peer.js with the vectors of the protocol, and against an other end that does all it should not.
func TestScript(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skip: needs node")
	}
	out, err := exec.CommandContext(t.Context(), "node", "testdata/peer_test.mjs", "../../../security/testdata/vectors.json").CombinedOutput()
	if err != nil || string(out) != "all is well\n" {
		t.Errorf("%v\n%s", err, out)
	}
}
