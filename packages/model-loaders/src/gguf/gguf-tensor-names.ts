import { blockMatrices, type DecoderLayout } from '../config/decoder-layout.js';
import type { ModelConfig } from '../config/model-config.js';
import { huggingFaceTensorName, linearParts, normParts, partsOfModel } from './gguf-tensors.js';

/** Of the layers in a fused matrix the one whose name it has in a file. */
const fusedParts = ['attn_qkv', 'ffn_up'];

/**
 * The names in a file of the tensors that a model of this layout can have, by their names of Hugging Face, in the order in which
 * files have them.
 */
export function ggufTensorNames(config: ModelConfig, layout: DecoderLayout): ReadonlyMap<string, string> {
  const fused = blockMatrices(config, layout).filter(({ linears }) => linears.length > 1);
  const linears = Object.entries(linearParts).flatMap(([part, linear]) => {
    const isFused = fused.some((matrix) => matrix.linears.includes(linear));
    return isFused === fusedParts.includes(part) || (!isFused && part === 'ffn_up') ? [part] : [];
  });
  const parts = [...linears, ...Object.keys(normParts)];
  const blocks = Array.from({ length: config.layers }, (_, i) => parts.map((part) => `blk.${i}.${part}`));
  const names = [...Object.keys(partsOfModel), ...blocks.flat()].flatMap((part) => [
    `${part}.weight`,
    `${part}.bias`,
  ]);
  return new Map(
    names.flatMap((name) => {
      const original = huggingFaceTensorName(name, layout);
      return original === name ? [] : [[original, name] as const];
    }),
  );
}
