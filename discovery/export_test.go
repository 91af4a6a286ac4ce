package discovery

import "net/netip"

// Rendering shows what a proof is computed over.
func Rendering(c Claim) []byte { return c.rendering() }

// SetSubnets says which subnets are ours, in place of those of the machine that runs the test.
func (s *Set) SetSubnets(prefixes ...string) {
	var own []netip.Prefix
	for _, p := range prefixes {
		own = append(own, netip.MustParsePrefix(p))
	}
	s.subnets = func() []netip.Prefix { return own }
}
