package mdns

import (
	"errors"
	"fmt"
	"strings"
)

// DefaultService is the service type that peers of any mesh announce.
const DefaultService = "_peermesh._tcp"

// names are the DNS names of a service type, in lower case and fully qualified.
type names struct {
	service string // _peermesh._tcp.local.
	enum    string // _services._dns-sd._udp.local.
}

const domain = "local."

func newNames(service string) (names, error) {
	if service == "" {
		service = DefaultService
	}
	s := strings.ToLower(service)
	name, proto, ok := strings.Cut(s, ".")
	if !ok || proto != "_tcp" && proto != "_udp" {
		return names{}, fmt.Errorf("mdns: service %q is not of the form _name._tcp", service)
	}
	// RFC 6763, section 7: "no more than fifteen characters", letters, digits and hyphens, after the underscore.
	name, ok = strings.CutPrefix(name, "_")
	if !ok || name == "" || len(name) > 15 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return names{}, fmt.Errorf("mdns: service name in %q has to be an underscore and 1 to 15 of a-z, 0-9 and -", service)
	}
	return names{service: s + "." + domain, enum: "_services._dns-sd._udp." + domain}, nil
}

// instanceName is the fully qualified name of an instance of the service.
func (n names) instanceName(instance string) string { return instance + "." + n.service }

// instance takes an instance out of its fully qualified name. Instances of peers need no escapes, so a name that has
// one, or more than one label in front of the service, is nobody's.
func (n names) instance(name string) (string, bool) {
	s, ok := strings.CutSuffix(strings.ToLower(name), "."+n.service)
	if !ok || s == "" || len(s) > maxLabel || strings.ContainsAny(s, `.\`) {
		return "", false
	}
	return s, true
}

func (n names) isService(name string) bool { return strings.EqualFold(name, n.service) }
func (n names) isEnum(name string) bool    { return strings.EqualFold(name, n.enum) }

// Limits of what is announced and of what is read.
const (
	maxLabel    = 63   // bytes of a DNS label
	maxTXT      = 255  // bytes of a TXT string
	maxSend     = 1200 // bytes of a packet of ours
	maxPacket   = 9000 // RFC 6762, section 17: the most that a packet may have, headers included
	maxServices = 64   // instances of one packet that are looked at
	maxAddrs    = 16   // addresses of one record that are looked at
	maxAnnounce = 8    // addresses that we announce
)

var errTooLong = errors.New("mdns: what there is to announce is too long for a packet")
