package contender

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"net"
	"sync"
)

// raws are no libraries but the limits that the operating system sets: a ping-pong for calls that are made one after
// the other, and the form that a library has, many callers that share a connection, with and without an HMAC that is
// made and checked for each message in each direction.
func raws() []*Contender {
	return []*Contender{
		{
			Name: "rawtcp", About: "a socket and frames of the same length, nothing decoded: ping-pong", Wire: Bytes, Limit: true,
			Serve: func(o Options) (Server, error) { return serveRaw(o, false) },
			Dial:  func(addr string, _ Options) (Client, error) { return dialRaw(addr) },
		},
		{
			Name: "rawtcp-mux", About: "the same, callers share writes, answers by id", Wire: Bytes, Limit: true,
			Can:   Concurrent | Notify | Broadcast,
			Serve: func(o Options) (Server, error) { return serveRaw(o, false) },
			Dial:  func(addr string, o Options) (Client, error) { return dialMux(addr, o, false) },
		},
		{
			Name: "rawtcp-mux+hmac", About: "the same, each message signed and checked", Wire: Bytes, Limit: true,
			Guard: "HMAC-SHA256", Can: Concurrent | Notify | Broadcast,
			Serve: func(o Options) (Server, error) { return serveRaw(o, true) },
			Dial:  func(addr string, o Options) (Client, error) { return dialMux(addr, o, true) },
		},
	}
}

// rawMAC makes the one keyed hash of a direction; nil where messages are not signed.
func rawMAC(signed bool) hash.Hash {
	if !signed {
		return nil
	}
	return hmac.New(sha256.New, make([]byte, 32)) // what the key is makes no difference to the time
}

type rawServer struct {
	*listener
	clients group[*rawWriter]
}

func serveRaw(o Options, signed bool) (*rawServer, error) {
	s := &rawServer{}
	var err error
	s.listener, err = listen(func(conn net.Conn) {
		w := newRawWriter(conn, rawMAC(signed))
		defer w.close()
		go w.run()
		s.clients.add(w)
		r := newRawReader(conn, rawMAC(signed))
		var like string
		for {
			id, text, err := r.next()
			if err == nil && id != 0 {
				err = w.reply(id, text, r.idle())
			} else if err == nil {
				var e Echo
				if e, err = parseRaw(text, like); err == nil {
					like = e.Text
					o.Got(e)
				}
			}
			if err != nil {
				return
			}
		}
	})
	return s, err
}

func (s *rawServer) Addr() string   { return s.addr() }
func (s *rawServer) Receivers() int { return s.clients.size() }
func (s *rawServer) Broadcast(e Echo) error {
	return s.clients.each(func(w *rawWriter) error { return w.post(e) })
}

// rawClient writes, and reads the answer.
type rawClient struct {
	callsOnly
	conn net.Conn
	r    *rawReader
	buf  []byte
}

func dialRaw(addr string) (*rawClient, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &rawClient{conn: conn, r: newRawReader(conn, nil)}, nil
}

func (c *rawClient) Call(e Echo) (Echo, error) {
	c.buf = appendRaw(c.buf[:0], 1, e, nil)
	if _, err := c.conn.Write(c.buf); err != nil {
		return Echo{}, err
	}
	_, text, err := c.r.next()
	if err != nil {
		return Echo{}, err
	}
	return parseRaw(text, e.Text)
}

func (c *rawClient) Close() error { return c.conn.Close() }

// muxClient has many callers on one connection.
type muxClient struct {
	conn net.Conn
	w    *rawWriter
	wg   sync.WaitGroup

	mu    sync.Mutex
	slots []*muxCall // by id, beginning with 1
	free  []*muxCall
	err   error
}

type muxCall struct {
	id   uint32
	e    Echo // what was asked, then what was answered
	done chan error
}

func dialMux(addr string, o Options, signed bool) (*muxClient, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &muxClient{conn: conn, w: newRawWriter(conn, rawMAC(signed))}
	c.wg.Go(c.w.run)
	c.wg.Go(func() { c.fail(c.read(newRawReader(conn, rawMAC(signed)), o.Got)) })
	return c, nil
}

func (c *muxClient) read(r *rawReader, got func(Echo)) error {
	var like string
	for {
		id, text, err := r.next()
		if err != nil {
			return err
		}
		if id == 0 {
			e, err := parseRaw(text, like)
			if err != nil {
				return err
			}
			like = e.Text
			got(e)
			continue
		}
		c.mu.Lock()
		if int(id) > len(c.slots) {
			c.mu.Unlock()
			return errRawFrame
		}
		call := c.slots[id-1]
		c.mu.Unlock()
		call.e, err = parseRaw(text, call.e.Text)
		call.done <- err
	}
}

// fail ends the calls that wait.
func (c *muxClient) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for _, call := range c.slots {
		select {
		case call.done <- err:
		default:
		}
	}
}

func (c *muxClient) Call(e Echo) (Echo, error) {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return Echo{}, c.err
	}
	var call *muxCall
	if n := len(c.free); n > 0 {
		call, c.free = c.free[n-1], c.free[:n-1]
	} else {
		call = &muxCall{id: uint32(len(c.slots) + 1), done: make(chan error, 1)}
		c.slots = append(c.slots, call)
	}
	c.mu.Unlock()
	call.e = e
	if err := c.w.call(call.id, e); err != nil {
		return Echo{}, err
	}
	err := <-call.done
	e = call.e
	c.mu.Lock()
	c.free = append(c.free, call)
	c.mu.Unlock()
	return e, err
}

func (c *muxClient) Notify(e Echo) error { return c.w.post(e) }

func (c *muxClient) Close() error {
	err := c.conn.Close()
	c.w.close()
	c.wg.Wait()
	return err
}
