package wrong

import (
	"context"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/examples/spec/service"
)

// A port of another API is no port of the lab's.
//
// want: cannot use server (variable of type *api.Port[service.Server, service.Client]) as *api.Port[lab.Camera, lab.Viewer]
func f(ctx context.Context, server *api.Port[service.Server, service.Client]) {
	_, _ = lab.Frame.Send(ctx, server, api.All, lab.FrameInfo{})
}
