package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"peermesh/api"
	"peermesh/discovery"
	"peermesh/peer"
	"peermesh/security"
)

// MeshSizes are the numbers of peers that a mesh is measured with.
var MeshSizes = []int{2, 8, 16, 32, 64}

// meshRounds is how many broadcasts each peer of a mesh makes.
const meshRounds = 10

// Mesh is what a mesh of equal peers in one process comes to. A link has two ends, both of them in the process.
type Mesh struct {
	Peers      int     `json:"peers"`
	Round      int     `json:"round"`
	Seconds    float64 `json:"seconds"`     // from knowing each other's addresses until all are linked with all
	CPU        float64 `json:"cpu_seconds"` // of that
	Twice      int     `json:"twice"`       // links that were made although there was one, and ended
	Memory     float64 `json:"memory"`      // bytes of heap and stacks an idle end of a link
	Goroutines float64 `json:"goroutines"`  // an idle end of a link
	Sent       int64   `json:"sent"`        // deliveries that broadcasts from each to all should have made
	Lost       int64   `json:"lost"`        // of them
}

type equal struct{}

var (
	meshAPI  = api.Define[equal, equal]("rivals.mesh", "1.0.0", "A mesh of equals.")
	meshNote = api.Incoming[meshMessage](meshAPI, "note", "What each says to all.")
)

type meshMessage struct {
	Text string `json:"text"`
	N    int    `json:"n"`
}

// MeasureMesh measures a mesh of n peers in a process of its own.
func MeasureMesh(n int, s Settings) (m Mesh, err error) {
	p := embed
	if !s.Embedded {
		p = func() *process {
			var p *process
			if p, err = launch(false); err != nil {
				return nil
			}
			return p
		}
	}
	end := p()
	if end == nil {
		return m, err
	}
	defer func() { err = errors.Join(err, end.stop()) }()
	return m, end.do("Mesh", &n, &m, 0)
}

// found is a source of discovery that finds all peers at once, at a word of ours.
type found struct {
	now  chan struct{}
	list *[]discovery.Record
}

func (f found) Name() string                   { return "rivals" }
func (f found) Status() discovery.SourceStatus { return discovery.SourceStatus{} }
func (f found) Run(ctx context.Context, feed *discovery.Feed) error {
	feed.Asked()
	select {
	case <-f.now:
		for _, r := range *f.list {
			feed.Report(discovery.Event{Kind: discovery.Joined, Record: r})
		}
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

type meshPeer struct {
	*peer.Peer
	port *api.Port[equal, equal]
	got  atomic.Int64
}

func measureMesh(n int) (m Mesh, err error) {
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		return m, err
	}
	var list []discovery.Record
	source := found{make(chan struct{}), &list}
	peers := make([]*meshPeer, 0, n)
	defer func() {
		var wg sync.WaitGroup
		for _, p := range peers {
			wg.Go(func() { _ = p.Close() })
		}
		wg.Wait()
	}()
	for i := range n {
		known, err := security.OpenKnownPeers("")
		if err != nil {
			return m, err
		}
		p, err := peer.New(peer.Config{Mesh: "rivals", Name: fmt.Sprintf("peer%d", i), Keys: keys, KnownPeers: known, Throwaway: true,
			Listen: []string{"tcp://127.0.0.1:0"}, NoMDNS: true, NoLocal: true, Discovery: []discovery.Source{source}, Settle: -1})
		if err != nil {
			return m, err
		}
		mp := &meshPeer{Peer: p, port: api.Bind(p, meshAPI)}
		meshNote.Handle(mp.port, func(context.Context, meshMessage) error { mp.got.Add(1); return nil })
		peers = append(peers, mp)
		if err := p.Join(context.Background()); err != nil {
			return m, err
		}
		self := p.Self()
		list = append(list, discovery.Record{ID: self.ID, Name: self.Name, Source: source.Name(), Addrs: []string{self.Address}, Trusted: true})
	}
	ends := float64(n * (n - 1))
	m.Peers = n
	memory, goroutines := idle()
	cpu, begin := cpuSeconds(), time.Now()
	close(source.now)
	if err := linked(peers); err != nil {
		return m, err
	}
	m.Seconds, m.CPU = time.Since(begin).Seconds(), cpuSeconds()-cpu
	m.Twice = single(peers)
	memoryNow, goroutinesNow := idle()
	m.Memory, m.Goroutines = float64(memoryNow-memory)/ends, float64(goroutinesNow-goroutines)/ends
	m.Sent, m.Lost, err = talk(peers)
	return m, err
}

// idle tells what the process holds when it does nothing, which is when no goroutine has ended for a while.
func idle() (memory int64, goroutines int) {
	for quiet, begin := time.Now(), time.Now(); time.Since(quiet) < 500*time.Millisecond && time.Since(begin) < 10*time.Second; {
		time.Sleep(20 * time.Millisecond)
		if n := runtime.NumGoroutine(); n != goroutines {
			goroutines, quiet = n, time.Now()
		}
	}
	runtime.GC()
	runtime.GC() // what the first one has left in pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse), runtime.NumGoroutine()
}

// linked returns when each peer has a link with each other one.
func linked(peers []*meshPeer) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience/2)
	defer cancel()
	for _, p := range peers {
		var others []string
		for _, o := range peers {
			if o != p {
				others = append(others, o.Self().ID)
			}
		}
		if err := p.port.Wait(ctx, api.To(others[0], others[1:]...)); err != nil {
			return fmt.Errorf("a mesh of %d: %w", len(peers), err)
		}
	}
	return nil
}

// single returns when each two peers have one link: where both have dialled there are two for a while. It tells how many
// of them there were.
func single(peers []*meshPeer) (twice int) {
	for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
		ends, ended := 0, 0
		for _, p := range peers {
			stats := p.Stats()
			ends += stats.Links
			for _, n := range stats.Ended {
				ended += int(n)
			}
		}
		if twice = ended / 2; ends == len(peers)*(len(peers)-1) {
			break
		}
	}
	return twice
}

// talk has each peer broadcast to all, and counts what has not arrived ten seconds later.
func talk(peers []*meshPeer) (sent, lost int64, err error) {
	var wg sync.WaitGroup
	errs := make([]error, len(peers))
	for i, p := range peers {
		wg.Go(func() {
			for n := range meshRounds {
				if _, err := meshNote.Send(context.Background(), p.port, api.All, meshMessage{Text: text(smallText), N: n}); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	sent = int64(len(peers) * (len(peers) - 1) * meshRounds)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		lost = sent
		for _, p := range peers {
			lost -= p.got.Load()
		}
		if lost == 0 || time.Since(begin) > 10*time.Second {
			return sent, lost, errors.Join(errs...)
		}
	}
}
