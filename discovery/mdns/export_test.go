package mdns

import "time"

// SetTiming shortens what takes long: the time between looks at the interfaces, and how long a change has to last.
func (s *Source) SetTiming(poll, damp time.Duration) { s.time.poll, s.time.damp = poll, damp }
