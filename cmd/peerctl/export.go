package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/spf13/cobra"

	"peermesh/peer/tap"
)

func (a *app) exportCommand() *cobra.Command {
	var har, pcapng string
	var secrets bool
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write a recording in the form of other tools: HAR, pcapng",
		Long: `export writes a recording (watch --save FILE) as HAR, which browsers' developer tools open, or as pcapng, which Wireshark
and tshark open without any plug-in and filter by what is in the JSON:

  peerctl export run.jsonl --pcapng run.pcapng
  tshark -r run.pcapng -Y 'json.path_with_value contains "lab.camera"'

What schemas mark as writeOnly, and members whose names say that they are secret, are left out unless --secrets says
otherwise. The schemas are those of the mesh that runs here (peerctl join); without one, names alone tell. "-" is stdin,
and as an output stdout.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (har == "") == (pcapng == "") {
				return usageError("say --har FILE or --pcapng FILE")
			}
			var records []tap.Record
			if err := a.readRecording(args[0], func(r *tap.Record) bool {
				records = append(records, *r)
				return true
			}); err != nil {
				return err
			}
			if redact := a.redactor(cmd.Context(), secrets); redact != nil {
				for i := range records {
					redact.Record(&records[i])
				}
			}
			write, path := writeHAR, har
			if pcapng != "" {
				write, path = writePcapng, pcapng
			}
			out, err := a.createOutput(path)
			if err != nil {
				return err
			}
			return errors.Join(write(out, records), out.Close())
		},
	}
	cmd.Flags().StringVar(&har, "har", "", "write HAR 1.2 to this file")
	cmd.Flags().StringVar(&pcapng, "pcapng", "", "write pcapng to this file")
	cmd.Flags().BoolVar(&secrets, "secrets", false, "leave secrets in")
	return cmd
}

// messageOf makes the JSON-RPC message of a record again, as far as the record has it; nil for what is no message.
func messageOf(r *tap.Record) []byte {
	m := struct {
		JSONRPC string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id,omitempty"`
		Method  string          `json:"method,omitempty"`
		Params  json.RawMessage `json:"params,omitempty"`
		Result  json.RawMessage `json:"result,omitempty"`
		Error   any             `json:"error,omitempty"`
	}{JSONRPC: "2.0", ID: r.ID}
	switch r.Kind {
	case "request", "notify":
		m.Method, m.Params = r.Method, r.Params
	case "reply":
		if m.Result = r.Result; m.Result == nil {
			m.Result = json.RawMessage("null")
		}
	case "error":
		m.Error = struct {
			Code    int             `json:"code"`
			Message string          `json:"message"`
			Data    json.RawMessage `json:"data,omitempty"`
		}{r.Code, r.Message, r.Data}
	default:
		return nil
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil
	}
	return raw
}

// The parts of HAR 1.2 that are used. Messages stand in _webSocketMessages, as Chrome writes them: one entry for each
// two peers that talked.
type (
	harFile struct {
		Log harLog `json:"log"`
	}
	harLog struct {
		Version string     `json:"version"`
		Creator harCreator `json:"creator"`
		Entries []harEntry `json:"entries"`
	}
	harCreator struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	harEntry struct {
		Started  time.Time      `json:"startedDateTime"`
		Time     float64        `json:"time"`
		Request  map[string]any `json:"request"`
		Response map[string]any `json:"response"`
		Cache    struct{}       `json:"cache"`
		Timings  map[string]int `json:"timings"`
		Type     string         `json:"_resourceType"`
		Messages []harMessage   `json:"_webSocketMessages"`
	}
	harMessage struct {
		Type   string  `json:"type"` // send or receive, as seen by the first of the two
		Time   float64 `json:"time"` // seconds since 1970
		Opcode int     `json:"opcode"`
		Data   string  `json:"data"`
	}
)

func writeHAR(w io.Writer, records []tap.Record) error {
	har := harFile{harLog{Version: "1.2", Creator: harCreator{"peerctl", version}, Entries: []harEntry{}}}
	index := map[[2]string]int{}
	for i := range records {
		r := &records[i]
		text := messageOf(r)
		if text == nil {
			continue
		}
		for _, to := range r.To {
			pair, kind := [2]string{r.From, to}, "send"
			if k, ok := index[[2]string{to, r.From}]; ok {
				index[pair], kind = k, "receive"
			}
			k, ok := index[pair]
			if !ok {
				k = len(har.Log.Entries)
				index[pair] = k
				har.Log.Entries = append(har.Log.Entries, harEntry{Started: r.T, Type: "websocket", Timings: map[string]int{"send": 0, "wait": 0, "receive": 0},
					Request: map[string]any{"method": "GET", "url": "ws://" + to + "/mesh?from=" + r.From, "httpVersion": "HTTP/1.1", "cookies": []any{}, "headers": []any{},
						"queryString": []any{}, "headersSize": -1, "bodySize": 0},
					Response: map[string]any{"status": 101, "statusText": "Switching Protocols", "httpVersion": "HTTP/1.1", "cookies": []any{}, "headers": []any{},
						"content": map[string]any{"size": 0, "mimeType": "x-unknown"}, "redirectURL": "", "headersSize": -1, "bodySize": 0}})
			}
			e := &har.Log.Entries[k]
			if har.Log.Entries[k].Request["url"] != "ws://"+to+"/mesh?from="+r.From {
				kind = "receive"
			}
			e.Time = float64(r.T.Sub(e.Started).Microseconds()) / 1000
			e.Messages = append(e.Messages, harMessage{kind, float64(r.T.UnixMicro()) / 1e6, 1, string(text)})
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(har)
}

// Tags of Wireshark's exported PDUs (link type 252): what dissects the bytes, and whose they are.
const (
	linkUpperPDU = 252
	tagDissector = 12
	tagIPv4Src   = 20
	tagIPv4Dst   = 21
	tagPortType  = 24
	tagSrcPort   = 25
	tagDstPort   = 26
	portTCP      = 2
)

func writePcapng(w io.Writer, records []tap.Record) error {
	out, err := pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{Name: "peermesh", Comment: "messages of a mesh, as peerctl recorded them",
		LinkType: layers.LinkType(linkUpperPDU), TimestampResolution: 9}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "peerctl " + version}})
	if err != nil {
		return err
	}
	hosts := addressesOf(records)
	for i := range records {
		r := &records[i]
		text := messageOf(r)
		if text == nil {
			continue
		}
		for _, to := range r.To {
			var b bytes.Buffer
			tag := func(n int, value []byte) {
				_ = binary.Write(&b, binary.BigEndian, [2]uint16{uint16(n), uint16((len(value) + 3) / 4 * 4)}) // a buffer takes all
				b.Write(value)
				b.Write(make([]byte, (4-len(value)%4)%4))
			}
			from, dest := hosts[r.From], hosts[to]
			ip := func(a netip.AddrPort) []byte { v := a.Addr().As4(); return v[:] }
			number := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
			tag(tagDissector, []byte("json"))
			tag(tagIPv4Src, ip(from))
			tag(tagIPv4Dst, ip(dest))
			tag(tagPortType, number(portTCP))
			tag(tagSrcPort, number(uint32(from.Port())))
			tag(tagDstPort, number(uint32(dest.Port())))
			tag(0, nil)
			b.Write(text)
			comment := fmt.Sprintf("%s → %s %s %s", r.From, to, r.Kind, r.Method)
			if r.MS > 0 {
				comment += fmt.Sprintf(" %.3f ms (handler %.3f)", r.MS, r.HandlerMS)
			}
			info := gopacket.CaptureInfo{Timestamp: r.T, CaptureLength: b.Len(), Length: b.Len()}
			if err := out.WritePacketWithOptions(info, b.Bytes(), pcapgo.NgPacketOptions{Comments: []string{strings.TrimSpace(comment)}}); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// addressesOf gives each peer an address: the one that the recording tells, or one of 192.0.2.0/24, which belongs to
// nobody.
func addressesOf(records []tap.Record) map[string]netip.AddrPort {
	hosts := map[string]netip.AddrPort{}
	var names []string
	for i := range records {
		r := &records[i]
		for _, n := range append([]string{r.From, r.Peer}, r.To...) {
			if n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if r.Kind != "peer" || r.Address == "" {
			continue
		}
		if host, port, err := net.SplitHostPort(r.Address); err == nil {
			if a, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil && a.Addr().Unmap().Is4() {
				hosts[r.Peer] = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
			}
		}
	}
	for i, n := range names {
		if _, ok := hosts[n]; !ok {
			hosts[n] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 7117)
		}
	}
	return hosts
}
