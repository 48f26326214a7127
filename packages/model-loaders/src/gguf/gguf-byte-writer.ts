import { InvalidArgumentError } from '@lbs/format';
import type { GgufScalar, GgufScalarType } from './gguf-typed-value.js';

/** Writes the primitives of a GGUF header, little-endian. Throws InvalidArgumentError for values that their type does not hold. */
export class GgufByteWriter {
  #bytes = new Uint8Array(4096);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  uint32(value: number): void {
    this.scalar('uint32', value);
  }

  uint64(value: number): void {
    this.scalar('uint64', value);
  }

  /** The length in bytes, then UTF-8. */
  string(text: string): void {
    if (/\p{Surrogate}/u.test(text)) {
      throw new InvalidArgumentError(`${JSON.stringify(text.slice(0, 80))} has half a surrogate pair`);
    }
    const encoded = new TextEncoder().encode(text);
    this.uint64(encoded.length);
    const at = this.#grow(encoded.length);
    this.#bytes.set(encoded, at);
  }

  scalar(type: GgufScalarType, value: GgufScalar): void {
    if (type === 'string' && typeof value === 'string') this.string(value);
    else if (type === 'bool' && typeof value === 'boolean') this.#number('uint8', value ? 1 : 0);
    else if (
      type !== 'string' &&
      type !== 'bool' &&
      typeof value !== 'string' &&
      typeof value !== 'boolean'
    ) {
      this.#number(type, value);
    } else throw misfit(type, value);
  }

  /** Zeros up to a multiple of `alignment`. */
  pad(alignment: number): void {
    this.#grow(Math.ceil(this.#length / alignment) * alignment - this.#length);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #number(type: Exclude<GgufScalarType, 'string' | 'bool'>, value: number | bigint): void {
    const { bytes, write, limits } = numberTypes[type];
    if (limits) {
      const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
      if (!isWhole || value < limits[0] || value > limits[1]) throw misfit(type, value);
    }
    const at = this.#grow(bytes);
    write(this.#view, at, value);
  }

  #grow(length: number): number {
    const at = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}

interface NumberType {
  readonly bytes: number;
  readonly write: (view: DataView, at: number, value: number | bigint) => void;
  /** Of integers. */
  readonly limits?: readonly [least: number | bigint, greatest: number | bigint];
}

const numberTypes: Readonly<Record<Exclude<GgufScalarType, 'string' | 'bool'>, NumberType>> = {
  uint8: { bytes: 1, write: (view, at, value) => view.setUint8(at, Number(value)), limits: [0, 255] },
  int8: { bytes: 1, write: (view, at, value) => view.setInt8(at, Number(value)), limits: [-128, 127] },
  uint16: {
    bytes: 2,
    write: (view, at, value) => view.setUint16(at, Number(value), true),
    limits: [0, 2 ** 16 - 1],
  },
  int16: {
    bytes: 2,
    write: (view, at, value) => view.setInt16(at, Number(value), true),
    limits: [-(2 ** 15), 2 ** 15 - 1],
  },
  uint32: {
    bytes: 4,
    write: (view, at, value) => view.setUint32(at, Number(value), true),
    limits: [0, 2 ** 32 - 1],
  },
  int32: {
    bytes: 4,
    write: (view, at, value) => view.setInt32(at, Number(value), true),
    limits: [-(2 ** 31), 2 ** 31 - 1],
  },
  float32: { bytes: 4, write: (view, at, value) => view.setFloat32(at, Number(value), true) },
  uint64: {
    bytes: 8,
    write: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
    limits: [0, 2n ** 64n - 1n],
  },
  int64: {
    bytes: 8,
    write: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
    limits: [-(2n ** 63n), 2n ** 63n - 1n],
  },
  float64: { bytes: 8, write: (view, at, value) => view.setFloat64(at, Number(value), true) },
};

function misfit(type: GgufScalarType, value: GgufScalar): InvalidArgumentError {
  return new InvalidArgumentError(`${String(value).slice(0, 80)} is no ${type}`);
}
