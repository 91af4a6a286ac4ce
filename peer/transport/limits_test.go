package transport_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/codec"
	"peermesh/peer/transport"
)

// say writes to a connection without waiting for who reads.
func say(c net.Conn, text string) { go func() { _, _ = c.Write([]byte(text)) }() }

// ended waits until the other end has closed c, and returns how long that took.
func ended(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if n, err := io.Copy(io.Discard, c); n > 0 || isTimeout(err) {
		t.Errorf("%d bytes came, %v", n, err)
	}
	return time.Since(began)
}

// TestNewPerAddress: 8 new connections of one address, of one /64 in IPv6, and 64 of this machine. One more is closed.
func TestNewPerAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		remote func(i int) string
		most   int
		other  string
	}{
		{func(i int) string { return fmt.Sprintf("10.0.0.7:%d", 1000+i) }, 8, "10.0.0.8:1"},
		{func(i int) string { return fmt.Sprintf("[::ffff:10.0.0.7]:%d", 1000+i) }, 8, "10.0.0.8:1"},
		{func(i int) string { return fmt.Sprintf("[2001:db8:0:1::%x]:1", i) }, 8, "[2001:db8:0:2::1]:1"},
		{func(i int) string { return fmt.Sprintf("[fe80::%x%%eth0]:1", i) }, 8, "10.0.0.8:1"},
	} {
		slots := transport.NewSlots(transport.MaxNew, transport.MaxNewPerAddr)
		refused := newRefusals()
		m, ln := listenMemory(t, "10.0.0.1:7117", func(cfg *transport.ListenConfig) { cfg.Slots, cfg.Refused = slots, refused.note })
		accept := func(remote string) (client net.Conn, conn *transport.Conn) {
			client = m.from(remote)
			t.Cleanup(func() { _ = client.Close() })
			say(client, "\x00")
			conn, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			return client, conn
		}
		var conns []*transport.Conn
		for i := range c.most {
			_, conn := accept(c.remote(i))
			conns = append(conns, conn)
		}
		extra := m.from(c.remote(c.most))
		ended(t, extra)
		if got := refused.next(); got != transport.RefusedAddress || slots.Refused() != 1 {
			t.Errorf("%s: refused as %q, counted %d", c.remote(0), got, slots.Refused())
		}
		_, another := accept(c.other)
		conns[0].Admitted()
		conns[0].Admitted() // is the same place
		_, again := accept(c.remote(c.most))
		_ = conns[1].Close()
		_, again2 := accept(c.remote(c.most))
		extra = m.from(c.remote(c.most))
		ended(t, extra)
		for _, conn := range append(conns, another, again, again2) {
			_ = conn.Close()
		}
	}
}

// TestNewInAll: 64 new connections, of this machine too; more wait unaccepted until one has proven something, has ended
// or was too slow.
func TestNewInAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		refused := newRefusals()
		m, ln := listenMemory(t, "127.0.0.1:7117", func(cfg *transport.ListenConfig) { cfg.Refused = refused.note })
		var conns []*transport.Conn
		var clients []net.Conn
		for range transport.MaxNew {
			c := m.from("127.0.0.1:5000")
			clients = append(clients, c)
			say(c, "\x00")
			conn, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		for range 3 {
			c := m.from("127.0.0.1:5000")
			clients = append(clients, c)
			say(c, "\x00")
		}
		next := make(chan *transport.Conn)
		go func() {
			defer close(next)
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				next <- c
			}
		}()
		time.Sleep(time.Hour) // what was handed out is not the listener's to end
		if len(m.conns) != 3 || len(next) != 0 || len(refused) > 0 {
			t.Errorf("%d wait, %d are refused", len(m.conns), len(refused))
		}
		conns[0].Admitted()
		conns = append(conns, <-next)
		_ = conns[1].Close()
		conns = append(conns, <-next)
		if len(m.conns) != 1 {
			t.Errorf("%d wait", len(m.conns))
		}
		_ = ln.Close()
		<-next
		for _, c := range conns {
			_ = c.Close()
		}
		for _, c := range clients {
			_ = c.Close()
		}
	})
}

// TestSlow: who does not say in 5 s what it speaks is cut off and gives its place back, however it spends the time.
func TestSlow(t *testing.T) {
	t.Parallel()
	const head = "POST /rpc HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
	for name, c := range map[string]struct {
		first string
		then  string // a byte of it each second
	}{
		"half a method":         {"GE", ""},
		"a method, slowly":      {"", "DELETE /"},
		"headers, slowly":       {"GET /mesh HTTP/1.1\r\n", "Host: 10.0.0.1\r\n"},
		"a body, slowly":        {head, strings.Repeat(" ", 100)},
		"a body, not at all":    {head, ""},
		"requests for nothing":  {"", ""},
		"upgrades that are bad": {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				slots := transport.NewSlots(1, 1)
				m, ln := listenMemory(t, "10.0.0.1:7117", func(cfg *transport.ListenConfig) { cfg.Slots = slots })
				handed := make(chan *transport.Conn, 10)
				go func() {
					for {
						c, err := ln.Accept()
						if err != nil {
							return
						}
						handed <- c
						go func() { // as a link does
							_, err := io.Copy(io.Discard, c)
							if err != nil {
								_ = c.Close()
							}
						}()
					}
				}()
				client := m.from("10.0.0.2:1")
				began := time.Now()
				switch name {
				case "requests for nothing", "upgrades that are bad":
					text := "GET /nothing HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
					if name != "requests for nothing" {
						text = "GET /mesh HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"
					}
					go func() {
						for {
							if _, err := client.Write([]byte(text)); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
					}()
				default:
					go func() {
						_, err := client.Write([]byte(c.first))
						for i := 0; i < len(c.then) && err == nil; i++ {
							time.Sleep(time.Second)
							_, err = client.Write([]byte(c.then[i : i+1]))
						}
					}()
				}
				go func() { _, _ = io.Copy(io.Discard, client) }()
				next := m.from("10.0.0.3:1")
				say(next, "\x00")
				for c := range handed {
					if c.Once {
						continue
					}
					break
				}
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("the place is free after %s", d)
				}
				_ = client.Close()
				_ = next.Close()
				_ = ln.Close()
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestKeptAlive: an HTTP connection that has proven nothing ends with its first answer. One that has gives its place
// back and may go on, with as much time for each body.
func TestKeptAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slots := transport.NewSlots(1, 1)
		m, ln := listenMemory(t, "10.0.0.1:7117", func(cfg *transport.ListenConfig) { cfg.Slots = slots })
		admit := true
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				if _, err := codec.NewReader(c, c.Framing, 1<<20).Next(); err == nil {
					if admit {
						c.Admitted()
					}
					_, _ = c.Write([]byte("{}\x00"))
				}
				_ = c.Close()
			}
		}()
		const post = "POST /rpc HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
		client := m.from("10.0.0.2:1")
		r := bufio.NewReader(client)
		ask := func(text string) *http.Response {
			t.Helper()
			say(client, text)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			return resp
		}
		for range 20 {
			if resp := ask(post + "{}"); resp.StatusCode != 200 || resp.Close {
				t.Errorf("%s, closes %v", resp.Status, resp.Close)
			}
			time.Sleep(4 * time.Second)
		}
		if resp := ask("GET /nothing HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"); resp.StatusCode != 404 || resp.Close {
			t.Errorf("%s, closes %v", resp.Status, resp.Close)
		}
		second := m.from("10.0.0.2:2") // has the only place
		synctest.Wait()
		admit = false
		if resp := ask(post + "{}"); resp.StatusCode != 200 || resp.Close {
			t.Errorf("beside another: %s, closes %v", resp.Status, resp.Close)
		}
		began := time.Now()
		if resp := ask(post + "{"); resp.StatusCode != 400 || !resp.Close || time.Since(began) != 5*time.Second {
			t.Errorf("half a body: %s, closes %v, after %s", resp.Status, resp.Close, time.Since(began))
		}
		_ = client.Close()
		_ = second.Close()

		client = m.from("10.0.0.2:3")
		r = bufio.NewReader(client)
		if resp := ask(post + "{}"); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("not admitted: %s, closes %v", resp.Status, resp.Close)
		}
		admit = true
		idle := m.from("10.0.0.2:4")
		client, r = idle, bufio.NewReader(idle)
		ask(post + "{}")
		if d := ended(t, idle); d != 5*time.Second {
			t.Errorf("an idle connection was kept for %s", d)
		}
		_ = idle.Close()
		_ = ln.Close()
	})
}

// TestUnread: who asks and does not read the answers is cut off, though it has proven something, and however long the
// answers took.
func TestUnread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, ln := listenMemory(t, "10.0.0.1:7117", nil)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.Admitted()
				_, _ = io.Copy(io.Discard, c)
				time.Sleep(time.Minute)
				_, _ = c.Write([]byte("{}\x00"))
				_ = c.Close()
			}
		}()
		const post = "POST /rpc HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
		for _, next := range []string{post, "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"} {
			client := m.from("10.0.0.2:1")
			say(client, post)
			resp, err := http.ReadResponse(bufio.NewReader(client), nil)
			if err != nil || resp.StatusCode != 200 {
				t.Error(resp, err)
			}
			began := time.Now()
			say(client, next)
			time.Sleep(2 * time.Minute)
			if _, err := client.Write([]byte("x")); err == nil {
				t.Errorf("%.4s: it is still there after %s", next, time.Since(began))
			}
			_ = client.Close()
		}
		_ = ln.Close()
	})
}

// allocated returns how much f allocates, in all goroutines.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// TestAnnounced: a length that is only announced takes no memory.
func TestAnnounced(t *testing.T) {
	ln := listen(t, "127.0.0.1:0", transport.ListenConfig{})
	took := make(chan error, 100)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				_, err := codec.NewReader(c, c.Framing, 4<<20).Next()
				took <- err
				_ = c.Close()
			}()
		}
	}()
	const each = 16
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		return c
	}
	post := "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct {
		text   string
		status int
		most   uint64
	}{
		"1 GiB":             {post + "Content-Length: 1073741824\r\n\r\n{", 413, 64 << 10},
		"all that is there": {post + "Content-Length: 9223372036854775807\r\n\r\n{", 413, 64 << 10},
		"4 MiB":             {post + "Content-Length: 4194304\r\n\r\n{", 400, 64 << 10},
		"a chunk of 1 GiB":  {post + "Transfer-Encoding: chunked\r\n\r\n40000000\r\n{", 400, 64 << 10},
	} {
		n := allocated(func() {
			for range each {
				conn := dial()
				if _, err := conn.Write([]byte(c.text)); err != nil {
					t.Error(err)
				}
				_ = conn.(*net.TCPConn).CloseWrite() // no more comes
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil || resp.StatusCode != c.status {
					t.Errorf("%s: %v, %v", name, resp, err)
				}
				if c.status == 400 {
					<-took
				}
				_ = conn.Close()
			}
		})
		if n/each > c.most {
			t.Errorf("%s: %d bytes each", name, n/each)
		}
	}
	// A chunked body is not endless.
	conn := dial()
	go func() {
		_, err := conn.Write([]byte(post + "Transfer-Encoding: chunked\r\n\r\n40000000\r\n"))
		for err == nil {
			_, err = conn.Write(bytes.Repeat([]byte("x"), 64<<10))
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 413 {
		t.Errorf("an endless body: %v, %v", resp, err)
	}
	<-took
	_ = conn.Close()

	// A WebSocket frame of 1 GiB.
	n := allocated(func() {
		for range each {
			conn := dial()
			if resp := request(t, conn, upgrade("localhost")); resp.StatusCode != 101 {
				t.Fatal(resp.Status)
			}
			frame := append([]byte{0x81, 0xff}, binary.BigEndian.AppendUint64(nil, 1<<30)...)
			if _, err := conn.Write(append(frame, 0, 0, 0, 0, '{', '}')); err != nil {
				t.Error(err)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
			<-took
			_ = conn.Close()
		}
	})
	if n/each > 64<<10 {
		t.Errorf("a WebSocket frame of 1 GiB: %d bytes", n/each)
	}
}
