// Package interop has no code but its tests: clients and servers of other people talk to peers. It is a module of its
// own, so that those who use peermesh do not get its dependencies.
package interop
