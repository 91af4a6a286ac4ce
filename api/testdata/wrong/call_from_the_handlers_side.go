package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Pictures are asked for by the viewer.
//
// want: cannot use cam (variable of type *api.Port[lab.Camera, lab.Viewer]) as *api.Port[lab.Viewer, lab.Camera]
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Snap.Call(ctx, cam, api.Any, lab.SnapParams{})
}
