import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { FileAccessError, InvalidArgumentError, safetensorsByteLength, safetensorsDtypes } from '@lbs/format';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSafetensors } from '../safetensors/safetensors.js';
import { openFileSource } from './file-source.js';
import { type TensorToWrite, writeSafetensors } from './write-safetensors.js';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lbs-'));
  path = join(directory, 'model.safetensors');
});
afterEach(() => rm(directory, { recursive: true }));

const weight: TensorToWrite = {
  name: 'w',
  dtype: 'F32',
  shape: [2],
  bytes: new Uint8Array(Float32Array.of(1, -2).buffer),
};

describe('writeSafetensors', () => {
  it('writes what openSafetensors reads back, byte for byte', async () => {
    const tensor = fc
      .record({
        name: fc.string({ minLength: 1, maxLength: 8 }),
        dtype: fc.constantFrom(...safetensorsDtypes),
        rows: fc.nat(5),
      })
      .map(({ name, dtype, rows }) => ({ name, dtype, shape: [rows, 4] }));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 6 }),
        async (specs) => {
          const tensors = specs.map((spec, i) => {
            const bytes = new Uint8Array(safetensorsByteLength(spec.dtype, spec.shape)!).fill(i + 1);
            return { ...spec, bytes: i % 2 === 0 ? bytes : async () => bytes };
          });
          await writeSafetensors(path, tensors, { format: 'pt' });
          const source = await openFileSource(path);
          const reader = await openSafetensors(source);
          expect(reader.tensors.size).toBe(specs.length);
          expect([...reader.metadata]).toEqual([['format', 'pt']]);
          for (const { name, dtype, shape, bytes } of tensors) {
            const expected = typeof bytes === 'function' ? await bytes() : bytes;
            expect(reader.tensors.get(name)).toEqual({ dtype, shape, byteLength: expected.length });
            expect(await reader.readBytes(name)).toEqual(expected);
          }
          await source.close();
        },
      ),
      { numRuns: 40 },
    );
  });

  it('asks for one tensor at a time, in the order of the file, and tells how far it is', async () => {
    const events: string[] = [];
    const make = (name: string, dtype: 'U8' | 'F32') => ({
      name,
      dtype,
      shape: [4],
      bytes: async () => {
        events.push(`make ${name}`);
        return new Uint8Array(dtype === 'U8' ? 4 : 16);
      },
    });
    await writeSafetensors(path, [make('a', 'U8'), make('c', 'F32'), make('b', 'F32')], undefined, {
      onProgress: ({ tensor, bytesWritten, bytesTotal }) =>
        events.push(`wrote ${tensor}, ${bytesTotal - bytesWritten} to go`),
    });
    expect(events).toEqual([
      'make b',
      'wrote b, 20 to go',
      'make c',
      'wrote c, 4 to go',
      'make a',
      'wrote a, 0 to go',
    ]);
  });

  it('writes pieces as it writes the whole', async () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => 7 * i);
    const tensor = { name: 'w', dtype: 'U8' as const, shape: [100] };
    async function* pieces(...ends: number[]) {
      for (const [i, end] of ends.entries()) yield bytes.subarray(ends[i - 1] ?? 0, end);
    }
    const file = async (tensorBytes: TensorToWrite['bytes']) => {
      await writeSafetensors(path, [{ ...tensor, bytes: tensorBytes }], {}, { checksums: true });
      return readFile(path);
    };
    expect(await file(() => pieces(1, 1, 60, 100))).toEqual(await file(bytes));
    for (const ends of [[50, 99], []]) {
      await expect(file(() => pieces(...ends))).rejects.toThrow(
        `${ends.at(-1) ?? 0} bytes were given, but shape [100] of U8 has 100`,
      );
    }
    const twice = async function* () {
      yield* [bytes, bytes];
    };
    await expect(file(twice)).rejects.toThrow('200 bytes were given');
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('replaces a file, and leaves those who read the old one alone', async () => {
    await writeSafetensors(path, [weight]);
    const source = await openFileSource(path);
    const reader = await openSafetensors(source);
    await writeSafetensors(path, [{ ...weight, bytes: new Uint8Array(8) }]);
    expect(await reader.readFloat32('w')).toEqual(Float32Array.of(1, -2));
    await source.close();
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('leaves nothing behind and the old file in place when a tensor cannot be made', async () => {
    await writeFile(path, 'old');
    const failing = async () => {
      throw new Error('no tensor');
    };
    await expect(writeSafetensors(path, [weight, { ...weight, name: 'x', bytes: failing }])).rejects.toThrow(
      'no tensor',
    );
    expect(await readdir(directory)).toEqual(['model.safetensors']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  it('leaves nothing behind when it is cancelled before, in the middle or at the end', async () => {
    await expect(writeSafetensors(path, [weight], {}, { signal: AbortSignal.abort() })).rejects.toThrow(
      'aborted',
    );
    for (const last of ['w', 'x']) {
      const controller = new AbortController();
      const onProgress = ({ tensor }: { tensor: string }) => {
        if (tensor === last) controller.abort(new Error('enough'));
      };
      const options = { signal: controller.signal, onProgress };
      await expect(writeSafetensors(path, [weight, { ...weight, name: 'x' }], {}, options)).rejects.toThrow(
        'enough',
      );
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses bytes that do not fit', async () => {
    await expect(writeSafetensors(path, [{ ...weight, bytes: new Uint8Array(4) }])).rejects.toThrow(
      InvalidArgumentError,
    );
    await expect(writeSafetensors(path, [weight, weight])).rejects.toThrow(InvalidArgumentError);
    expect(await readdir(directory)).toEqual([]);
  });

  it('says that a directory of the path is a file', async () => {
    await writeFile(path, 'a file');
    await expect(writeSafetensors(join(path, 'x'), [weight])).rejects.toThrow('(ENOTDIR). Check the path.');
  });

  it('says that the target is a directory', async () => {
    await expect(writeSafetensors(directory, [weight])).rejects.toThrow(FileAccessError);
    expect(await readdir(directory)).toEqual([]);
    expect((await readdir(dirname(directory))).filter((name) => name.endsWith('.partial'))).toEqual([]);
  });

  it('says where it cannot write', async () => {
    const nowhere = join(directory, 'missing', 'model.safetensors');
    await expect(writeSafetensors(nowhere, [weight])).rejects.toThrow(FileAccessError);
    await expect(writeSafetensors(nowhere, [weight])).rejects.toThrow(
      `${nowhere}: the file cannot be written (ENOENT). Check the path.`,
    );
  });
});

describe('openFileSource', () => {
  it('reads ranges, and refuses those that are not inside', async () => {
    await writeFile(
      path,
      Uint8Array.from({ length: 100 }, (_, i) => i),
    );
    const source = await openFileSource(path);
    expect(await source.read(98, 2)).toEqual(Uint8Array.of(98, 99));
    expect(await source.read(100, 0)).toEqual(new Uint8Array(0));
    for (const [offset, length] of [
      [99, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const) {
      await expect(source.read(offset, length)).rejects.toThrow(InvalidArgumentError);
    }
    await expect(source.read(0, 1, { signal: AbortSignal.abort() })).rejects.toThrow('aborted');
    await source.close();
  });

  it('reads behind 2^31 in a sparse file', async () => {
    const handle = await open(path, 'w');
    await handle.write(Uint8Array.of(42), 0, 1, 3 * 2 ** 30);
    await handle.close();
    const source = await openFileSource(path);
    expect(source.size).toBe(3 * 2 ** 30 + 1);
    expect(await source.read(3 * 2 ** 30 - 1, 2)).toEqual(Uint8Array.of(0, 42));
    await source.close();
  });

  it('tells a file that shrank from one that is malformed', async () => {
    await writeFile(path, new Uint8Array(100));
    const source = await openFileSource(path);
    await writeFile(path, new Uint8Array(50));
    await expect(source.read(0, 100)).rejects.toThrow(FileAccessError);
    await source.close();
  });

  it('refuses directories and what does not exist', async () => {
    await expect(openFileSource(directory)).rejects.toThrow(FileAccessError);
    await expect(openFileSource(join(directory, 'missing'))).rejects.toThrow(FileAccessError);
  });
});
