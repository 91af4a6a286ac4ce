// Tests of ../peer.js without a browser: node peer_test.mjs VECTORS. The other end of its WebSocket is this file.
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

globalThis.crypto ??= webcrypto
const dir = mkdtempSync(join(tmpdir(), 'peer'))
copyFileSync(new URL('../peer.js', import.meta.url), join(dir, 'peer.mjs')) // by the name node knows modules
const { Peer, Signer } = await import(pathToFileURL(join(dir, 'peer.mjs')))
rmSync(dir, { recursive: true })

const until = async (what, holds) => {
  for (const end = Date.now() + 10_000; !holds();) {
    assert.ok(Date.now() < end, `in vain waited for: ${what}`)
    await new Promise(setImmediate)
  }
}

// The vectors of the protocol, and what must not verify in place of the first.
const vectors = JSON.parse(readFileSync(process.argv[2], 'utf8'))
assert.ok(vectors.hmac.length >= 6)
for (const { name, key_hex: key, kid, secinfo, payload, signed_bytes: bytes, sig } of vectors.hmac) {
  const signer = await Signer.of(key)
  assert.equal(signer.kid, kid, name)
  assert.equal(new TextDecoder().decode(await Signer.rendering(secinfo, payload)), bytes, name)
  assert.equal(await signer.sign(secinfo, payload), sig, name)
  assert.equal(await signer.verify(secinfo, payload), true, name)
  await assert.rejects(crypto.subtle.exportKey('raw', signer.mac), name)
}
const [{ key_hex: key1, mac_key_hex: mac1, secinfo: fields1, payload: payload1 }] = vectors.hmac
const { nonce, ...without } = fields1
for (const [why, key, fields, payload] of [
  ['to', key1, { ...fields1, to: 'bob' }, payload1],
  ['user', key1, { ...fields1, user: 'alicf' }, payload1],
  ['ts', key1, { ...fields1, ts: '1767225600001' }, payload1],
  ['a field more', key1, { ...fields1, role: 'admin' }, payload1],
  ['a field less', key1, without, payload1],
  ['a space', key1, fields1, payload1 + ' '],
  ['glued', key1, { ...without, nonce, user: 'alice\nv=1:1', v: undefined }, payload1],
  ['the mac key for the key', mac1, fields1, payload1],
  ['another signature', key1, { ...fields1, sig: vectors.hmac[1].sig }, payload1],
  ['a short signature', key1, { ...fields1, sig: fields1.sig.slice(0, 62) }, payload1],
]) {
  for (const name of Object.keys(fields)) if (fields[name] === undefined) delete fields[name]
  assert.equal(await (await Signer.of(key)).verify(fields, payload), false, why)
}

// A link, and its other end.
class Socket {
  static OPEN = 1
  static last
  readyState = 0
  sent = []
  constructor(url, protocols) {
    Object.assign(this, { url, protocols })
    Socket.last = this
    queueMicrotask(() => { this.readyState = 1; this.onopen() })
  }
  send(text) { this.sent.push(text) }
  close() {
    if (this.readyState === 3) return
    this.readyState = 3
    queueMicrotask(() => this.onclose())
  }
}
globalThis.WebSocket = Socket

const KEY = '40'.repeat(32), signer = await Signer.of(KEY)
let count = 0
const NONCE = () => (++count).toString(16).padStart(32, '0')
const secinfo = (params) => JSON.stringify({ jsonrpc: '2.0', method: 'rpc.secinfo', params })
const signed = async (message, change = {}, by = signer) => {
  const payload = typeof message === 'string' ? message : JSON.stringify({ jsonrpc: '2.0', ...message })
  const fields = { v: '1', alg: 'HS256', kid: signer.kid, user: 'bath', to: 'page', ts: `${Date.now()}`, nonce: NONCE(), ...change }
  fields.sig ??= await by.sign(fields, payload)
  return [secinfo(fields), payload]
}
const link = async () => {
  Socket.last = undefined
  const peer = new Peer(), heard = []
  peer.on('hear', (params) => { heard.push(params) })
  peer.onclose = (why) => { peer.ended = why }
  const hello = peer.connect({ url: 'ws://127.0.0.1:1/mesh', token: 'T', key: KEY, name: 'page', peer: 'bath', apis: { a: { version: '1', side: 'page' } } })
  await until('the hello', () => Socket.last?.sent.length === 4)
  const socket = Socket.last
  assert.deepEqual(socket.protocols, ['jsonrpc.mesh.v1', 'auth.T'])
  const sent = async (n) => { // the nth payload that was sent, whose signature is good
    await until(`message ${n}`, () => socket.sent.length >= 2 * n)
    const { jsonrpc, method, params: fields } = JSON.parse(socket.sent[2 * n - 2]), payload = socket.sent[2 * n - 1]
    assert.deepEqual([jsonrpc, method, fields.user, fields.to, fields.kid], ['2.0', 'rpc.secinfo', 'page', 'bath', signer.kid])
    assert.ok(await signer.verify(fields, payload))
    assert.ok(Math.abs(Date.now() - fields.ts) < 10_000)
    return JSON.parse(payload)
  }
  const deliver = (...messages) => { for (const data of messages) socket.onmessage({ data }) }
  const { id, method, params } = await sent(1)
  assert.equal(method, 'rpc.hello')
  assert.equal(params.name, 'page')
  assert.match(params.id, /^[a-z2-7]{32}$/)
  assert.match(params.boot, /^\d{13}-[0-9a-f]{8}$/)
  assert.deepEqual(await sent(2), { jsonrpc: '2.0', method: 'rpc.apis', params: { apis: { a: { version: '1', side: 'page' } } } })
  deliver(...await signed({ id, result: { name: 'bath' } }))
  assert.deepEqual(await hello, { name: 'bath' })
  return { peer, socket, heard, sent, deliver }
}
const hear = (n) => ({ method: 'hear', params: { n } })
const joined = async (message, change) => (await signed(message, change)).join('\0')

// What is right is heard, in order, whatever way it comes.
{
  const { peer, heard, deliver, sent } = await link()
  deliver(...await signed(hear(0)))
  deliver(await joined(hear(1)), '', '\0', `\0${await joined(hear(2))}\0${await joined(hear(3))}\0`)
  deliver(new TextEncoder().encode(await joined(hear(4))).buffer)
  deliver(...await signed(hear(5), { to: '*', more: 'fields' }))
  deliver(...await signed(' {"params": {"n":6, "jsonrpc":1},"method":"hear","jsonrpc":"2.0", "x":"grüß ☃"}\r'))
  deliver(...await signed(JSON.stringify([{ jsonrpc: '2.0', ...hear(7) }, { jsonrpc: '2.0', id: 'b', method: 'rpc.ping' }])))
  deliver(...await signed({ method: 'nobody.knows' }), ...await signed({ method: 'rpc.apis', params: null }), ...await signed({ id: 99, result: 1 }))
  assert.deepEqual(await sent(3), [{ jsonrpc: '2.0', id: 'b', result: {} }])
  assert.deepEqual(heard.map(({ n }) => n), [0, 1, 2, 3, 4, 5, 6, 7])
  assert.equal(peer.ended, undefined)
}

// What is not ends the link, and is not heard.
const other = await Signer.of('41'.repeat(32)), ago = (ms) => ({ ts: `${Date.now() - ms}` })
const [info, payload] = await signed(hear(1))
const twice = await signed(hear(1), { nonce: 'ab'.repeat(16) })
for (const [name, why, ...frames] of [
  ['unsigned', 'a message is not signed', JSON.stringify({ jsonrpc: '2.0', ...hear(1) })],
  ['an unsigned error', 'a message is not signed', '{"jsonrpc":"2.0","id":null,"error":{"code":-32040,"message":"unauthenticated"}}'],
  ['a claim', 'a message is not signed', secinfo({ user: 'bath' }), payload],
  ['broken secinfo', 'a message is not signed', info.slice(0, -1), payload],
  ['a number for text', 'a message is not signed', info.replace('"v":"1"', '"v":1'), payload],
  ['an array for text', 'a message is not signed', info.replace('"v":"1"', '"v":["1"]'), payload],
  ['a space in a value', 'a message is not signed', ...await signed(hear(1), { more: 'a b' })],
  ['a quote in a value', 'a message is not signed', ...await signed(hear(1), { more: 'a"b' })],
  ['a long value', 'a message is not signed', ...await signed(hear(1), { more: 'a'.repeat(129) })],
  ['an odd name', 'a message is not signed', ...await signed(hear(1), { More: 'a' })],
  ['13 fields', 'a message is not signed', ...await signed(hear(1), { a: '1', b: '1', c: '1', d: '1', e: '1' })],
  ['a member beside', 'a message is not signed', info.replace('{', '{"id":1,'), payload],
  ['a long secinfo', 'a message is not signed', info + ' '.repeat(2048), payload],
  ['time not canonical', 'a message is not signed', ...await signed(hear(1), { ts: `0${Date.now()}` })],
  ['a nonce in upper case', 'a message is not signed', ...await signed(hear(1), { nonce: 'AB'.repeat(16) })],
  ['two in a row', 'a signature does not fit', info, info, payload],
  ['version 2', 'a message is signed with another key', ...await signed(hear(1), { v: '2' })],
  ['alg none', 'a message is signed with another key', ...await signed(hear(1), { alg: 'none' })],
  ['another kid', 'a message is signed with another key', ...await signed(hear(1), { kid: other.kid }, other)],
  ['another key', 'a signature does not fit', ...await signed(hear(1), {}, other)],
  ['another payload', 'a signature does not fit', info, payload.replace('1', '2')],
  ['another field', 'a signature does not fit', info.replace('"to":"page"', '"to":"*"'), payload],
  ['our own, sent back', 'a message is from somebody else', ...await signed(hear(1), { user: 'page', to: 'bath' })],
  ['somebody else', 'a message is from somebody else', ...await signed(hear(1), { user: 'eve' })],
  ['for somebody else', 'a message is for somebody else', ...await signed(hear(1), { to: 'desk' })],
  ['a call to all', 'a message is for somebody else', ...await signed({ id: 1, ...hear(1) }, { to: '*' })],
  ['a response to all', 'a message is for somebody else', ...await signed({ id: 1, result: 1 }, { to: '*' })],
  ['a batch to all', 'a message is for somebody else', ...await signed(`[${payload}]`, { to: '*' })],
  ['old', 'a message is not of now', ...await signed(hear(1), ago(61_000))],
  ['from before the start', 'a message is not of now', ...await signed(hear(1), ago(30_000))],
  ['of the future', 'a message is not of now', ...await signed(hear(1), ago(-70_000))],
  ['no JSON', undefined, ...await signed('{"jsonrpc":')],
  ['no message', 'a message is none', ...await signed('7')],
  ['null', 'a message is none', ...await signed('[null]')],
]) {
  const { peer, socket, heard, deliver } = await link()
  deliver(...frames, ...await signed(hear(2)))
  await until(`${name} to end the link`, () => peer.ended)
  if (why) assert.equal(peer.ended, why, name)
  assert.equal(socket.readyState, 3, name)
  assert.deepEqual(heard, [], name)
}
{
  const { peer, heard, deliver } = await link()
  deliver(...twice.map((frame) => frame.replace(/"ts":"\d+"/, '')), ...twice) // the first is malformed
  await until('the end', () => peer.ended)
  assert.deepEqual(heard, [])
}
{
  const { peer, heard, deliver } = await link()
  const again = await signed(hear(1))
  deliver(...again, ...again)
  await until('the end', () => peer.ended)
  assert.equal(peer.ended, 'a message was here before')
  assert.deepEqual(heard, [{ n: 1 }])
}

// It is called, and every call is answered once.
{
  const { peer, sent, deliver } = await link()
  let asked
  peer.on('double', async ({ n }) => 2 * n)
  peer.on('fail', () => { throw new Error('no') })
  peer.on('nothing', () => {})
  peer.on('wait', (_, signal) => new Promise((resolve) => { asked = signal; signal.onabort = resolve }))
  for (const [method, params, answer] of [
    ['double', { n: 4 }, { result: 8 }],
    ['fail', {}, { error: { code: -32000, message: 'no' } }],
    ['nothing', undefined, { result: null }],
    ['rpc.ping', null, { result: {} }],
    ['constructor', {}, { error: { code: -32601, message: 'method not found' } }],
    ['__proto__', {}, { error: { code: -32601, message: 'method not found' } }],
  ].values()) {
    const n = Socket.last.sent.length / 2 + 1
    deliver(...await signed({ id: n, method, params }))
    assert.deepEqual(await sent(n), { jsonrpc: '2.0', id: n, ...answer }, method)
  }
  const n = Socket.last.sent.length / 2 + 1
  deliver(...await signed({ id: 'w', method: 'wait' }), ...await signed({ id: null, method: 'rpc.ping' }))
  assert.deepEqual(await sent(n), { jsonrpc: '2.0', id: null, result: {} }) // while the other waits
  deliver(...await signed({ method: '$/cancelRequest', params: { id: 'x' } }), ...await signed({ method: '$/cancelRequest', params: { id: 'w' } }))
  assert.equal((await sent(n + 1)).error.code, -32800)
  deliver(...await signed({ id: 'v', method: 'wait' }))
  await until('the call', () => !asked.aborted)
  peer.close()
  await until('the end', () => asked.aborted)
  assert.equal(peer.ended, 'it was closed here')
}

// It calls.
{
  const { peer, sent, deliver } = await link()
  const first = peer.call('get', { n: 1 })
  const second = assert.rejects(peer.call('get', { n: 2 }), { message: 'forbidden', code: -32043 })
  const late = assert.rejects(peer.call('get', {}, 50), { code: -32046 })
  const never = assert.rejects(peer.call('get'), { message: 'the link ended' })
  const { id, meta, params } = await sent(3)
  assert.deepEqual([meta, params], [{ timeout_ms: 30_000 }, { n: 1 }])
  deliver(...await signed({ id: `${id}`, result: 'not the id' }), ...await signed({ id: (await sent(4)).id, error: { code: -32043, message: 'forbidden' } }), ...await signed({ id, result: { ok: 1 } }))
  assert.deepEqual(await first, { ok: 1 })
  await second
  await late
  assert.deepEqual(await sent(7), { jsonrpc: '2.0', method: '$/cancelRequest', params: { id: (await sent(5)).id } })
  deliver(...await signed({ id: (await sent(5)).id, result: 'too late' }))
  const last = peer.call('get')
  deliver(...await signed({ id: (await sent(8)).id, result: 'in time' }))
  Socket.last.close()
  assert.equal(await last, 'in time')
  await never
  await until('the end', () => peer.ended)
  assert.equal(peer.ended, 'the other end closed it')
  await assert.rejects(peer.call('get'), { message: 'there is no link' })
}
console.log('all is well')
