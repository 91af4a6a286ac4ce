// Package other has a type that bears the name of another package's, for the tests of package api.
package other

// Node is a tree.
type Node struct {
	Deep []Node `json:"deep"`
}
