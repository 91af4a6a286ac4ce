package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer"
	"peermesh/peer/tap"
)

type replayFlags struct {
	speed          float64
	only, to       []string
	dryRun, expect bool
	ignore         []string
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Send the requests and notifications of a recording again",
		Long: `replay sends what a recording (watch --save FILE) holds again, in its order and with its pauses, to the peers that got it
then, or to those of --to. With --expect it compares the answers with the recorded ones, and exits with 8 where they
differ: a recording is a test. "-" reads stdin.`,
		Example: `  peerctl replay run.jsonl --only 'lab.stage.*' --to stage-sim --speed 2 --dry-run
  peerctl replay run.jsonl --expect --ignore .png --ignore .seq`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.replay(cmd.Context(), args[0], &f) },
	}
	cmd.Flags().Float64Var(&f.speed, "speed", 1, "how much faster than it was; 0: without pauses")
	cmd.Flags().StringArrayVar(&f.only, "only", nil, "only methods of this pattern (repeatable)")
	cmd.Flags().StringArrayVar(&f.to, "to", nil, "send everything to these peers (repeatable, or a list)")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be sent, and send nothing")
	cmd.Flags().BoolVar(&f.expect, "expect", false, "compare the answers with the recorded ones")
	cmd.Flags().StringArrayVar(&f.ignore, "ignore", nil, "jq path that is taken out of both results before they are compared (repeatable)")
	a.completePeers(cmd, "to")
	return cmd
}

// step is one message of a recording that is sent again.
type step struct {
	rec    tap.Record
	answer map[string]*tap.Record // by peer
}

func (a *app) replay(ctx context.Context, file string, f *replayFlags) error {
	if f.speed < 0 {
		return usageError("--speed is not negative")
	}
	var strip *shaper
	if len(f.ignore) > 0 {
		var err error
		if strip, err = newShaper("del(" + strings.Join(f.ignore, ", ") + ")"); err != nil {
			return err
		}
	}
	steps, bare, hidden, err := a.readSteps(file, f)
	if err != nil {
		return err
	}
	if bare > 0 {
		a.note("%d messages have no params in the recording, because their peers show headers alone; they are left out", bare)
	}
	if hidden > 0 {
		a.note("%d messages have secrets that are not in the recording; they are left out (watch --save keeps secrets, and --secrets shows them)", hidden)
	}
	if len(steps) == 0 {
		return notFound("the recording has nothing to send%s", map[bool]string{true: " that --only lets through"}[len(f.only) > 0])
	}
	length := time.Duration(0)
	if f.speed > 0 {
		length = time.Duration(float64(steps[len(steps)-1].rec.T.Sub(steps[0].rec.T)) / f.speed)
	}
	if f.dryRun {
		calls := 0
		for _, s := range steps {
			if s.rec.Kind == "request" {
				calls++
			}
		}
		fmt.Fprintf(a.out, "would send %d requests and %d notifications in %s\n", calls, len(steps)-calls, length.Round(100*time.Millisecond))
		return nil
	}
	methods := make([]string, len(steps))
	for i, s := range steps {
		methods[i] = s.rec.Method
	}
	s, err := a.connect(ctx, methods...)
	if err != nil {
		return err
	}
	defer s.close()
	to := splitNames(f.to)
	if _, err := s.await(ctx, func(m *peer.MeshStatus) bool {
		for _, st := range steps {
			for _, name := range receiversOf(&st, to) {
				if lookupPeer(m, name) == nil {
					return false
				}
			}
		}
		return true
	}); err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, a.flags.timeout)
	r := &replayer{app: a, s: s, to: to, flags: f, strip: strip, redact: s.redactor(asked)}
	cancel()
	began := time.Now()
	for i := range steps {
		if f.speed > 0 {
			due := began.Add(time.Duration(float64(steps[i].rec.T.Sub(steps[0].rec.T)) / f.speed))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := r.send(ctx, &steps[i]); err != nil {
			return err
		}
	}
	return r.end()
}

// readSteps reads what is to be sent, with the answers it had. bare and hidden count what cannot be, for want of params
// or of what was secret in them.
func (a *app) readSteps(file string, f *replayFlags) (steps []step, bare, hidden int, err error) {
	open := map[string]int{}
	err = a.readRecording(file, func(r *tap.Record) bool {
		switch r.Kind {
		case "request", "notify":
			if ownMethodName(r.Method) || len(f.only) > 0 && !slices.ContainsFunc(f.only, func(p string) bool { ok, _ := path.Match(p, r.Method); return ok }) {
				return true
			}
			if r.Params == nil && r.Bytes > len(r.Method)+96 {
				bare++ // it had some
				return true
			}
			if bytes.Contains(r.Params, []byte(tap.Redacted)) {
				hidden++
				return true
			}
			if i, ok := open[r.Conv]; ok && r.Kind == "request" && steps[i].rec.Method == r.Method { // one of a fan-out
				steps[i].rec.To = append(steps[i].rec.To, r.To...)
				return true
			}
			steps = append(steps, step{rec: *r, answer: map[string]*tap.Record{}})
			if r.Kind == "request" {
				open[r.Conv] = len(steps) - 1
			}
		case "reply", "error":
			if i, ok := open[r.Conv]; ok {
				answer := *r
				steps[i].answer[r.From] = &answer
			}
		}
		return true
	})
	return steps, bare, hidden, err
}

func receiversOf(s *step, to []string) []string {
	if len(to) > 0 {
		return to
	}
	return s.rec.To
}

// replayer sends and compares.
type replayer struct {
	app     *app
	s       *session
	to      []string
	flags   *replayFlags
	strip   *shaper
	redact  *tap.Redactor
	sent    int
	same    int
	changed int
	failed  int
}

func (r *replayer) send(ctx context.Context, st *step) error {
	r.sent++
	to := receiversOf(st, r.to)
	if st.rec.Kind == "notify" {
		out, err := r.s.ctl.Notify(ctx, peer.NotifyRequest{Method: st.rec.Method, Params: st.rec.Params, To: to, All: st.rec.All})
		if err != nil {
			return err
		}
		r.failed += len(out.Refused)
		return nil
	}
	return r.s.ctl.Call(ctx, peer.CallRequest{Method: st.rec.Method, Params: st.rec.Params, To: to, Timeout: r.app.flags.timeout.Milliseconds()}, func(got *peer.CallResult) {
		was := st.answer[got.Peer]
		if was == nil && len(r.to) > 0 {
			for _, only := range st.answer { // another peer answers in its place
				was = only
			}
		}
		switch {
		case got.Error != nil && !got.Error.Remote:
			r.failed++
			r.app.note("#%d %s at %s: %s", st.rec.N, st.rec.Method, got.Peer, got.Error.Message)
		case !r.flags.expect:
			r.same++
		case was == nil:
			r.changed++
			r.app.note("#%d %s at %s: the recording has no answer", st.rec.N, st.rec.Method, got.Peer)
		default:
			r.compare(st, was, got)
		}
	})
}

func (r *replayer) compare(st *step, was *tap.Record, got *peer.CallResult) {
	say := func(what string) {
		r.changed++
		fmt.Fprintf(r.app.out, "changed #%d %s at %s: %s\n", st.rec.N, st.rec.Method, got.Peer, what)
	}
	switch {
	case was.Kind == "error" && got.Error == nil:
		say(fmt.Sprintf("was error %d, is a result", was.Code))
	case was.Kind == "error" && got.Error.Code != was.Code:
		say(fmt.Sprintf("was error %d, is error %d", was.Code, got.Error.Code))
	case was.Kind == "reply" && got.Error != nil:
		say(fmt.Sprintf("was a result, is error %d: %s", got.Error.Code, clean(got.Error.Message)))
	case was.Kind == "reply":
		shown := func(result json.RawMessage) json.RawMessage {
			return without(r.redact, &tap.Record{Method: st.rec.Method, Result: result}).Result
		}
		a, b := r.canonical(shown(was.Result)), r.canonical(shown(got.Result))
		switch {
		case !bytes.Equal(a, b):
			say(firstDifference(a, b))
		case !bytes.Contains(was.Result, []byte(tap.Redacted)) && !bytes.Equal(r.canonical(was.Result), r.canonical(got.Result)):
			say("a secret of the result, which is not shown")
		default:
			r.same++
		}
	default:
		r.same++
	}
}

// canonical is a result without what is ignored, with the members of objects in order.
func (r *replayer) canonical(raw json.RawMessage) []byte {
	if r.strip != nil {
		if out, err := r.strip.apply(raw); err == nil && len(out) == 1 {
			raw = out[0]
		}
	}
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	out, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return out
}

// firstDifference names the first member that differs.
func firstDifference(a, b []byte) string {
	var x, y any
	_ = json.Unmarshal(a, &x) // canonical has marshalled them
	_ = json.Unmarshal(b, &y)
	at, was, is := difference("result", x, y)
	return fmt.Sprintf("%s %s → %s", at, short(was), short(is))
}

func difference(at string, x, y any) (where string, was, is any) {
	mx, okx := x.(map[string]any)
	my, oky := y.(map[string]any)
	if okx && oky {
		names := sortedKeys(mx)
		for _, n := range sortedKeys(my) {
			if _, ok := mx[n]; !ok {
				names = append(names, n)
			}
		}
		for _, n := range names {
			a, _ := json.Marshal(mx[n])
			b, _ := json.Marshal(my[n])
			if !bytes.Equal(a, b) {
				return difference(at+"."+n, mx[n], my[n])
			}
		}
	}
	lx, okx := x.([]any)
	ly, oky := y.([]any)
	if okx && oky && len(lx) == len(ly) {
		for i := range lx {
			a, _ := json.Marshal(lx[i])
			b, _ := json.Marshal(ly[i])
			if !bytes.Equal(a, b) {
				return difference(fmt.Sprintf("%s[%d]", at, i), lx[i], ly[i])
			}
		}
	}
	return at, x, y
}

func short(v any) string {
	raw, _ := json.Marshal(v) // it came from JSON
	if len(raw) > 60 {
		return string(raw[:57]) + "…"
	}
	return string(raw)
}

func (r *replayer) end() error {
	r.app.note("%d sent, %d answers as expected, %d changed, %d failed", r.sent, r.same, r.changed, r.failed)
	switch {
	case r.flags.expect && r.changed+r.failed > 0:
		return &exitError{code: exitExpectation, err: fmt.Errorf("%d answers differ, %d failed", r.changed, r.failed)}
	case r.failed > 0:
		return &exitError{code: exitPartly, err: fmt.Errorf("%d of %d failed", r.failed, r.sent)}
	}
	return nil
}
