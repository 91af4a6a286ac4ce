package local

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"peermesh/discovery"
)

const (
	maxFile   = 4 << 10
	suffix    = ".json"
	tmpSuffix = ".tmp"
)

// file is what a peer's file holds.
type file struct {
	V     int    `json:"v"`
	ID    string `json:"id"`
	Name  string `json:"name"`
	Boot  string `json:"boot"`
	Port  int    `json:"port"`
	Addrs string `json:"a"` // IP addresses, comma separated
	TLS   bool   `json:"tls"`
	Proof string `json:"m,omitempty"`
	PID   int    `json:"pid"`
	PIDs  string `json:"pids,omitempty"` // the set of process ids that PID is from
}

// meshPrefix starts the names of the files of one mesh.
func meshPrefix(mesh string) string {
	h := sha256.Sum256([]byte("peermesh registry\n" + mesh))
	return hex.EncodeToString(h[:8]) + "-"
}

// newFile says about us what a file says. Who listens on all addresses is reached by loopback.
func newFile(a discovery.Announcement, keys [][]byte) file {
	addrs := a.Addrs
	if len(addrs) == 0 {
		addrs = []string{"127.0.0.1", "::1"}
	}
	f := file{
		V: 1, ID: a.ID, Name: a.Name, Boot: a.Boot, Port: a.Port, TLS: a.TLS,
		Addrs: strings.Join(addrs, ","), PID: os.Getpid(), PIDs: pidSpace(),
	}
	if len(keys) > 0 {
		f.Proof = discovery.Proof(keys[0], f.claim())
	}
	return f
}

func (f file) claim() discovery.Claim {
	return discovery.Claim{Addrs: f.Addrs, Boot: f.Boot, ID: f.ID, Port: f.Port, TLS: f.TLS}
}

// record makes a record of a file that was read, or says why it cannot.
func (f file) record(keys [][]byte) (discovery.Record, error) {
	a := discovery.Announcement{
		ID: f.ID, Name: f.Name, Boot: f.Boot, Port: f.Port, TLS: f.TLS, Addrs: strings.Split(f.Addrs, ","),
	}
	if f.V != 1 || !a.Announces() {
		return discovery.Record{}, errors.New("local: not an announcement of version 1")
	}
	if err := a.Validate(); err != nil {
		return discovery.Record{}, err
	}
	if !discovery.VerifyProof(keys, f.Proof, f.claim()) {
		return discovery.Record{}, errProof
	}
	r := discovery.Record{ID: a.ID, Name: a.Name, Boot: a.Boot, Source: "local", TLS: a.TLS, Trusted: len(keys) > 0}
	for _, ip := range a.Addrs {
		if netip.MustParseAddr(ip).Is6() && netip.MustParseAddr(ip).IsLinkLocalUnicast() {
			continue // undialable without a zone, which a file cannot know
		}
		r.Addrs = append(r.Addrs, net.JoinHostPort(ip, strconv.Itoa(a.Port)))
	}
	return r, nil
}

var errProof = errors.New("local: the proof is missing, wrong, or of another mesh")

// write puts a file in place in one step: a reader sees the old one or the new one.
func write(root *os.Root, name string, f file, now time.Time) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("local: %d bytes to announce, at most %d are read", len(data), maxFile)
	}
	tmp := strings.TrimSuffix(name, suffix) + "." + rand.Text()[:10] + tmpSuffix
	w, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Chtimes(tmp, now, now)
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		root.Remove(tmp)
	}
	return err
}

// read reads a file as far as it is one of ours: regular, of this user, not too long.
func read(root *os.Root, name string) (file, fs.FileInfo, error) {
	var f file
	// Looked at before it is opened: opening a named pipe would wait for somebody to write.
	fi, err := root.Lstat(name)
	if err != nil {
		return f, nil, err
	}
	if !fi.Mode().IsRegular() {
		return f, fi, fmt.Errorf("local: %s is not a regular file", name)
	}
	if fi.Size() > maxFile {
		return f, fi, fmt.Errorf("local: %s has more than %d bytes", name, maxFile)
	}
	if err := checkOwner(name, fi); err != nil {
		return f, fi, err
	}
	r, err := root.Open(name)
	if err != nil {
		return f, fi, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return f, fi, err
	}
	if len(data) > maxFile {
		return f, fi, fmt.Errorf("local: %s has more than %d bytes", name, maxFile)
	}
	return f, fi, json.Unmarshal(data, &f)
}

// sweep removes a file that was found dead, unless it is no longer the file that was found.
func sweep(root *os.Root, name string, dead fs.FileInfo) bool {
	fi, err := root.Lstat(name)
	if err != nil || !os.SameFile(fi, dead) || !fi.ModTime().Equal(dead.ModTime()) {
		return false
	}
	return root.Remove(name) == nil
}
