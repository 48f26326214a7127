import type { ModelSource } from '@lbs/model-loaders';

/** Tokens with which models end a text or their turn of a chat. Files name one of them, often not the one that ends a turn. */
const endTokens = [
  '<|endoftext|>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<end_of_turn>',
  '<|end|>',
  '<|end_of_turn|>',
];

/** The tokens that a generation ends before: the end of sequence of the config, and what the vocabulary has of the usual ones. */
export function stopTokensOf({
  tokenizer,
  config,
}: Pick<ModelSource, 'tokenizer' | 'config'>): readonly number[] {
  const usual = endTokens.map((token) => tokenizer.idOf(token)).filter((id) => id !== undefined);
  const ids = new Set(usual.filter((id) => tokenizer.isSpecial(id)));
  if (config.endOfSequence !== undefined) ids.add(config.endOfSequence);
  return [...ids].sort((a, b) => a - b);
}
