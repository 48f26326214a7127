import { InvalidArgumentError } from '@lbs/format';

/** Bits of the largest finite float32 number. */
export const greatestBits = 0x7f7fffff;

/** Clears the sign, so that -0 is 0. */
export const signless = 0x7fffffff;

const number = new Float32Array(1);
const numberBits = new Uint32Array(number.buffer);

/** Scores as bits: float32 numbers that are not negative are in the order of their bits. */
export function bitsOf(scores: Float32Array): Uint32Array {
  return new Uint32Array(scores.buffer, scores.byteOffset, scores.length);
}

/** Bits of the nearest float32 number. */
export function float32Bits(value: number): number {
  number[0] = value;
  return numberBits[0]!;
}

/** The float32 number with these bits. */
export function float32OfBits(bits: number): number {
  numberBits[0] = bits;
  return number[0]!;
}

/** Throws InvalidArgumentError on the first score that is negative, infinite or NaN. */
export function assertScores(scores: Float32Array): void {
  const bits = bitsOf(scores);
  for (let i = 0; i < bits.length; i++) {
    if (bits[i]! <= greatestBits || scores[i] === 0) continue;
    throw new InvalidArgumentError(`score ${scores[i]} at index ${i} is not a finite number of at least 0`, {
      mend: 'A score must stay in the range of float32: clamp what overflows, and give 0 where nothing is known.',
    });
  }
}
