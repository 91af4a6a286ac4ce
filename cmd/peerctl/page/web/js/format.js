// How things are written. Pure functions.

export const clock = (t) => {
  const d = new Date(t)
  const two = (n) => String(n).padStart(2, '0')
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`
}

export function ms(n) {
  if (n === undefined || n === null) return '–'
  if (n === 0) return '0'
  if (n < 0.1) return `${Math.round(n * 1000)} µs`
  if (n < 10) return `${n.toFixed(2)} ms`
  if (n < 100) return `${n.toFixed(1)} ms`
  if (n < 10_000) return `${Math.round(n)} ms`
  return `${(n / 1000).toFixed(1)} s`
}

export const rate = (n) => (n === null || n === undefined ? '–' : n >= 100 ? Math.round(n).toLocaleString('en').replaceAll(',', ' ') : n >= 10 ? n.toFixed(1) : n > 0 ? n.toFixed(2) : '0')
export const count = (n, one, many = `${one}s`) => `${n.toLocaleString('en').replaceAll(',', ' ')} ${n === 1 ? one : many}`

// clean takes away what would turn a line round or hide in it.
export const clean = (s) => String(s ?? '').replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '·')

// sign is the mark of a record, beside its colour.
export function sign(r) {
  switch (r.kind) {
    case 'request': case 'notify': return r.all ? '⇉' : '→'
    case 'reply': return '←'
    case 'error': return '✗'
    case 'security': return '!'
    case 'peer': return { left: '−', refused: '!', suspect: '?', updated: '~' }[r.event] ?? '+'
  }
  return r.method ? '⚠' : 'i' // a note about a message says what is wrong with it
}

// who names the two ends of a record as peerctl watch does: the one who asked on the left.
export function who(r) {
  const to = r.all ? `all (${r.to?.length ?? 0})` : (r.to ?? []).join(', ')
  switch (r.kind) {
    case 'reply': case 'error': return [to || '?', r.from ?? '?']
    case 'peer': return [r.peer ?? '?', '']
    default: return [r.from ?? '', to]
  }
}

// verdict says how a message was protected, in words.
export function verdict(sec) {
  if (!sec) return { ok: true, unknown: true, text: 'not known', why: 'Nothing was recorded about how this was protected.' }
  if (!sec.ok) return { ok: false, text: 'refused', why: 'The receiver did not believe this message; no handler ran.' }
  const user = sec.user ? ` as ${clean(sec.user)}` : ''
  switch (sec.alg) {
    case 'S-HS256': return { ok: true, text: `${sec.sealed ? 'sealed' : 'signed'}${user}`, why: sec.sealed ? 'In a session with keys of its own: nobody else can read or change it.' : 'In a session with keys of its own: nobody else can change it, those on the way can read it.' }
    case 'HS256': return { ok: true, text: `signed${user}`, why: 'Signed by itself with the mesh’s key; those on the way can read it.' }
  }
  return { ok: true, weak: true, text: 'not protected', why: 'Neither signed nor sealed: anybody who can reach the listener could have sent it.' }
}
