import { UnsupportedError } from '@lbs/format';
import type { Architecture } from '../config/architecture.js';
import {
  type BlockNorm,
  type DecoderLayout,
  type LinearLayer,
  moduleInBlock,
} from '../config/decoder-layout.js';
import type { ModelConfig } from '../config/model-config.js';
import { rowBytes, type TensorInfo, type TensorStore, tensorOf } from '../model/tensor-store.js';
import type { GgufReader } from './gguf.js';
import { ggufDequantizers } from './gguf-dequantize.js';
import { reorderRows, rowOrders } from './gguf-row-order.js';

/** The parts of `blk.N` by what they do. A fused matrix goes by the first layer that it holds. */
export const linearParts: Readonly<Record<string, LinearLayer>> = {
  attn_qkv: 'query',
  attn_q: 'query',
  attn_k: 'key',
  attn_v: 'value',
  attn_output: 'attentionOutput',
  ffn_gate: 'gate',
  ffn_up: 'up',
  ffn_down: 'down',
};

export const normParts: Readonly<Record<string, BlockNorm>> = {
  attn_norm: 'attentionNorm',
  attn_q_norm: 'queryNorm',
  attn_k_norm: 'keyNorm',
  post_attention_norm: 'attentionPostNorm',
  ffn_norm: 'feedForwardNorm',
  post_ffw_norm: 'feedForwardPostNorm',
};

export const partsOfModel: Readonly<Record<string, (layout: DecoderLayout) => string | undefined>> = {
  token_embd: ({ embedding }) => embedding,
  position_embd: ({ positions }) => positions,
  output_norm: ({ finalNorm }) => finalNorm.module,
  output: ({ head }) => head.module,
};

/** Hugging Face name of a tensor of a GGUF file. A name that has none comes back unchanged. */
export function huggingFaceTensorName(name: string, layout: DecoderLayout): string {
  const [, block, part, kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  if (part === undefined) return name;
  const module = block === undefined ? moduleOfModel(part, layout) : moduleOfBlock(part, block, layout);
  return module === undefined ? name : `${module}.${kind}`;
}

function moduleOfModel(part: string, layout: DecoderLayout): string | undefined {
  return Object.hasOwn(partsOfModel, part) ? partsOfModel[part]!(layout) : undefined;
}

function moduleOfBlock(part: string, block: string, layout: DecoderLayout): string | undefined {
  const linear = Object.hasOwn(linearParts, part) ? layout.linears[linearParts[part]!] : undefined;
  const norm = Object.hasOwn(normParts, part) ? layout.norms[normParts[part]!] : undefined;
  const module = (linear ?? norm)?.module;
  return module === undefined ? undefined : `${layout.blocks}.${block}.${module}`;
}

/** A GGUF file, seen with the tensor names, the row order and the norm weights of Hugging Face. */
export function tensorsOfGguf(
  gguf: GgufReader,
  architecture: Architecture,
  config: ModelConfig,
  file: string,
): TensorStore {
  const layout = architecture.layout(config);
  // Made when a tensor is read: only then the sizes of the config are known to be those of tensors.
  let orders: ReturnType<typeof rowOrders> | undefined;
  const ordersOfBlock = () =>
    (orders ??= rowOrders(config, layout, architecture.gguf?.hasPairedRows ?? false));
  const originals = new Map<string, string>();
  const tensors = new Map<string, TensorInfo>();
  for (const [original, info] of gguf.tensors) {
    const name = huggingFaceTensorName(original, layout);
    originals.set(name, original);
    tensors.set(name, info);
  }
  const orderOf = (name: string) => {
    const module = moduleInBlock(name, layout);
    return module === undefined ? undefined : ordersOfBlock().get(module);
  };
  const isOffset = (name: string) => config.normOffset !== undefined && isNormWeight(name, layout);

  const readBytes: TensorStore['readBytes'] = async (name, options) => {
    const info = tensorOf(tensors, name, file);
    const bytes = await gguf.readBytes(originals.get(name)!, options);
    const order = orderOf(name);
    if (isOffset(name)) return withoutOffset(bytes, info, config.normOffset!, { file, tensor: name });
    return order ? reorderRows(bytes, info.shape[0]!, order) : bytes;
  };
  const isChanged = (name: string) => orderOf(name) !== undefined || isOffset(name);
  return {
    tensors,
    readBytes,
    async *readPieces(name, options) {
      // Rows of these move over the whole tensor.
      if (isChanged(name)) yield await readBytes(name, options);
      else yield* gguf.readPieces(originals.get(name)!, options);
    },
    async readFloat32(name, options) {
      // Throws for a type that has no dequantizer before anything is read.
      const info = tensorOf(tensors, name, file);
      if (!isChanged(name) || !ggufDequantizers.names.includes(info.dtype))
        return gguf.readFloat32(originals.get(name)!, options);
      const { offset, length } = rowBytes(info, options?.rows, { file, tensor: name });
      const bytes = await readBytes(name, options);
      return ggufDequantizers.get(info.dtype).dequantize(bytes.slice(offset, offset + length));
    },
  };
}

/** Whether a name is that of the weight of a norm. */
export function isNormWeight(name: string, layout: DecoderLayout): boolean {
  const module = moduleInBlock(name, layout);
  if (module === undefined) return name === `${layout.finalNorm.module}.weight`;
  return name.endsWith('.weight') && Object.values(layout.norms).some((norm) => norm.module === module);
}

/** The weights of norms are stored with what is added to them, always as float32. */
function withoutOffset(
  bytes: Uint8Array<ArrayBuffer>,
  { dtype }: TensorInfo,
  offset: number,
  place: { readonly file: string; readonly tensor: string },
): Uint8Array<ArrayBuffer> {
  if (dtype !== 'F32') {
    throw new UnsupportedError(`the weights of this norm are ${dtype}`, {
      ...place,
      mend: 'Convert the model again: norms are stored as F32.',
    });
  }
  const values = new Float32Array(bytes.slice().buffer).map((value) => value - offset);
  return new Uint8Array(values.buffer);
}
