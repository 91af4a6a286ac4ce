// The other pure functions: diff, conversations, copies, the store, lanes, the graph, tables, texts.
import assert from 'node:assert/strict'
import { diff, around } from './diff.js'
import { conversation, split, micros } from './conversation.js'
import { command, goCode, message } from './copyas.js'
import { Store, maxRows } from './store.js'
import { lanes, step, maxLevels } from './lanes.js'
import { circle, links, width } from './circle.js'
import { sorted } from './sort.js'
import { parse } from './json.js'
import { ms, rate, sign, who, verdict, clean, clock } from './format.js'

// diff
assert.deepEqual(diff({ a: 1, b: [1, 2], c: 'x', same: { x: 1 } }, { a: 3.5, b: [1], d: null, same: { x: 1 } }), [
  { path: 'a', was: 1, is: 3.5, by: 2.5 }, { path: 'b[1]', was: 2 }, { path: 'c', was: 'x' }, { path: 'd', is: null }])
assert.deepEqual(diff(1, 1), [])
assert.deepEqual(diff([1], { 0: 1 }), [{ path: '(all)', was: [1], is: { 0: 1 } }])
assert.deepEqual(diff(parse('{"n":12345678901234567890}'), parse('{"n":12345678901234567890}')), [])
assert.equal(diff(parse('{"n":12345678901234567890}'), parse('{"n":12345678901234567891}')).length, 1)
assert.deepEqual(diff({ text: 'a' }, { text: 'b' }), [{ path: 'text', was: 'a', is: 'b' }])
assert.deepEqual(diff(0.1, 0.3)[0].by, 0.2)
assert.deepEqual(around('abc', 'abd'), ['abc', 'abd'])
assert.deepEqual(around('x'.repeat(100) + 'a', 'x'.repeat(100) + 'bc', 30), ['…' + 'x'.repeat(10) + 'a', '…' + 'x'.repeat(10) + 'bc'])
assert.deepEqual(around('', 'y'.repeat(100), 30), ['', 'y'.repeat(30) + '…'])
assert.equal(diff(Array(1000).fill(1), Array(1000).fill(2)).length, 200)

// conversations
const t = (us) => `2026-11-20T12:00:00.${String(us).padStart(6, '0')}Z`
const asked = { seq: 1, kind: 'request', t: t(1000), from: 'desk', to: ['cam1', 'cam2', 'stage'], conv: 'desk/7', method: 'lab.snap', params: '{"n":1}' }
const reply = { seq: 3, kind: 'reply', t: t(6000), from: 'cam1', to: ['desk'], ms: 5, queue_ms: 0.5, net_ms: 0.25, wait_ms: 0.25, handler_ms: 3, conv: 'desk/7', method: 'lab.snap', result: '1' }
const late = { seq: 2, kind: 'error', t: t(9000), from: 'cam2', to: ['desk'], ms: 8, conv: 'desk/7', method: 'lab.snap', message: 'no', code: 7 }
const c = conversation([late, reply, asked])
assert.deepEqual([c.asked, c.silent, c.replies.map((r) => r.seq), c.length], [['cam1', 'cam2', 'stage'], ['stage'], [3, 2], 8])
assert.deepEqual(c.bars.map((b) => [b.row.seq, b.start, b.end]), [[1, 0, 0], [3, 0, 5], [2, 0, 8]])
assert.deepEqual(conversation([reply]).silent, [])
assert.deepEqual(split(reply).map((p) => [p.part, p.ms]), [['queue', 0.5], ['net', 0.25], ['wait', 0.25], ['handler', 3], ['rest', 1]])
assert.deepEqual(split({ ms: 2 }), [{ part: 'rest', name: 'way back and the rest', ms: 2 }])
assert.deepEqual(split({}), [])
assert.equal(micros('2026-11-20T12:00:00.123456789Z') - micros('2026-11-20T12:00:00Z'), 123456)

// copies
const r = { kind: 'request', method: 'lab.snap', to: ['cam1', 'my cam'], params: `{"ms":20,"s":"it's","t":"true","o":{"a":[1]},"e":"","n":12345678901234567890,"f":"@x"}` }
assert.equal(command(r, 'lab'), `peerctl --mesh lab call lab.snap ms=20 's=it'\\''s' 't:="true"' 'o:={"a":[1]}' 'e:=""' n=12345678901234567890 'f:="@x"' --to cam1,'my cam'`)
assert.equal(command({ kind: 'notify', method: 'm', all: true, to: ['a'], params: '[1]' }, 'default'), `printf %s '[1]' | peerctl notify m -`)
assert.equal(command({ kind: 'request', method: 'm', to: ['a'] }), 'peerctl call m --to a')
assert.equal(goCode({ kind: 'request', method: 'm', to: ['a'], params: '{"x":1}' }), 'result, err := p.Request(ctx, nil, "m", api.To("a"), []byte(`{"x":1}`), nil)')
assert.ok(goCode({ kind: 'notify', method: 'm', all: true, params: '"`"' }).includes('api.All, []byte("\\"`\\"")'))
assert.ok(goCode({ kind: 'request', method: 'm', to: ['a', 'b'] }).startsWith('err := p.RequestEach(ctx, nil, "m", api.To("a", "b"), nil, func('))
assert.equal(message({ ...asked, id: '7' }), '{"jsonrpc":"2.0","id":7,"method":"lab.snap","params":{"n":1}}')
assert.equal(message({ ...late, id: '"x"', data: '[1]' }), '{"jsonrpc":"2.0","id":"x","error":{"code":7,"message":"no","data":[1]}}')
assert.equal(message({ kind: 'reply', id: '1' }), '{"jsonrpc":"2.0","id":1,"result":null}')

// the store
const store = new Store()
store.filter((x) => x.seq % 2 === 0)
for (let i = 1; i <= 25_000; i++) store.add([{ seq: i, kind: 'notify', method: `m${i % 3}`, params: `${i}` }])
assert.ok(store.rows.length >= maxRows && store.rows.length <= maxRows + 500)
assert.equal(store.shown.length + store.cut, 12_500)
assert.equal(store.shown.length, store.rows.filter((x) => x.seq % 2 === 0).length)
assert.equal(store.find(24_999).seq, 24_999)
assert.equal(store.find(1), undefined)
assert.equal(store.previous(store.find(25_000)).seq, 24_997)
const heavy = new Store()
for (let i = 1; i <= 200; i++) heavy.add([{ seq: i, params: 'x'.repeat(1 << 20) }], 1)
assert.ok(heavy.chars <= 24 << 20 && heavy.rows.length >= 20 && heavy.rows.at(-1).seq === 200 && heavy.missing === 200)

// lanes
const bar = (seq, from, at, took) => ({ seq, kind: 'reply', from, to: ['desk'], t: new Date(at).toISOString(), ms: took })
const l = lanes([bar(1, 'cam1', 1000, 100), bar(2, 'cam1', 1050, 100), bar(3, 'cam1', 1200, 100), bar(4, 'cam2', 9000, 1), { seq: 5, kind: 'notify', from: 'cam2', to: ['desk'], t: new Date(1100).toISOString() }], 900, 2000, ['desk'])
assert.deepEqual(l.lanes, [{ name: 'desk', levels: 1 }, { name: 'cam1', levels: 2 }, { name: 'cam2', levels: 1 }])
assert.deepEqual(l.bars.map((b) => [b.row.seq, b.level]), [[1, 0], [2, 1], [3, 0]])
assert.equal(l.ticks.length, 1)
assert.equal(lanes(Array.from({ length: 100 }, (_, i) => bar(i, 'a', 1000 + i, 500)), 0, 3000).lanes.find((x) => x.name === 'a').levels, maxLevels)
assert.deepEqual([[5000, 10], [60_000, 8], [0.3, 5]].map(([a, b]) => Number(step(a, b).toPrecision(3))), [500, 10_000, 0.1])

// the graph
assert.deepEqual(circle(1, 100, 100, 10)[0], { x: 50, y: 10 })
assert.ok(circle(7, 720, 360, 60).every((p) => p.x >= 59 && p.x <= 661 && p.y >= 59 && p.y <= 301))
const found = links([{ name: 'desk' }, { name: 'cam1', state: 'linked' }, { name: 'cam2', state: 'suspect' }], [{ from: 'desk', to: 'cam1', rate: 1 }, { from: 'cam1', to: 'desk', rate: 2 }, { from: 'cam1', to: 'cam2', rate: 4 }, { from: 'x', to: 'desk', rate: 1 }])
assert.deepEqual(found.map((x) => [x.a, x.b, x.rate, x.state]), [['cam1', 'desk', 3, 'linked'], ['cam2', 'desk', 0, 'suspect'], ['cam1', 'cam2', 4, 'linked']])
assert.ok(width(0) < width(10) && width(1e9) === 10)

// tables
const rowsOf = [{ m: 'b', v: 2 }, { m: 'a', v: null }, { m: 'c', v: 10 }]
assert.deepEqual(sorted(rowsOf, 'v', false).map((x) => x.m), ['c', 'b', 'a'])
assert.deepEqual(sorted(rowsOf, 'v', true).map((x) => x.m), ['b', 'c', 'a'])
assert.deepEqual(sorted(rowsOf, 'm', true).map((x) => x.m), ['a', 'b', 'c'])

// texts
assert.deepEqual([undefined, 0, 0.05, 1.234, 18.25, 412.4, 12_000].map(ms), ['–', '0', '50 µs', '1.23 ms', '18.3 ms', '412 ms', '12.0 s'])
assert.deepEqual([0, 0.5, 12.34, 4321].map(rate), ['0', '0.50', '12.3', '4 321'])
assert.deepEqual([sign({ kind: 'notify', all: true }), sign({ kind: 'error' }), sign({ kind: 'peer', event: 'left' })], ['⇉', '✗', '−'])
assert.deepEqual(who(reply), ['desk', 'cam1'])
assert.deepEqual(who({ kind: 'notify', all: true, from: 'a', to: ['b', 'c'] }), ['a', 'all (2)'])
assert.equal(verdict({ alg: 'S-HS256', sealed: true, user: 'cam1', ok: true }).text, 'sealed as cam1')
assert.equal(verdict({ alg: 'none', ok: true }).weak, true)
assert.equal(verdict({ alg: 'HS256', ok: false }).ok, false)
assert.equal(verdict(undefined).unknown, true)
assert.equal(clean('a\u202eb\nc\u0000'), 'a·b·c·')
assert.equal(clock('2026-11-20T12:30:25.120481Z'), '12:30:25.120')
