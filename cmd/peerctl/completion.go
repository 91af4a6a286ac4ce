package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peermesh/peer"
)

// completeFor bounds how long a completion may take; then there is none.
const completeFor = 200 * time.Millisecond

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print a completion script for a shell",
		Long: `completion prints a script that completes commands, flags, meshes, and, through a running peer, live peers, methods
and params. For zsh: peerctl completion zsh > "${fpath[1]}/_peerctl"`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			}
			return usageError("no completion for %q: there are bash, zsh, fish and powershell", args[0])
		},
	}
}

// running asks the running peer; nothing is said when there is none.
func (a *app) running(f func(context.Context, *session, *peer.MeshStatus)) {
	ctx, cancel := context.WithTimeout(context.Background(), completeFor)
	defer cancel()
	all, err := peer.Controls(ctx, "", a.flags.mesh, "")
	if err != nil {
		return
	}
	for _, c := range all {
		defer func() { _ = c.Close() }()
	}
	s := &session{app: a, ctl: all[0], docs: docCache{}}
	if m, err := s.ctl.Peers(ctx); err == nil {
		f(ctx, s, m)
	}
}

func (a *app) completePeers(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) { // the flag is there
			a.running(func(_ context.Context, _ *session, m *peer.MeshStatus) {
				for _, p := range m.Peers {
					names = append(names, p.Name+"\t"+strings.Join(sortedKeys(p.APIs), " "))
				}
			})
			return names, cobra.ShellCompDirectiveNoFileComp
		})
	}
}

func (a *app) completeMesh(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := keyMeshes() // none is none
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeMethod completes the method, then its params.
func (a *app) completeMethod(_ *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
	directive := cobra.ShellCompDirectiveNoFileComp
	a.running(func(ctx context.Context, s *session, m *peer.MeshStatus) {
		if len(args) == 0 {
			words = s.methods(ctx, m)
			return
		}
		found, _ := s.providers(ctx, m, args[0])
		if len(found) == 0 {
			return
		}
		directive |= cobra.ShellCompDirectiveNoSpace
		for _, p := range found[0].method.Params {
			given := slices.ContainsFunc(args[1:], func(a string) bool { return strings.HasPrefix(a, p.Name+"=") || strings.HasPrefix(a, p.Name+":=") })
			if !given {
				words = append(words, p.Name+"=\t"+p.Description)
			}
		}
	})
	return words, directive
}

// methods lists all methods that somebody serves, with their docs.
func (s *session) methods(ctx context.Context, m *peer.MeshStatus) (words []string) {
	for i := range m.Peers {
		if m.Peers[i].Self || len(m.Peers[i].APIs) == 0 {
			continue
		}
		d, err := s.document(ctx, &m.Peers[i])
		if err != nil {
			continue
		}
		for _, dm := range d.Methods {
			words = append(words, dm.Name+"\t"+dm.Description)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func (a *app) completeDescribe(_ *cobra.Command, args []string, _ string) (words []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		a.running(func(ctx context.Context, s *session, m *peer.MeshStatus) {
			for _, p := range m.Peers {
				words = append(words, p.Name+"\tpeer")
				for _, name := range sortedKeys(p.APIs) {
					words = append(words, name+"\tAPI")
				}
			}
			words = append(words, s.methods(ctx, m)...)
		})
	}
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}
