package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"testing"

	"peermesh/api"
)

type Camera struct{}
type Viewer struct{}

var API = api.Define[Camera, Viewer]("lab.camera", "1.2.0", "A camera on the bench.")

type SnapParams struct {
	ExposureMS int `json:"exposure_ms" jsonschema:"exposure time in milliseconds" minimum:"0" maximum:"1000" default:"10"`
}
type Image struct {
	Width  int `json:"width"`
	Height int `json:"height"`
	Next   *Image `json:"next,omitempty"`
}

var Snap = api.IncomingCall[SnapParams, Image](API, "snap", "Take one picture.", api.Example(SnapParams{20}, Image{Width: 640, Height: 480}))

type mesh struct{ b api.Binding }

func (m *mesh) Self() *api.Info            { return &api.Info{Name: "me"} }
func (m *mesh) Peers() iter.Seq[*api.Info] { return func(func(*api.Info) bool) {} }
func (m *mesh) Bind(b api.Binding) error   { m.b = b; return nil }
func (m *mesh) Notify(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte) (api.Report, error) {
	_, err := m.b.Dispatch(ctx, method, params, nil)
	return api.Report{Queued: 1}, err
}
func (m *mesh) Request(ctx context.Context, b api.Binding, method string, to api.Receivers, params, dst []byte) ([]byte, error) {
	return m.b.Dispatch(ctx, method, params, dst)
}
func (m *mesh) RequestEach(ctx context.Context, b api.Binding, method string, to api.Receivers, params []byte, yield func(*api.Info, []byte, error) bool) error {
	return nil
}
func (m *mesh) Wait(context.Context, api.Binding, api.Receivers) error { return nil }

func TestSmoke(t *testing.T) {
	a := &mesh{}
	cam := api.Bind(a, API)
	Snap.Handle(cam, func(ctx context.Context, p SnapParams) (Image, error) { return Image{Width: p.ExposureMS}, nil })
	doc, _ := json.MarshalIndent(API.OpenRPC(), "", " ")
	fmt.Println(string(doc))
	b := &mesh{a.b}
	view := api.Bind(b, API.Invert())
	b.b = a.b
	img, err := Snap.Call(t.Context(), view, api.All, SnapParams{20})
	fmt.Println(img, err)
	img, err = Snap.Call(t.Context(), view, api.All, SnapParams{2000})
	fmt.Println(img, err)
	out, err := a.b.Dispatch(t.Context(), "snap", []byte(`{}`), nil)
	fmt.Println(string(out), err)
	out, err = a.b.Dispatch(t.Context(), "snap", []byte(`{"exposure_ms":"x"}`), nil)
	fmt.Println(string(out), err)
	d2, err := api.Parse(doc)
	fmt.Println(err, d2.Hash() == API.OpenRPC().Hash(), API.OpenRPC().Hash())
}
