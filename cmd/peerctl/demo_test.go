package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"peermesh/cmd/peerctl/page"
)

// TestDemoDoctor: the page of the demo examines the demo's mesh, whatever mesh the flags name.
func TestDemoDoctor(t *testing.T) {
	dir := t.TempDir()
	runDir := filepath.Join(dir, "run")
	if err := os.Mkdir(runDir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_RUNTIME_DIR", runDir)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var out, said lockedBuffer
	wg.Go(func() { run(ctx, []string{"demo", "--no-mdns", "--mesh", "other"}, strings.NewReader(""), &out, &said) })
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !out.contains("exposure_ms"); <-tick.C { // they talk
		if time.Now().After(deadline) {
			t.Fatalf("the demo does not play: %s%s", out.text(), said.text())
		}
	}
	address := regexp.MustCompile(`page: (http://\S+)/#(\S+)`).FindStringSubmatch(said.text())
	if address == nil {
		t.Fatalf("there is no page: %s", said.text())
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func(path string, headers map[string]string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, address[1]+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", address[1])
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s %v %s", path, resp.Status, err, body)
		}
		return resp, body
	}
	resp, body := post("/login", map[string]string{"Authorization": "Bearer " + address[2]})
	var login struct{ Base string }
	if err := json.Unmarshal(body, &login); err != nil || len(resp.Cookies()) != 1 {
		t.Fatal(err, resp.Cookies())
	}
	c := resp.Cookies()[0]
	_, body = post(login.Base+"doctor", map[string]string{"Cookie": c.Name + "=" + c.Value})
	var found []page.Finding
	if err := json.Unmarshal(body, &found); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`^key \S+ of mesh "demo", made for this demo$`, `^cam1 runs here, with `, `^desk runs here, with `,
		`^peer cam1 at 127\.0\.0\.1:`, `^peer cam2 at 127\.0\.0\.1:`, `^peer desk at 127\.0\.0\.1:`} {
		match := regexp.MustCompile(want).MatchString
		if !slices.ContainsFunc(found, func(f page.Finding) bool { return f.Level == "ok" && match(f.Text) }) {
			t.Errorf("not found: %s", want)
		}
	}
	for _, f := range found {
		if f.Level == "FAIL" || strings.Contains(f.Text, "other") {
			t.Errorf("found: %+v", f)
		}
	}
	if t.Failed() {
		t.Logf("%s", body)
	}
}
