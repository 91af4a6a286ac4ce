// Who is in the mesh: a graph of who speaks to whom, and a table.
import { html, signal } from './html.js'
import { mesh, status, self, refused, filterText, go } from './state.js'
import { circle, links, width } from './circle.js'
import { clean, ms, rate, count } from './format.js'

const phone = matchMedia('(max-width: 700px)')
const narrow = signal(phone.matches)
phone.addEventListener('change', () => { narrow.value = phone.matches })
const most = 50 // peers that are drawn; beyond, the table says it better
const chosen = signal('')

const only = (text) => { filterText.value = text; go('traffic') }

function Graph({ peers }) {
  const edges = status.value.rates?.edges ?? []
  const nodes = [...peers, ...refused.value.map((r) => ({ name: r.peer, state: 'refused', address: r.address }))]
  const [W, H] = narrow.value ? [400, 330] : [720, 360]
  const places = circle(nodes.length, W, H, 60)
  const at = new Map(nodes.map((n, i) => [n.name, places[i]]))
  const found = links(peers, edges)
  const text = found.map((l) => `${l.a} and ${l.b}: ${rate(l.rate)} messages a second`).join('; ')
  return html`<svg class="graph" viewBox=${`0 0 ${W} ${H}`} role="img" aria-label=${`${count(peers.length, 'peer')}. ${text}`}>
    ${found.map((l) => {
      const [p, q] = [at.get(l.a), at.get(l.b)]
      return html`<g class="edge" data-edge=${`${l.a} ${l.b}`} data-state=${l.state} data-rate=${l.rate.toFixed(2)} onClick=${() => only(`from:${l.a},${l.b} to:${l.a},${l.b}`)}>
        <line x1=${p.x} y1=${p.y - 14} x2=${q.x} y2=${q.y - 14} stroke-width=${width(l.rate)} />
        ${l.rate > 0 && html`<text x=${(p.x + q.x) / 2} y=${(p.y + q.y) / 2 - 18}>${rate(l.rate)}/s</text>`}<title>${l.a} → ${l.b} ${rate(l.there)}/s, ${l.b} → ${l.a} ${rate(l.back)}/s</title></g>`
    })}
    ${refused.value.map((r) => html`<line class="edge" data-state="refused" x1=${at.get(self.value)?.x} y1=${at.get(self.value)?.y - 14} x2=${at.get(r.peer)?.x} y2=${at.get(r.peer)?.y - 14} />`)}
    ${nodes.map((n, i) => html`<g class="node" data-node=${n.name} data-state=${n.state} data-self=${Boolean(n.self)} transform=${`translate(${places[i].x} ${places[i].y - 14})`}
        onClick=${() => { chosen.value = chosen.value === n.name ? '' : n.name }}>
      <circle r="24" /><text class="mark" y="5">${n.state === 'refused' ? '!' : n.state === 'suspect' ? '?' : n.self ? '★' : '✓'}</text>
      <text class="label" y="42">${clean(n.name)}</text><text class="sub" y="56">${n.state === 'linked' ? Object.keys(n.apis ?? {}).map(clean).join(', ') : n.state}</text></g>`)}
  </svg>`
}

function Card() {
  const p = mesh.value.peers.find((x) => x.name === chosen.value)
  if (!p) return null
  const facts = [['address', (p.addresses ?? []).join(', ')], ['id', p.id], ['state', p.state], ['protection', p.protection + (p.verified ? ', verified' : '')], ['who', p.principal], ['role', p.role],
    ['round trip', p.self ? '' : p.rtt_ms ? ms(p.rtt_ms) : '–'], ['clock', p.self ? '' : !p.rtt_ms ? '–' : `${ms(Math.abs(p.clock_ms))} ${p.clock_ms >= 0 ? 'ahead' : 'behind'}`], ['tap', p.tap], ['watched by', (p.watchers ?? []).join(', ')], ['version', p.version]]
  return html`<section class="card" aria-label=${`Peer ${p.name}`} data-card=${p.name}><h2>${clean(p.name)}</h2>
    <dl class="facts">${facts.filter(([, v]) => v).map(([k, v]) => html`<dt>${k}</dt><dd>${clean(v)}</dd>`)}
      ${Object.entries(p.apis ?? {}).map(([name, a]) => html`<dt>API</dt><dd>${clean(name)} ${clean(a.version)} <span class="dim">as ${clean(a.side)}</span></dd>`)}</dl>
    <p><button class="small" onClick=${() => only(`peer:${p.name}`)}>its messages</button></p></section>`
}

const apis = (p) => Object.entries(p.apis ?? {}).map(([name, a]) => `${name} ${a.version ?? ''}`.trim()).join(', ')
const sides = (p) => [...new Set(Object.values(p.apis ?? {}).map((a) => a.side))].join(', ')
const states = { linked: '✓', suspect: '?', refused: '!' }

function Table({ peers }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Peers"><table class="table"><thead><tr>${['Peer', 'State', 'Address', 'APIs', 'Side', 'RTT', 'Protection', 'Tap', 'Watched by', 'Version'].map((h) => html`<th scope="col" class=${h === 'RTT' ? 'n' : ''}>${h}</th>`)}</tr></thead><tbody>
    ${peers.map((p) => html`<tr data-peer=${p.name} data-state=${p.state} onClick=${() => { chosen.value = p.name }}><th scope="row"><button class="plain cell" aria-pressed=${chosen.value === p.name}>${clean(p.name)}${p.self ? ' *' : ''}</button></th>
      <td class=${p.state === 'linked' ? 'good' : 'warn'}>${states[p.state] ?? '…'} ${p.state}</td><td>${clean(p.address)}</td><td>${clean(apis(p)) || '–'}</td><td>${clean(sides(p)) || '–'}</td>
      <td class="n">${p.self || !p.rtt_ms ? '–' : ms(p.rtt_ms)}</td><td class=${p.protection === 'none' ? 'warn' : ''}>${p.protection === 'none' ? '⚠ none' : clean(p.protection)}</td><td>${clean(p.tap) || '–'}</td><td>${clean((p.watchers ?? []).join(', ')) || '–'}</td><td>${clean(p.version) || '–'}</td></tr>`)}
    ${refused.value.map((r) => html`<tr data-peer=${r.peer} data-state="refused"><th scope="row">${clean(r.peer)}</th><td class="bad">! refused</td><td>${clean(r.address)}</td><td colspan="7" class="bad">${clean(r.reason)}</td></tr>`)}
  </tbody></table></div>`
}

export function Mesh() {
  const { peers } = mesh.value
  if (peers.length === 0) return html`<p class="pane dim">The mesh is not known yet.</p>`
  return html`<div class="pane mesh">
    ${peers.length <= most ? html`<div class="sides wide"><section class="card" aria-label="Graph"><${Graph} peers=${peers} /></section><${Card} /></div>` : html`<${Card} />`}
    <section class="card" aria-label="Table"><${Table} peers=${peers} />
      <p class="dim">* the peer that this page looks through. Width of a line: messages a second.</p></section></div>`
}
