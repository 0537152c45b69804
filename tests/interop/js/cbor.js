// Deterministic CBOR as docs/spec/signed-objects.md restricts it. Integers are BigInt, maps are Map.

import { Refused } from './refused.js'

const MAX_DEPTH = 4
const LEAST = { 24: 24n, 25: 2n ** 8n, 26: 2n ** 16n, 27: 2n ** 32n } // below, a shorter head would have done

/** The one item in `bytes`; a fault in its form is of the class `fault`. */
export function decode (bytes, fault = 'non-canonical') {
  const refuse = what => { throw new Refused(fault, `${what} at octet ${at}`) }
  let at = 0

  function take (count) {
    if (count > bytes.length - at) refuse('ends early')
    at += count
    return bytes.subarray(at - count, at)
  }

  function argument (low) {
    if (low < 24) return BigInt(low)
    if (low > 27) refuse('an indefinite length or a reserved head')
    const value = take(1 << (low - 24)).reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
    if (value < LEAST[low]) refuse('a head longer than it need be')
    return value
  }

  function item (depth) {
    const [head] = take(1)
    const major = head >> 5
    if (major === 7) {
      if (head !== 0xf4 && head !== 0xf5) refuse('neither false nor true')
      return head === 0xf5
    }
    if (major === 1 || major === 6) refuse('a negative integer or a tag')
    const n = argument(head & 31)
    if (major === 0) return n
    if (n > BigInt(bytes.length)) refuse('a length beyond the end')
    if (major === 2) return Uint8Array.from(take(Number(n)))
    if (major === 3) {
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(take(Number(n)))
      } catch {
        refuse('no UTF-8')
      }
    }
    if (depth > MAX_DEPTH) refuse('too deep')
    if (major === 4) return Array.from({ length: Number(n) }, () => item(depth + 1))
    const map = new Map()
    let last = -1n
    for (let i = 0n; i < n; i++) {
      const key = item(depth + 1)
      if (typeof key !== 'bigint' || key <= last) refuse('keys that do not ascend')
      map.set(key, item(depth + 1))
      last = key
    }
    return map
  }

  const value = item(1)
  if (at !== bytes.length) refuse('octets after the end')
  return value
}

/** The encoding of a value made of what `decode` returns. */
export function encode (value) {
  if (typeof value === 'boolean') return Uint8Array.of(value ? 0xf5 : 0xf4)
  if (typeof value === 'bigint') return head(0, value)
  if (typeof value === 'string') return prefixed(3, new TextEncoder().encode(value))
  if (value instanceof Uint8Array) return prefixed(2, value)
  if (Array.isArray(value)) return Buffer.concat([head(4, BigInt(value.length)), ...value.map(encode)])
  const entries = [...value].sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.concat([head(5, BigInt(entries.length)), ...entries.flat().map(encode)])
}

const prefixed = (major, bytes) => Buffer.concat([head(major, BigInt(bytes.length)), bytes])

function head (major, n) {
  if (n < 24n) return Uint8Array.of(major << 5 | Number(n))
  const low = [24, 25, 26, 27].findLast(low => n >= LEAST[low])
  const argument = n.toString(16).padStart(2 << (low - 24), '0')
  return Buffer.concat([Uint8Array.of(major << 5 | low), Buffer.from(argument, 'hex')])
}
