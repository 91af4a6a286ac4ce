package peer_test

import (
	"context"
	"fmt"
	"log"

	"peermesh/api"
	"peermesh/examples/lab"
	"peermesh/peer"
	"peermesh/security"
)

// Two peers of one mesh in one process: a camera and a desk, from one definition.
func Example() {
	ctx := context.Background()
	keys, err := security.NewKeyring(security.Entry{Key: security.NewKey(), Send: true})
	if err != nil {
		log.Fatal(err)
	}
	config := func(name string, peers ...string) peer.Config {
		return peer.Config{Mesh: "example", Name: name, Keys: keys, Throwaway: true,
			Listen: []string{"127.0.0.1:0"}, NoMDNS: true, NoLocal: true, Peers: peers}
	}
	camera, err := peer.New(config("cam1"))
	if err != nil {
		log.Fatal(err)
	}
	defer camera.Close()
	cam := api.Bind(camera, lab.API)
	lab.Snap.Handle(cam, func(_ context.Context, in lab.SnapParams) (lab.Image, error) {
		return lab.Image{Width: 640, Height: 480}, nil
	})
	if err := camera.Join(ctx); err != nil {
		log.Fatal(err)
	}

	desk, err := peer.Join(ctx, config("desk", camera.Self().Address))
	if err != nil {
		log.Fatal(err)
	}
	defer desk.Close()
	view := api.Bind(desk, lab.API.Invert())
	if err := view.Wait(ctx, api.To("cam1")); err != nil {
		log.Fatal(err)
	}
	img, err := lab.Snap.Call(ctx, view, api.To("cam1"), lab.SnapParams{ExposureMS: 20})
	fmt.Println(img.Width, img.Height, err)
	// Output: 640 480 <nil>
}
