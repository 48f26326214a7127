import { UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { byteAlphabet } from './byte-alphabet.js';

/** The pattern of GPT-2, which Hugging Face's ByteLevel applies unless it is told not to. */
const GPT2_PATTERN = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/**
 * Rewrites the parts of a tokenizer.json that `@huggingface/tokenizers` 0.2 reads otherwise than the Rust library
 * does, so that the ids come out the same. The result is for that library only and is never written to a file:
 *
 * - `Digits` means every numeric character of Unicode; there only 0 to 9;
 * - white space in `ByteLevel` contains U+0085 and not U+FEFF; there it is that of JavaScript;
 * - bytes that have no token are dropped before the merges; there after them.
 *
 * Throws UnsupportedError for a `Split` that it would get wrong.
 */
export function portTokenizerJson(tokenizerJson: JsonObject, file: string): JsonObject {
  const { pre_tokenizer: preTokenizer, model } = tokenizerJson;
  if (!isJsonObject(preTokenizer)) return tokenizerJson;
  const dropped = isJsonObject(model) ? bytesWithoutToken(model) : [];
  return { ...tokenizerJson, pre_tokenizer: port(preTokenizer, dropped, file) };
}

function port(preTokenizer: JsonObject, dropped: readonly string[], file: string): JsonObject {
  switch (preTokenizer['type']) {
    case 'Sequence': {
      const parts = preTokenizer['pretokenizers'];
      if (!Array.isArray(parts)) return preTokenizer;
      return {
        ...preTokenizer,
        pretokenizers: parts.map((part) => (isJsonObject(part) ? port(part, dropped, file) : part)),
      };
    }
    case 'Digits':
      return split(preTokenizer['individual_digits'] === true ? '\\p{N}' : '\\p{N}+');
    case 'ByteLevel':
      return portByteLevel(preTokenizer, dropped);
    case 'Split':
      refuseForeignSplit(preTokenizer, file);
      return preTokenizer;
    default:
      return preTokenizer;
  }
}

function portByteLevel(byteLevel: JsonObject, dropped: readonly string[]): JsonObject {
  // A prefix space has to come before the pattern, which then cannot be taken out.
  const separate = byteLevel['use_regex'] !== false && byteLevel['add_prefix_space'] !== true;
  const parts = separate ? [split(GPT2_PATTERN), { ...byteLevel, use_regex: false }] : [byteLevel];
  if (dropped.length > 0) {
    const characters = dropped.map((character) => `\\x{${character.charCodeAt(0).toString(16)}}`);
    parts.push({ type: 'Replace', pattern: { Regex: `[${characters.join('')}]` }, content: '' });
  }
  return { type: 'Sequence', pretokenizers: parts };
}

function split(pattern: string): JsonObject {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

/** Empty where unknown bytes become a token of their own. */
function bytesWithoutToken(model: JsonObject): readonly string[] {
  const { vocab } = model;
  const dropsUnknown = (model['unk_token'] ?? null) === null && model['byte_fallback'] !== true;
  if (model['type'] !== 'BPE' || !dropsUnknown || !isJsonObject(vocab)) return [];
  return byteAlphabet.filter((character) => !Object.hasOwn(vocab, character));
}

function refuseForeignSplit(split: JsonObject, file: string): void {
  const { behavior, invert } = split;
  if (behavior === 'Removed' || (behavior === 'Isolated' && invert !== true)) return;
  throw new UnsupportedError(
    `a Split of the behavior ${describeValue(behavior)} (invert: ${describeValue(invert)}) is not known`,
    {
      file,
      mend: 'Known: Isolated and Removed.',
    },
  );
}
