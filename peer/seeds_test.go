package peer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/examples/lab"
	"peermesh/peer/peertest"
	"peermesh/peer/transport"
)

// What went wrong in quickrpc, the ancestor, and must not here: a test for each, named by what happens.

// survives sends frames that broke the ancestor and then asks for a sign of life on the same connection.
func survives(t *testing.T, frames ...string) {
	t.Helper()
	p := openPeer(t)
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.sendText(`{"jsonrpc":"2.0","method":"update"}`) // no stranger any more
	c.sendText(frames...)
	c.sendText(`{"jsonrpc":"2.0","id":"alive","method":"get_data"}`)
	for {
		frame, err := c.next()
		if err != nil {
			t.Fatalf("after %.80s: %v", frames, err)
		}
		if strings.Contains(string(frame), `"alive"`) {
			return
		}
	}
}

func TestMalformedFrameKillsNothing(t *testing.T) {
	t.Parallel()
	for _, frame := range []string{"garbage", "\xff\xfe", `[[1]]`, `{"jsonrpc":"2.0","id":null,"result":1}`, `{"jsonrpc":"2.0","id":"abc","result":1}`,
		`{"jsonrpc":"2.0","id":1,"error":"str"}`, `{"jsonrpc":"2.0","method":"update","params":[{"__bytes":5}]}`,
		strings.Repeat("[", 5000), `{"jsonrpc":"2.0","result":1}`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`,
		`null`, `{}`, `[]`, `[]]`, `"x"`, `1`, "\x01"} {
		survives(t, frame)
	}
}

func TestEmptyFramesAreKeepAlives(t *testing.T) {
	t.Parallel()
	survives(t, "", "", "")
}

func TestRequestToANotificationIsAnswered(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	c.sendText(`{"jsonrpc":"2.0","id":0,"method":"update","params":[1]}`)
	c.want(`{"jsonrpc":"2.0","id":0,"result":null}`)
	c.sendText(`{"jsonrpc":"2.0","id":"","method":"update","params":[1]}`)
	c.want(`{"jsonrpc":"2.0","id":"","result":null}`)
}

func TestCallWithoutIDIsNotAnswered(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	c.sendText(`{"jsonrpc":"2.0","method":"get_data"}`, `{"jsonrpc":"2.0","method":"nosuch"}`, `{"jsonrpc":"2.0","method":"subtract","params":"bad"}`,
		`{"jsonrpc":"2.0","id":1,"method":"sum","params":[1]}`)
	c.want(`{"jsonrpc":"2.0","id":1,"result":1}`)
}

func TestErrorsCarryNoTraceback(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	for _, method := range []string{"panic", "fail"} {
		c.sendText(fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q}`, method))
		frame, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		for _, leak := range []string{".go", "goroutine", "as asked", "/"} {
			if strings.Contains(string(frame), leak) {
				t.Errorf("%s answers %s", method, frame)
			}
		}
	}
}

func TestInstancesShareNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2")
		lab.Snap.Handle(b.port["cam1"], func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 1}, nil })
		if _, err := lab.Snap.Call(t.Context(), b.view, api.To("cam2"), lab.SnapParams{}); !errors.Is(err, &api.Error{Code: api.CodeMethodNotFound}) {
			t.Errorf("a handler of one peer answers for another: %v", err)
		}
	})
}

func TestPendingCallsLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		lab.Snap.Handle(b.port["cam1"], func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
			<-ctx.Done()
			return lab.Image{}, ctx.Err()
		})
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := lab.Snap.Call(ctx, b.view, api.To("cam1"), lab.SnapParams{}); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		// All were answered late; none is left, and the next ones work.
		if s := b.desk.Stats(); s.LateReply+s.StrayReply > 200 || s.LateReply == 0 {
			t.Errorf("late %d, stray %d", s.LateReply, s.StrayReply)
		}
	})
}

func TestReceiversAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam10")
		rep, err := lab.Gain.Send(t.Context(), b.view, api.To("cam1"), lab.GainParams{})
		if err != nil || rep.Queued != 1 || rep.To[0].Name != "cam1" {
			t.Errorf("a name reaches those that begin with it: %+v, %v", rep, err)
		}
		rep, err = lab.Gain.Send(t.Context(), b.view, api.To("cam1", "nobody"), lab.GainParams{})
		if !errors.Is(err, api.ErrUnknownPeer) || rep.Queued != 1 || len(rep.Refused) != 1 {
			t.Errorf("an unknown receiver: %+v, %v", rep, err)
		}
		rep, err = lab.Gain.Send(t.Context(), b.view, api.Where(func(*api.Info) bool { return false }), lab.GainParams{})
		if err != nil || rep.Queued != 0 {
			t.Errorf("nobody: %+v, %v", rep, err)
		}
	})
}

func TestSlowHandlerBlocksNoOtherSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1", "cam2")
		release := make(chan struct{})
		got := make(chan string, 2)
		lab.Frame.Handle(b.view, func(ctx context.Context, f lab.FrameInfo) error {
			name := api.Sender(ctx).Name
			if name == "cam1" {
				<-release
			}
			got <- name
			return nil
		})
		for _, name := range []string{"cam1", "cam2"} {
			if _, err := lab.Frame.Send(t.Context(), b.port[name], api.All, lab.FrameInfo{}); err != nil {
				t.Fatal(err)
			}
		}
		if first := <-got; first != "cam2" {
			t.Errorf("%s was first", first)
		}
		close(release)
		<-got
	})
}

func TestStdioEndsAtEOF(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	mine, theirs := pipes(t)
	if err := p.Attach(theirs); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, mine, codec.NUL)
	c.sendText(getData)
	c.want(`{"jsonrpc":"2.0","id":7,"result":["hello",5]}`)
	if err := mine.Close(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return p.Stats().Links == 0 }) {
		t.Error("the link lives on after the end of its input")
	}
}

// pipes makes two ends of what a process has as its standard streams.
func pipes(t *testing.T) (a, b *transport.Conn) {
	t.Helper()
	r1, w1, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r2, w2, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return transport.Streams("stdio", r1, w2), transport.Streams("stdio", r2, w1)
}

func TestNaNIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "cam1")
		nan := 0.0
		nan = nan / nan
		if _, err := lab.Gain.Send(t.Context(), b.view, api.To("cam1"), lab.GainParams{DB: nan}); !errors.Is(err, &api.Error{Code: api.CodeInvalidParams}) {
			t.Errorf("sending NaN: %v", err)
		}
	})
}

func TestDictsWithBytesStay(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	const params = `{"__bytes":"AAH/","other":1,"deep":[{"__bytes":5}]}`
	c.sendText(`{"jsonrpc":"2.0","id":1,"method":"echo","params":` + params + `}`)
	c.want(`{"jsonrpc":"2.0","id":1,"result":` + params + `}`)
}

func TestUnknownPeerIsNoBroadcast(t *testing.T) {
	t.Parallel()
	mesh := peertest.New(t)
	p := mesh.Peer("p")
	if _, err := p.Notify(t.Context(), nil, "a.b", api.All, nil); !errors.Is(err, api.ErrClosed) {
		t.Errorf("sending before Join: %v", err)
	}
	mesh.Join(p)
	rep, err := p.Notify(t.Context(), nil, "a.b", api.All, nil)
	if err != nil || rep.Queued != 0 {
		t.Errorf("alone: %+v, %v", rep, err)
	}
}

// TestProtocolErrors: bad messages can be looked at, and looking cannot break anything.
func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	p := openPeer(t)
	got := make(chan string, 10)
	p.OnProtocolError(func(from *api.Info, err error, frame []byte) {
		if from == nil || err == nil {
			t.Error("nothing is said of the sender or the error")
		}
		got <- string(frame)
	})
	c := dialClient(t, p.Self().Address, codec.NUL)
	c.sendText(`{"jsonrpc":"1.0","id":5,"method":"x"}`, `{"jsonrpc":"2.0","id":99,"result":1}`)
	c.want(`{"jsonrpc":"2.0","id":5,"error":{"code":-32600}}`)
	for _, want := range []string{`{"jsonrpc":"1.0","id":5,"method":"x"}`, `{"jsonrpc":"2.0","id":99,"result":1}`} {
		if frame := <-got; frame != want {
			t.Errorf("got %s, want %s", frame, want)
		}
	}
}

func TestDiscoverDescribesThePeer(t *testing.T) {
	t.Parallel()
	c := dialClient(t, openPeer(t).Self().Address, codec.NUL)
	c.sendText(`{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}`)
	frame, err := c.next()
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Result json.RawMessage }
	if err := json.Unmarshal(frame, &m); err != nil {
		t.Fatal(err)
	}
	doc, err := api.Parse(m.Result)
	if err != nil {
		t.Fatal(err)
	}
	if dm, incoming := doc.Find("subtract"); dm == nil || !incoming || len(dm.Params) != 2 {
		t.Errorf("subtract is described as %+v", dm)
	}
}
