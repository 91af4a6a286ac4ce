package main

import "os/exec"

// killGroup leaves it at killing the shell, which is what the package does by itself.
func killGroup(*exec.Cmd) {}
