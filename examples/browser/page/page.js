// The page of the water bath. What comes from the mesh is shown as text, or drawn as a number; none of it becomes HTML.
import { Peer } from './peer.js'

const $ = (id) => document.getElementById(id)
const show = (id, text) => { $(id).textContent = text }
const degrees = (n) => (typeof n === 'number' ? n.toFixed(1) : '–')

const note = (text, kind) => {
  const line = document.createElement('li')
  line.textContent = `${new Date().toLocaleTimeString()}  ${text}`
  if (kind) line.className = kind
  $('log').prepend(line)
  while ($('log').childElementCount > 50) $('log').lastElementChild.remove()
}

const state = (name, text) => {
  document.body.dataset.link = name
  show('link', text)
  $('set').disabled = name !== 'linked'
}

const readings = []
const draw = (celsius, target) => {
  readings.push(celsius)
  if (readings.length > 121) readings.shift()
  const low = Math.min(target, ...readings) - 1, high = Math.max(target, ...readings) + 1
  const y = (value) => (100 * (high - value) / (high - low)).toFixed(2)
  $('line').setAttribute('points', readings.map((value, i) => `${600 + 5 * (i + 1 - readings.length)},${y(value)}`).join(' '))
  for (const end of ['y1', 'y2']) $('goal').setAttribute(end, y(target))
}

const peer = new Peer()
peer.onclose = (why) => {
  state('ended', 'the link ended')
  note(`The link ended: ${why}. The program prints an address for a new page.`, 'bad')
}

peer.on('lab.bath.reading', ({ celsius, target }) => {
  show('celsius', degrees(celsius))
  show('target', degrees(target))
  if (Number.isFinite(celsius) && Number.isFinite(target)) draw(celsius, target)
})

// The bath asks whoever sits here, in the middle of the call that it is about.
peer.on('lab.bath.confirm', ({ text }, signal) => new Promise((resolve) => {
  show('question', text)
  signal.onabort = () => $('ask').close('')
  $('ask').onclose = () => {
    note(`${text} ${$('ask').returnValue || 'No answer'}.`)
    resolve({ yes: $('ask').returnValue === 'Yes' })
  }
  $('ask').returnValue = ''
  $('ask').showModal()
}))

$('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const celsius = $('wanted').valueAsNumber
  $('set').disabled = true
  try {
    const { target } = await peer.call('lab.bath.set', { celsius }, 60_000)
    note(`The bath holds ${degrees(target)} °C.`)
  } catch (error) {
    note(`The bath says: ${error.message}.`, 'bad')
  }
  $('set').disabled = document.body.dataset.link !== 'linked'
})

// What stands behind the # is good for one page, and then for nobody.
const secret = location.hash.slice(1)
history.replaceState(null, '', '/')
try {
  const answer = await fetch('/key', { method: 'POST', headers: { Authorization: `Bearer ${secret}` } })
  if (!answer.ok) throw new Error('this address was used; the program has printed a new one')
  const access = await answer.json()
  const { name } = await peer.connect({ ...access, apis: { 'lab.bath': { version: '1.0.0', side: 'page' } } })
  state('linked', `${access.name} at ${name}`)
  note(`Linked with ${name} as ${access.name}.`)
} catch (error) {
  state('ended', 'no link')
  note(`No link: ${error.message}.`, 'bad')
}
