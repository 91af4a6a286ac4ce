package chromium_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// visit opens a site in a tab and waits until it is linked.
func visit(t *testing.T, address string) *tab {
	t.Helper()
	b := open(t, launch(t))
	b.do(chromedp.Navigate(address))
	b.until(`document.body.dataset.ready === 'yes' && document.body.dataset.link === 'linked'`)
	return b
}

// blameless checks that nothing went wrong in the tab, and that it asked nobody else for anything.
func (b *tab) blameless(origin string) {
	b.t.Helper()
	logged, requests := b.noted()
	for _, url := range requests {
		if !strings.HasPrefix(url, origin+"/") && !strings.HasPrefix(url, "blob:"+origin) && !strings.HasPrefix(url, "data:") {
			b.t.Errorf("a request to %s", url)
		}
	}
	for _, line := range logged {
		b.t.Errorf("in the console: %s", line)
	}
}

func (b *tab) fill(selector, value string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.CSS(selector), value))
	eval[bool](b, fmt.Sprintf(`document.querySelector(%q).dispatchEvent(new Event('input', {bubbles: true}))`, selector))
}

const count = `Number(document.getElementById('list').dataset.count)`

// TestTraffic: the list fills, filters, pauses, and shows a message in full.
func TestTraffic(t *testing.T) {
	t.Parallel()
	bench := startBench(t)
	origin, _, _ := strings.Cut(bench.site.Address(), "/#")
	b := visit(t, bench.site.Address())
	if url := eval[string](b, `location.href`); strings.Contains(url, "#") && !strings.Contains(url, "#/") {
		t.Errorf("the address is still %s", url)
	}
	bench.talk(t, 6)
	b.until(count + ` >= 24`)
	b.until(`document.querySelector('.row[data-kind=reply] .ms').textContent.includes('ms')`)
	b.screenshots("traffic")
	b.blameless(origin)
}
