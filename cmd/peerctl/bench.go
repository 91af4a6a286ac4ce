package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
)

// benchMethod is what notifications of a benchmark are called. Nobody handles it: receivers read, verify and count it.
const benchMethod = "peerctl.bench"

// benchResult is the outcome of one benchmark.
type benchResult struct {
	Kind     string             `json:"kind"`
	Peers    []string           `json:"peers"`
	Size     int                `json:"size"`
	Callers  int                `json:"callers,omitempty"`
	Seconds  float64            `json:"seconds"`
	Count    int                `json:"count"`
	Rate     float64            `json:"rate"` // a second
	Failed   int                `json:"failed"`
	MS       map[string]float64 `json:"ms,omitempty"` // of a round trip: min, p50, p90, p99, max
	Protect  string             `json:"protection"`
	Finished bool               `json:"finished"`
}

type bench struct {
	app     *app
	p       *peer.Peer
	length  time.Duration
	size    int
	callers int
	payload []byte
	bar     *progressBar
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the mesh: round trips, notifications, broadcasts",
		Long: `bench joins the mesh for a moment and measures it as it is: your machines, your network. It measures links and peers, not
handlers: a ping is answered by the peer itself, and a notification counts when the peer has read and verified it.`,
	}
	var b bench
	measure := func(use, short string, args cobra.PositionalArgs, f func(*bench, context.Context, []string) (*benchResult, error)) *cobra.Command {
		c := &cobra.Command{Use: use, Short: short, Args: args,
			RunE: func(cmd *cobra.Command, names []string) error {
				b.app = a
				return b.run(cmd.Context(), names, f)
			}}
		c.Flags().DurationVar(&b.length, "for", 5*time.Second, "how long to measure")
		c.Flags().IntVar(&b.size, "size", 64, "bytes of text in each message")
		return c
	}
	ping := measure("ping PEER", "Measure round trips to a peer", cobra.ExactArgs(1), (*bench).ping)
	ping.Flags().IntVar(&b.callers, "callers", 1, "how many calls are in flight at a time")
	cmd.AddCommand(ping,
		measure("notify PEER", "Measure how many notifications a second reach a peer", cobra.ExactArgs(1), (*bench).notify),
		measure("broadcast", "Measure how many deliveries a second a broadcast to all peers makes", cobra.NoArgs, (*bench).broadcast))
	return cmd
}

func (b *bench) run(ctx context.Context, names []string, f func(*bench, context.Context, []string) (*benchResult, error)) error {
	if b.length <= 0 || b.size < 0 || b.size > 1<<20 || b.callers < 0 || b.callers > 256 {
		return usageError("--for is positive, --size at most 1048576, --callers at most 256")
	}
	s := &session{app: b.app, docs: docCache{}}
	if err := s.join(ctx); err != nil {
		return err
	}
	defer s.close()
	b.p = s.own
	b.payload = []byte(`{"text":"` + strings.Repeat("x", b.size) + `"}`)
	if len(names) == 0 {
		m, err := s.await(ctx, func(m *peer.MeshStatus) bool { return false })
		if err != nil {
			return err
		}
		for _, p := range m.Peers[1:] {
			names = append(names, p.Name)
		}
		if len(names) == 0 {
			return notFound("nobody else is in the mesh %q; see `peerctl doctor`", m.Mesh)
		}
	} else if m, err := s.await(ctx, func(m *peer.MeshStatus) bool { return lookupPeer(m, names[0]) != nil }); err != nil {
		return err
	} else if lookupPeer(m, names[0]) == nil {
		return notFound("there is no peer %q%s", names[0], didYouMean(names[0], peerNames(m)))
	}
	b.bar = &progressBar{app: b.app, length: b.length, started: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, b.length)
	defer cancel()
	r, err := f(b, ctx, names)
	b.bar.clear()
	if err != nil {
		return err
	}
	for info := range b.p.Peers() {
		if slices.Contains(names, info.Name) || slices.Contains(names, info.ID) {
			r.Protect = info.Protection
		}
	}
	r.Peers, r.Size = names, b.size
	r.Finished = errors.Is(ctx.Err(), context.DeadlineExceeded)
	return b.print(r)
}

// ping measures round trips.
func (b *bench) ping(ctx context.Context, names []string) (*benchResult, error) {
	var mu sync.Mutex
	var took []time.Duration
	failed := 0
	began := time.Now()
	var wg sync.WaitGroup
	for range max(1, b.callers) {
		wg.Go(func() {
			var mine []time.Duration
			bad := 0
			for ctx.Err() == nil && bad < 100 {
				at := time.Now()
				if _, err := b.p.Request(ctx, nil, "rpc.ping", api.To(names[0]), b.payload, nil); err != nil {
					if ctx.Err() == nil {
						bad++
					}
					continue
				}
				mine = append(mine, time.Since(at))
				b.bar.show()
			}
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), failed+bad
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if len(took) == 0 {
		return nil, &exitError{code: exitTimeout, peer: names[0], err: fmt.Errorf("%s does not answer", names[0])}
	}
	slices.Sort(took)
	at := func(part float64) float64 { return ms(took[min(len(took)-1, int(part*float64(len(took))))]) }
	return &benchResult{Kind: "ping", Callers: max(1, b.callers), Seconds: elapsed.Seconds(), Count: len(took), Rate: float64(len(took)) / elapsed.Seconds(), Failed: failed,
		MS: map[string]float64{"min": ms(took[0]), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": ms(took[len(took)-1])}}, nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// benchChunk is how many messages are sent before their arrival is awaited: less than a link's queue holds.
const benchChunk = 500

// notify measures how many notifications arrive: messages keep their order, so the answer to a ping that is sent behind
// them says that they are there.
func (b *bench) notify(ctx context.Context, names []string) (*benchResult, error) {
	return b.flood(ctx, "notify", names, api.To(names[0]))
}

func (b *bench) broadcast(ctx context.Context, names []string) (*benchResult, error) {
	return b.flood(ctx, "broadcast", names, api.All)
}

func (b *bench) flood(ctx context.Context, kind string, names []string, to api.Receivers) (*benchResult, error) {
	arrived := func() error {
		var failed error
		err := b.p.RequestEach(context.WithoutCancel(ctx), nil, "rpc.ping", api.To(names[0], names[1:]...), nil, func(_ *api.Info, _ []byte, err error) bool {
			failed = errors.Join(failed, err)
			return true
		})
		return errors.Join(failed, err)
	}
	r := &benchResult{Kind: kind}
	began := time.Now()
	for ctx.Err() == nil {
		for range benchChunk {
			rep, err := b.p.Notify(context.WithoutCancel(ctx), nil, benchMethod, to, b.payload)
			if err != nil && !errors.Is(err, api.ErrBusy) {
				return nil, err
			}
			r.Count += rep.Queued
			r.Failed += len(rep.Refused)
		}
		if err := arrived(); err != nil {
			return nil, err
		}
		b.bar.show()
	}
	elapsed := time.Since(began)
	r.Seconds, r.Rate = elapsed.Seconds(), float64(r.Count)/elapsed.Seconds()
	return r, nil
}

func (b *bench) print(r *benchResult) error {
	if b.app.flags.output == "json" {
		return json.NewEncoder(b.app.out).Encode(r)
	}
	out := b.app.out
	switch r.Kind {
	case "ping":
		fmt.Fprintf(out, "%s, %s, %d bytes, %d in flight: %.0f calls/s (%d in %.1f s, %d failed)\n", strings.Join(r.Peers, ", "), r.Protect, r.Size, r.Callers, r.Rate, r.Count, r.Seconds, r.Failed)
		for _, name := range []string{"min", "p50", "p90", "p99", "max"} {
			fmt.Fprintf(out, "  %-4s %8.3f ms\n", name, r.MS[name])
		}
	case "notify":
		fmt.Fprintf(out, "%s, %s, %d bytes: %.0f notifications/s (%d in %.1f s, %d refused)\n", r.Peers[0], r.Protect, r.Size, r.Rate, r.Count, r.Seconds, r.Failed)
	default:
		fmt.Fprintf(out, "%d peers, %s, %d bytes: %.0f deliveries/s (%d in %.1f s, %d refused)\n", len(r.Peers), r.Protect, r.Size, r.Rate, r.Count, r.Seconds, r.Failed)
	}
	return nil
}

// progressBar shows how much of the time is over, on a terminal.
type progressBar struct {
	app     *app
	length  time.Duration
	started time.Time

	mu   sync.Mutex
	last time.Time
}

const barWidth = 40

func (b *progressBar) show() {
	if b.app.flags.quiet || !isTerminal(b.app.err) {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if now.Sub(b.last) < 100*time.Millisecond {
		return
	}
	b.last = now
	n := min(barWidth, int(barWidth*now.Sub(b.started)/b.length))
	fmt.Fprintf(b.app.err, "\r[%s%s] %s", strings.Repeat("=", n), strings.Repeat(" ", barWidth-n), min(b.length, now.Sub(b.started)).Round(100*time.Millisecond))
}

func (b *progressBar) clear() {
	if !b.app.flags.quiet && isTerminal(b.app.err) {
		fmt.Fprintf(b.app.err, "\r%s\r", strings.Repeat(" ", barWidth+12))
	}
}
