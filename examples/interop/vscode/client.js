// vscode-jsonrpc, with which editors talk to language servers, talks to a peer: node client.js HOST:PORT
// It prints what comes of it, a line for each. Where the peer serves "count" (see ../interop_test.go), it is tried too.
import net from 'node:net'
import rpc from 'vscode-jsonrpc/node'

const [host, port] = process.argv[2].split(':')
const socket = net.connect(Number(port), host)

// Progress is asked for in the member "meta", which vscode-jsonrpc does not know; its writer puts it there.
class Writer extends rpc.StreamMessageWriter {
  write(message) {
    return super.write(message.method === 'count.up' ? { ...message, meta: { progress: 'counting' } } : message)
  }
}

const connection = rpc.createMessageConnection(new rpc.StreamMessageReader(socket), new Writer(socket))
const print = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`)
const code = (promise) => promise.then((result) => `answered ${result}`, (error) => error.code)

connection.onError(([error]) => print('error', error.message))
connection.onRequest('editor.ask', (params) => `asked for ${params.what}`)
connection.onNotification('editor.tell', (params) => print('told', params))
connection.listen()

print('by position', await connection.sendRequest('subtract', 42, 23))
print('by name', await connection.sendRequest('subtract', { subtrahend: 23, minuend: 42 }))
print('a list', await connection.sendRequest('sum', rpc.ParameterStructures.byPosition, 1, 2, 4))
print('nothing', await connection.sendRequest('get_data'))
await connection.sendNotification('update', { a: 1 })
print('no such method', await code(connection.sendRequest('nosuch')))
print('wrong params', await code(connection.sendRequest('subtract', { minuend: 'x' })))
print('failed', await code(connection.sendRequest('fail')))

const source = new rpc.CancellationTokenSource()
const slow = connection.sendRequest('slow', { ms: 60000 }, source.token)
source.cancel()
print('cancelled', await code(slow))

const steps = []
connection.onProgress(new rpc.ProgressType(), 'counting', (value) => steps.push(value))
const counted = await connection.sendRequest('count.up', { n: 3 }).catch((error) => error.code)
print('progress', [...steps, counted])

if (counted === 'counted') connection.onNotification('editor.leave', () => socket.end())
else socket.end()
