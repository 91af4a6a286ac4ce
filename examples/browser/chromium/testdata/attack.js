// What a page of another origin can try. Each attempt's outcome is 'refused', 'unreadable' (the browser has sent
// something and shows no answer), or what it got.
const CALL = '{"jsonrpc":"2.0","id":1,"method":"open.ask","params":{}}'
const TELL = '{"jsonrpc":"2.0","method":"open.tell","params":{}}'

const socket = (url, protocols) => new Promise((done) => {
  const ws = new WebSocket(url, protocols)
  ws.onopen = () => { ws.send(TELL); ws.send(CALL) }
  ws.onmessage = ({ data }) => { done(`got ${data}`); ws.close() }
  ws.onerror = () => done('refused')
})

const request = (url, options) => fetch(url, options).then(
  async (answer) => (answer.type === 'opaque' ? 'unreadable' : `${answer.status} ${await answer.text()}`), () => 'refused')

const load = (name, attributes, parent = document.body) => new Promise((done) => {
  const element = Object.assign(document.createElement(name), attributes)
  element.onload = () => done('loaded')
  element.onerror = () => done('refused')
  parent.append(element)
})

const form = (action) => new Promise((done) => {
  const frame = Object.assign(document.createElement('iframe'), { name: `f${Math.random()}` })
  document.body.append(frame)
  const sent = Object.assign(document.createElement('form'), { action, method: 'POST', enctype: 'text/plain', target: frame.name })
  sent.append(Object.assign(document.createElement('input'), { name: TELL.slice(0, -2), value: '}}' })) // {…,"params":{=}}
  document.body.append(sent)
  frame.onload = () => done('unreadable')
  sent.submit()
})

// sockets tries to open WebSockets, with whatever tokens there are.
async function sockets(host, tokens = []) {
  const outcomes = []
  for (const protocols of [[], ['jsonrpc.mesh.v1'], ...tokens.map((token) => ['jsonrpc.mesh.v1', `auth.${token}`])])
    outcomes.push(await socket(`ws://${host}/mesh`, protocols))
  return outcomes
}

// posts tries to have a call or a notification run.
async function posts(host) {
  const url = `http://${host}/rpc`, json = { 'Content-Type': 'application/json' }
  return [
    await request(url, { method: 'POST', body: CALL }),
    await request(url, { method: 'POST', body: CALL, headers: json }),
    await request(url, { method: 'POST', body: TELL, headers: json, credentials: 'include', keepalive: true }),
    await request(url, { method: 'POST', body: TELL, mode: 'no-cors' }),
    await request(url, { method: 'POST', body: new Blob([CALL], { type: 'text/plain' }), mode: 'no-cors' }),
    await request(url, { method: 'PUT', body: CALL, headers: json }),
    await form(url),
  ]
}

// elsewhere runs an attack in a frame whose origin is null, and returns its outcomes.
function elsewhere(attributes) {
  return new Promise((done) => {
    addEventListener('message', ({ data, origin }) => done({ ...data, origin }), { once: true })
    document.body.append(Object.assign(document.createElement('iframe'), attributes))
  })
}
