// Keys, strict Ed25519 and the envelope, by docs/spec/signed-objects.md. OpenSSL checks the equation; the rest is here.

import crypto from 'node:crypto'
import { decode, encode } from './cbor.js'
import { Refused, need } from './refused.js'

const P = 2n ** 255n - 19n
const L = 2n ** 252n + 27742317777372353535851937790883648493n
const D = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n // -121665/121666 modulo P
const SMALL_ORDER_8 = [
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n
]
const SMALL_ORDER_Y = new Set([0n, 1n, P - 1n, ...SMALL_ORDER_8]) // both signs of x; with x = 0 one is not canonical
const PROTECTED = Buffer.from('a10127', 'hex')

const littleEndian = bytes => BigInt('0x' + Buffer.from(bytes).reverse().toString('hex'))

function power (base, exponent) {
  let result = 1n
  for (base %= P; exponent > 0n; exponent >>= 1n, base = base * base % P) {
    if (exponent & 1n) result = result * base % P
  }
  return result
}

/** Whether 32 octets are a key: canonical, on the curve, not of small order. */
export function isKey (bytes) {
  const y = littleEndian(bytes) & (2n ** 255n - 1n)
  if (y >= P || SMALL_ORDER_Y.has(y)) return false
  const square = (y * y - 1n) * (D * y * y + 1n) // (y² - 1)/(dy² + 1) times a square
  return power(square, (P - 1n) / 2n) === 1n
}

/** Strict verification under a public key that is one by `isKey`. */
export function verify (key, message, signature) {
  need(littleEndian(signature.subarray(32)) < L, 'S', 'signature')
  need(isKey(signature.subarray(0, 32)), 'R', 'signature')
  const x = Buffer.from(key).toString('base64url')
  const point = crypto.createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  need(crypto.verify(null, message, point, signature), 'the equation', 'signature')
}

function toBeSigned (type, key, payload) {
  const aad = Buffer.concat([Buffer.from(`lafs-clearinghouse/${type}\0`), key])
  return encode(['Signature1', PROTECTED, aad, payload])
}

/** Whether `key` signed this payload as an object of this type. */
export const verifyObject = (type, key, payload, signature) => verify(key, toBeSigned(type, key, payload), signature)

/** The payload, signed by a secret key of node:crypto whose public half is `key`, in its envelope. */
export function seal (type, secret, key, payload) {
  const signature = crypto.sign(null, toBeSigned(type, key, payload), secret)
  return Buffer.concat([Buffer.from('8443a10127a0', 'hex'), encode(payload), Buffer.from('5840', 'hex'), signature])
}

/** Payload and signature of an envelope in its one form. */
export function open (bytes) {
  const form = Buffer.from(bytes)
  const framed = form.subarray(0, 6).toString('hex') === '8443a10127a0' && form.subarray(-66, -64).toString('hex') === '5840'
  need(framed && form.length >= 73, 'not in its one form', 'envelope')
  const payload = decode(form.subarray(6, -66), 'envelope')
  need(payload instanceof Uint8Array, 'the payload is no byte string', 'envelope')
  return { payload, signature: form.subarray(-64) }
}

/** The name of an object. */
export const identity = (type, grid, payload) =>
  crypto.createHash('sha256').update(`${type}\0`).update(grid).update(payload).digest()

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

/** The grid id of a key. */
export function gridId (key) {
  const bits = [...key].map(octet => octet.toString(2).padStart(8, '0')).join('').padEnd(260, '0')
  return 'pub-v0-' + bits.match(/.{5}/g).map(five => ALPHABET[parseInt(five, 2)]).join('')
}

/** The key in a grid id. */
export function gridKey (id) {
  const bits = [...id.slice(7)].map(letter => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from((bits.slice(0, 256).match(/.{8}/g) ?? []).map(octet => parseInt(octet, 2)))
  if (key.length !== 32 || gridId(key) !== id || !isKey(key)) throw new Refused('key', `${id} is no grid id`)
  return key
}
