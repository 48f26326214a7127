import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { serializeQuantizationConfig } from '@lbs/format';
import {
  blobSource,
  ggufOfModel,
  type ModelSource,
  openGguf,
  openGgufModel,
  openModelDirectory,
  serializeGgufHeader,
} from '@lbs/model-loaders';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, describe, expect, test } from 'vitest';
import { directoryOf } from '../fixtures/model-in-memory.js';
import { type DecoderOptions, loadDecoder } from './decoder.js';

/** Made by scripts/make_gguf_vectors.py: what transformers computes in float32 with the dequantized weights. */
interface Vectors {
  readonly tokens: readonly number[];
  readonly cases: readonly { readonly file: string; readonly modelType: string; readonly offset: number }[];
}

const place = (file: string) => fileURLToPath(new URL(`../fixtures/gguf/${file}`, import.meta.url));
const { tokens, cases } = JSON.parse(readFileSync(place('cases.json'), 'utf8')) as Vectors;
const data = readFileSync(place('logits.bin'));
/** Every fourth entry of the vocabulary is stored. */
const columnStep = 4;

/** A file in memory. */
const memoryFile = (bytes: Uint8Array<ArrayBuffer>) => blobSource(new Blob([bytes]), 'copy.gguf');
const fileOf = async (path: string) => memoryFile(Uint8Array.from(readFileSync(path)));

async function bytesOfGguf(source: ModelSource, type: string): Promise<Uint8Array<ArrayBuffer>> {
  const { metadata, tensors } = await ggufOfModel(source, { type });
  const { bytes: header, ranges, fileSize } = serializeGgufHeader(metadata, tensors);
  const file = new Uint8Array(fileSize);
  file.set(header);
  for (const [i, { bytes }] of tensors.entries()) {
    let at = ranges[i]!.begin;
    for await (const piece of bytes()) {
      file.set(piece, at);
      at += piece.length;
    }
    expect(at).toBe(ranges[i]!.end);
  }
  return file;
}

async function largestDifference(
  source: ModelSource,
  offset: number,
  options: Pick<DecoderOptions, 'packed' | 'activations'> = { packed: false },
): Promise<number> {
  const decoder = await loadDecoder(source, { contextLength: tokens.length, ...options });
  const logits = await decoder.logits(tokens, 0);
  const columns = source.config.vocabularySize / columnStep;
  return Array.from({ length: tokens.length * columns }, (_, i) =>
    Math.abs(logits[i * columnStep]! - data.readFloatLE(offset + 4 * i)),
  ).reduce((most, difference) => Math.max(most, difference));
}

describe.each(cases)('$file', async ({ file, modelType, offset }) => {
  const source = await openModel(place(file));
  afterAll(() => source.close());

  test('has the logits of transformers', async () => {
    expect(source.config.architecture).toBe(modelType);
    expect(await largestDifference(source, offset)).toBeLessThan(2e-4);
    expect(await largestDifference(source, offset, { activations: 'float32' })).toBeLessThan(2e-4);
    // Activations that meet packed matrices have 16 bits.
    expect(await largestDifference(source, offset, {})).toBeLessThan(1e-3);
  });

  test('is written as it was', async () => {
    const original = await openGguf(await fileOf(place(file)));
    const copy = await openGguf(memoryFile(await bytesOfGguf(source, 'Q8_0')));
    expect([...copy.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort());
    for (const name of original.tensors.keys()) {
      // The copies of quantized matrices are exact; what is added to the weights of norms is rounded.
      const [found, expected] = [await copy.readFloat32(name), await original.readFloat32(name)];
      expect(
        found.every((value, i) => Math.abs(value - expected[i]!) < 1e-6),
        name,
      ).toBe(true);
    }
    for (const [key, value] of original.metadata) expect(copy.metadata.get(key), key).toEqual(value);
  });

  test('has them too when it is written as GGUF', async () => {
    const copy = await openGgufModel(memoryFile(await bytesOfGguf(source, 'F32')));
    expect(copy.config).toEqual(source.config);
    expect(await largestDifference(copy, offset)).toBeLessThan(2e-4);
  });

  // Only then the matrices of GPT-2 are [out, in] in a file.
  test('has them too when it is written as a directory of this toolkit', async () => {
    const quantization = serializeQuantizationConfig({ groups: [], provenance: {} });
    const copy = await openModelDirectory(await directoryOf(source, { quantization_config: quantization }));
    expect(copy.config).toEqual(source.config);
    expect(await largestDifference(copy, offset)).toBeLessThan(2e-4);
  });
});
