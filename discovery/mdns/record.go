package mdns

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"peermesh/discovery"
)

// recordTTL is how long others may believe what we announce, in seconds.
const recordTTL = 120

// cacheFlush is the bit of the class that says: these are all the records of this name and type (RFC 6762, 10.2).
const cacheFlush = 1 << 15

// recordSet is what we announce. It is immutable: a change makes a new one.
type recordSet struct {
	self     discovery.Announcement
	instance string // label, lower case
	host     string // name that SRV points to
	enum     dns.RR
	ptr      dns.RR
	srv      dns.RR
	txt      dns.RR
	addrs    []dns.RR

	announcement []byte // packets, ready to send
	goodbye      []byte
	enumeration  []byte
}

// newRecordSet makes the records for an announcement that Announces; addrs are the addresses to announce, best first.
// It is an error if no address is left, or if something does not fit: such records would never get out of the server,
// which packs them only when it answers.
func newRecordSet(n names, self discovery.Announcement, addrs []netip.Addr, keys [][]byte) (*recordSet, error) {
	if err := self.Validate(); err != nil {
		return nil, err
	}
	list := make([]string, 0, len(addrs))
	for _, a := range addrs {
		list = append(list, a.WithZone("").String())
	}
	list = list[:min(len(list), maxAnnounce)]
	for len("a=")+len(strings.Join(list, ",")) > maxTXT {
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		return nil, errors.New("mdns: no address to announce")
	}
	addrs = addrs[:len(list)]

	claim := discovery.Claim{Addrs: strings.Join(list, ","), Boot: self.Boot, ID: self.ID, Port: self.Port, TLS: self.TLS}
	text := []string{"v=1", "id=" + self.ID, "boot=" + self.Boot}
	if len(keys) > 0 {
		text = append(text, "m="+discovery.Proof(keys[0], claim))
	}
	text = append(text, "a="+claim.Addrs)
	if self.TLS {
		text = append(text, "tls=1")
	}

	s := &recordSet{self: self, instance: self.Name + "-" + self.ID[:8], host: self.ID + "." + domain}
	for _, label := range []string{s.instance, self.ID} {
		if len(label) > maxLabel {
			return nil, fmt.Errorf("mdns: label %q has more than %d bytes", label, maxLabel)
		}
	}
	for _, t := range text {
		if len(t) > maxTXT {
			return nil, fmt.Errorf("mdns: TXT string %q has more than %d bytes", t, maxTXT)
		}
	}
	name := n.instanceName(s.instance)
	header := func(name string, rrtype, class uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: rrtype, Class: class, Ttl: recordTTL}
	}
	// PTR records are shared by all who have the service; the others are ours alone, so the flush bit goes there.
	s.enum = &dns.PTR{Hdr: header(n.enum, dns.TypePTR, dns.ClassINET), Ptr: n.service}
	s.ptr = &dns.PTR{Hdr: header(n.service, dns.TypePTR, dns.ClassINET), Ptr: name}
	s.srv = &dns.SRV{Hdr: header(name, dns.TypeSRV, dns.ClassINET|cacheFlush), Port: uint16(self.Port), Target: s.host}
	s.txt = &dns.TXT{Hdr: header(name, dns.TypeTXT, dns.ClassINET|cacheFlush), Txt: text}
	for _, a := range addrs {
		ip := net.IP(a.AsSlice())
		if a.Is4() {
			s.addrs = append(s.addrs, &dns.A{Hdr: header(s.host, dns.TypeA, dns.ClassINET|cacheFlush), A: ip})
		} else {
			s.addrs = append(s.addrs, &dns.AAAA{Hdr: header(s.host, dns.TypeAAAA, dns.ClassINET|cacheFlush), AAAA: ip})
		}
	}
	all := slices.Concat([]dns.RR{s.ptr, s.srv, s.txt}, s.addrs)
	bye := make([]dns.RR, len(all))
	for i, rr := range all {
		bye[i] = dns.Copy(rr)
		bye[i].Header().Ttl = 0
	}
	var err error
	for _, p := range []struct {
		to *[]byte
		rr []dns.RR
	}{{&s.announcement, all}, {&s.goodbye, bye}, {&s.enumeration, []dns.RR{s.enum}}} {
		if *p.to, err = packResponse(p.rr); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// same reports whether o announces the same.
func (s *recordSet) same(o *recordSet) bool { return bytes.Equal(s.announcement, o.announcement) }

func packResponse(rr []dns.RR) ([]byte, error) {
	m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true, Authoritative: true}, Compress: true, Answer: rr}
	b, err := m.Pack()
	if err != nil {
		return nil, fmt.Errorf("mdns: %w", err)
	}
	if len(b) > maxSend {
		return nil, errTooLong
	}
	return b, nil
}

// announced is what a peer says about itself, read from the records of one instance.
type announced struct {
	instance string
	id       string
	name     string
	boot     string
	addrs    []netip.Addr
	tls      bool
	port     int
	ttl      uint32 // seconds
	proof    string
	claim    discovery.Claim
}

// decode reads the records of an instance. They are unauthenticated: what has not exactly the form of a peer's records
// is refused, and nothing of it is repaired.
func (s *service) decode() (announced, error) {
	a := announced{instance: s.instance, port: int(s.port), ttl: s.ttl}
	seen := make(map[string]string, len(s.txt))
	for _, t := range s.txt {
		k, v, _ := strings.Cut(t, "=")
		// RFC 6763, 6.4: "If a client receives a TXT record containing the same key more than once, then the client
		// MUST silently ignore all but the first occurrence"; keys are case insensitive.
		if k = strings.ToLower(k); k != "" {
			if _, twice := seen[k]; !twice {
				seen[k] = v
			}
		}
	}
	a.id, a.boot, a.proof = seen["id"], seen["boot"], seen["m"]
	var ok bool
	switch {
	case seen["v"] != "1":
		return a, fmt.Errorf("mdns: version %q", seen["v"])
	case !discovery.ValidID(a.id):
		return a, errors.New("mdns: no peer id")
	case !discovery.ValidBoot(a.boot):
		return a, errors.New("mdns: no boot")
	case a.port == 0:
		return a, errors.New("mdns: no port")
	}
	switch seen["tls"] {
	case "", "0":
	case "1":
		a.tls = true
	default:
		return a, fmt.Errorf("mdns: tls=%s", seen["tls"])
	}
	if a.name, ok = strings.CutSuffix(s.instance, "-"+a.id[:8]); !ok || !discovery.ValidName(a.name) {
		return a, errors.New("mdns: the instance is not named after the peer")
	}
	list := strings.Split(seen["a"], ",")
	if len(list) > maxAddrs {
		return a, fmt.Errorf("mdns: %d addresses", len(list))
	}
	for _, t := range list {
		ip, err := netip.ParseAddr(t)
		if err != nil || ip.Zone() != "" {
			return a, fmt.Errorf("mdns: address %q", t)
		}
		a.addrs = append(a.addrs, ip.Unmap())
	}
	a.claim = discovery.Claim{Addrs: seen["a"], Boot: a.boot, ID: a.id, Port: a.port, TLS: a.tls}
	return a, nil
}

// dialable makes addresses to dial of announced ones. Loopback is good only for a peer on this host. Link-local IPv6
// addresses mean something on the interface alone that the record was heard on, and so get its name as their zone.
func (a announced) dialable(zones []string, sameHost bool) []string {
	port := strconv.Itoa(a.port)
	var out []string
	for _, ip := range a.addrs {
		switch {
		case ip.IsUnspecified(), ip.IsMulticast(), ip.IsLoopback() && !sameHost:
		case ip.Is6() && ip.IsLinkLocalUnicast():
			for _, z := range zones {
				out = append(out, net.JoinHostPort(ip.WithZone(z).String(), port))
			}
		default:
			out = append(out, net.JoinHostPort(ip.String(), port))
		}
	}
	return out
}
