package contender

import (
	"net"
	"sync"
)

// listener accepts the connections of contenders that take a net.Conn and leave listening to others.
type listener struct {
	net.Listener
	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil when it is closed
}

// listen has serve run for each connection, in a goroutine of its own, until the connection ends.
func listen(serve func(net.Conn)) (*listener, error) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &listener{Listener: nl, conns: map[net.Conn]struct{}{}}
	l.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			l.wg.Go(func() {
				defer conn.Close()
				if l.add(conn) {
					serve(conn)
				}
			})
		}
	})
	return l, nil
}

func (l *listener) add(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns == nil {
		return false
	}
	l.conns[conn] = struct{}{}
	return true
}

func (l *listener) addr() string { return l.Listener.Addr().String() }

// Close ends all connections and waits for those who serve them.
func (l *listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	for conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
	l.mu.Unlock()
	l.wg.Wait()
	return err
}

// group is who hears broadcasts.
type group[T comparable] struct {
	mu   sync.Mutex
	list []T
}

func (g *group[T]) add(member T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = append(g.list, member)
}

func (g *group[T]) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.list)
}

// each calls f for each member until it fails.
func (g *group[T]) each(f func(T) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, member := range g.list {
		if err := f(member); err != nil {
			return err
		}
	}
	return nil
}
