package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"peermesh/discovery"
)

const (
	pollEvery  = 500 * time.Millisecond
	touchEvery = 10 * time.Second
	staleAfter = 30 * time.Second // of silence
	maxFiles   = discovery.MaxPeers
	maxNames   = 4096 // entries of the directory that are looked at
)

// Config says where and for which mesh. The zero value is the mesh without name and keys, in the default directory.
type Config struct {
	// Dir is the directory of the registry, the same for all who want to meet. Default DefaultDir.
	Dir string
	// Mesh is the name of the mesh.
	Mesh string
	// Keys are the mesh's discovery keys, each of discovery.KeySize bytes. The first signs what we announce; what
	// others announce must verify under any of them. Without keys only files without a proof are believed.
	Keys discovery.Keys
}

// Source meets the other peers of this user on this machine.
type Source struct {
	dir    string
	prefix string
	keys   discovery.Keys

	mu       sync.Mutex
	counters map[string]uint64
	note     string // what goes wrong at the moment, or ""
}

var _ discovery.Source = (*Source)(nil)

// New makes a source. Nothing is read or written before it runs. It is an error if a key has the wrong length.
func New(cfg Config) (*Source, error) {
	if err := discovery.CheckKeys(cfg.Keys.Load()); err != nil {
		return nil, err
	}
	if cfg.Dir == "" {
		cfg.Dir = DefaultDir()
	}
	return &Source{
		dir: cfg.Dir, prefix: meshPrefix(cfg.Mesh), keys: cfg.Keys, counters: make(map[string]uint64),
	}, nil
}

// Name returns "local".
func (s *Source) Name() string { return "local" }

// Status tells where the registry is and what goes wrong there. Counters: "reads" of files, "writes", "malformed",
// "proof" (files refused by their proof), "stale", "swept" (stale files removed), "overflow" (files not read because
// there are too many), "errors".
func (s *Source) Status() discovery.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := discovery.SourceStatus{Notes: []string{"directory " + s.dir}, Counters: maps.Clone(s.counters)}
	if s.note != "" {
		st.Notes = append(st.Notes, s.note)
	}
	return st
}

func (s *Source) count(name string) {
	s.mu.Lock()
	s.counters[name]++
	s.mu.Unlock()
}

func (s *Source) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note = ""
	if err != nil {
		s.note = err.Error()
		s.counters["errors"]++
	}
}

// Run announces and reads until ctx ends, then removes our file. It returns an error if the directory cannot be used
// at the start; trouble later on is counted, shown by Status, and tried again.
func (s *Source) Run(ctx context.Context, feed *discovery.Feed) error {
	root, err := openDir(s.dir)
	if err != nil {
		return err
	}
	root.Close()

	r := &registry{Source: s, feed: feed, known: make(map[string]discovery.Record)}
	r.round()
	feed.Asked()
	defer r.goodbye()

	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-feed.SelfChanged():
		case <-feed.Refresh():
		}
		r.round()
	}
}

// registry is a running Source.
type registry struct {
	*Source
	feed    *discovery.Feed
	known   map[string]discovery.Record // by id, as reported
	mine    string                      // the name of our file; "" when there is none
	said    discovery.Announcement      // what it says
	signed  []byte                      // with which key
	touched time.Time
}

// round does what is due: our file first, then those of the others.
func (r *registry) round() {
	root, err := openDir(r.dir)
	if err == nil {
		err = errors.Join(r.announce(root), r.read(root))
		root.Close()
	}
	r.trouble(err)
}

// announce brings our own file up to date.
func (r *registry) announce(root *os.Root) error {
	self, now := r.feed.Self(), time.Now()
	if !self.Announces() {
		r.retract(root)
		return nil
	}
	name := r.prefix + self.ID + suffix
	if r.mine != name {
		r.retract(root)
	}
	keys := r.keys.Load()
	var sign []byte
	if len(keys) > 0 {
		sign = keys[0]
	}
	if r.mine == name && r.said.Equal(self) && bytes.Equal(r.signed, sign) {
		// Somebody swept it away while we slept, or the directory was made anew.
		_, err := root.Lstat(name)
		gone := errors.Is(err, fs.ErrNotExist)
		if !gone && now.Sub(r.touched) < touchEvery {
			return nil
		}
		if !gone {
			if err := root.Chtimes(name, now, now); err == nil {
				r.touched = now
				return nil
			}
		}
	}
	if err := write(root, name, newFile(self, keys), now); err != nil {
		return fmt.Errorf("local: announce: %w", err)
	}
	r.count("writes")
	r.mine, r.said, r.signed, r.touched = name, self, sign, now
	return nil
}

// retract removes our file, unless a later run of ours has put its own in its place.
func (r *registry) retract(root *os.Root) {
	if r.mine == "" {
		return
	}
	if f, _, err := read(root, r.mine); err == nil && f.Boot == r.said.Boot {
		root.Remove(r.mine)
	}
	r.mine = ""
}

func (r *registry) goodbye() {
	if root, err := openDir(r.dir); err == nil {
		r.retract(root)
		root.Close()
	}
}

// read reads the files of the others and reports what has become of them.
func (r *registry) read(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return fmt.Errorf("local: %w", err)
	}
	entries, err := dir.ReadDir(maxNames)
	dir.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("local: %w", err)
	}
	var (
		now   = time.Now()
		self  = r.feed.Self().ID
		found = make(map[string]discovery.Record)
		dead  = make(map[string]bool)
		n     int
	)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), r.prefix)
		if !ours {
			continue
		}
		if strings.HasSuffix(rest, tmpSuffix) {
			r.sweepTemp(root, e.Name(), now)
			continue
		}
		id, ours := strings.CutSuffix(rest, suffix)
		if !ours || id == self {
			continue
		}
		if n++; n > maxFiles {
			r.count("overflow")
			continue
		}
		if rec, ok := r.readOne(root, e.Name(), id, now, dead); ok {
			found[id] = rec
		}
	}
	for id, rec := range found {
		kind := discovery.Updated
		if _, ok := r.known[id]; !ok {
			kind = discovery.Joined
		}
		r.feed.Report(discovery.Event{Kind: kind, Record: rec})
	}
	for id, rec := range r.known {
		if _, ok := found[id]; !ok {
			reason := discovery.Goodbye
			if dead[id] {
				reason = discovery.Expired
			}
			r.feed.Report(discovery.Event{Kind: discovery.Left, Record: rec, Reason: reason})
		}
	}
	r.known = found
	return nil
}

// readOne reads one file. A file that is dead is swept away, and its id marked in dead.
func (r *registry) readOne(
	root *os.Root, name, id string, now time.Time, dead map[string]bool,
) (discovery.Record, bool) {
	f, fi, err := read(root, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return discovery.Record{}, false // removed since the directory was read
	case fi != nil && now.Sub(fi.ModTime()) > staleAfter, err == nil && f.PIDs == pidSpace() && processGone(f.PID):
		r.count("stale")
		dead[id] = true
		if fi.Mode().IsRegular() && sweep(root, name, fi) {
			r.count("swept")
		}
		return discovery.Record{}, false
	}
	r.count("reads")
	var rec discovery.Record
	if err == nil {
		rec, err = f.record(r.keys.Load())
	}
	switch {
	case errors.Is(err, errProof):
		r.count("proof")
	case err != nil || rec.ID != id || len(rec.Addrs) == 0:
		r.count("malformed")
	default:
		return rec, true
	}
	return discovery.Record{}, false
}

// sweepTemp removes what a process left behind that died between writing and renaming.
func (r *registry) sweepTemp(root *os.Root, name string, now time.Time) {
	fi, err := root.Lstat(name)
	if err == nil && fi.Mode().IsRegular() && now.Sub(fi.ModTime()) > staleAfter && sweep(root, name, fi) {
		r.count("swept")
	}
}
