package codec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/sourcegraph/jsonrpc2"

	"peermesh/api"
	"peermesh/codec"
)

// A stream whose framing is not known, with a keep-alive and a frame that is too large.
func ExampleReader() {
	stream := strings.NewReader(`{"jsonrpc":"2.0","method":"hello"}` + "\n\n" + strings.Repeat("x", 1000) + "\n" + `{"jsonrpc":"2.0","method":"bye"}` + "\n")
	r := codec.NewReader(stream, nil, 100)
	for {
		frame, err := r.Next()
		var large *codec.TooLargeError
		switch {
		case err == io.EOF:
			fmt.Println("end of", r.Framing().Name())
			return
		case errors.As(err, &large):
			fmt.Println("skipped:", err)
		case err != nil:
			fmt.Println(err)
			return
		case len(frame) == 0:
			fmt.Println("keep-alive")
		default:
			fmt.Printf("%s\n", frame)
		}
	}
	// Output:
	// {"jsonrpc":"2.0","method":"hello"}
	// keep-alive
	// skipped: codec: the frame is larger than 100 bytes
	// {"jsonrpc":"2.0","method":"bye"}
	// end of jrpc:lf
}

// Frames of all kinds, and how each is answered.
func ExampleMessage_Parse() {
	for _, frame := range []string{
		`{"jsonrpc":"2.0","id":7,"method":"sum","params":[1,2]}`,
		`{"jsonrpc":"2.0","method":"log","params":{"text":"hi"}}`,
		`{"jsonrpc":"2.0","id":7,"result":3}`,
		`{"jsonrpc":"1.0","id":"a","method":"sum"}`,
		`{"jsonrpc":"1.0","method":"log"}`,
		`{"jsonrpc":"2.0",`,
	} {
		var m codec.Message
		var invalid *codec.InvalidError
		switch err := m.Parse([]byte(frame)); {
		case errors.As(err, &invalid) && invalid.Silent:
			fmt.Println("no answer:", err)
		case errors.As(err, &invalid):
			fmt.Printf("%s\n", codec.AppendError(nil, invalid.ID, invalid.RPC(), nil))
		case err != nil:
			fmt.Printf("%s\n", codec.AppendError(nil, nil, api.Errorf(api.CodeParse, "parse error"), nil))
		default:
			fmt.Printf("%v: id %s, method %s, params %s, result %s.\n", m.Kind, m.ID, m.Method, m.Params, m.Result)
		}
	}
	// Output:
	// request: id 7, method sum, params [1,2], result .
	// notification: id , method log, params {"text":"hi"}, result .
	// response: id 7, method , params , result 3.
	// {"jsonrpc":"2.0","id":"a","error":{"code":-32600,"message":"invalid request: jsonrpc is not \"2.0\""}}
	// no answer: codec: invalid message: jsonrpc is not "2.0"
	// {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}
}

// The elements of a batch are messages, or answered one by one.
func ExampleSplitBatch() {
	frame := []byte(`[{"jsonrpc":"2.0","id":1,"method":"sum","params":[1,2]}, 5]`)
	elements, err := codec.SplitBatch(nil, frame)
	fmt.Println(codec.IsBatch(frame), err)
	for _, e := range elements {
		var m codec.Message
		err := m.Parse(e)
		fmt.Printf("%s: %v, %v\n", e, m.Kind, err)
	}
	// Output:
	// true <nil>
	// {"jsonrpc":"2.0","id":1,"method":"sum","params":[1,2]}: request, <nil>
	// 5: invalid, codec: invalid message: the message is no object
}

// What a person types becomes JSON-RPC, and what is answered becomes a line.
func ExampleTerse() {
	r := codec.NewReader(strings.NewReader("snap/7 exposure_ms:20 tags:[\"dark\" null]\nsnap/8 exposure_ms:\n"), codec.Terse, 4<<10)
	frame, _ := r.Next()
	fmt.Printf("%s\n", frame)
	_, err := r.Next()
	fmt.Println(err)

	reply := []byte(`{"jsonrpc":"2.0","id":7,"result":{"width":640,"image":{"__bytes":"AAH/"}}}`)
	_, _ = os.Stdout.Write(codec.Terse.Append(nil, reply))
	// Output:
	// {"jsonrpc":"2.0","method":"snap","id":7,"params":{"exposure_ms":20,"tags":["dark",null]}}
	// codec: not JSON: column 20 of the line
	// [7]:{width:640 image:'AAH/'}
}

// A program that is written with github.com/sourcegraph/jsonrpc2 speaks NUL framing.
func ExampleObjectCodec() {
	near, far := net.Pipe()
	ctx := context.Background()
	greet := jsonrpc2.HandlerWithError(func(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) (any, error) {
		return "hello from " + r.Method, nil
	})
	server := jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(far, codec.ObjectCodec(codec.NUL)), greet)
	client := jsonrpc2.NewConn(ctx, jsonrpc2.NewBufferedStream(near, codec.ObjectCodec(codec.NUL)), greet)

	var answer string
	err := client.Call(ctx, "greet", nil, &answer)
	fmt.Println(answer, err)

	_ = client.Close()
	<-server.DisconnectNotify()
	// Output:
	// hello from greet <nil>
}

// The first bytes of a connection tell what it speaks.
func ExampleDetect() {
	for _, first := range []string{"GET /mesh HTTP/1.1\r\n", "Content-Length: 2\r\n", "{}\x00", "\n{}\n", "{\n  \"jsonrpc\"", "{\"jsonrpc\""} {
		if codec.Sniff([]byte(first)) == codec.HTTP {
			fmt.Println("HTTP")
			continue
		}
		if framing, skip := codec.Detect([]byte(first)); framing != nil {
			fmt.Println(framing.Name(), skip)
		} else {
			fmt.Println("not known yet")
		}
	}
	// Output:
	// HTTP
	// lsp 0
	// jrpc 0
	// jrpc:lf 1
	// jrpc 0
	// not known yet
}
