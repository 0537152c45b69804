// A kad-dht peer of somebody else's, on js-libp2p: joins by one address, gets a grid's record, and puts records of a grid
// of its own, which it has signed itself.
//
//     node peer.js NETWORK MULTIADDR GRID_KEY_HEX
//
// Prints one JSON object: what it got, and what it put.

import { createLibp2p } from 'libp2p'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { multiaddr } from '@multiformats/multiaddr'
import { noise } from '@chainsafe/libp2p-noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@chainsafe/libp2p-yamux'
import { judge, newGrid, supersedes } from './record.js'
import { isKey } from './signed.js'

// js-libp2p calls it, and Node has it from version 22 on.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new Promise((...both) => { [resolve, reject] = both })
  return { promise, resolve, reject }
}

const now = () => BigInt(Math.floor(Date.now() / 1000))
const recordKey = grid => Buffer.from(`/grid/${Buffer.from(grid).toString('hex')}`)

/** What a holder makes of a record under this record key. */
function hold (key, value) {
  const found = /^\/grid\/([0-9a-f]{64})$/.exec(Buffer.from(key).toString('latin1'))
  const grid = Buffer.from(found?.[1] ?? '', 'hex')
  if (grid.length !== 32 || !isKey(grid)) throw new Error('no record key')
  return judge(value, grid, 'holder', now())
}

function newest (key, values) {
  const held = values.map(value => hold(key, value))
  return held.reduce((best, record, at) => supersedes(record, held[best]) ? at : best, 0)
}

const [network, address, wanted] = process.argv.slice(2)
const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    dht: kadDHT({
      protocol: `/lafs-clearinghouse/${network}/kad/1.0.0`,
      clientMode: true,
      peerInfoMapper: passthroughMapper, // the default drops every address on loopback
      validators: { grid: (key, value) => { hold(key, value) } },
      selectors: { grid: newest },
      initialQuerySelfInterval: 100
    })
  }
})
await node.dial(multiaddr(address))

/** The newest record of a grid, judged again: js-libp2p takes the key of a value that it gets from the value's sender. */
async function get (grid) {
  let value
  for await (const event of node.services.dht.get(recordKey(grid))) {
    if (event.name === 'VALUE') value = event.value
  }
  if (!value) throw new Error(`nobody has a record under ${recordKey(grid)}`)
  return { value, record: judge(value, grid, 'reader', now()) }
}

/** Puts a record; returns how many peers sent it back. */
async function put (grid, value) {
  let acknowledged = 0
  for await (const event of node.services.dht.put(recordKey(grid), value)) {
    if (event.name === 'PEER_RESPONSE' && event.record) acknowledged += 1
  }
  return acknowledged
}

const hex = bytes => Buffer.from(bytes).toString('hex')
const got = await get(Buffer.from(wanted, 'hex'))
const own = newGrid()
const [older, newer] = ['js grid, at first', 'js grid'].map((name, version) => own.sign(name, now(), BigInt(version)))
const acknowledged = []
for (const record of [older, newer, older]) acknowledged.push(await put(own.grid, record))
const back = await get(own.grid)
console.log(JSON.stringify({
  got: hex(got.value),
  nickname: got.record.fields.get(6n),
  grid_id: own.id,
  put: hex(newer),
  acknowledged,
  read_back: hex(back.value)
}))
await node.stop()
