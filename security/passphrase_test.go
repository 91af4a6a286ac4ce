package security_test

import (
	"encoding/hex"
	"errors"
	"regexp"
	"testing"

	"peermesh/security"
)

func TestVectorsPassphrase(t *testing.T) {
	t.Parallel()
	want := loadVectors(t).Derived
	salt := security.PassphraseSalt("demo")
	if got := hex.EncodeToString(salt[:]); got != want["passphrase_salt"] {
		t.Errorf("salt %s, want %s", got, want["passphrase_salt"])
	}
	k, err := security.PassphraseKey("correct horse battery staple", "demo")
	if err != nil || k.Export() != want["passphrase_key"] || k.ID() != want["passphrase_kid"] {
		t.Errorf("%s, %v", k, err)
	}
	if mustParse(t, groupHex).ID() != want["group_kid"] || mustParse(t, deviceHex).ID() != want["device_kid"] {
		t.Error("kids")
	}
}

func TestPassphraseErrors(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "schlüssel", "a\n", "a\tb", "a\x7f"} {
		if k, err := security.PassphraseKey(p, "demo"); k != nil || !errors.Is(err, security.ErrPassphrase) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestGeneratePassphrase(t *testing.T) {
	t.Parallel()
	// From the proquint paper: 127.0.0.1 and 63.84.220.193.
	for n, want := range map[uint16]string{0x7f00: "lusab", 0x0001: "babad", 0x3f54: "gutih", 0xdcc1: "tugad"} {
		if got := security.Proquint(n); got != want {
			t.Errorf("%04x: %s, want %s", n, got, want)
		}
	}
	words := make(map[string]bool)
	for n := range 1 << 16 {
		words[security.Proquint(uint16(n))] = true
	}
	if len(words) != 1<<security.BitsPerWord {
		t.Errorf("%d words", len(words))
	}
	form := regexp.MustCompile(`^([a-z]{5}-){5}[a-z]{5}$`)
	a, err := security.GeneratePassphrase(6)
	b, _ := security.GeneratePassphrase(6)
	if err != nil || !form.MatchString(a) || a == b {
		t.Errorf("%s, %s, %v", a, b, err)
	}
	for _, n := range []int{-1, 0, 3, 17} {
		if _, err := security.GeneratePassphrase(n); err == nil {
			t.Errorf("%d words", n)
		}
	}
}
