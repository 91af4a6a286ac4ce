package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Frames are handled by the viewer.
//
// want: cannot use cam (variable of type *api.Port[lab.Camera, lab.Viewer]) as *api.Port[lab.Viewer, lab.Camera]
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	lab.Frame.Handle(cam, func(context.Context, lab.FrameInfo) error { return nil })
}
