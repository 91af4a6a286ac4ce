package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Snap takes SnapParams.
//
// want: cannot use lab.GainParams{} (value of struct type lab.GainParams) as lab.SnapParams value
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Snap.Call(ctx, view, api.Any, lab.GainParams{})
}
