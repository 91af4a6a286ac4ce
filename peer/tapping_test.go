package peer

import (
	"testing"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/peer/tap"
)

// tapped is a link with as much of it as taps look at.
func tapped() *link {
	l := &link{p: &Peer{}}
	l.info.Store(&api.Info{Name: "cam1"})
	return l
}

var (
	tappedText = []byte(`{"jsonrpc":"2.0","method":"lab.camera.gain","params":{"db":6}}`)
	tappedItem = item{}
)

// oneMessage is what taps do for a message: when it is queued, sent, received and handled.
func oneMessage(l *link, m *message) {
	tappedItem.about = l.p.aboutNow()
	l.tapSent(&tappedItem, tappedText)
	l.tapReceived(tappedText)
	l.p.tapHandled(m, l.readAt, l.readAt)
}

// TestTapAllocations: a message costs no allocation, whether somebody watches or not.
func TestTapAllocations(t *testing.T) {
	l := tapped()
	if err := l.msg.Parse(tappedText); err != nil || l.msg.Kind != codec.Notification {
		t.Fatal(l.msg.Kind, err)
	}
	m := &message{name: "lab.camera.gain", handling: &handling{sender: l.info.Load()}}
	if n := testing.AllocsPerRun(1000, func() { oneMessage(l, m) }); n != 0 {
		t.Errorf("nobody watches: %v allocations", n)
	}
	l.p.tap.Store(tap.NewRing())
	if n := testing.AllocsPerRun(1000, func() { oneMessage(l, m) }); n != 0 {
		t.Errorf("a tap: %v allocations", n)
	}
}

// BenchmarkTap is what one message costs at both ends together.
func BenchmarkTap(b *testing.B) {
	for name, ring := range map[string]*tap.Ring{"off": nil, "on": tap.NewRing()} {
		b.Run(name, func(b *testing.B) {
			l := tapped()
			if err := l.msg.Parse(tappedText); err != nil {
				b.Fatal(err)
			}
			m := &message{name: "lab.camera.gain", handling: &handling{sender: l.info.Load()}}
			l.p.tap.Store(ring)
			b.ReportAllocs()
			for b.Loop() {
				oneMessage(l, m)
			}
		})
	}
}
