//go:build !linux

package main

import "errors"

// portOwners cannot tell on this system.
func portOwners(int) ([]string, error) { return nil, errors.New("only known on Linux") }
