// The keyboard.
import { html, signal, useEffect, useRef } from './html.js'
import { pause, selected, shown, route, go } from './state.js'

export const help = signal(false)

const typing = (e) => /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.target.isContentEditable

export function keys(e) {
  if (e.key === 'Escape') {
    if (help.value) help.value = false
    else if (typing(e)) e.target.blur()
    else selected.value = 0
    return
  }
  if (typing(e) || e.ctrlKey || e.metaKey || e.altKey || help.value) return
  const does = actions[e.key]
  if (!does || e.key === ' ' && /^(BUTTON|A|SUMMARY)$/.test(e.target.tagName)) return
  e.preventDefault()
  does()
}

function move(step) {
  const rows = shown()
  if (rows.length === 0) return
  const at = rows.findIndex((r) => r.seq === selected.value)
  const next = at < 0 ? rows.length - 1 : Math.min(rows.length - 1, Math.max(0, at + step))
  selected.value = rows[next].seq
}

const actions = {
  '/': () => { go('traffic'); requestAnimationFrame(() => document.getElementById('filter')?.focus()) },
  ' ': () => pause(),
  j: () => move(1),
  k: () => move(-1),
  ArrowDown: () => move(1),
  ArrowUp: () => move(-1),
  Enter: () => { if (route.value === 'traffic' && !selected.value) move(0); document.getElementById('drawer')?.focus() },
  e: () => document.getElementById('edit')?.click(),
  r: () => document.getElementById('resend')?.click(),
  '?': () => { help.value = true },
}

const lines = [['/', 'filter'], ['space', 'pause and go on'], ['j k', 'next, previous message'], ['Enter', 'open it'], ['Esc', 'close it'],
  ['e', 'edit & resend'], ['r', 'resend'], ['?', 'this help']]

export function Help() {
  const dialog = useRef()
  useEffect(() => {
    if (help.value && !dialog.current.open) dialog.current.showModal()
    if (!help.value && dialog.current.open) dialog.current.close()
  }, [help.value])
  return html`<dialog ref=${dialog} class="help" aria-labelledby="helpTitle" onClose=${() => { help.value = false }}>
    <h2 id="helpTitle">Keyboard</h2>
    <dl>${lines.map(([k, what]) => html`<dt>${k.split(' ').map((x) => html`<kbd>${x}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>
    <h2>Filter</h2>
    <p><code>lab.*</code> methods · <code>from:desk</code> <code>to:cam1</code> <code>peer:cam1</code> · <code>kind:reply,error</code> · <code>errors</code> · <code>slower:10ms</code> · <code>"free text"</code> · <code>!lab.camera.frame</code> not · <code>rpc.*</code> the protocol’s own</p>
    <form method="dialog"><button>Close</button></form>
  </dialog>`
}
