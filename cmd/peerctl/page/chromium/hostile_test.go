package chromium_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// TestHostileTexts: what peers say is text, whatever it looks like, wherever it is shown.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	mesh := newFlood()
	site := serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }})
	origin, _, _ := strings.Cut(site.Address(), "/#")
	b := visit(t, site.Address())
	<-mesh.ready
	evil := `<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>`
	text, err := json.Marshal(map[string]any{evil: []any{evil, map[string]string{"javascript:alert(1)": "\u202egnp.exe\u0000"}}, "__proto__": 1, "constructor": evil})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC()
	say := func(r tap.Record) {
		r.V, r.T = 1, at
		mesh.mu.Lock()
		f := mesh.f
		mesh.mu.Unlock()
		f(&r)
	}
	say(tap.Record{Kind: "request", Method: evil, From: evil, To: []string{evil, "cam1"}, ID: json.RawMessage(`"x"`), Conv: evil, Params: text})
	say(tap.Record{Kind: "reply", Method: evil, From: "cam1", To: []string{evil}, ID: json.RawMessage(`"x"`), Conv: evil, Result: text, MS: 3})
	say(tap.Record{Kind: "error", Method: evil, From: evil, To: []string{evil}, ID: json.RawMessage(`"x"`), Conv: evil, Message: evil, Data: text, Code: 7})
	say(tap.Record{Kind: "peer", Event: "refused", Peer: evil, Address: evil, Reason: evil, APIs: []string{evil}})
	say(tap.Record{Kind: "security", From: evil, Reason: evil})
	say(tap.Record{Kind: "note", Text: evil, Params: json.RawMessage(strings.Repeat("[", 5000))})
	say(tap.Record{Kind: "notify", Method: "lab.deep", From: "cam1", To: []string{"desk"}, Params: json.RawMessage(strings.Repeat("[", 900) + strings.Repeat("]", 900))})
	b.until(count + ` === 7`)
	for i := range 7 {
		eval[bool](b, fmt.Sprintf(`(document.querySelector('.row[data-seq="%d"]').click(), true)`, i+1))
		b.until(fmt.Sprintf(`document.getElementById('drawer').dataset.seq === '%d'`, i+1))
	}
	eval[bool](b, `(document.querySelector('.row[data-seq="2"]').click(), true)`)
	b.until(`document.getElementById('drawer').textContent.includes('<img src=x')`)
	for _, pane := range []string{"timeline", "mesh", "rates", "call", "doctor"} {
		b.show(pane)
	}
	b.until(`document.querySelectorAll('img, #app script, iframe, object').length === 0 && !document.title.includes('broken')`)
	b.blameless(origin)
}

// TestOtherSites: pages of other sites, and names that are pointed here, get nothing and move nothing.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	mesh := newFlood()
	site := serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }})
	origin, token, _ := strings.Cut(site.Address(), "/#")
	_, port, _ := strings.Cut(strings.TrimPrefix(origin, "http://"), ":")
	b := visit(t, site.Address())
	base := eval[string](b, `sessionStorage.base`)

	cookies := make(chan string, 100)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies <- r.Header.Get("Cookie")
		w.Header().Set("Content-Type", "text/html")
	}))
	defer other.Close()
	c := open(t, b.ctx)
	b.do(chromedp.Navigate(other.URL)) // the same browser, which has the cookie
	try := func(who *tab, what, expr string) {
		t.Helper()
		if got := eval[string](who, expr); got != "refused" {
			t.Errorf("%s: %s", what, got)
		}
	}
	reads := func(url, options string) string {
		return fmt.Sprintf(`fetch(%q, %s).then((r) => r.text(), () => 'refused')`, url, options)
	}
	try(b, "reading the page", reads(origin+"/", "{}"))
	try(b, "reading the stream", reads(origin+base+"docs", "{credentials: 'include'}"))
	try(b, "calling", reads(origin+base+"call", `{method: 'POST', credentials: 'include', body: '{"method":"x","to":["cam1"]}'}`))
	try(b, "logging in with the token", reads(origin+"/login", fmt.Sprintf(`{method: 'POST', headers: {Authorization: 'Bearer %s'}}`, token)))
	try(b, "a frame", fmt.Sprintf(`new Promise((done) => { const f = document.createElement('iframe'); f.src = %q; f.onload = () => { try { done(f.contentDocument ? 'its own' : 'refused') } catch { done('refused') } }; document.body.append(f) })`, origin+"/"))
	for len(cookies) > 0 {
		if got := <-cookies; strings.Contains(got, "peerctl-") {
			t.Errorf("another port was sent the cookie %s", got)
		}
	}
	// A name that is pointed here is of the same origin as itself, and gets no further.
	c.do(chromedp.Navigate("http://evil.example:" + port + "/"))
	if got := c.text("body"); !strings.Contains(got, "not served here") {
		t.Errorf("a rebound name: %s", got)
	}
	if got := eval[int](c, fmt.Sprintf(`fetch('/login', {method: 'POST', headers: {Authorization: 'Bearer %s'}}).then((r) => r.status)`, token)); got != 403 {
		t.Errorf("a rebound name logs in: %d", got)
	}
}

// names finds what a screen reader could not name, and pictures without a text.
const names = `(() => {
	const named = (e) => (e.getAttribute('aria-label') ?? '').trim() || (e.labels?.length && [...e.labels].some((l) => l.textContent.trim())) || e.closest('label')?.textContent.trim() || (e.tagName === 'BUTTON' || e.tagName === 'A' ? e.textContent.trim() : '') || e.getAttribute('aria-labelledby')
	const wrong = [...document.querySelectorAll('button, a, input, select, textarea, [role=img], [role=listbox], [role=region], dialog')].filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 120))
	const ids = [...document.querySelectorAll('[id]')].map((e) => e.id)
	return [...wrong, ...ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => 'twice: ' + id)].join('\n')
})()`

// TestNames: all that is used has a name, in each pane.
func TestNames(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	b := visit(t, bench.site.Address())
	bench.talk(t, 2)
	b.until(count + ` >= 8`)
	eval[bool](b, `(document.querySelector('.row[data-kind=reply]').click(), true)`)
	b.until(`document.getElementById('drawer') !== null`)
	for _, pane := range []string{"traffic", "timeline", "mesh", "rates", "call", "doctor"} {
		b.show(pane)
		if pane == "call" {
			b.click(`[data-choose="lab.camera.snap"]`)
			b.until(`document.querySelector('[data-add=labels]') !== null`)
			b.fill(`#raw`, `{"labels": ["a"], "crop": {"width": 1, "height": 2}}`)
			b.until(`document.querySelector('[data-field="labels[0]"]') !== null`)
		}
		if got := eval[string](b, names); got != "" {
			t.Errorf("%s:\n%s", pane, got)
		}
	}
}
