// A form for a field of schema.js. It keeps no state: it shows a value, and hands on the one that it shall become; what is
// left out becomes undefined.
import { html, useState } from './html.js'
import { initial, typeText, fits } from './schema.js'
import { stringify, parse, Literal } from './json.js'
import { clean } from './format.js'

// set returns a copy with one member changed; the order of the others stays.
const set = (o, name, v) => {
  const out = { ...o }
  if (v === undefined) delete out[name]
  else out[name] = v
  return out
}

export function Form({ f, value, onChange, path }) {
  if (f.kind === 'object' && f.fields.length === 0) return html`<p class="dim">It takes no params.</p>`
  return html`<div class="form" data-form=${f.kind}><${Field} f=${f} value=${value} onChange=${onChange} path=${path} bare /></div>`
}

function Field({ f, value, onChange, path, bare }) {
  if (f.nullable && value === null) {
    return html`<span class="null"><code>null</code> <button type="button" class="small" aria-label=${`give ${path} a value`} onClick=${() => onChange(initial({ ...f, nullable: false, hasDefault: f.hasDefault && f.default !== null }))}>give a value</button></span>`
  }
  const input = html`<${Input} f=${f} value=${value} onChange=${onChange} path=${path} bare=${bare} />`
  if (!f.nullable) return input
  return html`<span class="nullable">${input}<button type="button" class="small" aria-label=${`set ${path} to null`} onClick=${() => onChange(null)}>null</button></span>`
}

function Input({ f, value, onChange, path, bare }) {
  if (!fits(f, value)) return html`<${Raw} f=${f} value=${value} onChange=${onChange} path=${path} />`
  switch (f.kind) {
    case 'object': return html`<${Members} f=${f} value=${value ?? {}} onChange=${onChange} path=${path} bare=${bare} />`
    case 'array': return html`<${Items} f=${f} value=${value ?? []} onChange=${onChange} path=${path} />`
    case 'const': return html`<code>${stringify(f.value, 0)}</code>`
    case 'boolean': return html`<select id=${path} data-field=${path} aria-label=${named(path)} value=${value === undefined ? '' : String(value)} onChange=${(e) => onChange(e.target.value === '' ? undefined : e.target.value === 'true')}>
        ${(!f.required || value === undefined) && html`<option value="">–</option>`}<option value="true">true</option><option value="false">false</option></select>`
    case 'enum': return html`<select id=${path} data-field=${path} aria-label=${named(path)} value=${value === undefined ? '' : stringify(value, 0)} onChange=${(e) => onChange(e.target.value === '' ? undefined : JSON.parse(e.target.value))}>
        ${(!f.required || value === undefined) && html`<option value="">–</option>`}${f.values.map((v) => html`<option value=${stringify(v, 0)}>${typeof v === 'string' ? v : stringify(v, 0)}</option>`)}</select>`
    case 'number': case 'integer': return html`<input id=${path} data-field=${path} aria-label=${named(path)} type="number" step=${f.step ?? (f.kind === 'integer' ? 1 : 'any')} min=${f.min} max=${f.max} required=${f.required}
        placeholder=${f.hasDefault ? stringify(f.default, 0) : ''} value=${value === undefined ? '' : String(value)} onInput=${(e) => onChange(number(e.target.value))} />`
    case 'string': return f.bytes ? html`<${Bytes} f=${f} value=${value} onChange=${onChange} path=${path} />`
      : (value ?? '').length > 80 || (value ?? '').includes('\n')
        ? html`<textarea id=${path} data-field=${path} aria-label=${named(path)} rows="4" onInput=${(e) => onChange(text(e.target.value, f))}>${value}</textarea>`
        : html`<input id=${path} data-field=${path} aria-label=${named(path)} type=${f.secret ? 'password' : 'text'} autocomplete="off" spellcheck=${false} required=${f.required && f.minLength > 0} minlength=${f.minLength} maxlength=${f.maxLength}
        placeholder=${f.hasDefault ? f.default : f.format ?? ''} value=${value ?? ''} onInput=${(e) => onChange(text(e.target.value, f))} />`
  }
  return html`<${Raw} f=${f} value=${value} onChange=${onChange} path=${path} />`
}

// named is the name of an item, which has no label.
const named = (path) => (path.endsWith(']') ? path : undefined)

const text = (t, f) => (t === '' && !f.required ? undefined : t)

const number = (t) => {
  if (t.trim() === '' || Number.isNaN(Number(t))) return undefined
  return /^-?\d{16,}$/.test(t) && String(Number(t)) !== t ? new Literal(t) : Number(t)
}

function Members({ f, value, onChange, path, bare }) {
  return html`<div class=${bare ? 'members' : 'members inner'}>${f.fields.map((x) => {
    const at = path ? `${path}.${x.name}` : x.name
    const absent = value[x.name] === undefined
    const large = x.kind === 'object' || x.kind === 'array'
    const change = (v) => onChange(set(value, x.name, v))
    return html`<div class="member" data-member=${at} key=${x.name}>
      <label for=${at}>${clean(x.name)}${x.required && html`<b class="needed" title="required" aria-label="required">*</b>`} <span class="type">${typeText(x)}${x.hasDefault && ` = ${stringify(x.default, 0)}`}</span></label>
      ${large && absent ? html`<button type="button" class="small" data-add=${at} onClick=${() => change(initial({ ...x, nullable: false }))}>add</button>`
        : html`<${Field} f=${x} value=${value[x.name]} onChange=${change} path=${at} />`}
      ${large && !absent && !x.required && html`<button type="button" class="small" onClick=${() => change(undefined)}>leave out</button>`}
      ${x.description && html`<p class="dim">${clean(x.description)}</p>`}
    </div>`
  })}</div>`
}

function Items({ f, value, onChange, path }) {
  return html`<div class="items">${value.map((v, i) => html`<div class="item" key=${i}>
      <${Field} f=${{ ...f.items, required: true }} value=${v} onChange=${(x) => onChange(value.map((y, j) => (j === i ? (x === undefined ? initial(f.items) : x) : y)))} path=${`${path}[${i}]`} />
      <button type="button" class="small" aria-label=${`remove ${path}[${i}]`} onClick=${() => onChange(value.filter((_, j) => j !== i))}>✕</button></div>`)}
    <button type="button" class="small" data-more=${path} disabled=${f.max !== undefined && value.length >= f.max} onClick=${() => onChange([...value, initial(f.items)])}>+ item</button></div>`
}

// Raw is a box for what a form does not do.
function Raw({ value, onChange, path }) {
  const [state, setState] = useState({ text: undefined, error: '' })
  const shown = state.error ? state.text : value === undefined ? '' : stringify(value)
  const change = (t) => {
    try {
      const v = t.trim() === '' ? undefined : parse(t)
      setState({ text: undefined, error: '' })
      onChange(v)
    } catch (error) {
      setState({ text: t, error: error.message })
    }
  }
  return html`<span class="raw"><textarea id=${path} data-field=${path} aria-label=${named(path)} data-raw class="code" rows="3" spellcheck=${false} placeholder="JSON" aria-invalid=${Boolean(state.error)} value=${shown} onChange=${(e) => change(e.target.value)} />
    ${state.error && html`<small class="bad" role="alert">${state.error}</small>`}</span>`
}

// Bytes takes a file, or base64.
function Bytes({ value, onChange, path }) {
  const load = async (e) => {
    const file = e.target.files[0]
    if (!file) return
    const bytes = new Uint8Array(await file.arrayBuffer())
    let s = ''
    for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192))
    onChange(btoa(s))
  }
  return html`<span class="bytes"><input id=${path} data-field=${path} aria-label=${named(path)} type="text" class="code" placeholder="base64" value=${value ?? ''} onInput=${(e) => onChange(e.target.value || undefined)} />
    <input type="file" aria-label=${`file for ${path}`} onChange=${load} /></span>`
}
