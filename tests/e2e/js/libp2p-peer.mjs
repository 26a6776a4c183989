// A stock js-libp2p peer: joins a node, pings and identifies it, hears its `tx` topic, fetches a
// block. Usage: node --import ./promise-polyfill.mjs libp2p-peer.mjs <multiaddr> <genesis, 8 hex digits>
// Prints one JSON object a line; ends when "tx" has been heard and a block fetched.
import { createHash } from 'node:crypto'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { decode, encode } from '@msgpack/msgpack'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [address, chain] = process.argv.slice(2)
const protocol = (name) => `/gristmill/${chain}/${name}/1`
const GET_BLOCKS = 13
const BLOCKS_PAGE = 14
const TX_BATCH = 9

function say (step, fields = {}) {
  console.log(JSON.stringify({ step, ...fields }))
}

function frame (payload, code) {
  const head = Buffer.alloc(code === undefined ? 4 : 5)
  if (code !== undefined) head.writeUInt8(code, 0)
  head.writeUInt32BE(payload.length, head.length - 4)
  return Buffer.concat([head, payload])
}

// Collects a stream until `size()` bytes are there.
async function collect (stream, headLength) {
  let bytes = Buffer.alloc(0)
  for await (const chunk of stream) {
    bytes = Buffer.concat([bytes, chunk instanceof Uint8Array ? chunk : chunk.subarray()])
    if (bytes.length >= headLength) {
      const size = bytes.readUInt32BE(headLength - 4)
      if (bytes.length >= headLength + size) break
    }
  }
  return bytes
}

function contentId (message) {
  const topic = Buffer.from(message.topic)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(topic.length)
  return createHash('sha256').update(length).update(topic).update(message.data).digest().subarray(0, 20)
}

const node = await createLibp2p({
  addresses: { listen: [] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    pubsub: gossipsub({ msgIdFn: contentId, emitSelf: false })
  }
})

// The handshake: a peer of the same chain may say the status that it is told.
const greeted = new Promise((resolve) => {
  node.handle(protocol('status'), async (stream) => {
    const question = await collect(stream, 4)
    stream.send(frame(question.subarray(4), 0))
    await stream.close()
    resolve(question.subarray(4))
  })
})

const heard = new Promise((resolve) => {
  node.services.pubsub.addEventListener('message', (event) => {
    if (event.detail.topic === protocol('tx')) resolve(event.detail.data)
  })
})

const connection = await node.dial(multiaddr(address))
say('joined', { peer: connection.remotePeer.toString(), encryption: connection.encryption, multiplexer: connection.multiplexer })
say('pinged', { milliseconds: await node.services.ping.ping(connection.remotePeer) })
const identified = await node.services.identify.identify(connection)
say('identified', { agent: identified.agentVersion, protocols: identified.protocols })

const status = decode(await greeted)
say('greeted', { version: status[0], kind: status[2], height: status[3][2] })

const stream = await connection.newStream(protocol('blocks'))
stream.send(frame(Buffer.from(encode([1, 7, GET_BLOCKS, [1, 2]]))))
const answer = await collect(stream, 5)
const page = decode(answer.subarray(5))
if (answer[0] !== 0 || page[1] !== 7 || page[2] !== BLOCKS_PAGE) throw new Error('no page of blocks')
say('fetched', { blocks: page[3][0].map((block) => Buffer.from(block).toString('hex')) })

node.services.pubsub.subscribe(protocol('tx'))
say('subscribed', { topic: protocol('tx') })
const batch = decode(await heard)
if (batch[2] !== TX_BATCH) throw new Error('no batch of transactions')
say('heard', { transactions: batch[3][0].map((one) => Buffer.from(one).toString('hex')) })
await node.stop()
process.exit(0)
