package mdns_test

import (
	"context"
	"fmt"
	"time"

	"peermesh/discovery"
	"peermesh/discovery/mdns"
)

// Who is on the network now?
func Example() {
	var meshKey []byte // derived from the key of the mesh; nil looks for peers that have none
	cfg := mdns.Config{}
	if meshKey != nil {
		cfg.Keys = discovery.FixedKeys(meshKey)
	}
	src, err := mdns.New(cfg)
	if err != nil {
		panic(err)
	}
	set, err := discovery.New(discovery.Config{}, src) // announces nothing
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	go func() {
		<-set.Asked()
		for _, p := range set.Peers() {
			fmt.Println(p.Name, p.Addrs)
		}
		for _, note := range set.Status().Sources[0].Notes {
			fmt.Println(note) // "eth0: IPv4: joined"
		}
		cancel()
	}()
	_ = set.Run(ctx)
}
