// What a form makes of a JSON Schema.
import assert from 'node:assert/strict'
import { field, paramsOf, initial, example, fits, methods, typeText } from './schema.js'

const root = { components: { schemas: {
  point: { type: 'object', properties: { x: { type: 'number' }, y: { type: 'number', default: 2 } }, required: ['x', 'y'] },
  tree: { type: 'object', properties: { name: { type: 'string' }, kids: { type: 'array', items: { $ref: '#/components/schemas/tree' } } } },
  loop: { $ref: '#/components/schemas/loop' },
} } }
const kinds = [
  [{ type: 'string' }, 'string', ''],
  [{ type: 'integer', minimum: 5 }, 'integer', 5],
  [{ type: 'number', minimum: -10, maximum: -5 }, 'number', -5],
  [{ type: 'boolean' }, 'boolean', false],
  [{ enum: ['a', 1] }, 'enum', 'a'],
  [{ const: 7 }, 'const', 7],
  [{ type: 'null' }, 'const', null],
  [{ type: 'array', items: { type: 'string' } }, 'array', []],
  [{ type: 'array', items: { type: 'string' }, minItems: 2 }, 'array', ['', '']],
  [{ $ref: '#/components/schemas/point' }, 'object', { x: 0, y: 2 }],
  [{ type: 'string', default: 'd' }, 'string', 'd'],
  [{ type: 'string', examples: ['e'] }, 'string', 'e'],
  [{ type: ['string', 'null'] }, 'string', null],
  [{ type: 'integer', nullable: true }, 'integer', null],
  [{ anyOf: [{ type: 'integer', maximum: 3 }, { type: 'null' }] }, 'integer', null],
  [{ allOf: [{ $ref: '#/components/schemas/point' }, { type: 'object', properties: { z: { type: 'string' } }, required: ['z'] }] }, 'object', { z: '', x: 0, y: 2 }],
  [{ oneOf: [{ type: 'string' }, { type: 'integer' }] }, 'json', null],
  [{ anyOf: [{ type: 'string' }, { type: 'integer' }, { type: 'null' }] }, 'json', null],
  [{ type: ['string', 'integer'] }, 'json', null],
  [{ type: 'object' }, 'json', null],
  [{ type: 'object', patternProperties: {} }, 'json', null],
  [{ type: 'array' }, 'json', null],
  [{ $ref: '#/components/schemas/none' }, 'json', null],
  [{ $ref: '#/components/schemas/loop' }, 'json', null],
  [{ $ref: 'https://elsewhere.example/x' }, 'json', null],
  [true, 'json', null], [false, 'json', null], [{}, 'json', null], [undefined, 'json', null],
]
for (const [schema, kind, begin] of kinds) {
  const f = field(schema, root)
  assert.equal(f.kind, kind, JSON.stringify(schema))
  assert.deepEqual(initial(f), begin, JSON.stringify(schema))
  assert.ok(fits(f, initial(f)) , JSON.stringify(schema))
}
const tree = field({ $ref: '#/components/schemas/tree' }, root) // it ends
assert.equal(tree.fields[1].items.kind, 'object')
assert.ok(field({ type: 'string', writeOnly: true }).secret)
assert.ok(!fits(field({ type: 'number' }, root), { text: '1' }))
assert.equal(typeText(field({ type: 'null' }, root)), 'null')

const snap = { name: 'lab.camera.snap', result: { name: 'Image', schema: {} }, examples: [{ params: [{ name: 'exposure_ms', value: 20 }] }],
  params: [{ name: 'exposure_ms', description: 'how long', schema: { type: 'integer', minimum: 0, maximum: 1000, default: 10 } }, { name: 'mode', required: true, schema: { enum: ['fast', 'fine'] } }, { $ref: '#/components/contentDescriptors/none' }] }
const f = paramsOf(snap, root)
assert.deepEqual(f.fields.map((x) => [x.name, x.kind, x.required, x.description]), [['exposure_ms', 'integer', false, 'how long'], ['mode', 'enum', true, undefined]])
assert.deepEqual(initial(f), { mode: 'fast' })
assert.deepEqual(example(snap), { exposure_ms: 20 })
assert.equal(example({}), undefined)
assert.equal(paramsOf({ 'x-params': { type: 'array', items: { type: 'number' } } }, root).kind, 'array')
assert.equal(typeText(f.fields[0]), 'integer 0..1000')
assert.equal(typeText(field({ type: ['array', 'null'], items: { enum: ['a', 'b'] } })), 'array of "a" | "b" or null')

for (const [value, ok] of [[{}, true], [{ exposure_ms: 1, other: 2 }, true], [{ exposure_ms: 'x' }, false], [[1], false], [null, false], ['x', false], [undefined, true]]) {
  assert.equal(fits(f, value), ok, JSON.stringify(value))
}

const gain = { name: 'lab.camera.gain', params: [] }
const list = methods({ docs: { k1: { methods: [snap, gain], 'x-outgoing': [{ name: 'lab.camera.frame', params: [] }] }, k2: { methods: [{ name: 'lab.camera.frame', params: [] }], 'x-outgoing': [snap] } }, peers: { cam2: 'k1', cam1: 'k1', desk: 'k2' } })
assert.deepEqual(list.map((m) => [m.name, m.api, m.call, m.peers.join(' '), m.senders.join(' ')]), [
  ['lab.camera.frame', 'lab.camera', false, 'desk', 'cam1 cam2'],
  ['lab.camera.gain', 'lab.camera', false, 'cam1 cam2', ''],
  ['lab.camera.snap', 'lab.camera', true, 'cam1 cam2', 'desk'],
])
