package chromium_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"peermesh/api"
)

// visit opens a site in a tab and waits until it is linked.
func visit(t *testing.T, address string) *tab {
	t.Helper()
	b := open(t, launch(t))
	b.looks(1280, "light")
	b.do(chromedp.Navigate(address))
	b.until(`document.body.dataset.ready === 'yes' && document.body.dataset.link === 'linked'`)
	return b
}

// blameless checks that nothing went wrong in the tab, and that it asked nobody else for anything.
func (b *tab) blameless(origin string) {
	b.t.Helper()
	logged, requests := b.noted()
	for _, url := range requests {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "blob:"+origin) {
			b.t.Errorf("a request to %s", url)
		}
	}
	if len(requests) < 20 {
		b.t.Errorf("there were only %q", requests)
	}
	for _, line := range logged {
		b.t.Errorf("in the console: %s", line)
	}
}

// fill types a value into a field, in place of what is there.
func (b *tab) fill(selector, value string) {
	b.t.Helper()
	if !eval[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.focus(); e.value = %q; return e.dispatchEvent(new Event('input', {bubbles: true})) })()`, selector, value)) {
		b.fatal("it did not take " + value)
	}
}

// key presses a key.
func (b *tab) key(name string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent('keydown', {key: %q, bubbles: true, cancelable: true})) ?? true`, name))
}

// show goes to a pane.
func (b *tab) show(pane string) {
	b.t.Helper()
	b.click(fmt.Sprintf(`[data-tab=%s]`, pane))
	b.until(fmt.Sprintf(`document.querySelector('main').dataset.view === %q`, pane))
}

const (
	count = `Number(document.getElementById('list').dataset.count)`
	kinds = `[...new Set([...document.querySelectorAll('.row')].map((r) => r.dataset.kind))].sort().join(' ')`
)

// TestTraffic: the list fills, filters, pauses, and is used by keys.
func TestTraffic(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	origin, _, _ := strings.Cut(bench.site.Address(), "/#")
	b := visit(t, bench.site.Address())
	if url := eval[string](b, `location.href`); url != origin+"/" {
		t.Errorf("the address is still %s", url)
	}
	bench.talk(t, 6)
	b.until(count + ` >= 24`)
	b.screenshots("traffic")

	// It filters, as peerctl watch does.
	for filter, want := range map[string]string{
		"kind:reply":                     "reply",
		"lab.camera.g*":                  "notify",
		"from:desk to:cam1 *.snap":       "request",
		"kind:request,reply slower:1ms":  "reply",
		"!kind:notify !kind:peer *.snap": "reply request",
		"width":                          "reply",
	} {
		b.fill("#filter", filter)
		b.until(fmt.Sprintf(`%s === %q`, kinds, want))
	}
	b.fill("#filter", "kind:nonsense")
	b.until(`document.getElementById('filterError').textContent.includes('there is no kind')`)
	b.fill("#filter", "nobody says this")
	b.until(count + ` === 0`)
	b.fill("#filter", "")
	b.key("Escape")

	// A pause holds the list, and says how many wait.
	before := eval[int](b, count)
	b.key(" ")
	b.until(`document.getElementById('pause').getAttribute('aria-pressed') === 'true'`)
	bench.talk(t, 3)
	b.until(`Number(document.getElementById('pause').dataset.waiting) >= 12`)
	if n := eval[int](b, count); n != before {
		t.Errorf("%d rows before the pause, %d in it", before, n)
	}
	b.key(" ")
	b.until(fmt.Sprintf(`%s >= %d`, count, before+12))

	// Keys.
	b.key("j")
	b.until(`document.getElementById('drawer') !== null`)
	at := eval[int](b, `Number(document.getElementById('drawer').dataset.seq)`)
	b.key("k")
	b.key("k")
	b.until(fmt.Sprintf(`Number(document.getElementById('drawer').dataset.seq) < %d`, at))
	b.key("Escape")
	b.until(`document.getElementById('drawer') === null`)
	b.key("?")
	b.until(`document.querySelector('dialog').open`)
	b.screenshots("help")
	b.key("Escape")
	b.until(`!document.querySelector('dialog').open`)
	b.key("/")
	b.until(`document.activeElement.id === 'filter'`)

	// A page that is loaded again is still let in, another one is not.
	b.do(chromedp.Navigate(origin + "/"))
	b.until(`document.body.dataset.ready === 'yes' && ` + count + ` >= 36`)
	b.blameless(origin)
	c := open(t, b.ctx)
	c.do(chromedp.Navigate(origin + "/"))
	c.until(`document.body.dataset.link === 'refused'`)
	c.do(chromedp.Navigate(origin + "/#" + strings.Repeat("0", 40)))
	c.until(`document.querySelector('[role=alert]')?.textContent.includes('printed')`)
	once := bench.site.OneTimeAddress()
	d := open(t, b.ctx)
	d.do(chromedp.Navigate(once))
	d.until(`document.body.dataset.link === 'linked'`)
	e := open(t, b.ctx)
	e.do(chromedp.Navigate(once))
	e.until(`document.body.dataset.link === 'refused'`)
	e.screenshots("refused")
}

// TestCall: a form calls a method and shows the reply; a call of all and a broadcast show all receivers.
func TestCall(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	origin, _, _ := strings.Cut(bench.site.Address(), "/#")
	b := visit(t, bench.site.Address())
	b.show("call")
	b.until(`document.querySelector('[data-choose="lab.camera.snap"]') !== null`)
	b.click(`[data-choose="lab.camera.snap"]`)
	b.until(`document.getElementById('raw').value.includes('"exposure_ms": 20')`)

	// The form and the JSON are in step.
	b.fill(`[data-field=exposure_ms]`, "30")
	b.until(`JSON.parse(document.getElementById('raw').value).exposure_ms === 30`)
	b.fill(`#raw`, `{"exposure_ms": 5, "mode": "fine", "labels": ["a"]}`)
	b.until(`document.querySelector('[data-field=exposure_ms]').value === '5' && document.querySelector('[data-field="labels[0]"]').value === 'a'`)
	b.click(`[data-more=labels]`)
	b.until(`JSON.parse(document.getElementById('raw').value).labels.length === 2`)
	b.click(`[data-add=crop]`)
	b.until(`JSON.stringify(JSON.parse(document.getElementById('raw').value).crop) === '{"width":0,"height":0}'`)
	b.screenshots("form")
	b.fill(`#raw`, `{"exposure_ms": `)
	b.until(`document.getElementById('send').disabled`)
	b.fill(`#raw`, `{"exposure_ms": 7}`)

	// To all, answers side by side.
	b.click("#send")
	b.until(`document.querySelectorAll('[data-answer][data-state=ok]').length === 2 && document.getElementById('answers').dataset.done === 'true'`)
	b.screenshots("answers")
	if got := b.text(`[data-answer=cam2]`); !strings.Contains(got, `"by": "cam2"`) {
		t.Errorf("cam2: %s", got)
	}
	// To one.
	b.click(`[data-target=cam1]`)
	b.click("#send")
	b.until(`document.querySelectorAll('[data-answer]').length === 1 && document.querySelector('[data-answer=cam2][data-state=ok]') !== null`)

	// Against the schema, and all the same.
	b.fill(`#raw`, `{"exposure_ms": 7000}`)
	b.click("#send")
	b.until(`document.getElementById('anyway') !== null`)
	b.click("#anyway")
	b.until(`document.querySelector('[data-answer=cam2][data-state=error]') !== null`)

	// An error with its data, without what looks like a secret.
	b.click(`[data-choose="lab.camera.fail"]`)
	b.until(`document.querySelector('.composer').dataset.method === 'lab.camera.fail'`)
	b.click("#send")
	b.until(`document.querySelectorAll('[data-answer][data-state=error]').length === 2`)
	if got := b.text(`[data-answer=cam1]`); !strings.Contains(got, "the shutter is stuck") || !strings.Contains(got, "shutter") || strings.Contains(got, "hush") {
		t.Errorf("cam1: %s", got)
	}

	// A broadcast.
	b.click(`[data-choose="lab.camera.gain"]`)
	b.until(`document.getElementById('send').textContent === 'Broadcast'`)
	b.fill(`[data-field=db]`, "6")
	b.click("#send")
	b.until(`document.querySelectorAll('[data-answer][data-state=ok]').length === 2`)
	b.show("traffic")
	b.until(`[...document.querySelectorAll('.row[data-method="lab.camera.gain"]')].some((r) => r.textContent.includes('all (2)') && r.textContent.includes('db=6'))`)
	b.blameless(origin)
}

// TestMessage: a message in full, and what can be done with it.
func TestMessage(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	origin, _, _ := strings.Cut(bench.site.Address(), "/#")
	b := visit(t, bench.site.Address())
	bench.talk(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, r := range snap.CallEach(ctx, bench.view, api.All, snapParams{ExposureMS: 30}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	_, _ = fail.Call(ctx, bench.view, api.To("cam2"), api.None{}) // it fails
	b.until(`document.querySelector('.row[data-kind=error]') !== null`)
	pick := func(filter string) {
		t.Helper()
		b.key("Escape")
		b.fill("#filter", filter)
		b.key("Escape")
		b.until(count + ` > 0`)
		eval[bool](b, `(document.querySelector('.row:last-child').click(), true)`)
		b.until(`document.getElementById('drawer') !== null`)
	}
	pick("kind:reply")
	b.until(`document.querySelector('#outcome').textContent.includes('asked 2, 2 answered')`)
	b.until(`document.querySelectorAll('#drawer .split i').length >= 2`)
	b.screenshots("reply")

	// Secrets are hidden until they are asked for, also from what is copied.
	eval[bool](b, `(navigator.clipboard.writeText = async (text) => { window.copied = text }, true)`)
	pick(`kind:request to:cam1 api_key`)
	if got := b.text("#drawer"); !strings.Contains(got, "•••") || strings.Contains(got, "hush") {
		t.Errorf("the secret: %s", got)
	}
	b.click("#copyCommand")
	b.until(`window.copied === "peerctl --mesh bench call lab.camera.snap exposure_ms=7 'api_key=•••' --to cam1"`)
	b.click("#copyGo")
	b.until("window.copied.startsWith('result, err := p.Request(ctx, nil, \"lab.camera.snap\", api.To(\"cam1\")')")
	b.click("#edit")
	b.until(`document.querySelector('.toast').textContent.includes('hidden')`)
	b.click("#reveal")
	b.until(count + ` > 0`)
	pick(`kind:request to:cam1 hush-hush`)
	b.click("#copyJSON")
	b.until(`window.copied.includes('"api_key": "hush-hush"')`)
	b.until(`document.querySelector('.diff').textContent.includes('exposure_ms')`)

	// It is sent again, and again with another value.
	before := eval[int](b, count)
	b.click("#resend")
	b.until(fmt.Sprintf(`%s === %d`, count, before+1))
	b.click("#edit")
	b.until(`document.querySelector('main').dataset.view === 'call' && document.getElementById('raw') !== null && document.getElementById('raw').value.includes('hush-hush')`)
	b.fill(`[data-field=exposure_ms]`, "3")
	b.click("#send")
	b.until(`document.querySelectorAll('[data-answer]').length === 1 && document.querySelector('[data-answer=cam1][data-state=ok]') !== null`)
	b.show("traffic")
	b.fill("#filter", "errors")
	pick("errors")
	b.until(`document.querySelector('#drawer .failure').textContent.includes('the shutter is stuck')`)
	b.screenshots("error")
	b.click("#save")
	b.until(`document.querySelector('.toast').textContent.includes('saved')`)
	b.blameless(origin)
}
