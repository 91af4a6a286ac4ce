package chromium_test

import (
	"context"
	"strings"
	"testing"

	"peermesh/api"
)

// TestPanes: each pane shows what it is for.
func TestPanes(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	origin, _, _ := strings.Cut(bench.site.Address(), "/#")
	b := visit(t, bench.site.Address())
	bench.talk(t, 6)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range snap.CallEach(ctx, bench.view, api.All, snapParams{ExposureMS: 30}) {
	}
	_, _ = fail.Call(ctx, bench.view, api.To("cam2"), api.None{})
	b.until(`document.querySelector('.row[data-kind=error]') !== null`)

	// A message in full.
	eval[bool](b, `document.querySelector('.row[data-kind=reply]:last-of-type, .row[data-kind=reply]').click() ?? true`)
	b.until(`document.querySelector('#drawer .split i') !== null && document.querySelector('#drawer .waterfall') !== null`)
	b.screenshots("drawer")
	b.key("Escape")
	b.until(`document.getElementById('drawer') === null`)
	b.show("timeline")
	b.until(`Number(document.getElementById('timeline').dataset.bars) > 3 && Number(document.getElementById('timeline').dataset.ticks) > 3`)
	b.screenshots("timeline")
	b.show("mesh")
	b.until(`document.querySelectorAll('.node').length === 3 && Number(document.querySelector('.edge').dataset.rate) > 0`)
	b.screenshots("mesh")
	b.click(`.node[data-node=cam1]`)
	b.until(`document.querySelector('[data-card=cam1]') !== null`)
	b.screenshots("card")
	b.show("rates")
	b.until(`document.querySelectorAll('#methods tbody tr').length >= 4`)
	b.until(`[...document.querySelectorAll('.plot [role=img]')].some((p) => /p50 [0-9.]+, p95 [0-9.]+/.test(p.ariaLabel))`) // a second is over
	b.screenshots("rates")
	b.show("call")
	b.until(`document.querySelector('.composer h2') !== null`)
	b.screenshots("call")
	b.show("doctor")
	b.until(`document.getElementById('findings').dataset.count === '4'`)
	b.screenshots("doctor")
	b.blameless(origin)
}
