import { selectionWasm } from './generated/selection-wasm.js';
import { assertScores, bitsOf, greatestBits } from './score-bits.js';

/** What assembly/index.ts exports; arguments are addresses and 32-bit numbers. */
interface WasmExports {
  countScores(scores: number, length: number, histograms: number): number;
  findScores(scores: number, length: number, least: number, first: number, indices: number): number;
}

/** Bins of the upper 16 bits of scores, whose sign is 0. */
export const upperBins = 1 << 15;

/** Scores that are in the WebAssembly memory at a time. It takes 384 KiB, whatever the length of the scores. */
const chunk = 1 << 14;

class ScoreScan {
  readonly #wasm: WasmExports;
  readonly #histograms: Uint32Array;
  readonly #scores: Uint32Array;
  readonly #indices: Uint32Array;

  constructor() {
    const bytes = 4 * (2 * upperBins + 2 * chunk);
    const memory = new WebAssembly.Memory({ initial: bytes / 65536, maximum: bytes / 65536 });
    // Compiling at once is allowed on a page's main thread for modules below 4 KB, and this one has less than 1 KB.
    const module = new WebAssembly.Module(
      Uint8Array.from(atob(selectionWasm), (character) => character.charCodeAt(0)),
    );
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    this.#wasm = instance.exports as unknown as WasmExports;
    this.#histograms = new Uint32Array(memory.buffer, 0, 2 * upperBins);
    this.#scores = new Uint32Array(memory.buffer, this.#histograms.byteLength, chunk);
    this.#indices = new Uint32Array(memory.buffer, this.#scores.byteOffset + this.#scores.byteLength, chunk);
  }

  count(scores: Float32Array, counts: Float64Array): void {
    const bits = bitsOf(scores);
    this.#histograms.fill(0);
    for (let first = 0; first < bits.length; first += chunk) {
      const length = this.#load(bits, first);
      const greatest = this.#wasm.countScores(this.#scores.byteOffset, length, 0) >>> 0;
      // -0 is a valid score with greater bits, so that only a look at each tells.
      if (greatest > greatestBits) assertScores(scores);
    }
    for (let bin = 0; bin < upperBins; bin++) {
      counts[bin]! += this.#histograms[bin]! + this.#histograms[upperBins + bin]!;
    }
  }

  find(scores: Float32Array, least: number): Uint32Array {
    const bits = bitsOf(scores);
    const found: Uint32Array[] = [];
    let total = 0;
    for (let first = 0; first < bits.length; first += chunk) {
      const length = this.#load(bits, first);
      const count = this.#wasm.findScores(
        this.#scores.byteOffset,
        length,
        least,
        first,
        this.#indices.byteOffset,
      );
      if (count === 0) continue;
      found.push(this.#indices.slice(0, count));
      total += count;
    }
    const indices = new Uint32Array(total);
    let next = 0;
    for (const part of found) {
      indices.set(part, next);
      next += part.length;
    }
    return indices;
  }

  #load(bits: Uint32Array, first: number): number {
    const length = Math.min(chunk, bits.length - first);
    this.#scores.set(bits.subarray(first, first + length));
    return length;
  }
}

let scan: ScoreScan | undefined;

/**
 * Adds the number of scores with each value of the upper 16 bits to `counts` [upperBins]. Throws InvalidArgumentError
 * on a score that is negative, infinite or NaN, and then adds nothing.
 */
export function countUpperBits(scores: Float32Array, counts: Float64Array): void {
  scan ??= new ScoreScan();
  scan.count(scores, counts);
}

/** Ascending indices of the scores, valid ones, whose bits are at least `least`. */
export function indicesOfLeast(scores: Float32Array, least: number): Uint32Array {
  scan ??= new ScoreScan();
  return scan.find(scores, least);
}
