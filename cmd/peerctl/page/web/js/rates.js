// How much is said and how long answers take: over time, and by method and peer.
import { html, signal, computed } from './html.js'
import { status, filterText, go } from './state.js'
import { Plot } from './plot.js'
import { sorted } from './sort.js'
import { ms, rate, clean } from './format.js'
import { size } from './json.js'

const order = signal({ column: 'rate', up: false })
const length = signal(120)

const columns = [['method', 'Method'], ['peer', 'Peer'], ['rate', 'Msg/s', rate], ['p50', 'p50', ms], ['p95', 'p95', ms], ['p99', 'p99', ms], ['errors', 'Errors', String], ['share', 'of calls', (v) => (v === null ? '–' : `${(100 * v).toFixed(1)} %`)], ['bytes', 'Bytes/s', (v) => size(Math.round(v))]]

const series = computed(() => {
  const r = status.value.rates
  if (!r) return undefined
  const n = Math.min(length.value, r.series.count.length)
  const end = (list) => list.slice(-n)
  const times = Array.from({ length: n }, (_, i) => r.at - n + 1 + i)
  return { rates: [times, end(r.series.count), end(r.series.errors)], times: [times, end(r.series.p50), end(r.series.p95), end(r.series.p99)] }
})

function Head({ name, title, number }) {
  const { column, up } = order.value
  const on = column === name
  return html`<th scope="col" class=${number ? 'n' : ''} aria-sort=${on ? (up ? 'ascending' : 'descending') : 'none'}>
    <button class="plain" data-sort=${name} onClick=${() => { order.value = { column: name, up: on ? !up : !number } }}>${title} <span aria-hidden="true">${on ? (up ? '▲' : '▼') : ''}</span></button></th>`
}

export function Rates() {
  const s = series.value
  if (!s) return html`<p class="pane dim">Nothing was counted yet.</p>`
  const rows = status.value.rates.methods.map((m) => ({ ...m, share: m.calls ? Math.min(1, m.errors / m.calls) : null }))
  const { column, up } = order.value
  return html`<div class="pane">
    <p class="spans" role="group" aria-label="How far back">${[[60, '1 min'], [120, '2 min'], [299, '5 min']].map(([n, text]) => html`<button class="small" aria-pressed=${length.value === n} onClick=${() => { length.value = n }}>${text}</button>`)}</p>
    <div class="sides">
      <${Plot} title="Messages a second" data=${s.rates} format=${rate} series=${[{ label: 'messages', color: 'water', fill: true }, { label: 'errors', color: 'bad', dash: [4, 3] }]} />
      <${Plot} title="Time to answer" data=${s.times} format=${ms} series=${[{ label: 'p50', color: 'good', points: true }, { label: 'p95', color: 'warn', dash: [6, 3], points: true }, { label: 'p99', color: 'note', dash: [2, 3], points: true }]} />
    </div>
    <section class="card"><h3>By method and peer, over the last minute</h3><div class="scroll" tabindex="0" role="region" aria-label="By method and peer"><table class="table" id="methods">
      <thead><tr>${columns.map(([name, title, number]) => html`<${Head} name=${name} title=${title} number=${number} />`)}</tr></thead>
      <tbody>${sorted(rows, column, up).map((m) => html`<tr key=${`${m.method} ${m.peer}`} data-method=${m.method} data-peer=${m.peer} data-errors=${m.errors} onClick=${() => { filterText.value = `"${m.method}" peer:${m.peer}`; go('traffic') }}>
        ${columns.map(([name, , format], i) => (i === 0 ? html`<th scope="row"><button class="plain cell" title="its messages">${clean(m[name])}</button></th>` : html`<td class=${`${format ? 'n' : ''} ${name === 'errors' && m.errors > 0 ? 'bad' : ''}`}>${name === 'errors' && m.errors > 0 ? '✗ ' : ''}${format ? format(m[name]) : clean(m[name])}</td>`))}</tr>`)}
        ${rows.length === 0 && html`<tr><td colspan=${columns.length} class="dim">Nothing was said in the last minute.</td></tr>`}</tbody></table></div></section>
  </div>`
}
