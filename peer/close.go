package peer

import (
	"context"
	"errors"
	"net"
	"time"

	"peermesh/api"
)

// Close leaves the mesh: it says goodbye to discovery and to each peer, lets handlers that run finish and queues drain
// for up to 2 s, and returns when nothing is left running. Calls that wait end with api.ErrGone. Closing again returns
// at once.
func (p *Peer) Close() error {
	if p.closing.Swap(true) {
		<-p.closed
		return nil
	}
	p.life.Lock() // a Join that is under way has opened all or nothing
	err := p.closeListeners()
	p.life.Unlock()
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		p.sayBye(l)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	_ = p.until(ctx, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.links) == 0
	}) // those that take longer are cut
	cancel()
	p.cancel()
	for _, l := range links {
		l.end(reasonBye, nil)
	}
	err = errors.Join(err, p.closeControl())
	p.wg.Wait()
	close(p.closed)
	if t := p.tap.Load(); t != nil {
		t.Close()
	}
	return errors.Join(err, p.releaseID())
}

// closeFor is how long Close lets what runs finish.
const closeFor = 2 * time.Second

// sayBye ends a link once its handlers are done and its queue is written.
func (p *Peer) sayBye(l *link) {
	l.calls.fail(api.ErrGone)
	l.in.refuseNew()
	l.in.idle(func() {
		if l.known.Load() && !l.conn.Once {
			p.bye(l)
		}
		l.finish()
	})
}

func (p *Peer) closeListeners() error {
	var errs []error
	for _, ln := range p.listeners {
		if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
