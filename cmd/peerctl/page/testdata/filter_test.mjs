// The filter's language.
import assert from 'node:assert/strict'
import { parse, glob, duration, words } from './filter.js'

const rows = {
  request: { kind: 'request', method: 'lab.camera.snap', from: 'desk', to: ['cam1', 'cam2'], params: '{"exposure_ms":20}', conv: 'desk/7' },
  slow: { kind: 'reply', method: 'lab.camera.snap', from: 'cam1', to: ['desk'], ms: 20, result: '{"width":640}', conv: 'desk/7' },
  fast: { kind: 'reply', method: 'lab.camera.snap', from: 'cam2', to: ['desk'], ms: 0.5, conv: 'desk/7' },
  error: { kind: 'error', method: 'lab.stage.home', from: 'stage', to: ['desk'], message: 'Stuck', ms: 30 },
  notify: { kind: 'notify', method: 'lab.camera.frame', from: 'cam1', to: ['desk'], all: true },
  security: { kind: 'security', from: 'pi-old', to: ['desk'], reason: 'key' },
  peer: { kind: 'peer', peer: 'cam1', event: 'joined', address: '127.0.0.1:4000' },
  lost: { kind: 'note', method: 'lab.door.open', from: 'pi-old', to: ['shed'], text: 'nobody handles it' },
  own: { kind: 'request', method: 'rpc.ping', from: 'desk', to: ['cam1'] },
}
const cases = {
  '': 'request slow fast error notify security peer lost',
  'lab.*': 'request slow fast error notify lost',
  'lab.camera.*': 'request slow fast notify',
  'lab.camera.snap': 'request slow fast',
  'lab.stage.* lab.camera.f*': 'error notify',
  'rpc.*': 'own',
  'rpc.ping': 'own',
  'from:cam1': 'slow notify',
  'from:cam1,cam2 kind:reply': 'slow fast',
  'from:cam1 from:cam2 kind:reply': 'slow fast',
  'to:cam2': 'request',
  'peer:cam1': 'request slow notify peer',
  'kind:error,security': 'error security',
  'errors': 'error security lost',
  'slower:10ms': 'slow error',
  'slower-than:25ms': 'error',
  'slower:.5': 'slow fast error',
  'slower:1s': '',
  'conv:desk/7': 'request slow fast',
  'EXPOSURE': 'request',
  'stuck': 'error',
  'width 640': 'slow',
  '!kind:reply lab.camera.*': 'request notify',
  '!errors !from:cam1 !peer:cam1': 'fast',
  '!"camera.snap"': 'error notify security peer lost',
  'lab.[cs]*.s*': 'request slow fast',
  'lab.camera.sna?': 'request slow fast',
}
for (const [text, want] of Object.entries(cases)) {
  const f = parse(text)
  assert.equal(f.error, '', text)
  assert.equal(Object.keys(rows).filter((name) => f.matches(rows[name])).join(' '), want, text)
}
for (const [text, want] of Object.entries({ 'kind:replay': 'there is no kind “replay”', 'slower:fast': '“fast” is no time', 'from:': 'from: wants', 'lab.[': 'is no pattern' })) {
  const f = parse(text)
  assert.ok(f.error.includes(want), `${text}: ${f.error}`)
  assert.ok(Object.values(rows).every(f.matches), 'what is half typed hides nothing')
}
assert.deepEqual(['10ms', '1.5s', '250us', '2m', '7', 'x', '', '1h'].map(duration), [10, 1500, 0.25, 120000, 7, NaN, NaN, NaN])
assert.deepEqual(words('a "b c" from:"d e" !"f g" h'), ['a', 'b c', 'from:d e', '!f g', 'h'])
for (const [pattern, yes, no] of [['a.b', 'a.b', 'axb'], ['a*', 'a.b.c', 'a/b'], ['a\\*', 'a*', 'ab'], ['[^a]x', 'bx', 'ax'], ['a+(b)|$^', 'a+(b)|$^', 'aab']]) {
  assert.ok(glob(pattern)(yes) && !glob(pattern)(no), pattern)
}
