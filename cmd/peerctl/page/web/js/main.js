// The page: it logs in, and draws the frame in which the views are.
import { html, render, effect, useEffect } from './html.js'
import * as net from './net.js'
import { connect, online, route, status, mesh, self, toast, reveal, setReveal } from './state.js'
import { count, rate, clean } from './format.js'
import { size } from './json.js'
import { keys, help, Help } from './keys.js'
import { Traffic } from './traffic.js'
import { Call } from './call.js'
import { Timeline } from './timeline.js'
import { Mesh } from './mesh.js'
import { Rates } from './rates.js'
import { Doctor } from './doctor.js'

const views = [
  ['traffic', 'Traffic', Traffic],
  ['timeline', 'Timeline', Timeline],
  ['mesh', 'Mesh', Mesh],
  ['rates', 'Rates', Rates],
  ['call', 'Call', Call],
  ['doctor', 'Doctor', Doctor],
]

function Link() {
  const s = status.value
  const [name, text] = !online.value ? ['ended', 'peerctl has ended, or cannot be reached']
    : s.link === 'linked' ? ['linked', `through ${clean(self.value)}`]
    : s.link === 'ended' ? ['ended', clean(s.error)] : ['linking', 'linking …']
  document.body.dataset.link = name
  return html`<span id="link" class="link" role="status">${text}</span>`
}

const mean = (list) => (list?.length ? list.reduce((a, b) => a + b) / list.length : 0)

function Totals() {
  const { kept, rates } = status.value
  const now = mean(rates?.series.count.slice(-3))
  if (!kept) return null
  return html`<span class="totals">
    <span><b>${rate(now)}</b> msg/s</span>
    <span title="What the collector holds; the oldest give way">${count(kept.records, 'record')}, ${size(kept.bytes)}</span>
    ${kept.lost > 0 && html`<span class="bad" data-lost=${kept.lost} title="They were lost before they came here: somebody was too slow">✗ ${count(kept.lost, 'record')} lost</span>`}
  </span>`
}

function App() {
  useEffect(() => {
    addEventListener('keydown', keys)
    return () => removeEventListener('keydown', keys)
  }, [])
  const View = (views.find(([name]) => name === route.value) ?? views[0])[2]
  return html`
    <header class="top">
      <h1>${clean(mesh.value.mesh) || 'peerctl'}</h1>
      <${Link} />
      <${Totals} />
      <label class="switch" title="Values of members such as password, token or key, and those that the schema calls writeOnly">
        <input id="reveal" type="checkbox" checked=${reveal.value} onChange=${(e) => setReveal(e.target.checked)} /> show secrets
      </label>
      <button class="plain" id="helpButton" aria-label="Keyboard help" title="Keyboard (?)" onClick=${() => { help.value = true }}>?</button>
    </header>
    <nav class="tabs" aria-label="Panes">
      ${views.map(([name, title]) => html`<a href=${`#/${name}`} data-tab=${name} aria-current=${route.value === name ? 'page' : undefined}>${title}</a>`)}
    </nav>
    <main data-view=${route.value}><${View} /></main>
    <${Help} />
    <div class="toast" role="status" aria-live="polite">${toast.value && html`<p>${toast.value}</p>`}</div>`
}

const follow = () => {
  const name = location.hash.replace(/^#\//, '').split('/')[0]
  route.value = views.some(([n]) => n === name) ? name : 'traffic'
}

try {
  await net.login()
  follow()
  addEventListener('hashchange', follow)
  effect(() => { document.title = `${mesh.value.mesh || 'mesh'} – peerctl` })
  connect()
  render(html`<${App} />`, document.getElementById('app'))
  document.body.dataset.ready = 'yes'
} catch (error) {
  document.body.dataset.link = 'refused'
  render(html`<main class="closed"><h1>peerctl</h1><p role="alert">${error.message}</p><p>In a terminal: <code>peerctl ui</code></p></main>`, document.getElementById('app'))
}
