package mdns

import (
	"errors"
	"time"

	"github.com/miekg/dns"
)

// message is what a packet says about our service; everything else in it has been dropped.
type message struct {
	query bool

	// Of a query.
	asks      asked
	unicast   bool           // all questions prefer an answer for the asker alone (RFC 6762, 5.4)
	truncated bool           // more known answers follow in another packet
	known     []knownService // answers that the asker has already

	// Of a response.
	services []*service
}

// asked is the set of names that a query asks for.
type asked uint8

const (
	asksService  asked = 1 << iota // who has the service
	asksEnum                       // which services there are
	asksInstance                   // records of one instance; see message.instances
	asksHost                       // addresses of a host
)

// empty reports whether the packet has nothing to do with us.
func (m *message) empty() bool {
	return m.asks == 0 && len(m.known) == 0 && len(m.services) == 0
}

// knownService is an instance that an asker knows of.
type knownService struct {
	instance string
	ttl      uint32
}

// service is what one packet says about one instance.
type service struct {
	instance               string
	hasPTR, hasSRV, hasTXT bool
	port                   uint16
	txt                    []string
	ttl                    uint32 // the least of all records
	gone                   bool   // a record with a TTL of 0 was among them: goodbye
}

// complete reports whether there is enough to read a peer's announcement.
func (s *service) complete() bool { return s.hasSRV && s.hasTXT }

var errPacket = errors.New("mdns: malformed packet")

// parse reads a packet as far as it is about our service. ours is the record set that queries may ask for, or nil.
// Packets about something else are no error but empty; those that no implementation of DNS sends are an error.
func parse(b []byte, n names, ours *recordSet) (*message, error) {
	m := &message{}
	if len(b) < 12 || len(b) > maxPacket {
		return nil, errPacket
	}
	// RFC 6762, 18.3: "Multicast DNS messages received with an OPCODE other than zero MUST be silently ignored", and
	// 18.11 says the same of response codes.
	if b[2]>>3&0xf != 0 || b[3]&0xf != 0 {
		return m, nil
	}
	var d dns.Msg
	if err := d.Unpack(b); err != nil {
		return nil, errPacket
	}
	if d.Response {
		m.readResponse(&d, n)
	} else {
		m.readQuery(&d, n, ours)
	}
	return m, nil
}

func (m *message) readQuery(d *dns.Msg, n names, ours *recordSet) {
	m.query = true
	m.truncated = d.Truncated
	m.unicast = true
	for _, q := range d.Question {
		if class := q.Qclass &^ cacheFlush; class != dns.ClassINET && class != dns.ClassANY {
			continue
		}
		var a asked
		switch {
		case n.isService(q.Name):
			a = askedIf(q.Qtype, asksService, dns.TypePTR)
		case n.isEnum(q.Name):
			a = askedIf(q.Qtype, asksEnum, dns.TypePTR)
		case ours != nil && isName(q.Name, n.instanceName(ours.instance)):
			a = askedIf(q.Qtype, asksInstance, dns.TypeSRV, dns.TypeTXT)
		case ours != nil && isName(q.Name, ours.host):
			a = askedIf(q.Qtype, asksHost, dns.TypeA, dns.TypeAAAA)
		}
		if a != 0 {
			m.asks |= a
			m.unicast = m.unicast && q.Qclass&cacheFlush != 0
		}
	}
	// Known answers say what the asker believes, not what is so: they count for suppression only, never as news.
	for _, rr := range d.Answer {
		p, ok := rr.(*dns.PTR)
		if !ok || !n.isService(p.Hdr.Name) || len(m.known) >= maxServices {
			continue
		}
		if i, ok := n.instance(p.Ptr); ok {
			m.known = append(m.known, knownService{i, p.Hdr.Ttl})
		}
	}
}

func askedIf(got uint16, a asked, types ...uint16) asked {
	if got == dns.TypeANY {
		return a
	}
	for _, t := range types {
		if got == t {
			return a
		}
	}
	return 0
}

func (m *message) readResponse(d *dns.Msg, n names) {
	byName := make(map[string]*service)
	get := func(name string, ttl uint32) *service {
		instance, ok := n.instance(name)
		if !ok {
			return nil
		}
		s := byName[instance]
		if s == nil {
			if len(byName) >= maxServices {
				return nil
			}
			s = &service{instance: instance, ttl: ttl}
			byName[instance] = s
			m.services = append(m.services, s)
		}
		s.ttl = min(s.ttl, ttl)
		s.gone = s.gone || ttl == 0
		return s
	}
	for _, section := range [][]dns.RR{d.Answer, d.Extra} {
		for _, rr := range section {
			h := rr.Header()
			if h.Class&^cacheFlush != dns.ClassINET {
				continue
			}
			switch rr := rr.(type) {
			case *dns.PTR:
				if n.isService(h.Name) {
					if s := get(rr.Ptr, h.Ttl); s != nil {
						s.hasPTR = true
					}
				}
			case *dns.SRV:
				if s := get(h.Name, h.Ttl); s != nil {
					s.hasSRV, s.port = true, rr.Port
				}
			case *dns.TXT:
				if s := get(h.Name, h.Ttl); s != nil && len(rr.Txt) <= 64 {
					s.hasTXT, s.txt = true, rr.Txt
				}
			}
		}
	}
}

// packQuery makes a query for the service. Of the known answers those that fit into one packet are listed; the peers
// that are not listed answer once more, which costs them a packet and nobody the truth.
func packQuery(n names, known []knownService) ([]byte, error) {
	d := dns.Msg{Compress: true}
	d.Question = []dns.Question{{Name: n.service, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}
	size := d.Len()
	for _, k := range known {
		// A compressed name, type, class, TTL and length take 12 bytes, the instance its length and 3.
		if size += 15 + len(k.instance); size > maxSend {
			break
		}
		d.Answer = append(d.Answer, &dns.PTR{
			Hdr: dns.RR_Header{Name: n.service, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: k.ttl},
			Ptr: n.instanceName(k.instance),
		})
	}
	return d.Pack()
}

// packInstanceQuery asks for the records of one instance of which only the name was heard.
func packInstanceQuery(n names, instance string) ([]byte, error) {
	d := dns.Msg{Compress: true}
	name := n.instanceName(instance)
	d.Question = []dns.Question{
		{Name: name, Qtype: dns.TypeSRV, Qclass: dns.ClassINET},
		{Name: name, Qtype: dns.TypeTXT, Qclass: dns.ClassINET},
	}
	return d.Pack()
}

// seconds turns a TTL from the wire into a duration that is good for a table: nobody stays for longer than 75 minutes
// without being heard of.
func seconds(ttl uint32) time.Duration {
	return time.Duration(min(max(ttl, 1), 4500)) * time.Second
}
