package codec

import (
	"bytes"
	"errors"
	"strconv"
)

// LSP is the framing of the Language Server Protocol's base protocol, protocol section 2: header lines that end in CR
// LF, an empty line, the text. Of the headers only Content-Length counts; its name may be in any case, and it stands
// once. The headers are at most 4 KiB. A stream with broken headers cannot be read on: ErrHeader.
var LSP Framing = lsp{}

type lsp struct{}

// ErrHeader is returned for a stream in LSP framing whose headers cannot be read. It is final.
var ErrHeader = errors.New("codec: broken Content-Length header")

const (
	maxHeader = 4 << 10
	headerEnd = "\r\n\r\n"
)

func (lsp) Name() string { return "lsp" }

// Cut returns as next, once it has read the headers, where the frame ends; what they announce is not believed in any
// other way.
func (lsp) Cut(data []byte, from int) (text []byte, n, next int, err error) {
	if from > len(data) {
		return nil, 0, from, nil
	}
	head, length, err := lspHeader(data)
	if err != nil || head == 0 {
		return nil, 0, 0, err
	}
	end := head + length
	if end > len(data) {
		return nil, 0, end, nil
	}
	return data[head:end:end], end, 0, nil
}

// lspHeader returns the length of the headers, 0 when they are not complete, and what they announce.
func lspHeader(data []byte) (head, length int, err error) {
	end := bytes.Index(data[:min(len(data), maxHeader)], []byte(headerEnd))
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
		if !bytes.EqualFold(bytes.Trim(name, " \t"), []byte("Content-Length")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.Trim(value, " \t")), 10, 31)
		if err != nil || length >= 0 || n > 1<<31-1-maxHeader {
			return 0, 0, ErrHeader
		}
		length = int(n)
	}
	if length < 0 {
		return 0, 0, ErrHeader
	}
	return end + len(headerEnd), length, nil
}

func (lsp) Skip(s *SkipState, data []byte) (int, bool) {
	taken := 0
	if s.left == 0 {
		head, length, _ := lspHeader(data) // Cut reports what is wrong with it
		if head == 0 {
			return 0, false
		}
		taken, s.left = head, length
	}
	n := min(s.left, len(data)-taken)
	s.left -= n
	return taken + n, s.left == 0
}

func (lsp) Append(dst, frame []byte) []byte {
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(frame)), 10)
	dst = append(dst, headerEnd...)
	return append(dst, frame...)
}
