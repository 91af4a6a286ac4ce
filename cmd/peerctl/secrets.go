package main

import (
	"context"
	"sync"
	"sync/atomic"

	"peermesh/api"
	"peermesh/peer/tap"
)

// redactor knows what the schemas of the peers that are there call secret, of those that say so before ctx ends.
func (s *session) redactor(ctx context.Context) *tap.Redactor {
	m, err := s.ctl.Peers(ctx)
	if err != nil {
		return tap.NewRedactor()
	}
	var docs []api.Document
	for i := range m.Peers {
		if d, err := s.document(ctx, &m.Peers[i]); err == nil {
			docs = append(docs, d)
		}
	}
	return tap.NewRedactor(docs...)
}

// redactor is that of the running peer; where there is none, names alone tell what is secret. nil: all is to be shown.
func (a *app) redactor(ctx context.Context, secrets bool) *tap.Redactor {
	if secrets {
		return nil
	}
	ctl, err := a.runningPeer(ctx)
	if err != nil || ctl == nil {
		return tap.NewRedactor()
	}
	s := &session{app: a, ctl: ctl, docs: docCache{}}
	defer s.close()
	ctx, cancel := context.WithTimeout(ctx, a.flags.timeout)
	defer cancel()
	return s.redactor(ctx)
}

// without returns a record as it is shown: without its secrets, unless redact is nil.
func without(redact *tap.Redactor, r *tap.Record) *tap.Record {
	if redact == nil {
		return r
	}
	c := *r
	redact.Record(&c)
	return &c
}

// liveRedactor keeps up with a mesh: it asks again when somebody joins, or binds another API. Until somebody has
// answered, names alone tell what is secret of his.
type liveRedactor struct {
	s      *session
	now    atomic.Pointer[tap.Redactor]
	again  chan struct{}
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// watchSecrets returns nil when secrets are to be shown. Close it before the session.
func (s *session) watchSecrets(ctx context.Context, secrets bool) *liveRedactor {
	if secrets {
		return nil
	}
	l := &liveRedactor{s: s, again: make(chan struct{}, 1)}
	ctx, l.cancel = context.WithCancel(ctx)
	l.ask(ctx)
	l.wg.Go(func() {
		for {
			select {
			case <-l.again:
				l.ask(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return l
}

func (l *liveRedactor) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.s.app.flags.timeout)
	defer cancel()
	l.now.Store(l.s.redactor(ctx))
}

// note takes note of who comes. It is to be handed all records.
func (l *liveRedactor) note(r *tap.Record) {
	if l == nil || r.Kind != "peer" {
		return
	}
	select {
	case l.again <- struct{}{}:
	default: // it will be asked anyway
	}
}

// without returns a record as it is shown. A nil liveRedactor shows all.
func (l *liveRedactor) without(r *tap.Record) *tap.Record {
	if l == nil {
		return r
	}
	return without(l.now.Load(), r)
}

func (l *liveRedactor) close() {
	if l != nil {
		l.cancel()
		l.wg.Wait()
	}
}
