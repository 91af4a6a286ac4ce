package bench

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"peermesh/examples/rivals/internal/contender"
)

// Spec is what an end is told of a measurement.
type Spec struct {
	Contender string
	Work      Workload
	Chunk     int    // messages that are confirmed at once
	Key       string // of a mesh
	Server    string // address of the other end; empty for the end that is dialled
	Acks      string // address for confirmations, likewise
}

// Started is where a server is.
type Started struct{ Server, Acks string }

// Ran is what an end has done.
type Ran struct {
	Ops       int64
	Seconds   float64
	P50, P99  float64 // µs, of Seq
	Sent, Sum int64   // messages one way since the start, and the sum of their n
}

// End is one end of a measurement. Its methods have the form that net/rpc wants.
type End struct {
	spec    Spec
	server  contender.Server
	clients []contender.Client
	acks    *acks
	tally   *tally
	flow    *flow
}

// Start makes the end ready: the server listens, the client is connected.
func (e *End) Start(spec *Spec, out *Started) (err error) {
	e.spec = *spec
	c := contender.Find(spec.Contender)
	if c == nil {
		return fmt.Errorf("no contender %q", spec.Contender)
	}
	serves := spec.Server == ""
	if spec.Work.OneWay() {
		if serves {
			e.acks, err = listenAcks()
		} else {
			e.acks, err = dialAcks(spec.Acks)
		}
		if err != nil {
			return err
		}
		if serves {
			out.Acks = e.acks.l.Addr().String()
		}
		if serves == (spec.Work.Kind == Notify) { // the receiver
			e.tally = newTally(spec.Work.Receivers, spec.Chunk, spec.Work.Size, e.acks.confirm)
		}
	}
	if serves {
		e.server, err = c.Serve(contender.Options{Key: spec.Key, Got: e.got(0)})
		if err == nil {
			out.Server = e.server.Addr()
		}
	} else {
		err = e.dial(c)
	}
	if err != nil || e.acks == nil || e.tally != nil {
		return err
	}
	e.flow = &flow{acks: e.acks, chunk: spec.Chunk, text: text(spec.Work.Size)}
	if serves {
		e.flow.send = e.server.Broadcast
	} else {
		e.flow.send = e.clients[0].Notify
	}
	return nil
}

// got returns what takes the messages of one receiver, nil where none are expected.
func (e *End) got(receiver int) func(contender.Echo) {
	if e.tally == nil {
		return nil
	}
	return func(m contender.Echo) { e.tally.got(receiver, m) }
}

func (e *End) dial(c *contender.Contender) error {
	connections := 1
	if e.spec.Work.Kind == Broadcast {
		connections = e.spec.Work.Receivers
	}
	for i := range connections {
		client, err := c.Dial(e.spec.Server, contender.Options{Key: e.spec.Key, Index: i, Got: e.got(i)})
		if err != nil {
			return fmt.Errorf("dialling: %w", err)
		}
		e.clients = append(e.clients, client)
	}
	return nil
}

// Ready returns when the server has all receivers of broadcasts.
func (e *End) Ready(*struct{}, *struct{}) error {
	for begin := time.Now(); e.server.Receivers() < e.spec.Work.Receivers; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			return fmt.Errorf("%d of %d receivers are there", e.server.Receivers(), e.spec.Work.Receivers)
		}
	}
	return nil
}

// Run does the workload for as long as d.
func (e *End) Run(d *time.Duration, out *Ran) (err error) {
	if e.flow == nil {
		*out, err = e.calls(*d)
		return err
	}
	n, took, err := e.flow.run(*d)
	*out = Ran{Ops: n * int64(e.spec.Work.Receivers), Seconds: took.Seconds(), Sent: int64(e.flow.next), Sum: e.flow.sum}
	return err
}

// Usage tells what the process has used.
func (e *End) Usage(_ *struct{}, out *Usage) error {
	*out = usage()
	return nil
}

// Tally tells what has arrived.
func (e *End) Tally(_ *struct{}, out *Tally) error {
	if e.tally == nil {
		return errors.New("this end receives nothing")
	}
	*out = e.tally.total()
	return nil
}

// Mesh measures a mesh of n peers in this process.
func (e *End) Mesh(n *int, out *Mesh) (err error) {
	*out, err = measureMesh(*n)
	return err
}

// Stop releases all that the end holds.
func (e *End) Stop(*struct{}, *struct{}) error {
	var errs []error
	for _, c := range slices.Backward(e.clients) {
		errs = append(errs, c.Close())
	}
	if e.server != nil {
		errs = append(errs, e.server.Close())
	}
	if e.acks != nil {
		e.acks.close()
	}
	*e = End{}
	return errors.Join(errs...)
}

func text(size int) string { return strings.Repeat("m", size) }
