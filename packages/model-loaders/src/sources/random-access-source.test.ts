import { crc32, FileAccessError, InvalidArgumentError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { blobSource, type RandomAccessSource, readExactly, readInPieces } from './random-access-source.js';

describe('blobSource', () => {
  const source = blobSource(new Blob([Uint8Array.of(0, 1, 2, 3, 4)]), 'chosen.bin');

  it('reads ranges, and refuses those that are not inside', async () => {
    expect(source.size).toBe(5);
    expect(await source.read(1, 3)).toEqual(Uint8Array.of(1, 2, 3));
    expect(await source.read(5, 0)).toEqual(new Uint8Array(0));
    const outside = [
      [4, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [Number.NaN, 1],
    ] as const;
    for (const [offset, length] of outside) {
      await expect(source.read(offset, length)).rejects.toThrow(InvalidArgumentError);
    }
  });

  it('can be cancelled', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(source.read(0, 1, { signal })).rejects.toThrow('enough');
  });

  it('tells that a file is gone', async () => {
    const gone = {
      size: 4,
      slice: () => ({ arrayBuffer: () => Promise.reject(new Error('NotReadableError')) }),
    };
    await expect(blobSource(gone as unknown as Blob, 'gone').read(0, 4)).rejects.toThrow(FileAccessError);
  });
});

describe('readInPieces', () => {
  it('gives the bytes of a range in order, none of them twice', async () => {
    const bytes = Uint8Array.from({ length: 2 ** 23 + 2 ** 22 }, (_, i) => (i * i) >>> 7);
    const source = blobSource(new Blob([bytes]), 'large');
    for (const [begin, end] of [
      [3, bytes.length],
      [5, 5 + 2 ** 23],
      [7, 7],
    ] as const) {
      const lengths: number[] = [];
      let at = begin;
      for await (const piece of readInPieces(source, begin, end)) {
        lengths.push(piece.length);
        expect(crc32(piece)).toBe(crc32(bytes.subarray(at, at + piece.length)));
        at += piece.length;
      }
      expect(at).toBe(end);
      expect(lengths.every((length) => length <= 2 ** 23)).toBe(true);
    }
  });
});

describe('readExactly', () => {
  const memory = Uint8Array.from({ length: 16 }, (_, i) => i);
  const sourceOf = (read: RandomAccessSource['read']) => ({ name: 'mine', size: 16, read });

  it('makes a buffer of a view', async () => {
    const source = sourceOf(async (offset, length) => memory.subarray(offset, offset + length));
    const bytes = await readExactly(source, 3, 4);
    expect(bytes).toEqual(Uint8Array.of(3, 4, 5, 6));
    expect(bytes.buffer.byteLength).toBe(4);
  });

  it('refuses too few bytes', async () => {
    const source = sourceOf(async (offset, length) => memory.slice(offset, offset + length - 1));
    await expect(readExactly(source, 0, 4)).rejects.toThrow('mine: 3 bytes came for 4 at 0.');
  });
});
