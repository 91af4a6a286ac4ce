package codec

// Protocol is what a connection speaks, as far as its first bytes tell.
type Protocol uint8

// The protocols that share a port.
const (
	Undecided Protocol = iota // more bytes are needed
	TLS                       // a TLS record
	HTTP                      // an HTTP/1.1 request
	Frames                    // JSON-RPC frames in a framing that Detect tells
)

// httpMethods begin an HTTP request; PRI begins HTTP/2, which is refused there and not taken for a frame.
var httpMethods = [...]string{"GET ", "HEAD ", "POST ", "PUT ", "PATCH ", "DELETE ", "OPTIONS ", "CONNECT ", "TRACE ", "PRI "}

// Sniff decides the protocol from the first bytes of a connection, protocol section 2. Eight bytes always suffice: with
// as many it never returns Undecided.
func Sniff(data []byte) Protocol {
	if len(data) == 0 {
		return Undecided
	}
	if data[0] == 0x16 {
		return TLS
	}
	for _, m := range httpMethods {
		n := min(len(data), len(m))
		if string(data[:n]) == m[:n] {
			if n == len(m) {
				return HTTP
			}
			return Undecided
		}
	}
	return Frames
}
