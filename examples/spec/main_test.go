package main_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"peermesh/examples/internal/console"
)

func TestMain(m *testing.M) { console.Main(m, "peermesh/examples/spec") }

func TestREADME(t *testing.T) {
	t.Parallel()
	console.README(t, "README.md")
}

const (
	request = `{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}`
	answer  = `{"jsonrpc":"2.0","id":1,"result":19}`
)

// TestTransports has the built program answer in every way that it can be asked.
func TestTransports(t *testing.T) {
	t.Parallel()
	spec := console.NewHome(t).Start("spec", "-listen", "127.0.0.1:0")
	addr := spec.Listening()
	for name, ask := range map[string]func(*testing.T, string) string{
		"lines": func(t *testing.T, addr string) string { return overTCP(t, addr, request+"\n", '\n') },
		"NULs":  func(t *testing.T, addr string) string { return overTCP(t, addr, request+"\x00", 0) },
		"headers": func(t *testing.T, addr string) string {
			return overTCP(t, addr, "Content-Length: 61\r\n\r\n"+request, '}')
		},
		"POST":      overPOST,
		"WebSocket": overWebSocket,
	} {
		t.Run(name, func(t *testing.T) {
			if got := ask(t, addr); got != answer {
				t.Errorf("got %s, want %s", got, answer)
			}
		})
	}
	if runtime.GOOS == "windows" {
		return // nobody can be interrupted there
	}
	spec.Interrupt()
	if code := spec.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := spec.Output(); got != "listening "+addr {
		t.Errorf("it printed %q", got)
	}
}

func overTCP(t *testing.T, addr, text string, end byte) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(console.Patience))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	got, err := bufio.NewReader(conn).ReadString(end)
	if err != nil {
		t.Fatalf("%q, then %v", got, err)
	}
	if _, body, ok := strings.Cut(got, "\r\n\r\n"); ok {
		return body
	}
	return strings.TrimRight(got, "\n\x00")
}

func overPOST(t *testing.T, addr string) string {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: console.Patience}
	resp, err := client.Post("http://"+addr+"/rpc", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(got)
}

func overWebSocket(t *testing.T, addr string) string {
	conn, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/mesh", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(request)); err != nil {
		t.Fatal(err)
	}
	_, got, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// TestRefusals: what does not fit is said, on stderr and by the exit code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	home := console.NewHome(t)
	addr := home.Start("spec", "-listen", "127.0.0.1:0").Listening()
	for _, c := range []struct{ listen, says string }{
		{addr, "spec: peer: listen on .* in use"},
		{"192.0.2.1:0", "spec: peer: .*without a key a mesh is for this machine alone.*"},
		{"nonsense", `spec: peer: transport: address "nonsense": want host:port`},
	} {
		p := home.Start("spec", "-listen", c.listen)
		p.Expect(c.says)
		if code := p.Exit(); code != 1 {
			t.Errorf("%s: exit code %d", c.listen, code)
		}
	}
}
