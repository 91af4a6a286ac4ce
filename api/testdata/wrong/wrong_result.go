package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// Snap returns an Image.
//
// want: as func(context.Context, lab.SnapParams) (lab.Image, error) value in argument to lab.Snap.Handle
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	lab.Snap.Handle(cam, func(context.Context, lab.SnapParams) (lab.FrameInfo, error) { return lab.FrameInfo{}, nil })
}
