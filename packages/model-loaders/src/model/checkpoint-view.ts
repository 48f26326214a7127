import type { Architecture } from '../config/architecture.js';
import { blockMatrices, moduleInBlock } from '../config/decoder-layout.js';
import type { ModelConfig } from '../config/model-config.js';
import { float32FromSafetensors } from '../safetensors/float32-from-safetensors.js';
import type { SafetensorsInfo } from '../safetensors/safetensors.js';
import { elementCount, rowBytes, type TensorStore, tensorOf } from './tensor-store.js';

/** What decides on the view of a checkpoint. */
export interface CheckpointView {
  readonly architecture: Architecture;
  readonly config: ModelConfig;
  readonly file: string;
  /**
   * Whether a tensor of the checkpoint is a matrix that is [out, in] whatever its architecture: those that were quantized, by this
   * toolkit or by others.
   */
  readonly isUpright: (original: string) => boolean;
}

/** A checkpoint with the tensor names of its architecture's layout, and with the matrices of blocks as [out, in]. */
export function viewCheckpoint(
  store: TensorStore<SafetensorsInfo>,
  view: CheckpointView,
): TensorStore<SafetensorsInfo> {
  const { architecture, config, file, isUpright } = view;
  const layout = architecture.layout(config);
  const nameOf = architecture.tensorName ?? ((name: string) => name);
  const matrices = new Set<string | undefined>(blockMatrices(config, layout).map(({ module }) => module));
  const originals = new Map<string, string>();
  const isTransposed = (name: string) =>
    layout.isTransposed === true &&
    !isUpright(originals.get(name)!) &&
    name.endsWith('.weight') &&
    matrices.has(moduleInBlock(name, layout));
  const tensors = new Map<string, SafetensorsInfo>();
  for (const [original, info] of store.tensors) {
    const name = nameOf(original);
    originals.set(name, original);
    tensors.set(name, isTransposed(name) ? { ...info, shape: [...info.shape].reverse() } : info);
  }
  const originalOf = (name: string) => {
    tensorOf(tensors, name, file);
    return originals.get(name)!;
  };
  const readBytes: TensorStore['readBytes'] = async (name, options) => {
    const bytes = await store.readBytes(originalOf(name), options);
    return isTransposed(name) ? transpose(bytes, tensors.get(name)!) : bytes;
  };
  return {
    tensors,
    readBytes,
    async *readPieces(name, options) {
      // Every row of a transposed matrix has elements from all over the stored one.
      if (isTransposed(name)) yield await readBytes(name, options);
      else yield* store.readPieces(originalOf(name), options);
    },
    async readFloat32(name, options) {
      if (!isTransposed(name)) return store.readFloat32(originalOf(name), options);
      const info = tensors.get(name)!;
      const place = { file, tensor: name };
      const { offset, length } = rowBytes(info, options?.rows, place);
      const bytes = await readBytes(name, options);
      return float32FromSafetensors(info.dtype, bytes.slice(offset, offset + length), place);
    },
  };
}

/** From [columns, rows] as it is stored to `shape` [rows, columns]. */
function transpose(
  bytes: Uint8Array<ArrayBuffer>,
  { shape }: Pick<SafetensorsInfo, 'shape'>,
): Uint8Array<ArrayBuffer> {
  const [rows = 1, columns = 1] = shape;
  const size = bytes.length / elementCount(shape);
  const target = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const from = (column * rows + row) * size;
      const to = (row * columns + column) * size;
      for (let byte = 0; byte < size; byte++) target[to + byte] = bytes[from + byte]!;
    }
  }
  return target;
}
