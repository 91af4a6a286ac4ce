// The list of what is said, as it is said: a filter, a pause, and the rows that fit on the screen.
import { html, Component, useRef, useLayoutEffect, useEffect, useState } from './html.js'
import { store, changed, shown, filter, filterText, paused, pause, waiting, selected, say, download, reveal, mesh } from './state.js'
import { clock, ms, sign, who, clean, count } from './format.js'
import { compact } from './json.js'
import * as net from './net.js'
import { Drawer } from './drawer.js'

// about is what a row says beside who and which method.
export function about(r) {
  switch (r.kind) {
    case 'request': case 'notify': return compact(r.params)
    case 'reply': return compact(r.result)
    case 'error': return clean(r.message) + (r.code ? ` (code ${r.code})` : '')
    case 'peer': return clean([r.event, r.address, r.apis?.join(', '), r.reason].filter(Boolean).join('  '))
    case 'security': return `refused: ${clean(r.reason)}`
  }
  return clean([r.text, r.reason, r.message].filter(Boolean).join('  '))
}

class Row extends Component {
  shouldComponentUpdate(next) { return next.row !== this.props.row || next.on !== this.props.on || next.top !== this.props.top }

  render({ row: r, on, top }) {
    const [left, right] = who(r)
    return html`<div class="row" role="option" id=${`row${r.seq}`} aria-selected=${on} data-kind=${r.kind} data-seq=${r.seq} data-method=${r.method}
        style=${{ transform: `translateY(${top}px)` }} onClick=${() => { selected.value = on ? 0 : r.seq }}>
      <span class="t">${clock(r.t)}</span>
      <span class="who"><span>${clean(left)}</span><b class="sign" aria-label=${r.kind}>${sign(r)}</b><span>${clean(right)}</span></span>
      <span class="method">${clean(r.method ?? r.kind)}</span>
      <span class="ms">${r.kind === 'reply' || r.kind === 'error' && r.ms ? ms(r.ms) : ''}</span>
      <span class="about">${r.dropped > 0 && html`<b class="bad">✗ ${r.dropped} missing </b>`}${about(r)}</span>
    </div>`
  }
}

const tall = () => (matchMedia('(max-width: 700px)').matches ? 46 : 27)

function List() {
  const box = useRef()
  const following = useRef(true)
  const [place, setPlace] = useState({ top: 0, height: 800 })
  const lastCut = useRef(0)
  changed.value // redraw with each batch
  const rows = shown()
  const height = tall()
  const cut = paused.value?.cut ?? store.cut

  useLayoutEffect(() => {
    const el = box.current
    const measure = () => setPlace({ top: el.scrollTop, height: el.clientHeight })
    const sizes = new ResizeObserver(() => { if (following.current) el.scrollTop = el.scrollHeight; measure() })
    sizes.observe(el)
    measure()
    return () => sizes.disconnect()
  }, [])

  useLayoutEffect(() => {
    const el = box.current
    if (cut > lastCut.current && !following.current) el.scrollTop -= (cut - lastCut.current) * height // what is read stays where it is
    lastCut.current = cut
    if (following.current) {
      const bottom = Math.max(0, rows.length * height - el.clientHeight)
      if (Math.abs(el.scrollTop - bottom) > 1) el.scrollTop = bottom
      if (Math.abs(place.top - bottom) > height) setPlace({ top: bottom, height: el.clientHeight })
    }
  })

  useEffect(() => { // the selected row is in sight
    const at = rows.findIndex((r) => r.seq === selected.value)
    const el = box.current
    if (at < 0) return
    if (at < rows.length - 1) following.current = false
    if (at * height < el.scrollTop) el.scrollTop = at * height
    if ((at + 1) * height > el.scrollTop + el.clientHeight) el.scrollTop = (at + 1) * height - el.clientHeight
  }, [selected.value])

  const onScroll = () => {
    const el = box.current
    following.current = el.scrollTop + el.clientHeight >= el.scrollHeight - 2 // not a row: one that is selected may be that near
    setPlace({ top: el.scrollTop, height: el.clientHeight })
  }
  const first = Math.max(0, Math.min(Math.floor(place.top / height) - 15, rows.length - 1))
  const last = Math.min(rows.length, first + Math.min(200, Math.ceil(place.height / height) + 30))
  return html`<div class="list" ref=${box} onScroll=${onScroll} tabindex="0" role="listbox" aria-label="Messages" id="list"
      data-count=${rows.length} data-drawn=${last - first} data-following=${following.current} aria-activedescendant=${selected.value ? `row${selected.value}` : undefined}>
    <div class="rows" style=${{ height: `${rows.length * height}px` }}>
      ${rows.slice(first, last).map((r, i) => html`<${Row} key=${r.seq} row=${r} on=${r.seq === selected.value} top=${(first + i) * height} />`)}
    </div>
    ${rows.length === 0 && html`<p class="empty">${store.rows.length ? 'No message passes the filter.' : 'Nothing was said yet.'}</p>`}
  </div>`
}

function Filter() {
  const { error } = filter.value
  return html`<div class="filter">
    <input id="filter" type="search" spellcheck=${false} autocomplete="off" autocapitalize="off" aria-label="Filter" placeholder="Filter:  lab.*  from:desk  kind:reply  errors  slower:10ms  text"
      aria-invalid=${Boolean(error)} aria-describedby="filterError" value=${filterText.value} onInput=${(e) => { filterText.value = e.target.value }} />
    <p id="filterError" class="bad" role="alert">${error}</p>
  </div>`
}

async function save() {
  const seqs = shown().map((r) => r.seq)
  try {
    download(await net.exported(seqs, reveal.value), `${mesh.value.mesh || 'mesh'}.jsonl`)
    say(`${count(seqs.length, 'record')} saved${reveal.value ? ', with secrets' : ', without secrets'}`)
  } catch (error) {
    say(error.message)
  }
}

function Bar() {
  changed.value
  const p = paused.value
  return html`<div class="bar">
    <${Filter} />
    <button id="pause" aria-pressed=${Boolean(p)} data-waiting=${waiting.value} title="Space" onClick=${pause}>${p ? `Go on (${waiting.value} wait)` : 'Pause'}</button>
    <button id="save" title="What the filter shows, as records of peerctl watch --save" onClick=${save}>Save</button>
    <span class="counts" data-missing=${store.missing}>${count(shown().length, 'message')}${filterText.value && ` of ${store.rows.length}`}
      ${store.missing > 0 && html`<b class="bad"> ✗ ${count(store.missing, 'older one')} not kept</b>`}</span>
  </div>`
}

export function Traffic() {
  return html`<div class="traffic" data-open=${selected.value > 0}>
    <section class="stream" aria-label="Traffic"><${Bar} /><${List} /></section>
    <${Drawer} />
  </div>`
}
