// The page's side of the wire: it logs in, reads the stream, and sends what its user wants sent.

// login takes the token out of the address and gets the path of all else for it. A page that is loaded again knows the
// path from before.
export async function login() {
  const token = location.hash.slice(1)
  if (/^[0-9a-f]{40}$/.test(token)) {
    history.replaceState(null, '', '/')
    const answer = await fetch('/login', { method: 'POST', headers: { Authorization: `Bearer ${token}` } })
    if (!answer.ok) throw new Error(`No entry: ${(await answer.text()).trim()}.`)
    sessionStorage.base = (await answer.json()).base
  }
  if (!sessionStorage.base) throw new Error('This page is opened by the address that peerctl ui has printed.')
  const answer = await fetch(`${sessionStorage.base}docs`)
  if (!answer.ok) throw new Error('This page is of a peerctl that has ended: open the address that peerctl ui has printed now.')
}

const at = (what, reveal) => `${sessionStorage.base}${what}${reveal ? `${what.includes('?') ? '&' : '?'}reveal=1` : ''}`

async function checked(answer) {
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim() || answer.statusText), { status: answer.status })
  return answer
}

// failed throws what an answer says went wrong, and returns other answers.
function failed(part) {
  if (part.failed) throw Object.assign(new Error(part.failed), { schema: part.schema })
  return part
}

const post = (what, body, reveal) => fetch(at(what, reveal), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })

export const docs = async () => (await checked(await fetch(at('docs')))).json()
export const record = async (seq, reveal) => (await checked(await fetch(at(`record?seq=${seq}`, reveal)))).json()
export const doctor = async () => (await checked(await post('doctor', {}))).json()
export const notify = async (order) => failed(await (await checked(await post('notify', order))).json())
export const exported = async (seqs, reveal) => (await checked(await post('export', { seqs }, reveal))).blob()

// call hands each answer to f as it comes.
export async function call(order, reveal, f, signal) {
  const answer = await checked(await fetch(at('call', reveal), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(order), signal }))
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      const part = JSON.parse(line)
      failed(part)
      if (!part.done) f(part)
    }
  }
}

// stream reads the events until it is closed. The browser connects again by itself, and says which record it had last.
export function stream(reveal, on) {
  const source = new EventSource(at('events', reveal))
  for (const name of ['hello', 'records', 'status']) {
    source.addEventListener(name, (e) => on[name](JSON.parse(e.data)))
  }
  source.onerror = () => on.lost(source.readyState === EventSource.CLOSED)
  return () => source.close()
}
