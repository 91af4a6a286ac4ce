package security_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"peermesh/security"
)

func sameEntries(a, b []security.Entry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if !x.Key.Equal(y.Key) || !x.NotBefore.Equal(y.NotBefore) || !x.NotAfter.Equal(y.NotAfter) {
			return false
		}
		x.Key, y.Key = nil, nil
		x.NotBefore, y.NotBefore, x.NotAfter, y.NotAfter = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if !reflect.DeepEqual(x, y) {
			return false
		}
	}
	return true
}

func TestKeyFileRoundTrip(t *testing.T) {
	t.Parallel()
	entries := []security.Entry{
		{Key: mustParse(t, groupHex), Role: security.RoleMember, Send: true},
		{Key: mustParse(t, deviceHex), Role: security.RoleGuest, Users: []string{"sensor-1", "bob"}, NotBefore: t0, NotAfter: t0.Add(time.Hour + 1)},
		{Key: mustParse(t, wildHex), Role: "op", WildcardCalls: true, NotAfter: t0.In(time.FixedZone("x", 3600))},
	}
	text, err := security.FormatKeyFile(entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{string(text), strings.ReplaceAll(string(text), "\n", "\r\n"), strings.TrimSuffix(string(text), "\n")} {
		got, err := security.ParseKeyFile([]byte(form))
		if err != nil || !sameEntries(got, entries) {
			t.Errorf("%+v, %v\n%s", got, err, form)
		}
	}
	want := "peermesh-keys 1\n" +
		"kid=cf6785d9 key=" + groupHex + " role=member send\n" +
		"kid=86913cf4 key=" + deviceHex + " users=sensor-1,bob role=guest nbf=2026-01-01T00:00:00Z exp=2026-01-01T01:00:00.000000001Z\n"
	if !strings.Contains(string(text), want) {
		t.Errorf("%s", text)
	}
	for _, line := range strings.Split(string(text[:strings.Index(string(text), "peermesh-keys")]), "\n") {
		if line != "" && line[0] != '#' {
			t.Errorf("%q is no comment", line)
		}
	}
}

func TestKeyFileBare(t *testing.T) {
	t.Parallel()
	for _, text := range []string{groupHex, groupHex + "\n", "\n " + strings.ToUpper(groupHex) + "\r\n\n"} {
		got, err := security.ParseKeyFile([]byte(text))
		if err != nil || !sameEntries(got, []security.Entry{{Key: mustParse(t, groupHex), Role: security.RoleMember, Send: true}}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestKeyFileErrors(t *testing.T) {
	t.Parallel()
	const v = "peermesh-keys 1\n"
	const k = "key=" + groupHex
	canary := strings.Repeat("canary!", 9) + "x" // 64 characters
	for name, c := range map[string]struct {
		text string
		line int
		says string
		is   error
	}{
		"empty":             {"", 0, "no key", nil},
		"comments":          {"# x\n\n", 0, "no key", nil},
		"no entries":        {v, 0, "no key", nil},
		"too large":         {strings.Repeat("#\n", 40000), 0, "larger", nil},
		"no version":        {k, 1, "version 1", nil},
		"other version":     {"# x\npeermesh-keys 2\n" + k, 2, "version 1", nil},
		"version twice":     {v + v, 2, "none of", nil},
		"bare, no digits":   {canary, 1, "64", security.ErrKeyForm},
		"bare, zeros":       {strings.Repeat("0", 64), 1, "zeros", security.ErrKeyWeak},
		"two bare keys":     {groupHex + "\n" + deviceHex, 1, "version 1", nil},
		"no digits":         {v + "key=" + canary, 2, "64", security.ErrKeyForm},
		"short key":         {v + "\n# x\nkey=00", 4, "64", security.ErrKeyForm},
		"zeros":             {v + "key=" + strings.Repeat("0", 64), 2, "zeros", security.ErrKeyWeak},
		"key without =":     {v + "key", 2, "64", security.ErrKeyForm},
		"no key":            {v + "kid=cf6785d9", 2, "key= is missing", nil},
		"other kid":         {v + "kid=00000000 " + k, 2, "kid", nil},
		"empty kid":         {v + "kid= " + k, 2, "kid", nil},
		"key twice":         {v + k + " " + k, 2, "twice", nil},
		"send twice":        {v + k + " send send", 2, "twice", nil},
		"same key again":    {v + k + "\n" + k, 3, "twice", security.ErrEntry},
		"unknown word":      {v + k + " canary=1", 2, "none of", nil},
		"a stray key":       {v + k + " " + canary, 2, "none of", nil},
		"send=1":            {v + k + " send=1", 2, "no value", nil},
		"wildcard_calls=":   {v + k + " wildcard_calls=", 2, "no value", nil},
		"bad time":          {v + k + " nbf=canary", 2, "nbf", nil},
		"zero time":         {v + k + " exp=0001-01-01T00:00:00Z", 2, "exp", nil},
		"ends first":        {v + k + " nbf=2026-01-01T00:00:01Z exp=2026-01-01T00:00:00Z", 2, "nbf", security.ErrEntry},
		"users empty":       {v + k + " users=", 2, "users", security.ErrEntry},
		"users no name":     {v + k + " users=a,Canary", 2, "users", security.ErrEntry},
		"users space":       {v + k + " users=a, b", 2, "none of", nil},
		"role empty":        {v + k + " role=", 2, "role", security.ErrEntry},
		"role no name":      {v + k + " role=Canary", 2, "role", security.ErrEntry},
		"comment in a line": {v + k + " # x", 2, "none of", nil},
	} {
		got, err := security.ParseKeyFile([]byte(c.text))
		var e *security.KeyFileError
		if got != nil || !errors.As(err, &e) || e.Line != c.line || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) || c.is == nil && e.Unwrap() != nil {
			t.Errorf("%s: wraps %v", name, e.Unwrap())
		}
		if strings.Contains(strings.ToLower(err.Error()), "canary") || strings.Contains(err.Error(), groupHex[:16]) {
			t.Errorf("%s: quotes the file: %v", name, err)
		}
	}
}

func TestFormatKeyFileErrors(t *testing.T) {
	t.Parallel()
	if _, err := security.FormatKeyFile([]security.Entry{{}}); !errors.Is(err, security.ErrEntry) {
		t.Error(err)
	}
	var e *security.KeyFileError
	if _, err := security.FormatKeyFile(nil); !errors.As(err, &e) {
		t.Error(err)
	}
	var many []security.Entry
	for i := range 1000 {
		many = append(many, security.Entry{Key: mustParse(t, fmt.Sprintf("%064x", i+1))})
	}
	if _, err := security.FormatKeyFile(many); !errors.As(err, &e) {
		t.Error(err)
	}
	if err := security.CreateKeyFile(filepath.Join(t.TempDir(), "x"), nil); !errors.As(err, &e) {
		t.Error(err)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lab.key")
	one := []security.Entry{{Key: mustParse(t, groupHex), Role: security.RoleMember, Send: true}}
	two := []security.Entry{{Key: mustParse(t, deviceHex), Role: security.RoleMember, Send: true}}
	if _, err := security.ReadKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if err := security.CreateKeyFile(path, one); err != nil {
		t.Fatal(err)
	}
	if err := security.CreateKeyFile(path, two); !errors.Is(err, fs.ErrExist) {
		t.Errorf("created twice: %v", err)
	}
	if got, err := security.ReadKeyFile(path); err != nil || !sameEntries(got, one) {
		t.Errorf("%+v, %v", got, err)
	}
	if err := security.ReplaceKeyFile(path, two); err != nil {
		t.Fatal(err)
	}
	if got, err := security.ReadKeyFile(path); err != nil || !sameEntries(got, two) {
		t.Errorf("%+v, %v", got, err)
	}
	fresh := filepath.Join(filepath.Dir(path), "fresh.key")
	if err := security.ReplaceKeyFile(fresh, one); err != nil {
		t.Errorf("replaced nothing: %v", err)
	}
	for text, want := range map[string]string{"# none": path, strings.Repeat("#\n", 40000): "larger"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := security.ReadKeyFile(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	}
	if _, err := security.ReadKeyFile(filepath.Dir(path)); err == nil {
		t.Error("read a folder")
	}
	for _, f := range []func(string, []security.Entry) error{security.CreateKeyFile, security.ReplaceKeyFile} {
		if err := f(filepath.Join(path, "x", "lab.key"), one); err == nil {
			t.Error("wrote below a file")
		}
	}
}

// FuzzKeyFile: what is read can be written and read again, and no error quotes a line.
func FuzzKeyFile(f *testing.F) {
	f.Add([]byte(groupHex))
	f.Add([]byte("peermesh-keys 1\nkid=cf6785d9 key=" + groupHex + " role=member send\n"))
	f.Add([]byte("peermesh-keys 1\nkey=" + deviceHex + " users=sensor-1,bob role=op nbf=2026-01-01T00:00:00Z exp=2027-01-01T00:00:00.5+01:00 wildcard_calls\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := security.ParseKeyFile(text)
		if err != nil {
			var e *security.KeyFileError
			if !errors.As(err, &e) || entries != nil {
				t.Fatalf("%T", err)
			}
			for word := range strings.FieldsSeq(string(text)) {
				if len(word) >= 20 && strings.Contains(err.Error(), word) {
					t.Fatalf("quoted: %v", err)
				}
			}
			return
		}
		if _, err := security.NewKeyring(entries...); err != nil {
			t.Fatalf("read, but of no use: %v", err)
		}
		again, err := security.FormatKeyFile(entries)
		var tooLarge *security.KeyFileError
		if errors.As(err, &tooLarge) {
			return // written out it is longer
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := security.ParseKeyFile(again)
		if err != nil || !sameEntries(got, entries) {
			t.Fatalf("%v\n%s", err, again)
		}
	})
}
