import {
  formatOfModule,
  loadMatrix,
  type NumberFormat,
  parseQuantizationConfig,
  type StoredTensorReader,
  TensorMismatchError,
} from '@lbs/format';
import type { Kernels, Matrix, Pointer } from '@lbs/kernels';
import type { CancelOptions, ModelSource } from '@lbs/model-loaders';

/** The linear layers of a decoder block, by the modules that hold them. */
const linearModules = {
  query: 'self_attn.q_proj',
  key: 'self_attn.k_proj',
  value: 'self_attn.v_proj',
  attentionOutput: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};

/** A linear layer of a decoder block. */
export type LinearLayer = keyof typeof linearModules;

/** The norms of a decoder block, by the modules that hold them. */
const normModules = {
  attentionNorm: 'input_layernorm',
  feedForwardNorm: 'post_attention_layernorm',
};

/** A norm of a decoder block. */
export type BlockNorm = keyof typeof normModules;

const blockModules = { ...linearModules, ...normModules };

/** Name of the module of a linear layer or a norm in block `layer`, such as `model.layers.0.self_attn.q_proj`. */
export function moduleOf(layer: number, part: LinearLayer | BlockNorm): string {
  return `model.layers.${layer}.${blockModules[part]}`;
}

/** The weights of one decoder block. Matrices are [out, in], norms float32 [in]. */
export interface LayerWeights
  extends Readonly<Record<LinearLayer, Matrix>>,
    Readonly<Record<BlockNorm, Pointer>> {}

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

/** Options of a `WeightLoader`. */
interface WeightLoaderOptions extends CancelOptions {
  /** Called with the module and its bytes in memory, after each. */
  readonly onLoaded?: (module: string, bytes: number) => void;
}

/**
 * Brings a model's weights into the kernels' memory, one tensor at a time: quantized matrices as they are
 * stored, all others as float32. Throws TensorMismatchError where a matrix has not the shape that the config
 * asks for.
 */
export class WeightLoader {
  private readonly formatOf: (module: string) => NumberFormat | undefined;

  constructor(
    private readonly model: ModelSource,
    private readonly kernels: Kernels,
    private readonly options: WeightLoaderOptions = {},
  ) {
    const quantization = model.configJson['quantization_config'];
    this.formatOf = quantization
      ? formatOfModule(parseQuantizationConfig(quantization, model.name))
      : () => undefined;
  }

  embedding(): Promise<Matrix> {
    return this.matrix('model.embed_tokens', this.model.config.vocabularySize, this.model.config.hiddenSize);
  }

  async layer(index: number): Promise<LayerWeights> {
    const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = this.model.config;
    const linear = (name: LinearLayer, rows: number, columns: number) =>
      this.matrix(moduleOf(index, name), rows, columns);
    const norm = (name: BlockNorm) => this.vector(moduleOf(index, name));
    return {
      attentionNorm: await norm('attentionNorm'),
      query: await linear('query', heads * headSize, hiddenSize),
      key: await linear('key', keyValueHeads * headSize, hiddenSize),
      value: await linear('value', keyValueHeads * headSize, hiddenSize),
      attentionOutput: await linear('attentionOutput', hiddenSize, heads * headSize),
      feedForwardNorm: await norm('feedForwardNorm'),
      gate: await linear('gate', intermediateSize, hiddenSize),
      up: await linear('up', intermediateSize, hiddenSize),
      down: await linear('down', hiddenSize, intermediateSize),
    };
  }

  finalNorm(): Promise<Pointer> {
    return this.vector('model.norm');
  }

  /** The output head of a model whose head is not the embedding. */
  head(): Promise<Matrix> {
    return this.matrix('lm_head', this.model.config.vocabularySize, this.model.config.hiddenSize);
  }

  private async matrix(module: string, rows: number, columns: number): Promise<Matrix> {
    const { model, kernels, options } = this;
    options.signal?.throwIfAborted();
    const format = model.has(`${module}.weight`) ? undefined : this.formatOf(module);
    const loaded = format
      ? await this.quantizedMatrix(module, format, rows, columns)
      : kernels.loadDense(await model.readFloat32(`${module}.weight`, options), rows, columns);
    options.onLoaded?.(module, loaded.bytes);
    return loaded;
  }

  private async quantizedMatrix(
    module: string,
    format: NumberFormat,
    rows: number,
    columns: number,
  ): Promise<Matrix> {
    const { model, kernels, options } = this;
    const stored: StoredTensorReader = async (name) =>
      model.has(name)
        ? { ...model.tensorInfo(name), bytes: await model.readBytes(name, options) }
        : undefined;
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
  }

  private async vector(module: string): Promise<Pointer> {
    const { model, kernels, options } = this;
    const values = await model.readFloat32(`${module}.weight`, options);
    const pointer = kernels.allocate(values.byteLength);
    kernels.float32(pointer, values.length).set(values);
    options.onLoaded?.(module, values.byteLength);
    return pointer;
  }
}

/** Brings all weights of a model into the kernels' memory. */
export async function loadWeights(
  model: ModelSource,
  kernels: Kernels,
  { signal, onProgress }: LoadOptions = {},
): Promise<DecoderWeights> {
  const { layers, tiedEmbeddings } = model.config;
  const total = 2 + 9 * layers + (tiedEmbeddings ? 0 : 1);
  let done = 0;
  let bytes = 0;
  const loader = new WeightLoader(model, kernels, {
    signal,
    onLoaded(tensor, size) {
      bytes += size;
      onProgress?.({ tensor, done: ++done, total });
    },
  });
  const embedding = await loader.embedding();
  const blocks: LayerWeights[] = [];
  for (let i = 0; i < layers; i++) blocks.push(await loader.layer(i));
  const finalNorm = await loader.finalNorm();
  const head = tiedEmbeddings ? embedding : await loader.head();
  return { embedding, layers: blocks, finalNorm, head, bytes };
}
