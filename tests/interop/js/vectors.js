// Judges every vector of tests/vectors/ that is about one record or about which of two is newer, and every signature.

import fs from 'node:fs'
import { decode } from './cbor.js'
import { SCALES, asset } from './fields.js'
import { judge, supersedes } from './record.js'
import { Refused, need } from './refused.js'
import { gridKey, isKey, open, verify } from './signed.js'

const octets = hex => Buffer.from(hex, 'hex')
const issuedAt = bytes => decode(open(bytes).payload).get(2n)

function outcome (check) {
  try {
    check()
    return 'ok'
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return error.fault
  }
}

/** What we make of a vector, by the names in it; nothing of a kind that is no matter of ours. */
const found = {
  record: v => Object.fromEntries(['holder', 'reader'].map(role => [role, outcome(() =>
    judge(octets(v.bytes_hex), gridKey(v.grid_id), role, BigInt(v.now_unix_seconds)))])),
  supersede: v => {
    const [a, b] = [v.a_hex, v.b_hex].map(octets).map(bytes => judge(bytes, gridKey(v.grid_id), 'holder', issuedAt(bytes)))
    return { newer: a.identity.equals(b.identity) ? 'same' : supersedes(a, b) ? 'a' : 'b' }
  },
  asset: v => {
    const is = outcome(() => need(asset(v.name), v.name))
    return is === 'ok' ? { outcome: is, scale: Number(SCALES.get(v.name)) } : { outcome: is }
  },
  ed25519: v => ({
    outcome: outcome(() => {
      need(isKey(octets(v.public_key_hex)), 'the key', 'key')
      verify(octets(v.public_key_hex), octets(v.message_hex), octets(v.signature_hex))
    })
  }),
  key: v => ({ public_key_hex: gridKey(v.grid_id).toString('hex') })
}

let [judged, wrong] = [0, 0]
for (const folder of ['record/', 'signed/'].map(name => new URL(`../../vectors/${name}`, import.meta.url))) {
  for (const file of fs.readdirSync(folder)) {
    const { kind, vectors } = JSON.parse(fs.readFileSync(new URL(file, folder), 'ascii'))
    for (const vector of kind in found ? vectors : []) {
      const got = found[kind](vector)
      judged += 1
      if (Object.entries(got).every(([name, value]) => vector[name] === value)) continue
      wrong += 1
      console.error(file, vector.name, got)
    }
  }
}
console.log(`${judged} judged: ${wrong} disagree`)
process.exitCode = wrong || !judged ? 1 : 0
