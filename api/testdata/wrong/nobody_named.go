package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
)

// To needs a name.
//
// want: not enough arguments in call to api.To
func f(ctx context.Context, cam *api.Port[lab.Camera, lab.Viewer], view *api.Port[lab.Viewer, lab.Camera]) {
	_, _ = lab.Gain.Send(ctx, view, api.To[string](), lab.GainParams{})
}
