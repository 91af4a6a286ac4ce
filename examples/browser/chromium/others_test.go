package chromium_test

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"

	"peermesh/api"
	"peermesh/examples/browser/page"
	"peermesh/examples/internal/console"
	"peermesh/peer"
	"peermesh/peer/transport"
	"peermesh/security"
)

//go:embed testdata/attack.js
var attackJS string

// The API of the peer that is attacked is open to everybody: nothing but the gate is between it and the pages.
type (
	victim   struct{}
	attacker struct{}
)

var (
	openAPI = api.Define[victim, attacker]("open", "1", "For everybody.")
	ask     = api.IncomingCall[api.None, string](openAPI, "ask", "Ask.", api.MinRole(api.RoleGuest))
	tell    = api.Incoming[api.None](openAPI, "tell", "Tell.", api.MinRole(api.RoleGuest))
)

// startVictim starts a peer that lets pages of these origins in.
func startVictim(t *testing.T, keys *security.Keyring, origins ...string) (p *peer.Peer, ran *atomic.Int32) {
	t.Helper()
	p, err := peer.New(peer.Config{Name: "victim", Keys: keys, Throwaway: true, Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true,
		Accept: security.AcceptGuest, Origins: origins})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	ran = new(atomic.Int32)
	port := api.Bind(p, openAPI)
	ask.Handle(port, func(context.Context, api.None) (string, error) { ran.Add(1); return "an answer", nil })
	tell.Handle(port, func(context.Context, api.None) error { ran.Add(1); return nil })
	if err := p.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, ran
}

func keyring(t *testing.T) *security.Keyring {
	t.Helper()
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

const attackHTML = `<!doctype html><link rel="icon" href="data:,"><title>attack</title><body><script>%s</script>`

// startAttacker serves the attacking page, and returns its port.
func startAttacker(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, attackHTML, attackJS)
	}))
	t.Cleanup(s.Close)
	return s.URL[strings.LastIndex(s.URL, ":")+1:]
}

func token(t *testing.T, p *peer.Peer, origin string) string {
	t.Helper()
	token, err := p.BrowserToken(origin)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// refusals waits until p has refused n more than before for this reason, and demands that there was no other.
func refusals(t *testing.T, what string, p *peer.Peer, before map[string]uint64, reason string, n uint64) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(console.Patience); ; <-tick.C {
		now := p.Stats().Refused
		if now[reason]-before[reason] >= n || time.Now().After(end) {
			for _, r := range slices.Sorted(maps.Keys(now)) {
				if d := now[r] - before[r]; r != reason && d > 0 || r == reason && d != n {
					t.Errorf("%s: %d were refused as %q; want %d as %q", what, d, r, n, reason)
				}
			}
			return
		}
	}
}

// TestOtherPages has pages of other origins try to reach a peer in whatever ways pages have: nothing runs, and all of it
// is counted.
func TestOtherPages(t *testing.T) {
	t.Parallel()
	browser := launch(t)
	theirs := startAttacker(t)
	listed := "http://127.0.0.1:" + startAttacker(t)
	keys := keyring(t)
	bare, bareRan := startVictim(t, keys) // as it is by default
	p, ran := startVictim(t, keys, listed)

	for _, v := range []struct {
		name string
		*peer.Peer
	}{{"without origins", bare}, {"with an origin", p}} {
		addr := v.Self().Address
		port := addr[strings.LastIndex(addr, ":")+1:]
		tokens := func() string {
			if v.Peer == bare {
				return "[]"
			}
			return fmt.Sprintf("[%q]", token(t, p, listed)) // it has leaked
		}
		type attack struct{ from, host, reason string }
		var attacks []attack
		for _, name := range []string{"127.0.0.1", "localhost", "evil.example"} {
			from := "http://" + name + ":" + theirs
			for _, host := range []string{"127.0.0.1:" + port, "localhost:" + port} {
				attacks = append(attacks, attack{from, host, "new: origin"})
			}
			attacks = append(attacks, attack{from, "evil.example:" + port, "new: host"})
		}
		if v.Peer == bare {
			attacks = append(attacks, attack{listed, addr, "new: origin"})
		}
		for _, a := range attacks {
			b := open(t, browser)
			b.do(chromedp.Navigate(a.from))
			what := fmt.Sprintf("%s: from %s to %s", v.name, a.from, a.host)
			before := v.Stats().Refused
			use := tokens()
			got := eval[[]string](b, fmt.Sprintf(`sockets(%q, %s)`, a.host, use))
			for _, outcome := range got {
				if outcome != "refused" {
					t.Errorf("%s: a WebSocket: %s", what, outcome)
				}
			}
			refusals(t, what, v.Peer, before, a.reason, uint64(len(got)))

			before = v.Stats().Refused
			got = eval[[]string](b, fmt.Sprintf(`posts(%q)`, a.host))
			if want := []string{"refused", "refused", "refused", "unreadable", "unreadable", "refused", "unreadable"}; !slices.Equal(got, want) {
				t.Errorf("%s: POST: %q", what, got)
			}
			refusals(t, what, v.Peer, before, a.reason, uint64(len(got)))
		}

		// Pages whose origin is null: in a sandbox, and made of a data: URL.
		script := fmt.Sprintf(`(async () => parent.postMessage({sockets: await sockets(%q, %%s), posts: await posts(%q)}, '*'))()`, addr, addr)
		for name, frame := range map[string]func(html string) string{
			"sandbox": func(html string) string {
				return fmt.Sprintf(`elsewhere({sandbox: 'allow-scripts allow-forms', srcdoc: atob(%q)})`, base64.StdEncoding.EncodeToString([]byte(html)))
			},
			"data": func(html string) string {
				return fmt.Sprintf(`elsewhere({src: 'data:text/html;base64,%s'})`, base64.StdEncoding.EncodeToString([]byte(html)))
			},
		} {
			b := open(t, browser)
			b.do(chromedp.Navigate("http://127.0.0.1:" + theirs))
			before := v.Stats().Refused
			html := fmt.Sprintf(attackHTML, attackJS+fmt.Sprintf(script, tokens()))
			got := eval[struct {
				Origin         string   `json:"origin"`
				Sockets, Posts []string // of encoding/json's kind
			}](b, frame(html))
			if got.Origin != "null" || len(got.Sockets) < 2 || slices.ContainsFunc(got.Sockets, func(s string) bool { return s != "refused" }) || len(got.Posts) < 5 {
				t.Errorf("%s: %s: %+v", v.name, name, got)
			}
			refusals(t, v.name+": "+name, v.Peer, before, "new: origin", uint64(len(got.Sockets)+len(got.Posts)))
		}

		// DNS rebinding, complete: the page came from the attacker's server, and then its name and port are the peer's.
		// So its requests go to its own origin, and there is no preflight.
		b := open(t, browser)
		own := "evil.example:" + port
		b.serve("http://"+own+"/", fmt.Sprintf(attackHTML, attackJS))
		b.do(chromedp.Navigate("http://" + own + "/"))
		before := v.Stats().Refused
		got := append(eval[[]string](b, fmt.Sprintf(`sockets(%q, %s)`, own, tokens())), eval[[]string](b, fmt.Sprintf(`posts(%q)`, own))...)
		for _, outcome := range got {
			if outcome != "refused" && outcome != "unreadable" && outcome != "403 this host name is not served here\n" {
				t.Errorf("%s: rebound: %s", v.name, outcome)
			}
		}
		refusals(t, v.name+": rebound", v.Peer, before, "new: host", uint64(len(got)))
	}
	if n := bareRan.Load() + ran.Load(); n > 0 {
		t.Errorf("handlers ran %d times", n)
	}
}

// serve answers the tab's next request for url in the place of the server there.
func (b *tab) serve(url, html string) {
	b.t.Helper()
	b.do(send(fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: url}}}))
	paused := chromedp.Events(b.ctx, fetch.RequestPaused)
	go func() { // ends with the tab
		for e, err := range paused {
			if err != nil {
				return
			}
			_, _ = chromedp.Call(b.ctx, fetch.FulfillRequest, fetch.FulfillRequestParams{RequestID: e.RequestID, ResponseCode: 200, Body: []byte(html),
				ResponseHeaders: []*fetch.HeaderEntry{{Name: "Content-Type", Value: "text/html; charset=utf-8"}}}) // the page will be missing
		}
	}()
}

// TestTokens has a page of a listed origin come in, with a token that is good. Those that are used, expired, or made for
// another page let nobody in.
func TestTokens(t *testing.T) {
	t.Parallel()
	browser := launch(t)
	one, two := "http://127.0.0.1:"+startAttacker(t), "http://127.0.0.1:"+startAttacker(t)
	p, ran := startVictim(t, keyring(t), one, two)
	addr := p.Self().Address
	expires := time.Now().Add(transport.TokenTTL)
	old := token(t, p, one)
	page1, page2 := open(t, browser), open(t, browser)
	page1.do(chromedp.Navigate(one))
	page2.do(chromedp.Navigate(two))
	connect := func(b *tab, protocols ...string) string {
		t.Helper()
		return eval[string](b, fmt.Sprintf(`socket('ws://%s/mesh', %s)`, addr, list(append(protocols, transport.Subprotocol))))
	}

	good := token(t, p, one)
	if got := connect(page1, "auth."+good); !strings.HasPrefix(got, "got ") || !strings.Contains(got, "an answer") || ran.Load() != 2 {
		t.Fatalf("a good token: %s, %d handlers ran", got, ran.Load())
	}
	foreign := token(t, p, two)
	for _, c := range []struct {
		name      string
		page      *tab
		protocols []string
	}{
		{"none", page1, nil},
		{"used", page1, []string{"auth." + good}},
		{"used, by the other", page2, []string{"auth." + good}},
		{"the other's", page1, []string{"auth." + foreign}},
		{"its own, after the other used it", page2, []string{"auth." + foreign}},
		{"made up", page1, []string{"auth." + strings.Repeat("A", 43)}},
		{"without prefix", page1, []string{token(t, p, one)}},
		{"two", page1, []string{"auth." + token(t, p, one), "auth." + token(t, p, one)}},
	} {
		before := p.Stats().Refused
		if got := connect(c.page, c.protocols...); got != "refused" {
			t.Errorf("%s: %s", c.name, got)
		}
		refusals(t, c.name, p, before, "new: token", 1)
	}
	before := p.Stats().Refused
	if got := eval[[]string](page1, fmt.Sprintf(`posts(%q)`, addr)); len(got) < 5 || strings.Contains(strings.Join(got, ""), "answer") {
		t.Errorf("POST: %q", got)
	} else {
		refusals(t, "POST", p, before, "new: origin", uint64(len(got)))
	}
	select { // a minute must have passed, and nothing tells when it has
	case <-time.After(time.Until(expires)):
	case <-t.Context().Done():
	}
	before = p.Stats().Refused
	if got := connect(page1, "auth."+old); got != "refused" {
		t.Errorf("expired: %s", got)
	}
	refusals(t, "expired", p, before, "new: token", 1)
	if n := ran.Load(); n != 2 {
		t.Errorf("handlers ran %d times", n)
	}
}

func list(texts []string) string { return `["` + strings.Join(texts, `","`) + `"]` }

// TestSite: a page of another origin gets nothing from the site that hands out keys, and cannot frame it.
func TestSite(t *testing.T) {
	t.Parallel()
	browser := launch(t)
	ln, origin, err := page.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	keys := keyring(t)
	p, ran := startVictim(t, keys, origin)
	links := make(chan string, 10)
	s := &http.Server{Handler: page.New(p, keys, origin, func(link string) { links <- link })}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-served })
	secret := strings.TrimPrefix(<-links, origin+"/#")

	port := origin[strings.LastIndex(origin, ":"):]
	theirs := startAttacker(t)
	for _, from := range []string{"http://127.0.0.1:" + theirs, "http://localhost:" + theirs, "http://evil.example:" + theirs} {
		for _, to := range []string{origin, "http://localhost" + port, "http://evil.example" + port} {
			b := open(t, browser)
			b.do(chromedp.Navigate(from))
			for _, expr := range []string{
				`request('%s/')`,
				`request('%s/peer.js')`,
				`request('%s/key', {method: 'POST'})`,
				`request('%s/key', {method: 'POST', headers: {Authorization: 'Bearer ` + strings.Repeat("A", 43) + `'}})`,
				`request('%s/key', {method: 'POST', headers: {Authorization: 'Bearer ` + secret + `'}})`, // even if it had leaked
				`load('script', {src: '%s/peer.js'})`,
				`load('link', {rel: 'stylesheet', href: '%s/style.css'}, document.head)`,
				`load('img', {src: '%s/icon.svg'})`,
			} {
				expr = fmt.Sprintf(expr, to)
				if got := eval[string](b, expr); got != "refused" {
					t.Errorf("%s: %s: %s", from, expr, got)
				}
			}
			if got := eval[string](b, fmt.Sprintf(`request('%s/key', {method: 'POST', mode: 'no-cors'})`, to)); got != "unreadable" && got != "refused" {
				t.Errorf("%s: to %s: %s", from, to, got)
			}
			eval[string](b, fmt.Sprintf(`load('iframe', {src: '%s/'})`, to)) // the browser says that an error page is loaded
			if to == origin {
				b.waitLogged("frame-ancestors 'none'")
			}
		}
	}
	if n := keys.Len(); n != 1 || len(links) != 0 || ran.Load() != 0 {
		t.Errorf("%d keys, %d links", n, len(links))
	}
	b := open(t, browser) // the page itself still gets in
	b.do(chromedp.Navigate(origin + "/#" + secret))
	b.until(`document.body.dataset.link === 'linked'`)
}

// waitLogged waits for a line in the console.
func (b *tab) waitLogged(part string) {
	b.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(console.Patience); ; <-tick.C {
		logged, _ := b.noted()
		if slices.ContainsFunc(logged, func(line string) bool { return strings.Contains(line, part) }) {
			return
		}
		if time.Now().After(end) {
			b.fatal("nothing was logged of " + part)
		}
	}
}
