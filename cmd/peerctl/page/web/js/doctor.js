// What doctor finds, and what was refused.
import { html, signal, useEffect } from './html.js'
import { status, self } from './state.js'
import { clean, count } from './format.js'
import * as net from './net.js'

const found = signal(undefined)
const busy = signal(false)
const failed = signal('')

async function examine() {
  if (busy.value) return
  busy.value = true
  failed.value = ''
  try {
    found.value = await net.doctor()
  } catch (error) {
    failed.value = error.message
  }
  busy.value = false
}

const signs = { ok: ['✓', 'good'], warn: ['⚠', 'warn'], FAIL: ['✗', 'bad'], skip: ['–', 'dim'] }

export function Doctor() {
  useEffect(() => { if (!found.value && status.value.doctor) examine() }, [status.value.doctor])
  const refused = Object.entries(status.value.refused ?? {})
  const order = ['FAIL', 'warn', 'ok', 'skip']
  const list = [...(found.value ?? [])].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level))
  return html`<div class="pane narrow">
    ${status.value.doctor && html`<section class="card" aria-label="Doctor" aria-busy=${busy.value}>
      <p><button class="main" id="examine" disabled=${busy.value} onClick=${examine}>${busy.value ? 'Looks around …' : 'Examine again'}</button></p>
      ${failed.value && html`<p class="failure" role="alert">✗ ${clean(failed.value)}</p>`}
      <ul class="findings" id="findings" data-count=${list.length}>${list.map((f) => html`<li data-level=${f.level}><b class=${signs[f.level]?.[1]}>${signs[f.level]?.[0] ?? '?'} ${f.level}</b><div><p>${clean(f.text)}</p>${f.next && html`<p class="next">→ ${clean(f.next)}</p>`}</div></li>`)}</ul></section>`}
    <section class="card" aria-label="Refused"><h3>Refused by ${clean(self.value)}</h3>
      ${refused.length === 0 ? html`<p class="dim">Nothing was refused.</p>` : html`<dl class="facts">${refused.map(([reason, n]) => html`<dt>${clean(reason)}</dt><dd class="bad">! ${count(n, 'message')}</dd>`)}</dl>`}</section>
  </div>`
}
