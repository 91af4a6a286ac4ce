package transport

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"peermesh/codec"
)

// Stdio makes a Conn of the process's standard input and output, in NUL framing. The end of the input is the end of
// the connection. Nothing else may be written to the standard output.
func Stdio() *Conn { return Streams("stdio", os.Stdin, os.Stdout) }

// Streams makes a Conn of two streams; closing it closes both. via names the way. Deadlines have an effect where a
// stream has them.
func Streams(via string, in io.ReadCloser, out io.WriteCloser) *Conn {
	return &Conn{Conn: &streams{in: in, out: out, via: via}, Via: via, Framing: codec.NUL}
}

type streams struct {
	in  io.ReadCloser
	out io.WriteCloser
	via string
}

func (s *streams) Read(p []byte) (int, error)  { return s.in.Read(p) }
func (s *streams) Write(p []byte) (int, error) { return s.out.Write(p) }
func (s *streams) Close() error                { return errors.Join(s.out.Close(), s.in.Close()) }
func (s *streams) LocalAddr() net.Addr         { return named(s.via) }
func (s *streams) RemoteAddr() net.Addr        { return named(s.via) }

func (s *streams) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *streams) SetReadDeadline(t time.Time) error {
	if d, ok := s.in.(interface{ SetReadDeadline(time.Time) error }); ok {
		return ignoreUnsupported(d.SetReadDeadline(t))
	}
	return nil
}

func (s *streams) SetWriteDeadline(t time.Time) error {
	if d, ok := s.out.(interface{ SetWriteDeadline(time.Time) error }); ok {
		return ignoreUnsupported(d.SetWriteDeadline(t))
	}
	return nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, os.ErrNoDeadline) {
		return nil
	}
	return err
}

// named is the address of a connection without network.
type named string

func (n named) Network() string { return string(n) }
func (n named) String() string  { return string(n) }

// Pipe returns the two ends of a connection within the process, in NUL framing. It has no buffer: a Write waits for
// the other end's Read.
func Pipe() (a, b *Conn) {
	x, y := net.Pipe()
	return &Conn{Conn: x, Via: "pipe", Framing: codec.NUL}, &Conn{Conn: y, Via: "pipe", Framing: codec.NUL}
}
