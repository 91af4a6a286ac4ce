package security

import "time"

// InviteOf returns the text of an invite of these bytes, with a good checksum.
func InviteOf(body []byte) string {
	sum := inviteChecksum(body)
	return invitePrefix + peerIDs.EncodeToString(append(body[:len(body):len(body)], sum[:]...))
}

// SetInvitesClock gives a store of invites another clock.
func SetInvitesClock(s *Invites, now func() time.Time) { s.now = now }

// ParseInvites reads the text of a file of invites and writes it again.
func ParseInvites(text []byte) (again []byte, err error) {
	records, err := parseInvites(text)
	if err != nil {
		return nil, err
	}
	return formatInvites(records), nil
}
