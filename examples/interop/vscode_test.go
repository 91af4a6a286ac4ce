package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"peermesh/api"
	"peermesh/examples/internal/console"
)

// startVSCode starts the node script at a peer.
func startVSCode(t *testing.T, addr string) *console.Program {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("skip: needs node and npm")
	}
	if _, err := os.Stat(filepath.Join("vscode", "node_modules", "vscode-jsonrpc")); err != nil {
		t.Skip("skip: needs the npm packages (npm ci in examples/interop/vscode)")
	}
	return console.NewHome(t).Start("node", filepath.Join("vscode", "client.js"), addr)
}

func expectVSCode(t *testing.T, node *console.Program, progress string) {
	t.Helper()
	for _, line := range []string{
		`by position: 19`,
		`by name: 19`,
		`a list: 7`,
		`nothing: \["hello",5\]`,
		`no such method: -32601`,
		`wrong params: -32602`,
		`failed: -32000`,
		`cancelled: -32800`,
		`progress: ` + progress,
	} {
		node.Expect(line)
	}
}

func TestVSCode(t *testing.T) {
	t.Parallel()
	node := startVSCode(t, startSpec(t))
	expectVSCode(t, node, `\[-32601\]`) // it does not count
	if code := node.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestVSCodeCalledBack has a peer tell its progress, and call and notify the editor.
func TestVSCodeCalledBack(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	bindCounting(p)
	node := startVSCode(t, p.Self().Address)
	expectVSCode(t, node, `\[1,2,3,"counted"\]`)
	editor := p.JSONRPC2(guest(t, p))
	var got string
	if err := editor.Call(t.Context(), "editor.ask", map[string]string{"what": "a name"}, &got); err != nil || got != "asked for a name" {
		t.Errorf("editor.ask: %q, %v", got, err)
	}
	if _, err := p.Notify(t.Context(), nil, "editor.tell", api.All, []byte(`{"news":"none"}`)); err != nil {
		t.Error(err)
	}
	node.Expect(`told: \{"news":"none"\}`)
	if err := editor.Notify(t.Context(), "editor.leave", nil); err != nil {
		t.Error(err)
	}
	if code := node.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
