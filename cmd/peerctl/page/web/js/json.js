// JSON as text: what peers wrote is shown as they wrote it, numbers of any size included. Pure functions.

// tokens splits a JSON text: strings, numbers, words and punctuation. A text that was cut ends where it ends.
const token = /\s+|("(?:[^"\\]|\\.)*"?)|(-?\d[\d.eE+-]*)|([a-z]+)|([{}[\],:])|(.)/gsu

export function tokens(text) {
  const out = []
  for (const [all, string, number, word, mark, other] of text.matchAll(token)) {
    if (string !== undefined) out.push({ kind: 'string', text: all })
    else if (number !== undefined) out.push({ kind: 'number', text: all })
    else if (word !== undefined) out.push({ kind: 'word', text: all })
    else if (mark !== undefined) out.push({ kind: 'mark', text: all })
    else if (other !== undefined) out.push({ kind: 'other', text: all })
  }
  for (let i = 0; i + 1 < out.length; i++) {
    if (out[i].kind === 'string' && out[i + 1].text === ':') out[i].kind = 'name'
  }
  return out
}

// pretty lays a JSON text out in lines: [{depth, parts: [{kind, text}]}]. Arrays of plain values stay on a line while
// they are short.
export function pretty(text) {
  const list = tokens(text)
  const lines = [{ depth: 0, parts: [] }]
  let depth = 0
  const here = () => lines[lines.length - 1]
  const put = (kind, t) => here().parts.push({ kind, text: t })
  const line = () => lines.push({ depth, parts: [] })
  for (let i = 0; i < list.length; i++) {
    const { kind, text: t } = list[i]
    if (kind !== 'mark') {
      put(kind, t)
    } else if (t === ':') {
      put('mark', ': ')
    } else if (t === ',') {
      put('mark', ',')
      line()
    } else if (t === '{' || t === '[') {
      const end = flat(list, i)
      if (end > 0) {
        put('mark', t)
        for (let j = i + 1; j < end; j++) put(list[j].kind, list[j].text === ',' ? ', ' : list[j].text)
        put('mark', list[end].text)
        i = end
        continue
      }
      put('mark', t)
      depth++
      line()
    } else {
      depth = Math.max(0, depth - 1)
      line()
      put('mark', t)
    }
  }
  return lines
}

// flat returns where an array of plain values, or something empty, ends when it fits on a line; else 0.
function flat(list, start) {
  let length = 0
  for (let j = start + 1; j < list.length; j++) {
    const { kind, text } = list[j]
    if (text === '}' || text === ']') return list[start].text === '[' || j === start + 1 ? j : 0
    if (kind === 'mark' && text !== ',') return 0
    length += text.length
    if (list[start].text === '{' || length > 60) return 0
  }
  return 0
}

export const prettyText = (text) => pretty(text).map((l) => '  '.repeat(l.depth) + l.parts.map((p) => p.text).join('')).join('\n')

// compact shows a JSON text in some words: name=value of an object, texts without quotation marks where that is clear.
export function compact(text, longest = 160) {
  if (!text) return ''
  const begun = text.length > 4 * longest // and no more is looked at
  const list = tokens(begun ? text.slice(0, 4 * longest) : text)
  let out = ''
  let depth = 0
  const object = list[0]?.text === '{'
  for (let i = 0; i < list.length && out.length < longest; i++) {
    const { kind, text: t } = list[i]
    if (t === '{' || t === '[') {
      if (!(object && depth === 0)) out += t
      depth++
    } else if (t === '}' || t === ']') {
      depth--
      if (!(object && depth === 0)) out += t
    } else if (kind === 'name') {
      out += plain(t)
    } else if (t === ':') {
      out += object && depth === 1 ? '=' : ':'
    } else if (t === ',') {
      out += ' '
    } else if (kind === 'string') {
      if (begun && i === list.length - 1) break // how long it is is not known
      out += t.length > 62 ? `<${size(t.length - 2)}>` : plain(t)
    } else {
      out += t
    }
  }
  return out.length >= longest || begun ? out.slice(0, longest) + '…' : out
}

const plain = (t) => (/^"[\p{L}\p{N}_.:/+•-]+( [\p{L}\p{N}_.:/+•-]+)*"$/u.test(t) ? t.slice(1, -1) : t)

export function size(n) {
  if (n < 1000) return `${n} B`
  if (n < 1e6) return `${(n / 1e3).toFixed(n < 1e4 ? 1 : 0)} kB`
  return `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} MB`
}

// Literal is a number that a JavaScript number cannot hold.
export class Literal {
  constructor(text) { this.text = text }
  toString() { return this.text }
}

// parse is JSON.parse, but numbers that would change become Literals.
export function parse(text) {
  const value = JSON.parse(text) // says what is wrong
  const odd = tokens(text).some((t) => t.kind === 'number' && !exact(t.text))
  if (!odd) return value
  const list = tokens(text)
  let at = 0
  const read = () => {
    const t = list[at++]
    if (t.text === '{' || t.text === '[') {
      const out = t.text === '{' ? {} : []
      while (list[at].text !== '}' && list[at].text !== ']') {
        if (list[at].text === ',') { at++; continue }
        if (Array.isArray(out)) { out.push(read()); continue }
        const name = JSON.parse(list[at].text)
        at += 2
        Object.defineProperty(out, name, { value: read(), enumerable: true, configurable: true, writable: true })
      }
      at++
      return out
    }
    if (t.kind === 'number' && !exact(t.text)) return new Literal(t.text)
    return JSON.parse(t.text)
  }
  return read()
}

const exact = (text) => !/^-?\d{16,}$/.test(text) || String(Number(text)) === text

// stringify is JSON.stringify, and knows Literals. What is undefined is left out.
export function stringify(value, indent = 2) {
  const write = (v, pad) => {
    if (v instanceof Literal) return v.text
    if (v === null || typeof v !== 'object') return JSON.stringify(v) ?? 'null'
    const inner = pad + ' '.repeat(indent)
    const [open, close, parts] = Array.isArray(v)
      ? ['[', ']', v.map((x) => write(x === undefined ? null : x, inner))]
      : ['{', '}', Object.keys(v).filter((k) => v[k] !== undefined).map((k) => `${JSON.stringify(k)}:${indent ? ' ' : ''}${write(v[k], inner)}`)]
    if (parts.length === 0) return open + close
    if (!indent) return open + parts.join(',') + close
    return `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${pad}${close}`
  }
  return write(value, '')
}
