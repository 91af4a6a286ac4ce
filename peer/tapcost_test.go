//go:build unix

package peer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// cpu is the processor time that the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestTapCost measures what a call costs, in processor time of both ends, with a tap that shows headers to a third peer,
// and without, in interleaved rounds. The third peer is a process of its own. Whatever it does, it takes caches and
// processors from the two; so the rounds without a tap have a process beside them that is as busy. It takes a
// minute; set PEERMESH_LONG=1.
func TestTapCost(t *testing.T) {
	if os.Getenv("PEERMESH_LONG") == "" {
		t.Skip("skip: takes a minute; PEERMESH_LONG=1 runs it, and so does .ci/run nightly")
	}
	mesh := peertest.New(t)
	real := func(c *peer.Config) { c.Listen, c.Network, c.Logger = []string{"127.0.0.1:0"}, nil, nil }
	cam, desk := mesh.Peer("cam1", real), mesh.Peer("desk", real)
	lab.Snap.Handle(api.Bind(cam, lab.API), func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: in.ExposureMS}, nil
	})
	view := api.Bind(desk, lab.API.Invert())
	mesh.Join(cam, desk)
	call := func(n int) time.Duration {
		began := cpu()
		done := make(chan struct{})
		for range 16 {
			go func() {
				for range n / 16 {
					if _, err := lab.Snap.Call(t.Context(), view, api.To("cam1"), lab.SnapParams{ExposureMS: 20}); err != nil {
						t.Error(err)
					}
				}
				done <- struct{}{}
			}()
		}
		for range 16 {
			<-done
		}
		return (cpu() - began) / time.Duration(n)
	}
	const n = 200_000
	call(n)
	var ratios []float64
	for range 9 {
		watcher := exec.Command(os.Args[0], "-test.run", "^TestTapWatcher$")
		watcher.Env = append(os.Environ(), "PEERMESH_WATCH="+cam.Self().Address+","+desk.Self().Address, "PEERMESH_WATCH_KEY="+mesh.Keys.Entries()[0].Key.Export())
		end, err := watcher.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		watcher.Stdout = &said
		started := time.Now()
		if err := watcher.Start(); err != nil {
			t.Fatal(err)
		}
		mesh.Linked(cam, "watcher")
		mesh.Linked(desk, "watcher")
		time.Sleep(300 * time.Millisecond) // until the taps are open
		on := call(n)
		_ = end.Close()
		if err := watcher.Wait(); err != nil {
			t.Fatal(err)
		}
		mesh.Gone(cam, "watcher")
		mesh.Gone(desk, "watcher")
		used := watcher.ProcessState.UserTime() + watcher.ProcessState.SystemTime()
		share := float64(used) / float64(time.Since(started)-300*time.Millisecond)
		stop := beside(t, share)
		off := call(n)
		stop()
		ratios = append(ratios, float64(on)/float64(off))
		t.Logf("without %s, with %s a call: %.3f ×; the watcher has %s, and used %.0f %% of a processor", off, on, float64(on)/float64(off), strings.SplitN(said.String(), "\n", 2)[0], 100*share)
	}
	slices.Sort(ratios)
	t.Logf("median %.3f ×", ratios[len(ratios)/2])
}

// beside starts a process that uses a share of a processor, in small pieces.
func beside(t *testing.T, share float64) (stop func()) {
	t.Helper()
	busy := exec.Command(os.Args[0], "-test.run", "^TestTapBusy$")
	busy.Env = append(os.Environ(), fmt.Sprintf("PEERMESH_BUSY=%f", share))
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = busy.Process.Kill()
		_ = busy.Wait() // it was killed
	}
}

// TestTapBusy is the program that uses as much as the one that watches.
func TestTapBusy(t *testing.T) {
	share, err := strconv.ParseFloat(os.Getenv("PEERMESH_BUSY"), 64)
	if err != nil {
		t.Skip("skip: it is a part of TestTapCost")
	}
	sum := sha256.Sum256(nil)
	for last := cpu(); ; last = cpu() {
		for cpu()-last < time.Duration(share*float64(50*time.Millisecond)) {
			sum = sha256.Sum256(bytes.Repeat(sum[:], 100))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestTapWatcher is the program that watches in TestTapCost.
func TestTapWatcher(t *testing.T) {
	addrs := os.Getenv("PEERMESH_WATCH")
	if addrs == "" {
		t.Skip("skip: it is a part of TestTapCost")
	}
	key, err := security.ParseKey([]byte(os.Getenv("PEERMESH_WATCH_KEY")))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := security.NewKeyring(security.Entry{Key: key, Send: true})
	if err != nil {
		t.Fatal(err)
	}
	mesh := peertest.New(t)
	p := mesh.Peer("watcher", func(c *peer.Config) {
		c.Keys, c.Network, c.Discovery, c.Listen, c.Peers, c.Logger = keys, nil, nil, []string{}, strings.Split(addrs, ","), nil
	})
	ctx, stop := context.WithCancel(t.Context())
	records := p.Watch(ctx)
	if err := p.Join(ctx); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	seen, dropped := 0, uint64(0)
	for r := range records {
		seen++
		dropped += r.Dropped
	}
	fmt.Printf("%d records and %d events dropped\n", seen, dropped)
}
