// The timeline: a lane for each peer, bars from question to answer, ticks for notifications. Drag to look closer.
import { html, signal, useRef, useEffect } from './html.js'
import { changed, shown, paused, pause, selected, mesh, filterText } from './state.js'
import { lanes, step } from './lanes.js'
import { micros } from './conversation.js'
import { clean, ms, clock } from './format.js'
import { Drawer } from './drawer.js'

const spans = [[1000, '1 s'], [5000, '5 s'], [20_000, '20 s'], [60_000, '1 min']]
const span = signal(5000)
const fixed = signal(undefined) // {from, to} that was dragged

const left = 110
const rowHigh = 15

// painter draws into a canvas, and tells what is where.
function painter(canvas) {
  const g = canvas.getContext('2d')
  const style = getComputedStyle(canvas)
  const probe = document.createElement('i')
  canvas.parentNode.append(probe)
  const color = (name) => { probe.style.color = `var(--${name})`; return getComputedStyle(probe).color }
  const colors = Object.fromEntries(['text', 'dim', 'edge', 'water', 'good', 'bad', 'note', 'rise'].map((n) => [n, color(n)]))
  probe.remove()
  return (rows, from, to, names, chosen, drag) => {
    const wide = canvas.clientWidth
    const layout = lanes(rows, from, to, names)
    const tops = new Map()
    let y = 26
    for (const l of layout.lanes) {
      tops.set(l.name, y)
      y += Math.max(2, l.levels) * rowHigh + 14
    }
    const high = Math.max(160, y + 6)
    const scale = devicePixelRatio
    if (canvas.width !== Math.round(wide * scale) || canvas.height !== Math.round(high * scale)) {
      canvas.width = Math.round(wide * scale)
      canvas.height = Math.round(high * scale)
      canvas.style.height = `${high}px`
    }
    g.setTransform(scale, 0, 0, scale, 0, 0)
    g.clearRect(0, 0, wide, high)
    g.font = `12px ${style.fontFamily}`
    g.textBaseline = 'middle'
    const x = (t) => left + ((t - from) / (to - from)) * (wide - left - 8)
    const d = step(to - from, Math.max(2, wide / 130))
    g.strokeStyle = colors.edge
    g.fillStyle = colors.dim
    for (let t = Math.ceil(from / d) * d; t <= to; t += d) {
      g.beginPath()
      g.moveTo(x(t), 18)
      g.lineTo(x(t), high)
      g.stroke()
      const text = d < 1000 ? clock(t) : clock(t).slice(0, 8)
      if (x(t) + 6 + g.measureText(text).width < wide) g.fillText(text, x(t) + 3, 10)
    }
    for (const l of layout.lanes) {
      const top = tops.get(l.name)
      g.fillStyle = colors.rise
      g.fillRect(left, top, wide - left, Math.max(2, l.levels) * rowHigh + 4)
      g.fillStyle = colors.text
      g.fillText(clean(l.name).slice(0, 14), 8, top + rowHigh)
    }
    const places = []
    g.save()
    g.beginPath()
    g.rect(left, 0, wide - left, high)
    g.clip()
    const sparse = layout.bars.length + layout.ticks.length < 150
    for (const b of layout.bars) {
      const top = tops.get(b.lane) + 2 + b.level * rowHigh
      const [x0, x1] = [x(b.start), Math.max(x(b.end), x(b.start) + 2)]
      const wrong = b.row.kind === 'error'
      g.fillStyle = wrong ? colors.bad : colors.good
      g.globalAlpha = chosen && b.row.seq !== chosen ? 0.55 : 0.9
      g.fillRect(x0, top, x1 - x0, rowHigh - 3)
      if (wrong) { // not by colour alone
        g.globalAlpha = 1
        g.fillText('✗', x1 + 2, top + 6)
      }
      if (sparse && tops.has(b.caller)) {
        g.strokeStyle = colors.dim
        g.globalAlpha = 0.5
        const from = tops.get(b.caller) + rowHigh
        for (const at of [x0, x1]) {
          g.beginPath()
          g.moveTo(at, from)
          g.lineTo(at, top + 6)
          g.stroke()
        }
      }
      places.push({ seq: b.row.seq, x0: x0 - 2, x1: x1 + 2, y0: top - 1, y1: top + rowHigh - 1, row: b.row })
    }
    for (const t of layout.ticks) {
      const top = tops.get(t.lane)
      const at = x(t.at)
      g.globalAlpha = chosen && t.row.seq !== chosen ? 0.5 : 1
      g.fillStyle = t.row.kind === 'security' ? colors.bad : t.row.kind === 'peer' ? colors.note : colors.water
      g.fillRect(at - 1, top, 2, 2 * rowHigh + 2)
      if (t.row.kind !== 'notify') g.fillText(t.row.kind === 'security' ? '!' : '±', at + 4, top + 6)
      if (sparse) {
        for (const name of t.to) {
          if (!tops.has(name)) continue
          g.globalAlpha *= 0.6
          g.beginPath()
          g.strokeStyle = colors.water
          g.setLineDash([2, 3])
          g.moveTo(at, top + rowHigh)
          g.lineTo(at, tops.get(name) + rowHigh)
          g.stroke()
          g.setLineDash([])
          g.beginPath()
          g.arc(at, tops.get(name) + rowHigh, 2.5, 0, 7)
          g.fill()
        }
      }
      places.push({ seq: t.row.seq, x0: at - 4, x1: at + 4, y0: top, y1: top + 2 * rowHigh, row: t.row })
    }
    g.globalAlpha = 1
    const on = places.find((p) => p.seq === chosen)
    if (on) {
      g.strokeStyle = colors.text
      g.lineWidth = 2
      g.strokeRect(on.x0, on.y0, on.x1 - on.x0, on.y1 - on.y0)
      g.lineWidth = 1
    }
    if (drag) {
      g.fillStyle = colors.water
      g.globalAlpha = 0.2
      g.fillRect(drag[0], 18, drag[1] - drag[0], high)
      g.globalAlpha = 1
    }
    g.restore()
    canvas.dataset.bars = layout.bars.length
    canvas.dataset.ticks = layout.ticks.length
    canvas.dataset.lanes = layout.lanes.map((l) => l.name).join(' ')
    return { places, time: (px) => from + ((px - left) / (wide - left - 8)) * (to - from) }
  }
}

function Canvas() {
  const canvas = useRef()
  const drawn = useRef()
  const drag = useRef()
  useEffect(() => {
    let paint = painter(canvas.current)
    let frame = 0
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const repaint = () => { paint = painter(canvas.current) }
    dark.addEventListener('change', repaint)
    let last = 0
    const draw = (now) => {
      frame = requestAnimationFrame(draw)
      if (now - last < 66) return // 15 a second are enough
      last = now
      const rows = shown()
      const newest = paused.value && rows.length ? micros(rows.at(-1).t) / 1000 : Date.now()
      const { from, to } = fixed.value ?? { from: newest - span.value, to: newest }
      drawn.current = paint(rows, from, to, mesh.value.peers.slice(0, 30).map((p) => p.name), selected.value, drag.current)
    }
    frame = requestAnimationFrame(draw)
    return () => { cancelAnimationFrame(frame); dark.removeEventListener('change', repaint) }
  }, [])
  const hit = (e) => {
    const [px, py] = [e.offsetX, e.offsetY]
    const near = (p) => Math.hypot(Math.max(p.x0 - px, 0, px - p.x1), Math.max(p.y0 - py, 0, py - p.y1))
    return drawn.current?.places.filter((p) => near(p) < 6).sort((a, b) => near(a) - near(b))[0]
  }
  const down = (e) => { if (e.offsetX > left) { drag.current = [e.offsetX, e.offsetX]; canvas.current.setPointerCapture(e.pointerId) } }
  const move = (e) => {
    if (drag.current) drag.current[1] = e.offsetX
    const p = hit(e)
    canvas.current.title = p ? `${p.row.method ?? p.row.event} ${p.row.ms ? ms(p.row.ms) : ''}` : ''
  }
  const up = (e) => {
    const d = drag.current
    drag.current = undefined
    if (d && Math.abs(d[1] - d[0]) > 8) {
      const [a, b] = [Math.min(...d), Math.max(...d)].map(drawn.current.time)
      fixed.value = { from: a, to: Math.max(b, a + 0.05) }
    } else {
      selected.value = hit(e)?.seq ?? 0
    }
  }
  return html`<canvas id="timeline" ref=${canvas} role="img" aria-label="Who spoke when: a lane for each peer; the list under Traffic has the same as text" onPointerDown=${down} onPointerMove=${move} onPointerUp=${up} />`
}

export function Timeline() {
  changed.value
  return html`<div class="traffic" data-open=${selected.value > 0}><section class="pane" aria-label="Timeline">
    <div class="bar flat"><span class="spans" role="group" aria-label="How much time">${spans.map(([n, text]) => html`<button class="small" aria-pressed=${!fixed.value && span.value === n} onClick=${() => { span.value = n; fixed.value = undefined }}>${text}</button>`)}
      ${fixed.value && html`<button class="small" id="live" onClick=${() => { fixed.value = undefined }}>back to now</button>`}</span>
      <button id="pause" class="small" aria-pressed=${Boolean(paused.value)} onClick=${pause}>${paused.value ? 'Go on' : 'Pause'}</button>
      ${filterText.value && html`<span class="dim">filter: <code>${filterText.value}</code></span>`}</div>
    <div class="card"><${Canvas} /></div>
    <p class="dim keyline"><span><i class="bar-key" /> question to answer, at the peer that answers</span> <span><i class="bar-key wrong" /> ✗ failed</span> <span><i class="tick-key" /> notification</span> <span>± who came or went</span> Drag to look closer, click for a message.</p>
    </section><${Drawer} /></div>`
}
