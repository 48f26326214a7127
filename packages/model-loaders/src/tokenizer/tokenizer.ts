import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import { describeValue, isJsonObject, type JsonObject } from '../config/json-file.js';
import { AddedTokenSearch, parseAddedTokens } from './added-tokens.js';
import { createBytePairEncoding, isBytePairEncoding } from './byte-pair-encoding.js';
import {
  type ChatMessage,
  type ChatRenderer,
  type ChatTemplateOptions,
  chatTemplateOf,
  createChatRenderer,
} from './chat-template.js';
import { createNormalizer } from './normalizer.js';
import { createPreTokenizer } from './pre-tokenizer.js';
import { createTokenDecoder } from './token-decoder.js';
import type { TokenModel } from './token-model.js';
import { TokenStream } from './token-stream.js';
import { checkTokenizerJson } from './tokenizer-json-check.js';
import { createUnigram } from './unigram.js';

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Ids of `text`. No special token is added; special tokens that are written out in the text are recognised. */
  encode(text: string): number[];
  /**
   * Text of `ids`, special tokens included. An id behind the vocabulary has no text: embedding matrices are often
   * padded, so that a model can choose one. Throws InvalidArgumentError for what is not an id.
   */
  decode(ids: readonly number[]): string;
  /** Decodes ids that come one by one; a character of which only some bytes have come waits for the others. */
  stream(): TokenStream;
  /** The template of chats, in Jinja, where the model has one. */
  readonly chatTemplate?: string;
  /**
   * The prompt of a chat. The template writes the token that begins a text where the model expects one, so that `tokens` are complete.
   * Throws UnsupportedError where the model has no template or it cannot be read, InvalidArgumentError where it refuses the messages.
   */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatTemplateOptions): ChatPrompt;
  /** Id of a token by its text, such as `<|im_end|>`. */
  idOf(token: string): number | undefined;
  /** Whether an id stands for a special token. */
  isSpecial(id: number): boolean;
  /** One more than the highest id. */
  readonly vocabularySize: number;
  /** Id of the token that begins a text, where the tokenizer names one. */
  readonly beginningOfSequence?: number;
  /** Whether the model expects that token in front of every text. */
  readonly addsBeginningOfSequence: boolean;
}

/** A chat as the model reads it. */
export interface ChatPrompt {
  readonly text: string;
  readonly tokens: number[];
}

/**
 * Makes a tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json`, with the ids and texts of the Rust library.
 * `@huggingface/tokenizers` 0.2 translates the patterns; the rest is computed here, because that library looks for added tokens, splits,
 * merges, and decodes bytes otherwise than the Rust library does. Spaces are not cleaned up (`clean_up_tokenization_spaces`),
 * as transformers 5 does not for byte-pair encodings. Throws MalformedFileError or UnsupportedError.
 */
export function createTokenizer(
  tokenizerJson: JsonObject,
  tokenizerConfig: JsonObject,
  file: string,
): Tokenizer {
  const { model: modelJson } = tokenizerJson;
  if (!isJsonObject(modelJson)) {
    throw new MalformedFileError('the tokenizer has no model', { file, mend: 'Download the file again.' });
  }
  checkTokenizerJson(tokenizerJson, modelJson, file);
  const model = createModel(modelJson, file);
  const normalize = createNormalizer(tokenizerJson['normalizer'], file);
  const preTokenize = createPreTokenizer(tokenizerJson['pre_tokenizer'], file);
  const decodeTokens = createTokenDecoder(tokenizerJson['decoder'], file);
  const added = parseAddedTokens((tokenizerJson['added_tokens'] ?? []) as readonly unknown[]);
  const search = new AddedTokenSearch(
    added.filter(({ normalized }) => !normalized).map((token) => [token.content, token]),
  );
  const normalizedSearch = new AddedTokenSearch(
    added
      .filter(({ normalized }) => normalized)
      .map((token) => [normalize(token.content), token] as const)
      .filter(([content]) => content !== ''),
  );

  const addedById = new Map(added.map((token) => [token.id, token]));
  const addedByContent = new Map(added.map((token) => [token.content, token]));
  const idOf = (token: string) => addedByContent.get(token)?.id ?? model.idOf(token);
  const tokenOf = (id: number) => addedById.get(id)?.content ?? model.tokenOf(id);
  const vocabularySize = added.reduce((size, { id }) => Math.max(size, id + 1), model.size);

  const encode = (text: string): number[] => {
    const ids: number[] = [];
    for (const [i, part] of search.split(text).entries()) {
      if ('token' in part) {
        ids.push(part.token.id);
        continue;
      }
      for (const [j, inner] of normalizedSearch.split(normalize(part.text)).entries()) {
        if ('token' in inner) ids.push(inner.token.id);
        else
          for (const word of preTokenize([inner.text], i === 0 && j === 0))
            if (word !== '') model.encode(word, ids);
      }
    }
    return ids;
  };
  const decode = (ids: readonly number[]): string => {
    const tokens: string[] = [];
    for (const id of ids) {
      if (!Number.isInteger(id) || id < 0)
        throw new InvalidArgumentError(`${id} is not a token id`, { file });
      const token = tokenOf(id);
      if (token !== undefined) tokens.push(token);
    }
    return decodeTokens(tokens).join('');
  };

  const beginningOfSequence = namedToken(tokenizerConfig['bos_token'], idOf);
  const declared = tokenizerConfig['add_bos_token'];
  const chatTemplate = chatTemplateOf(tokenizerConfig['chat_template'], false);
  const specialTokens = specialTokenTexts(tokenizerConfig);
  const renderers = new Map<string, ChatRenderer>();
  return {
    encode,
    decode,
    stream: () => new TokenStream(decode),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
    applyChatTemplate(messages, options = {}) {
      const template = chatTemplateOf(tokenizerConfig['chat_template'], options.tools !== undefined);
      if (template === undefined) {
        throw new UnsupportedError('the model has no chat template', {
          file,
          mend: 'Give the text of the chat as a prompt, or use a model that was trained on chats.',
        });
      }
      const render = renderers.get(template) ?? createChatRenderer(template, specialTokens, file);
      renderers.set(template, render);
      const text = render(messages, options);
      return { text, tokens: encode(text) };
    },
    idOf,
    isSpecial: (id) => addedById.get(id)?.special ?? false,
    vocabularySize,
    ...(beginningOfSequence === undefined ? {} : { beginningOfSequence }),
    addsBeginningOfSequence:
      beginningOfSequence !== undefined &&
      (typeof declared === 'boolean'
        ? declared
        : firstAddedToken(tokenizerJson['post_processor'], file) === beginningOfSequence),
  };
}

function createModel(json: JsonObject, file: string): TokenModel {
  if (isBytePairEncoding(json)) return createBytePairEncoding(json, file);
  if (json['type'] === 'Unigram' || Array.isArray(json['vocab'])) return createUnigram(json, file);
  throw new UnsupportedError(`the tokenizer model ${describeValue(json['type'])} is not known`, {
    file,
    mend: 'Known: BPE, Unigram.',
  });
}

/** A special token is written as its text, or as an object that holds the text. */
function namedToken(token: unknown, idOf: (token: string) => number | undefined): number | undefined {
  const text = isJsonObject(token) ? token['content'] : token;
  return typeof text === 'string' ? idOf(text) : undefined;
}

/** The special tokens that a tokenizer_config.json names, by the names that templates know them by. */
function specialTokenTexts(config: JsonObject): Readonly<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const [name, token] of Object.entries(config)) {
    const text = isJsonObject(token) ? token['content'] : token;
    if (name.endsWith('_token') && typeof text === 'string') texts[name] = text;
  }
  return texts;
}

/** Id of the special token that the post-processor puts before a text. Throws MalformedFileError. */
function firstAddedToken(json: unknown, file: string): number | undefined {
  if (!isJsonObject(json)) return undefined;
  if (json['type'] === 'Sequence' && Array.isArray(json['processors'])) {
    return json['processors'].map((part) => firstAddedToken(part, file)).find((id) => id !== undefined);
  }
  const { cls, single, special_tokens: tokens } = json;
  // Of RobertaProcessing and BertProcessing: [token, id].
  if (Array.isArray(cls)) return typeof cls[1] === 'number' ? cls[1] : undefined;
  if (json['type'] !== 'TemplateProcessing') return undefined;
  const first = Array.isArray(single) ? single[0] : undefined;
  if (first !== undefined && !isJsonObject(first)) {
    throw new MalformedFileError(`a part of the template of the post-processor is ${describeValue(first)}`, {
      file,
      mend: 'Check that the file is a tokenizer.json of Hugging Face tokenizers.',
    });
  }
  const special = first?.['SpecialToken'];
  const name = isJsonObject(special) ? special['id'] : undefined;
  const entry = isJsonObject(tokens) && typeof name === 'string' ? tokens[name] : undefined;
  const ids = isJsonObject(entry) ? entry['ids'] : undefined;
  return Array.isArray(ids) && typeof ids[0] === 'number' ? ids[0] : undefined;
}
