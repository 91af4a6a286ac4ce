package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed web
var web embed.FS

// files are the page's, and the policy that they need.
type files struct {
	root   fs.FS
	policy string
}

func openFiles() (*files, error) {
	root, err := fs.Sub(web, "web")
	if err != nil {
		return nil, err
	}
	index, err := fs.ReadFile(root, "index.html")
	if err != nil {
		return nil, err
	}
	// An import map is a script in the page itself, the only one, and so the policy names its hash.
	_, rest, ok := bytes.Cut(index, []byte(`<script type="importmap">`))
	text, _, ok2 := bytes.Cut(rest, []byte("</script>"))
	if !ok || !ok2 {
		return nil, errors.New("page: index.html has no import map")
	}
	sum := sha256.Sum256(text)
	return &files{root: root, policy: "default-src 'none'; script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; require-trusted-types-for 'script'; trusted-types 'none'"}, nil
}

// mimeTypes does not ask the system, whose answers differ.
var mimeTypes = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".mjs": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

func (f *files) serve(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	kind := mimeTypes[path.Ext(name)]
	text, err := fs.ReadFile(f.root, name)
	if err != nil || kind == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text) // who does not read it misses it
}
