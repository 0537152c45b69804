/** Why something is refused: the class of the fault, by the names of docs/spec/signed-objects.md, and the place. */
export class Refused extends Error {
  constructor (fault, place) {
    super(`${fault}: ${place}`)
    this.fault = fault
    this.place = place
  }
}

/** Throws where `truth` does not hold. */
export function need (truth, place, fault = 'field') {
  if (!truth) throw new Refused(fault, place)
}
