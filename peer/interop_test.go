package peer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// TestSourcegraphConn has a real jsonrpc2.Conn talk to a peer in every framing, both ways.
func TestSourcegraphConn(t *testing.T) {
	t.Parallel()
	for _, stream := range []struct {
		name string
		make func(net.Conn) jsonrpc2.ObjectStream
	}{
		{"our NUL framing", func(c net.Conn) jsonrpc2.ObjectStream {
			return jsonrpc2.NewBufferedStream(c, codec.ObjectCodec(codec.NUL))
		}},
		{"our LF framing", func(c net.Conn) jsonrpc2.ObjectStream {
			return jsonrpc2.NewBufferedStream(c, codec.ObjectCodec(codec.LF))
		}},
		{"its own VS Code framing", func(c net.Conn) jsonrpc2.ObjectStream {
			return jsonrpc2.NewBufferedStream(c, jsonrpc2.VSCodeObjectCodec{})
		}},
		{"its own plain framing", func(c net.Conn) jsonrpc2.ObjectStream { return jsonrpc2.NewPlainObjectStream(c) }},
	} {
		t.Run(stream.name, func(t *testing.T) {
			t.Parallel()
			p := openPeer(t)
			conn, err := net.Dial("tcp", p.Self().Address)
			if err != nil {
				t.Fatal(err)
			}
			heard := make(chan string, 1)
			rpc := jsonrpc2.NewConn(t.Context(), stream.make(conn), jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
				if r.Notif {
					heard <- r.Method
					return nil, nil
				}
				return "from " + r.Method, nil
			}))
			defer rpc.Close()
			var diff float64
			if err := rpc.Call(t.Context(), "subtract", []int{42, 23}, &diff); err != nil || diff != 19 {
				t.Fatal(diff, err)
			}
			if err := rpc.Call(t.Context(), "subtract", map[string]int{"subtrahend": 23, "minuend": 42}, &diff); err != nil || diff != 19 {
				t.Fatal(diff, err)
			}
			var data []any
			if err := rpc.Call(t.Context(), "get_data", nil, &data); err != nil || len(data) != 2 {
				t.Fatal(data, err)
			}
			var own *jsonrpc2.Error
			if err := rpc.Call(t.Context(), "fail", nil, nil); !errors.As(err, &own) || own.Code != api.CodeApplication {
				t.Fatal(err)
			}
			if !eventually(func() bool { return peers(p) == 1 }) {
				t.Fatal("the guest is no peer")
			}
			var name string
			for i := range p.Peers() {
				name = i.Name
			}
			if _, err := p.Notify(t.Context(), nil, "news.of", api.All, nil); err != nil {
				t.Fatal(err)
			}
			if m := <-heard; m != "news.of" {
				t.Errorf("heard %s", m)
			}
			back := p.JSONRPC2(name)
			var answer string
			if err := back.Call(t.Context(), "its.method", map[string]int{"a": 1}, &answer); err != nil || answer != "from its.method" {
				t.Errorf("calling the guest: %q, %v", answer, err)
			}
		})
	}
}

func TestJSONRPC2(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	a, b := mesh.Peer("a"), mesh.Peer("b")
	service.Bind(a)
	mesh.Join(a, b)
	link := b.JSONRPC2("a")
	var got float64
	if err := link.Call(t.Context(), "sum", []int{1, 2, 4}, &got); err != nil || got != 7 {
		t.Error(got, err)
	}
	var own *jsonrpc2.Error
	if err := link.Call(t.Context(), "nosuch", nil, nil); !errors.As(err, &own) || own.Code != api.CodeMethodNotFound {
		t.Error(err)
	}
	if err := link.Notify(t.Context(), "update", []int{1}); err != nil {
		t.Error(err)
	}
	if err := link.Call(t.Context(), "sum", nil, nil, jsonrpc2.PickID(jsonrpc2.ID{Num: 1})); !errors.Is(err, peer.ErrOptions) {
		t.Error(err)
	}
	if err := b.JSONRPC2("nobody").Notify(t.Context(), "update", nil); !errors.Is(err, api.ErrUnknownPeer) {
		t.Error(err)
	}
	if err := link.Close(); err != nil {
		t.Error(err)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	keyed, keys := keyedPeer(t)
	post := func(to *peer.Peer, body string, change ...func(*http.Request)) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+to.Self().Address+"/rpc", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for _, f := range change {
			f(req)
		}
		tr := &http.Transport{}
		defer tr.CloseIdleConnections()
		resp, err := tr.RoundTrip(req)
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
		name   string
		body   string
		change func(*http.Request)
		status int
		want   string
	}{
		{"a call", getData, nil, 200, `{"jsonrpc":"2.0","id":7,"result":["hello",5]}`},
		{"a notification", `{"jsonrpc":"2.0","method":"update"}`, nil, 204, ""},
		{"a batch", `[` + getData + `]`, nil, 200, `[{"jsonrpc":"2.0","id":7,"result":["hello",5]}]`},
		{"no JSON", `{`, nil, 200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`},
		{"a hello", `{"jsonrpc":"2.0","id":1,"method":"rpc.hello","params":{"v":"1","id":"ocxp2qa6shiykrblyyh2ezofgtddl3yk","name":"x","boot":"1767225600000-0a1b2c3d"}}`, nil, 200, `-32042`},
		{"another content type", getData, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, ""},
		{"a web page", getData, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403, ""},
		{"a foreign host name", getData, func(r *http.Request) { r.Host = "evil.example" }, 403, ""},
	} {
		change := c.change
		if change == nil {
			change = func(*http.Request) {}
		}
		status, text := post(p, c.body, change)
		if status != c.status || c.status < 300 && !strings.Contains(text, c.want) || c.want == "" && status == 204 && text != "" {
			t.Errorf("%s: %d %s, want %d %s", c.name, status, text, c.status, c.want)
		}
	}
	if _, text := post(keyed, getData); !strings.Contains(text, "-32040") {
		t.Errorf("unsigned where signatures are required: %s", text)
	}
	h, err := security.NewHMAC(security.HMACConfig{Name: "client", Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	params, _, err := h.Seal(nil, security.Outgoing{To: "server"}, []byte(getData))
	if err != nil {
		t.Fatal(err)
	}
	_, text := post(keyed, string(codec.AppendSecInfo(nil, params))+"\x00"+getData)
	secinfo, payload, ok := bytes.Cut([]byte(text), []byte{0})
	if !ok || !bytes.Contains(payload, []byte(`"result":["hello",5]`)) {
		t.Fatalf("signed: %q", text)
	}
	if back, is, err := codec.ParseSecInfo(secinfo); !is || err != nil {
		t.Errorf("the answer is not signed: %s", secinfo)
	} else if _, _, err := h.Open(back, payload, func([]byte) security.Kind { return security.Response }); err != nil {
		t.Errorf("the answer's signature: %v", err)
	}
}

// TestTersePort is for a person at telnet.
func TestTersePort(t *testing.T) {
	t.Parallel()
	keys, err := security.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.New(peer.Config{Name: "spec", Keys: keys, Throwaway: true, Listen: []string{"tcp://127.0.0.1:0?codec=terse"}, NoMDNS: true, NoLocal: true, Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	service.Bind(p)
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", p.Self().Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "\r\n\n\nsubtract/1 minuend:42 subtrahend:23\nnonsense(\nsum/2 [1 2 4]\r\nupdate [1]\nget_data/3\n")
	want := "[1]:19\n[null]! code:-32700 message:\"parse error\"\n[2]:7\n[3]:[\"hello\" 5]\n"
	got := make([]byte, len(want))
	_, err = io.ReadFull(conn, got)
	lines := func(s string) []string { // what cannot be read is answered at once, what is handled when it is done
		return slices.Sorted(strings.SplitSeq(s, "\n"))
	}
	if err != nil || !slices.Equal(lines(string(got)), lines(want)) {
		t.Errorf("got %q, %v", got, err)
	}
}
