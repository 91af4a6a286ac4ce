package security

import "time"

// LockFile locks a file as a change of a shared file does; calling free unlocks it.
func LockFile(path string) (free func() error, err error) {
	f, err := openLocked(path)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

// ParseKnownPeers reads the text of a file of known peers and writes it again.
func ParseKnownPeers(text []byte) (peers []KnownPeer, again []byte, err error) {
	s, err := parseKnownPeers(text)
	if err != nil {
		return nil, nil, err
	}
	return s.peers(""), s.format(), nil
}

// KnownPeersOf returns KnownPeers in memory that hold these peers.
func KnownPeersOf(peers []KnownPeer) *KnownPeers {
	k := &KnownPeers{now: time.Now}
	var lines []knownLine
	for _, p := range peers {
		lines = append(lines, knownLine{peer: p})
	}
	s, err := newKnownState(lines)
	if err != nil {
		panic(err)
	}
	k.state.Store(s)
	return k
}
