package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Explain who may call what",
		Long: `A policy is a file of lines, by default peerctl/policy/MESH in the user's configuration folder; peers read it again when
it changes:

  # who             what they may send
  role:guest        allow chat.say override
  user:desk         deny  lab.camera.* rpc.discover
  peer:ID           role  admin

Nothing is allowed that no rule and no method's own minimum role allows; deny wins. "policy check" asks the running peer.`,
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check PEER METHOD",
		Short: "Say whether a peer may call a method here, and what decides it",
		Long: `check says whether PEER, a name, an id, or guest, key:KID, peer:ID, user:NAME, may call or send METHOD to the running
peer of this machine, and which rule decides it. It exits with 1 when it may not.`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			e, err := s.ctl.Explain(cmd.Context(), args[0], args[1])
			if err != nil {
				return notFound("%w", err)
			}
			denied := &exitError{code: exitFailure, err: errors.New("denied"), shown: true}
			if a.flags.output == "json" {
				if err := json.NewEncoder(a.out).Encode(e); err != nil {
					return err
				}
			} else {
				verdict := "allowed"
				if !e.Allowed {
					verdict = "denied"
				}
				fmt.Fprintf(a.out, "%s: %s\n", verdict, e.Why)
				a.note("%s is %s, role %s; %s asks for role %s", clean(e.Peer), e.Principal, e.Role, clean(e.Method), e.Minimum)
				if !e.Bound {
					a.note("no API that is bound here has that method, so its minimum role is a guess")
				}
			}
			if !e.Allowed {
				return denied
			}
			return nil
		},
	})
	return cmd
}

func (a *app) metricsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "metrics",
		Short: "Print what the running peer counts, in the text format of Prometheus",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer s.close()
			text, err := s.ctl.Metrics(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.out, text)
			return err
		},
	}
}
