package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"peermesh/api"
	"peermesh/peer"
)

// atOnce is how many commands run at once; further calls are busy.
const atOnce = 4

// maxOutput is how much of a command's output is taken.
const maxOutput = 4 << 20

func (a *app) serveCommand() *cobra.Command {
	var host hostFlags
	var line string
	cmd := &cobra.Command{
		Use:   "serve METHOD --exec COMMAND",
		Short: "Answer a method with a shell command",
		Long: `serve is a peer that answers one method by running a command (sh -c, on Windows cmd /c). The params come as JSON on
its stdin and are never part of the command line. Its stdout is the result: JSON, or else a text. A command that fails
answers with an error, whose data holds the exit code; one that is cancelled is killed. Up to four run at once.`,
		Example: "  peerctl serve lab.beep --exec 'aplay beep.wav'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if line == "" {
				return usageError("say what to run: --exec COMMAND")
			}
			cfg, err := host.config(a)
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), cfg, args[0], line)
		},
	}
	cmd.Flags().StringVar(&line, "exec", "", "the command to run")
	host.add(a, cmd)
	return cmd
}

func (a *app) serve(ctx context.Context, cfg peer.Config, method, line string) error {
	doc := api.Document{OpenRPC: api.OpenRPCVersion, Side: "server", Other: "client",
		Info: api.DocumentInfo{Title: apiOf(method), Version: "1", Description: "A command of " + peer.HostName() + "."},
		Methods: []api.DocumentMethod{{Name: method, Description: "Runs a command.", ParamStructure: "either",
			Params: []api.DocumentDescriptor{}, ParamsSchema: json.RawMessage("{}"),
			Result: &api.DocumentDescriptor{Name: "result", Schema: json.RawMessage("{}")}}}}
	slots := make(chan struct{}, atOnce)
	b, err := api.Serve(doc, 2*atOnce, func(ctx context.Context, _ *api.DocumentMethod, params json.RawMessage) (json.RawMessage, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			return runCommand(ctx, line, params)
		default:
			return nil, api.Errorf(api.CodeBusy, "%d commands are running", atOnce).WithData(map[string]int{"retry_ms": 1000})
		}
	})
	if err != nil {
		return usageError("%w", err)
	}
	return a.host(ctx, cfg, func(p *peer.Peer) error { return p.Bind(b) })
}

// runCommand runs the command line with params on its stdin.
func runCommand(ctx context.Context, line string, params json.RawMessage) (json.RawMessage, error) {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/c"
	}
	cmd := exec.CommandContext(ctx, shell, flag, line)
	cmd.WaitDelay = time.Second // for children that keep its output open
	killGroup(cmd)
	if params == nil {
		params = json.RawMessage("null")
	}
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(params), '\n'))
	var out limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, api.Errorf(api.CodeApplication, "the command failed").WithData(map[string]int{"exit": exit.ExitCode()})
	}
	if err != nil {
		return nil, api.Errorf(api.CodeApplication, "the command could not be run")
	}
	if out.over {
		return nil, api.Errorf(api.CodeInternal, "the command wrote more than %d bytes", maxOutput)
	}
	text := bytes.TrimSpace(out.Bytes())
	switch {
	case len(text) == 0:
		return json.RawMessage("null"), nil
	case json.Valid(text):
		return json.RawMessage(text), nil
	}
	return json.Marshal(strings.ToValidUTF8(string(text), "�"))
}

// limitedBuffer keeps the first bytes that are written to it.
type limitedBuffer struct {
	bytes.Buffer
	over bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		b.over = true
		return len(p), nil
	}
	return b.Buffer.Write(p)
}
