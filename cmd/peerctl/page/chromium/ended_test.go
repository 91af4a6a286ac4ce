package chromium_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// TestEnded: the page says who stays silent, that the peer has ended, and that peerctl has; what was said stays.
func TestEnded(t *testing.T) {
	t.Parallel()
	mesh := newFlood()
	ln, err := page.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	site, err := page.New(ln, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	wg.Go(func() { _ = site.Run(ctx) })
	b := visit(t, site.Address())
	<-mesh.ready
	at := time.Now().UTC()
	mesh.f(&tap.Record{T: at, Kind: "request", Method: "lab.snap", From: "desk", To: []string{"cam1", "stage"}, ID: json.RawMessage("7"), Conv: "desk/7"})
	mesh.f(&tap.Record{T: at.Add(time.Millisecond), Kind: "reply", Method: "lab.snap", From: "cam1", To: []string{"desk"}, ID: json.RawMessage("7"), Conv: "desk/7", MS: 1, Dropped: 5})
	b.until(count + ` === 2`)
	eval[bool](b, `(document.querySelector('.row[data-kind=request]').click(), true)`)
	b.until(`document.querySelector('[data-silent=stage]') !== null && document.querySelector('#outcome').textContent.includes('asked 2, 1 answered')`)
	b.until(`document.querySelector('[data-lost="5"]') !== null`)
	close(mesh.done)
	b.until(`document.body.dataset.link === 'ended' && document.getElementById('link').textContent.includes('the peer has ended')`)
	cancel()
	b.until(`document.getElementById('link').textContent.includes('peerctl has ended')`)
	b.screenshots("ended")
	if n := eval[int](b, count); n != 2 {
		t.Errorf("%d rows are left", n)
	}
}
