package peer

import (
	"context"
	"errors"
	"fmt"

	"peermesh/api"
	"peermesh/discovery"
)

// Join makes a peer and joins it to its mesh.
func Join(ctx context.Context, cfg Config) (*Peer, error) {
	p, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := p.Join(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// ErrJoined is returned by Join of a peer that has joined, or was closed.
var ErrJoined = errors.New("peer: it has joined already")

// ErrUnhandled is returned by Join when Config.RequireHandlers is set and a bound API has methods without a handler.
var ErrUnhandled = errors.New("peer: methods without a handler")

// Join listens, starts discovery, and returns once every source of discovery was asked and each peer that it found is
// linked or failed, after Config.Settle at the latest; ctx bounds that wait too, and its end is no error. Afterwards
// the peer lives until Close. Errors are those of listening: an address in use, most likely.
func (p *Peer) Join(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	p.settle(ctx)
	return nil
}

// open starts everything that Close ends.
func (p *Peer) open() error {
	p.life.Lock()
	defer p.life.Unlock()
	if p.started || p.closing.Load() {
		return ErrJoined
	}
	p.started = true
	if p.cfg.RequireHandlers {
		if err := p.requireHandlers(); err != nil {
			return err
		}
	}
	sources, err := p.cfg.sources()
	if err != nil {
		return err
	}
	if p.found, err = discovery.New(discovery.Config{Logger: p.log}, sources...); err != nil {
		return fmt.Errorf("peer: %w", err)
	}
	if err := p.listen(); err != nil {
		return errors.Join(err, p.closeListeners())
	}
	if err := p.watchFiles(); err != nil {
		p.log.Warn("changes of files will not be noticed", "error", err)
	}
	p.joined.Store(true)
	if p.cfg.Control {
		if err := p.openControl(); err != nil {
			p.log.Warn("the control socket", "error", err)
		}
	}
	p.wg.Add(2)
	go p.keepTime()
	go p.follow()
	p.wg.Go(func() { _ = p.found.Run(p.ctx) }) // runs once
	for _, ln := range p.listeners {
		p.wg.Go(func() { p.accept(ln) })
	}
	return nil
}

func (p *Peer) requireHandlers() error {
	var missing []error
	for name, b := range *p.bindings.Load() {
		for _, m := range b.Unhandled() {
			missing = append(missing, fmt.Errorf("%w: %s.%s", ErrUnhandled, name, m))
		}
	}
	return errors.Join(missing...)
}

// settle waits until those that were found are linked or failed.
func (p *Peer) settle(ctx context.Context) {
	if p.cfg.Settle < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Settle)
	defer cancel()
	select {
	case <-p.found.Asked():
	case <-ctx.Done():
		return
	case <-p.ctx.Done():
		return
	}
	p.until(ctx, func() bool {
		if p.found.Status().Pending > 0 {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, t := range p.targets {
			if !t.settled && !t.linkedLocked() {
				return false
			}
		}
		return true
	})
}

// until waits for a change of the membership after which ready holds. ready is called without a lock held, for it may
// run code of the user's.
func (p *Peer) until(ctx context.Context, ready func() bool) error {
	for {
		p.mu.Lock()
		changed := p.changed // taken first, so that no change after the look is missed
		p.mu.Unlock()
		if ready() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ctx.Done():
			return api.ErrClosed
		}
	}
}
