package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// app is one run of peerctl: its streams and global flags.
type app struct {
	in       io.Reader
	out, err io.Writer
	flags    globalFlags
	settings settings
}

type globalFlags struct {
	mesh, name, keyFile string
	peers, ifaces       []string
	noMDNS, noLocal     bool
	timeout, wait       time.Duration
	output, jq, color   string
	config              string
	quiet               bool
	verbose             int
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errw io.Writer) int {
	a := &app{in: in, out: out, err: errw}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var own *exitError
	if !errors.As(err, &own) && isUsage(err) {
		err = &exitError{code: exitUsage, err: err}
	}
	asJSON := a.flags.output == "json" || slices.Contains(args, "json") && slices.Contains(args, "-o")
	return report(err, asJSON, errw)
}

// isUsage reports the errors that cobra makes of a command line.
func isUsage(err error) bool {
	for _, s := range []string{"unknown command", "unknown flag", "unknown shorthand", "invalid argument", "flag needs an argument", "accepts ", "requires at least", "requires at most", "required flag"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "peerctl",
		Short: "Join a mesh of JSON-RPC peers: see, call, notify and watch them",
		Long: `peerctl joins a mesh of JSON-RPC peers that find each other on the local network.

Start with:
  peerctl demo                 three peers in one process, talking
  peerctl key new lab          make a key for the mesh "lab"
  peerctl join --mesh lab      be a peer of it until Ctrl-C
  peerctl ls --mesh lab        who is there

Exit codes: 0 done, 1 any other failure, 2 wrong usage or params against the schema, 3 no such peer, method or mesh,
4 key or signature refused, 5 the peer answered with an error, 6 no answer in time, 7 some of several peers failed,
8 --fail-on was met, 130 interrupted. With -o json a failure is also a line of JSON on stderr.

Data goes to stdout, all else to stderr. A stream with -o json is one JSON object a line.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.configure(cmd)
		},
	}
	f := root.PersistentFlags()
	f.StringVar(&a.flags.mesh, "mesh", "default", "the mesh's name")
	f.StringVar(&a.flags.name, "name", "", "one's own name in the mesh (default: the host's)")
	f.StringVar(&a.flags.keyFile, "key-file", "", "file with the mesh's key (default: where peerctl key new MESH puts it)")
	f.StringArrayVar(&a.flags.peers, "peer", nil, "address of a peer to dial, such as 192.168.1.31:7117 (repeatable)")
	f.StringArrayVar(&a.flags.ifaces, "iface", nil, "network interface for discovery (repeatable; default: all suitable)")
	f.BoolVar(&a.flags.noMDNS, "no-mdns", false, "do not use multicast discovery")
	f.BoolVar(&a.flags.noLocal, "no-local", false, "do not look for peers on this machine through files")
	f.DurationVar(&a.flags.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	f.DurationVar(&a.flags.wait, "wait", time.Second, "how long to look for peers")
	f.StringVarP(&a.flags.output, "output", "o", "", "output form: table, wide, json, yaml or name")
	f.StringVar(&a.flags.jq, "jq", "", "filter and shape the JSON output with a jq expression")
	f.StringVar(&a.flags.color, "color", "auto", "auto, always or never")
	f.StringVar(&a.flags.config, "config", "", "configuration file (default: peerctl/config.yaml in the user's configuration folder)")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "say nothing but the result")
	f.CountVarP(&a.flags.verbose, "verbose", "v", "say more (-v: info, -vv: debug)")
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &exitError{code: exitUsage, err: suggestFlag(root, err)}
	})
	root.AddCommand(a.demoCommand(), a.joinCommand(), a.lsCommand(), a.describeCommand(), a.callCommand(), a.notifyCommand(),
		a.watchCommand(), a.showCommand(), a.followCommand(), a.topCommand(), a.uiCommand(), a.replayCommand(), a.exportCommand(), a.keyCommand(), a.inviteCommand(), a.peersCommand(), a.policyCommand(), a.metricsCommand(), a.benchCommand(), a.serveCommand(), a.mockCommand(), a.completionCommand(), a.configCommand(),
		a.doctorCommand(), a.versionCommand())
	return root
}

// note writes a line for people to stderr.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}
