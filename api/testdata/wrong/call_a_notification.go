package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// A notification has no answer.
//
// want: lab.Gain.Call undefined
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Gain.Call(ctx, view, api.Any, lab.GainParams{})
}
