// A JSON text, laid out and coloured. All of it is text nodes.
import { html, useState, useEffect } from './html.js'
import { pretty } from './json.js'

const most = 400 // lines that are drawn at once

export function JSONText({ text, cut }) {
  const [all, setAll] = useState(false)
  useEffect(() => setAll(false), [text])
  const lines = pretty(text)
  const drawn = all ? lines : lines.slice(0, most)
  return html`<pre class="json" tabindex="0">${drawn.map((l, i) => html`${i > 0 && '\n'}${'  '.repeat(l.depth)}${l.parts.map((p) => html`<span class=${p.text.startsWith('"•••') ? 'hidden' : p.kind}>${p.text}</span>`)}`)}${cut && ' …'}</pre>
    ${lines.length > drawn.length && html`<button class="small" onClick=${() => setAll(true)}>${lines.length - drawn.length} more lines</button>`}`
}
