// The API browser: what the peers of the mesh say that they handle and send, a form to call it, and the answers.
import { html, signal, computed, batch, useEffect } from './html.js'
import { documents, mesh, self, status, reveal, draft, say, copy } from './state.js'
import { methods, paramsOf, initial, example, fits, typeText, field } from './schema.js'
import { parse, stringify } from './json.js'
import { clean, ms, count } from './format.js'
import { command } from './copyas.js'
import { Form } from './form.js'
import { JSONText } from './jsonview.js'
import * as net from './net.js'

const search = signal('')
const chosen = signal('')               // name of a method
const value = signal(undefined)         // the params
const text = signal('')                 // the same as JSON
const wrong = signal('')                // why the text is no JSON
const targets = signal(new Set())       // names
const toAll = signal(true)
const seconds = signal('')              // how long to wait
const answers = signal([])
const running = signal(undefined)       // how to stop what runs
const problem = signal('')
const objection = signal(false)         // whether the params are against the schema, and one may insist

const list = computed(() => methods(documents.value))
const current = computed(() => list.value.find((m) => m.name === chosen.value))
const form = computed(() => current.value && paramsOf(current.value.method, current.value.root))
const able = computed(() => (current.value?.peers ?? []).filter((p) => p !== self.value))

function setValue(v) {
  batch(() => {
    value.value = v
    text.value = v === undefined ? '' : stringify(v)
    wrong.value = ''
    objection.value = false
  })
}

function setText(t) {
  batch(() => {
    text.value = t
    objection.value = false
    try {
      value.value = t.trim() === '' ? undefined : parse(t)
      wrong.value = ''
    } catch (error) {
      wrong.value = error.message
    }
  })
}

export function choose(name) {
  batch(() => {
    chosen.value = name
    answers.value = []
    problem.value = ''
    toAll.value = true
    targets.value = new Set(able.value)
    const m = current.value
    setValue(m ? example(m.method) ?? initial(form.value) : undefined)
  })
}

function begin(d) {
  choose(d.method)
  setText(d.params)
  if (!wrong.value && text.value) setValue(value.value)
  if (!d.all) pick(new Set(d.to.filter((n) => n !== self.value)))
  requestAnimationFrame(() => document.getElementById('send')?.focus())
}

const pick = (names) => {
  targets.value = names
  toAll.value = able.value.every((n) => names.has(n))
}

async function send(anyway) {
  const m = current.value
  const to = able.value.filter((n) => targets.value.has(n))
  const order = { method: m.name, params: text.value.trim(), to, all: toAll.value, anyway, timeout_ms: Math.round(Number(seconds.value) * 1000) || 0 }
  const stop = new AbortController()
  batch(() => {
    running.value = stop
    problem.value = ''
    objection.value = false
    answers.value = []
  })
  try {
    if (m.call) {
      answers.value = to.map((peer) => ({ peer, open: true }))
      await net.call(order, reveal.value, (a) => { answers.value = [...answers.value.filter((x) => x.peer !== a.peer), a].sort((x, y) => (x.peer < y.peer ? -1 : 1)) }, stop.signal)
    } else {
      const res = await net.notify(order)
      answers.value = [...res.queued.map((peer) => ({ peer, queued: true })), ...res.refused.map((r) => ({ peer: r.peer, error: { message: r.reason } }))]
    }
  } catch (error) {
    batch(() => {
      problem.value = stop.signal.aborted ? 'given up' : error.message
      objection.value = error.schema === true
      answers.value = answers.value.filter((a) => !a.open)
    })
  }
  running.value = undefined
}

function Picker() {
  const want = search.value.toLowerCase()
  const found = list.value.filter((m) => (m.name + (m.method.description ?? '')).toLowerCase().includes(want))
  const apis = group(found)
  return html`<section class="picker" aria-label="Methods">
    <input id="search" type="search" placeholder="Find a method" aria-label="Find a method" value=${search.value} onInput=${(e) => { search.value = e.target.value }} />
    ${[...apis].map(([api, entries]) => html`<h3>${clean(api)}</h3><ul>${entries.map((m) => html`<li>
      <button class="plain method" data-choose=${m.name} aria-current=${m.name === chosen.value ? 'true' : undefined} onClick=${() => choose(m.name)}>
        <b aria-hidden="true">${others(m).length ? '→' : '←'}</b> <span>${clean(m.name.slice(api.length + 1) || m.name)}</span>
        <small>${others(m).length ? `${others(m).length} ${m.call ? 'answer' : 'hear'}` : `${m.senders.length} send`}</small></button></li>`)}</ul>`)}
    ${found.length === 0 && html`<p class="dim">${list.value.length ? 'No method has that in its name.' : 'No peer serves anything yet.'}</p>`}
  </section>`
}

const others = (m) => m.peers.filter((p) => p !== self.value)

function group(entries) {
  const out = new Map()
  for (const m of entries) out.set(m.api, [...(out.get(m.api) ?? []), m])
  return out
}

function Targets() {
  const names = able.value
  if (names.length === 0) return html`<p class="warn">⚠ Nobody but ${clean(self.value)} itself handles it, and nobody calls himself.</p>`
  const flip = (name) => {
    const next = new Set(targets.value)
    if (!next.delete(name)) next.add(name)
    pick(next)
  }
  return html`<fieldset class="targets"><legend>To</legend>
    <label class="chip"><input type="checkbox" data-target="*" checked=${toAll.value} onChange=${() => pick(new Set(toAll.value ? [] : names))} /> <b>all</b></label>
    ${names.map((n) => html`<label class="chip"><input type="checkbox" data-target=${n} checked=${targets.value.has(n)} onChange=${() => flip(n)} /> ${clean(n)}</label>`)}
  </fieldset>`
}

function Answer({ a }) {
  const state = a.open ? 'open' : a.error ? (a.error.timeout ? 'silent' : 'error') : 'ok'
  return html`<article class="answer" data-answer=${a.peer} data-state=${state}>
    <header><b>${clean(a.peer)}</b> ${a.open ? html`<span class="dim">waits …</span>` : a.queued ? html`<span class="good">✓ sent</span>`
      : a.error ? html`<span class="bad">✗ ${a.error.timeout ? 'silent' : 'error'}</span>` : html`<span class="good">✓ answered</span>`}
      ${a.ms !== undefined && html`<span class="dim">${ms(a.ms)}${a.handler_ms ? ` (handler ${ms(a.handler_ms)})` : ''}</span>`}</header>
    ${a.error && html`<p>${clean(a.error.message)}${a.error.code ? ` (code ${a.error.code})` : ''}</p>`}
    ${a.error?.data !== undefined && html`<${JSONText} text=${stringify(a.error.data)} />`}
    ${a.result && html`<${JSONText} text=${a.result} />`}
    ${a.hidden > 0 && html`<p class="dim">${count(a.hidden, 'value')} hidden (•••)</p>`}
  </article>`
}

function Composer() {
  const m = current.value
  if (!m) return html`<section class="composer empty"><p class="dim">Choose a method: what its peers say of it becomes a form.</p></section>`
  const f = form.value
  const shape = m.method.result && field(m.method.result.schema, m.root)
  const served = m.peers.length > 0
  const one = able.value.filter((n) => targets.value.has(n))
  return html`<section class="composer" aria-label="Call" data-method=${m.name}>
    <h2>${clean(m.name)}</h2>
    <p>${clean(m.method.description)}</p>
    <p class="dim">${served ? `${m.call ? 'answered' : 'heard'} by ${m.peers.map(clean).join(', ')}` : `sent by ${m.senders.map(clean).join(', ')}`}${shape && ` · returns ${m.method.result.name && m.method.result.name !== 'result' ? clean(m.method.result.name) : typeText(shape)}`}${m.method['x-role'] && ` · for ${clean(m.method['x-role'])}s`}${m.method['x-idempotent'] && ' · may be repeated'}</p>
    ${m.method.examples?.length > 1 && html`<p class="examples">examples ${m.method.examples.map((e, i) => html`<button class="small" onClick=${() => setValue(example(m.method, i))}>${clean(e.name ?? i + 1)}</button>`)}</p>`}
    <form onSubmit=${(e) => { e.preventDefault(); send(false) }} noValidate>
      <div class="sides"><div class="side"><h3>Form</h3><${Form} f=${f} value=${value.value} onChange=${setValue} path="" /></div>
        <div class="side"><h3><label for="raw">JSON</label></h3>
          <textarea id="raw" class="code" rows="8" spellcheck=${false} aria-invalid=${Boolean(wrong.value)} value=${text.value} onInput=${(e) => setText(e.target.value)} />
          ${wrong.value && html`<p class="bad" role="alert">${wrong.value}</p>`}
          ${!wrong.value && f && !fits(f, value.value) && html`<p class="warn">⚠ The form cannot show this.</p>`}</div></div>
      ${served && html`<${Targets} />
      <div class="send"><button id="send" class="main" disabled=${Boolean(wrong.value) || one.length === 0 || running.value !== undefined}>${m.call ? (one.length > 1 ? `Call ${one.length} peers` : 'Call') : (toAll.value ? 'Broadcast' : 'Notify')}</button>
        ${running.value && html`<button type="button" id="stop" onClick=${() => running.value.abort()}>Give up</button>`}
        ${m.call && html`<label class="wait">wait <input type="number" min="0.1" step="0.1" placeholder=${(status.value.timeout_ms ?? 5000) / 1000} value=${seconds.value} onInput=${(e) => { seconds.value = e.target.value }} /> s</label>`}
        <button type="button" class="plain small" onClick=${() => copy(command({ kind: m.call ? 'request' : 'notify', method: m.name, params: text.value, to: one, all: !m.call && toAll.value }, mesh.value.mesh), 'The command')}>copy as peerctl</button></div>`}
    </form>
    ${problem.value && html`<p class="failure" role="alert"><b>✗ ${clean(problem.value)}</b> ${objection.value && html`<button class="small" id="anyway" onClick=${() => send(true)}>Send it all the same</button>`}</p>`}
    <div class="answers" id="answers" data-done=${running.value === undefined} aria-live="polite">${answers.value.map((a) => html`<${Answer} key=${a.peer} a=${a} />`)}</div>
  </section>`
}

export function Call() {
  useEffect(() => {
    if (!draft.value) return
    const d = draft.value
    draft.value = undefined
    if (!list.value.some((m) => m.name === d.method)) say(`No peer says that it handles ${d.method}`)
    else begin(d)
  }, [draft.value])
  useEffect(() => {
    if (!chosen.value && !draft.value) choose(list.value.find((m) => others(m).length)?.name ?? '')
  }, [list.value.length])
  return html`<div class="call"><${Picker} /><${Composer} /></div>`
}
