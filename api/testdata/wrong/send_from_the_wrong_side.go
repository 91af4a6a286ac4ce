package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Frames go from the camera.
//
// want: cannot use view (variable of type *api.Port[lab.Viewer, lab.Camera]) as *api.Port[lab.Camera, lab.Viewer]
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Frame.Send(ctx, view, api.All, lab.FrameInfo{})
}
