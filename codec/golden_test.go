package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"peermesh/api"
	"peermesh/codec"
	"peermesh/codec/golden"
)

func scripts(t testing.TB) []golden.Script {
	t.Helper()
	all, err := golden.Load(os.DirFS("testdata"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTranscriptsCoverConformance fails when a row of the conformance list has no transcript.
func TestTranscriptsCoverConformance(t *testing.T) {
	t.Parallel()
	covered := map[int]bool{}
	for _, s := range scripts(t) {
		for _, step := range s.Steps {
			for _, row := range step.Rows {
				covered[row] = true
			}
		}
	}
	for row := 1; row <= 39; row++ {
		if !covered[row] {
			t.Errorf("no transcript covers row %d", row)
		}
	}
}

// TestTranscripts reads each frame that is sent and checks that what the codec makes of it agrees with the answer.
func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, s := range scripts(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, step := range s.Steps {
				if err := checkStep(&step); err != nil {
					t.Errorf("line %d: %v", step.Line, err)
				}
			}
		})
	}
}

// expected is what the codec knows of an answer: all of an error, or that there is one with an id.
type expected struct {
	id   string
	code int // 0: a request, answered by its handler
}

func checkStep(step *golden.Step) error {
	var single []expected
	var batches [][]expected
	for _, frame := range step.Send {
		if len(frame) > 4<<20 {
			single = append(single, expected{"null", api.CodeInvalidRequest})
			continue
		}
		if !codec.IsBatch(frame) {
			single = append(single, expectedOf(frame)...)
			continue
		}
		elements, err := codec.SplitBatch(nil, frame)
		if err != nil {
			single = append(single, expectedError(err)...)
			continue
		}
		var batch []expected
		for _, e := range elements {
			batch = append(batch, expectedOf(e)...)
		}
		if len(batch) > 0 {
			batches = append(batches, batch)
		}
	}
	for _, want := range step.Want {
		if !codec.IsBatch(want) {
			rest, err := take(single, want)
			if err != nil {
				return err
			}
			single = rest
			continue
		}
		if len(batches) == 0 {
			return errors.New("no batch was sent")
		}
		elements, err := codec.SplitBatch(nil, want)
		if err != nil {
			return err
		}
		for _, e := range elements {
			if batches[0], err = take(batches[0], e); err != nil {
				return err
			}
		}
		if len(batches[0]) > 0 {
			return fmt.Errorf("the answer to %v is missing", batches[0])
		}
		batches = batches[1:]
	}
	if len(single)+len(batches) > 0 {
		return fmt.Errorf("answers are missing: %v %v", single, batches)
	}
	return nil
}

func expectedOf(frame []byte) []expected {
	var m codec.Message
	if err := m.Parse(frame); err != nil {
		return expectedError(err)
	}
	if m.Kind == codec.Request {
		return []expected{{id: string(m.ID)}}
	}
	return nil
}

func expectedError(err error) []expected {
	var inv *codec.InvalidError
	switch {
	case !errors.As(err, &inv):
		return []expected{{"null", api.CodeParse}}
	case inv.Silent:
		return nil
	case inv.ID == nil:
		return []expected{{"null", api.CodeInvalidRequest}}
	}
	return []expected{{string(inv.ID), api.CodeInvalidRequest}}
}

// take removes the expectation that an answer meets.
func take(from []expected, answer []byte) ([]expected, error) {
	var m codec.Message
	if err := m.Parse(answer); err != nil {
		return nil, fmt.Errorf("the answer %.200s: %w", answer, err)
	}
	have := expected{id: string(m.ID)}
	if m.Kind == codec.ErrorReply {
		have.code = codeOf(m.Error)
	}
	for i, e := range from {
		// A handler may answer with any code, and the peer refuses an id that is in flight; only what the codec
		// refuses itself is fixed.
		if e.id == have.id && (e.code == have.code || e.code == 0 && have.code != api.CodeParse) {
			return append(append([]expected(nil), from[:i]...), from[i+1:]...), nil
		}
	}
	return nil, fmt.Errorf("the codec expects %v, not %+v", from, have)
}

// codeOf reads the code of an error that may lack its message.
func codeOf(raw []byte) int {
	_, rest, _ := bytes.Cut(raw, []byte(`"code":`))
	code := 0
	if _, err := fmt.Sscan(string(rest), &code); err != nil {
		_, _ = fmt.Sscan(strings.Trim(string(rest), " }"), &code)
	}
	return code
}

// TestTranscriptsInEveryFraming sends the transcripts through each framing and wants the same frames back.
func TestTranscriptsInEveryFraming(t *testing.T) {
	t.Parallel()
	for _, s := range scripts(t) {
		for _, f := range []codec.Framing{codec.NUL, codec.LF, codec.LSP, codec.WS} {
			t.Run(s.Name+"/"+f.Name(), func(t *testing.T) {
				t.Parallel()
				var stream []byte
				var frames [][]byte
				for _, step := range s.Steps {
					for _, frame := range step.Send {
						stream = f.Append(stream, frame)
						frames = append(frames, frame)
					}
				}
				known := f
				if f != codec.WS {
					known = nil // the first bytes tell
				}
				r := codec.NewReader(bytes.NewReader(stream), known, 4<<20)
				for _, want := range frames {
					got, err := r.Next()
					if len(want) > 4<<20 {
						var large *codec.TooLargeError
						if !errors.As(err, &large) {
							t.Fatalf("%d bytes: %v", len(want), err)
						}
					} else if err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%.100q came as %.100q, %v", want, got, err)
					}
				}
				if _, err := r.Next(); err != io.EOF {
					t.Error(err)
				}
			})
		}
	}
}
