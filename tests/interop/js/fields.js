// What stands in the maps of docs/spec/record.md, and what each value must be.

import fs from 'node:fs'
import net from 'node:net'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { need } from './refused.js'
import { isKey } from './signed.js'

const LATEST = 253402207200n
// By where this file truly is: the folder may be linked to from beside the packages.
const here = pathToFileURL(fs.realpathSync(fileURLToPath(import.meta.url)))
const table = fs.readFileSync(new URL('../../../docs/spec/assets.csv', here), 'ascii')
export const SCALES = new Map(table.trim().split('\n').slice(1).map(line => line.split(',')))

const integer = (low, high) => v => typeof v === 'bigint' && v >= low && v <= high
const octets = (...sizes) => v => v instanceof Uint8Array && sizes.includes(v.length)
const text = (most, form) => v => typeof v === 'string' && Buffer.byteLength(v) <= most && form.test(v)

const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
const HOST = new RegExp(`^(?:${LABEL}\\.)*(?!(?:[0-9]+|0x[0-9a-f]*)$)${LABEL}$`)
const FURL = /^pb:\/\/[a-z2-7]{32}@([!-.0-~]+)\/[!-~]+$/
const CONTROL_OR_BIDI = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u
const SPACE_AT_AN_END = /^\p{White_Space}|\p{White_Space}$/u

const time = integer(1n, LATEST)
const amount = integer(0n, 2n ** 63n - 1n)
const uint = integer(0n, 2n ** 64n - 1n)
const format = integer(1n, 2n ** 64n - 1n)
const hash = octets(32)
const bool = v => typeof v === 'boolean'
const hex = v => Buffer.from(v).toString('hex')

function key (v) {
  if (!hash(v)) return false
  need(isKey(v), hex(v), 'key')
  return true
}

export function asset (v) {
  if (!text(5, /^[A-Z]{3,5}$/)(v)) return false
  need(SCALES.has(v), `asset ${v}`, 'upgrade')
  return true
}

function roles (v) {
  if (!uint(v)) return false
  need(v < 16n, `roles ${v}`, 'upgrade')
  return v > 1n
}

const nickname = v => text(64, /./su)(v) && !CONTROL_OR_BIDI.test(v) && !SPACE_AT_AN_END.test(v)
const contact = text(128, /^(?:mailto|https|xmpp|matrix|tel):[!#-;=?-~]+$/)
const host = v => text(128, HOST)(v) || (octets(4, 16)(v) && !hex(v).startsWith('00000000000000000000ffff'))

/** An IPv6 address as RFC 5952 writes it, dotted where it has an IPv4 address inside. */
function isIpv6 (written) {
  if (!net.isIPv6(written) || written.includes('%')) return false
  const canonical = new URL(`http://[${written}]/`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical)
  if (!mapped) return written === canonical
  const inner = mapped.slice(1).map(group => parseInt(group, 16)).flatMap(group => [group >> 8, group & 255])
  return written === `::ffff:${inner.join('.')}`
}

function isPlace (written) {
  const found = /^(?:\[(.*)\]|(.*)):([1-9][0-9]{0,4})$/.exec(written)
  if (!found || Number(found[3]) > 65535) return false
  return found[1] === undefined ? HOST.test(found[2]) || net.isIPv4(found[2]) : isIpv6(found[1])
}

function furl (v) {
  const found = text(256, FURL)(v) && !v.endsWith('#v=1') && FURL.exec(v)
  return found && found[1].split(',').every(hint =>
    hint.startsWith('tcp:') ? isPlace(hint.slice(4)) : /^[a-z0-9]+:[0-9A-Za-z.:_=[\]-]+$/.test(hint))
}

function peerId (v) {
  const sized = v instanceof Uint8Array && v.length >= 2 && v.length <= 42 && v.length === 2 + v[1]
  return sized && (v[0] === 0x00 || (v[0] === 0x12 && v[1] === 0x20))
}

function address (v) {
  if (!(v instanceof Uint8Array) || v.length > 128) return false
  const named = v[0] >= 0x35 && v[0] <= 0x38
  const begin = named ? 2 + v[1] : { 0x04: 5, 0x29: 17 }[v[0]]
  if (begin === undefined || begin > v.length) return false
  if (named && !HOST.test(Buffer.from(v.subarray(2, begin)).toString('latin1'))) return false
  const rest = hex(v.subarray(begin))
  return v[0] === 0x38 ? rest === '' : /^(?:06(?!0000)....|9102(?!0000)....cd03)$/.test(rest)
}

const list = (most, is) => v => Array.isArray(v) && v.length > 0 && v.length <= most && v.every(item => is(item)) && distinct(v)

/** A value without the keys that nobody knows yet, as text. */
export const known = v => JSON.stringify(v, (_, inner) => {
  if (inner instanceof Map) return [...inner].filter(([k]) => k < 64n).map(([k, item]) => [Number(k), item])
  if (inner instanceof Uint8Array) return `h'${hex(inner)}'`
  return typeof inner === 'bigint' ? String(inner) : inner
})
const distinct = items => new Set(items.map(known)).size === items.length

/** A map: the kinds of its keys 0, 1, …, of which the first `mandatory` must be there, and what else it must keep to. */
const map = (name, kinds, mandatory, rule = () => true) => (v, first = 64) => {
  need(v instanceof Map, `${name}: no map`)
  for (let k = 0; k < mandatory; k++) need(v.has(BigInt(k)), `${name}: key ${k} is missing`)
  for (const [k, item] of v) {
    if (k >= first || k >= 64n) continue
    need(k < kinds.length, `${name}: key ${k} is unknown`, 'upgrade')
    need(kinds[Number(k)](item), `${name}: key ${k}`)
  }
  return rule(v)
}

const limit = map('limit', [asset, amount], 2)
const next = map('next price', [amount, time], 2)
const rate = map('rate', [asset, amount, time, time, next], 2, v =>
  v.get(0n) !== 'XXX' || (v.get(1n) === 0n && !(v.get(4n)?.get(0n) > 0n)))
const node = map('node', [peerId, list(2, address)], 2)
const gateway = map('gateway', [host, integer(1n, 65535n), hash, key, roles, limit, furl], 0, v => {
  const nurl = [0n, 1n, 2n].filter(k => v.has(k)).length
  const addressed = v.has(6n) ? nurl === 0 : nurl === 3
  const role = v.get(4n) ?? 1n
  if (!addressed && (nurl > 0 || v.has(6n) || role & 9n)) return false
  if (!v.has(3n) && role & 6n) return false
  return !v.has(5n) || Boolean(role & 6n)
})
const authority = v => v instanceof Uint8Array || time(v)

export const record = map('record', [
  format, uint, time, time, bool, authority, nickname, list(4, contact), list(4, gateway), list(4, rate), list(4, node),
  list(2, key), hash, hash, key, key, uint
], 6)
export const delegation = map('delegation', [format, time, key, time, hash, limit, time], 4)
