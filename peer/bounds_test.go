package peer_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"peermesh/codec"
)

// TestUnverifiedBytes: messages whose sender is not known yet may be large when they name a key of ours, but only so
// many of them at once, over all links.
func TestUnverifiedBytes(t *testing.T) {
	t.Parallel()
	p, keys := keyedPeer(t)
	var links []*signer
	for range 6 {
		s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
		links = append(links, s)
		frames := s.pair("server", getData)
		s.send(frames[0])
		_, _ = s.conn.Write(bytes.Repeat([]byte{'['}, 4<<20-1)) // the ones beyond the bound are cut off in it
	}
	closed := 0
	for _, s := range links {
		if _, err := s.conn.Write([]byte{0}); err != nil {
			closed++
			continue
		}
		// Those that were taken get their answer: no such signature, or no JSON.
		if frame, err := s.next(); err != nil {
			closed++
		} else if !strings.Contains(string(frame), `"error"`) {
			t.Errorf("answered %.100s", frame)
		}
	}
	if closed == 0 || closed == len(links) {
		t.Errorf("%d of %d links of 4 MiB were closed; want those beyond 16 MiB", closed, len(links))
	}
	s := newSigner(t, dialClient(t, p.Self().Address, codec.NUL), "client", keys)
	s.send(s.pair("server", getData)...)
	if got := s.answer(); !strings.Contains(got, `"result"`) {
		t.Errorf("afterwards: %s", got)
	}
}

// TestTooManyHellos: introductions are bounded for each address, after a burst.
func TestTooManyHellos(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	const n = 200
	for i := range n {
		c.sendText(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"rpc.hello","params":{"v":"1","id":%q,"name":"client","boot":%q}}`, i, clientID, clientBoot))
	}
	busy := 0
	for answers := 0; answers < n; {
		frame, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		var m codec.Message
		if m.Parse(frame) != nil || m.Kind != codec.Response && m.Kind != codec.ErrorReply {
			continue
		}
		answers++
		if strings.Contains(string(frame), "-32044") {
			busy++
		}
	}
	if busy < n/4 || busy > n-64 {
		t.Errorf("%d of %d were busy", busy, n)
	}
}
