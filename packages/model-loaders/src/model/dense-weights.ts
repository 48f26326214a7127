import {
  dequantize,
  formatOfModule,
  InvalidArgumentError,
  loadMatrix,
  parseQuantizationConfig,
} from '@lbs/format';
import type { CancelOptions } from '../sources/random-access-source.js';
import type { ModelSource } from './model-source.js';
import type { RowRange } from './tensor-store.js';

/** The weights of a model as values, whether they are stored as such or quantized by this toolkit. */
export interface DenseWeights {
  /** Name of the number format in which the model has a quantized weight; undefined for other weights. */
  formatOf(name: string): string | undefined;
  /**
   * The values in pieces of whole rows, of about so many elements where the weight is not quantized. Throws as
   * `readFloat32` of a model.
   */
  readPieces(
    name: string,
    shape: readonly number[],
    elements: number,
    options: CancelOptions,
  ): AsyncIterable<Float32Array<ArrayBuffer>>;
}

/** Opens the weights of a model as values. Throws MalformedFileError where its quantization_config is none. */
export function denseWeightsOf(model: ModelSource): DenseWeights {
  const quantization = model.configJson['quantization_config'];
  const formatOf = quantization
    ? formatOfModule(parseQuantizationConfig(quantization, model.name))
    : () => undefined;
  const quantizedModule = (name: string) => (model.has(name) ? undefined : name.replace(/\.weight$/, ''));
  return {
    formatOf(name) {
      const module = quantizedModule(name);
      return module === undefined ? undefined : formatOf(module)?.name;
    },
    async *readPieces(name, shape, elements, options) {
      const module = quantizedModule(name);
      const format = module === undefined ? undefined : formatOf(module);
      if (module === undefined || format === undefined) {
        for (const rows of rangesOf(shape, elements))
          yield await model.readFloat32(name, { ...options, rows });
        return;
      }
      const read = async (part: string) =>
        model.has(part)
          ? { ...model.tensorInfo(part), bytes: await model.readBytes(part, options) }
          : undefined;
      const matrix = await loadMatrix(module, format, read, model.name);
      if (matrix.rows !== shape[0] || matrix.columns !== shape[1]) {
        throw new InvalidArgumentError(
          `expected the shape [${shape.join(', ')}], found [${matrix.rows}, ${matrix.columns}]`,
          { file: model.name, tensor: name },
        );
      }
      const values = dequantize(matrix);
      yield values.buffer instanceof ArrayBuffer
        ? (values as Float32Array<ArrayBuffer>)
        : new Float32Array(values);
    },
  };
}

/** Ranges of about so many elements; of less than two dimensions the whole. */
function* rangesOf(shape: readonly number[], elements: number): Generator<RowRange | undefined, void> {
  const [rows = 1, columns] = shape;
  if (columns === undefined) {
    yield undefined;
    return;
  }
  const count = Math.max(1, Math.floor(elements / Math.max(columns, 1)));
  for (let first = 0; first < rows; first += count) yield { first, count: Math.min(count, rows - first) };
}
