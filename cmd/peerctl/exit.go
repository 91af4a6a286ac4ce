package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"peermesh/api"
	"peermesh/security"
)

// Exit codes, the same for every command.
const (
	exitOK          = 0
	exitFailure     = 1 // any other failure
	exitUsage       = 2 // wrong usage, params against the schema
	exitNotFound    = 3 // no such peer, method or mesh
	exitKey         = 4 // key or signature refused
	exitRemote      = 5 // the peer answered with a JSON-RPC error
	exitTimeout     = 6 // no answer in time
	exitPartly      = 7 // some of several peers failed or were silent
	exitExpectation = 8 // --expect or --fail-on not met
	exitInterrupted = 130
)

var codeNames = map[int]string{
	exitFailure: "failure", exitUsage: "usage", exitNotFound: "not_found", exitKey: "key", exitRemote: "remote",
	exitTimeout: "timeout", exitPartly: "partly", exitExpectation: "expectation", exitInterrupted: "interrupted",
}

// exitError is an error with the exit code that it means.
type exitError struct {
	code   int
	err    error
	peer   string
	method string
	shown  bool // it was told already
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &exitError{code: exitNotFound, err: fmt.Errorf(format, args...)}
}

// exitCode tells what an error means to a script.
func exitCode(err error) int {
	var own *exitError
	var remote *api.Error
	var keyFile *security.KeyFileError
	var known *security.KnownPeersError
	var name *security.NameError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &own):
		return own.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	case errors.As(err, &known), errors.As(err, &keyFile), errors.Is(err, security.ErrInsecureFile), errors.Is(err, security.ErrKeyForm):
		return exitKey
	case errors.As(err, &name):
		return exitUsage
	case errors.As(err, &remote):
		switch remote.Code {
		case api.CodeInvalidParams:
			if errors.Is(err, api.ErrNotSent) {
				return exitUsage
			}
		case api.CodeMethodNotFound:
			return exitNotFound
		case api.CodeUnauthenticated, api.CodeStale, api.CodeRefused, api.CodeSessionRequired:
			return exitKey
		case api.CodeDeadline:
			return exitTimeout
		}
		return exitRemote
	case errors.Is(err, api.ErrUnknownPeer), errors.Is(err, api.ErrNoReceiver), errors.Is(err, api.ErrNotServed):
		return exitNotFound
	case errors.Is(err, api.ErrManyReceivers), errors.Is(err, api.ErrAmbiguousPeer), errors.Is(err, api.ErrSelf):
		return exitUsage
	}
	return exitFailure
}

// report tells an error on stderr, as JSON where that is the output form, and returns the exit code.
func report(err error, asJSON bool, stderr io.Writer) int {
	code := exitCode(err)
	var own *exitError
	errors.As(err, &own)
	if own != nil && own.shown || code == exitInterrupted {
		return code
	}
	if !asJSON {
		fmt.Fprintf(stderr, "peerctl: %v\n", err)
		return code
	}
	out := map[string]any{"code": codeNames[code], "exit": code, "message": err.Error()}
	var call *api.CallError
	if errors.As(err, &call) {
		out["method"] = call.Method
		if call.Peer != "" {
			out["peer"] = call.Peer
		}
	}
	if own != nil && own.peer != "" {
		out["peer"] = own.peer
	}
	if own != nil && own.method != "" {
		out["method"] = own.method
	}
	var remote *api.Error
	if errors.As(err, &remote) {
		out["rpc"] = remote
	}
	raw, _ := json.Marshal(map[string]any{"error": out}) // plain values marshal
	fmt.Fprintf(stderr, "%s\n", raw)
	return code
}
