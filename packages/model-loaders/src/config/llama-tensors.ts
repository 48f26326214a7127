import { TensorMismatchError, UnsupportedError } from '@lbs/format';
import type { TensorInfo } from '../model/tensor-store.js';
import type { ModelConfig } from './model-config.js';

/** The tensors of a Llama model: Hugging Face name and shape. */
export function llamaTensorShapes(config: ModelConfig): ReadonlyMap<string, readonly number[]> {
  const { hiddenSize, intermediateSize, layers, heads, keyValueHeads, headSize, vocabularySize } = config;
  const queries = heads * headSize;
  const keys = keyValueHeads * headSize;
  const shapes = new Map<string, readonly number[]>([
    ['model.embed_tokens.weight', [vocabularySize, hiddenSize]],
  ]);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    shapes.set(`${prefix}.input_layernorm.weight`, [hiddenSize]);
    shapes.set(`${prefix}.self_attn.q_proj.weight`, [queries, hiddenSize]);
    shapes.set(`${prefix}.self_attn.k_proj.weight`, [keys, hiddenSize]);
    shapes.set(`${prefix}.self_attn.v_proj.weight`, [keys, hiddenSize]);
    shapes.set(`${prefix}.self_attn.o_proj.weight`, [hiddenSize, queries]);
    shapes.set(`${prefix}.post_attention_layernorm.weight`, [hiddenSize]);
    shapes.set(`${prefix}.mlp.gate_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.up_proj.weight`, [intermediateSize, hiddenSize]);
    shapes.set(`${prefix}.mlp.down_proj.weight`, [hiddenSize, intermediateSize]);
  }
  shapes.set('model.norm.weight', [hiddenSize]);
  if (!config.tiedEmbeddings) shapes.set('lm_head.weight', [vocabularySize, hiddenSize]);
  return shapes;
}

/** What checkLlamaTensors needs to know of a model. */
export interface TensorCheck {
  readonly config: ModelConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly file: string;
  /** Whether a matrix may be stored as `X.weight_packed` and its helpers; they are checked where they are read. */
  readonly quantized: boolean;
  /** The dtypes whose values can be read. */
  readonly readable: readonly string[];
}

/**
 * Checks names, shapes and dtypes against the config, without reading data. Throws TensorMismatchError for a
 * missing tensor or another shape, and UnsupportedError for dtypes that cannot be read, and for biases: to ignore
 * them would silently compute something else.
 */
export function checkLlamaTensors({ config, tensors, file, quantized, readable }: TensorCheck): void {
  for (const [tensor, expected] of llamaTensorShapes(config)) {
    const found = tensors.get(tensor);
    if (!found) {
      if (quantized && tensors.has(`${tensor}_packed`)) continue;
      throw new TensorMismatchError(`the tensor is missing; its shape would be [${expected.join(', ')}]`, {
        file,
        tensor,
        mend: 'Check that the config and all weight files are of the same model.',
      });
    }
    if (found.shape.length !== expected.length || found.shape.some((size, i) => size !== expected[i])) {
      throw new TensorMismatchError(
        `expected the shape [${expected.join(', ')}], found [${found.shape.join(', ')}]`,
        {
          file,
          tensor,
          mend: 'Check that the config is of the same model.',
        },
      );
    }
    if (!readable.includes(found.dtype)) {
      throw new UnsupportedError(`weights of type ${found.dtype} cannot be read`, {
        file,
        tensor,
        mend: `Choose a file whose weights are ${readable.join(', ')}.`,
      });
    }
  }
  for (const tensor of tensors.keys()) {
    if (!/\.(self_attn|mlp)\.\w+\.bias$/.test(tensor)) continue;
    throw new UnsupportedError('the linear layers of this model have biases', {
      file,
      tensor,
      mend: 'Choose a model of the Llama architecture without biases.',
    });
  }
}
