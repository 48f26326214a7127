import { ggufRotary } from '../../gguf/gguf-rotary.js';
import type { Architecture } from '../architecture.js';
import { llamaLayout } from '../llama-layout.js';
import { readBiases } from '../read-biases.js';
import { readSizes, readWindow } from '../read-sizes.js';
import { readRotary } from '../rotary-scaling.js';

/** SmolLM 3: Llama whose every fourth layer has no rotary embedding (NoPE, arXiv 2501.18795). */
export const smollm3: Architecture = {
  name: 'smollm3',
  readConfig(fields) {
    fields.only('hidden_act', 'silu');
    const defaults = { contextLength: 32_768, keyValueHeads: 4, tiedEmbeddings: true };
    const sizes = readSizes('smollm3', fields, defaults);
    const interval = fields.size('no_rope_layer_interval', 4);
    const listed = fields.listOfLayers('no_rope_layers', sizes.layers);
    // The list says which layers have it, whatever its name.
    const rotaryLayers = Array.from({ length: sizes.layers }, (_, layer) =>
      listed ? listed[layer] === 1 : (layer + 1) % interval !== 0,
    );
    const window = fields.boolean('use_sliding_window', false)
      ? fields.optionalSize('sliding_window')
      : undefined;
    return {
      ...sizes,
      ...readRotary(fields, sizes, { theta: 2_000_000 }),
      ...readBiases(fields),
      ...readWindow(fields, sizes.layers, window, (layer) => !rotaryLayers[layer]),
      ...(rotaryLayers.includes(false) && { rotaryLayers }),
    };
  },
  layout: llamaLayout,
  gguf: {
    name: 'smollm3',
    className: 'SmolLM3ForCausalLM',
    hasPairedRows: true,
    configJson: (fields, sizes) => ({ ...sizes, ...ggufRotary(fields, sizes), hidden_act: 'silu' }),
  },
};
