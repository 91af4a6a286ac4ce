package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer/tap"
)

// topWindow is what the rates of top are taken over.
const topWindow = 10 * time.Second

func (a *app) topCommand() *cobra.Command {
	var length, every time.Duration
	var rows int
	cmd := &cobra.Command{
		Use:   "top [FILE]",
		Short: "Show rates, latencies and errors by method and peer",
		Long: `top shows what the mesh is busy with: for each method and peer, messages and bytes a second over the last ten, the median
and the 95th and 99th percentile of the time that calls took, and errors. Of a recording it shows the whole.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if every < 100*time.Millisecond {
				return usageError("--every is at least 100ms")
			}
			if len(args) == 1 {
				return a.topOf(args[0], rows)
			}
			return a.top(cmd.Context(), length, every, rows)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "end after this time, with a last table")
	cmd.Flags().DurationVar(&every, "every", time.Second, "how often the table is drawn anew, on a terminal")
	cmd.Flags().IntVar(&rows, "rows", 30, "how many rows are shown")
	return cmd
}

func (a *app) topOf(path string, rows int) error {
	var first, last time.Time
	var all []tap.Record
	if err := a.readRecording(path, func(r *tap.Record) bool {
		if first.IsZero() {
			first = r.T
		}
		last = r.T
		all = append(all, *r)
		return true
	}); err != nil {
		return err
	}
	stats := tap.NewStats(last.Sub(first) + time.Second)
	for i := range all {
		stats.Add(&all[i])
	}
	return a.printTop(stats.Rows(last), rows)
}

func (a *app) top(ctx context.Context, length, every time.Duration, rows int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if length > 0 {
		ctx, cancel = context.WithTimeout(ctx, length)
		defer cancel()
	}
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	var mu sync.Mutex
	stats := tap.NewStats(topWindow)
	if err := s.ctl.Watch(ctx, func(r *tap.Record) {
		mu.Lock()
		defer mu.Unlock()
		if !ownMethodName(r.Method) {
			stats.Add(r)
		}
	}); err != nil {
		return err
	}
	now := func() []tap.Row {
		mu.Lock()
		defer mu.Unlock()
		return stats.Rows(time.Now())
	}
	draws := isTerminal(a.out) && a.flags.output != "json"
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if draws {
				fmt.Fprint(a.out, "\x1b[H\x1b[2J")
				if err := a.printTop(now(), rows); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			if draws {
				return nil
			}
			return a.printTop(now(), rows)
		case <-s.ctl.Done():
			return a.printTop(now(), rows)
		}
	}
}

// ownMethodName reports the methods of the protocol itself.
func ownMethodName(m string) bool {
	return len(m) > 4 && m[:4] == "rpc." || len(m) > 2 && m[:2] == "$/"
}

func (a *app) printTop(rows []tap.Row, most int) error {
	if a.flags.output == "json" {
		return json.NewEncoder(a.out).Encode(rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "METHOD\tPEER\tMSG/S\tKB/S\tP50\tP95\tP99\tCOUNT\tERRORS")
	for _, r := range rows[:min(most, len(rows))] {
		took := func(ms float64) string {
			if ms == 0 {
				return "–"
			}
			return fmt.Sprintf("%.1f ms", ms)
		}
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%d\t%d\n", clean(r.Method), clean(r.Peer), r.Rate, r.ByteRate/1000, took(r.P50), took(r.P95), took(r.P99), r.Count, r.Errors)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(rows) > most {
		a.note("%d more rows; --rows shows them", len(rows)-most)
	}
	return nil
}
