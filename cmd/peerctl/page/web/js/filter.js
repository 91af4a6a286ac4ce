// The filter's language, which says what the flags of peerctl watch say: method globs, from: to: kind: peer: conv:, errors, slower:10ms, and free
// text; a ! before a word turns it round. Words of one sort are alternatives, sorts must all hold. Pure functions.

const units = { us: 1e-3, µs: 1e-3, ms: 1, s: 1e3, m: 6e4 }
export const kinds = ['request', 'reply', 'error', 'notify', 'peer', 'security', 'note']

// duration reads 10ms, 1.5s; without a unit it is milliseconds.
export function duration(text) {
  const found = /^(\d+(?:\.\d+)?|\.\d+)(us|µs|ms|s|m)?$/.exec(text)
  return found ? Number(found[1]) * units[found[2] ?? 'ms'] : NaN
}

// glob makes a test of a pattern as Go's path.Match reads it; undefined when it is none.
export function glob(pattern) {
  let out = ''
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i]
    if (c === '*') out += '[^/]*'
    else if (c === '?') out += '[^/]'
    else if (c === '[') {
      const end = pattern.indexOf(']', i + 2)
      if (end < 0) return undefined
      const set = pattern.slice(i + 1, end)
      out += `[${set[0] === '^' ? '^' : ''}${set.replace(/^\^/, '').replace(/[\\[\]^]/g, '\\$&')}]`
      i = end
    } else out += (c === '\\' ? pattern[++i] ?? '' : c).replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  }
  try {
    const re = new RegExp(`^${out}$`, 'u')
    return (s) => re.test(s)
  } catch {
    return undefined
  }
}

// words splits at blanks, but not within "…".
export const words = (text) => [...text.matchAll(/!?(?:[a-z]+:)?"[^"]*"?|\S+/g)].map(([w]) => w.replace(/"/g, ''))

// parse reads a filter: {matches(row), error, rpc}.
export function parse(text) {
  const sorts = new Map() // sort → tests that are alternatives
  const not = []
  let error = ''
  let rpc = false // whether the protocol's own messages are asked for
  const put = (negated, sort, test) => {
    if (negated) return not.push(test)
    if (!sorts.has(sort)) sorts.set(sort, [])
    sorts.get(sort).push(test)
  }
  for (let word of words(text)) {
    const negated = word.length > 1 && word[0] === '!'
    if (negated) word = word.slice(1)
    const [, name, value] = /^(from|to|kind|slower|slower-than|peer|conv):(.*)$/s.exec(word) ?? []
    const list = value?.split(',').filter(Boolean)
    if (name && list.length === 0) {
      error ||= `${name}: wants a value`
    } else if (name === 'from') {
      put(negated, 'from', (r) => list.includes(r.from))
    } else if (name === 'to') {
      put(negated, 'to', (r) => r.to?.some((t) => list.includes(t)) ?? false)
    } else if (name === 'peer') {
      put(negated, 'peer', (r) => list.includes(r.from) || list.includes(r.peer) || (r.to?.some((t) => list.includes(t)) ?? false))
    } else if (name === 'conv') {
      put(negated, 'conv', (r) => list.includes(r.conv))
    } else if (name === 'kind') {
      const wrong = list.find((k) => !kinds.includes(k))
      if (wrong) error ||= `there is no kind “${wrong}”: ${kinds.join(', ')}`
      put(negated, 'kind', (r) => list.includes(r.kind))
    } else if (name) {
      const ms = duration(value)
      if (Number.isNaN(ms)) error ||= `“${value}” is no time: 10ms, 1.5s`
      else put(negated, 'slower', (r) => (r.kind === 'reply' || r.kind === 'error') && (r.ms ?? 0) >= ms)
    } else if (word === 'errors') {
      put(negated, 'kind', (r) => r.kind === 'error' || r.kind === 'security' || r.kind === 'note' && r.method) // notes of messages: lost, not handled
    } else if (/[*?[]/.test(word)) {
      const test = glob(word)
      if (!test) error ||= `“${word}” is no pattern`
      else put(negated, 'method', (r) => test(r.method ?? ''))
      rpc ||= !negated && word.startsWith('rpc.')
    } else {
      const want = word.toLowerCase()
      put(negated, `text ${want}`, (r) => searchable(r).includes(want))
      rpc ||= !negated && want.startsWith('rpc.')
    }
  }
  const all = [...sorts.values()]
  const matches = (r) => {
    if (!rpc && r.method?.startsWith('rpc.')) return false
    for (const alternatives of all) if (!alternatives.some((test) => test(r))) return false
    return !not.some((test) => test(r))
  }
  return { matches: error ? () => true : matches, error, rpc }
}

const searchable = (r) => [r.method, r.from, r.to?.join(' '), r.peer, r.params, r.result, r.message, r.data, r.text, r.reason, r.event, r.address, r.conv]
  .filter(Boolean).join(' ').toLowerCase()
