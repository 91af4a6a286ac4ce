// JSON as text: nothing changes on its way to the eye, and back.
import assert from 'node:assert/strict'
import { tokens, prettyText, compact, size, parse, stringify, Literal } from './json.js'

assert.equal(prettyText('{"a":[1,2,3],"b":{"c":"x, {y}"},"d":[],"e":{},"f":12345678901234567890,"g":[{"h":null}]}'), `{
  "a": [1, 2, 3],
  "b": {
    "c": "x, {y}"
  },
  "d": [],
  "e": {},
  "f": 12345678901234567890,
  "g": [
    {
      "h": null
    }
  ]
}`)
for (const text of ['1', '"a\\"b\\\\"', 'null', '[1.50,-0,1e400]', '{"":0}', '{"\\u0041":"\\ud83d\\ude00"}', '{"a":{"a":{"a":[[[]]]}}}']) {
  assert.equal(prettyText(text).replace(/\n\s*|(?<=[,:]) /g, ''), text)
}
assert.ok(prettyText('{"a":"cut in the mid').includes('cut in the mid'))
assert.ok(prettyText('[[[[[[').length > 0 && prettyText(']]]}').length > 0)
assert.deepEqual(tokens('{"a": "b"}').map((t) => t.kind), ['mark', 'name', 'mark', 'string', 'mark'])

assert.equal(compact('{"exposure_ms":20,"mode":"fine mode","crop":{"w":1,"h":[1,2]},"s":"a=b"}'), 'exposure_ms=20 mode=fine mode crop={w:1 h:[1 2]} s="a=b"')
assert.equal(compact('[1,"a"]'), '[1 a]')
assert.equal(compact('"x"'), 'x')
assert.equal(compact(''), '')
assert.equal(compact(`{"png":"${'A'.repeat(5000)}"}`), 'png=…')
assert.equal(compact(`{"png":"${'A'.repeat(500)}","n":1}`), 'png=<500 B> n=1')
assert.ok(compact(JSON.stringify({ a: Array(1000).fill('x') })).length <= 161)
assert.deepEqual([999, 1500, 48_000, 2_500_000].map(size), ['999 B', '1.5 kB', '48 kB', '2.5 MB'])

const odd = '{"id":12345678901234567890,"list":[9007199254740993,1],"x":{"y":1.5},"__proto__":1}'
const value = parse(odd)
assert.ok(value.id instanceof Literal && value.list[0] instanceof Literal && value.list[1] === 1 && value.x.y === 1.5)
assert.equal(stringify(value, 0), odd)
assert.equal({}.polluted, undefined)
assert.deepEqual(parse('{"a":[1,{"b":null}]}'), { a: [1, { b: null }] })
assert.throws(() => parse('{"a":'), SyntaxError)
assert.equal(stringify({ a: undefined, b: [], c: {}, d: [1, { e: 'f' }] }), `{
  "b": [],
  "c": {},
  "d": [
    1,
    {
      "e": "f"
    }
  ]
}`)
