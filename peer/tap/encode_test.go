package tap_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"peermesh/peer/tap"
)

// TestAppendJSON: each member alone, and all of them together, are read by encoding/json as what they were, and are
// written as it writes them.
func TestAppendJSON(t *testing.T) {
	var all tap.Sighting
	cases := []tap.Sighting{{}}
	for i := range reflect.TypeFor[tap.Sighting]().NumField() {
		var one tap.Sighting
		for _, s := range []*tap.Sighting{&one, &all} {
			switch f := reflect.ValueOf(s).Elem().Field(i); v := f.Addr().Interface().(type) {
			case *string:
				*v = "<a \"b\" \x01 ü>"
			case *int:
				*v = -32001
			case *int64:
				*v = 1_790_000_000_000_000
			case *uint64:
				*v = 1<<64 - 1
			case *bool:
				*v = true
			case *json.RawMessage:
				*v = json.RawMessage(`{"x":[1,"é"]}`)
			case *[]string:
				*v = []string{"lab.camera 1.2.0", "x \\ 1"}
			default:
				t.Fatalf("AppendJSON does not know the type of %s", f.Type())
			}
		}
		cases = append(cases, one)
	}
	for _, want := range append(cases, all) {
		text := want.AppendJSON(nil)
		var got tap.Sighting
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v", text, err, want)
		}
		var a, b map[string]json.RawMessage
		std, err := json.Marshal(want)
		if err != nil || json.Unmarshal(std, &a) != nil || json.Unmarshal(text, &b) != nil || len(a) != len(b) {
			t.Errorf("%s\n%s: %v", text, std, err)
		}
	}
}

// TestAppendJSONAllocations: where there is room, nothing is allocated.
func TestAppendJSONAllocations(t *testing.T) {
	s := tap.Sighting{N: 1, What: "sent", T: 1, Peer: "cam1", Seq: 5, Kind: "request", Method: "lab.camera.snap", ID: json.RawMessage("17"), Bytes: 99, Via: "tcp", Alg: "S-HS256"}
	room := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { s.AppendJSON(room) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
