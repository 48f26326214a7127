import { MalformedFileError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { isBytePairEncoding } from './byte-pair-encoding.js';

/** Ids that may be missing: tokenizers have gaps, but lists are indexed by id, so that a gap takes memory. */
const MAX_MISSING_IDS = 65_536;

/**
 * Checks the parts of a tokenizer.json that `@huggingface/tokenizers` believes without looking: that tokens are texts
 * and ids are whole numbers, which no more than `MAX_MISSING_IDS` are missing of. Throws MalformedFileError.
 */
export function checkTokenizerJson(tokenizerJson: JsonObject, model: JsonObject, file: string): void {
  const added = tokenizerJson['added_tokens'] ?? [];
  if (!Array.isArray(added)) throw malformed('added_tokens', added, 'a list', file);
  const { vocab } = model;
  const pieces = Array.isArray(vocab) ? vocab : Object.keys(isJsonObject(vocab) ? vocab : {});
  const limit = pieces.length + added.length + MAX_MISSING_IDS;
  const checkId = (id: unknown, what: string) => {
    const valid = Number.isInteger(id) && (id as number) >= 0 && (id as number) < limit;
    if (!valid) throw malformed(what, id, `an id below ${limit}`, file);
  };

  for (const token of added) {
    const { id, content } = isJsonObject(token) ? token : ({} as JsonObject);
    if (typeof content !== 'string' || content === '')
      throw malformed('the content of an added token', content, 'a text', file);
    checkId(id, `the id of the added token ${describeValue(content)}`);
  }
  const isList = Array.isArray(vocab);
  if (model['type'] === 'Unigram' && !isList)
    throw malformed('model.vocab', vocab, 'a list of texts with scores', file);
  if (isBytePairEncoding(model) && isList) throw malformed('model.vocab', vocab, 'an object', file);
  if (isList) {
    const isPiece = (piece: unknown) =>
      Array.isArray(piece) && typeof piece[0] === 'string' && typeof piece[1] === 'number';
    if (!vocab.every(isPiece)) throw malformed('model.vocab', vocab, 'a list of texts with scores', file);
    if (model['unk_id'] !== undefined && model['unk_id'] !== null) checkId(model['unk_id'], 'model.unk_id');
  } else if (isJsonObject(vocab)) {
    for (const [token, id] of Object.entries(vocab)) checkId(id, `the id of ${describeValue(token)}`);
  } else throw malformed('model.vocab', vocab, 'an object', file);
}

function malformed(what: string, value: unknown, expected: string, file: string): MalformedFileError {
  return new MalformedFileError(`${what} is ${describeValue(value)}, not ${expected}`, {
    file,
    mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
  });
}
