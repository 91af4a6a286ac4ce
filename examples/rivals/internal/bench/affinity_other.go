//go:build !linux

package bench

import "errors"

func onOneCPU(func() error) error { return errors.New(NoOneCPU) }

// NoOneCPU says why processes cannot be bound to one processor here; empty where they can.
const NoOneCPU = "binding processes to a processor is made for Linux only"
