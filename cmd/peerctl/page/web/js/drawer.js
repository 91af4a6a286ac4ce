// One message in full: its conversation, where the time went, how it was protected, what it says, what is new in it.
import { html, useState, useEffect } from './html.js'
import { store, changed, selected, row, mesh, reveal, copy, draft, go, say, self } from './state.js'
import { clock, ms, sign, who, clean, verdict, count } from './format.js'
import { parse, size, prettyText, stringify, compact } from './json.js'
import { conversation, split } from './conversation.js'
import { diff, around } from './diff.js'
import { command, goCode, message } from './copyas.js'
import { JSONText } from './jsonview.js'
import * as net from './net.js'

function Split({ row: r }) {
  const parts = split(r)
  if (parts.length === 0) return null
  const all = parts.reduce((sum, p) => sum + p.ms, 0)
  return html`<section aria-label="Where the time went"><h3>${r.ms ? html`${ms(r.ms)} in all` : 'Where the time went'}</h3>
    <div class="split" role="img" aria-label=${parts.map((p) => `${p.name} ${ms(p.ms)}`).join(', ')}>
      ${parts.map((p) => html`<i data-part=${p.part} style=${{ flexGrow: Math.max(p.ms / all, 0.012) }} />`)}
    </div>
    <ul class="legend">${parts.map((p) => html`<li><i data-part=${p.part} />${p.name} <b>${ms(p.ms)}</b></li>`)}</ul>
  </section>`
}

function Waterfall({ row: r }) {
  const c = conversation(store.conversation(r))
  if (c.rows.length < 2 && c.silent.length === 0) return null
  const wide = Math.max(c.length, 0.001)
  return html`<section aria-label="Conversation"><h3>Conversation</h3>
    <p class="dim" id="outcome">${c.request ? html`asked ${c.asked.length}, ${c.replies.length} answered` : 'the request was not seen'}${c.silent.length > 0 && html`, <b class="bad" data-silent=${c.silent.join(',')}>${clean(c.silent.join(', '))} silent so far</b>`}</p>
    <ol class="waterfall">${c.bars.map(({ row: x, start, end }) => html`<li data-kind=${x.kind}>
      <button class="plain" aria-current=${x.seq === r.seq ? 'true' : undefined} onClick=${() => { selected.value = x.seq }}>
        <span class="name"><b class="sign">${sign(x)}</b> ${clean(x.kind === 'request' ? (x.to ?? []).join(', ') : x.from)}</span>
        <span class="track"><i data-kind=${x.kind} style=${{ left: `${(start / wide) * 100}%`, width: `${Math.max(((end - start) / wide) * 100, 0.8)}%` }} /></span>
        <span class="ms">${x.kind === 'request' ? clock(x.t) : `+${ms(end)}`}</span>
      </button></li>`)}</ol>
  </section>`
}

// written returns both sides of a change, short enough for a table, and unlike each other.
function written({ was, is }) {
  const [a, b] = [was, is].map((v) => (v === undefined ? '' : stringify(v, 0)))
  const [x, y] = Math.max(a.length, b.length) <= 60 ? [compact(a) || a, compact(b) || b] : around(a, b)
  return [was === undefined ? '–' : x, is === undefined ? '–' : y]
}

// Changes shows what is new in a message. Of values of which only the beginning is here that is not known, until the rest
// is fetched.
function Changes({ row: r, name }) {
  const [fetched, setFetched] = useState(undefined)
  const before = store.previous(r)
  if (!before || !r[name] || !before[name]) return null
  const fetchBoth = async () => {
    try {
      setFetched({ seq: r.seq, pair: [await whole(before), await whole(r)] })
    } catch (error) {
      say(error.message)
    }
  }
  const title = html`<h3>Since the one before <button class="plain small" onClick=${() => { selected.value = before.seq }}>${clock(before.t)}</button></h3>`
  const pair = r.more > 0 || before.more > 0 ? fetched?.seq === r.seq && fetched.pair : [before, r]
  if (!pair) return html`<section aria-label="What is new">${title}<p class="dim">Long values are not here in full. <button class="small" id="compare" onClick=${fetchBoth}>Compare all of them</button></p></section>`
  let found
  try {
    found = diff(parse(pair[0][name]), parse(pair[1][name]))
  } catch {
    return null
  }
  return html`<section aria-label="What is new">${title}
    ${found.length === 0 ? html`<p class="dim">nothing has changed</p>` : html`<table class="diff"><tbody>
      ${found.map((c) => html`<tr><th scope="row">${clean(c.path)}</th><td><del>${written(c)[0]}</del></td><td aria-hidden="true">→</td><td><ins>${written(c)[1]}</ins></td><td class="dim">${c.by !== undefined && (c.by > 0 ? `+${c.by}` : c.by)}</td></tr>`)}
    </tbody></table>`}
    ${pair.some((x) => x.hidden > 0) && html`<p class="dim">Hidden values are not compared.</p>`}</section>`
}

function Value({ row: r, name, title }) {
  const [whole, setWhole] = useState(undefined)
  useEffect(() => setWhole(undefined), [r.seq])
  const text = whole?.[name] ?? r[name]
  if (!text) return null
  const more = !whole && r.more > 0
  const fetchAll = async () => {
    try {
      setWhole(await net.record(r.seq, reveal.value))
    } catch (error) {
      say(error.message)
    }
  }
  return html`<section aria-label=${title}><h3>${title}</h3><${JSONText} text=${text} cut=${more} />
    ${more && html`<p><b class="bad">… ${size(r.more)} more</b> <button class="small" id="whole" onClick=${fetchAll}>Show all of it</button></p>`}</section>`
}

// Others shows what else was said in the conversation: the request, and every answer.
function Others({ row: r }) {
  const c = conversation(store.conversation(r))
  const list = [...(c.request ? [c.request] : []), ...c.replies].filter((x) => x.seq !== r.seq && x.method)
  if (list.length === 0) return null
  return html`<section aria-label="The rest of the conversation"><h3>${r.kind === 'request' ? 'Answers' : 'The rest of the conversation'}</h3>
    ${list.slice(0, 50).map((x) => html`<details key=${x.seq} data-other=${x.from} open=${list.length <= 3}>
      <summary><b class="sign" data-kind=${x.kind}>${sign(x)}</b> ${x.kind === 'request' ? 'request to' : x.kind} ${clean(x.kind === 'request' ? (x.to ?? []).join(', ') : x.from)} <span class="dim">${x.kind === 'request' ? '' : ms(x.ms)}</span></summary>
      ${x.kind === 'error' && html`<p class="bad">✗ ${clean(x.message)}${x.code ? ` (code ${x.code})` : ''}</p>`}
      ${x.params || x.result || x.data ? html`<${JSONText} text=${x.params || x.result || x.data} cut=${x.more > 0} />` : x.kind === 'request' && html`<p class="dim">no params</p>`}</details>`)}</section>`
}

// whole returns a row with all of its values.
const whole = async (r) => (r.more > 0 ? net.record(r.seq, reveal.value) : r)

async function resend(r) {
  const request = asked(r)
  try {
    if (request.kind === 'notify') {
      const res = await net.notify({ method: request.method, seq: request.seq, to: request.to, all: request.all, anyway: true })
      say(`Sent to ${res.queued.join(', ') || 'nobody'}${res.refused.length ? `; not to ${res.refused.map((x) => x.peer).join(', ')}` : ''}`)
      return
    }
    const found = []
    await net.call({ method: request.method, seq: request.seq, to: request.to.filter((n) => n !== self.value), anyway: true }, reveal.value, (a) => found.push(a))
    say(found.map((a) => `${a.peer}: ${a.error ? a.error.message : 'answered'} in ${ms(a.ms)}`).join(' · '))
  } catch (error) {
    say(error.message)
  }
}

// asked returns the request of an answer, else the record itself.
function asked(r) {
  if (r.kind === 'request' || r.kind === 'notify') return r
  const all = store.conversation(r).filter((x) => x.kind === 'request')
  return all.find((x) => x.to?.includes(r.from)) ?? all[0]
}

function Actions({ row: r }) {
  const request = asked(r)
  const able = request && (request.params !== undefined || !request.bytes || !request.cut)
  const edit = async () => {
    const x = await whole(request)
    if (x.hidden > 0) return say('Some values are hidden: switch “show secrets” on to edit this message')
    draft.value = { method: x.method, params: x.params ?? '', to: x.to, notify: x.kind === 'notify', all: x.all }
    go('call')
  }
  const as = (what, f) => async () => copy(f(await whole(what)), 'It')
  return html`<div class="actions" role="group" aria-label="Actions">
    ${able && html`<button id="resend" onClick=${() => resend(r)} title="r">↻ Resend</button><button id="edit" onClick=${edit} title="e">✎ Edit & resend</button>`}
    <span class="copies">copy as
      ${request && html`<button class="small" id="copyCommand" onClick=${as(request, (x) => command(x, mesh.value.mesh))}>peerctl</button>
      <button class="small" id="copyGo" onClick=${as(request, goCode)}>Go</button>`}
      ${r.method && html`<button class="small" id="copyJSON" onClick=${as(r, (x) => prettyText(message(x)))}>JSON</button>`}</span>
  </div>`
}

export function Drawer() {
  changed.value
  const r = selected.value ? row(selected.value) : undefined
  const [last, setLast] = useState(undefined)
  useEffect(() => { if (r) setLast(r) }, [r])
  const seen = r ?? (selected.value && last?.seq === selected.value ? last : undefined) // what is read stays, also when it leaves the list
  if (!seen) return null
  const x = seen
  const v = verdict(x.sec)
  const [left, right] = who(x)
  return html`<aside class="drawer" id="drawer" tabindex="-1" aria-label="Message" data-seq=${x.seq} data-kind=${x.kind}>
    <header><div><h2>${clean(x.method ?? x.kind)}</h2>
      <p class="dim">${clean(left)} <b class="sign" data-kind=${x.kind}>${sign(x)}</b> ${clean(x.all ? (x.to ?? []).join(', ') : right)}${x.all ? ' (to all)' : ''}</p></div>
      <button class="plain" id="close" aria-label="Close" title="Esc" onClick=${() => { selected.value = 0 }}>✕</button></header>
    <${Actions} row=${x} />
    ${x.dropped > 0 && html`<p class="bad">✗ ${count(x.dropped, 'record')} missing before this one</p>`}
    ${x.kind === 'error' && html`<p class="failure" role="note"><b>✗ ${clean(x.message)}</b>${x.code ? ` (code ${x.code})` : ''}</p>`}
    <${Waterfall} row=${x} />
    <${Split} row=${x} />
    <${Value} row=${x} name="params" title="Params" />
    <${Value} row=${x} name="result" title="Result" />
    <${Value} row=${x} name="data" title="Data" />
    <${Others} row=${x} />
    ${x.cut && html`<p class="bad">It was too large to be shown, or its sender shows headers only.</p>`}
    ${x.hidden > 0 && html`<p class="dim">${count(x.hidden, 'value')} hidden (•••); “show secrets” shows them.</p>`}
    <${Changes} row=${x} name=${x.kind === 'reply' ? 'result' : 'params'} />
    <section aria-label="Particulars"><h3>Particulars</h3><dl class="facts">
      <dt>protection</dt><dd data-verdict=${v.ok ? 'ok' : 'refused'} class=${v.unknown ? 'dim' : v.ok ? (v.weak ? 'warn' : 'good') : 'bad'}>${v.unknown ? '–' : v.ok ? (v.weak ? '⚠' : '✓') : '✗'} ${v.text}<small>${v.why}</small></dd>
      <dt>time</dt><dd>${x.t}</dd>
      ${x.id && html`<dt>id</dt><dd>${clean(x.id)}</dd>`}
      ${x.conv && html`<dt>conversation</dt><dd>${clean(x.conv)}</dd>`}
      ${[['reason', x.reason], ['text', x.text], ['event', x.event], ['address', x.address], ['APIs', x.apis?.join(', ')], ['times', x.count], ['size', x.bytes && size(x.bytes)], ['via', x.via], ['seen by', x.seen_by]]
        .filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${clean(value)}</dd>`)}
    </dl></section>
  </aside>`
}
