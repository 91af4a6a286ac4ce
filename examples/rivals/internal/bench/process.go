package bench

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"time"
)

// childFlag makes this program one end of a measurement.
const childFlag = "-rivals-end"

// patience is how long an end may take beyond the time that it was told to work.
const patience = 60 * time.Second

// Child is to be called first in main. It returns, unless the program was started as one end of a measurement.
func Child() {
	if len(os.Args) != 2 || os.Args[1] != childFlag {
		return
	}
	pipe := stdio{os.Stdin, os.Stdout}
	os.Stdout = os.Stderr // what a library prints shall not get into the pipe
	serveEnd(pipe)
	os.Exit(0)
}

// serveEnd takes orders until the other side closes.
func serveEnd(conn io.ReadWriteCloser) {
	srv := rpc.NewServer()
	if err := srv.RegisterName("End", &End{}); err != nil {
		panic(err) // a method of End has not the form that net/rpc wants
	}
	srv.ServeConn(conn)
}

type stdio struct {
	io.ReadCloser
	io.WriteCloser
}

func (s stdio) Close() error { return errors.Join(s.ReadCloser.Close(), s.WriteCloser.Close()) }

// process is an end that somebody else runs.
type process struct {
	rpc  *rpc.Client
	kill func()
	wait func() error
}

// launch starts an end in a process of its own, with two processors for Go and the collector as it is by default.
func launch(oneCPU bool) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, childFlag)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2", "GOGC=100", "GOMEMLIMIT=off", "GODEBUG=")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	start := cmd.Start
	if oneCPU {
		start = func() error { return onOneCPU(cmd.Start) }
	}
	if err := start(); err != nil {
		return nil, err
	}
	return &process{rpc: rpc.NewClient(stdio{out, in}), kill: func() { _ = cmd.Process.Kill() }, wait: cmd.Wait}, nil
}

// embed runs an end in this process: for tests.
func embed() *process {
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		serveEnd(far)
		close(done)
	}()
	return &process{rpc: rpc.NewClient(near), kill: func() {}, wait: func() error { <-done; return nil }}
}

// do has the end do something that may take as long as d.
func (p *process) do(method string, in, out any, d time.Duration) error {
	call := p.rpc.Go("End."+method, in, out, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(d + patience):
		p.kill()
		return fmt.Errorf("%s takes too long", method)
	}
}

// stop ends it.
func (p *process) stop() error {
	none := struct{}{}
	err := p.do("Stop", &none, &struct{}{}, 0)
	_ = p.rpc.Close()
	timer := time.AfterFunc(10*time.Second, p.kill)
	defer timer.Stop()
	return errors.Join(err, p.wait())
}
