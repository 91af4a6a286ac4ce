package discovery_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"peermesh/discovery"
	"peermesh/discovery/local"
	"peermesh/discovery/static"
)

// Two peers on one machine meet by the local registry; one of them also has an address that was configured by hand.
func Example() {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(temp)
	registry := local.Config{Dir: filepath.Join(temp, "registry"), Mesh: "lab"}

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	peer := func(self discovery.Announcement, addrs ...string) *discovery.Set {
		files, err := local.New(registry)
		if err != nil {
			panic(err)
		}
		listed, err := static.New(addrs...)
		if err != nil {
			panic(err)
		}
		set, err := discovery.New(discovery.Config{Self: self}, files, listed)
		if err != nil {
			panic(err)
		}
		return set
	}
	alice := peer(discovery.Announcement{
		ID: "aliceaaaaaaaaaaaaaaaaaaaaaaaaaaa", Name: "alice", Boot: "1767225600000-0a1b2c3d", Port: 7117,
	})
	bob := peer(discovery.Announcement{}, "tcp://nas.example:7117") // only looks

	stopped := make(chan struct{})
	for _, set := range []*discovery.Set{alice, bob} {
		go func() { set.Run(ctx); stopped <- struct{}{} }()
	}
	<-alice.Asked() // alice's file is there
	bob.Refresh()

	for range 2 {
		ev, err := bob.Next(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println(ev.Kind, ev.Record.Source, ev.Record.Name, ev.Record.Addrs[0])
	}
	cancel()
	<-stopped
	<-stopped
	// Unordered output:
	// joined local alice 127.0.0.1:7117
	// joined static  tcp://nas.example:7117
}
