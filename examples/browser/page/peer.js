// A peer of a mesh in a web page: WebSocket, and messages that are signed one by one (HS256). What it does is said in
// codec/PROTOCOL.md, sections 1 to 4. Nothing that comes in is parsed before its signature is verified.

const WINDOW = 60_000 // ms that clocks may be apart
const utf8 = new TextEncoder()
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('')
const unhex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const random = (n) => crypto.getRandomValues(new Uint8Array(n))

// Signer signs and verifies with one key, which cannot be read out of it again.
export class Signer {
  static async of(key) {
    const hmac = { name: 'HMAC', hash: 'SHA-256' }
    const root = await crypto.subtle.importKey('raw', unhex(key), hmac, false, ['sign'])
    const expand = (info) => crypto.subtle.sign('HMAC', root, utf8.encode(info + '\x01')) // HKDF-Expand, RFC 5869
    const signer = new Signer()
    signer.kid = hex(await expand('rpc.secinfo/1 kid')).slice(0, 8)
    signer.mac = await crypto.subtle.importKey('raw', await expand('rpc.secinfo/1 hmac'), hmac, false, ['sign', 'verify'])
    return signer
  }

  // What is signed: the fields in the order of their names, and the payload's length and hash.
  static async rendering(fields, payload) {
    const bytes = utf8.encode(payload)
    const lines = Object.keys(fields).filter((name) => name !== 'sig').sort().map((name) => `${name}=${fields[name].length}:${fields[name]}\n`)
    const hash = hex(await crypto.subtle.digest('SHA-256', bytes))
    return utf8.encode(`rpc.secinfo/1\n${lines.join('')}\n${bytes.length}:${hash}\n`)
  }

  async sign(fields, payload) {
    return hex(await crypto.subtle.sign('HMAC', this.mac, await Signer.rendering(fields, payload)))
  }

  async verify(fields, payload) {
    return crypto.subtle.verify('HMAC', this.mac, unhex(fields.sig), await Signer.rendering(fields, payload))
  }
}

// fieldsOf returns the fields of a frame that holds the signature of the next one; of any other frame, nothing.
function fieldsOf(frame) {
  try {
    const { jsonrpc, method, params, ...rest } = frame.length <= 2048 ? JSON.parse(frame) : {}
    const all = Object.entries(params)
    const form = all.length <= 12 && all.every(([name, value]) =>
      /^[a-z][a-z0-9_]{0,15}$/.test(name) && typeof value === 'string' && /^[!#-[\]-~]{1,128}$/.test(value))
    const digits = /^[0-9a-f]{64}$/.test(params.sig) && /^[0-9a-f]{32}$/.test(params.nonce) && /^(0|[1-9][0-9]{0,15})$/.test(params.ts)
    return jsonrpc === '2.0' && method === 'rpc.secinfo' && Object.keys(rest).length === 0 && form && digits ? params : null
  } catch {
    return null
  }
}

// Peer is a link to one peer, which lets the page in by a token, and knows it by its name and its key. What is not from
// that peer, for us, of now, whole and new ends the link. onclose is told why the link has ended.
export class Peer {
  #handlers = new Map([['rpc.ping', () => ({})]]) // by method
  #pending = new Map() // calls that we made, by id
  #running = new Map() // calls that we answer, by id
  #id = Math.floor(Math.random() * 2 ** 32)
  #started = Date.now()
  #nonces = { fresh: new Set(), old: new Set(), turned: Date.now() }
  #in = Promise.resolve() // what came in is verified, and what goes out signed, one after the other
  #out = Promise.resolve()
  #fields = null // of the frame to come
  #why = '' // we have ended the link
  onclose = () => {}

  // connect opens the link and introduces the page with what it binds: {"lab.camera": {version, side}}.
  async connect({ url, token, key, name, peer, apis = {} }) {
    this.name = name
    this.peer = peer
    this.signer = await Signer.of(key)
    this.ws = new WebSocket(url, ['jsonrpc.mesh.v1', `auth.${token}`])
    this.ws.binaryType = 'arraybuffer'
    await new Promise((resolve, reject) => {
      this.ws.onopen = resolve
      this.ws.onerror = () => reject(new Error('the peer does not let us in'))
    })
    this.ws.onmessage = ({ data }) => {
      const text = typeof data === 'string' ? data : new TextDecoder().decode(data)
      for (const frame of text.split('\0')) if (frame) this.#in = this.#in.then(() => this.#receive(frame))
    }
    this.ws.onclose = () => { this.#in = this.#in.then(() => this.#end()) } // after what came before
    const id = Array.from(random(32), (b) => 'abcdefghijklmnopqrstuvwxyz234567'[b & 31]).join('')
    const hello = this.call('rpc.hello', { v: '1', id, name, boot: `${this.#started}-${hex(random(4))}` })
    this.notify('rpc.apis', { apis })
    return hello
  }

  // on has handler(params, signal) run for a method. Its result, or what it throws, is the answer to a call; signal
  // tells it that nobody wants the answer any more.
  on(method, handler) { this.#handlers.set(method, handler) }

  notify(method, params = {}) { this.#send({ jsonrpc: '2.0', method, params }) }

  // call returns a promise of the result, for as many ms as are given.
  call(method, params = {}, ms = 30_000) {
    if (this.ws?.readyState !== WebSocket.OPEN) return Promise.reject(new Error('there is no link'))
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.notify('$/cancelRequest', { id })
        settle({ error: { code: -32046, message: 'no answer in time' } })
      }, ms)
      const settle = ({ result, error }) => {
        clearTimeout(timer)
        this.#pending.delete(id)
        error ? reject(Object.assign(new Error(error.message), { code: error.code })) : resolve(result)
      }
      this.#pending.set(id, settle)
      this.#send({ jsonrpc: '2.0', id, method, params, meta: { timeout_ms: ms } })
    })
  }

  close(why = 'it was closed here') {
    this.#why ||= why
    this.ws.close()
  }

  #send(message) {
    const payload = JSON.stringify(message)
    this.#out = this.#out.then(async () => {
      const fields = { v: '1', alg: 'HS256', kid: this.signer.kid, user: this.name, to: this.peer, ts: `${Date.now()}`, nonce: hex(random(16)) }
      fields.sig = await this.signer.sign(fields, payload)
      this.ws.send(JSON.stringify({ jsonrpc: '2.0', method: 'rpc.secinfo', params: fields }))
      this.ws.send(payload)
    })
  }

  #end() {
    for (const settle of this.#pending.values()) settle({ error: { message: 'the link ended' } })
    for (const abort of this.#running.values()) abort.abort()
    this.onclose(this.#why || 'the other end closed it')
  }

  async #receive(frame) {
    if (this.#why) return
    const fields = this.#fields
    this.#fields = fields ? null : fieldsOf(frame)
    if (this.#fields) return
    try {
      const message = await this.#verified(fields, frame)
      this.#answer([message].flat(), Array.isArray(message))
    } catch (error) {
      this.close(error.message)
    }
  }

  // verified returns the message that a frame holds, if it is from the peer, for us, of now, and new.
  async #verified(fields, frame) {
    const demand = (holds, otherwise) => { if (!holds) throw new Error(otherwise) }
    demand(fields, 'a message is not signed')
    demand(fields.v === '1' && fields.alg === 'HS256' && fields.kid === this.signer.kid, 'a message is signed with another key')
    demand(await this.signer.verify(fields, frame), 'a signature does not fit')
    demand(fields.user === this.peer, 'a message is from somebody else')
    const message = JSON.parse(frame)
    demand([message].flat().every((m) => m?.jsonrpc === '2.0'), 'a message is none')
    demand(fields.to === this.name || fields.to === '*' && message.method && !('id' in message), 'a message is for somebody else')
    const now = Date.now(), ts = Number(fields.ts), nonces = this.#nonces
    demand(Math.abs(now - ts) <= WINDOW && ts >= this.#started, 'a message is not of now')
    demand(!nonces.fresh.has(fields.nonce) && !nonces.old.has(fields.nonce), 'a message was here before')
    if (now - nonces.turned > 2 * WINDOW) Object.assign(nonces, { fresh: new Set(), old: nonces.fresh, turned: now })
    nonces.fresh.add(fields.nonce)
    return message
  }

  async #answer(messages, batch) {
    const answers = (await Promise.all(messages.map((m) => this.#handle(m)))).filter(Boolean)
    if (answers.length) this.#send(batch ? answers : answers[0])
  }

  // handle takes a message that is verified, and returns the answer where one is due.
  async #handle({ id, method, params, result, error }) {
    if (method === undefined) return void this.#pending.get(id)?.({ result, error })
    if (method === '$/cancelRequest' && id === undefined) return void this.#running.get(params?.id)?.abort()
    const handler = this.#handlers.get(method), abort = new AbortController()
    let answer = {}
    if (id !== undefined) this.#running.set(id, abort)
    try {
      if (!handler) throw Object.assign(new Error('method not found'), { code: -32601 })
      answer = { result: (await handler(params ?? {}, abort.signal)) ?? null }
      abort.signal.throwIfAborted()
    } catch (failed) {
      answer = { error: { code: abort.signal.aborted ? -32800 : failed.code ?? -32000, message: failed.message } }
    }
    this.#running.delete(id)
    return id !== undefined && { jsonrpc: '2.0', id, ...answer }
  }
}
