package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/mdp/qrterminal/v3"
	"github.com/spf13/cobra"

	"peermesh/peer"
	"peermesh/security"
)

func (a *app) inviteCommand() *cobra.Command {
	var role string
	var ttl time.Duration
	var host hostFlags
	cmd := &cobra.Command{
		Use:   "invite",
		Short: "Print a code that lets one other machine into the mesh, once",
		Long: `invite prints a code with which one other machine gets the mesh's key: "peerctl join -" reads it there. The code is good
once, for --ttl, and only with the peer that made it: the running one of this machine, or else this command itself, which
then waits until the code is used. On a terminal it is shown as a QR code too. Until it is used the code is a secret.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ttl < time.Second || ttl > 24*time.Hour {
				return usageError("--ttl %s: say between 1s and 24h", ttl)
			}
			ctl, err := a.runningPeer(cmd.Context())
			if err != nil {
				return err
			}
			if ctl == nil {
				return a.inviteAndWait(cmd.Context(), &host, security.Role(role), ttl)
			}
			defer func() { _ = ctl.Close() }()
			code, err := ctl.Invite(cmd.Context(), peer.InviteRequest{Role: role, TTL: ttl.Milliseconds()})
			if err != nil {
				return err
			}
			return a.printInvite(code)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "what the new peer will be to the one that invites: guest, member, admin or a role of the policy (default member)")
	cmd.Flags().DurationVar(&ttl, "ttl", 10*time.Minute, "how long the code is good")
	host.add(a, cmd)
	return cmd
}

// runningPeer returns the running peer that a command goes through, nil where there is none.
func (a *app) runningPeer(ctx context.Context) (*peer.Control, error) {
	all, err := peer.Controls(ctx, "", a.flags.mesh, a.flags.name)
	if errors.Is(err, peer.ErrNoControl) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, c := range all[1:] {
		_ = c.Close() // one is enough
	}
	return all[0], nil
}

// inviteAndWait is a peer for as long as its invite is open.
func (a *app) inviteAndWait(ctx context.Context, host *hostFlags, role security.Role, ttl time.Duration) error {
	cfg, err := host.config(a)
	if err != nil {
		return err
	}
	cfg.Settle = -1
	p, err := peer.New(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	if err := p.Join(ctx); err != nil {
		return err
	}
	inv, err := p.Invite(role, ttl)
	if err != nil {
		if errors.Is(err, peer.ErrNoInvites) {
			return &exitError{code: exitKey, err: fmt.Errorf("the mesh %q has no key to invite to; make one with: peerctl key new %s", p.Mesh(), p.Mesh())}
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, ttl)
	defer cancel()
	events := p.Events(ctx)
	if err := a.printInvite(&peer.InviteCode{Code: inv.Code(), Expires: inv.Expires}); err != nil {
		return err
	}
	a.note("waiting until it is used; Ctrl-C withdraws it")
	for ev := range events {
		if ev.Kind == peer.Enrolled {
			a.note("%s has the key now", ev.Peer.Name)
			return nil
		}
	}
	if err := p.Withdraw(inv); err != nil {
		return err
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &exitError{code: exitTimeout, err: errors.New("nobody has used the invite")}
	}
	return ctx.Err()
}

func (a *app) printInvite(code *peer.InviteCode) error {
	if a.flags.output == "json" {
		return json.NewEncoder(a.out).Encode(code)
	}
	fmt.Fprintln(a.out, code.Code)
	if isTerminal(a.err) && !a.flags.quiet {
		qrterminal.GenerateWithConfig(code.Code, qrterminal.Config{Level: qrterminal.M, Writer: a.err, HalfBlocks: true, QuietZone: 2,
			BlackChar: qrterminal.BLACK_BLACK, WhiteChar: qrterminal.WHITE_WHITE, BlackWhiteChar: qrterminal.BLACK_WHITE, WhiteBlackChar: qrterminal.WHITE_BLACK})
	}
	a.note("good once, until %s; on the other machine: peerctl join -", code.Expires.Local().Format(time.TimeOnly))
	return nil
}

// enroll reads an invite from stdin and exchanges it for the mesh's key, which it writes where a mesh's key belongs.
func (a *app) enroll(ctx context.Context) error {
	if isTerminal(a.in) {
		a.note("paste the code of `peerctl invite` and press Enter")
	}
	text, err := readLine(a.in)
	if err != nil {
		return err
	}
	inv, err := security.ParseInvite(text)
	if err != nil {
		return &exitError{code: exitKey, err: err}
	}
	path, err := a.keyPath(inv.Mesh)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("the mesh %q has a key already, in %s; `peerctl key rm %s` forgets it", inv.Mesh, path, inv.Mesh)
		}
		return &exitError{code: exitKey, err: err}
	}
	cfg := a.peerConfig(peer.Config{})
	cfg.KeyFile = ""
	e, err := peer.Enroll(ctx, cfg, inv)
	if err != nil {
		return enrollError(err)
	}
	var entries []security.Entry
	for i, key := range e.Keys {
		entries = append(entries, security.Entry{Key: key, Role: security.RoleMember, Send: i == 0})
	}
	if err := security.CreateKeyFile(path, entries); err != nil {
		return err
	}
	a.note("key %s of mesh %q written to %s; %s knows this machine as %s, role %s", e.Keys[0].ID(), e.Mesh, path, clean(e.Inviter.Name), e.Name, e.Role)
	a.flags.mesh = e.Mesh
	return nil
}

func enrollError(err error) error {
	if errors.Is(err, security.ErrInviteExpired) {
		return &exitError{code: exitKey, err: err}
	}
	return err
}
