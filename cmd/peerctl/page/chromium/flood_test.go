package chromium_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// What 5,000 records a second may cost, whatever the time: of this process's heap, and of the tab's. README.md has what
// was measured.
const (
	perSecond = 5000
	goHeapMB  = 192
	jsHeapMB  = 128
	answers   = 5 * time.Second // that the tab takes at most to say something, on a busy machine
)

// say hands the site n records of a second: questions, answers, notifications.
func (f *flood) say(n int, at time.Time, from uint64) {
	f.mu.Lock()
	g := f.f
	f.mu.Unlock()
	for i := range n {
		k := from + uint64(i)
		r := &tap.Record{V: 1, T: at.Add(time.Duration(i) * time.Microsecond), N: k, Method: fmt.Sprintf("lab.camera.m%d", k/3%20), From: "desk", To: []string{"cam1"},
			Bytes: 200, Via: "tcp", Sec: &tap.Sec{Alg: "S-HS256", Sealed: true, User: "desk", OK: true}, SeenBy: "desk"}
		switch k % 3 {
		case 0:
			r.Kind, r.All, r.Params = "notify", true, json.RawMessage(fmt.Sprintf(`{"seq":%d,"mean":0.%d,"text":"what a camera has to say of a frame%s","token":"hush"}`, k, k%100, f.more))
		case 1:
			r.Kind, r.ID, r.Conv = "request", json.RawMessage(fmt.Sprint(k)), fmt.Sprintf("desk/%d", k)
			r.Params = json.RawMessage(`{"exposure_ms":20,"mode":"fine","crop":{"width":640,"height":480}}`)
		case 2:
			r.Kind, r.From, r.To, r.ID, r.Conv = "reply", "cam1", []string{"desk"}, json.RawMessage(fmt.Sprint(k-1)), fmt.Sprintf("desk/%d", k-1)
			r.MS, r.QueueMS, r.NetMS, r.WaitMS, r.HandlerMS = 5+float64(k%100), .1, .2, .1, 4+float64(k%100)
			r.Result = json.RawMessage(fmt.Sprintf(`{"width":640,"height":480,"seq":%d}`, k))
		}
		g(r)
	}
}

// metric returns one of the browser's own figures of a tab.
func (b *tab) metric(name string) float64 {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	got, err := chromedp.Run(ctx, chromedp.Action[performance.GetMetricsResult](func(ctx context.Context, t *chromedp.Target) (performance.GetMetricsResult, error) {
		return cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
	}))
	if err != nil {
		b.fatal(err)
	}
	for _, m := range got.Metrics {
		if m.Name == name {
			return m.Value
		}
	}
	b.fatal("no metric " + name)
	return 0
}

// TestFlood: 5,000 records a second for ten seconds, or for $PAGE_FLOOD, stay within the bounds; with $PAGE_FLOOD_BYTES, a
// third of them with as much more text.
func TestFlood(t *testing.T) {
	length := 10 * time.Second
	if s := os.Getenv("PAGE_FLOOD"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	mesh := newFlood()
	if n, err := strconv.Atoi(os.Getenv("PAGE_FLOOD_BYTES")); err == nil {
		mesh.more = strings.Repeat("x", n)
	}
	site := serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }})
	origin, _, _ := strings.Cut(site.Address(), "/#")
	b := visit(t, site.Address())
	b.do(send(performance.Enable, performance.EnableParams{}))
	<-mesh.ready
	var js, goHeap, slowest float64
	busy := b.metric("TaskDuration")
	stop := make(chan struct{})
	done := make(chan uint64)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		began, n := time.Now(), uint64(0)
		for {
			select {
			case now := <-tick.C:
				want := uint64(now.Sub(began).Seconds() * perSecond)
				mesh.say(int(want-n), now.UTC(), n)
				n = want
			case <-stop:
				done <- n
				return
			}
		}
	}()
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(500 * time.Millisecond) { // between two looks
		began := time.Now()
		eval[bool](b, `true`)
		slowest = max(slowest, time.Since(began).Seconds())
		js = max(js, b.metric("JSHeapUsedSize"))
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		goHeap = max(goHeap, float64(m.HeapAlloc))
	}
	close(stop)
	said := <-done
	const mb = 1 << 20
	t.Logf("%d records in %s: Go heap %.0f MiB, JS heap %.0f MiB at most; the tab was busy for %.0f %% of the time and answered within %.0f ms",
		said, length, goHeap/mb, js/mb, 100*(b.metric("TaskDuration")-busy)/length.Seconds(), slowest*1000)
	if goHeap > goHeapMB*mb || js > jsHeapMB*mb {
		t.Errorf("the bounds are %d and %d MiB", goHeapMB, jsHeapMB)
	}
	if slowest > answers.Seconds() {
		t.Errorf("the tab took %.0f ms to answer", slowest*1000)
	}
	b.until(count + ` >= 10000 && Number(document.getElementById('list').dataset.drawn) <= 200`)
	// The newest one came through, and whatever did not is counted.
	b.until(fmt.Sprintf(`Number(document.querySelector('.row:last-child').dataset.seq) === %d`, said))
	t.Logf("the page has missed %s", eval[string](b, `document.querySelector('.counts').dataset.missing`))
	b.show("timeline")
	b.until(`Number(document.getElementById('timeline').dataset.bars) >= 0`)
	b.show("rates")
	b.until(`document.querySelectorAll('#methods tbody tr').length === 40`)
	b.blameless(origin)
}
