package chromium_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"peermesh/examples/internal/console"
)

// curve counts the columns of the canvas in which something has the colour of the line.
const curve = `(() => {
	const c = document.getElementById('plot'), [r, g, b] = getComputedStyle(c).color.match(/\d+/g).map(Number)
	const copy = Object.assign(document.createElement('canvas'), {width: c.width, height: c.height}).getContext('2d', {willReadFrequently: true})
	copy.drawImage(c, 0, 0)
	const {data, width} = copy.getImageData(0, 0, c.width, c.height)
	const found = new Set()
	for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 128 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 30) found.add(i / 4 % width)
	return found.size / width
})()`

// reading is what the page says of the spectrum that is drawn.
const reading = `document.getElementById('reading').textContent.match(/^(.+), spectrum (\d+): most at (.+) nm, (\d+) counts$/)`

// TestDashboard: the page of the dashboard draws what the spectrometers see, as they see it, and its slider calls them.
func TestDashboard(t *testing.T) {
	t.Parallel()
	browser := launch(t)
	home := console.NewHome(t)
	uv := home.Start("spectrometer", "-name", "uv", "-listen", "127.0.0.1:0", "-every", "20ms")
	uv.Listening()
	dash := home.Start("dashboard", "-page", "127.0.0.1:0")
	origin := strings.TrimSuffix(strings.TrimPrefix(dash.Expect(`open http://127\.0\.0\.1:\d+/`), "open "), "/")
	dash.Expect("joined uv")

	b := open(t, browser)
	b.do(chromedp.Navigate(origin + "/"))
	b.until(`document.getElementById('state').textContent === 'linked with uv'`)

	// It draws, and goes on.
	b.until(reading + `?.[1] === 'uv'`)
	b.until(curve + ` > 0.8`)
	drawn, seq := eval[string](b, `document.getElementById('plot').toDataURL()`), eval[int](b, `Number(`+reading+`?.[2])`)
	b.until(fmt.Sprintf(`Number(%s?.[2]) >= %d`, reading, seq+20))
	if eval[string](b, `document.getElementById('plot').toDataURL()`) == drawn {
		t.Error("the plot is what it was 20 spectra ago")
	}
	b.screenshots("dashboard")

	// The slider.
	slide := func(ms int) {
		t.Helper()
		eval[bool](b, fmt.Sprintf(`(() => { const e = document.getElementById('ms'); e.value = %d; return e.dispatchEvent(new Event('input')) && e.dispatchEvent(new Event('change')) })()`, ms))
	}
	before := eval[int](b, `Number(`+reading+`?.[4])`)
	slide(80)
	uv.Expect(`exposure 80 ms, says dashboard`)
	b.until(fmt.Sprintf(`Number(%s?.[4]) > %d`, reading, 3*before))
	if got := b.text("#shown"); got != "80 ms" {
		t.Errorf("the slider says %s", got)
	}

	// Another one comes, and is looked at.
	ir := home.Start("spectrometer", "-name", "ir", "-listen", "127.0.0.1:0", "-every", "20ms")
	ir.Listening()
	b.until(`document.getElementById('state').textContent === 'linked with ir, uv' && document.getElementById('which').value === 'uv'`)
	b.do(chromedp.SetValue(chromedp.CSS("#which"), "ir"))
	eval[bool](b, `document.getElementById('which').dispatchEvent(new Event('change'))`)
	b.until(reading + `?.[1] === 'ir'`)
	slide(5)
	ir.Expect(`exposure 5 ms, says dashboard`)

	// They go.
	ir.Interrupt()
	b.until(`document.getElementById('state').textContent === 'linked with uv' && ` + reading + `?.[1] === 'uv'`)
	uv.Interrupt()
	b.until(`document.getElementById('state').textContent === 'no spectrometer is there yet' && document.getElementById('ms').disabled`)
	b.until(curve + ` === 0 && ` + reading + ` === null`)
	b.screenshots("nobody")
	if got := b.text("#said"); got != "" {
		t.Errorf("it says: %s", got)
	}

	logged, requests := b.noted()
	for _, url := range requests {
		if !strings.HasPrefix(url, origin+"/") {
			t.Errorf("a request to %s", url)
		}
	}
	if len(requests) < 7 {
		t.Errorf("there were only %q", requests)
	}
	for _, line := range logged {
		t.Errorf("in the console: %s", line)
	}

	// The program ends.
	dash.Interrupt()
	if code := dash.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	b.until(`document.getElementById('state').textContent === 'the program has ended, or is being looked for'`)
}
