import {
  compileModulePattern,
  createFormatRegistry,
  dequantize,
  formatOfModule,
  LbsError,
  loadMatrix,
  numberFormats,
  parseQuantizationConfig,
  parseSafetensorsHeader,
  safetensorsDtypes,
  storedSuffixes,
  storeMatrix,
} from '../../packages/format/dist/index.js';
import { checkpointOf } from '../../packages/model-loaders/dist/checkpoints/checkpoint-methods.js';
import { dequantizingStore } from '../../packages/model-loaders/dist/checkpoints/dequantizing-store.js';
import { isInsidePath } from '../../packages/model-loaders/dist/hub/hub-reference.js';
import {
  createTokenizer,
  ggufDequantizers,
  ggufQuantizers,
  hubDirectory,
  openGguf,
  openGgufModel,
  openGgufShards,
  openSafetensors,
  openShardedSafetensors,
  parseConfig,
  parseGgufConfig,
  parseHubReference,
  parseJsonObject,
  parseShardIndex,
  tensorShapes,
  tokenizerFilesOfGguf,
  urlSource,
  verifySafetensors,
} from '../../packages/model-loaders/dist/index.js';
import { mutateBytes } from './mutate-bytes.mjs';
import { mutateJson } from './mutate-json.mjs';
import { mutateSafetensors } from './mutate-safetensors.mjs';
import * as seeds from './seeds.mjs';

/**
 * @typedef {object} Target A parser that takes bytes from strangers.
 * @property {string} name
 * @property {number} share its part of a run's executions
 * @property {readonly { bytes: Uint8Array, fields?: readonly [number, number][] }[]} seeds valid inputs
 * @property {(random: object, input: Uint8Array, context: object) => Uint8Array} mutate
 * @property {(input: Uint8Array) => unknown} execute Throws where the input is refused, and an Error of no package
 *   where it is accepted and breaks what the parser promises.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Changes a JSON file by its tokens, or now and then by its bytes. */
const jsonMutation =
  (words) =>
  (random, input, { other }) => {
    if (random.oneIn(8)) return mutateBytes(random, input, { dictionary: words, other });
    const text = mutateJson(random, decoder.decode(input), { words, other: decoder.decode(other) });
    return encoder.encode(text);
  };

const byteMutation =
  (dictionary = []) =>
  (random, input, { fields, other }) =>
    mutateBytes(random, input, { fields, dictionary, other });

const safetensorsMutation =
  (words) =>
  (random, input, { other }) =>
    mutateSafetensors(random, input, { words, other });

/** A file in memory. It reads no more than it has, as the ones that come with the package. */
function memorySource(bytes, name = 'input') {
  return {
    name,
    size: bytes.length,
    async read(offset, length) {
      promise(
        offset >= 0 && offset + length <= bytes.length,
        `read ${length} bytes at ${offset} of ${bytes.length}`,
      );
      return bytes.slice(offset, offset + length);
    },
  };
}

/** Fails the execution unless what a parser promises holds. */
function promise(holds, what) {
  if (!holds) throw new Error(`broken promise: ${what}`);
}

function promiseShape(shape, name) {
  promise(
    shape.every((size) => Number.isSafeInteger(size) && size >= 0),
    `shape [${shape}] of ${name}`,
  );
}

/** Reads every tensor; one that is refused does not keep the others from being read. */
async function readAll(store) {
  for (const [name, { shape, byteLength }] of store.tensors) {
    promiseShape(shape, name);
    const bytes = await store.readBytes(name);
    promise(bytes.length === byteLength, `${byteLength} bytes of ${name}`);
    try {
      const values = await store.readFloat32(name);
      promise(values.length === shape.reduce((product, size) => product * size, 1), `the shape of ${name}`);
    } catch (error) {
      if (!LbsError.isInstance(error)) throw error;
    }
  }
}

const tensorWords = ['dtype', 'shape', 'data_offsets', '__metadata__', ...safetensorsDtypes];
const partWords = Object.values(storedSuffixes).map((suffix) => `m.${suffix}`);
const configWords = [
  'head_dim',
  'rope_scaling',
  'rope_type',
  'partial_rotary_factor',
  'mlp_bias',
  'quant_method',
  'lbs',
  'llama',
  'gemma3_text',
  'text_config',
  'layer_types',
  'sliding_attention',
  'longrope',
  'short_factor',
  'sliding_window',
];
const quantizationWords = [
  'config_groups',
  'targets',
  'weights',
  'levels',
  'centre',
  'float16',
  'log8',
  're:.*.*.*.*b',
  're:(a|b)*',
  'provenance',
  'ignore',
  'group_1',
  'zero_point',
  'e4m3',
  '0.1',
  '0.3',
];
const tokenizerWords = [
  'ByteLevel',
  'Metaspace',
  'Split',
  'Digits',
  'Sequence',
  'Punctuation',
  'Whitespace',
  'WhitespaceSplit',
  'BertPreTokenizer',
  'Regex',
  'String',
  'Isolated',
  'Removed',
  'MergedWithPrevious',
  'BPE',
  'Unigram',
  'WordPiece',
  'WordLevel',
  'Prepend',
  'Strip',
  'Replace',
  'Precompiled',
  'NFKC',
  'BertNormalizer',
  'ByteFallback',
  'Fuse',
  'TemplateProcessing',
  'RobertaProcessing',
  'LlamaTokenizer',
  'added_tokens',
  'content',
  'id',
  'ids',
  'vocab',
  'merges',
  'unk_token',
  'byte_fallback',
  '[',
  '\\p{L}+|(',
];
const patternWords = [
  're:',
  '(',
  ')',
  '(?:',
  '(?=',
  '(?<=',
  '|',
  '*',
  '+',
  '?',
  '{2,}',
  '{0,999999}',
  '[^',
  ']',
  '.*',
  '\\1',
  '\\d',
  '\\p{L}',
  '(a*)*',
  '(a|a)',
  'a?',
  '\\',
];

const checkpointWords = [
  'quantization_config',
  'm.qweight',
  'm.qzeros',
  'm.scales',
  'm.g_idx',
  'm.bias',
  'm.weight_packed',
  'm.weight_scale',
  'm.weight_shape',
  'm.weight_zero_point',
  'm.weight_g_idx',
  'm.weight.absmax',
  'm.weight.quant_state.bitsandbytes__nf4',
  'compressed-tensors',
  'gptq_v2',
  'block',
  'group',
];
const hubWords = ['sha', 'path', 'oid', 'lfs', 'size', 'type', 'file', '../x', 'xetHash', 'a'.repeat(64)];
const httpWords = [
  'status',
  'headers',
  'body',
  'content-range',
  'content-length',
  'content-encoding',
  'etag',
  'last-modified',
  'retry-after',
  'bytes 0-63/*',
  'bytes */200',
  'bytes 64-127/200',
  'gzip',
];

/** A fetch that gives the answers of a list in turn, and none behind its end. */
function answersInTurn(answers) {
  let next = 0;
  return async () => {
    const answer = answers[next++];
    if (answer === undefined) throw new TypeError('fetch failed');
    const { status, headers, body } = typeof answer === 'object' && answer !== null ? answer : {};
    const isBodyless = [101, 204, 205, 304].includes(status);
    try {
      return new Response(isBodyless ? null : String(body ?? ''), {
        status: status ?? 200,
        headers: headers ?? {},
      });
    } catch {
      // No server can send such an answer.
      throw new TypeError('fetch failed');
    }
  };
}

/** A list in JSON; anything else stands for its only element. */
function listOf(input) {
  const { list } = parseJsonObject(encoder.encode(`{"list":${decoder.decode(input)}}`), 'input');
  return Array.isArray(list) ? list : [list];
}

/** Failures are final, so that an execution is short. */
const noRetries = { retries: 1, firstWaitMilliseconds: 0, longestWaitMilliseconds: 0 };

/** Names that patterns meet: usual ones, and long ones in which a backtracking matcher would lose itself. */
const moduleNames = [
  'model.layers.0.mlp.down_proj',
  'lm_head',
  '',
  'a'.repeat(60),
  'ab.'.repeat(80),
  'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab',
];

const shards = new Map([
  ['model-00001-of-00002.safetensors', seeds.safetensorsSeeds[1].bytes],
  ['model-00002-of-00002.safetensors', seeds.safetensorsSeeds[2].bytes],
]);

const formats = createFormatRegistry();

/** @type {readonly Target[]} */
export const targets = [
  {
    name: 'safetensors-header',
    share: 4,
    seeds: seeds.safetensorsSeeds,
    mutate: safetensorsMutation(tensorWords),
    execute(input) {
      const header = parseSafetensorsHeader(input, { file: 'input', fileSize: input.length });
      let position = 0;
      for (const [name, { shape, begin, end }] of header.tensors) {
        promiseShape(shape, name);
        promise(begin === position && end >= begin, `the range of ${name}`);
        position = end;
      }
      promise(header.dataStart + position === input.length, 'the end of the data');
    },
  },
  {
    name: 'safetensors',
    share: 3,
    seeds: seeds.safetensorsSeeds,
    mutate: safetensorsMutation(tensorWords),
    execute: async (input) => readAll(await openSafetensors(memorySource(input))),
  },
  {
    name: 'verify',
    share: 2,
    seeds: seeds.checksumSeeds,
    mutate: safetensorsMutation(['crc32.a', 'crc32.b', 'crc32.', ...tensorWords]),
    async execute(input) {
      const { ok, failures } = await verifySafetensors(memorySource(input));
      promise(ok === (failures.length === 0), 'a file is well when nothing failed');
    },
  },
  {
    name: 'shard-index',
    share: 4,
    seeds: seeds.shardIndexSeeds,
    mutate: jsonMutation(['weight_map', 'metadata', 'a', 'f16', ...shards.keys()]),
    async execute(input) {
      const index = parseShardIndex(parseJsonObject(input, 'input'), 'input');
      const openShard = async (name) => memorySource(shards.get(name) ?? input, name);
      await readAll(await openShardedSafetensors(index, openShard, { file: 'input' }));
    },
  },
  {
    name: 'checkpoint',
    share: 3,
    seeds: seeds.checkpointSeeds,
    mutate: safetensorsMutation([...checkpointWords, ...tensorWords]),
    async execute(input) {
      const store = await openSafetensors(memorySource(input));
      const config = store.metadata.get('quantization_config') ?? '{}';
      const checkpoint = checkpointOf(
        { quantization_config: parseJsonObject(encoder.encode(config), 'input') },
        'input',
      );
      if (checkpoint)
        await readAll(await dequantizingStore(store, checkpoint, { file: 'input', isExpected: () => false }));
    },
  },
  {
    name: 'http-answers',
    share: 1,
    seeds: seeds.httpAnswerSeeds,
    mutate: jsonMutation(httpWords),
    async execute(input) {
      const options = { fetch: answersInTurn(listOf(input)), retry: noRetries, readAheadBytes: 64 };
      const source = await urlSource('https://server.example/file', options);
      promise(Number.isSafeInteger(source.size) && source.size >= 0, `the size ${source.size}`);
      const length = Math.min(source.size, 64);
      promise((await source.read(source.size - length, length)).length === length, 'the length of a range');
    },
  },
  {
    name: 'hub-answers',
    share: 1,
    seeds: seeds.hubAnswerSeeds,
    mutate: jsonMutation(hubWords),
    async execute(input) {
      const answers = decoder
        .decode(input)
        .split('\n')
        .map((body) => ({ status: 200, body }));
      const { commit, files } = await hubDirectory({
        repo: 'a/b',
        fetch: answersInTurn(answers),
        retry: noRetries,
      });
      promise(/^[\da-f]{40}$/.test(commit), 'a commit is a hash');
      for (const [path, { size, blobId, sha256 = blobId }] of files) {
        promise(isInsidePath(path) && size >= 0 && /^[\da-f]+$/.test(sha256), `the file ${path}`);
      }
    },
  },
  {
    name: 'hub-reference',
    share: 1,
    seeds: seeds.hubReferenceSeeds,
    mutate: byteMutation([
      'hf:',
      '@',
      '/',
      '..',
      'refs/pr/',
      '%2F',
      '%',
      'tree',
      'resolve',
      'https://huggingface.co/',
    ]),
    execute(input) {
      const reference = parseHubReference(decoder.decode(input));
      if (!reference) return;
      const { repo, revision, file = 'x' } = reference;
      promise([repo, revision, file].every(isInsidePath), `the reference ${repo} ${revision} ${file}`);
    },
  },
  {
    name: 'gguf',
    share: 7,
    seeds: seeds.ggufSeeds,
    mutate: byteMutation(['GGUF', 'general.alignment', 't']),
    execute: async (input) => readAll(await openGguf(memorySource(input))),
  },
  {
    name: 'gguf-blocks',
    share: 4,
    seeds: seeds.ggufBlockSeeds,
    mutate: byteMutation(),
    execute(input) {
      const { names } = ggufDequantizers;
      const { blockSize, bytesPerBlock, dequantize } = ggufDequantizers.get(
        names[(input[0] ?? 0) % names.length],
      );
      const blocks = Math.floor(Math.max(input.length - 1, 0) / bytesPerBlock);
      const values = dequantize(input.slice(1, 1 + blocks * bytesPerBlock));
      promise(values.length === blocks * blockSize, `${values.length} values of ${blocks} blocks`);
    },
  },
  {
    name: 'gguf-quantizers',
    share: 2,
    seeds: seeds.ggufValueSeeds,
    mutate: byteMutation(),
    execute(input) {
      const { names } = ggufQuantizers;
      const { name, blockSize, bytesPerBlock, quantize } = ggufQuantizers.get(
        names[(input[0] ?? 0) % names.length],
      );
      const elements = Math.floor(Math.max(input.length - 1, 0) / 4 / blockSize) * blockSize;
      const values = new Float32Array(input.slice(1, 1 + 4 * elements).buffer);
      const bytes = quantize(values.slice());
      promise(
        bytes.length === (elements / blockSize) * bytesPerBlock,
        `${bytes.length} bytes of ${elements} values`,
      );
      // Within the range of scales, what is read again is near what was written.
      const limit = 2 ** 10;
      const restored = ggufDequantizers.get(name).dequantize(bytes);
      for (let i = 0; i < elements; i += blockSize) {
        const block = values.subarray(i, i + blockSize);
        if (!block.every((value) => Math.abs(value) < limit)) continue;
        const greatest = Math.max(...block.map(Math.abs));
        promise(
          block.every((value, j) => Math.abs(restored[i + j] - value) <= 0.2 * greatest + 2 ** -16),
          `the values of a block in ${name}`,
        );
      }
    },
  },
  {
    name: 'gguf-shards',
    share: 4,
    seeds: seeds.ggufShardSeeds,
    mutate: byteMutation(['split.no', 'split.count', 'split.tensors.count', 't0', 't1']),
    async execute(input) {
      const name = (no) => `m-0000${no + 1}-of-00002.gguf`;
      const open = async (files) =>
        readAll(
          await openGgufShards(memorySource(files[0], name(0)), async (asked) =>
            memorySource(files[1], asked),
          ),
        );
      const [first, second] = seeds.ggufShardSeeds.map(({ bytes }) => bytes);
      const outcomes = await Promise.allSettled([open([input, second]), open([first, input])]);
      const refused = outcomes.find(({ reason }) => reason && !LbsError.isInstance(reason)) ?? outcomes[1];
      if (refused.reason) throw refused.reason;
    },
  },
  {
    name: 'gguf-model',
    share: 4,
    seeds: seeds.ggufModelSeeds,
    mutate: byteMutation([
      'output.weight',
      'rope_freqs.weight',
      'blk.1',
      '.bias',
      'qwen2',
      'gpt-2',
      'phi3',
      'gemma2',
    ]),
    async execute(input) {
      const model = await openGgufModel(memorySource(input));
      model.tokenizer.decode(model.tokenizer.encode('ab a1'));
      for (const name of model.tensorNames) await model.readFloat32(name);
    },
  },
  {
    name: 'gguf-metadata',
    share: 5,
    seeds: seeds.ggufModelSeeds,
    mutate: byteMutation(['llama.expert_count', 'qwen2', 'gpt-2', '__proto__']),
    async execute(input) {
      const reader = await openGguf(memorySource(input));
      const refused = [];
      for (const parse of [parseGgufConfig, tokenizerFilesOfGguf]) {
        try {
          await parse(reader, 'input');
        } catch (error) {
          if (!LbsError.isInstance(error)) throw error;
          refused.push(error);
        }
      }
      if (refused.length > 0) throw refused[0];
    },
  },
  {
    name: 'config',
    share: 4,
    seeds: seeds.configSeeds,
    mutate: jsonMutation(configWords),
    execute: (input) => tensorShapes(parseConfig(parseJsonObject(input, 'input'), 'input')),
  },
  {
    name: 'quantization-config',
    share: 2,
    seeds: seeds.quantizationConfigSeeds,
    mutate: jsonMutation(quantizationWords),
    execute(input) {
      const config = parseQuantizationConfig(parseJsonObject(input, 'input'), 'input');
      const formatOf = formatOfModule(config);
      for (const name of moduleNames) formatOf(name);
    },
  },
  {
    name: 'stored-matrix',
    share: 2,
    seeds: seeds.storedMatrixSeeds,
    mutate(random, input, { other }) {
      if (random.oneIn(16)) return mutateBytes(random, input, { fields: [[0, 1]], other });
      const file = safetensorsMutation([...partWords, ...tensorWords])(random, input.subarray(1), {
        other: other.subarray(1),
      });
      const bytes = new Uint8Array(1 + file.length);
      bytes[0] = input[0];
      bytes.set(file, 1);
      return bytes;
    },
    async execute(input) {
      const store = await openSafetensors(memorySource(input.subarray(1)));
      const format = formats.get(numberFormats[(input[0] ?? 0) % numberFormats.length].name);
      const read = async (name) => {
        const info = store.tensors.get(name);
        return info && { ...info, bytes: await store.readBytes(name) };
      };
      const matrix = await loadMatrix('m', format, read, 'input');
      promise(dequantize(matrix).length === matrix.rows * matrix.columns, 'the size of the matrix');
      for (const { name, dtype, shape, bytes } of storeMatrix('m', matrix)) {
        const found = await read(name);
        promise(
          dtype === found.dtype &&
            `${shape}` === `${found.shape}` &&
            Buffer.compare(bytes, found.bytes) === 0,
          `${name} is written again as it was`,
        );
      }
    },
  },
  {
    name: 'module-pattern',
    share: 2,
    seeds: seeds.modulePatternSeeds,
    mutate(random, input, context) {
      // The same part many times: what a backtracking matcher multiplies.
      if (random.oneIn(4))
        return encoder.encode(`re:${random.pick(patternWords).repeat(1 + random.below(40))}b`);
      return byteMutation(patternWords)(random, input, context);
    },
    execute(input) {
      const pattern = decoder.decode(input);
      const matches = compileModulePattern(pattern);
      if (!pattern.startsWith('re:')) promise(matches(pattern), 'a name matches itself');
      for (const name of moduleNames) matches(name);
    },
  },
  {
    name: 'tokenizer',
    share: 1,
    seeds: seeds.tokenizerSeeds,
    mutate: jsonMutation(tokenizerWords),
    execute(input) {
      const [json, config] = filesOf(input);
      const tokenizer = createTokenizer(json, config, 'input');
      promise(
        Number.isSafeInteger(tokenizer.vocabularySize),
        `the vocabulary size ${tokenizer.vocabularySize}`,
      );
      const ids = tokenizer.encode('ab <s> a1');
      promise(
        ids.every((id) => Number.isSafeInteger(id) && id >= 0),
        `the ids ${ids}`,
      );
      promise(typeof tokenizer.decode([0, 1, ...ids]) === 'string', 'a text');
    },
  },
];

/** The two files of a tokenizer, from a list of both; each is an object, as parseJsonObject makes sure. */
function filesOf(input) {
  const wrapped = parseJsonObject(encoder.encode(`{"files":${decoder.decode(input)}}`), 'input');
  const [json, config] = Array.isArray(wrapped.files) ? wrapped.files : [wrapped.files];
  const objectOf = (value) =>
    typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  return [objectOf(json), objectOf(config)];
}
