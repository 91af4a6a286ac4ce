package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer"
	"peermesh/peer/tap"
)

func (a *app) uiCommand() *cobra.Command {
	var listen string
	var noOpen bool
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Look at the mesh in a browser: traffic, timing, who is there, a form for each method",
		Long: `ui serves a page for browsers of this machine until Ctrl-C: what is said in the mesh, as it is said, with where the time
went and how it was protected; who is linked to whom; rates and latencies; a form for each method that a peer serves;
what doctor finds. It prints the page's address, which lets in whoever has it; in a terminal it opens the browser too.

It looks through a peer that runs here (peerctl join, or a program's own), else it joins the mesh itself. Of peers of other
users or machines it shows what they let members see, by default all but params and results (join --tap full shows those
too). What is secret by its schema or its name is hidden until the page is told to show it.`,
		Example: `  peerctl ui
  peerctl ui --no-open --listen 127.0.0.1:9187`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ui(cmd.Context(), listen, noOpen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "`address` to serve the page at, of this machine alone; port 0 is any free one")
	cmd.Flags().BoolVar(&noOpen, "no-open", false, "do not open the browser")
	return cmd
}

func (a *app) ui(ctx context.Context, listen string, noOpen bool) error {
	ln, err := page.Listen(listen)
	if err != nil {
		return usageError("%w", err)
	}
	ctl := &controls{app: a}
	defer ctl.close()
	site, err := page.New(ln, page.Config{Open: ctl.open, Doctor: a.findings, Timeout: a.flags.timeout, Version: version, Logger: a.logger()})
	if err == nil {
		err = a.printPage(site.Address())
	}
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if !noOpen && isTerminal(a.out) {
		if err := openBrowser(site.OneTimeAddress()); err != nil {
			a.note("no browser: %v", err)
		}
	}
	return site.Run(ctx) // Ctrl-C is how it ends
}

// printPage says where the page is.
func (a *app) printPage(address string) error {
	if a.flags.output == "json" {
		return json.NewEncoder(a.out).Encode(map[string]any{"v": tap.RecordVersion, "t": time.Now().UTC(), "kind": "note", "text": "page", "address": address})
	}
	_, err := fmt.Fprintf(a.out, "page: %s\n", address)
	return err
}

// openBrowser has the user's browser open an address. That it cannot be opened is known only when the program is not there.
func openBrowser(address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// controls connects the page to the mesh: through the running peer, as long as there is one, else through a peer of its
// own, which it makes once.
type controls struct {
	app *app

	mu  sync.Mutex
	own *session
}

func (c *controls) open(ctx context.Context) (page.Mesh, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own == nil && len(c.app.flags.peers) == 0 {
		all, err := peer.Controls(ctx, "", c.app.flags.mesh, c.app.flags.name)
		if err == nil {
			for _, x := range all[1:] {
				_ = x.Close() // one sees the whole mesh
			}
			return all[0], nil
		}
		if !errors.Is(err, peer.ErrNoControl) {
			return nil, err
		}
	}
	if c.own == nil {
		s := &session{app: c.app, docs: docCache{}}
		if err := s.join(ctx); err != nil {
			return nil, err
		}
		c.own = s
	}
	return piped(c.own.own, &c.own.wg), nil
}

func (c *controls) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil {
		c.own.close()
	}
}

// piped is a control connection to a peer of this process.
func piped(p *peer.Peer, wg *sync.WaitGroup) *peer.Control {
	mine, theirs := net.Pipe()
	wg.Go(func() { p.ServeControl(context.Background(), theirs) })
	return peer.NewControl(mine)
}

// examined is how long the page's doctor looks.
const examined = 3 * time.Second

// findings examines the mesh as doctor does.
func (a *app) findings(ctx context.Context) ([]page.Finding, error) {
	return a.examine(ctx, examined).findings, nil
}
