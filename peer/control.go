package peer

type control struct{}

func (p *Peer) openControl() error  { return nil }
func (p *Peer) closeControl() error { return nil }
