import { InvalidArgumentError, UnsupportedError } from '@lbs/format';
import type { Architecture } from '../config/architecture.js';
import { tensorShapes } from '../config/architectures.js';
import { moduleInBlock } from '../config/decoder-layout.js';
import type { DenseWeights } from '../model/dense-weights.js';
import type { ModelSource } from '../model/model-source.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import type { GgufDeclaration } from './gguf-declaration.js';
import type { GgufQuantizer } from './gguf-quantizer.js';
import { type RowOrder, rowOrders } from './gguf-row-order.js';
import { ggufTensorNames } from './gguf-tensor-names.js';
import { isNormWeight } from './gguf-tensors.js';

/** Elements that are read and rounded at a time. */
const PIECE_ELEMENTS = 2 ** 20;

/** A weight that is written. */
export interface GgufWeight {
  /** Of Hugging Face. */
  readonly name: string;
  readonly ggufName: string;
  readonly shape: readonly number[];
  /** For each row of Hugging Face the row of the file that it becomes; undefined where it is the same. */
  readonly order: RowOrder | undefined;
  /** What is added to the values. */
  readonly offset: number;
}

/** The weights of a model in the order of a file. Throws UnsupportedError for one that GGUF has no name for. */
export function ggufWeightsOf(
  { config, name: file }: ModelSource,
  architecture: Architecture,
  { hasPairedRows = false }: GgufDeclaration,
): readonly GgufWeight[] {
  const layout = architecture.layout(config);
  const names = ggufTensorNames(config, layout);
  const shapes = tensorShapes(config);
  for (const tensor of shapes.keys()) {
    if (names.has(tensor)) continue;
    throw new UnsupportedError('GGUF has no name for this tensor', {
      file,
      tensor,
      mend: 'Convert the model with convert_hf_to_gguf.py of llama.cpp.',
    });
  }
  const orders = rowOrders(config, layout, hasPairedRows);
  return [...names].flatMap(([name, ggufName]) => {
    const shape = shapes.get(name);
    if (!shape) return [];
    const module = moduleInBlock(name, layout);
    const order = module === undefined ? undefined : orders.get(module);
    const offset = isNormWeight(name, layout) ? (config.normOffset ?? 0) : 0;
    return [{ name, ggufName, shape, order, offset }];
  });
}

/** The bytes of a weight that the model has in the type of the file. */
export async function* copiedBytes(
  model: ModelSource,
  { name, shape, order }: GgufWeight,
  options: CancelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  if (order) yield reordered(await model.readBytes(name, options), shape[0]!, order);
  else yield* model.readPieces(name, options);
}

/** The bytes of a weight whose values are rounded to a type. Throws InvalidArgumentError for one that is no finite number where the type has blocks. */
export async function* roundedBytes(
  model: ModelSource,
  weights: DenseWeights,
  { name, shape, order, offset }: GgufWeight,
  quantizer: GgufQuantizer,
  options: CancelOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  // Rows that move can come from anywhere: such a matrix is one piece.
  const elements = order ? Number.POSITIVE_INFINITY : PIECE_ELEMENTS;
  for await (const stored of weights.readPieces(name, shape, elements, options)) {
    options.signal?.throwIfAborted();
    const values = offset === 0 ? stored : stored.map((value) => value + offset);
    const other = quantizer.blockSize === 1 ? -1 : values.findIndex((value) => !Number.isFinite(value));
    if (other >= 0) {
      throw new InvalidArgumentError(`a weight is ${values[other]}`, {
        file: model.name,
        tensor: name,
        mend: 'Blocks hold finite numbers only: choose F32, F16 or BF16, or check where the model comes from.',
      });
    }
    const bytes = quantizer.quantize(values);
    yield order ? reordered(bytes, shape[0]!, order) : bytes;
  }
}

/** Whole rows move, whatever their type: the other way than when they are read. */
function reordered(bytes: Uint8Array<ArrayBuffer>, rows: number, order: RowOrder): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(bytes.length);
  const rowBytes = bytes.length / rows;
  for (const [from, to] of order.entries()) {
    target.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
  }
  return target;
}
