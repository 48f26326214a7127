import { UnsupportedError } from '@lbs/format';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { compileDecoder } from './compile-decoder.js';
import { formats } from './fixtures/formats.js';
import { createRandom, randomActivations, randomQuantizedMatrix } from './fixtures/random-matrix.js';
import { createKernels, type Kernels, type SimdInstructions } from './index.js';
import { hasRelaxedSimd } from './simd.js';

/** The bits of what `compute` gives with these instructions. */
async function bitsWith(
  simd: SimdInstructions,
  compute: (kernels: Kernels) => Float32Array,
): Promise<Uint32Array> {
  const kernels = await createKernels({ simd });
  expect(kernels.simd).toBe(simd);
  return new Uint32Array(compute(kernels).slice().buffer);
}

async function expectSameBits(compute: (kernels: Kernels) => Float32Array): Promise<void> {
  const plain = await bitsWith('plain', compute);
  expect(plain.some((bits) => bits !== 0)).toBe(true);
  expect(await bitsWith('relaxed', compute)).toEqual(plain);
}

function put(kernels: Kernels, values: Float32Array): number {
  const pointer = kernels.allocate(values.byteLength);
  kernels.float32(pointer, values.length).set(values);
  return pointer;
}

describe.runIf(hasRelaxedSimd())('relaxed SIMD', () => {
  it('is chosen where the engine has it', async () => {
    expect((await createKernels()).simd).toBe('relaxed');
  });

  it('is a module of its own', async () => {
    const [plain, relaxed] = await Promise.all([
      compileDecoder({ shared: false, simd: 'plain' }),
      compileDecoder({ shared: false, simd: 'relaxed' }),
    ]);
    expect(relaxed.decoding).not.toBe(plain.decoding);
    expect(relaxed.prefill).not.toBe(plain.prefill);
    for (const name of ['decoding', 'prefill'] as const) {
      // Workers know an export by its place.
      expect(WebAssembly.Module.exports(relaxed[name]!)).toEqual(WebAssembly.Module.exports(plain[name]!));
    }
  });

  it.each(Object.entries(formats))('gives the bits of plain SIMD: multiply, %s', async (_, format) => {
    for (const [rows, columns] of [
      [1, 16],
      [33, 200],
      [18, 576],
    ] as const) {
      const matrix = randomQuantizedMatrix({ format, rows, columns, seed: rows, salient: 0.05 });
      for (const tokens of [1, 2, 17]) {
        const input = randomActivations(tokens * columns, tokens);
        // The greatest codes of activations, of either sign.
        input.fill(1e3, 0, 16);
        input.fill(-1e3, input.length - 16);
        for (const activations of ['int8', 'int16', 'float32'] as const) {
          await expectSameBits((kernels) => {
            const output = kernels.allocate(4 * tokens * rows);
            const loaded = kernels.loadQuantized(matrix, { activations });
            kernels.multiply(loaded, put(kernels, input), output, tokens);
            return kernels.float32(output, tokens * rows);
          });
        }
      }
    }
  });

  it('gives the bits of plain SIMD: exponential', async () => {
    const random = createRandom(7);
    const values = Float32Array.from({ length: 100_000 }, () => Math.fround(random() * 240 - 120));
    values.set([
      0,
      -0,
      1e38,
      -1e38,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
      2 ** -149,
    ]);
    await expectSameBits((kernels) => {
      const pointer = put(kernels, values);
      kernels.exponential(pointer, values.length);
      return kernels.float32(pointer, values.length);
    });
  });

  it('gives the bits of plain SIMD: attention, norm and gate', async () => {
    const shape = { tokens: 5, heads: 6, kvHeads: 2, headDim: 12, start: 20 };
    const [size, cacheSize] = [5 * 6 * 12, 25 * 2 * 12];
    await expectSameBits((kernels) => {
      const [queries, keys, values, weight] = [size, cacheSize, cacheSize, 72].map((length, i) =>
        put(kernels, randomActivations(length, i)),
      );
      const output = kernels.allocate(4 * size);
      kernels.attend(queries!, keys!, values!, output, shape);
      kernels.rmsNorm(output, weight!, queries!, 5, 72, 1e-5);
      kernels.swiGlu(queries!, output, output, size);
      return kernels.float32(output, size);
    });
  });
});

describe('an engine without relaxed SIMD', () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('gets plain SIMD, and an error where it is asked for more', async () => {
    vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);
    expect((await createKernels()).simd).toBe('plain');
    await expect(createKernels({ simd: 'relaxed' })).rejects.toThrow(UnsupportedError);
    await expect(createKernels({ simd: 'relaxed', threads: 2 })).rejects.toThrow('has no relaxed SIMD');
  });

  it('is told apart by one small module, valid but for the instruction', () => {
    let probe: Uint8Array | undefined;
    vi.spyOn(WebAssembly, 'validate').mockImplementation((bytes) => {
      probe = bytes as Uint8Array;
      return true;
    });
    expect(hasRelaxedSimd()).toBe(true);
    vi.restoreAllMocks();
    // Another instruction of the same type, as long: i16x8.mul would be shorter, so i32x4.dot_i16x8_s is.
    const plain = Uint8Array.from(probe!);
    plain.set([0xfd, 0xba, 0x01], plain.length - 5);
    expect(WebAssembly.validate(plain)).toBe(true);
  });
});
