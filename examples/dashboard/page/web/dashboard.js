// The page of the dashboard. What comes is drawn, or shown as text; none of it becomes HTML.
const $ = (id) => document.getElementById(id)
const latest = new Map() // spectra by the name of who measured them
let dirty = false
let high = 0 // the top of the plot

// scale returns the top for a spectrum: the one before where that does, so that the plot does not shake.
const scale = (most) => {
  if (most <= high && most > high / 2) return high
  const step = 10 ** Math.floor(Math.log10(1.2 * most)) / 2
  return Math.ceil(1.2 * most / step) * step
}

// plot draws a spectrum with its axes; without one it leaves nothing. How large the canvas is is asked each time, for
// windows change.
const plot = (s) => {
  const canvas = $('plot'), ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight
  canvas.width = width * ratio
  canvas.height = height * ratio
  if (!s) return
  const pen = canvas.getContext('2d'), style = getComputedStyle(canvas)
  pen.scale(ratio, ratio)
  pen.font = `12px ${style.fontFamily}`
  const left = 44, right = 8, top = 8, bottom = 24
  high = scale(Math.max(10, ...s.counts))
  const end = s.from + s.step * (s.counts.length - 1)
  const x = (nm) => left + (width - left - right) * (nm - s.from) / (end - s.from)
  const y = (count) => height - bottom - (height - top - bottom) * count / high
  const dim = getComputedStyle($('reading')).color
  pen.strokeStyle = pen.fillStyle = dim
  pen.globalAlpha = 0.9
  pen.lineWidth = 0.5
  pen.textAlign = 'right'
  const step = 10 ** Math.floor(Math.log10(high)) / (high / 10 ** Math.floor(Math.log10(high)) < 3 ? 2 : 1)
  pen.beginPath()
  for (let count = 0; count <= high; count += step) {
    pen.fillText(count, left - 6, y(count) + 4)
    pen.moveTo(left, y(count))
    pen.lineTo(width - right, y(count))
  }
  pen.textAlign = 'center'
  const every = width < 500 ? 100 : 50
  for (let nm = Math.ceil(s.from / every) * every; nm <= end; nm += every) pen.fillText(`${nm} nm`, Math.min(x(nm), width - 24), height - 6)
  pen.stroke()
  pen.globalAlpha = 1
  pen.strokeStyle = style.color
  pen.lineWidth = 1.5
  pen.lineJoin = 'round'
  pen.beginPath()
  s.counts.forEach((count, i) => pen.lineTo(x(s.from + s.step * i), y(count)))
  pen.stroke()
}

const draw = () => {
  dirty = false
  const s = latest.get($('which').value)
  plot(s)
  if (!s) {
    $('reading').textContent = 'nothing is measured here'
    return
  }
  const most = s.counts.indexOf(Math.max(...s.counts))
  $('reading').textContent = `${s.name}, spectrum ${s.seq}: most at ${(s.from + s.step * most).toFixed(1)} nm, ${s.counts[most]} counts`
}
const redraw = () => { if (!dirty) dirty = requestAnimationFrame(draw) > 0 }

const stream = new EventSource('events')
stream.onerror = () => { $('state').textContent = 'the program has ended, or is being looked for' }
stream.addEventListener('peers', ({ data }) => {
  const names = JSON.parse(data), shown = $('which').value
  $('which').replaceChildren(...names.map((name) => new Option(name, name, false, name === shown)))
  $('which').disabled = $('ms').disabled = names.length === 0
  $('state').textContent = names.length === 0 ? 'no spectrometer is there yet' : `linked with ${names.join(', ')}`
  for (const name of latest.keys()) if (!names.includes(name)) latest.delete(name)
  redraw()
})
stream.addEventListener('spectrum', ({ data }) => {
  const s = JSON.parse(data)
  latest.set(s.name, s)
  if (s.name === $('which').value) redraw()
})

$('which').onchange = redraw
onresize = redraw
matchMedia('(prefers-color-scheme: dark)').onchange = redraw
$('form').onsubmit = (event) => event.preventDefault()
$('ms').oninput = () => { $('shown').textContent = `${$('ms').value} ms` }
$('ms').onchange = async () => {
  const answer = await fetch(`expose?to=${encodeURIComponent($('which').value)}`, { method: 'POST', body: JSON.stringify({ ms: $('ms').valueAsNumber }) })
    .catch((error) => new Response(error.message, { status: 599 }))
  $('said').textContent = answer.ok ? '' : await answer.text()
}
