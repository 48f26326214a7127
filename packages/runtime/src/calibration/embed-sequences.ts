import type { Kernels, Matrix } from '@lbs/kernels';
import type { CancelOptions, ModelSource } from '@lbs/model-loaders';
import { WeightLoader } from '../decoder/decoder-weights.js';

const embeddingName = 'model.embed_tokens.weight';

/** Rows of the embedding that are read at a time. */
const chunkRows = 1024;

/**
 * The rows [tokens, hiddenSize] of the embedding for each sequence. An embedding that is stored as numbers is read a few rows at a time,
 * where tokens need them; a quantized one is loaded whole. Nothing of it stays in memory.
 */
export async function embedSequences(
  source: ModelSource,
  kernels: Kernels,
  sequences: readonly (readonly number[])[],
  options: CancelOptions = {},
): Promise<Float32Array[]> {
  const { hiddenSize, vocabularySize } = source.config;
  if (!source.has(embeddingName)) {
    const mark = kernels.mark();
    try {
      const embedding = await new WeightLoader(source, kernels, options).embedding();
      return sequences.map((tokens) => gatherRows(kernels, embedding, tokens));
    } finally {
      kernels.release(mark);
    }
  }
  const hidden = sequences.map(({ length }) => new Float32Array(length * hiddenSize));
  const needed = new Set(sequences.flat().map((token) => Math.floor(token / chunkRows)));
  for (const chunk of needed) {
    const first = chunk * chunkRows;
    const rows = { first, count: Math.min(chunkRows, vocabularySize - first) };
    const values = await source.readFloat32(embeddingName, { ...options, rows });
    for (const [i, tokens] of sequences.entries()) {
      for (const [position, token] of tokens.entries()) {
        const start = (token - first) * hiddenSize;
        if (Math.floor(token / chunkRows) !== chunk) continue;
        hidden[i]!.set(values.subarray(start, start + hiddenSize), position * hiddenSize);
      }
    }
  }
  return hidden;
}

/** [tokens, hiddenSize] rows of an embedding that is in memory. */
export function gatherRows(kernels: Kernels, embedding: Matrix, tokens: readonly number[]): Float32Array {
  const mark = kernels.mark();
  const length = tokens.length * embedding.columns;
  const pointer = kernels.allocate(4 * length);
  kernels.gather(embedding, tokens, pointer);
  const rows = kernels.float32(pointer, length).slice();
  kernels.release(mark);
  return rows;
}
