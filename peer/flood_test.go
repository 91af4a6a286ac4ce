package peer_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/peer/peertest"
	"peermesh/security"
)

// flood is an attack on a peer from this machine, a program of its own.
type flood struct {
	name string
	run  func(ctx context.Context, addr string, n int) // one of several that run at once
}

var tried atomic.Int64

// floods are what strangers may do.
func floods() []flood {
	return []flood{
		{"connects", func(ctx context.Context, addr string, n int) {
			for ctx.Err() == nil {
				if c := fromAny(n, addr); c != nil {
					tried.Add(1)
					_ = c.Close()
				}
			}
		}},
		{"connections that are held", func(ctx context.Context, addr string, n int) {
			var held []net.Conn
			for ctx.Err() == nil && len(held) < 40 {
				if c := fromAny(n, addr); c != nil {
					tried.Add(1)
					held = append(held, c)
				}
			}
			<-ctx.Done()
			for _, c := range held {
				_ = c.Close()
			}
		}},
		{"slowloris", func(ctx context.Context, addr string, n int) {
			for ctx.Err() == nil {
				c := fromAny(n, addr)
				if c == nil {
					continue
				}
				tried.Add(1)
				for _, b := range []byte("GET /mesh HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + strings.Repeat("x", 1000)) {
					if _, err := c.Write([]byte{b}); err != nil || ctx.Err() != nil {
						break
					}
					time.Sleep(10 * time.Millisecond) // it is slow on purpose
				}
				_ = c.Close()
			}
		}},
		{"a frame of 1 GiB", func(ctx context.Context, addr string, n int) {
			junk := []byte(strings.Repeat(`[`, 64<<10))
			for ctx.Err() == nil {
				c := fromAny(n, addr)
				if c == nil {
					continue
				}
				tried.Add(1)
				_, _ = c.Write([]byte("Content-Length: 1073741824\r\n\r\n"))
				for sent := 0; sent < 1<<30 && ctx.Err() == nil; sent += len(junk) {
					if _, err := c.Write(junk); err != nil {
						break
					}
				}
				_ = c.Close()
			}
		}},
		{"a member's messages", func(ctx context.Context, addr string, n int) {
			key, err := security.ParseKey([]byte(os.Getenv("PEERMESH_FLOOD_KEY")))
			if err != nil {
				return
			}
			keys, err := security.NewKeyring(security.Entry{Key: key, Send: true})
			if err != nil {
				return
			}
			id, err := security.NewIdentity(fmt.Sprintf("member-%d", n))
			if err != nil {
				return
			}
			conn := fromAny(n, addr)
			if conn == nil {
				return
			}
			defer func() { _ = conn.Close() }()
			m, err := shake(&client{conn: conn, framing: codec.NUL, reader: codec.NewReader(conn, codec.NUL, 4<<20)}, handshakeOf(id, keys))
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
			for i := 0; ctx.Err() == nil; i++ {
				tried.Add(1)
				if m.try(m.frames(fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"lab.camera.snap","params":{"exposure_ms":1}}`, i))...) != nil {
					return
				}
			}
		}},
		{"hellos with another key", func(ctx context.Context, addr string, n int) {
			id, err := security.NewIdentity(fmt.Sprintf("stranger-%d", n))
			if err != nil {
				return
			}
			foreign, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
			if err != nil {
				return
			}
			for ctx.Err() == nil {
				c := fromAny(n, addr)
				if c == nil {
					continue
				}
				tried.Add(1)
				in, err := security.NewInitiator(handshakeOf(id, foreign))
				if err != nil {
					return
				}
				hello, err := in.Hello(nil)
				if err != nil {
					return
				}
				_, _ = c.Write(codec.NUL.Append(nil, []byte(`{"jsonrpc":"2.0","id":"h1","method":"rpc.hello","params":`+string(hello)+`}`)))
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = io.ReadAll(c)
				_ = c.Close()
			}
		}},
	}
}

// TestFloodAttacker is the program that TestFloods starts: PEERMESH_FLOOD names the flood and the address.
func TestFloodAttacker(t *testing.T) {
	name, addr, ok := strings.Cut(os.Getenv("PEERMESH_FLOOD"), " @ ")
	if !ok {
		t.Skip("skip: it is a part of TestFloods")
	}
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	for _, f := range floods() {
		if f.name == name {
			var wg sync.WaitGroup
			for n := range 4 {
				wg.Go(func() { f.run(ctx, addr, 1+n) })
			}
			wg.Wait()
		}
	}
	fmt.Printf("tries: %d\n", tried.Load())
}

// TestFloods measures what a call between two members takes while strangers do their worst, beside what it takes when
// nobody does, and how much memory they can make a peer take. The strangers are another process, of lower priority, for
// they would not take the peer's own processors if they were another machine. It takes minutes; set PEERMESH_LONG=1.
func TestFloods(t *testing.T) {
	if os.Getenv("PEERMESH_LONG") == "" {
		t.Skip("skip: takes minutes; PEERMESH_LONG=1 runs it, and so does .ci/run nightly")
	}
	nice, err := exec.LookPath("nice")
	if err != nil {
		t.Skip("skip: needs nice")
	}
	mesh := peertest.New(t)
	real := func(c *peer.Config) { c.Listen, c.Network, c.Discovery = []string{"127.0.0.1:0"}, nil, nil }
	server := mesh.Peer("server", real)
	lab.Snap.Handle(api.Bind(server, lab.API), func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: in.ExposureMS}, nil
	})
	if err := server.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := dialling(mesh, "client", server.Self().Address)
	view := api.Bind(client, lab.API.Invert())
	if err := client.Join(t.Context()); err != nil {
		t.Fatal(err)
	}
	mesh.Linked(client, "server")
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	p99s := map[string][]time.Duration{}
	peak := uint64(0)
	all := append([]flood{{name: "idle"}}, floods()...)
	for round := range 3 {
		for _, f := range all {
			ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
			var attacker *exec.Cmd
			var said bytes.Buffer
			if f.run != nil {
				attacker = exec.Command(nice, "-n", "19", os.Args[0], "-test.run", "^TestFloodAttacker$")
				attacker.Env = append(os.Environ(), "PEERMESH_FLOOD="+f.name+" @ "+server.Self().Address,
					"PEERMESH_FLOOD_KEY="+mesh.Keys.Entries()[0].Key.Export())
				attacker.Stdout = &said
				if err := attacker.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond) // until it is under way
			}
			var took []time.Duration
			for ctx.Err() == nil {
				began := time.Now()
				if _, err := lab.Snap.Call(t.Context(), view, api.To("server"), lab.SnapParams{ExposureMS: 1}); err != nil {
					t.Fatalf("%s: a member's call failed: %v", f.name, err)
				}
				took = append(took, time.Since(began))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse+m.StackInuse)
			stop()
			tries := ""
			if attacker != nil {
				if err := attacker.Wait(); err != nil {
					t.Fatalf("%s: %v: %s", f.name, err, said.String())
				}
				tries, _, _ = strings.Cut(said.String(), "\n")
			}
			slices.Sort(took)
			p99 := took[len(took)*99/100]
			p99s[f.name] = append(p99s[f.name], p99)
			t.Logf("round %d, %-26s %-15s %7d calls, p50 %8s, p99 %8s, heap %3d MiB", round+1, f.name, tries, len(took), took[len(took)/2], p99, m.HeapInuse>>20)
		}
	}
	median := func(name string) time.Duration {
		l := slices.Clone(p99s[name])
		slices.Sort(l)
		return l[len(l)/2]
	}
	for _, f := range all {
		t.Logf("%-26s p99 %8s, %.1f × idle", f.name, median(f.name), float64(median(f.name))/float64(median("idle")))
	}
	t.Logf("memory: %d MiB before, at most %d MiB ", (before.HeapInuse+before.StackInuse)>>20, peak>>20)
	if grown := int64(peak) - int64(before.HeapInuse+before.StackInuse); grown > 32<<20 {
		t.Errorf("the process has grown by %d MiB", grown>>20)
	}
	if n := len(slices.Collect(client.Peers())); n != 1 {
		t.Errorf("the members are linked with %d", n)
	}
}

// fromAny dials from one of 127.0.0.0/8, as from returns it, nil where that fails.
func fromAny(n int, addr string) net.Conn {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 2, 0, byte(n))}, Timeout: time.Second}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil
	}
	return c
}
