import type { Kernels, Matrix } from '@lbs/kernels';
import { type CancelOptions, layoutOf, type ModelConfig, type ModelSource } from '@lbs/model-loaders';
import { batchTokens } from '../decoder/batch.js';
import { WeightLoader } from '../decoder/decoder-weights.js';
import { TokenEmbedding } from '../decoder/token-embedding.js';

/** Rows of the embedding that are read at a time. */
const chunkRows = 1024;

/**
 * The hidden states [tokens, hiddenSize] before the first block for each sequence. An embedding that is stored as numbers is read
 * a few rows at a time, where tokens need them; a quantized one is loaded whole. Nothing of it stays in memory.
 */
export async function embedSequences(
  source: ModelSource,
  kernels: Kernels,
  sequences: readonly (readonly number[])[],
  options: CancelOptions = {},
): Promise<Float32Array[]> {
  const { embedding, positions } = layoutOf(source.config);
  const name = `${embedding}.weight`;
  if (source.has(name) && (positions === undefined || source.has(`${positions}.weight`))) {
    return embedFromFile(source, name, positions && `${positions}.weight`, sequences, options);
  }
  const mark = kernels.mark();
  try {
    const loader = new WeightLoader(source, kernels, options);
    const weights = { embedding: await loader.embedding(), positions: await loader.positions() };
    return sequences.map((tokens) => embedInMemory(kernels, source.config, weights, tokens));
  } finally {
    kernels.release(mark);
  }
}

async function embedFromFile(
  source: ModelSource,
  embedding: string,
  positions: string | undefined,
  sequences: readonly (readonly number[])[],
  options: CancelOptions,
): Promise<Float32Array[]> {
  const { hiddenSize, vocabularySize, embeddingScale, positionOffset = 0 } = source.config;
  const hidden = sequences.map(({ length }) => new Float32Array(length * hiddenSize));
  const needed = new Set(sequences.flat().map((token) => Math.floor(token / chunkRows)));
  for (const chunk of needed) {
    const first = chunk * chunkRows;
    const rows = { first, count: Math.min(chunkRows, vocabularySize - first) };
    const values = await source.readFloat32(embedding, { ...options, rows });
    for (const [i, tokens] of sequences.entries()) {
      for (const [position, token] of tokens.entries()) {
        const start = (token - first) * hiddenSize;
        if (Math.floor(token / chunkRows) !== chunk) continue;
        hidden[i]!.set(values.subarray(start, start + hiddenSize), position * hiddenSize);
      }
    }
  }
  // The same roundings as in the kernels: each product and each sum is a float32.
  if (embeddingScale !== undefined) {
    const scale = Math.fround(embeddingScale);
    for (const states of hidden) for (let i = 0; i < states.length; i++) states[i]! *= scale;
  }
  if (positions === undefined) return hidden;
  const longest = Math.max(...sequences.map(({ length }) => length));
  const rows = { first: positionOffset, count: longest };
  const table = await source.readFloat32(positions, { ...options, rows });
  for (const states of hidden) for (let i = 0; i < states.length; i++) states[i]! += table[i]!;
  return hidden;
}

/** Hidden states [tokens, hiddenSize] before the first block, with weights that are in memory. */
export function embedInMemory(
  kernels: Kernels,
  config: ModelConfig,
  weights: { readonly embedding: Matrix; readonly positions: Matrix | undefined },
  tokens: readonly number[],
): Float32Array {
  const mark = kernels.mark();
  const { hiddenSize } = config;
  const computation = new TokenEmbedding(config, kernels, weights);
  const batch = kernels.allocate(4 * batchTokens * hiddenSize);
  const hidden = new Float32Array(tokens.length * hiddenSize);
  for (let position = 0; position < tokens.length; position += batchTokens) {
    const part = tokens.slice(position, position + batchTokens);
    computation.run(part, [{ tokens: part.length, position }], batch);
    hidden.set(kernels.float32(batch, part.length * hiddenSize), position * hiddenSize);
  }
  kernels.release(mark);
  return hidden;
}
