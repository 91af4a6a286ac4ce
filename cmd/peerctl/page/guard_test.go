package page_test

import (
	"net/http"
	"strings"
	"testing"

	"peermesh/cmd/peerctl/page"
)

// TestListen: the page is for this machine alone.
func TestListen(t *testing.T) {
	t.Parallel()
	for addr, ok := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "localhost:0": true, ":0": false, "0.0.0.0:0": false, "nonsense": false} {
		ln, err := page.Listen(addr)
		if ln != nil {
			_ = ln.Close()
		}
		if addr == "[::1]:0" && err != nil {
			continue // not every machine has it
		}
		if ok != (err == nil) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// TestHeaders: every answer tells the browser to be strict, and grants nothing.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, c := range []struct {
		path   string
		status int
		kind   string
	}{
		{"/", 200, "text/html; charset=utf-8"},
		{"/index.html", 200, "text/html; charset=utf-8"},
		{"/js/main.js", 200, "text/javascript; charset=utf-8"},
		{"/vendor/preact/preact.mjs", 200, "text/javascript; charset=utf-8"},
		{"/vendor/uplot/uPlot.min.css", 200, "text/css; charset=utf-8"},
		{"/icon.svg", 200, "image/svg+xml"},
		{"/vendor/preact/VERSION", 404, ""},
		{"/page.go", 404, ""},
		{"/../page.go", 404, ""},
		{"/js", 404, ""},
		{"/m/", 401, ""},
		{"/m/x/events", 401, ""},
		{s.base + "events", 401, ""}, // without the cookie
	} {
		resp := s.ask("GET", c.path, "")
		s.body(resp)
		h := resp.Header
		policy := h.Get("Content-Security-Policy")
		if resp.StatusCode != c.status || c.kind != "" && h.Get("Content-Type") != c.kind {
			t.Errorf("%s: %s %s", c.path, resp.Status, h.Get("Content-Type"))
		}
		if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'; script-src 'self' 'sha256-") || !strings.Contains(policy, "require-trusted-types-for 'script'; trusted-types 'none'") {
			t.Errorf("%s: the policy %q", c.path, policy)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "no-referrer" || h.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", c.path, h)
		}
	}
}

// TestEntry: without the token nobody comes in, and the cookie is for this page of this port alone.
func TestEntry(t *testing.T) {
	t.Parallel()
	s := start(t)
	if c := s.cookie; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != s.base || !strings.HasSuffix(s.origin, strings.TrimPrefix(c.Name, "peerctl-")) {
		t.Errorf("the cookie is %v", c)
	}
	_, token, _ := strings.Cut(s.Address(), "#")
	_, once, _ := strings.Cut(s.OneTimeAddress(), "#")
	own := "Bearer " + token
	for _, c := range []struct {
		name    string
		method  string
		headers []string
		status  int
	}{
		{"no token", "POST", []string{"Origin", s.origin}, 401},
		{"another token", "POST", []string{"Origin", s.origin, "Authorization", "Bearer " + strings.Repeat("0", 40)}, 401},
		{"not said where from", "POST", []string{"Authorization", own}, 403},
		{"another origin", "POST", []string{"Origin", "http://evil.example", "Authorization", own}, 403},
		{"no origin", "POST", []string{"Origin", "null", "Authorization", own}, 403},
		{"another site", "POST", []string{"Origin", s.origin, "Sec-Fetch-Site", "cross-site", "Authorization", own}, 403},
		{"another port", "POST", []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site", "Authorization", own}, 403},
		{"GET", "GET", []string{"Origin", s.origin, "Authorization", own}, 405},
		{"the token", "POST", []string{"Origin", s.origin, "Authorization", own}, 200},
		{"again", "POST", []string{"Origin", s.origin, "Authorization", own}, 200},
		{"one that is good once", "POST", []string{"Origin", s.origin, "Authorization", "Bearer " + once}, 200},
		{"again", "POST", []string{"Origin", s.origin, "Authorization", "Bearer " + once}, 401},
	} {
		resp := s.ask(c.method, "/login", "", c.headers...)
		s.body(resp)
		if resp.StatusCode != c.status || (len(resp.Cookies()) == 1) != (c.status == 200) {
			t.Errorf("%s: %s, want %d; cookies %v", c.name, resp.Status, c.status, resp.Cookies())
		}
	}
}

// TestHost: a name that somebody has pointed here is not answered.
func TestHost(t *testing.T) {
	t.Parallel()
	s := start(t)
	port := s.origin[strings.LastIndexByte(s.origin, ':')+1:]
	for host, status := range map[string]int{"127.0.0.1:" + port: 200, "localhost:" + port: 200, "evil.example:" + port: 403, "evil.example": 403, "127.0.0.1": 403,
		"localhost": 403, "localhost:1": 403, "127.0.0.1.evil.example:" + port: 403, "[::1]:" + port: 403} {
		resp := s.ask("GET", "/", "", "Host", host)
		s.body(resp)
		if resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", host, resp.Status, status)
		}
	}
}

// TestForgery: what changes something needs the path and the cookie, and comes from no other site's page.
func TestForgery(t *testing.T) {
	t.Parallel()
	s := start(t)
	cookie := s.cookie.Name + "=" + s.cookie.Value
	order := `{"method":"lab.snap","to":["cam1"]}`
	for _, c := range []struct {
		name    string
		path    string
		headers []string
		status  int
	}{
		{"the page", s.base + "call", []string{"Cookie", cookie, "Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, 200},
		{"a program that has the cookie", s.base + "call", []string{"Cookie", cookie}, 200},
		{"no cookie", s.base + "call", []string{"Origin", s.origin, "Sec-Fetch-Site", "same-origin"}, 401},
		{"no cookie, no headers", s.base + "call", nil, 401},
		{"a wrong cookie", s.base + "call", []string{"Cookie", s.cookie.Name + "=guess", "Origin", s.origin}, 401},
		{"the cookie, another path", "/m/guess/call", []string{"Cookie", cookie, "Origin", s.origin}, 401},
		{"another site's page", s.base + "call", []string{"Cookie", cookie, "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"}, 403},
		{"another port's page", s.base + "call", []string{"Cookie", cookie, "Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, 403},
		{"an old browser, another site", s.base + "call", []string{"Cookie", cookie, "Origin", "http://evil.example"}, 403},
		{"a file", s.base + "call", []string{"Cookie", cookie, "Origin", "null"}, 403},
	} {
		resp := s.ask("POST", c.path, order, c.headers...)
		s.body(resp)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", c.name, resp.Status, c.status)
		}
	}
	if n := len(s.mesh.calls); n != 2 {
		t.Errorf("%d calls were made", n)
	}
	for _, path := range []string{"call", "notify", "doctor", "export"} {
		if resp := s.as("GET", path, ""); resp.StatusCode != 405 || s.body(resp) == "" {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
}
