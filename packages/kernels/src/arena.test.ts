import { defineNumberFormat, LbsError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { randomQuantizedMatrix } from './fixtures/random-matrix.js';
import { createKernels, MemoryLimitError } from './index.js';

describe('memory', () => {
  it('aligns, and gives back what release takes', async () => {
    const kernels = await createKernels();
    kernels.allocate(3);
    const mark = kernels.mark();
    const first = kernels.allocate(10, 256);
    expect(first % 256).toBe(0);
    kernels.release(mark);
    expect(kernels.allocate(10, 256)).toBe(first);
  });

  it('keeps its contents when it grows', async () => {
    const kernels = await createKernels({ initialBytes: 0 });
    const pointer = kernels.allocate(4);
    kernels.float32(pointer, 1)[0] = 5;
    const far = kernels.allocate(2 ** 22);
    kernels.float32(far, 2 ** 20)[2 ** 20 - 1] = 6;
    expect(kernels.float32(pointer, 1)[0]).toBe(5);
  });

  it('says what did not fit', async () => {
    const kernels = await createKernels();
    const error = await Promise.resolve()
      .then(() => kernels.allocate(2 ** 32))
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MemoryLimitError);
    expect(LbsError.isInstance(error)).toBe(true);
    expect((error as Error).message).toContain('4294967296 more bytes do not fit');
  });

  it('refuses what is not a size, an alignment or a mark', async () => {
    const kernels = await createKernels();
    expect(() => kernels.allocate(-1)).toThrow('whole number of bytes, not -1');
    expect(() => kernels.allocate(1.5)).toThrow('whole number of bytes, not 1.5');
    expect(() => kernels.allocate(4, 3)).toThrow('power of two, not 3');
    expect(() => kernels.release(kernels.mark() + 1)).toThrow('was not taken below');
    await expect(createKernels({ initialBytes: -1 })).rejects.toThrow('initialBytes must be');
  });
});

describe('loading', () => {
  const format = defineNumberFormat({ name: 'test', privateBits: 4, groupSize: 64 });

  it('keeps codes packed', async () => {
    const kernels = await createKernels();
    const matrix = randomQuantizedMatrix({ format, rows: 256, columns: 512, seed: 1 });
    // 4 bits a weight, 32 bits a group of 64, tables and the header.
    expect(kernels.loadQuantized(matrix).bytes).toBeLessThan(256 * 512 * (4 + 0.5) * 0.125 + 1024);
    expect(kernels.loadDense(new Float32Array(12), 3, 4)).toMatchObject({ rows: 3, columns: 4, bytes: 48 });
  });

  it('refuses parts that do not fit, and takes back what it had copied', async () => {
    const kernels = await createKernels();
    const matrix = randomQuantizedMatrix({ format, rows: 4, columns: 64, seed: 1, salient: 0.1 });
    const salient = matrix.salient!;
    const mark = kernels.mark();
    const outside = { ...salient, columns: salient.columns.with(0, 64) };
    expect(() => kernels.loadQuantized({ ...matrix, salient: outside })).toThrow('outside of the 64 columns');
    const short = { ...salient, residuals: salient.residuals.subarray(1) };
    expect(() => kernels.loadQuantized({ ...matrix, salient: short })).toThrow('salient weights');
    expect(() => kernels.loadQuantized({ ...matrix, packed: matrix.packed.subarray(1) })).toThrow('"packed"');
    expect(() => kernels.loadDense(new Float32Array(11), 3, 4)).toThrow('12 weights, not 11');
    expect(kernels.mark()).toBe(mark);
  });

  it('refuses a matrix of another instance', async () => {
    const [first, second] = [await createKernels(), await createKernels()];
    const matrix = first.loadDense(new Float32Array(4), 2, 2);
    expect(() => second.multiply(matrix, 4096, 4096, 1)).toThrow('not loaded into these kernels');
  });

  it('works above 2 GiB as below', async () => {
    const matrix = randomQuantizedMatrix({ format, rows: 5, columns: 100, seed: 1, salient: 0.1 });
    const input = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i));
    const results = await Promise.all(
      [0, 2 ** 31].map(async (bytes) => {
        const kernels = await createKernels();
        kernels.allocate(bytes);
        const loaded = [kernels.loadQuantized(matrix), kernels.loadDense(input, 3, 100)];
        const x = kernels.allocate(4 * 300);
        kernels.float32(x, 300).set(input);
        return loaded.flatMap((handle) =>
          [1, 3].flatMap((tokens) => {
            const y = kernels.allocate(4 * tokens * handle.rows);
            kernels.multiply(handle, x, y, tokens);
            return [kernels.argmax(y, tokens * handle.rows), ...kernels.float32(y, tokens * handle.rows)];
          }),
        );
      }),
    );
    expect(results[0]!.some((value) => value !== 0)).toBe(true);
    expect(results[1]).toEqual(results[0]);
  });
});
