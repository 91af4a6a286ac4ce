package security

// SetRandom makes h take its nonces from fill, for vectors.
func SetRandom(h *HMAC, fill func([]byte)) { h.random = fill }

// MACKey returns the derived key that signs, for vectors.
func MACKey(k *Key) Secret { return k.mac }

// SetNonceBounds makes h's memory against replays small.
func SetNonceBounds(h *HMAC, all, each int) { h.nonces.max, h.nonces.each = all, each }
