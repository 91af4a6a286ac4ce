package api

import (
	"context"
	"encoding/json"
)

// Message is what a handler can learn about the message that it runs for. The mesh's context for a handler answers
// ctx.Value(MessageKey{}) with one; contexts derived from it do too.
type Message interface {
	// Sender is who sent the message.
	Sender() *Info
	// SecInfo is the security info that the message came with, by field name; nil for an unsigned message. The map is
	// a fresh copy.
	SecInfo() map[string]string
	// CallID is the raw JSON id of the request; nil for a notification.
	CallID() json.RawMessage
	// Trace returns the W3C traceparent and tracestate that came with the request, empty when none did.
	Trace() (parent, state string)
	// Progress sends v (raw JSON) to the caller, if it asked for progress; otherwise it does nothing.
	Progress(v json.RawMessage) error
}

// MessageKey is the context key under which a mesh keeps the Message of a handler's message.
type MessageKey struct{}

func incoming(ctx context.Context) Message {
	in, _ := ctx.Value(MessageKey{}).(Message)
	return in
}

// Sender returns who sent the message that the handler runs for; nil outside handlers.
func Sender(ctx context.Context) *Info {
	if in := incoming(ctx); in != nil {
		return in.Sender()
	}
	return nil
}

// SecInfo returns the security info that the message came with: kid, user, to, ts, nonce, sig and what else the sender
// covered by its signature. It is nil outside handlers and for unsigned messages.
func SecInfo(ctx context.Context) map[string]string {
	if in := incoming(ctx); in != nil {
		return in.SecInfo()
	}
	return nil
}

// CallID returns the raw JSON id of the request that the handler runs for; nil for notifications and outside handlers.
func CallID(ctx context.Context) json.RawMessage {
	if in := incoming(ctx); in != nil {
		return in.CallID()
	}
	return nil
}

// Trace returns the W3C trace context that came with the request; empty strings when none did.
func Trace(ctx context.Context) (parent, state string) {
	if in := incoming(ctx); in != nil {
		return in.Trace()
	}
	return "", ""
}

// Progress tells the caller, while the handler still runs, how far it is. v must marshal to JSON. A caller that did
// not ask with OnProgress hears nothing, and no error is returned. All progress reaches the caller before the response.
// The error is that of marshalling or of a full queue (ErrBusy); a handler may ignore it.
func Progress(ctx context.Context, v any) error {
	in := incoming(ctx)
	if in == nil {
		return nil
	}
	raw, err := encodeProgress(v)
	if err != nil {
		return err
	}
	return in.Progress(raw)
}

func encodeProgress(v any) (raw json.RawMessage, err error) {
	defer recovered("$/progress", &err)
	if raw, err = marshal(nil, v); err != nil {
		return nil, violations{encodeViolation(err)}
	}
	return raw, nil
}
