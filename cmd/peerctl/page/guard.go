package page

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// guard decides who gets what.
type guard struct {
	origin, policy string
	token          string // in the printed address
	base           string // the path of all that is not public
	cookie, value  string
	cross          *http.CrossOriginProtection

	mu    sync.Mutex
	spare map[[sha256.Size]byte]time.Time // tokens that are good once, and until when
}

// onceFor is how long a token for one use is good.
const onceFor = time.Minute

func newGuard(origin, policy string) *guard {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(origin, "http://"))
	return &guard{origin: origin, policy: policy, token: secret(), base: "/m/" + secret() + "/", cookie: "peerctl-" + port, value: secret(),
		cross: http.NewCrossOriginProtection(), spare: map[[sha256.Size]byte]time.Time{}}
}

func secret() string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

// once makes a token for one use.
func (g *guard) once() string {
	token := secret()
	g.mu.Lock()
	defer g.mu.Unlock()
	for t, end := range g.spare {
		if time.Now().After(end) {
			delete(g.spare, t)
		}
	}
	g.spare[sha256.Sum256([]byte(token))] = time.Now().Add(onceFor)
	return token
}

// admit sets the headers that every answer has, and either answers (then ok is false) or returns what is asked for:
// nothing for a public file, else the path below base.
func (g *guard) admit(w http.ResponseWriter, r *http.Request) (rest string, ok bool) {
	h := w.Header()
	h.Set("Content-Security-Policy", g.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	if !g.host(r.Host) {
		http.Error(w, "this host name is not served here", http.StatusForbidden)
		return "", false
	}
	if err := g.cross.Check(r); err != nil {
		http.Error(w, "this is for the page alone", http.StatusForbidden)
		return "", false
	}
	switch {
	case r.URL.Path == "/login":
		g.login(w, r)
		return "", false
	case strings.HasPrefix(r.URL.Path, "/m/"):
		rest, ok = strings.CutPrefix(r.URL.Path, g.base)
		c, err := r.Cookie(g.cookie)
		if !ok || rest == "" || err != nil || !same(c.Value, g.value) {
			http.Error(w, "open the address that peerctl has printed", http.StatusUnauthorized)
			return "", false
		}
		return rest, true
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "want GET", http.StatusMethodNotAllowed)
		return "", false
	}
	return "", true
}

// host reports whether this is how the site is called: by its address, or as localhost.
func (g *guard) host(host string) bool {
	_, port, err := net.SplitHostPort(host)
	return "http://"+host == g.origin || err == nil && host == "localhost:"+port && strings.HasSuffix(g.origin, ":"+port)
}

// login gives the page, for a token, the path and the cookie. A request that does not say that it comes from the page
// is no request of the page.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	if r.Header.Get("Origin") != "http://"+r.Host {
		http.Error(w, "this is for the page alone", http.StatusForbidden)
		return
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !same(token, g.token) && !g.spend(token) {
		http.Error(w, "open the address that peerctl has printed", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.value, Path: g.base, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"base": g.base}) // who does not read it logs in again
}

func (g *guard) spend(token string) bool {
	sum := sha256.Sum256([]byte(token))
	g.mu.Lock()
	defer g.mu.Unlock()
	end, ok := g.spare[sum]
	delete(g.spare, sum)
	return ok && time.Now().Before(end)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
