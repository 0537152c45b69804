// The grid record by docs/spec/record.md: judged, compared, signed.

import crypto from 'node:crypto'
import { decode, encode } from './cbor.js'
import * as fields from './fields.js'
import { Refused, need } from './refused.js'
import { gridId, identity, open, seal, verifyObject } from './signed.js'

const DAY = 86400n
const SKEW = 7200n

/** The delegation in a record, of which the keys below `first` are looked at. */
function permission (r, grid, first) {
  try {
    need(!r.get(4n) && !r.has(13n) && !r.has(14n), 'the record says what a publisher may not')
    const { payload, signature } = open(r.get(5n))
    const d = decode(payload)
    fields.delegation(d, first)
    const [serial, publisher, notAfter] = [1n, 2n, 3n].map(k => d.get(k))
    need(!Buffer.from(publisher).equals(grid), 'the publisher is the grid')
    need(notAfter > serial && notAfter - serial <= 400n * DAY, 'not_after')
    verifyObject('delegation/1', grid, payload, signature)
    need(r.get(2n) >= serial - SKEW && r.get(3n) <= notAfter, 'the record is outside of its time')
    return d
  } catch (error) {
    if (error instanceof Refused && error.fault !== 'upgrade') throw new Refused('delegation', error.place)
    throw error
  }
}

function understand (r, d, grid) {
  need(r.get(0n) === 1n && (!d || d.get(0n) === 1n), 'a later format', 'upgrade')
  fields.record(r)
  const [issued, expires] = [r.get(2n), r.get(3n)]
  const rates = r.get(9n) ?? []
  rates.forEach((rate, at) => {
    const [begin, end, next] = [rate.get(2n) ?? issued, rate.get(3n) ?? expires, rate.get(4n)]
    need(at === 0 || Buffer.compare(Buffer.from(rates[at - 1].get(0n)), Buffer.from(rate.get(0n))) < 0, 'rates ascend')
    need(rate.get(2n) !== issued && rate.get(3n) !== expires, 'rate: a default is written out')
    need(end > issued && end <= issued + 400n * DAY && (!rate.has(3n) || begin <= end), 'rate: committed_until')
    if (!next) return
    const [price, from] = [next.get(0n), next.get(1n)]
    need(from > begin && (price <= rate.get(1n) || from >= end), 'rate: next')
  })
  const peers = (r.get(10n) ?? []).map(node => fields.known(node.get(0n)))
  need(new Set(peers).size === peers.length, 'a node twice')
  for (const k of [14n, 15n]) need(!r.has(k) || !Buffer.from(r.get(k)).equals(grid), 'its own successor or predecessor')
  const silent = [6n, 7n, 8n, 9n, 10n, 11n, 14n, 15n]
  need(!r.get(4n) || !silent.some(k => r.has(k)), 'a withdrawn record says more')
  if (!d) return
  permission(r, grid, 64)
  const [most, until] = [d.get(5n), d.get(6n) ?? d.get(3n)]
  for (const limit of (r.get(8n) ?? []).map(gateway => gateway.get(5n)).filter(Boolean)) {
    need(most?.get(0n) === limit.get(0n) && limit.get(1n) <= most.get(1n), 'a limit above max_limit', 'delegation')
  }
  need(rates.every(rate => (rate.get(3n) ?? expires) <= until), 'a rate is committed for too long', 'delegation')
}

/** What a `holder` or a `reader` makes of the bytes of a record of `grid` (a key) at `now` (Unix seconds); or throws. */
export function judge (bytes, grid, role, now) {
  need(bytes.length > 0, 'no bytes', 'empty')
  need(bytes.length <= 995, `${bytes.length} octets`, 'too-big')
  const { payload, signature } = open(bytes)
  const r = decode(payload)
  fields.record(r, 6)
  const [sequence, issued, expires, withdrawn, authority] = [1n, 2n, 3n, 4n, 5n].map(k => r.get(k))
  const lasting = withdrawn || r.has(14n)
  need(sequence / 1000n === issued, 'the sequence does not agree with issued_at')
  need(expires > issued && expires - issued <= (lasting ? 3660n : 30n) * DAY, 'the lifetime')
  const d = authority instanceof Uint8Array ? permission(r, grid, 4) : undefined
  need(!lasting || bytes.length <= 256, `${bytes.length} octets of a record that may live for years`, 'too-big')
  const serial = d ? d.get(1n) : authority
  verifyObject('record/1', d ? d.get(2n) : grid, payload, signature)
  if (role === 'reader') understand(r, d, grid)
  need(expires > now, `expired at ${expires}`, 'time-expired')
  need(issued <= now + SKEW && serial <= now + SKEW, `issued at ${issued}, serial ${serial}`, 'time-future')
  return { fields: r, withdrawn, serial, sequence, payload, identity: identity('record/1', grid, payload) }
}

/** Whether of two records of a grid, as a holder judged them, `a` is newer than `b`. */
export function supersedes (a, b) {
  if (a.withdrawn !== b.withdrawn) return a.withdrawn
  if (a.serial !== b.serial) return a.serial > b.serial
  if (a.sequence !== b.sequence) return a.sequence > b.sequence
  return Buffer.compare(a.payload, b.payload) > 0
}

/** A new grid: its key, its id, and how it signs a record that says its nickname and serves for free. */
export function newGrid () {
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519')
  const grid = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url')
  const sign = (nickname, issued, version) => {
    const free = [new Map([[0n, 'XXX'], [1n, 0n]])]
    const record = [1n, issued * 1000n + version, issued, issued + 7n * DAY, false, issued, nickname]
    return seal('record/1', privateKey, grid, encode(new Map([...record.map((v, k) => [BigInt(k), v]), [9n, free]])))
  }
  return { grid, id: gridId(grid), sign }
}
