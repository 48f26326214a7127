import {
  formatOfModule,
  loadMatrix,
  type NumberFormat,
  parseQuantizationConfig,
  type StoredTensorReader,
  TensorMismatchError,
} from '@lbs/format';
import type { ActivationPrecision, Kernels, Matrix, Pointer } from '@lbs/kernels';
import {
  type BlockNorm,
  blockMatrices,
  type CancelOptions,
  type DecoderLayout,
  isPackedGgufType,
  layoutOf,
  type ModelSource,
  type NormPlace,
  normWidth,
  packGgufMatrix,
  tensorShapes,
} from '@lbs/model-loaders';
import type { NormWeights } from './norm.js';

/** A matrix [out, in] with its bias [out]. */
export interface LinearWeights {
  readonly matrix: Matrix;
  readonly bias?: Pointer | undefined;
}

/** The weights of one decoder block. */
export interface LayerWeights {
  /** By the name of the module within the block. */
  readonly matrices: ReadonlyMap<string, LinearWeights>;
  readonly norms: Readonly<Partial<Record<BlockNorm, NormWeights>>>;
}

export interface DecoderWeights {
  /** [vocabulary, hidden]; also the output head where the two are tied. */
  readonly embedding: Matrix;
  /** [positions, hidden] of a model that learned its positions. */
  readonly positions: Matrix | undefined;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: NormWeights;
  readonly head: LinearWeights;
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
  /**
   * Leaves the matrices of a GGUF file packed that can have the same values in a number format, so that activations are rounded to 16 bits in their
   * products. Default true; false computes all of them in float32, in four times the memory.
   */
  readonly packed?: boolean;
  /** How activations meet packed matrices. Default `int16`; `int8` is faster where there is relaxed SIMD, `float32` adds no error. */
  readonly activations?: ActivationPrecision;
}

/** Options of a `WeightLoader`. */
interface WeightLoaderOptions extends CancelOptions {
  /** Leaves the matrices of a GGUF file packed, where that changes no value. Default false: float32. */
  readonly packed?: boolean;
  readonly activations?: ActivationPrecision | undefined;
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
  private readonly layout: DecoderLayout;

  constructor(
    private readonly model: ModelSource,
    private readonly kernels: Kernels,
    private readonly options: WeightLoaderOptions = {},
  ) {
    const quantization = model.configJson['quantization_config'];
    this.formatOf = quantization
      ? formatOfModule(parseQuantizationConfig(quantization, model.name))
      : () => undefined;
    this.layout = layoutOf(model.config);
  }

  embedding(): Promise<Matrix> {
    const { vocabularySize, hiddenSize } = this.model.config;
    return this.matrix(this.layout.embedding, vocabularySize, hiddenSize);
  }

  /** The table of learned positions; undefined for a model without one. */
  async positions(): Promise<Matrix | undefined> {
    const { contextLength, positionOffset = 0, hiddenSize } = this.model.config;
    const module = this.layout.positions;
    return module === undefined ? undefined : this.matrix(module, contextLength + positionOffset, hiddenSize);
  }

  async layer(index: number): Promise<LayerWeights> {
    const { layout } = this;
    const { config } = this.model;
    const prefix = `${layout.blocks}.${index}.`;
    const norms: Partial<Record<BlockNorm, NormWeights>> = {};
    for (const name of Object.keys(layout.norms) as BlockNorm[]) {
      norms[name] = await this.norm(prefix, layout.norms[name]!, normWidth(config, layout, name));
    }
    const matrices = new Map<string, LinearWeights>();
    for (const { module, rows, columns, bias } of blockMatrices(config, layout)) {
      const matrix = await this.matrix(prefix + module, rows, columns);
      matrices.set(module, { matrix, bias: bias ? await this.vector(`${prefix}${module}.bias`) : undefined });
    }
    return { matrices, norms };
  }

  finalNorm(): Promise<NormWeights> {
    return this.norm('', this.layout.finalNorm, this.model.config.hiddenSize);
  }

  /** The output head; `embedding` is its matrix where the two are tied. */
  async head(embedding: Matrix): Promise<LinearWeights> {
    const { tiedEmbeddings, vocabularySize, hiddenSize } = this.model.config;
    const { module, bias } = this.layout.head;
    return {
      matrix: tiedEmbeddings ? embedding : await this.matrix(module, vocabularySize, hiddenSize),
      bias: bias ? await this.vector(`${module}.bias`) : undefined,
    };
  }

  private async matrix(module: string, rows: number, columns: number): Promise<Matrix> {
    const { model, kernels, options } = this;
    options.signal?.throwIfAborted();
    const format = model.has(`${module}.weight`) ? undefined : this.formatOf(module);
    const loaded = format
      ? await this.quantizedMatrix(module, format, rows, columns)
      : ((options.packed ? await this.packedMatrix(module, rows, columns) : undefined) ??
        kernels.loadDense(await model.readFloat32(`${module}.weight`, options), rows, columns));
    options.onLoaded?.(module, loaded.bytes);
    return loaded;
  }

  private get precision(): { readonly activations?: ActivationPrecision } {
    const { activations } = this.options;
    return activations ? { activations } : {};
  }

  private async packedMatrix(module: string, rows: number, columns: number): Promise<Matrix | undefined> {
    const { model, kernels, options } = this;
    const name = `${module}.weight`;
    const dtype = model.has(name) ? model.tensorInfo(name).dtype : '';
    if (!isPackedGgufType(dtype)) return undefined;
    const packed = packGgufMatrix(dtype, await model.readBytes(name, options), rows, columns);
    return packed && kernels.loadQuantized(packed.matrix, { offsets: packed.offsets, ...this.precision });
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
    return kernels.loadQuantized(matrix, this.precision);
  }

  private async norm(prefix: string, { module, bias }: NormPlace, width: number): Promise<NormWeights> {
    const { norm, normOffset = 0 } = this.model.config;
    const name = module === undefined ? undefined : `${prefix}${module}`;
    const fill = (value: number) => this.keep(new Float32Array(width).fill(value));
    const weight = name === undefined ? fill(1) : await this.vector(`${name}.weight`, normOffset);
    if (norm !== 'layer') return { weight, bias: undefined };
    return { weight, bias: bias ? await this.vector(`${name}.bias`) : fill(0) };
  }

  private async vector(name: string, offset = 0): Promise<Pointer> {
    const values = await this.model.readFloat32(name, this.options);
    const pointer = this.keep(offset === 0 ? values : values.map((value) => value + offset));
    this.options.onLoaded?.(name.replace(/\.weight$/, ''), values.byteLength);
    return pointer;
  }

  private keep(values: Float32Array): Pointer {
    const pointer = this.kernels.allocate(values.byteLength);
    this.kernels.float32(pointer, values.length).set(values);
    return pointer;
  }
}

/** Brings all weights of a model into the kernels' memory. */
export async function loadWeights(
  model: ModelSource,
  kernels: Kernels,
  { signal, onProgress, packed = true, activations }: LoadOptions = {},
): Promise<DecoderWeights> {
  const total = tensorShapes(model.config).size;
  let done = 0;
  let bytes = 0;
  const loader = new WeightLoader(model, kernels, {
    signal,
    packed,
    activations,
    onLoaded(tensor, size) {
      bytes += size;
      onProgress?.({ tensor, done: ++done, total });
    },
  });
  const embedding = await loader.embedding();
  const positions = await loader.positions();
  const layers: LayerWeights[] = [];
  for (let i = 0; i < model.config.layers; i++) layers.push(await loader.layer(i));
  const finalNorm = await loader.finalNorm();
  const head = await loader.head(embedding);
  return { embedding, positions, layers, finalNorm, head, bytes };
}
