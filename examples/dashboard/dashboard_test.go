package main_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"peermesh/examples/dashboard/optics"
	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) {
	console.Main(m, "peermesh/examples/dashboard", "peermesh/examples/dashboard/spectrometer", "peermesh/cmd/peerctl")
}

func TestREADME(t *testing.T) {
	t.Parallel()
	console.README(t, "README.md")
}

// bench starts a spectrometer and a dashboard, and returns where the page is.
func bench(t *testing.T) (uv, dash *console.Program, page string) {
	t.Helper()
	home := console.NewHome(t)
	uv = home.Start("spectrometer", "-name", "uv", "-listen", "127.0.0.1:0", "-every", "10ms")
	uv.Listening()
	dash = home.Start("dashboard", "-page", "127.0.0.1:0")
	page = strings.TrimPrefix(dash.Expect(`open http://127\.0\.0\.1:\d+/`), "open ")
	dash.Expect("joined uv")
	return uv, dash, page
}

// TestStream reads what a page is told, and does what its slider does.
func TestStream(t *testing.T) {
	t.Parallel()
	uv, dash, page := bench(t)
	resp, err := http.Get(page + "events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	next := func(event string) string {
		for lines.Scan() {
			if lines.Text() == "event: "+event && lines.Scan() {
				return strings.TrimPrefix(lines.Text(), "data: ")
			}
		}
		t.Fatalf("no more events: %v", lines.Err())
		return ""
	}
	if got := next("peers"); got != `["uv"]` {
		t.Errorf("linked with %s", got)
	}
	for seq := 0; seq < 20; {
		var s struct {
			Name string
			optics.Spectral
		}
		if err := json.Unmarshal([]byte(next("spectrum")), &s); err != nil || s.Name != "uv" || s.Seq <= seq || len(s.Counts) != 601 {
			t.Fatalf("after %d: %s, %d, %d counts, %v", seq, s.Name, s.Seq, len(s.Counts), err)
		}
		seq = s.Seq
	}
	post := func(to, body, origin string) (int, string) {
		req, err := http.NewRequest(http.MethodPost, page+"expose?to="+to, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, c := range []struct {
		to, body, origin string
		code             int
		says             string
	}{
		{"uv", `{"ms":40}`, "", 200, `{"ms":40}`},
		{"uv", `{"ms":40}`, strings.TrimSuffix(page, "/"), 200, `{"ms":40}`},
		{"uv", `{"ms":40}`, "http://evil.example", 403, "cross-origin"},
		{"uv", `{"ms":400}`, "", 422, "greater than 100"},
		{"uv", `{`, "", 400, "want"},
		{"ir", `{"ms":40}`, "", 502, "ir"},
	} {
		if code, text := post(c.to, c.body, c.origin); code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%+v: %d %s", c, code, text)
		}
	}
	uv.Expect(`exposure 40 ms, says dashboard`)
	if runtime.GOOS == "windows" {
		return
	}
	uv.Interrupt()
	if got := next("peers"); got != "[]" {
		t.Errorf("without the spectrometer: %s", got)
	}
	dash.Interrupt()
	if code := dash.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestHost: the page is there under its own address alone, with its policy, and for this machine alone.
func TestHost(t *testing.T) {
	t.Parallel()
	_, _, page := bench(t)
	for host, code := range map[string]int{"": 200, "evil.example": 403} {
		req, err := http.NewRequest(http.MethodGet, page, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != code || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("Host %q: %d %v", host, resp.StatusCode, resp.Header)
		}
	}
	p := console.NewHome(t).Start("dashboard", "-page", "0.0.0.0:0")
	p.Expect(`dashboard: 0\.0\.0\.0:0 is not for this machine alone.*`)
	if code := p.Exit(); code != 1 {
		t.Errorf("exit code %d", code)
	}
}
