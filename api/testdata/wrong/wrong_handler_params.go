package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Gain takes GainParams.
//
// want: as func(context.Context, lab.GainParams) error value in argument to lab.Gain.Handle
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	lab.Gain.Handle(cam, func(context.Context, lab.SnapParams) error { return nil })
}
