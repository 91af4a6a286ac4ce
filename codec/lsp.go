package codec

import (
	"bytes"
	"errors"
	"strconv"
)

// LSP is the framing of the Language Server Protocol's base protocol: headers, an empty line, the text. Of the headers
// only Content-Length counts; its name may be in any case.
var LSP Framing = lsp{}

type lsp struct{}

// ErrHeader is returned for a stream whose headers cannot be read. It cannot be read on.
var ErrHeader = errors.New("codec: broken Content-Length header")

const maxHeader = 4 << 10

func (lsp) Name() string { return "lsp" }

func (lsp) Cut(data []byte, _ int) (Frame, int, int, error) {
	head, length, err := lspHeader(data)
	if err != nil || head == 0 || length > len(data)-head {
		return Frame{}, 0, 0, err
	}
	end := head + length
	return Frame{Text: data[head:end:end]}, end, 0, nil
}

// lspHeader returns the length of the headers, 0 when they are not complete, and what they announce.
func lspHeader(data []byte) (head, length int, err error) {
	end := bytes.Index(data[:min(len(data), maxHeader)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(data) >= maxHeader {
			err = ErrHeader
		}
		return 0, 0, err
	}
	length = -1
	for line := range bytes.SplitSeq(data[:end], []byte("\r\n")) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			return 0, 0, ErrHeader
		}
		if !bytes.EqualFold(bytes.TrimSpace(name), []byte("Content-Length")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
		if err != nil || length >= 0 {
			return 0, 0, ErrHeader
		}
		length = int(n)
	}
	if length < 0 {
		return 0, 0, ErrHeader
	}
	return end + 4, length, nil
}

func (lsp) Skip(s *SkipState, data []byte) (int, bool) {
	taken := 0
	if s.left == 0 {
		head, length, _ := lspHeader(data) // Cut has read it
		taken, s.left = head, length
	}
	n := min(s.left, len(data)-taken)
	s.left -= n
	return taken + n, s.left == 0
}

func (lsp) Append(dst, frame []byte) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(frame)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, frame...)
}
