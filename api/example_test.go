package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"peermesh/api"
	"peermesh/examples/lab"
)

// bench is a camera and a viewer on a mesh. A program has one *peer.Peer instead, and binds one side.
func bench() (cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	var mesh network
	return api.Bind(mesh.node("cam1"), lab.API), api.Bind(mesh.node("desk"), lab.API.Invert())
}

// An API is defined once, in package variables, from one side.
func ExampleDefine() {
	type Camera struct{} // the roles are names
	type Viewer struct{}
	type Exposure struct {
		MS int `json:"ms" jsonschema:"milliseconds" minimum:"1" maximum:"1000" default:"20"`
	}
	type Frame struct {
		Seq int `json:"seq"`
	}
	cameras := api.Define[Camera, Viewer]("cameras", "1.0.0", "Cameras on the bench.")
	snap := api.IncomingCall[Exposure, Frame](cameras, "snap", "Take one picture.", api.Timeout(5e9),
		api.Example(Exposure{MS: 20}, Frame{Seq: 1}))
	stop := api.Incoming[api.None](cameras, "stop", "Stop at once.")
	frame := api.Outgoing[Frame](cameras, "frame", "A new frame is ready.", api.DropOldest())
	_, _, _ = snap, stop, frame
	for _, m := range cameras.OpenRPC().Methods {
		fmt.Println(m.Name, "-", m.Description)
	}
	// Output:
	// cameras.snap - Take one picture.
	// cameras.stop - Stop at once.
}

// The inverse is the same API as the other side sees it.
func ExampleSpec_Invert() {
	fmt.Println(lab.API.OpenRPC().Side, "handles", lab.API.OpenRPC().Methods[0].Name)
	fmt.Println(lab.API.Invert().OpenRPC().Side, "handles", lab.API.Invert().OpenRPC().Methods[0].Name)
	fmt.Println(lab.API.Invert().Invert() == lab.API)
	// Output:
	// camera handles lab.camera.snap
	// viewer handles lab.camera.frame
	// true
}

// Which side of an API is bound is a type: a port of one side does not do for the other.
func ExampleBind() {
	var mesh network
	cam := api.Bind(mesh.node("cam1"), lab.API)           // *api.Port[lab.Camera, lab.Viewer]
	view := api.Bind(mesh.node("desk"), lab.API.Invert()) // *api.Port[lab.Viewer, lab.Camera]
	fmt.Println(cam.Unhandled(), view.Unhandled())
	for p := range view.Peers() {
		fmt.Println(p.Name)
	}
	// Output:
	// [snap gain] [frame]
	// cam1
}

func ExampleNote_Handle() {
	cam, view := bench()
	off := lab.Gain.Handle(cam, func(ctx context.Context, p lab.GainParams) error {
		fmt.Println(api.Sender(ctx).Name, "wants", p.DB, "dB")
		return nil
	})
	_, _ = lab.Gain.Send(context.Background(), view, api.All, lab.GainParams{DB: 6})
	off() // handlers come and go at run time
	fmt.Println(cam.Unhandled())
	// Output:
	// desk wants 6 dB
	// [snap gain]
}

func ExampleNote_Send() {
	_, view := bench()
	report, err := lab.Gain.Send(context.Background(), view, api.To("cam1"), lab.GainParams{DB: 6})
	fmt.Println(report.Queued, err)
	_, err = lab.Gain.Send(context.Background(), view, api.To("cam7"), lab.GainParams{DB: 6})
	fmt.Println(errors.Is(err, api.ErrUnknownPeer))
	// Output:
	// 1 <nil>
	// true
}

// The first handler that does not pass answers.
func ExampleCall_Handle() {
	cam, view := bench()
	lab.Snap.Handle(cam, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		if in.ExposureMS > 100 {
			return lab.Image{}, api.ErrPass // not for this one
		}
		return lab.Image{Width: 64, Height: 48}, nil
	})
	lab.Snap.Handle(cam, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{}, api.Errorf(1, "%d ms is too long today", in.ExposureMS)
	})
	for _, ms := range []int{20, 200} {
		img, err := lab.Snap.Call(context.Background(), view, api.Any, lab.SnapParams{ExposureMS: ms})
		fmt.Println(img.Width, err)
	}
	// Output:
	// 64 <nil>
	// 0 200 ms is too long today (code 1)
}

// A call has one outcome: a result, the peer's error, or an error of the call that tells whether it was sent.
func ExampleCall_Call() {
	_, view := bench()
	_, err := lab.Snap.Call(context.Background(), view, api.To("cam1"), lab.SnapParams{ExposureMS: 5000})
	var failed *api.CallError
	switch remote := (*api.Error)(nil); {
	case err == nil:
		fmt.Println("a picture")
	case errors.As(err, &failed) && errors.Is(err, api.ErrNotSent):
		fmt.Println("nothing was sent:", api.CodeOf(err) == api.CodeInvalidParams)
	case errors.As(err, &failed):
		fmt.Println("perhaps it took a picture, perhaps not")
	case errors.As(err, &remote):
		fmt.Println("the camera said", remote.Message)
	}
	// Output: nothing was sent: true
}

func ExampleCall_CallEach() {
	var mesh network
	view := api.Bind(mesh.node("desk"), lab.API.Invert())
	for i, name := range []string{"cam1", "cam2"} {
		cam := api.Bind(mesh.node(name), lab.API)
		lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: i + 1}, nil })
	}
	for from, r := range lab.Snap.CallEach(context.Background(), view, api.All, lab.SnapParams{}) {
		fmt.Println(from.Name, r.Value.Width, r.Err)
	}
	// Output:
	// cam1 1 <nil>
	// cam2 2 <nil>
}

func ExampleCall_Go() {
	cam, view := bench()
	lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{Width: 64}, nil })
	call := lab.Snap.Go(context.Background(), view, api.Any, lab.SnapParams{})
	<-call.Done() // or do something else, or call.Cancel()
	img, err := call.Result()
	fmt.Println(img.Width, err)
	// Output: 64 <nil>
}

func ExampleOnProgress() {
	cam, view := bench()
	lab.Snap.Handle(cam, func(ctx context.Context, _ lab.SnapParams) (lab.Image, error) {
		_ = api.Progress(ctx, 50) // whoever did not ask hears nothing
		return lab.Image{}, nil
	})
	_, _ = lab.Snap.Call(context.Background(), view, api.Any, lab.SnapParams{}, api.OnProgress(func(percent int) { fmt.Println(percent, "%") }))
	// Output: 50 %
}

// Interval is a parameter type that says more of itself than tags can.
type Interval struct {
	From int `json:"from" minimum:"0"`
	To   int `json:"to" maximum:"100"`
}

// Validate is asked before params are sent, before a handler gets them, and of results.
func (i Interval) Validate() error {
	if i.From > i.To {
		return errors.New("from must not be greater than to")
	}
	return nil
}

// What a type and its tags demand, and its Validate, is checked on both sides.
func Example_validation() {
	scans := api.Define[lab.Camera, lab.Viewer]("scans", "1", "")
	scan := api.Incoming[Interval](scans, "scan", "Scan an interval.")
	var mesh network
	view := api.Bind(mesh.node("desk"), scans.Invert())
	for _, in := range []Interval{{1, 2}, {-1, 200}, {2, 1}} {
		_, err := scan.Send(context.Background(), view, api.All, in)
		fmt.Println(err)
		var e *api.Error
		if errors.As(err, &e) && e.Data != nil {
			fmt.Println(string(e.Data))
		}
	}
	// Output:
	// <nil>
	// send scans.scan: invalid params: /from is less than 0 (and 1 more) (code -32602)
	// [{"pointer":"/from","message":"is less than 0"},{"pointer":"/to","message":"is greater than 100"}]
	// send scans.scan: invalid params: from must not be greater than to (code -32602)
}

// The document of a side lists what it handles and, under x-outgoing, what it sends.
func ExampleSpec_OpenRPC() {
	doc := lab.API.OpenRPC()
	fmt.Println(doc.OpenRPC, doc.Info.Title, doc.Info.Version, doc.Side)
	m, incoming := doc.Find("lab.camera.snap")
	fmt.Println(m.Params[0].Name, string(m.Params[0].Schema), incoming)
	// Output:
	// 1.3.2 lab.camera 1.2.0 camera
	// exposure_ms {"type":"integer","description":"exposure time in milliseconds","default":10,"minimum":0,"maximum":1000} true
}

// A document that came from elsewhere says what a peer may be sent, without its Go types.
func ExampleParse() {
	text, _ := json.Marshal(lab.API.OpenRPC())
	doc, err := api.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range doc.Invert().Methods { // what the other side handles
		s, _ := doc.ParamsOf(&m)
		fmt.Println(m.Name, s.PropertyOrder)
	}
	fmt.Println(doc.Hash() == lab.API.Invert().OpenRPC().Hash())
	// Output:
	// lab.camera.frame [seq mean]
	// true
}

// Serve answers for a side that is known by its document only.
func ExampleServe() {
	b, err := api.Serve(lab.API.OpenRPC(), 0, func(_ context.Context, m *api.DocumentMethod, params json.RawMessage) (json.RawMessage, error) {
		fmt.Println(m.Name, string(params))
		return json.RawMessage(`{"width":1,"height":1}`), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var mesh network
	_ = mesh.node("mock").Bind(b)
	view := api.Bind(mesh.node("desk"), lab.API.Invert())
	img, err := lab.Snap.Call(context.Background(), view, api.Any, lab.SnapParams{ExposureMS: 20})
	fmt.Println(img.Width, err)
	// Output:
	// lab.camera.snap {"exposure_ms":20}
	// 1 <nil>
}

// A mesh of equals: both sides are the same, and everybody sends and handles everything.
func Example_equals() {
	type Chatter struct{}
	type Line struct {
		Text string `json:"text" maxLength:"500"`
	}
	chat := api.Define[Chatter, Chatter]("chat", "1", "")
	say := api.Incoming[Line](chat, "say", "Say something to everybody.")
	var mesh network
	ann, bob := api.Bind(mesh.node("ann"), chat), api.Bind(mesh.node("bob"), chat)
	say.Handle(bob, func(ctx context.Context, l Line) error {
		fmt.Printf("%s: %s\n", api.Sender(ctx).Name, l.Text)
		return nil
	})
	_, _ = say.Send(context.Background(), ann, api.All, Line{"hello"})
	fmt.Println(chat.Invert() == chat)
	// Output:
	// ann: hello
	// true
}
