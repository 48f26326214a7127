import { rowBytes, type TensorStore, tensorOf } from '../model/tensor-store.js';
import type { SafetensorsInfo } from '../safetensors/safetensors.js';
import type { CancelOptions } from '../sources/random-access-source.js';
import { bytesOf, dequantizedBytes } from './affine-rows.js';
import type { Checkpoint, CheckpointMatrix } from './checkpoint-method.js';

/** Values of a piece, of which readPieces makes a matrix that may be too large for memory. */
const PIECE_VALUES = 2 ** 21;

interface Found {
  readonly module: string;
  readonly matrix: CheckpointMatrix;
}

/** A store whose quantized matrices are read as their values. */
export interface DequantizingStore extends TensorStore<SafetensorsInfo> {
  /** Names of the weights that were quantized. */
  readonly dequantized: ReadonlySet<string>;
}

/** Of whom the matrices are. */
export interface DequantizingOptions extends CancelOptions {
  readonly file: string;
  /**
   * Whether the model has a tensor of this name. AutoGPTQ gave every matrix a bias, of zeros where the model has none: such a one
   * is left out.
   */
  readonly isExpected: (tensor: string) => boolean;
}

/**
 * A store of quantized matrices as one of their values: `MODULE.weight` is there with the shape of the model, and its parts
 * are not. The parts of the matrix that was read last are kept, because one read of all its rows is many reads of
 * some. Throws as `Checkpoint.matrix`, and FileAccessError.
 */
export async function dequantizingStore(
  store: TensorStore<SafetensorsInfo>,
  checkpoint: Checkpoint,
  { file, signal, isExpected }: DequantizingOptions,
): Promise<DequantizingStore> {
  const matrices = await findMatrices(store, checkpoint, file, { signal });
  const hidden = new Map<string, string>();
  for (const [weight, { module }] of matrices) {
    const bias = `${module}.bias`;
    const isExtra = store.tensors.has(bias) && !isExpected(bias);
    if (isExtra && isZero(await store.readBytes(bias, { signal }))) hidden.set(bias, weight);
  }
  for (const [weight, { module }] of matrices) {
    for (const part of [...checkpoint.markers, ...checkpoint.helpers])
      hidden.set(`${module}.${part}`, weight);
  }
  const tensors = new Map<string, SafetensorsInfo>();
  for (const [name, info] of store.tensors) {
    const weight = hidden.get(name);
    if (weight === undefined) tensors.set(name, info);
    else tensors.set(weight, infoOf(matrices.get(weight)!.matrix));
  }
  let kept:
    | { readonly weight: string; readonly parts: ReadonlyMap<string, Uint8Array<ArrayBuffer>> }
    | undefined;

  async function partsOf(weight: string, { module, matrix }: Found, readOptions: CancelOptions | undefined) {
    if (kept?.weight === weight) return kept.parts;
    kept = undefined;
    const parts = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const part of matrix.parts) parts.set(part, await store.readBytes(`${module}.${part}`, readOptions));
    kept = { weight, parts };
    return parts;
  }

  async function readRows(
    weight: string,
    found: Found,
    first: number,
    count: number,
    readOptions?: CancelOptions,
  ) {
    // A shape may have a dimension of any size beside one of 0.
    if (count * found.matrix.shape[1] === 0) return new Float32Array();
    const parts = await partsOf(weight, found, readOptions);
    return found.matrix.dequantize((part) => parts.get(part)!, { first, count });
  }

  async function* pieces(weight: string, found: Found, readOptions?: CancelOptions) {
    const { shape, dtype } = found.matrix;
    if (shape[0] * shape[1] === 0) return;
    const rowsAtOnce = Math.max(1, Math.floor(PIECE_VALUES / Math.max(1, shape[1])));
    for (let first = 0; first < shape[0]; first += rowsAtOnce) {
      readOptions?.signal?.throwIfAborted();
      const count = Math.min(rowsAtOnce, shape[0] - first);
      yield bytesOf(dtype, await readRows(weight, found, first, count, readOptions));
    }
  }

  return {
    tensors,
    dequantized: new Set(matrices.keys()),
    async readBytes(name, readOptions) {
      tensorOf(tensors, name, file);
      const found = matrices.get(name);
      if (!found) return store.readBytes(name, readOptions);
      return bytesOf(found.matrix.dtype, await readRows(name, found, 0, found.matrix.shape[0], readOptions));
    },
    readPieces(name, readOptions) {
      tensorOf(tensors, name, file);
      const found = matrices.get(name);
      return found ? pieces(name, found, readOptions) : store.readPieces(name, readOptions);
    },
    async readFloat32(name, readOptions) {
      const info = tensorOf(tensors, name, file);
      const found = matrices.get(name);
      if (!found) return store.readFloat32(name, readOptions);
      rowBytes(info, readOptions?.rows, { file, tensor: name });
      const { first, count } = readOptions?.rows ?? { first: 0, count: found.matrix.shape[0] };
      return readRows(name, found, first, count, readOptions);
    },
  };
}

/** The matrices of all modules that have a marker, by the name of their weight. */
async function findMatrices(
  store: TensorStore,
  { markers, matrix }: Checkpoint,
  file: string,
  options: CancelOptions,
): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>();
  for (const name of store.tensors.keys()) {
    const marker = markers.find((suffix) => name.endsWith(`.${suffix}`));
    if (marker === undefined) continue;
    const module = name.slice(0, -marker.length - 1);
    const weight = `${module}.weight`;
    if (found.has(weight)) continue;
    const parts = {
      module,
      file,
      info: (part: string) => store.tensors.get(`${module}.${part}`),
      read: (part: string) => store.readBytes(`${module}.${part}`, options),
    };
    found.set(weight, { module, matrix: await matrix(parts) });
  }
  return found;
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function infoOf({ shape, dtype }: CheckpointMatrix): SafetensorsInfo {
  return { dtype, shape, byteLength: shape[0] * shape[1] * dequantizedBytes[dtype] };
}
