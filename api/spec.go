package api

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
)

// Spec is one side's view of an API definition. Near is the side that the view belongs to, Far the other one; both are
// types of the caller's that serve as names. A Spec is a small comparable value and is safe to copy and share: all
// views of one Define share one definition. The zero Spec is of no use.
type Spec[Near, Far any] struct {
	def      *definition
	inverted bool
}

// definition is what all views share. It is written from the side that Define was called for: a method's Incoming is
// that side's.
type definition struct {
	name, version, doc string
	near, far          string // role names in lower case
	symmetric          bool

	mu      sync.Mutex // guards what follows, until frozen; afterwards nothing changes
	frozen  bool
	methods []*Method
	byName  map[string]*Method
	schemas *schemas
	docs    [2]Document // of both sides, once frozen
	hash    string
}

// What peers accept from each other.
const (
	maxAPIName  = 128
	maxRoleName = 64
)

var (
	apiName    = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	methodName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	bareName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)
)

// Define starts an API, written from the side of Near. Name is the prefix of the methods on the wire: letters, digits,
// - and _ in parts joined by dots, at most 128 bytes, not beginning with "rpc."; the empty name puts bare method names
// on the wire. Version is free text, by custom major.minor.patch. Near and Far are named types, called differently;
// their names in lower case tell the sides apart on the wire. Define panics on what breaks these rules: a definition is
// part of the program, and is best made in a package variable.
//
// When Near and Far are the same type the API is a mesh of equals: both sides handle and send every method.
func Define[Near, Far any](name, version, doc string) Spec[Near, Far] {
	if name != "" && !apiName.MatchString(name) || len(name) > maxAPIName {
		panic(fmt.Sprintf("api: %q is no API name: letters, digits, - and _, in parts joined by dots, at most %d bytes", name, maxAPIName))
	}
	if name == "rpc" || strings.HasPrefix(name, "rpc.") {
		panic(fmt.Sprintf("api: the name %q is reserved by JSON-RPC", name))
	}
	near, far := reflect.TypeFor[Near](), reflect.TypeFor[Far]()
	d := &definition{name: name, version: version, doc: doc, near: roleName(near), far: roleName(far),
		symmetric: near == far, byName: map[string]*Method{}, schemas: newSchemas()}
	if !d.symmetric && d.near == d.far {
		panic(fmt.Sprintf("api: the two roles of %q are both called %s", name, d.near))
	}
	return Spec[Near, Far]{def: d}
}

func roleName(t reflect.Type) string {
	if t.Name() == "" || strings.Contains(t.Name(), "[") || len(t.Name()) > maxRoleName {
		panic(fmt.Sprintf("api: the role %s has no plain name: declare a type such as `type Camera struct{}`", t))
	}
	return strings.ToLower(t.Name())
}

// Invert returns the same API as the other side sees it: what came in goes out. It copies and freezes nothing, and
// inverting twice gives back the very same value. A mesh of equals is its own inverse.
func (s Spec[Near, Far]) Invert() Spec[Far, Near] {
	return Spec[Far, Near]{def: s.def, inverted: !s.inverted && !s.def.symmetric}
}

// OpenRPC returns the document of this side. It freezes the definition. The document is shared: clone what you change.
func (s Spec[Near, Far]) OpenRPC() Document { return s.def.document(s.inverted) }

// freeze ends the time of definition. Afterwards nothing in d changes.
func (d *definition) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.frozen {
		return
	}
	d.frozen = true
	d.docs = [2]Document{d.describe(false), d.describe(true)}
	d.hash = d.docs[0].Hash()
}

func (d *definition) document(inverted bool) Document {
	d.freeze()
	if inverted {
		return d.docs[1]
	}
	return d.docs[0]
}

// handles reports whether the side handles m.
func (d *definition) handles(m *Method, inverted bool) bool {
	return d.symmetric || m.nearHandles != inverted
}

func (d *definition) side(inverted bool) (side, other string) {
	if inverted {
		return d.far, d.near
	}
	return d.near, d.far
}
