package peer

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteMetrics writes what the peer counts in the text format of Prometheus (version 0.0.4), for a handler of /metrics
// or `peerctl metrics`. Names and labels are stable; label values are from fixed sets, or names of linked peers. The
// error is the writer's.
func (p *Peer) WriteMetrics(w io.Writer) error {
	s := p.Stats()
	m := &metrics{}
	m.gauge("peermesh_links", "Connections to other peers and clients, now.", float64(s.Links))
	m.gauge("peermesh_sessions", "Links with a session, now.", float64(s.Sessions))
	m.gauge("peermesh_unverified_bytes", "Bytes held of messages whose sender has proven nothing yet, at most 16 MiB.", float64(s.Unverified))
	m.gauge("peermesh_nonces", "Single signed messages that are remembered against replay, at most 1048576.", float64(s.Nonces))
	m.counter("peermesh_new_links_closed_total", "Connections closed because their address had too many unproven ones.", s.NewLinks)
	m.byLabel("peermesh_links_ended_total", "Links that have ended.", "reason", s.Ended)
	m.byLabel("peermesh_refused_total", "Messages, handshakes and connections that were refused.", "reason", s.Refused)
	m.counter("peermesh_queue_full_total", "Messages refused to their senders here because a link's queue was full.", s.Full)
	m.counter("peermesh_dropped_total", "Messages lost: in queues of links that ended, for newer ones, for want of room.", s.Dropped)
	m.counter("peermesh_unhandled_total", "Notifications that no bound API knows.", s.Unhandled)
	m.counter("peermesh_handlers_failed_total", "Handlers that returned an error.", s.Failed)
	m.counter("peermesh_handlers_panicked_total", "Handlers that panicked.", s.Panics)
	m.counter("peermesh_late_replies_total", "Answers to calls that were given up.", s.LateReply)
	m.counter("peermesh_stray_replies_total", "Answers to no call.", s.StrayReply)
	m.counter("peermesh_peers_ignored_total", "Peers not dialled because there are too many.", s.Ignored)
	m.gauge("peermesh_discovered_peers", "Peers in the table of discovery, at most 256.", float64(s.Discovery.Peers))
	m.counter("peermesh_discovery_evicted_total", "Peers that made room for others in the table of discovery.", s.Discovery.Evicted)
	m.counter("peermesh_discovery_ignored_total", "Reports that found no room in the table of discovery, or named nobody.", s.Discovery.Ignored)
	var rtt, up []sample
	for info := range p.Peers() {
		label := fmt.Sprintf("{peer=%s}", quoteLabel(info.Name))
		up = append(up, sample{fmt.Sprintf("{peer=%s,protection=%s,state=%s}", quoteLabel(info.Name), quoteLabel(info.Protection), quoteLabel(string(info.State))), 1})
		rtt = append(rtt, sample{label, info.RTT.Seconds()})
	}
	m.family("peermesh_peer_up", "gauge", "Peers that are linked, now.", up)
	m.family("peermesh_peer_rtt_seconds", "gauge", "Round trip of the last ping.", rtt)
	_, err := io.WriteString(w, m.text.String())
	return err
}

type metrics struct{ text strings.Builder }

type sample struct {
	labels string
	value  float64
}

func (m *metrics) family(name, kind, help string, samples []sample) {
	if len(samples) == 0 {
		return
	}
	fmt.Fprintf(&m.text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		fmt.Fprintf(&m.text, "%s%s %g\n", name, s.labels, s.value)
	}
}

func (m *metrics) gauge(name, help string, v float64) {
	m.family(name, "gauge", help, []sample{{"", v}})
}

func (m *metrics) counter(name, help string, v uint64) {
	m.family(name, "counter", help, []sample{{"", float64(v)}})
}

func (m *metrics) byLabel(name, help, label string, values map[string]uint64) {
	var samples []sample
	for _, k := range slices.Sorted(maps.Keys(values)) {
		samples = append(samples, sample{fmt.Sprintf("{%s=%s}", label, quoteLabel(k)), float64(values[k])})
	}
	m.family(name, "counter", help, samples)
}

// quoteLabel quotes a label's value: "\, double-quote and line feed … have to be escaped".
func quoteLabel(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}
