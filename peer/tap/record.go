package tap

import (
	"encoding/json"
	"strconv"
	"time"

	"peermesh/codec"
)

// RecordVersion is the version of the record format.
const RecordVersion = 1

// Record is one event as peerctl prints it with -o json and saves it: a JSON object on a line. Members that do not
// apply are absent. New members may come; the meaning of those that are here stays within a version.
type Record struct {
	V         int             `json:"v"`
	T         time.Time       `json:"t"`
	N         uint64          `json:"n"`
	Kind      string          `json:"kind"` // request, notify, reply, error, peer, security or note
	Method    string          `json:"method,omitempty"`
	ID        json.RawMessage `json:"id,omitempty"`
	Conv      string          `json:"conv,omitempty"` // the caller's name and the id
	From      string          `json:"from,omitempty"`
	To        []string        `json:"to,omitempty"`
	All       bool            `json:"all,omitempty"` // a broadcast; To lists who it went to
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
	Code      int             `json:"code,omitempty"`
	Message   string          `json:"message,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
	MS        float64         `json:"ms,omitempty"`         // from the question to the answer
	HandlerMS float64         `json:"handler_ms,omitempty"` // of which the handler ran
	Event     string          `json:"event,omitempty"`      // of a peer: joined, updated, suspect, back, left, refused
	Peer      string          `json:"peer,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Address   string          `json:"address,omitempty"`
	APIs      []string        `json:"apis,omitempty"`
	Text      string          `json:"text,omitempty"` // of a note
	Count     uint64          `json:"count,omitempty"`
	Bytes     int             `json:"bytes,omitempty"`
	Via       string          `json:"via,omitempty"`
	Sec       *Sec            `json:"sec,omitempty"`
	SeenBy    string          `json:"seen_by,omitempty"`
	Dropped   uint64          `json:"dropped"` // records that are missing before this one
}

// Sec is the security verdict on a message. The secinfo frame is folded into the message that it protects.
type Sec struct {
	Alg    string `json:"alg"` // S-HS256 in a session, HS256, or none
	Sealed bool   `json:"sealed"`
	User   string `json:"user,omitempty"`
	OK     bool   `json:"ok"`
}

// Pairing makes records of a peer's events, and ties replies to their requests. It is for one goroutine.
type Pairing struct {
	seenBy string
	open   map[string]question
	order  []string
}

type question struct {
	method string
	at     time.Time
}

// maxOpen is how many questions are remembered; the oldest give way.
const maxOpen = 4096

// NewPairing makes a Pairing for the events of the peer of that name.
func NewPairing(seenBy string) *Pairing {
	return &Pairing{seenBy: seenBy, open: map[string]question{}}
}

// Records returns the records of one event: one, or for a batch one for each of its elements. dropped is how many
// events are missing before it.
func (p *Pairing) Records(e Event, dropped uint64) []Record {
	r := Record{V: RecordVersion, T: e.Time.UTC(), N: e.N, From: e.From, To: e.To, All: e.ToAll, Bytes: len(e.Frame), Via: e.Via,
		Sec: &Sec{Alg: e.Alg, Sealed: e.Sealed, User: e.User, OK: e.OK}, SeenBy: p.seenBy, Dropped: dropped}
	switch e.Kind {
	case Change:
		r.Kind, r.Event, r.Peer, r.Reason, r.Address, r.APIs = "peer", e.Change, e.From, e.Reason, e.Address, e.APIs
		r.From, r.To = "", nil
		return []Record{r}
	case Refused:
		r.Kind, r.Code, r.Reason, r.Count = "security", e.Code, e.Reason, 1
		return []Record{r}
	case Dropped, Unheard:
		r.Kind, r.Method, r.Text = "note", e.Method, e.Reason
		return []Record{r}
	case Failed:
		r.Kind, r.Method, r.Message, r.MS = "error", e.Method, e.Reason, millis(e.RTT)
		r.ID = strconv.AppendUint(nil, e.ID, 10)
		r.Conv = conv(e.From, r.ID)
		r.From, r.To = e.To[0], []string{e.From}
		return []Record{r}
	}
	frames := [][]byte{e.Frame}
	if codec.IsBatch(e.Frame) {
		elements, err := codec.SplitBatch(nil, e.Frame)
		if err == nil {
			frames = elements
		}
	}
	var out []Record
	for _, f := range frames {
		one := r
		p.message(&one, e, f)
		out = append(out, one)
	}
	return out
}

// message fills in what a frame says.
func (p *Pairing) message(r *Record, e Event, frame []byte) {
	var m codec.Message
	if err := m.Parse(frame); err != nil {
		r.Kind, r.Text = "note", err.Error()
		return
	}
	r.ID = m.ID
	switch m.Kind {
	case codec.Notification:
		r.Kind, r.Method, r.Params, r.ID = "notify", string(m.Method), m.Params, nil
		return
	case codec.Request:
		r.Kind, r.Method, r.Params = "request", string(m.Method), m.Params
		r.Conv = conv(e.From, m.ID)
		p.remember(r.Conv, question{r.Method, e.Time})
		return
	case codec.Response:
		r.Kind, r.Result = "reply", m.Result
	case codec.ErrorReply:
		err := codec.DecodeError(m.Error)
		r.Kind, r.Code, r.Message, r.Data = "error", err.Code, err.Message, err.Data
	}
	if len(e.To) > 0 {
		r.Conv = conv(e.To[0], m.ID)
	}
	r.Method, r.MS = e.Method, millis(e.RTT)
	if q, ok := p.open[r.Conv]; ok {
		if r.Method == "" {
			r.Method = q.method
		}
		if r.MS == 0 {
			r.MS = millis(e.Time.Sub(q.at))
		}
	}
	r.HandlerMS = millis(e.Handler)
	if m.Meta != nil && r.HandlerMS == 0 {
		r.HandlerMS = millis(codec.ParseMeta(m.Meta).Handler)
	}
}

func (p *Pairing) remember(key string, q question) {
	if _, ok := p.open[key]; !ok {
		if p.order = append(p.order, key); len(p.order) > maxOpen {
			delete(p.open, p.order[0])
			p.order = append(p.order[:0], p.order[1:]...)
		}
	}
	p.open[key] = q
}

// conv names a conversation: who asked, and the id.
func conv(caller string, id []byte) string { return caller + "/" + string(id) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
