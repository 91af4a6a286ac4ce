// What all views share. Signals redraw those who read them.
import { signal, computed, effect, batch } from './html.js'
import * as net from './net.js'
import { Store } from './store.js'
import { parse } from './filter.js'

export const store = new Store()
export const changed = signal(0)           // grows with each batch of records
export const status = signal({ link: 'linking' })
export const online = signal(true)         // whether peerctl itself is there
export const documents = signal({ version: 0, docs: {}, peers: {} })
export const filterText = signal('')
export const filter = computed(() => parse(filterText.value))
export const paused = signal(undefined)    // what was shown when it was paused
export const waiting = computed(() => (changed.value, paused.value ? store.shown.length + store.cut - paused.value.end : 0))
export const selected = signal(0)          // number of the record in the drawer; 0: none
export const reveal = signal(false)        // whether secrets are shown
export const route = signal('traffic')
export const toast = signal('')
export const draft = signal(undefined)     // a call to begin with: {method, params, to}

export const refused = signal([])          // peers that were refused, as their records say

export const mesh = computed(() => status.value.mesh ?? { mesh: '', peers: [] })
export const self = computed(() => mesh.value.peers[0]?.name ?? '')

// shown is what the list draws: a live array, or what was there at the pause.
export const shown = () => paused.value?.rows ?? store.shown

effect(() => {
  const { matches } = filter.value
  store.filter(matches)
  batch(() => {
    paused.value = undefined
    changed.value = changed.peek() + 1
  })
})

export function pause() {
  paused.value = paused.value ? undefined : { rows: store.shown.slice(), end: store.shown.length + store.cut, cut: store.cut }
}

let epoch = ''
let close = () => {}

// connect opens the stream, again when what it shall hide has changed.
export function connect() {
  close()
  let fresh = true
  close = net.stream(reveal.peek(), {
    hello: (h) => {
      if (fresh || h.epoch !== epoch) {
        store.clear()
        store.filter(filter.peek().matches)
        paused.value = undefined
      }
      fresh = false
      epoch = h.epoch
      online.value = true
    },
    records: (b) => {
      store.add(b.rows, b.missing)
      notePeers(b.rows)
      redraw()
    },
    status: (s) => {
      status.value = s.mesh ? s : { ...s, mesh: status.peek().mesh }
      if (s.docs !== documents.peek().version) fetchDocuments()
    },
    lost: (forever) => {
      online.value = false
      if (forever) setTimeout(connect, 2000)
    },
  })
}

// redraw tells the views of new records, ten times a second at most.
let drawn = 0
let due
function redraw() {
  if (due) return
  due = setTimeout(() => {
    due = undefined
    drawn = performance.now()
    changed.value++
  }, Math.max(0, drawn + 100 - performance.now()))
}

// notePeers keeps who was refused until he comes in.
function notePeers(rows) {
  let list = refused.peek()
  for (const r of rows) {
    if (r.kind !== 'peer' || r.event !== 'refused' && r.event !== 'joined' && r.event !== 'back') continue
    list = list.filter((x) => x.peer !== r.peer)
    if (r.event === 'refused') list = [...list, r].slice(-20)
  }
  refused.value = list
}

let fetching = false
async function fetchDocuments() {
  if (fetching) return
  fetching = true
  try {
    documents.value = await net.docs()
  } catch {
    // the next status tells of them again
  }
  fetching = false
}

export function setReveal(on) {
  reveal.value = on
  selected.value = 0
  connect()
}

let timer
export function say(text) {
  toast.value = text
  clearTimeout(timer)
  timer = setTimeout(() => { toast.value = '' }, 4000)
}

export function go(name) {
  if (location.hash !== `#/${name}`) location.hash = `#/${name}`
}

// row returns a record that is held, in the list or not.
export const row = (seq) => store.find(seq) ?? paused.peek()?.rows.find((r) => r.seq === seq)

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text)
    say(`${what} is in the clipboard`)
  } catch {
    say('The browser did not let the page write to the clipboard')
  }
}

export function download(blob, name) {
  const a = document.createElement('a')
  a.href = URL.createObjectURL(blob)
  a.download = name
  a.click()
  setTimeout(() => URL.revokeObjectURL(a.href), 1000)
}
