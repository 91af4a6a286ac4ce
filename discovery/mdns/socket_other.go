//go:build !linux

package mdns

import "syscall"

// ownGroupsOnly has nothing to do: elsewhere a socket hears what it joined itself.
func ownGroupsOnly(syscall.RawConn, family) error { return nil }

// serveOn chooses the interfaces that a hashicorp server is started for: all, as each hears its own alone.
func serveOn(all []iface) []iface { return all }
