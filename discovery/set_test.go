package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"peermesh/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source that a test reports through.
type fake struct {
	name string
	feed chan *discovery.Feed
	err  chan error
	bye  chan struct{}
}

func newFake(name string) *fake {
	return &fake{name, make(chan *discovery.Feed, 1), make(chan error), make(chan struct{})}
}

func (f *fake) Name() string { return f.name }

func (f *fake) Run(ctx context.Context, feed *discovery.Feed) error {
	f.feed <- feed
	select {
	case <-ctx.Done():
		close(f.bye)
		return nil
	case err := <-f.err:
		if err == nil {
			panic("as told")
		}
		return err
	}
}

func (f *fake) Status() discovery.SourceStatus {
	return discovery.SourceStatus{Counters: map[string]uint64{"x": 1}}
}

func id(s string) string { return strings.Repeat(s, 32)[:32] }

func join(rec discovery.Record) discovery.Event {
	return discovery.Event{Kind: discovery.Joined, Record: rec}
}

func leave(rec discovery.Record, reason string) discovery.Event {
	return discovery.Event{Kind: discovery.Left, Record: rec, Reason: reason}
}

// run starts a set of fakes and returns it with their feeds. It is stopped when the test ends.
func run(t *testing.T, cfg discovery.Config, fakes ...*fake) (*discovery.Set, []*discovery.Feed) {
	t.Helper()
	var sources []discovery.Source
	for _, f := range fakes {
		sources = append(sources, f)
	}
	set, err := discovery.New(cfg, sources...)
	if err != nil {
		t.Fatal(err)
	}
	set.SetSubnets("192.168.1.0/24", "2001:db8:1::/64")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); set.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	var feeds []*discovery.Feed
	for _, f := range fakes {
		feeds = append(feeds, <-f.feed)
	}
	return set, feeds
}

// drain returns the events that are there, as short texts.
func drain(set *discovery.Set) []string {
	var out []string
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		ev, err := set.Next(ctx)
		cancel()
		if err != nil {
			return out
		}
		s := fmt.Sprintf("%s %.1s %s %s", ev.Kind, ev.Record.ID, ev.Record.Source, strings.Join(ev.Record.Addrs, " "))
		if ev.Reason != "" {
			s += " " + ev.Reason
		}
		out = append(out, s)
	}
}

func expect(t *testing.T, set *discovery.Set, want ...string) {
	t.Helper()
	if got := drain(set); !slices.Equal(got, want) {
		t.Fatalf("events\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestMergeByID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("local"), newFake("mdns"))
		lo := discovery.Record{ID: id("a"), Source: "local", Addrs: []string{"127.0.0.1:1"}}
		md := discovery.Record{ID: id("a"), Source: "mdns", Addrs: []string{"10.0.0.1:1", "192.168.1.9:1"}}

		f[1].Report(join(md))
		expect(t, set, "joined a mdns 192.168.1.9:1 10.0.0.1:1") // own subnet first
		f[0].Report(join(lo))
		expect(t, set, "updated a local,mdns 127.0.0.1:1 192.168.1.9:1 10.0.0.1:1")
		f[1].Report(join(md)) // heard again: no news
		expect(t, set)
		f[1].Report(leave(md, discovery.Expired))
		expect(t, set, "updated a local 127.0.0.1:1")
		f[1].Report(leave(md, discovery.Expired)) // twice
		f[1].Report(leave(discovery.Record{ID: id("z")}, discovery.Expired))
		expect(t, set)
		f[0].Report(leave(lo, discovery.Goodbye))
		expect(t, set, "left a local 127.0.0.1:1 goodbye")
		if n := len(set.Peers()); n != 0 {
			t.Fatalf("%d peers", n)
		}
	})
}

func TestRanking(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("mdns"))
		f[0].Report(join(discovery.Record{ID: id("a"), Addrs: []string{
			"[fe80::1%eth0]:1", "10.0.0.1:1", "[2001:db8:1::5]:1", "host.example:1", "192.168.1.9:1", "10.0.0.1:1",
		}}))
		f[0].Report(join(discovery.Record{ID: id("b"), Addrs: []string{
			"wss://10.0.0.1:1/x", "tcp://192.168.1.9:1", "ws://[::1]:1/y",
		}}))
		expect(t, set,
			"joined a  [2001:db8:1::5]:1 192.168.1.9:1 10.0.0.1:1 host.example:1",
			"joined b  ws://[::1]:1/y tcp://192.168.1.9:1 wss://10.0.0.1:1/x")
	})
}

// Changes that the consumer has not seen are delivered as one; what cancels out, not at all.
func TestEventsCoalesce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("mdns"))
		rec := func(s, addr string) discovery.Record {
			return discovery.Record{ID: id(s), Source: "mdns", Addrs: []string{addr}}
		}
		f[0].Report(join(rec("a", "h:1")))
		f[0].Report(join(rec("a", "h:2")))
		f[0].Report(join(rec("b", "h:1")))
		f[0].Report(leave(rec("b", ""), discovery.Goodbye))
		expect(t, set, "joined a mdns h:2")

		f[0].Report(leave(rec("a", ""), discovery.Goodbye))
		f[0].Report(join(rec("a", "h:2")))
		expect(t, set)
		f[0].Report(join(rec("a", "h:3")))
		f[0].Report(join(rec("c", "h:1")))
		f[0].Report(join(rec("a", "h:2")))
		expect(t, set, "joined c mdns h:1")
		f[0].Report(join(rec("d", "h:1")))
		f[0].Report(leave(rec("c", ""), discovery.Expired))
		expect(t, set, "left c mdns h:1 expired", "joined d mdns h:1")
	})
}

func TestRestartIsAnUpdateAndTheNewestBootWins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("local"), newFake("mdns"))
		rec := discovery.Record{ID: id("a"), Name: "old", Source: "mdns", Boot: "1767225600000-0a1b2c3d", Addrs: []string{"h:1"}}
		f[1].Report(join(rec))
		set.Next(t.Context())
		rec.Boot, rec.Name, rec.Source, rec.TLS = "1767225600001-00000000", "new", "local", true
		f[0].Report(join(rec))
		ev, err := set.Next(t.Context())
		if err != nil || ev.Kind != discovery.Updated || ev.Record.Boot != rec.Boot || ev.Record.Name != "new" || !ev.Record.TLS {
			t.Fatalf("%v, %v", ev, err)
		}
	})
}

func TestOwnIDIsIgnored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		self := discovery.Announcement{ID: id("a"), Name: "a"}
		set, f := run(t, discovery.Config{Self: self}, newFake("mdns"))
		f[0].Report(join(discovery.Record{ID: id("a"), Addrs: []string{"h:1"}}))
		f[0].Report(join(discovery.Record{ID: id("b"), Addrs: []string{"h:1"}}))
		expect(t, set, "joined b  h:1")
		// A peer turns out to be us.
		self.ID = id("b")
		if err := set.Update(self); err != nil {
			t.Fatal(err)
		}
		expect(t, set, "left b  h:1 removed")
		if st := set.Status(); st.Own != 1 {
			t.Fatalf("%+v", st)
		}
	})
}

// An unproven record adds nothing to a proven one.
func TestTrustIsNotDiluted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("local"), newFake("mdns"))
		forged := discovery.Record{ID: id("a"), Source: "local", Boot: "9", Addrs: []string{"192.168.1.66:1"}}
		proven := discovery.Record{ID: id("a"), Source: "mdns", Boot: "1", Addrs: []string{"10.0.0.1:1"}, Trusted: true}
		f[0].Report(join(forged))
		expect(t, set, "joined a local 192.168.1.66:1")
		f[1].Report(join(proven))
		expect(t, set, "updated a mdns 10.0.0.1:1")
		if p := set.Peers(); !p[0].Trusted || p[0].Boot != "1" {
			t.Fatalf("%+v", p)
		}
		f[1].Report(leave(proven, discovery.Expired))
		expect(t, set, "updated a local 192.168.1.66:1")
	})
}

func TestStaticRecordsStandAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("static"))
		f[0].Report(join(discovery.Record{Addrs: []string{"h:1"}, Trusted: true}))
		f[0].Report(join(discovery.Record{Addrs: []string{"h:2"}, Trusted: true}))
		f[0].Report(join(discovery.Record{}))            // names nobody
		f[0].Report(join(discovery.Record{ID: id("a")})) // is nowhere
		expect(t, set, "joined   h:1", "joined   h:2")
		if st := set.Status(); st.Ignored != 2 || st.Peers != 2 {
			t.Fatalf("%+v", st)
		}
	})
}

func manyID(i int) string {
	b := []byte(id("q"))
	for k := range 6 {
		b[k] = "abcdefgh"[i>>(3*k)&7]
	}
	return string(b)
}

func TestTableIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		set, f := run(t, discovery.Config{}, newFake("mdns"))
		trusted := discovery.Record{ID: id("t"), Addrs: []string{"t:1"}, Trusted: true}
		linked := discovery.Record{ID: id("k"), Addrs: []string{"k:1"}}
		listed := discovery.Record{Addrs: []string{"s:1"}, Trusted: true}
		set.Keep(linked.ID, true)
		for _, r := range []discovery.Record{trusted, linked, listed} {
			f[0].Report(join(r))
		}
		if f[0].Kept(trusted.ID) || !f[0].Kept(linked.ID) {
			t.Fatal("Kept is wrong")
		}
		told := map[string]bool{}
		take := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
			defer cancel()
			ev, err := set.Next(ctx)
			if err != nil {
				return
			}
			k := ev.Record.ID + ev.Record.Addrs[0]
			if ev.Kind == discovery.Left {
				delete(told, k)
			} else {
				told[k] = true
			}
			if len(told) > discovery.MaxPeers {
				t.Fatalf("the consumer knows %d peers", len(told))
			}
		}
		for i := range 10_000 {
			addrs := make([]string, 50)
			for k := range addrs {
				addrs[k] = fmt.Sprintf("h:%d", k)
			}
			f[0].Report(join(discovery.Record{ID: manyID(i), Addrs: addrs}))
			if i%3 == 0 {
				take()
			}
			if st := set.Status(); st.Peers > discovery.MaxPeers || st.Pending > 2*discovery.MaxPeers {
				t.Fatalf("%+v", st)
			}
		}
		have := map[string]bool{}
		for _, p := range set.Peers() {
			have[p.ID] = true
			if len(p.Addrs) > discovery.MaxAddrs {
				t.Fatalf("%d addresses", len(p.Addrs))
			}
		}
		if !have[trusted.ID] || !have[linked.ID] || !have[""] || !have[manyID(9_999)] {
			t.Fatal("the wrong ones were evicted")
		}
		// A peer heard of again now and then outlives those that are heard of once.
		f[0].Report(join(discovery.Record{ID: manyID(9_900), Addrs: []string{"h:1"}}))
		for i := range 200 {
			f[0].Report(join(discovery.Record{ID: manyID(20_000 + i), Addrs: []string{"h:1"}}))
		}
		if !slices.ContainsFunc(set.Peers(), func(r discovery.Record) bool { return r.ID == manyID(9_900) }) {
			t.Fatal("a peer was evicted that had just been heard of")
		}
		// Full of better ones: a stranger is ignored.
		for i := range discovery.MaxPeers {
			set.Keep(manyID(50_000+i), true)
			f[0].Report(join(discovery.Record{ID: manyID(50_000 + i), Addrs: []string{"h:1"}, Trusted: true}))
		}
		before := set.Status()
		f[0].Report(join(discovery.Record{ID: manyID(1), Addrs: []string{"h:1"}}))
		if after := set.Status(); after.Ignored != before.Ignored+1 || after.Evicted != before.Evicted || before.Evicted == 0 {
			t.Fatalf("%+v, then %+v", before, after)
		}
	})
}

func TestOneSourceFails(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"error": errors.New("no such thing"), "panic": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b := newFake("a"), newFake("b")
				set, f := run(t, discovery.Config{}, a, b)
				both := discovery.Record{ID: id("a"), Source: "a", Addrs: []string{"h:1"}}
				f[0].Report(join(both))
				f[0].Report(join(discovery.Record{ID: id("b"), Source: "a", Addrs: []string{"h:2"}}))
				both.Source = "b"
				f[1].Report(join(both))
				expect(t, set, "joined a a,b h:1", "joined b a h:2")
				f[1].Asked()
				f[1].Asked() // twice does no harm
				a.err <- err
				<-set.Asked() // who has failed will not ask any more
				synctest.Wait()
				f[0].Report(join(both)) // too late
				expect(t, set, "left b a h:2 removed", "updated a b h:1")
				st := set.Status()
				if s := st.Sources[0]; s.State != "failed" || s.Err == nil || s.Records != 0 || !s.Asked || s.Counters["x"] != 1 {
					t.Fatalf("%+v", s)
				}
				if s := st.Sources[1]; s.State != "running" || s.Err != nil || s.Records != 1 || s.Name != "b" {
					t.Fatalf("%+v", s)
				}
			})
		})
	}
}

func TestLifecycle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		src := newFake("x")
		set, err := discovery.New(discovery.Config{}, src)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- set.Run(ctx) }()
		feed := <-src.feed
		if err := set.Run(ctx); !errors.Is(err, discovery.ErrRan) {
			t.Fatal(err)
		}
		select {
		case <-set.Asked():
			t.Fatal("asked already")
		default:
		}
		feed.Asked()
		<-set.Asked()

		set.Refresh()
		set.Refresh()
		<-feed.Refresh()
		self := discovery.Announcement{ID: id("a"), Name: "a", Boot: "1767225600000-0a1b2c3d", Port: 7117}
		if err := set.Update(self); err != nil {
			t.Fatal(err)
		}
		<-feed.SelfChanged()
		if !feed.Self().Equal(self) {
			t.Fatalf("%+v", feed.Self())
		}
		if err := set.Update(self); err != nil {
			t.Fatal(err)
		}
		select {
		case <-feed.SelfChanged():
			t.Fatal("changed although it is the same")
		case <-feed.Refresh():
			t.Fatal("refreshed twice")
		default:
		}

		next := make(chan error)
		go func() { _, err := set.Next(context.Background()); next <- err }()
		synctest.Wait()
		cancel()
		<-src.bye
		if err := <-next; !errors.Is(err, discovery.ErrStopped) {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if st := set.Status().Sources[0]; st.State != "stopped" || st.Err != nil {
			t.Fatalf("%+v", st)
		}
	})
}

func TestNextHonoursItsContext(t *testing.T) {
	t.Parallel()
	set, err := discovery.New(discovery.Config{})
	if err != nil {
		t.Fatal(err)
	}
	<-set.Asked() // nobody to ask
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := set.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	set, f := run(t, discovery.Config{}, newFake("a"), newFake("b"))
	const n = 500
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	consumed := make(chan struct{})
	for range 2 {
		go func() {
			defer func() { consumed <- struct{}{} }()
			for {
				if _, err := set.Next(ctx); err != nil {
					return
				}
			}
		}()
	}
	done := make(chan struct{})
	for _, feed := range f {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range n {
				r := discovery.Record{ID: manyID(i % 300), Source: "x", Addrs: []string{fmt.Sprintf("h:%d", i)}}
				feed.Report(join(r))
				set.Keep(r.ID, i%2 == 0)
				feed.Kept(r.ID)
				if i%5 == 0 {
					feed.Report(leave(r, discovery.Goodbye))
				}
				set.Status()
			}
		}()
	}
	<-done
	<-done
	cancel()
	<-consumed
	<-consumed
}

func TestAnnouncementValidate(t *testing.T) {
	t.Parallel()
	good := discovery.Announcement{ID: id("a"), Name: "alice-2_x", Boot: "1767225600000-0a1b2c3d", Port: 1, Addrs: []string{"::1"}}
	for _, a := range []discovery.Announcement{{}, good, {ID: id("a")}, {Port: 7117}} {
		if err := a.Validate(); err != nil {
			t.Errorf("%+v: %v", a, err)
		}
	}
	for what, change := range map[string]func(*discovery.Announcement){
		"short id":       func(a *discovery.Announcement) { a.ID = "abc" },
		"upper case id":  func(a *discovery.Announcement) { a.ID = strings.ToUpper(a.ID) },
		"no name":        func(a *discovery.Announcement) { a.Name = "" },
		"dot in name":    func(a *discovery.Announcement) { a.Name = "a.b" },
		"hyphen first":   func(a *discovery.Announcement) { a.Name = "-a" },
		"space in name":  func(a *discovery.Announcement) { a.Name = "a b" },
		"long name":      func(a *discovery.Announcement) { a.Name = strings.Repeat("a", 54) },
		"no boot":        func(a *discovery.Announcement) { a.Boot = "" },
		"boot":           func(a *discovery.Announcement) { a.Boot = "1767225600000-0A1B2C3D" },
		"boot hyphen":    func(a *discovery.Announcement) { a.Boot = "1767225600000_0a1b2c3d" },
		"boot digits":    func(a *discovery.Announcement) { a.Boot = "176722560000x-0a1b2c3d" },
		"port":           func(a *discovery.Announcement) { a.Port = 65536 },
		"negative port":  func(a *discovery.Announcement) { a.Port = -1 },
		"host name":      func(a *discovery.Announcement) { a.Addrs = []string{"host"} },
		"zone":           func(a *discovery.Announcement) { a.Addrs = []string{"fe80::1%eth0"} },
		"wildcard":       func(a *discovery.Announcement) { a.Addrs = []string{"0.0.0.0"} },
		"multicast addr": func(a *discovery.Announcement) { a.Addrs = []string{"224.0.0.251"} },
	} {
		a := good
		change(&a)
		if err := a.Validate(); err == nil {
			t.Errorf("%s: accepted", what)
		}
		if _, err := discovery.New(discovery.Config{Self: a}); err == nil {
			t.Errorf("%s: New takes it", what)
		}
	}
}

func TestProofVector(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/mdns_vector.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Fields    struct{ A, Boot, ID, Port, TLS, V string }
		M         string
		Key       []byte `json:"-"`
		KeyHex    string `json:"mdns_key_hex"`
		Rendering string
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(v.KeyHex, "%x", &v.Key); err != nil {
		t.Fatal(err)
	}
	c := discovery.Claim{Addrs: v.Fields.A, Boot: v.Fields.Boot, ID: v.Fields.ID, Port: 7117}
	if got := string(discovery.Rendering(c)); got != v.Rendering {
		t.Fatalf("rendering %q\nwant      %q", got, v.Rendering)
	}
	if got := discovery.Proof(v.Key, c); got != v.M {
		t.Fatalf("m = %s, want %s", got, v.M)
	}
	other := make([]byte, discovery.KeySize)
	if !discovery.VerifyProof([][]byte{other, v.Key}, v.M, c) {
		t.Error("refused under the second key")
	}
	for what, change := range map[string]func(*discovery.Claim){
		"addrs": func(c *discovery.Claim) { c.Addrs += ",10.0.0.1" },
		"boot":  func(c *discovery.Claim) { c.Boot = "1767225600001-0a1b2c3d" },
		"id":    func(c *discovery.Claim) { c.ID = id("a") },
		"port":  func(c *discovery.Claim) { c.Port++ },
		"tls":   func(c *discovery.Claim) { c.TLS = true },
	} {
		x := c
		change(&x)
		if discovery.VerifyProof([][]byte{v.Key}, v.M, x) {
			t.Errorf("%s is not covered", what)
		}
	}
	for _, m := range []string{"", v.M[:15], v.M + "0", strings.ToUpper(v.M)} {
		if discovery.VerifyProof([][]byte{v.Key}, m, c) {
			t.Errorf("m = %q is taken", m)
		}
	}
	if discovery.VerifyProof(nil, v.M, c) || !discovery.VerifyProof(nil, "", c) {
		t.Error("without keys only records without a proof count")
	}
	if discovery.CheckKeys([][]byte{v.Key, v.Key[:31]}) == nil || discovery.CheckKeys([][]byte{v.Key}) != nil {
		t.Error("CheckKeys is wrong")
	}
}
