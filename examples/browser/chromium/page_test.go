package chromium_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"peermesh/examples/internal/console"
)

const aLink = `open (http://127\.0\.0\.1:\d+/#\S+)`

// TestPage has the page do all that it can: it links, hears, calls and is called.
func TestPage(t *testing.T) {
	t.Parallel()
	browser := launch(t)
	home := console.NewHome(t)
	program := home.Start("browser", "-listen", "127.0.0.1:0", "-every", "50ms")
	peer := program.Listening()
	link := program.Expect(aLink)
	origin, _, _ := strings.Cut(link, "/#")

	b := open(t, browser)
	b.do(chromedp.Navigate(link))
	b.until(`document.body.dataset.link === 'linked'`)
	another := program.Expect(aLink)
	program.Expect(`\+ browser-1`)
	if got := b.text("#link"); got != "browser-1 at bath" {
		t.Errorf("it says: %s", got)
	}
	if url := eval[string](b, `location.href`); url != origin+"/" {
		t.Errorf("the address is still %s", url)
	}

	// It hears the readings.
	b.until(`document.getElementById('line').getAttribute('points').split(' ').length > 40`)
	b.until(fmt.Sprintf(`document.getElementById('celsius').textContent !== %q`, b.text("#celsius")))

	// Its button calls, and what comes back is shown.
	set := func(celsius string) {
		t.Helper()
		b.until(`!document.getElementById('set').disabled`)
		b.do(chromedp.SetValue(chromedp.CSS("#wanted"), celsius))
		b.click("#set")
	}
	noted := func(text string) {
		t.Helper()
		b.until(fmt.Sprintf(`document.querySelector('#log li').textContent.includes(%q)`, text))
	}
	set("40.5")
	noted("The bath holds 40.5 °C.")
	program.Expect(`40\.5 °C, says browser-1`)
	b.until(`document.getElementById('target').textContent === '40.5'`)
	set("99")
	noted("The bath says: invalid params")

	// It is called, in the middle of its own call, and a person answers.
	b.screenshots("page")
	set("80")
	b.until(`document.getElementById('ask').open`)
	if got := b.text("#question"); got != "Is the lid closed? 80 °C is hot." {
		t.Errorf("it asks: %s", got)
	}
	b.screenshots("asked")
	b.click(".yes")
	noted("The bath holds 80.0 °C.")
	program.Expect(`80 °C, says browser-1`)
	set("90")
	b.until(`document.getElementById('ask').open`)
	b.click(`button[value="No"]`)
	noted("The bath says: above 60 °C the lid must be closed.")

	// A second page is another peer. The first link is of no use to anybody.
	c := open(t, browser)
	c.do(chromedp.Navigate(another))
	c.until(`document.body.dataset.link === 'linked'`)
	program.Expect(`\+ browser-2`)
	d := open(t, browser)
	d.do(chromedp.Navigate(link))
	d.until(`document.body.dataset.link === 'ended'`)
	if got := d.text("#log"); !strings.Contains(got, "No link: this address was used") {
		t.Errorf("the used link: %s", got)
	}
	c.do(chromedp.Navigate("about:blank"))
	program.Expect(`- browser-2`)

	logged, requests := b.noted()
	for _, url := range requests {
		if !strings.HasPrefix(url, origin+"/") && url != "ws://"+peer+"/mesh" {
			t.Errorf("a request to %s", url)
		}
	}
	if len(requests) < 6 {
		t.Errorf("there were only %q", requests)
	}
	for _, line := range logged {
		t.Errorf("in the console: %s", line)
	}

	// The program ends.
	set("70")
	b.until(`document.getElementById('ask').open`)
	program.Interrupt()
	b.until(`document.body.dataset.link === 'ended' && !document.getElementById('ask').open`)
	b.screenshots("ended")
	if code := program.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
