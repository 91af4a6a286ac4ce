package page

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"peermesh/peer"
	"peermesh/peer/tap"
)

const (
	maxBody    = 8 << 20
	maxTimeout = 10 * time.Minute
)

// order is what a page wants sent.
type order struct {
	Method  string   `json:"method"`
	Params  string   `json:"params"` // JSON; empty: none
	Seq     uint64   `json:"seq"`    // instead of Params: those of this record, also what is hidden of them
	To      []string `json:"to"`
	All     bool     `json:"all"` // a broadcast: only how it is shown
	Timeout int64    `json:"timeout_ms"`
	Anyway  bool     `json:"anyway"` // although the params are against the schema
}

// answer is the outcome of a call of one peer, as a line.
type answer struct {
	*peer.CallResult
	Result string `json:"result,omitempty"` // JSON
	Hidden int    `json:"hidden,omitempty"`
}

// ending is the last line of a call.
type ending struct {
	Done   bool   `json:"done,omitempty"`
	Failed string `json:"failed,omitempty"`
	Schema bool   `json:"schema,omitempty"` // it failed for being against the schema, and one may insist
}

// enter takes one of the places for what pages have under way.
func (s *Site) enter(w http.ResponseWriter) (leave func(), ok bool) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, true
	default:
		http.Error(w, fmt.Sprintf("%d calls are under way", callsAtOnce), http.StatusTooManyRequests)
		return nil, false
	}
}

// redactor returns what takes secrets out for a page, nil for one that asks to see them.
func (s *Site) redactor(r *http.Request) *tap.Redactor {
	if r.URL.Query().Get("reveal") == "1" {
		return nil
	}
	return s.docs.redactor()
}

func refuse(w http.ResponseWriter, status int, err error) { http.Error(w, err.Error(), status) }

// read reads what a page wants sent, and checks it.
func (s *Site) read(w http.ResponseWriter, r *http.Request) (*order, json.RawMessage, bool) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return nil, nil, false
	}
	params := json.RawMessage(o.Params)
	if o.Seq > 0 {
		rec := s.kept.get(o.Seq)
		if rec == nil || rec.Cut {
			refuse(w, http.StatusGone, errors.New("the record is not kept any more, or was too large to be kept whole"))
			return nil, nil, false
		}
		params = rec.Params
	}
	if len(params) > 0 {
		if err := checkJSON(params); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return nil, nil, false
		}
	}
	if o.Method == "" || len(o.To) == 0 {
		refuse(w, http.StatusBadRequest, errors.New("say which method, and to whom"))
		return nil, nil, false
	}
	if !o.Anyway {
		for _, who := range o.To {
			if d, m := s.docs.method(who, o.Method); m != nil {
				if err := d.Validate(m, params); err != nil {
					// An answer, not a failure: browsers write those to the console.
					writeJSON(w, ending{Failed: err.Error(), Schema: true})
					return nil, nil, false
				}
				break
			}
		}
	}
	return &o, params, true
}

// checkJSON says where a text is no JSON.
func checkJSON(text []byte) error {
	var v any
	err := json.Unmarshal(text, &v)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := text[:min(int(syntax.Offset), len(text))]
		line := 1 + bytes.Count(before, []byte("\n"))
		return fmt.Errorf("params: line %d, column %d: %w", line, len(before)-bytes.LastIndexByte(before, '\n')-1, err)
	}
	return err
}

// begin takes a place, reads what a page wants sent, and connects to the mesh for it. m is nil when the page was refused;
// else end is to be called.
func (s *Site) begin(w http.ResponseWriter, r *http.Request) (m Mesh, o *order, params json.RawMessage, end func()) {
	leave, ok := s.enter(w)
	if !ok {
		return nil, nil, nil, nil
	}
	if o, params, ok = s.read(w, r); !ok {
		leave()
		return nil, nil, nil, nil
	}
	m, err := s.cfg.Open(r.Context())
	if err != nil {
		leave()
		refuse(w, http.StatusBadGateway, err)
		return nil, nil, nil, nil
	}
	return m, o, params, func() {
		_ = m.Close() // it was for this alone
		leave()
	}
}

// call calls peers and writes each outcome on a line as it comes.
func (s *Site) call(w http.ResponseWriter, r *http.Request) {
	m, o, params, end := s.begin(w, r)
	if m == nil {
		return
	}
	defer end()
	timeout := s.cfg.Timeout
	if o.Timeout > 0 {
		timeout = min(time.Duration(o.Timeout)*time.Millisecond, maxTimeout)
	}
	redact := s.redactor(r)
	w.Header().Set("Content-Type", "application/x-ndjson")
	ctl := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	err := m.Call(r.Context(), peer.CallRequest{Method: o.Method, Params: params, To: o.To, Timeout: timeout.Milliseconds()}, func(res *peer.CallResult) {
		_ = enc.Encode(newAnswer(o.Method, res, redact)) // who does not read it misses it
		_ = ctl.Flush()
	})
	last := ending{Done: true}
	if err != nil {
		last.Failed = err.Error()
	}
	_ = enc.Encode(&last)
}

// newAnswer makes the line of an outcome, with what redact leaves of it.
func newAnswer(method string, res *peer.CallResult, redact *tap.Redactor) *answer {
	a := &answer{CallResult: res}
	rec := tap.Record{Method: method, Result: res.Result}
	if res.Error != nil {
		rec.Data = res.Error.Data
	}
	if redact != nil {
		a.Hidden = redact.Record(&rec)
	}
	a.Result = string(rec.Result)
	if res.Error != nil {
		res.Error.Data = rec.Data
	}
	return a
}

// notify sends a notification and says who it went to.
func (s *Site) notify(w http.ResponseWriter, r *http.Request) {
	m, o, params, end := s.begin(w, r)
	if m == nil {
		return
	}
	defer end()
	res, err := m.Notify(r.Context(), peer.NotifyRequest{Method: o.Method, Params: params, To: o.To, All: o.All})
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	writeJSON(w, res)
}

// doctor examines the mesh.
func (s *Site) doctor(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Doctor == nil {
		http.NotFound(w, r)
		return
	}
	leave, ok := s.enter(w)
	if !ok {
		return
	}
	defer leave()
	found, err := s.cfg.Doctor(r.Context())
	if err != nil {
		refuse(w, http.StatusBadGateway, err)
		return
	}
	writeJSON(w, found)
}

// documents serves what the peers say of themselves.
func (s *Site) documents(w http.ResponseWriter, _ *http.Request) {
	text, err := s.docs.text()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text)
}

// record serves one record with all of its values.
func (s *Site) record(w http.ResponseWriter, r *http.Request) {
	seq, _ := strconv.ParseUint(r.URL.Query().Get("seq"), 10, 64) // 0 is none
	rec := s.kept.get(seq)
	if rec == nil {
		refuse(w, http.StatusGone, errors.New("the record is not kept any more"))
		return
	}
	writeJSON(w, makeRow(seq, rec, s.redactor(r), 0))
}

// export serves records as peerctl watch --save writes them.
func (s *Site) export(w http.ResponseWriter, r *http.Request) {
	var which struct {
		Seqs []uint64 `json:"seqs"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&which); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	redact := s.redactor(r)
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, seq := range which.Seqs {
		kept := s.kept.get(seq)
		if kept == nil {
			continue
		}
		rec := *kept
		if redact != nil {
			redact.Record(&rec)
		}
		if enc.Encode(&rec) != nil {
			return
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // who does not read it misses it
}
