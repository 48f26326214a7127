import { parseQuantizationConfig, splitChecksums, storedModuleOf, storedSuffixes } from '@lbs/format';
import {
  type ModelDirectory,
  type ModelSource,
  openGguf,
  openModelDirectory,
  openSafetensors,
  type TensorStore,
} from '@lbs/model-loaders';
import { locate } from './open-model.js';

/** What a file holds. */
export interface FileContent {
  readonly file: string;
  readonly format: 'directory' | 'gguf' | 'safetensors';
  /** Metadata of the file, or the config of a model directory. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly {
    name: string;
    dtype: string;
    shape: readonly number[];
    bytes: number;
    /** Of a safetensors file that this toolkit wrote. */
    crc32?: string;
  }[];
  /** Of a model that this toolkit quantized: its quantized matrices, and their bits a weight with everything counted. */
  readonly quantized?: {
    readonly matrices: number;
    readonly weights: number;
    readonly bitsPerWeight: number;
  };
}

/** Longer arrays, such as vocabularies, are shown by their length. */
const longestArray = 16;

/** Lists what a model directory, a .safetensors or a .gguf file holds, without reading weights. */
export async function inspectFile(file: string, signal: AbortSignal): Promise<FileContent> {
  const located = await locate(file, signal, { readsAll: false });
  if ('directory' in located) return inspectDirectory(file, located.directory, signal);
  const source = located.file;
  try {
    if (/\.gguf$/i.test(source.name)) {
      const gguf = await openGguf(source, { signal });
      return { file, format: 'gguf', metadata: shorten(gguf.metadata), tensors: tensorsOf(gguf) };
    }
    const safetensors = await openSafetensors(source, { signal });
    const { checksums, others } = splitChecksums(safetensors.metadata);
    return {
      file,
      format: 'safetensors',
      metadata: shorten(others),
      tensors: tensorsOf(safetensors).map((tensor) => {
        const crc32 = checksums.get(tensor.name);
        return crc32 === undefined ? tensor : { ...tensor, crc32 };
      }),
    };
  } finally {
    await source.close?.();
  }
}

async function inspectDirectory(
  file: string,
  directory: ModelDirectory,
  signal: AbortSignal,
): Promise<FileContent> {
  const model = await openModelDirectory(directory, { signal });
  try {
    const quantization = model.configJson['quantization_config'];
    const tensors = model.tensorNames.map((name) => {
      const { dtype, shape, byteLength } = model.tensorInfo(name);
      return { name, dtype, shape, bytes: byteLength };
    });
    const content = { file, format: 'directory', metadata: model.configJson, tensors } as const;
    if (!quantization) return content;
    parseQuantizationConfig(quantization, file);
    return { ...content, quantized: await quantizedPart(model, tensors, signal) };
  } finally {
    await model.close();
  }
}

async function quantizedPart(
  model: ModelSource,
  tensors: FileContent['tensors'],
  signal: AbortSignal,
): Promise<NonNullable<FileContent['quantized']>> {
  const modules = new Set(tensors.flatMap(({ name }) => storedModuleOf(name) ?? []));
  const isPart = (name: string) => storedModuleOf(name) !== undefined;
  const bytes = tensors.reduce((sum, tensor) => sum + (isPart(tensor.name) ? tensor.bytes : 0), 0);
  let weights = 0;
  for (const module of modules) {
    const shape = await model.readBytes(`${module}.${storedSuffixes.shape}`, { signal });
    const [rows, columns] = new Int32Array(shape.slice().buffer);
    weights += (rows ?? 0) * (columns ?? 0);
  }
  return { matrices: modules.size, weights, bitsPerWeight: (8 * bytes) / weights };
}

function tensorsOf(store: TensorStore): FileContent['tensors'] {
  return [...store.tensors].map(([name, { dtype, shape, byteLength }]) => ({
    name,
    dtype,
    shape,
    bytes: byteLength,
  }));
}

function shorten(metadata: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const entries = [...metadata].map(([key, value]) => {
    if (Array.isArray(value) && value.length > longestArray) return [key, `${value.length} values`];
    // JSON has no 64-bit integers: those that a number does not hold are written as text.
    if (typeof value === 'bigint')
      return [key, Number.isSafeInteger(Number(value)) ? Number(value) : String(value)];
    return [key, value];
  });
  return Object.fromEntries(entries);
}
