//go:build !linux

package mdns

import "net"

// ownGroupsOnly has nothing to do: elsewhere a socket hears what it joined itself.
func ownGroupsOnly(*net.UDPConn, family) {}

// serveOn chooses the interfaces that a hashicorp server is started for: all, as each hears its own alone.
func serveOn(all []iface) []iface { return all }
