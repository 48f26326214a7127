import type { ModelConfig } from '../config/model-config.js';
import { rowBytes, type TensorInfo, type TensorStore, tensorOf } from '../model/tensor-store.js';
import type { GgufReader } from './gguf.js';
import { ggufDequantizers } from './gguf-dequantize.js';

/** Hugging Face name of each part of `blk.N`. */
const partsOfBlock: Readonly<Record<string, string>> = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

const partsOfModel: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
};

/** Hugging Face name of a tensor of a GGUF file. A name that has none comes back unchanged. */
export function huggingFaceTensorName(name: string): string {
  const [, block, part, kind] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const parts = block === undefined ? partsOfModel : partsOfBlock;
  if (part === undefined || !Object.hasOwn(parts, part)) return name;
  const module = block === undefined ? parts[part] : `model.layers.${block}.${parts[part]}`;
  return `${module}.${kind}`;
}

/** A GGUF file of the llama architecture, seen with the tensor names and row order of Hugging Face. */
export function llamaTensorsOfGguf(gguf: GgufReader, config: ModelConfig, file: string): TensorStore {
  const originals = new Map<string, string>();
  const tensors = new Map<string, TensorInfo>();
  for (const [original, info] of gguf.tensors) {
    const name = huggingFaceTensorName(original);
    originals.set(name, original);
    tensors.set(name, info);
  }

  const readBytes: TensorStore['readBytes'] = async (name, options) => {
    const info = tensorOf(tensors, name, file);
    const bytes = await gguf.readBytes(originals.get(name)!, options);
    return isRotated(name) ? rotateHalves(bytes, info.shape[0]!, config.headSize) : bytes;
  };
  return {
    tensors,
    readBytes,
    async *readPieces(name, options) {
      // Rows of these move over the whole tensor.
      if (isRotated(name)) yield await readBytes(name, options);
      else yield* gguf.readPieces(originals.get(name)!, options);
    },
    async readFloat32(name, options) {
      // Throws for a type that has no dequantizer before anything is read.
      const info = tensorOf(tensors, name, file);
      if (!isRotated(name) || !ggufDequantizers.names.includes(info.dtype))
        return gguf.readFloat32(originals.get(name)!, options);
      const { offset, length } = rowBytes(info, options?.rows, { file, tensor: name });
      const bytes = await readBytes(name, options);
      return ggufDequantizers.get(info.dtype).dequantize(bytes.slice(offset, offset + length));
    },
  };
}

function isRotated(name: string): boolean {
  return name.endsWith('.q_proj.weight') || name.endsWith('.k_proj.weight');
}

/**
 * Undoes the row order in which the llama architecture stores query and key projections. Rotary embeddings turn
 * pairs of rows; Hugging Face pairs row i of a head with row i + headSize / 2, GGUF stores the two of a pair side
 * by side. Whole rows move, whatever their type, so that this works on quantized bytes.
 */
function rotateHalves(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  headSize: number,
): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(bytes.length);
  const rowBytes = bytes.length / rows;
  const half = headSize / 2;
  for (let head = 0; head < rows; head += headSize) {
    for (let pair = 0; pair < half; pair++) {
      for (let side = 0; side < 2; side++) {
        const from = (head + 2 * pair + side) * rowBytes;
        target.set(bytes.subarray(from, from + rowBytes), (head + side * half + pair) * rowBytes);
      }
    }
  }
  return target;
}
