package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show the configuration"}
	cmd.AddCommand(&cobra.Command{
		Use:   "show",
		Short: "Show each setting and where it comes from",
		Long:  "A flag goes before the environment (PEERCTL_MESH, …), that before the configuration file, that before the default.",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.flags.output == "json" {
				raw, err := json.Marshal(a.settings)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.out, "%s\n", raw)
				return err
			}
			w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "SETTING\tVALUE\tFROM")
			for _, s := range a.settings {
				fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, orDash(s.Value), s.Source)
			}
			return w.Flush()
		},
	})
	return cmd
}
