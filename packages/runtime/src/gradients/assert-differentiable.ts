import { UnsupportedError } from '@lbs/format';
import { type DecoderLayout, layoutOf, type ModelConfig } from '@lbs/model-loaders';

/** Parts of a decoder through which gradients are not taken back. */
const otherParts: readonly [name: string, has: (config: ModelConfig, layout: DecoderLayout) => boolean][] = [
  ['LayerNorm', ({ norm }) => norm === 'layer'],
  [
    'norms behind attention or the feed-forward layer',
    (_, { norms }) => Boolean(norms.attentionPostNorm ?? norms.feedForwardPostNorm),
  ],
  ['branches without a norm before them', (_, { norms }) => !(norms.attentionNorm && norms.feedForwardNorm)],
  ['fused matrices', (_, { linears }) => Object.values(linears).some(({ rows }) => rows !== undefined)],
  ['a feed-forward layer without a gate', (_, { linears }) => linears.gate === undefined],
  ['another activation than SiLU', ({ activation }) => activation !== undefined],
  ['two kinds of rotary embeddings', ({ localRopeTheta }) => localRopeTheta !== undefined],
  ['soft caps', (config) => (config.attentionSoftcap ?? config.logitSoftcap) !== undefined],
  ['clipped queries, keys and values', ({ attentionClip }) => attentionClip !== undefined],
  ['parallel branches', ({ parallelResidual }) => parallelResidual === true],
  ['learned positions', ({ positionOffset }) => positionOffset !== undefined],
  ['a bias of the output head', (_, { head }) => head.bias],
];

/** Throws UnsupportedError that names the parts of a model through which gradients are not taken back. */
export function assertDifferentiable(config: ModelConfig, file: string): void {
  const layout = layoutOf(config);
  const parts = otherParts.filter(([, has]) => has(config, layout)).map(([name]) => name);
  if (parts.length === 0) return;
  throw new UnsupportedError(`gradients are not taken back through ${parts.join(', ')}`, {
    file,
    mend: 'Choose a method that needs no gradients, such as another saliency score, or a model built as Llama is.',
  });
}
