// Package api says what an API is: typed definitions that both sides share, inversion, validation, and OpenRPC
// documents. It does no I/O and imports no other package of this module, so that a package with a shared definition
// imports this one alone. Package peer has the mesh that carries the messages.
//
// # One definition, two sides
//
// An API is a Go value, written from one side:
//
//	var API = api.Define[Camera, Viewer]("lab.camera", "1.2.0", "A camera on the bench.")
//
//	var (
//		Snap  = api.IncomingCall[SnapParams, Image](API, "snap", "Take one picture.")
//		Gain  = api.Incoming[GainParams](API, "gain", "Set the analogue gain.")
//		Frame = api.Outgoing[FrameInfo](API, "frame", "A new frame is ready.")
//	)
//
// Camera and Viewer are the roles, types that serve as names. API.Invert() is the same API as the viewer sees it: what
// came in goes out. Bind makes a Port of one side, and which side is part of the port's type, so that handling,
// sending or calling from the wrong side does not compile:
//
//	cam := api.Bind(p, lab.API)           // *api.Port[lab.Camera, lab.Viewer]
//	view := api.Bind(p, lab.API.Invert()) // *api.Port[lab.Viewer, lab.Camera]
//
// With Define[Chatter, Chatter] both sides are one, a mesh of equals: Incoming and Outgoing mean the same, and the
// inverse is the API itself.
//
// Definitions are made in package variables, before anything is bound. The first Bind, OpenRPC or Hash freezes the API:
// adding a method later panics, and so does all else that is wrong with a definition, since it is a part of the program.
//
// # Notifications and calls
//
// A Note has no answer. Send returns once it stands in the queue of each receiver, and its Report tells of each. A Call
// has exactly one outcome: a result, an *Error that the peer answered, or a *CallError, for which either ErrNotSent (it
// is safe to try again) or ErrOutcomeUnknown holds. Call asks one peer, CallEach yields the answers of many as they come,
// and Go returns a handle at once. A call whose context has no deadline gets one, by default DefaultTimeout.
//
// Who gets a message is said by Receivers: All, Any, To, Except or Where. All never includes oneself.
//
// # Handlers
//
// A handler is a plain function; what else it wants to know it asks its context: Sender, SecInfo, CallID, Trace; and it
// may report its Progress.
//
//	off := lab.Snap.Handle(cam, func(ctx context.Context, in lab.SnapParams) (lab.Image, error) {
//		slog.Info("snap", "for", api.Sender(ctx).Name)
//		return shoot(in.ExposureMS)
//	})
//
// A method may have several. All of a notification run, in the order in which they were added; of a call they are asked
// in that order until one returns something else than ErrPass. They share one decoded params, and must not change what
// it refers to. A panic, of a handler or of a method of its types, is CodeInternal for the caller and a stack trace in
// our log. An *Error is answered as it is, also one that came from a peer which the handler called itself; any other
// error is CodeApplication.
//
// Messages of one sender to one API are handled one at a time, in the order of arrival. A handler that waits in a call
// with its own context, or one derived from it, lets the next one start, so that peers that call each other back and
// forth do not deadlock. Concurrent lifts the order per method.
//
// # Types and their constraints
//
// Params are a struct, a map, a slice (then by position only), json.RawMessage, or None; results are anything that JSON
// carries. They are written and read by github.com/go-json-experiment/json with its defaults: member names are
// case-sensitive, unknown members are skipped, and a member that stands twice is an error. What has no JSON form is
// refused by Define, time.Duration among it. A type that implements encoding.TextMarshaler is a string, []byte is base64,
// a pointer may be null, and nothing else may.
//
// A struct's members are required, unless they have omitempty, omitzero or a default. Field tags constrain them, each
// like the JSON Schema keyword of its name:
//
//	minimum maximum                numbers; compared exactly, whatever their size
//	minLength maxLength pattern    strings, in characters; a pattern is a Go regular expression that is looked for anywhere
//	minItems maxItems              slices
//	enum                           numbers, strings and booleans, parted by commas
//	default                        JSON, or the text of a string; put in wherever the member is absent
//	writeOnly                      documents that the value is never shown
//	jsonschema                     the description
//
// A default is put in at every level by whoever reads the message. A Go program that sends a zero sends a zero: for the
// default to apply, the member needs omitzero.
//
// A type with a method Validate() error, on the value or on a pointer, is asked last. It is asked of the params or the
// result as a whole; what is nested is its own affair.
//
// All this is checked on both sides: before anything is sent, before any handler runs, before a result goes out and
// after it came in. A violation by params is an *Error with CodeInvalidParams, whose data lists up to 16 places and what
// is wrong there:
//
//	[{"pointer":"/exposure_ms","message":"is greater than 1000"}]
//
// The check is compiled once, walks the raw text and allocates nothing. Where there are no constraints it costs one
// search for the word null, which decoding would take for a zero.
//
// # Documents
//
// OpenRPC returns the document of a side: what it handles under methods, what it sends under x-outgoing. Inverting the
// API and inverting its document come to the same, and Parse reads back what was written. Both sides have the same Hash,
// which docs and examples do not change and all else does. Serve binds a document without Go types.
//
// # Concurrency
//
// All that this package hands out may be used by several goroutines at once, with the exceptions that its comments name.
//
// # Limits and strangers
//
// Values are checked to a depth of 64. Bytes from the network never panic or hang: texts are walked in linear time, their
// nesting and the number of complaints are bounded, and numbers are compared without being expanded. Parse bounds
// documents to 4 MiB and refuses schemas that never end. Errors for callers name places in their params, and no Go types.
package api
