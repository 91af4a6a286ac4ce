package peer

import (
	"bytes"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/security"
)

// protocolErrors hands what was wrong with the others' messages to a function of the user's, off the readers.
type protocolErrors struct {
	f     func(*api.Info, error, []byte)
	queue chan protocolFault
}

type protocolFault struct {
	from  *api.Info
	err   error
	frame []byte
}

// maxFaults is how many faults wait for the function; more are dropped. They are counted by Stats either way.
const maxFaults = 64

// OnProtocolError has f called, one call at a time, with each message that was no valid one, or an answer to no call:
// who sent it, what is wrong, and a copy of the frame. It replaces the function of an earlier call; nil ends it. f
// runs until Close, which waits for it.
func (p *Peer) OnProtocolError(f func(*api.Info, error, []byte)) {
	var next *protocolErrors
	if f != nil {
		next = &protocolErrors{f: f, queue: make(chan protocolFault, maxFaults)}
		p.wg.Go(func() {
			for {
				select {
				case <-p.ctx.Done():
					return
				case fault := <-next.queue:
					if p.protocol.Load() != next {
						return
					}
					next.f(fault.from, fault.err, fault.frame)
				}
			}
		})
	}
	p.protocol.Store(next)
}

func (p *Peer) protocolError(l *link, err error, frame []byte) {
	p.log.Debug("protocol error", "peer", l.info.Load().Name, "error", err)
	if h := p.protocol.Load(); h != nil {
		select {
		case h.queue <- protocolFault{l.info.Load(), err, bytes.Clone(frame)}:
		default:
		}
	}
}

// bye tells the other end that the link ends on purpose.
func (p *Peer) bye(l *link) {
	_ = l.push(codec.AppendNotification(nil, methodBye, []byte(`{"reason":"bye"}`), nil), security.Outgoing{To: l.to()}, urgent)
}
