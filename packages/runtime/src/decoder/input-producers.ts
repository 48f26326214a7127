import type { BlockNorm, DecoderLayout, LinearLayer, ModelConfig } from '@lbs/model-loaders';
import type { InputProducer } from './block-computation.js';

/** What the inputs of a block's stages are proportional to; undefined where that is no weight of one module. */
export interface InputProducers {
  readonly attentionInput: InputProducer | undefined;
  readonly attentionOutputInput: InputProducer | undefined;
  readonly feedForwardInput: InputProducer | undefined;
  readonly downInput: InputProducer | undefined;
}

/**
 * Transforms divide a producer's weights by scales, and multiply the columns of its readers with them. So a bias, an offset to
 * the weights, or anything between that does not keep proportions rules it out; so do other layers in the same matrix, whose rows
 * have no reader.
 */
export function inputProducers(config: ModelConfig, layout: DecoderLayout): InputProducers {
  const { hiddenSize, intermediateSize, heads, keyValueHeads, headSize } = config;
  const each = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
  const ofNorm = (norm: BlockNorm): InputProducer | undefined => {
    const { module, bias } = layout.norms[norm] ?? {};
    if (module === undefined || bias || config.normOffset !== undefined) return undefined;
    return { module, rows: each(hiddenSize) };
  };
  const ofLinear = (linear: LinearLayer, rows: Uint32Array): InputProducer | undefined => {
    const place = layout.linears[linear]!;
    return place.bias || place.rows ? undefined : { module: place.module, rows };
  };
  // A head of values serves several heads of queries.
  const valueRows = each(heads * headSize).map(
    (i) => Math.floor(i / headSize / (heads / keyValueHeads)) * headSize + (i % headSize),
  );
  const readsAttentionNorm = config.parallelResidual && !layout.norms.feedForwardNorm;
  return {
    attentionInput: ofNorm('attentionNorm'),
    attentionOutputInput: config.attentionClip === undefined ? ofLinear('value', valueRows) : undefined,
    feedForwardInput: ofNorm(readsAttentionNorm ? 'attentionNorm' : 'feedForwardNorm'),
    downInput: layout.linears.gate ? ofLinear('up', each(intermediateSize)) : undefined,
  };
}
