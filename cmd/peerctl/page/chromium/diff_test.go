package chromium_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"peermesh/cmd/peerctl/page"
	"peermesh/peer/tap"
)

// TestDiff: what is new in a message is told of all of it, also where the list has but the beginning.
func TestDiff(t *testing.T) {
	t.Parallel()
	mesh := newFlood()
	site := serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }})
	origin, _, _ := strings.Cut(site.Address(), "/#")
	b := visit(t, site.Address())
	<-mesh.ready
	long := strings.Repeat("x", 5000)
	for _, params := range []string{`{"n":1,"text":"a"}`, `{"n":2,"text":"` + long + `"}`, `{"n":2,"text":"` + long + `y"}`, `{"n":2,"text":"` + long + `y"}`,
		`{"n":2,"text":"short","token":1}`, `{"n":2,"text":"short","token":2}`} {
		mesh.f(&tap.Record{T: time.Now().UTC(), Kind: "notify", Method: "lab.say", From: "cam1", To: []string{"desk"}, Params: json.RawMessage(params)})
	}
	b.until(count + ` === 6`)
	pick := func(seq int) {
		t.Helper()
		eval[bool](b, fmt.Sprintf(`(document.querySelector('.row[data-seq="%d"]').click(), true)`, seq))
		b.until(fmt.Sprintf(`document.getElementById('drawer').dataset.seq === '%d'`, seq))
	}
	const told = `document.querySelector('[aria-label="What is new"]').innerText`
	compare := func(seq int) {
		t.Helper()
		pick(seq)
		b.until(told + `.includes('not here in full')`)
		if n := eval[int](b, `document.querySelectorAll('.diff tr').length`); n != 0 {
			t.Errorf("%d differences of what is not here", n)
		}
		b.click("#compare")
	}
	compare(3)
	b.until(`document.querySelectorAll('.diff tr').length === 1 && document.querySelector('.diff th').textContent === 'text'`)
	if was, is := b.text(".diff del"), b.text(".diff ins"); was == is || !strings.HasSuffix(is, `xy"`) || len(was) > 100 {
		t.Errorf("%s is now %s", was, is)
	}
	compare(4)
	b.until(told + `.includes('nothing has changed')`)
	compare(2)
	b.until(`document.querySelectorAll('.diff tr').length === 2 && document.querySelectorAll('.diff del')[1].textContent === '"a"'`)
	b.screenshots("diff")
	pick(6)
	b.until(told + `.includes('nothing has changed') && ` + told + `.includes('Hidden values are not compared')`)
	b.blameless(origin)
}

// TestUnmeasured: the time to a peer that was not measured yet is not said to be none.
func TestUnmeasured(t *testing.T) {
	t.Parallel()
	mesh := newFlood()
	b := visit(t, serve(t, page.Config{Open: func(context.Context) (page.Mesh, error) { return mesh, nil }}).Address())
	b.show("mesh")
	b.until(`document.querySelector('tr[data-peer=cam1] td.n').textContent === '–'`)
	b.click(`.node[data-node=cam1]`)
	b.until(`document.querySelector('[data-card=cam1]') !== null`)
	facts := eval[map[string]string](b, `Object.fromEntries([...document.querySelectorAll('[data-card=cam1] dt')].map((e) => [e.textContent, e.nextSibling.textContent]))`)
	if facts["round trip"] != "–" || facts["clock"] != "–" {
		t.Errorf("the card says %v", facts)
	}
}
