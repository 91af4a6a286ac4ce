package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// A call is not sent without waiting for its answer: that is Go.
//
// want: lab.Snap.Send undefined
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Snap.Send(ctx, view, api.Any, lab.SnapParams{})
}
