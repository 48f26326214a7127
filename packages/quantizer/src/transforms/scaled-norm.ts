import {
  bfloat16FromFloat32,
  float16FromFloat32,
  float32FromBfloat16,
  float32FromFloat16,
  type StoredTensor,
} from '@lbs/format';
import type { TensorReader } from '../source/copy-tensor.js';

/** How the values of a norm are written; other types than these become F32. */
const encodings = {
  F16: {
    bytes: (values: Float32Array) => bytesOf(float16FromFloat32(values)),
    round: (values: Float32Array) => float32FromFloat16(float16FromFloat32(values)),
  },
  BF16: {
    bytes: (values: Float32Array) => bytesOf(bfloat16FromFloat32(values)),
    round: (values: Float32Array) => float32FromBfloat16(bfloat16FromFloat32(values)),
  },
  F32: {
    bytes: (values: Float32Array) => bytesOf(values.slice()),
    round: (values: Float32Array) => values,
  },
};

/**
 * A vector that is divided by scales and written in its own type. The rounding of that costs nothing: `realize` gives the scales that the rounded
 * vector stands for, and the weights behind it take those.
 */
export class ScaledNorm {
  private constructor(
    private readonly name: string,
    private readonly dtype: keyof typeof encodings,
    private readonly shape: readonly number[],
    private readonly values: Float32Array,
  ) {}

  /** Reads the vector. */
  static async read(
    source: TensorReader,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<ScaledNorm> {
    const { dtype, shape } = source.tensorInfo(name);
    const values = await source.readFloat32(name, { signal });
    return new ScaledNorm(name, dtype === 'F16' || dtype === 'BF16' ? dtype : 'F32', shape, values);
  }

  /** The scales nearest to these that division gives exactly; 1 where the quotient is beyond the type's range. */
  realize(scales: Float32Array): Float32Array {
    const quotients = encodings[this.dtype].round(this.#divided(scales));
    return scales.map((scale, i) => {
      const value = this.values[i]!;
      if (value === 0) return scale;
      const realized = Math.fround(value / quotients[i]!);
      return realized > 0 && Number.isFinite(realized) ? realized : 1;
    });
  }

  /** The vector divided by scales that `realize` gave. */
  dividedBy(scales: Float32Array): StoredTensor {
    const { name, dtype, shape } = this;
    return { name, dtype, shape, bytes: encodings[dtype].bytes(this.#divided(scales)) };
  }

  #divided(scales: Float32Array): Float32Array {
    return this.values.map((value, i) => value / scales[i]!);
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
