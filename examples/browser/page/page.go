// Package page serves a web page that is a peer of a mesh, and hands it what it needs for that: to one page, once.
//
// A link such as http://127.0.0.1:8080/#Xo3… opens the page. What stands behind the # never leaves the browser by itself;
// the page's script takes it out of the address and posts it to /key. For it the page gets a token with which it may open
// a WebSocket to the peer, and a device key of its own, with which it signs and verifies messages. The mesh's key stays
// where it is. A link is of use once. Whoever else fetches the page gets the page, and nothing that is secret.
package page

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"sync"
	"time"

	"peermesh/peer"
	"peermesh/security"
)

//go:embed index.html style.css page.js peer.js icon.svg
var files embed.FS

// KeyLife bounds how long a page's key is good for, should nobody Forget it.
const KeyLife = 24 * time.Hour

// Listen listens for browsers on an address of this machine, and returns the page's origin, which belongs in
// peer.Config.Origins. Elsewhere a page without TLS could not sign: browsers keep WebCrypto from it.
func Listen(addr string) (ln net.Listener, origin string, err error) {
	if ln, err = net.Listen("tcp", addr); err != nil {
		return nil, "", err
	}
	at, err := netip.ParseAddrPort(ln.Addr().String())
	if err != nil || !at.Addr().IsLoopback() {
		_ = ln.Close()
		return nil, "", fmt.Errorf("page: %s is not for this machine alone: say 127.0.0.1:8080", addr)
	}
	return ln, "http://" + at.String(), nil
}

// Site is the web server's handler. It is safe for concurrent use.
type Site struct {
	peer   *peer.Peer
	keys   *security.Keyring
	origin string
	socket string // where the page finds the peer
	links  func(link string)
	policy string

	mu    sync.Mutex
	link  [sha256.Size]byte // of the link that is open
	pages int
	kids  map[string]string // of the pages' keys, by the pages' names
}

// New makes the site of a peer that has joined, listens, lets the origin in, and has these keys. links is told the link
// for the first page, and after each that was used the one for the next.
func New(p *peer.Peer, keys *security.Keyring, origin string, links func(link string)) *Site {
	s := &Site{peer: p, keys: keys, origin: origin, socket: "ws://" + p.Self().Address, links: links, kids: map[string]string{}}
	// No script but the site's own files, no text that becomes one, no connection but to the site and the peer, no frame
	// around or within.
	s.policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' " + s.socket +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	s.mu.Lock()
	next := s.nextLocked()
	s.mu.Unlock()
	links(next)
	return s
}

// nextLocked opens a link. There is one at a time.
func (s *Site) nextLocked() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	secret := base64.RawURLEncoding.EncodeToString(b[:])
	s.link = sha256.Sum256([]byte(secret))
	return s.origin + "/#" + secret
}

// ServeHTTP serves the page's files and /key. A request for another host is refused, for the name may be somebody's who
// has pointed it here. There are no CORS headers, and no cookies: those of one port are sent to all.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case "http://"+r.Host != s.origin:
		http.Error(w, "this host name is not served here", http.StatusForbidden)
	case r.URL.Path == "/key":
		s.key(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "want GET", http.StatusMethodNotAllowed)
	default:
		s.file(w, r)
	}
}

func (s *Site) file(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	text, err := files.ReadFile(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", mimeTypes[path.Ext(name)])
	_, _ = w.Write(text) // who does not read it misses it
}

// mimeTypes does not ask the system, whose answers differ.
var mimeTypes = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// access is what a page gets.
type access struct {
	URL   string `json:"url"`   // of the peer
	Token string `json:"token"` // lets one WebSocket in, within a minute
	Key   string `json:"key"`   // the page's own, in hex
	Name  string `json:"name"`  // the page's name in the mesh
	Peer  string `json:"peer"`  // the peer's
}

// key hands out what a page needs, for the secret of the link that is open. One that comes from another page is in wrong
// hands, and of no use any more.
func (s *Site) key(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "want POST", http.StatusMethodNotAllowed)
		return
	}
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	name, next, ok := s.spend(secret)
	if !ok {
		http.Error(w, "this link was used, or never given out", http.StatusForbidden)
		return
	}
	defer s.links(next)
	if o := r.Header["Origin"]; len(o) != 1 || o[0] != s.origin {
		http.Error(w, "this is for the page alone", http.StatusForbidden)
		return
	}
	a, err := s.access(name)
	if err != nil {
		http.Error(w, "try again later", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(a) // who does not read it opens the next link
}

// spend uses the open link up, if this is its secret. It returns the name for the page, and the next link.
func (s *Site) spend(secret string) (name, next string, ok bool) {
	got := sha256.Sum256([]byte(secret))
	s.mu.Lock()
	defer s.mu.Unlock()
	if subtle.ConstantTimeCompare(got[:], s.link[:]) == 0 {
		return "", "", false
	}
	s.pages++
	return fmt.Sprintf("browser-%d", s.pages), s.nextLocked(), true
}

// access makes a token, and a key that speaks for name and for nobody else.
func (s *Site) access(name string) (access, error) {
	token, err := s.peer.BrowserToken(s.origin)
	if err != nil {
		return access{}, err
	}
	key := security.NewKey()
	if err := s.keys.Add(security.Entry{Key: key, Users: []string{name}, NotAfter: time.Now().Add(KeyLife)}); err != nil {
		return access{}, err
	}
	s.mu.Lock()
	s.kids[name] = key.ID()
	s.mu.Unlock()
	return access{URL: s.socket + "/mesh", Token: token, Key: key.Export(), Name: name, Peer: s.peer.Self().Name}, nil
}

// Forget ends the key of a page that has left.
func (s *Site) Forget(name string) {
	s.mu.Lock()
	kid, ok := s.kids[name]
	delete(s.kids, name)
	s.mu.Unlock()
	if ok {
		s.keys.Remove(kid)
	}
}
