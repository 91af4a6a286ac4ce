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

// last has the legend say the newest values while nobody points at others.
const last = (p) => { if (!(p.cursor.left >= 0)) p.setLegend({ idx: p.data[0].length - 1 }) }

// series: [{label, color, dash, width, fill, unit}]; data: [times, values…].
export function Plot({ title, series, data, format, height = 190 }) {
  const box = useRef()
  const plot = useRef()
  const [scheme, setScheme] = useState(dark.matches)
  useEffect(() => {
    const on = () => setScheme(dark.matches)
    dark.addEventListener('change', on)
    return () => dark.removeEventListener('change', on)
  }, [])
  useEffect(() => {
    const at = (t) => new Date(t * 1000).toTimeString().slice(0, 8)
    const axis = { stroke: color('dim'), grid: { stroke: color('edge'), width: 1 }, ticks: { stroke: color('edge') }, font: '11px system-ui' }
    const p = new window.uPlot({
      width: Math.max(200, box.current.clientWidth), height,
      legend: { live: true }, cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: (_, min, max) => [0, Math.max(max ?? 0, 1e-3) * 1.1] } },
      axes: [{ ...axis, values: (_, list) => list.map(at), space: 70 }, { ...axis, size: 64, values: (_, list) => list.map(format) }],
      series: [{ label: 'time', value: (_, t) => (t ? at(t) : '–') }, ...series.map((s) => ({ label: s.label, stroke: color(s.color), width: s.width ?? 1.5, dash: s.dash, spanGaps: false, points: { show: s.points ?? false, size: 4 },
        fill: s.fill ? color(s.color).replace(/^rgb\((.*)\)$/, 'rgba($1, .12)') : undefined, value: (_, v) => (v === null || v === undefined ? '–' : format(v)) }))],
    }, data, box.current)
    plot.current = p
    last(p)
    const sizes = new ResizeObserver(() => { if (box.current) p.setSize({ width: Math.max(200, box.current.clientWidth), height }) })
    sizes.observe(box.current)
    return () => { sizes.disconnect(); p.destroy() }
  }, [scheme])
  useEffect(() => { if (plot.current) { plot.current.setData(data); last(plot.current) } }, [data])
  const text = series.map((s, i) => `${s.label} ${[...data[i + 1]].reverse().find((v) => v !== null) ?? '–'}`).join(', ')
  return html`<section class="card plot" aria-label=${title}><h3>${title}</h3><div ref=${box} role="img" aria-label=${`${title}: ${text}`} /></section>`
}
