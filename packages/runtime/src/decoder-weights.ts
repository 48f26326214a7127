import {
  formatOfModule,
  loadMatrix,
  type NumberFormat,
  parseQuantizationConfig,
  type StoredTensorReader,
  TensorMismatchError,
} from '@lbs/format';
import type { Kernels, Matrix } from '@lbs/kernels';
import type { ModelSource } from '@lbs/model-loaders';

/** Where a vector of float32 lies in the kernels' memory. */
type Pointer = number;

/** The weights of one decoder block. Matrices are [out, in]. */
export interface LayerWeights {
  readonly attentionNorm: Pointer;
  readonly query: Matrix;
  readonly key: Matrix;
  readonly value: Matrix;
  readonly attentionOutput: Matrix;
  readonly feedForwardNorm: Pointer;
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

export interface DecoderWeights {
  /** [vocabulary, hidden]; also the output head where the two are tied. */
  readonly embedding: Matrix;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: Pointer;
  /** [vocabulary, hidden] */
  readonly head: Matrix;
  /** Bytes of all weights in memory. */
  readonly bytes: number;
}

/** How far the loading of a model has come; reported after every tensor. */
export interface LoadProgress {
  readonly tensor: string;
  /** Tensors in memory so far, and in all. */
  readonly done: number;
  readonly total: number;
}

/** Options of the loading of a model. */
export interface LoadOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

/**
 * Brings a model's weights into the kernels' memory, one tensor at a time: quantized matrices as they are
 * stored, all others as float32. Throws TensorMismatchError where a matrix has not the shape that the config
 * asks for.
 */
export async function loadWeights(
  model: ModelSource,
  kernels: Kernels,
  { signal, onProgress }: LoadOptions = {},
): Promise<DecoderWeights> {
  const { config } = model;
  const { hiddenSize, intermediateSize, vocabularySize, headSize } = config;
  const quantization = model.configJson['quantization_config'];
  const formatOf = quantization
    ? formatOfModule(parseQuantizationConfig(quantization, model.name))
    : () => undefined;
  const total = 2 + 9 * config.layers + (config.tiedEmbeddings ? 0 : 1);
  const read = signal ? { signal } : {};
  let done = 0;
  let bytes = 0;
  const finished = (tensor: string, size: number) => {
    bytes += size;
    onProgress?.({ tensor, done: ++done, total });
  };

  const stored: StoredTensorReader = async (name) =>
    model.has(name) ? { ...model.tensorInfo(name), bytes: await model.readBytes(name, read) } : undefined;

  const loadQuantized = async (module: string, format: NumberFormat, rows: number, columns: number) => {
    const matrix = await loadMatrix(module, format, stored, model.name);
    if (matrix.rows !== rows || matrix.columns !== columns) {
      throw new TensorMismatchError(
        `expected ${rows} x ${columns}, found ${matrix.rows} x ${matrix.columns}`,
        {
          file: model.name,
          tensor: `${module}.weight_shape`,
          mend: 'The weights and the config.json are not of the same model.',
        },
      );
    }
    return kernels.loadQuantized(matrix);
  };

  const matrix = async (module: string, rows: number, columns: number): Promise<Matrix> => {
    signal?.throwIfAborted();
    const format = model.has(`${module}.weight`) ? undefined : formatOf(module);
    const loaded = format
      ? await loadQuantized(module, format, rows, columns)
      : kernels.loadDense(await model.readFloat32(`${module}.weight`, read), rows, columns);
    finished(module, loaded.bytes);
    return loaded;
  };

  const vector = async (module: string): Promise<Pointer> => {
    const values = await model.readFloat32(`${module}.weight`, read);
    const pointer = kernels.allocate(values.byteLength);
    kernels.float32(pointer, values.length).set(values);
    finished(module, values.byteLength);
    return pointer;
  };

  const queryWidth = config.heads * headSize;
  const keyWidth = config.keyValueHeads * headSize;
  const embedding = await matrix('model.embed_tokens', vocabularySize, hiddenSize);
  const layers: LayerWeights[] = [];
  for (let i = 0; i < config.layers; i++) {
    const block = `model.layers.${i}`;
    layers.push({
      attentionNorm: await vector(`${block}.input_layernorm`),
      query: await matrix(`${block}.self_attn.q_proj`, queryWidth, hiddenSize),
      key: await matrix(`${block}.self_attn.k_proj`, keyWidth, hiddenSize),
      value: await matrix(`${block}.self_attn.v_proj`, keyWidth, hiddenSize),
      attentionOutput: await matrix(`${block}.self_attn.o_proj`, hiddenSize, queryWidth),
      feedForwardNorm: await vector(`${block}.post_attention_layernorm`),
      gate: await matrix(`${block}.mlp.gate_proj`, intermediateSize, hiddenSize),
      up: await matrix(`${block}.mlp.up_proj`, intermediateSize, hiddenSize),
      down: await matrix(`${block}.mlp.down_proj`, hiddenSize, intermediateSize),
    });
  }
  const finalNorm = await vector('model.norm');
  const head = config.tiedEmbeddings ? embedding : await matrix('lm_head', vocabularySize, hiddenSize);
  return { embedding, layers, finalNorm, head, bytes };
}
