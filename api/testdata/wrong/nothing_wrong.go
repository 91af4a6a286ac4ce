package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// The same uses as in the other files, the right way round.
func f(ctx context.Context, mesh api.Mesh) {
	cam, view := api.Bind(mesh, lab.API), api.Bind(mesh, lab.API.Invert())
	_, _ = lab.Frame.Send(ctx, cam, api.All, lab.FrameInfo{})
	lab.Frame.Handle(view, func(context.Context, lab.FrameInfo) error { return nil })
	_, _ = lab.Snap.Call(ctx, view, api.Any, lab.SnapParams{})
	lab.Snap.Go(ctx, view, api.To("cam"), lab.SnapParams{})
	lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.Image, error) { return lab.Image{}, nil })
	lab.Gain.Handle(cam, func(context.Context, lab.GainParams) error { return nil })
}
