package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer/tap"
)

type watchFlags struct {
	from, to, kinds []string
	errors          bool
	slower          time.Duration
	save            string
	count           int
	length          time.Duration
	failOn          []string
	secrets         bool
}

func (a *app) watchCommand() *cobra.Command {
	var w watchFlags
	cmd := &cobra.Command{
		Use:     "watch [PATTERN…]",
		Aliases: []string{"sniff"},
		Short:   "Show what goes over the wire",
		Long: `watch shows what is said in the whole mesh, each message once: requests with their replies and where the time went,
notifications with all their receivers, who comes and goes, what was refused, what was lost. Of peers of other users or
machines it shows what they let members see, by default all but params and results (join --tap full shows those too).
Patterns choose methods: 'lab.*', 'lab.camera.snap', 'rpc.*' for the protocol's own. Records of -o json and --save are one
JSON object a line.

What schemas mark as writeOnly, and members whose names say that they are secret, are shown as ••• unless --secrets says
otherwise. The file of --save has all of it, so that replay can send it again; it is readable for its owner alone.`,
		Example: `  peerctl watch 'lab.*' --slower-than 10ms
  peerctl watch --errors --save run.jsonl
  peerctl watch --kind error --count 1 --for 60s --fail-on error`,
		ValidArgsFunction: a.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.watch(cmd.Context(), args, &w)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&w.from, "from", nil, "only messages of these peers (repeatable, or a list)")
	f.StringArrayVar(&w.to, "to", nil, "only messages to these peers (repeatable, or a list)")
	f.StringArrayVar(&w.kinds, "kind", nil, "only these kinds: request, reply, error, notify, peer, security, note")
	f.BoolVar(&w.errors, "errors", false, "only what went wrong: errors, refusals, what was lost or not handled")
	f.DurationVar(&w.slower, "slower-than", 0, "only replies that took longer")
	f.StringVar(&w.save, "save", "", "write the records to this file too, with their secrets")
	f.IntVar(&w.count, "count", 0, "end after so many records")
	f.DurationVar(&w.length, "for", 0, "end after this time")
	f.StringArrayVar(&w.failOn, "fail-on", nil, "exit 8 when a record of this kind was seen (error, security, …)")
	f.BoolVar(&w.secrets, "secrets", false, "show secrets too")
	a.completePeers(cmd, "from", "to")
	return cmd
}

var recordKinds = []string{"request", "reply", "error", "notify", "peer", "security", "note"}

func (a *app) watch(ctx context.Context, patterns []string, w *watchFlags) error {
	filter, err := newFilter(patterns, w)
	if err != nil {
		return err
	}
	shape, err := newShaper(a.flags.jq)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.length > 0 {
		ctx, cancel = context.WithTimeout(ctx, w.length)
		defer cancel()
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	redact := s.watchSecrets(ctx, w.secrets)
	defer redact.close()
	sink := &watchSink{app: a, out: a.printer(), filter: filter, redact: redact, shape: shape, max: w.count, done: cancel, kinds: map[string]int{}}
	if w.save != "" {
		if sink.file, err = os.OpenFile(w.save, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600); err != nil {
			return err
		}
		defer sink.file.Close()
	}
	if err := s.ctl.Watch(ctx, sink.take); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-s.ctl.Done():
	}
	return sink.finish(w)
}

// filter says which records are shown.
type filter struct {
	patterns        []string
	from, to, kinds []string
	errors          bool
	slower          time.Duration
}

func newFilter(patterns []string, w *watchFlags) (*filter, error) {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil {
			return nil, usageError("%q is no pattern: %w", p, err)
		}
	}
	f := &filter{patterns: patterns, from: splitNames(w.from), to: splitNames(w.to), kinds: splitNames(w.kinds), errors: w.errors, slower: w.slower}
	for _, k := range slices.Concat(f.kinds, splitNames(w.failOn)) {
		if !slices.Contains(recordKinds, k) {
			return nil, usageError("there is no kind %q%s", k, didYouMean(k, recordKinds))
		}
	}
	return f, nil
}

func (f *filter) matches(r *tap.Record) bool {
	if len(f.kinds) > 0 && !slices.Contains(f.kinds, r.Kind) {
		return false
	}
	if f.errors && r.Kind != "error" && r.Kind != "security" && (r.Kind != "note" || r.Method == "") { // notes of messages: lost, not handled
		return false
	}
	if f.slower > 0 && (r.Kind != "reply" && r.Kind != "error" || r.MS < float64(f.slower.Microseconds())/1000) {
		return false
	}
	if len(f.patterns) == 0 && strings.HasPrefix(r.Method, "rpc.") {
		return false // the protocol's own, unless asked for: 'rpc.*'
	}
	if len(f.patterns) > 0 && !slices.ContainsFunc(f.patterns, func(p string) bool { ok, _ := path.Match(p, r.Method); return ok }) {
		return false
	}
	if len(f.from) > 0 && !slices.Contains(f.from, r.From) {
		return false
	}
	return len(f.to) == 0 || slices.ContainsFunc(r.To, func(n string) bool { return slices.Contains(f.to, n) })
}

// watchSink takes the records and shows those that the filter lets through.
type watchSink struct {
	app    *app
	out    *printer
	filter *filter
	redact *liveRedactor
	shape  *shaper
	file   *os.File
	max    int
	done   context.CancelFunc

	mu      sync.Mutex
	shown   int
	kinds   map[string]int
	dropped uint64
	err     error
}

func (s *watchSink) take(r *tap.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropped += r.Dropped
	s.redact.note(r)
	if s.err != nil || s.max > 0 && s.shown >= s.max || !s.filter.matches(r) {
		return
	}
	s.shown++
	s.kinds[r.Kind]++
	s.err = s.write(r, s.redact.without(r))
	if s.err != nil || s.shown == s.max {
		s.done()
	}
}

// write keeps a record as it is, and prints it as it is shown.
func (s *watchSink) write(r, shown *tap.Record) error {
	if s.file != nil {
		if err := writeJSON(s.file, r); err != nil {
			return err
		}
	}
	if s.shape.code == nil {
		return s.out.print(shown)
	}
	raw, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	return s.app.printShaped(s.shape, raw)
}

func (s *watchSink) finish(w *watchFlags) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.app.flags.output != "json" {
		s.app.note("%d records, %d errors, %d dropped", s.shown, s.kinds["error"], s.dropped)
	}
	for _, k := range splitNames(w.failOn) {
		if n := s.kinds[k]; n > 0 {
			return &exitError{code: exitExpectation, err: fmt.Errorf("%d records of the kind %s were seen", n, k)}
		}
	}
	return nil
}
