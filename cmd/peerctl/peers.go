package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer"
	"peermesh/security"
)

func (a *app) peersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "peers",
		Short: "Manage whom this user's peers know: pinned names and revoked ids",
		Long: `The first peer that proves to bear a name has it: its id is pinned to the name, and another id under that name is
refused, as ssh does with hosts. "peers pin" says that a new id is meant, "peers revoke" refuses a peer for good and cuts
its links within a second. Both concern the peers of this user on this machine.`,
	}
	var role string
	pin := &cobra.Command{Use: "pin NAME ID", Short: "Make a name belong to an id, whomever it belonged to", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return a.peersPin(args[0], args[1], security.Role(role)) }}
	pin.Flags().StringVar(&role, "role", "", "what the peer is here: guest, member, admin or a role of the policy (default: what its key says)")
	cmd.AddCommand(pin,
		&cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the known peers of the mesh", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error { return a.peersList() }},
		&cobra.Command{Use: "revoke NAME|ID", Short: "Refuse a peer from now on", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return a.peersRevoke(args[0]) }},
		&cobra.Command{Use: "forget NAME|ID", Short: "Take a pin, or a revocation, away", Args: cobra.ExactArgs(1),
			RunE: func(_ *cobra.Command, args []string) error { return a.peersForget(args[0]) }},
	)
	return cmd
}

func openKnownPeers() (*security.KnownPeers, error) {
	path, err := peer.KnownPeersFile()
	if err != nil {
		return nil, err
	}
	return security.OpenKnownPeers(path)
}

// knownError says which exit code an error of the known peers means.
func knownError(err error) error {
	var name *security.NameError
	switch {
	case errors.Is(err, security.ErrUnknownPeer):
		return notFound("%w; `peerctl peers ls` lists them", err)
	case errors.Is(err, security.ErrPeerID), errors.As(err, &name):
		return usageError("%w", err)
	}
	return err
}

func (a *app) peersList() error {
	known, err := openKnownPeers()
	if err != nil {
		return err
	}
	type row struct {
		Mesh    string    `json:"mesh"`
		Name    string    `json:"name,omitempty"`
		ID      string    `json:"id"`
		Role    string    `json:"role,omitempty"`
		Revoked bool      `json:"revoked"`
		How     string    `json:"how"`
		Since   time.Time `json:"since"`
	}
	rows := []row{}
	for _, k := range known.List(a.flags.mesh) {
		rows = append(rows, row{k.Mesh, k.Name, k.ID, string(k.Role), k.Revoked, k.How, k.Since})
	}
	if a.flags.output == "json" {
		raw, err := json.Marshal(rows)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.out, "%s\n", raw)
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PEER\tID\tROLE\tSTATE\tSINCE\tBY")
	for _, r := range rows {
		state := "pinned"
		if r.Revoked {
			state = "revoked"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", orDash(r.Name), r.ID, orDash(r.Role), state, r.Since.Format(time.DateOnly), orDash(r.How))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(rows) == 0 {
		a.note("no peer of the mesh %q is known yet; the first one of a name is pinned when it is met", a.flags.mesh)
	}
	return nil
}

func (a *app) peersPin(name, id string, role security.Role) error {
	known, err := openKnownPeers()
	if err != nil {
		return err
	}
	if err := known.Pin(a.flags.mesh, name, id, role); err != nil {
		return knownError(err)
	}
	a.note("in mesh %q the name %s belongs to the peer %s", a.flags.mesh, name, id)
	return nil
}

func (a *app) peersRevoke(nameOrID string) error {
	known, err := openKnownPeers()
	if err != nil {
		return err
	}
	k, err := known.Revoke(a.flags.mesh, nameOrID)
	if err != nil {
		return knownError(err)
	}
	a.note("in mesh %q the peer %s is revoked; it still holds the mesh's key: where it must not come back under another name, rotate the key (peerctl key new %s --add)", a.flags.mesh, k.ID, a.flags.mesh)
	return nil
}

func (a *app) peersForget(nameOrID string) error {
	known, err := openKnownPeers()
	if err != nil {
		return err
	}
	return knownError(known.Forget(a.flags.mesh, nameOrID))
}
