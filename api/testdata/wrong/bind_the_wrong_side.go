package wrong

import (
	"peermesh/api"
	"peermesh/examples/lab"
)

// What is bound decides the side.
//
// want: cannot use api.Bind(mesh, lab.API) (value of type *api.Port[lab.Camera, lab.Viewer]) as *api.Port[lab.Viewer, lab.Camera]
func f(mesh api.Mesh) {
	var view *api.Port[lab.Viewer, lab.Camera] = api.Bind(mesh, lab.API)
	_ = view
}
