package peer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/spec/service"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// signer is a client that signs by itself, with whatever key, name and clock a test wants.
type signer struct {
	*client
	hmac *security.HMAC
	now  time.Time
}

func newSigner(t *testing.T, c *client, name string, keys *security.Keyring) *signer {
	t.Helper()
	s := &signer{client: c}
	var err error
	s.hmac, err = security.NewHMAC(security.HMACConfig{Name: name, Keys: keys, Now: func() time.Time {
		if s.now.IsZero() {
			return time.Now()
		}
		return s.now
	}, Start: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair returns the secinfo frame and the payload of a message.
func (s *signer) pair(to, payload string) [][]byte {
	s.t.Helper()
	params, _, err := s.hmac.Seal(nil, security.Outgoing{To: to}, []byte(payload))
	if err != nil {
		s.t.Fatal(err)
	}
	return [][]byte{codec.AppendSecInfo(nil, params), []byte(payload)}
}

// answer reads the next frame, checks its signature and returns the message.
func (s *signer) answer() string {
	s.t.Helper()
	var params []byte
	for {
		frame, err := s.next()
		if err != nil {
			s.t.Fatalf("want an answer, got %v", err)
		}
		p, is, err := codec.ParseSecInfo(frame)
		if err != nil {
			s.t.Fatal(err)
		}
		if is {
			params = append([]byte(nil), p...)
			continue
		}
		if params == nil {
			return "unsigned " + string(frame)
		}
		kind := func([]byte) security.Kind { return security.Response }
		var m codec.Message
		if err := m.Parse(frame); err != nil && !codec.IsBatch(frame) {
			s.t.Fatal(err)
		}
		if m.Kind == codec.Request || m.Kind == codec.Notification { // its ping and the like
			if string(m.Method) == "rpc.ping" {
				s.send(s.pair("server", `{"jsonrpc":"2.0","id":`+string(m.ID)+`,"result":{}}`)...)
			}
			params = nil
			continue
		}
		if _, _, err := s.hmac.Open(params, frame, kind); err != nil {
			s.t.Fatalf("the signature of %s: %v", frame, err)
		}
		return "signed " + string(frame)
	}
}

// keyedPeer is a peer with a key and the methods of the specification's examples.
func keyedPeer(t *testing.T, change ...func(*peer.Config)) (*peer.Peer, *security.Keyring) {
	t.Helper()
	mesh := peertest.New(t)
	p := mesh.Peer("server", append([]func(*peer.Config){func(c *peer.Config) {
		c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil
		c.Accept = security.AcceptHMAC
	}}, change...)...)
	service.Bind(p)
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, mesh.Keys
}

const getData = `{"jsonrpc":"2.0","id":7,"method":"get_data"}`

// TestRefusals holds the peer to the table of refusals, a case per row.
func TestRefusals(t *testing.T) {
	t.Parallel()
	foreign, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		t.Fatal(err)
	}
	tamper := func(frames [][]byte, old, new string) [][]byte {
		out := make([][]byte, len(frames))
		for i, f := range frames {
			out[i] = []byte(strings.ReplaceAll(string(f), old, new))
		}
		return out
	}
	for _, c := range []struct {
		name    string
		as      string // the sender's name; client by default
		keys    *security.Keyring
		now     func() time.Time
		accept  security.Accept
		session bool // the listener takes sessions only
		frames  func(*signer) [][]byte
		want    string // prefix of the answer: signed or unsigned, and its beginning
		closes  bool
		count   string // reason that is counted
	}{
		{name: "a good call", frames: func(s *signer) [][]byte { return s.pair("server", getData) }, want: `signed {"jsonrpc":"2.0","id":7,"result":["hello",5]`},
		{name: "unsigned request", frames: func(*signer) [][]byte { return [][]byte{[]byte(getData)} },
			want: `unsigned {"jsonrpc":"2.0","id":7,"error":{"code":-32040,`, count: "unsigned"},
		{name: "unknown key", keys: foreign, frames: func(s *signer) [][]byte { return s.pair("server", getData) },
			want: `unsigned {"jsonrpc":"2.0","id":null,"error":{"code":-32040,`, count: "key"},
		{name: "altered payload", frames: func(s *signer) [][]byte { return tamper(s.pair("server", getData), `"id":7`, `"id":8`) },
			want: `unsigned {"jsonrpc":"2.0","id":null,"error":{"code":-32040,`, count: "signature"},
		{name: "altered field", frames: func(s *signer) [][]byte {
			return tamper(s.pair("server", getData), `"user":"client"`, `"user":"clienu"`)
		},
			want: `unsigned {"jsonrpc":"2.0","id":null,"error":{"code":-32040,`, count: "signature"},
		{name: "unknown alg", frames: func(s *signer) [][]byte { return tamper(s.pair("server", getData), `HS256`, `HS512`) },
			want: `unsigned {"jsonrpc":"2.0","id":null,"error":{"code":-32040,`, count: "alg"},
		{name: "misdirected", frames: func(s *signer) [][]byte { return s.pair("somebody", getData) },
			want: `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`, count: "receiver"},
		{name: "call to everybody", frames: func(s *signer) [][]byte { return s.pair("*", getData) },
			want: `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`, count: "receiver"},
		{name: "in my own name", as: "server", frames: func(s *signer) [][]byte { return s.pair("server", getData) }, count: "user"},
		{name: "late", now: func() time.Time { return time.Now().Add(-61 * time.Second) }, frames: func(s *signer) [][]byte { return s.pair("server", getData) },
			want: `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32041,`, count: "stale"},
		{name: "from the future", now: func() time.Time { return time.Now().Add(61 * time.Second) }, frames: func(s *signer) [][]byte { return s.pair("server", getData) },
			want: `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32041,`, count: "stale"},
		{name: "malformed secinfo", frames: func(*signer) [][]byte {
			return [][]byte{[]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":7}}`), []byte(getData)}
		}, closes: true},
		{name: "secinfo with a fourth member", frames: func(s *signer) [][]byte {
			return tamper(s.pair("server", getData), `{"jsonrpc":"2.0","method":"rpc.secinfo"`, `{"x":1,"jsonrpc":"2.0","method":"rpc.secinfo"`)
		}, closes: true, count: "secinfo"},
		{name: "two secinfo in a row", frames: func(s *signer) [][]byte { p := s.pair("server", getData); return [][]byte{p[0], p[0], p[1]} }, closes: true, count: "secinfo"},
		{name: "secinfo inside a batch", frames: func(s *signer) [][]byte {
			return s.pair("server", `[{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"x"}},`+getData+`]`)
		}, want: `signed [{"jsonrpc":"2.0","id":null,"error":{"code":-32600,`},
		{name: "hello with m", frames: func(s *signer) [][]byte {
			return s.pair("server", `{"jsonrpc":"2.0","id":"h1","method":"rpc.hello","params":{"v":"1","kid":"00000000","noise":"XX","m":"AA"}}`)
		}, want: `unsigned {"jsonrpc":"2.0","id":"h1","error":{"code":-32042,`, closes: true},
		{name: "signed garbage", frames: func(s *signer) [][]byte { return s.pair("server", `{"jsonrpc":"2.0",`) },
			want: `signed {"jsonrpc":"2.0","id":null,"error":{"code":-32700,`},
		{name: "signed nonsense", frames: func(s *signer) [][]byte { return s.pair("server", `{"jsonrpc":"2.0","id":3}`) },
			want: `signed {"jsonrpc":"2.0","id":3,"error":{"code":-32600,`},
		{name: "unsigned after signed, on a guest listener too", accept: security.AcceptGuest, frames: func(s *signer) [][]byte {
			return append(s.pair("server", `{"jsonrpc":"2.0","method":"update","params":[]}`), []byte(getData))
		}, want: `unsigned {"jsonrpc":"2.0","id":7,"error":{"code":-32040,`},
		{name: "a claim on a guest listener", accept: security.AcceptGuest, frames: func(*signer) [][]byte {
			return [][]byte{[]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"bob"}}`), []byte(getData)}
		}, want: `unsigned {"jsonrpc":"2.0","id":7,"result":["hello",5]}`},
		{name: "quickrpc's empty claim", accept: security.AcceptGuest, frames: func(*signer) [][]byte {
			return [][]byte{[]byte(`{"jsonrpc": "2.0", "method": "rpc.secinfo", "params": {"user": ""}}`), []byte(getData)}
		}, want: `unsigned {"jsonrpc":"2.0","id":7,"result":["hello",5]}`},
		{name: "a single message where sessions are required", session: true, frames: func(s *signer) [][]byte { return s.pair("server", getData) },
			want: `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32045,`, count: "session"},
		{name: "an unsigned one where sessions are required", session: true, frames: func(*signer) [][]byte { return [][]byte{[]byte(getData)} },
			want: `unsigned {"jsonrpc":"2.0","id":7,"error":{"code":-32040,`, count: "unsigned"},
		{name: "a claim where signatures are required", frames: func(*signer) [][]byte {
			return [][]byte{[]byte(`{"jsonrpc":"2.0","method":"rpc.secinfo","params":{"user":"bob"}}`), []byte(getData)}
		}, want: `unsigned {"jsonrpc":"2.0","id":7,"error":{"code":-32040,`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, keys := keyedPeer(t, func(cfg *peer.Config) {
				if cfg.Accept = max(c.accept, security.AcceptHMAC); c.session {
					cfg.Accept = security.AcceptSession
				}
			})
			if c.keys != nil {
				keys = c.keys
			}
			name := "client"
			if c.as != "" {
				name = c.as
			}
			s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), name, keys)
			if c.now != nil {
				s.now = c.now()
			}
			s.send(c.frames(s)...)
			s.now = time.Time{}
			if c.want != "" {
				if got := s.answer(); !strings.HasPrefix(got, c.want) {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}
			if c.closes {
				s.closed()
			} else if c.as == "" && c.keys == nil && c.accept == 0 && !c.session {
				s.send(s.pair("server", getData)...)
				if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"result"`) {
					t.Errorf("the link does not live on: %s", got)
				}
			}
			if c.count != "" && !eventually(func() bool { return p.Stats().Refused[c.count] > 0 }) {
				t.Errorf("%q is not counted: %v", c.count, p.Stats().Refused)
			}
		})
	}
}

// eventually waits for what another goroutine is about to do.
func eventually(f func() bool) bool {
	for range 500 {
		if f() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestReplay(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	frames := s.pair("server", getData)
	s.send(frames...)
	if got := s.answer(); !strings.Contains(got, `"result"`) {
		t.Fatal(got)
	}
	s.send(frames...)
	if got := s.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("a replay on the same link: %s", got)
	}
	other := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	other.send(frames...)
	if got := other.answer(); !strings.HasPrefix(got, `signed {"jsonrpc":"2.0","id":7,"error":{"code":-32042,`) {
		t.Errorf("a replay on another link: %s", got)
	}
	if n := p.Stats().Refused["replay"]; n != 2 {
		t.Errorf("%d replays were counted", n)
	}
}

func TestThirdFailureCloses(t *testing.T) {
	t.Parallel()
	p, _ := keyedPeer(t)
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.sendText(getData, getData, getData)
	for range 3 {
		c.want(`{"jsonrpc":"2.0","id":7,"error":{"code":-32040}}`)
	}
	c.closed()
}

// TestForgedReply has a member answer a call that was sent to another one.
func TestForgedReply(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	connect := func(name string) *signer {
		s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), name, keys)
		s.send(s.pair("server", getData)...)
		if got := s.answer(); !strings.Contains(got, "result") {
			t.Fatal(got)
		}
		return s
	}
	honest, forger := connect("honest"), connect("forger")
	linked := func(name string) bool {
		for i := range p.Peers() {
			if i.Name == name {
				return true
			}
		}
		return false
	}
	// Both have been asked for a sign of life; their answers make them members.
	for _, s := range []*signer{honest, forger} {
		go func() {
			for {
				frame, err := s.next()
				if err != nil {
					return
				}
				var m codec.Message
				if m.Parse(frame) != nil || m.Kind != codec.Request {
					continue
				}
				id := string(m.ID)
				if string(m.Method) == "rpc.ping" {
					_ = s.try(s.pair("server", `{"jsonrpc":"2.0","id":`+id+`,"result":{}}`)...)
					continue
				}
				if s == honest { // the forger answers first, on its own link and with its own signature
					_ = forger.try(forger.pair("server", `{"jsonrpc":"2.0","id":`+id+`,"result":"forged"}`)...)
					_ = forger.try([]byte(`{"jsonrpc":"2.0","id":` + id + `,"result":"unsigned"}`))
					if !eventually(func() bool { return p.Stats().StrayReply > 0 }) {
						t.Error("the forged answer was not counted")
					}
					_ = s.try(s.pair("server", `{"jsonrpc":"2.0","id":`+id+`,"result":"honest"}`)...)
				}
			}
		}()
	}
	if !eventually(func() bool { return linked("honest") && linked("forger") }) {
		t.Fatal("the clients did not become members")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := p.Request(ctx, nil, "any.thing", api.To("honest"), nil, nil)
	if err != nil || string(got) != `"honest"` {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestGuests(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t, func(c *peer.Config) { c.Accept = security.AcceptGuest })
	type near struct{}
	type far struct{}
	closed := api.Define[near, far]("members", "1", "Not for guests.")
	secret := api.IncomingCall[api.None, int](closed, "secret", "For members.")
	broadcast := api.Outgoing[api.None](closed, "news", "For members.")
	public := api.Outgoing[api.None](closed, "weather", "For everybody.", api.MinRole(api.RoleGuest))
	port := api.Bind(p, closed)
	secret.Handle(port, func(context.Context, api.None) (int, error) { return 1, nil })

	guest := dialClient(t, p.Self().Address, codec.NUL)
	ask := func(method string) string {
		guest.sendText(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method))
		got, err := guest.next()
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	if a, b := ask("members.secret"), ask("members.nosuch"); a != b || !strings.Contains(a, "-32601") {
		t.Errorf("a guest can tell unknown from forbidden: %s, %s", a, b)
	}
	var doc struct {
		Result struct {
			Methods []struct{ Name string }
			APIs    map[string]any `json:"x-apis"`
		}
	}
	if err := json.Unmarshal([]byte(ask("rpc.discover")), &doc); err != nil {
		t.Fatal(err)
	}
	for _, m := range doc.Result.Methods {
		if strings.HasPrefix(m.Name, "members.") {
			t.Errorf("a guest is told of %s", m.Name)
		}
	}
	if _, told := doc.Result.APIs["members"]; told || len(doc.Result.Methods) == 0 {
		t.Errorf("a guest is told of the APIs %v", doc.Result.APIs)
	}
	// A broadcast for members does not go to guests, one for guests does.
	for _, n := range []api.Note[far, near, api.None]{broadcast, public} {
		if _, err := n.Send(t.Context(), port, api.All, api.None{}); err != nil {
			t.Fatal(err)
		}
	}
	guest.want(`{"jsonrpc":"2.0","method":"members.weather"}`)

	member := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	member.send(member.pair("server", `{"jsonrpc":"2.0","id":1,"method":"members.secret"}`)...)
	if got := member.answer(); !strings.Contains(got, `"result":1`) {
		t.Errorf("a member got %s", got)
	}
	policy, err := security.NewPolicy(security.Rule{Principal: "role:member", Deny: []string{"members.*"}})
	if err != nil {
		t.Fatal(err)
	}
	p.SetPolicy(policy)
	member.send(member.pair("server", `{"jsonrpc":"2.0","id":2,"method":"members.secret"}`)...)
	if got := member.answer(); !strings.Contains(got, "-32043") {
		t.Errorf("a member who may not got %s", got)
	}
}

// TestListenOnlyGuest: quickrpc programs may connect, say nothing, and hear.
func TestListenOnlyGuest(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	conn, err := net.Dial("tcp", p.Self().Address)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, conn, codec.NUL)
	if !eventually(func() bool { return len(p.Stats().Refused) == 0 && p.Stats().Links == 1 && peers(p) == 1 }) {
		t.Fatal("the silent guest did not become a peer")
	}
	if _, err := p.Notify(t.Context(), nil, "news.of", api.All, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	c.want(`{"jsonrpc":"2.0","method":"news.of","params":{"a":1}}`)
}

func peers(p *peer.Peer) (n int) {
	for range p.Peers() {
		n++
	}
	return n
}
