package security_test

import (
	"errors"
	"testing"
	"time"

	"peermesh/security"
)

func TestEntryValidity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		e     security.Entry
		valid bool
	}{
		{"no bounds", security.Entry{}, true},
		{"begins now", security.Entry{NotBefore: t0}, true},
		{"begins later", security.Entry{NotBefore: t0.Add(1)}, false},
		{"ends now", security.Entry{NotAfter: t0}, false},
		{"ends later", security.Entry{NotAfter: t0.Add(1)}, true},
		{"within", security.Entry{NotBefore: t0, NotAfter: t0.Add(1)}, true},
	} {
		if c.e.Valid(t0) != c.valid {
			t.Errorf("%s: %v", c.name, !c.valid)
		}
	}
}

func TestEntryErrors(t *testing.T) {
	t.Parallel()
	k := mustParse(t, groupHex)
	for name, e := range map[string]security.Entry{
		"no key":         {},
		"zero key":       {Key: new(security.Key)},
		"empty users":    {Key: k, Users: []string{}},
		"no name":        {Key: k, Users: []string{"Bob"}},
		"a name twice":   {Key: k, Users: []string{"bob", "bob"}},
		"no role":        {Key: k, Role: "a b"},
		"ends at year 0": {Key: k, NotAfter: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		"from 10000 on":  {Key: k, NotBefore: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -1))},
		"ends at start":  {Key: k, NotBefore: t0, NotAfter: t0},
	} {
		r := new(security.Keyring)
		if err := r.Add(e); !errors.Is(err, security.ErrEntry) || r.Len() != 0 {
			t.Errorf("Add, %s: %v", name, err)
		}
		if _, err := security.NewKeyring(e); !errors.Is(err, security.ErrEntry) {
			t.Errorf("NewKeyring, %s: %v", name, err)
		}
	}
	r := mustRing(t, security.Entry{Key: k})
	if err := r.Set([]security.Entry{{Key: mustParse(t, deviceHex)}, {Key: mustParse(t, deviceHex)}}); !errors.Is(err, security.ErrEntry) {
		t.Error(err)
	}
	if r.Len() != 1 || r.Entries()[0].Key.ID() != groupKid {
		t.Error("an error changed the ring")
	}
}

func TestKeyring(t *testing.T) {
	t.Parallel()
	var r security.Keyring
	if _, ok := r.Sending("bob", t0); ok || r.Len() != 0 || len(r.Entries()) != 0 || r.Remove(groupKid) {
		t.Error("the zero Keyring holds something")
	}
	if err := r.Use(groupKid); !errors.Is(err, security.ErrNoKey) {
		t.Error(err)
	}
	users := []string{"sensor-1", "bob"}
	old, next, dev, dev2 := mustParse(t, groupHex), mustParse(t, wildHex), mustParse(t, deviceHex), mustParse(t, futureHex)
	for _, e := range []security.Entry{
		{Key: old, Send: true}, {Key: next}, {Key: dev, Users: users, Send: true}, {Key: dev2, Users: []string{"bob", "sensor-1"}},
	} {
		if err := r.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	users[0] = "mallory"
	if r.Entries()[2].Users[0] != "sensor-1" {
		t.Error("Users is shared with the caller")
	}
	r.Entries()[2].Users[0] = "mallory"
	if r.Entries()[2].Users[0] != "sensor-1" {
		t.Error("Users is shared with a reader")
	}
	sending := func(own string) string {
		e, ok := r.Sending(own, t0)
		if !ok {
			return ""
		}
		return e.Key.ID()
	}
	if got := sending("bob"); got != dev.ID() {
		t.Errorf("bob sends with %s: the newest marked one that lists him", got)
	}
	if got := sending(""); got != old.ID() {
		t.Errorf("the group sends with %s", got)
	}
	if err := r.Use(next.ID()); err != nil || sending("") != next.ID() || sending("bob") != dev.ID() {
		t.Errorf("after Use of a group key: %v, %s, %s", err, sending(""), sending("bob"))
	}
	if err := r.Use(dev2.ID()); err != nil || sending("") != next.ID() || sending("bob") != dev2.ID() {
		t.Errorf("after Use of a device key: %v, %s, %s", err, sending(""), sending("bob"))
	}
	marked := 0
	for _, e := range r.Entries() {
		if e.Send {
			marked++
		}
	}
	if marked != 2 {
		t.Errorf("%d keys marked for sending, want one of each kind", marked)
	}
	if err := r.Add(security.Entry{Key: mustParse(t, wildHex), NotAfter: t0}); err != nil || r.Len() != 4 {
		t.Errorf("replacing an entry: %v, %d entries", err, r.Len())
	}
	if sending("") != "" {
		t.Error("sends with a key that is not marked")
	}
	if !r.Remove(old.ID()) || r.Len() != 3 || r.Remove(old.ID()) {
		t.Error("Remove")
	}
	e, ok := r.Sending("bob", t0)
	if !ok {
		t.Fatal("no key")
	}
	e.Users[0] = "mallory"
	if got, _ := r.Sending("bob", t0); got.Users[0] == "mallory" || got.Role != security.RoleMember {
		t.Errorf("%+v", got)
	}
}

func TestPairwisePrefersMarked(t *testing.T) {
	t.Parallel()
	users := []string{"cam", "bob"}
	a, b, c := mustParse(t, groupHex), mustParse(t, deviceHex), mustParse(t, wildHex)
	h := mustHMAC(t, security.HMACConfig{Name: "bob", Now: func() time.Time { return t0 }, Keys: mustRing(t,
		security.Entry{Key: a, Users: users}, security.Entry{Key: b, Users: users, Send: true}, security.Entry{Key: c, Users: users})})
	params, _, err := h.Seal(nil, security.Outgoing{To: "cam"}, nil)
	if err != nil || kidOf(t, params) != b.ID() {
		t.Errorf("%s, %v", params, err)
	}
}
