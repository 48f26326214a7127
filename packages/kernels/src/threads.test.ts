import { dequantize } from '@lbs/format';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { formats } from './fixtures/formats.js';
import { randomActivations, randomQuantizedMatrix } from './fixtures/random-matrix.js';
import { createThreadedKernels } from './fixtures/threaded-kernels.js';
import { createKernels, type Kernels, LinearAlgebra } from './index.js';

describe('results on 2 and 4 threads are those of one thread, bit for bit', () => {
  let single: Kernels;
  let several: readonly Kernels[];
  beforeAll(async () => {
    single = await createKernels();
    several = await Promise.all([2, 4].map(createThreadedKernels));
  });
  afterAll(() => {
    for (const kernels of several) kernels.close();
  });

  /** Runs the same in all of them and compares what it returns; what it allocates is given back. */
  function compare(compute: (kernels: Kernels) => Float32Array): void {
    const [expected, ...others] = [single, ...several].map((kernels) => {
      const mark = kernels.mark();
      const result = compute(kernels).slice();
      kernels.release(mark);
      return new Uint32Array(result.buffer, 0, result.length);
    });
    expect(expected!.some((bits) => bits !== 0)).toBe(true);
    for (const other of others) expect(other).toEqual(expected);
  }

  function put(kernels: Kernels, values: Float32Array): number {
    const pointer = kernels.allocate(4 * values.length);
    kernels.float32(pointer, values.length).set(values);
    return pointer;
  }

  const shapes = [
    [1, 16],
    [33, 200],
    [70, 130],
  ] as const;

  // All ways of rounding activations, one after the other over the shapes and tokens.
  const precisions = ['int16', 'int8', 'float32'] as const;
  it.each(Object.entries(formats))('multiply: %s', (_, format) => {
    for (const [i, [rows, columns]] of shapes.entries()) {
      for (const salient of [0, 0.05]) {
        const matrix = randomQuantizedMatrix({ format, rows, columns, seed: rows, salient });
        for (const [j, tokens] of [1, 2, 7, 8, 19].entries()) {
          const input = randomActivations(tokens * columns, tokens);
          const activations = precisions[(i + j) % 3]!;
          compare((kernels) => {
            const loaded = kernels.loadQuantized(matrix, { activations });
            const output = kernels.allocate(4 * tokens * rows);
            kernels.multiply(loaded, put(kernels, input), output, tokens);
            return kernels.float32(output, tokens * rows);
          });
        }
      }
    }
  });

  it('multiply by a dense matrix', () => {
    for (const [rows, columns] of [...shapes, [3, 1], [50, 67]] as const) {
      const weights = randomActivations(rows * columns, rows);
      for (const tokens of [1, 2, 5]) {
        const input = randomActivations(tokens * columns, tokens);
        compare((kernels) => {
          const loaded = kernels.loadDense(weights, rows, columns);
          const output = kernels.allocate(4 * tokens * rows);
          kernels.multiply(loaded, put(kernels, input), output, tokens);
          return kernels.float32(output, tokens * rows);
        });
      }
    }
  });

  it('multiplyTransposed', () => {
    for (const [rows, columns] of [...shapes, [300, 67]] as const) {
      const weights = randomActivations(rows * columns, rows);
      for (const tokens of [1, 5, 45]) {
        const input = randomActivations(tokens * rows, tokens);
        compare((kernels) => {
          const loaded = kernels.loadDense(weights, rows, columns);
          const output = kernels.allocate(4 * tokens * columns);
          const product = { input: put(kernels, input), output, tokens };
          new LinearAlgebra(kernels).multiplyTransposed(loaded, product);
          return kernels.float32(output, tokens * columns);
        });
      }
    }
  });

  it.each([
    { tokens: 1, heads: 9, kvHeads: 3, headDim: 64, start: 21 },
    { tokens: 6, heads: 4, kvHeads: 2, headDim: 12, start: 0 },
    { tokens: 3, heads: 1, kvHeads: 1, headDim: 4, start: 2 },
    { tokens: 5, heads: 6, kvHeads: 2, headDim: 20, start: 9, scale: 0.3, window: 4, softcap: 2 },
  ])('attend %o', (shape) => {
    const { tokens, heads, kvHeads, headDim, start } = shape;
    const size = tokens * heads * headDim;
    const cacheSize = (start + tokens) * kvHeads * headDim;
    compare((kernels) => {
      const output = kernels.allocate(4 * size);
      const [queries, keys, values] = [size, cacheSize, cacheSize].map((length, i) =>
        put(kernels, randomActivations(length, i)),
      );
      kernels.attend(queries!, keys!, values!, output, shape);
      return kernels.float32(output, size);
    });
  });

  it('layerNorm and activate', () => {
    for (const tokens of [1, 3, 21]) {
      const width = 30;
      compare((kernels) => {
        const [values, weight, bias] = [tokens * width, width, width].map((length, i) =>
          put(kernels, randomActivations(length, i)),
        );
        const normed = kernels.allocate(4 * tokens * width);
        kernels.layerNorm(values!, { weight: weight!, bias: bias! }, normed, tokens, width, 1e-5);
        kernels.activate('gelu', { gate: normed, up: values, output: normed }, tokens * width);
        kernels.activate('geluTanh', { gate: normed, output: normed }, tokens * width);
        return kernels.float32(normed, tokens * width);
      });
    }
  });

  it('rotate, rmsNorm and swiGlu', () => {
    for (const tokens of [1, 3, 21]) {
      const shape = { tokens, heads: 3, headDim: 10, start: 2 };
      const width = shape.heads * shape.headDim;
      compare((kernels) => {
        const [values, cosines, sines, weight] = [tokens * width, 40 * 5, 40 * 5, width].map((length, i) =>
          put(kernels, randomActivations(length, i)),
        );
        const normed = kernels.allocate(4 * tokens * width);
        kernels.rotate(values!, cosines!, sines!, shape);
        kernels.rmsNorm(values!, weight!, normed, tokens, width, 1e-5);
        kernels.swiGlu(normed, values!, normed, tokens * width);
        return kernels.float32(normed, tokens * width);
      });
    }
  });
});

describe('createKernels with threads', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('computes a product that is large enough to be split', async () => {
    const kernels = await createKernels({ threads: 2 });
    expect(kernels.threads).toBe(2);
    const matrix = randomQuantizedMatrix({ format: formats['int4']!, rows: 256, columns: 1024, seed: 1 });
    const loaded = kernels.loadQuantized(matrix);
    const x = kernels.allocate(4 * 1024);
    const y = kernels.allocate(4 * 256);
    kernels.float32(x, 1024).fill(1);
    kernels.multiply(loaded, x, y, 1);
    const weights = dequantize(matrix);
    const outputs = kernels.float32(y, 256);
    for (let row = 0; row < 256; row++) {
      const sum = weights.subarray(1024 * row, 1024 * (row + 1)).reduce((total, weight) => total + weight, 0);
      expect(outputs[row]).toBeCloseTo(sum, 3);
    }
    kernels.close();
    kernels.close();
    expect(() => kernels.multiply(loaded, x, y, 1)).toThrow('the threads of the kernels cannot be used');
  });

  it('has one thread where memory cannot be shared', async () => {
    vi.stubGlobal('SharedArrayBuffer', undefined);
    const kernels = await createKernels({ threads: 4 });
    expect(kernels.threads).toBe(1);
    const loaded = kernels.loadDense(Float32Array.of(1, 2, 3, 4), 2, 2);
    const x = kernels.allocate(8);
    const y = kernels.allocate(8);
    kernels.float32(x, 2).set([1, 10]);
    kernels.close();
    kernels.multiply(loaded, x, y, 1);
    expect([...kernels.float32(y, 2)]).toEqual([21, 43]);
  });

  it('refuses what is not a number of threads', async () => {
    for (const threads of [0, 1.5, -2, Number.NaN, 257]) {
      await expect(createKernels({ threads })).rejects.toThrow(`from 1 to 256, not ${threads}`);
    }
  });
});
