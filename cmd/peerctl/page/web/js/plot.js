// A chart over time by uPlot, in the page's colours.
import { html, useRef, useEffect, useState } from './html.js'

const dark = matchMedia('(prefers-color-scheme: dark)')
const color = (name) => {
  const probe = document.createElement('i')
  probe.style.color = `var(--${name})`
  document.body.append(probe)
  const c = getComputedStyle(probe).color
  probe.remove()
  return c
}

const at = (t) => new Date(t * 1000).toTimeString().slice(0, 8)

// series: [{label, color, dash, width, fill, unit}]; data: [times, values…].
export function Plot({ title, series, data, format, height = 190 }) {
  const box = useRef()
  const plot = useRef()
  const [pointed, setAt] = useState(undefined) // the legend tells of the newest values, or of those that one points at
  const [scheme, setScheme] = useState(dark.matches)
  useEffect(() => {
    const on = () => setScheme(dark.matches)
    dark.addEventListener('change', on)
    return () => dark.removeEventListener('change', on)
  }, [])
  useEffect(() => {
    const axis = { stroke: color('dim'), grid: { stroke: color('edge'), width: 1 }, ticks: { stroke: color('edge') }, font: '11px system-ui' }
    const p = new window.uPlot({
      width: Math.max(200, box.current.clientWidth), height,
      legend: { show: false }, hooks: { setCursor: [(u) => setAt(u.cursor.idx ?? undefined)] }, cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, min, max) => [0, Math.max(max ?? 0, 1e-3) * 1.1] } },
      axes: [{ ...axis, values: (_, list) => list.map(at), space: 70 }, { ...axis, size: 64, values: (_, list) => list.map(format) }],
      series: [{}, ...series.map((s) => ({ label: s.label, stroke: color(s.color), width: s.width ?? 1.5, dash: s.dash, spanGaps: false, points: { show: s.points ?? false, size: 4 },
        fill: s.fill ? color(s.color).replace(/^rgb\((.*)\)$/, 'rgba($1, .12)') : undefined }))],
    }, data, box.current)
    plot.current = p
    const sizes = new ResizeObserver(() => { if (box.current) p.setSize({ width: Math.max(200, box.current.clientWidth), height }) })
    sizes.observe(box.current)
    return () => { sizes.disconnect(); p.destroy() }
  }, [scheme])
  useEffect(() => plot.current?.setData(data), [data])
  const idx = pointed ?? data[0].length - 1
  const text = series.map((s, i) => `${s.label} ${[...data[i + 1]].reverse().find((v) => v !== null) ?? '–'}`).join(', ')
  return html`<section class="card plot" aria-label=${title}><h3>${title}</h3><div ref=${box} role="img" aria-label=${`${title}: ${text}`} />
    <ul class="legend"><li>${at(data[0][idx] ?? data[0].at(-1))}</li>${series.map((s, i) => html`<li><i data-color=${s.color} data-dashed=${Boolean(s.dash)} />${s.label} <b>${format(data[i + 1][idx] ?? null)}</b></li>`)}</ul></section>`
}
