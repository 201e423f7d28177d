// node aedes.mjs NODE_MODULES FOLDER PATH: aedes on ThingSpeak's ports, with the certificate and the users of a folder.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import tls from 'node:tls'

const [modules, folder, path] = process.argv.slice(2)
const { Aedes } = await import(`${modules}/aedes/aedes.js`)
const { WebSocketServer, createWebSocketStream } = createRequire(`${modules}/`)('ws')
const read = (name) => readFileSync(`${folder}/${name}`)
const certificate = { cert: read('leaf.pem'), key: read('leaf_key.pem') }
const users = JSON.parse(read('users.json'))

const aedes = await Aedes.createBroker()
aedes.authenticate = (client, username, password, done) => {
  if (username && users[username] === password?.toString()) return done(null, true)
  const refused = new Error('bad user name or password')
  refused.returnCode = 4
  done(refused, false)
}
const withWebSockets = (server) => {
  new WebSocketServer({ server, path }).on('connection', (socket, request) =>
    aedes.handle(createWebSocketStream(socket), request))
  return server
}
const servers = [
  [net.createServer(aedes.handle), 1883],
  [tls.createServer(certificate, aedes.handle), 8883],
  [withWebSockets(http.createServer()), 80],
  [withWebSockets(https.createServer(certificate)), 443]
]
await Promise.all(servers.map(([server, port]) => new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))))
console.log('aedes listens')
