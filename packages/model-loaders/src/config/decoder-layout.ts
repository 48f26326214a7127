import type { ModelConfig } from './model-config.js';

/** The linear layers of a decoder block by what they do. `gate` is missing where the feed-forward layer has no gate. */
export type LinearLayer = 'query' | 'key' | 'value' | 'attentionOutput' | 'gate' | 'up' | 'down';

/**
 * The norms of a decoder block by what they normalize: the input of attention, each query and key, the output of attention, the
 * input of the feed-forward layer, its output.
 */
export type BlockNorm =
  | 'attentionNorm'
  | 'queryNorm'
  | 'keyNorm'
  | 'attentionPostNorm'
  | 'feedForwardNorm'
  | 'feedForwardPostNorm';

/**
 * Rows of a fused matrix: `length` consecutive ones from `first` on, and again `count` times in all, each `step` rows behind the
 * one before.
 */
export interface RowRuns {
  readonly first: number;
  readonly length: number;
  readonly count: number;
  readonly step: number;
}

/** The rows of layers that are stored one behind the other in a fused matrix, by how many each has. */
export function consecutiveRows(...counts: readonly number[]): readonly RowRuns[] {
  let first = 0;
  return counts.map((length) => {
    const rows = { first, length, count: 1, step: length };
    first += length;
    return rows;
  });
}

/** Where a linear layer's weights are. */
export interface LinearPlace {
  /** Name of the module within its block, such as `self_attn.q_proj`. Its weight is [out, in]. */
  readonly module: string;
  readonly bias: boolean;
  /** The layer's rows of a matrix that it shares with others. Default: it has the matrix for itself. */
  readonly rows?: RowRuns;
}

/** Where a norm's weights are. */
export interface NormPlace {
  /** Within its block. Missing for a norm without weights. */
  readonly module?: string;
  readonly bias?: boolean;
  /** Whether it normalizes each head by itself, with the same weights. Default: the whole width. */
  readonly perHead?: boolean;
}

/** Names and parts of a decoder's weights, in a checkpoint of Hugging Face. */
export interface DecoderLayout {
  /** Module of the token embedding. */
  readonly embedding: string;
  /** Module of the learned positions, where there are such. */
  readonly positions?: string;
  /** Module of all blocks; block i is `blocks.i`. */
  readonly blocks: string;
  readonly linears: Readonly<Partial<Record<LinearLayer, LinearPlace>>>;
  readonly norms: Readonly<Partial<Record<BlockNorm, NormPlace>>>;
  readonly finalNorm: NormPlace;
  /** The output head; its weight is that of the embedding where the two are tied. */
  readonly head: { readonly module: string; readonly bias: boolean };
  /** Whether checkpoints store the matrices of blocks as [in, out]. They are read as [out, in]. */
  readonly isTransposed?: boolean;
}

/** A matrix of a decoder block, with the linear layers that it holds. */
export interface BlockMatrix {
  /** Within its block. */
  readonly module: string;
  readonly linears: readonly LinearLayer[];
  readonly rows: number;
  readonly columns: number;
  readonly bias: boolean;
}

const linearOrder: readonly LinearLayer[] = [
  'query',
  'key',
  'value',
  'attentionOutput',
  'gate',
  'up',
  'down',
];

/** Output and input features of a linear layer. */
export function linearSize(
  { hiddenSize, intermediateSize, heads, keyValueHeads, headSize }: ModelConfig,
  linear: LinearLayer,
): { readonly rows: number; readonly columns: number } {
  switch (linear) {
    case 'query':
      return { rows: heads * headSize, columns: hiddenSize };
    case 'key':
    case 'value':
      return { rows: keyValueHeads * headSize, columns: hiddenSize };
    case 'attentionOutput':
      return { rows: hiddenSize, columns: heads * headSize };
    case 'gate':
    case 'up':
      return { rows: intermediateSize, columns: hiddenSize };
    case 'down':
      return { rows: hiddenSize, columns: intermediateSize };
  }
}

/** The module within its block whose weight or bias a tensor is; undefined outside of blocks. */
export function moduleInBlock(tensor: string, { blocks }: DecoderLayout): string | undefined {
  if (!tensor.startsWith(`${blocks}.`)) return undefined;
  return /^\d+\.(.+)\.(?:weight|bias)$/.exec(tensor.slice(blocks.length + 1))?.[1];
}

/** Numbers that a norm normalizes together: the length of its weights. */
export function normWidth(config: ModelConfig, layout: DecoderLayout, norm: BlockNorm): number {
  const { hiddenSize, heads, keyValueHeads, headSize } = config;
  if (norm !== 'queryNorm' && norm !== 'keyNorm') return hiddenSize;
  if (layout.norms[norm]?.perHead) return headSize;
  return headSize * (norm === 'queryNorm' ? heads : keyValueHeads);
}

/** The matrices of every block, in the order of computation. A matrix that holds several layers is one. */
export function blockMatrices(config: ModelConfig, layout: DecoderLayout): readonly BlockMatrix[] {
  const matrices = new Map<string, BlockMatrix>();
  for (const linear of linearOrder) {
    const place = layout.linears[linear];
    if (!place) continue;
    const { rows, columns } = linearSize(config, linear);
    const present = matrices.get(place.module);
    matrices.set(place.module, {
      module: place.module,
      linears: [...(present?.linears ?? []), linear],
      rows: rows + (present?.rows ?? 0),
      columns,
      bias: place.bias,
    });
  }
  return [...matrices.values()];
}

/** Names and shapes of all tensors that a model needs, as Hugging Face has them, matrices as [out, in]. */
export function tensorShapesOf(
  config: ModelConfig,
  layout: DecoderLayout,
): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize, vocabularySize, contextLength, positionOffset = 0, layers } = config;
  const shapes = new Map<string, readonly number[]>();
  const norm = ({ module, bias }: NormPlace, prefix: string, width: number) => {
    if (module === undefined) return;
    shapes.set(`${prefix}${module}.weight`, [width]);
    if (bias) shapes.set(`${prefix}${module}.bias`, [width]);
  };
  shapes.set(`${layout.embedding}.weight`, [vocabularySize, hiddenSize]);
  if (layout.positions !== undefined) {
    shapes.set(`${layout.positions}.weight`, [contextLength + positionOffset, hiddenSize]);
  }
  const matrices = blockMatrices(config, layout);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `${layout.blocks}.${layer}.`;
    for (const [name, place] of Object.entries(layout.norms)) {
      norm(place, prefix, normWidth(config, layout, name as BlockNorm));
    }
    for (const { module, rows, columns, bias } of matrices) {
      shapes.set(`${prefix}${module}.weight`, [rows, columns]);
      if (bias) shapes.set(`${prefix}${module}.bias`, [rows]);
    }
  }
  norm(layout.finalNorm, '', hiddenSize);
  if (!config.tiedEmbeddings) shapes.set(`${layout.head.module}.weight`, [vocabularySize, hiddenSize]);
  if (layout.head.bias) shapes.set(`${layout.head.module}.bias`, [vocabularySize]);
  return shapes;
}
