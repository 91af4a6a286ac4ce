package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"peermesh/peer/tap"
)

// maxLine is the greatest length of a record in a recording.
const maxLine = 16 << 20

// readRecording hands the records of a file ("-" is stdin) to f, in order, until that returns false.
func (a *app) readRecording(path string, f func(*tap.Record) bool) error {
	in := a.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return usageError("the recording: %w", err)
		}
		defer file.Close()
		in = file
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" {
			continue
		}
		var r tap.Record
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return usageError("the recording, line %d: %w", n, err)
		}
		if r.V != tap.RecordVersion {
			return usageError("the recording, line %d: it is of version %d, and this peerctl reads version %d", n, r.V, tap.RecordVersion)
		}
		if !f(&r) {
			return nil
		}
	}
	return lines.Err()
}

func (a *app) showCommand() *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use:   "show N FILE",
		Short: "Show one record of a recording in full",
		Long: `show prints record N of a recording (watch --save FILE) as JSON, in full; --jq shapes it. "-" reads stdin. Secrets are
shown as ••• unless --secrets says otherwise; see peerctl export --help.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return usageError("%q is no number of a record", args[0])
			}
			shape, err := newShaper(a.flags.jq)
			if err != nil {
				return err
			}
			var found *tap.Record
			if err := a.readRecording(args[1], func(r *tap.Record) bool {
				if r.N == n {
					found = r
				}
				return found == nil
			}); err != nil {
				return err
			}
			if found == nil {
				return notFound("the recording has no record %d", n)
			}
			raw, err := json.Marshal(without(a.redactor(cmd.Context(), secrets), found))
			if err != nil {
				return err
			}
			return a.printShaped(shape, raw)
		},
	}
	cmd.Flags().BoolVar(&secrets, "secrets", false, "show secrets too")
	return cmd
}

func (a *app) followCommand() *cobra.Command {
	var secrets bool
	cmd := &cobra.Command{
		Use:   "follow CONV [FILE]",
		Short: "Show one conversation to its end: a request, every answer, and who stayed silent",
		Long: `follow shows what belongs to one conversation, such as desk/7: of a recording, or live until every peer that was asked has
answered or --timeout is over. Secrets are shown as ••• unless --secrets says otherwise.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c := &conversation{name: args[0], out: a.printer(), asked: map[string]bool{}}
			if len(args) == 1 {
				return a.followLive(cmd.Context(), c, secrets)
			}
			redact := a.redactor(cmd.Context(), secrets)
			c.without = func(r *tap.Record) *tap.Record { return without(redact, r) }
			if err := a.readRecording(args[1], c.take); err != nil {
				return err
			}
			return c.end()
		},
	}
	cmd.Flags().BoolVar(&secrets, "secrets", false, "show secrets too")
	return cmd
}

// followLive follows a conversation while it goes on.
func (a *app) followLive(ctx context.Context, c *conversation, secrets bool) error {
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	redact := s.watchSecrets(ctx, secrets)
	defer redact.close()
	c.without = redact.without
	done := make(chan struct{})
	ended := false
	if err := s.ctl.Watch(ctx, func(r *tap.Record) {
		redact.note(r)
		if !ended && !c.take(r) {
			ended = true
			close(done)
		}
	}); err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
	return c.end()
}

// conversation is what belongs to one request.
type conversation struct {
	name    string
	out     *printer
	without func(*tap.Record) *tap.Record // takes secrets out
	asked   map[string]bool               // true once it has answered
	shown   int
	err     error
}

// take shows a record that belongs to the conversation. It reports false once nothing more is to come.
func (c *conversation) take(r *tap.Record) bool {
	if r.Conv != c.name {
		return true
	}
	c.shown++
	if err := c.out.print(c.without(r)); err != nil {
		c.err = err
		return false
	}
	switch r.Kind {
	case "request":
		for _, to := range r.To {
			c.asked[to] = c.asked[to] || false
		}
	case "reply", "error":
		c.asked[r.From] = true
	}
	for _, answered := range c.asked {
		if !answered {
			return true
		}
	}
	return len(c.asked) == 0
}

func (c *conversation) end() error {
	if c.err != nil {
		return c.err
	}
	if c.shown == 0 {
		return notFound("there is no conversation %q", c.name)
	}
	var silent []string
	for _, name := range sortedKeys(c.asked) {
		if !c.asked[name] {
			silent = append(silent, name)
		}
	}
	if len(silent) > 0 {
		return &exitError{code: exitPartly, err: fmt.Errorf("asked %d, %d answered; silent: %s", len(c.asked), len(c.asked)-len(silent), strings.Join(silent, ", "))}
	}
	return nil
}

// createOutput makes the file of an export; "-" is stdout.
func (a *app) createOutput(path string) (io.WriteCloser, error) {
	if path == "-" {
		return nopCloser{a.out}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if errors.Is(err, os.ErrPermission) {
		return nil, usageError("%w", err)
	}
	return f, err
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
