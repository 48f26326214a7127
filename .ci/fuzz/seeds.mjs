import { readFileSync } from 'node:fs';
import {
  checksumMetadata,
  formatVersion,
  numberFormats,
  partSizes,
  serializeQuantizationConfig,
  serializeSafetensorsHeader,
  storeMatrix,
  tensorChecksum,
} from '../../packages/format/dist/index.js';
import {
  blobSource,
  ggufDequantizers,
  ggufQuantizers,
  openSafetensors,
} from '../../packages/model-loaders/dist/index.js';
import { writeGguf } from './gguf-writer.mjs';

const packages = new URL('../../packages/', import.meta.url);
const fixture = (name) =>
  new Uint8Array(readFileSync(new URL(`model-loaders/src/fixtures/${name}`, packages)));
const encode = (value) => new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

/** Bytes 1, 2, 3 ... */
const counting = (length) => Uint8Array.from({ length }, (_, i) => i + 1);

function safetensors(tensors, metadata) {
  const { bytes, order, fileSize } = serializeSafetensorsHeader(tensors, metadata);
  const file = new Uint8Array(fileSize);
  file.set(bytes);
  for (const { name, begin } of order) {
    file.set(tensors.find((tensor) => tensor.name === name).bytes, bytes.length + begin);
  }
  return file;
}

const tensor = (name, dtype, shape, length) => ({ name, dtype, shape, bytes: counting(length) });

export const safetensorsSeeds = [
  safetensors([]),
  safetensors([tensor('a', 'F32', [2, 2], 16)]),
  safetensors(
    [
      tensor('f64', 'F64', [1], 8),
      tensor('f16', 'F16', [3], 6),
      tensor('bf16', 'BF16', [1, 2], 4),
      tensor('i8', 'I8', [], 1),
      tensor('f4', 'F4', [2], 1),
      tensor('none', 'U8', [0], 0),
    ],
    { format: 'pt', 'a "key"': 'x\ny' },
  ),
  fixture('from-python.safetensors'),
].map((bytes) => ({ bytes }));

/** Files with checksums: right ones, one that is wrong, one of a tensor that does not exist. */
export const checksumSeeds = [0, 1, 2].map((variant) => {
  const tensors = [tensor('a', 'F32', [2, 2], 16), tensor('b', 'U8', [3], 3)];
  const checksums = new Map(tensors.map(({ name, bytes }) => [name, tensorChecksum(bytes)]));
  if (variant === 1) checksums.set('b', '00000000');
  if (variant === 2) checksums.set('c', '00000000');
  return { bytes: safetensors(tensors, { format: 'lbs', ...checksumMetadata(checksums) }) };
});

/** A matrix of two rows as a file; the first byte says which format it is read in. */
function storedMatrixSeed(formatIndex, columns, salient) {
  const rows = 2;
  const format = numberFormats[formatIndex];
  const sizes = partSizes(format, rows, columns);
  const matrix = {
    format,
    rows,
    columns,
    packed: counting(sizes.packed),
    shared: counting(sizes.shared),
    scales: counting(sizes.scales),
    scaleBases: counting(sizes.scaleBases),
    ...(format.zeroPoint && { zeroPoints: counting(sizes.zeroPoints) }),
    ...(salient && { salient }),
  };
  return { bytes: Uint8Array.of(formatIndex, ...safetensors(storeMatrix('m', matrix))) };
}

const salientOfTwoRows = (...columns) => ({
  counts: Uint32Array.of(2, 1),
  columns: Uint32Array.from(columns),
  residuals: Int8Array.of(-128, 127, 1),
  scales: Float32Array.of(0.5, 2),
});

/** Every format with a short last group, with and without salient weights; and salient weights of longer codes. */
export const storedMatrixSeeds = [
  ...numberFormats.flatMap((_, i) => [
    storedMatrixSeed(i, 20),
    storedMatrixSeed(i, 20, salientOfTwoRows(0, 19, 7)),
  ]),
  storedMatrixSeed(0, 300, salientOfTwoRows(0, 299, 299)),
];

const llamaConfig = {
  model_type: 'llama',
  hidden_size: 4,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  head_dim: 2,
  vocab_size: 8,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
  hidden_act: 'silu',
  attention_bias: false,
  bos_token_id: 0,
  eos_token_id: [1, 2],
};

/** A config.json of every architecture. */
function architectureConfigs() {
  const file = new URL('runtime/src/fixtures/architectures.json', packages);
  return JSON.parse(readFileSync(file, 'utf8')).cases.map(({ config }) => config);
}

export const configSeeds = [
  llamaConfig,
  {
    ...llamaConfig,
    rope_scaling: { rope_type: 'default' },
    rope_parameters: { type: 'default', rope_theta: 1e6 },
    quantization_config: { quant_method: 'lbs', format_version: formatVersion },
  },
  { model_type: 'gpt2', quantization_config: { quant_method: 'gptq', bits: 4 } },
  ...architectureConfigs(),
].map((config) => ({ bytes: encode(config) }));

/** Few levels, so that most changes meet something else. */
const twoBits = {
  name: 'two-bits',
  privateBits: 1,
  sharedBits: 1,
  sharingBlock: 4,
  groupSize: 16,
  levelTable: { name: 'four', levels: [0, 1, 2, 3], centre: 1.5 },
  scaleEncoding: 'log8',
};

const targetsOfGroups = [['re:model\\.layers\\.\\d+\\.(self_attn|mlp)\\..*_proj'], ['lm_head', 're:[^.]+']];

export const quantizationConfigSeeds = [twoBits, twoBits, numberFormats[0]].map((format) => ({
  bytes: encode(
    serializeQuantizationConfig({
      groups: targetsOfGroups.map((targets) => ({ targets, format })),
      provenance: { tool: 'lbs', seed: 1 },
    }),
  ),
}));

export const shardIndexSeeds = [
  {
    metadata: { total_size: 20 },
    weight_map: { a: 'model-00001-of-00002.safetensors', f64: 'model-00002-of-00002.safetensors' },
  },
  { weight_map: {} },
].map((index) => ({ bytes: encode(index) }));

export const modulePatternSeeds = [
  'lm_head',
  're:model\\.layers\\.\\d+\\.(self_attn|mlp)\\..*_proj',
  're:.*\\.(?:q|k|v)_proj',
  're:(a|a)(a|ab)[b-d\\d_]{1,3}\\.x?',
  're:model\\.layers\\.([0-9]|1[0-5])\\.mlp\\.[^.]+',
  're:a?a?a?a?a?a?aaaaaa',
  're:(?:[a-z]+\\.)*\\w+',
].map((pattern) => ({ bytes: encode(pattern) }));

const tokens = ['<s>', '</s>', 'a', 'b', 'ab', 'Ġ', 'Ġa', '1'];

const tokenizerJson = {
  version: '1.0',
  added_tokens: [
    {
      id: 0,
      content: '<s>',
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
    {
      id: 8,
      content: 'user',
      single_word: false,
      lstrip: true,
      rstrip: true,
      normalized: true,
      special: false,
    },
  ],
  normalizer: { type: 'NFC' },
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { type: 'Split', pattern: { Regex: '\\p{N}{1,3}| ?\\p{L}+' }, behavior: 'Isolated', invert: false },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    ],
  },
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
  },
  decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(tokens.map((content, id) => [content, id])),
    merges: [
      ['a', 'b'],
      ['Ġ', 'a'],
    ],
  },
};

const tokenizerConfig = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  bos_token: '<s>',
  eos_token: { content: '</s>' },
  add_bos_token: true,
  clean_up_tokenization_spaces: false,
};

/** A list of the two files. */
export const tokenizerSeeds = [
  [tokenizerJson, tokenizerConfig],
  [{ model: tokenizerJson.model }, {}],
  [
    {
      ...tokenizerJson,
      normalizer: {
        type: 'Sequence',
        normalizers: [{ type: 'Lowercase' }, { type: 'Replace', pattern: { String: ' ' }, content: '_' }],
      },
      pre_tokenizer: { type: 'Metaspace', replacement: '_', add_prefix_space: true },
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: { ...tokenizerJson.model, merges: ['a b', 'Ġ a'], byte_fallback: true, unk_token: 'a' },
    },
    { bos_token: 'a' },
  ],
  [
    {
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['a', -1.5],
          ['▁a', -2],
        ],
      },
    },
    { unk_token: '<unk>', eos_token: '<unk>' },
  ],
  [
    {
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        vocab: { '[UNK]': 0, a: 1, '##b': 2 },
      },
    },
    {},
  ],
].map((files) => ({ bytes: encode(files) }));

const ggufTokenizer = {
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': 'smollm',
  'tokenizer.ggml.tokens': tokens,
  'tokenizer.ggml.token_type': [3, 3, 1, 1, 1, 1, 1, 4],
  'tokenizer.ggml.merges': ['a b', 'Ġ a'],
  'tokenizer.ggml.bos_token_id': 0,
  'tokenizer.ggml.eos_token_id': 1,
  'tokenizer.ggml.add_bos_token': true,
  'tokenizer.chat_template': '{{ messages }}',
};

const ggufConfig = {
  'general.architecture': 'llama',
  'general.alignment': 32,
  'split.count': 1,
  'llama.embedding_length': 4,
  'llama.attention.head_count': 2,
  'llama.attention.head_count_kv': 1,
  'llama.attention.key_length': 2,
  'llama.rope.scaling.type': 'none',
  'llama.rope.freq_base': 10000.5,
  'llama.feed_forward_length': 8,
  'llama.block_count': 1,
  'llama.vocab_size': 8,
  'llama.context_length': 64,
  'llama.attention.layer_norm_rms_epsilon': 0.00001,
};

const f32Tensor = (name, dimensions) => ({
  name,
  dimensions,
  type: 0,
  data: counting(4 * dimensions.reduce((product, size) => product * size, 1)),
});

const llamaTensors = [
  f32Tensor('token_embd.weight', [4, 8]),
  f32Tensor('blk.0.attn_norm.weight', [4]),
  f32Tensor('blk.0.attn_q.weight', [4, 4]),
  f32Tensor('blk.0.attn_k.weight', [4, 2]),
  f32Tensor('blk.0.attn_v.weight', [4, 2]),
  f32Tensor('blk.0.attn_output.weight', [4, 4]),
  f32Tensor('blk.0.ffn_norm.weight', [4]),
  f32Tensor('blk.0.ffn_gate.weight', [4, 8]),
  f32Tensor('blk.0.ffn_up.weight', [4, 8]),
  f32Tensor('blk.0.ffn_down.weight', [8, 4]),
  f32Tensor('output_norm.weight', [4]),
];

/** Every type that can be read, and one that cannot. */
const ggufTypes = [
  ...ggufDequantizers.names.map((name) => ggufDequantizers.get(name)),
  { id: 9, blockSize: 32, bytesPerBlock: 36 },
];

export const ggufSeeds = [
  writeGguf({ metadata: {}, tensors: [] }),
  writeGguf({
    metadata: {
      'a.list': [1, 2, 3],
      'a.nested': [[1, 2], ['x']],
      'a.string': 'ß',
      'a.large': 2n ** 63n,
      'a.half': [0.5],
    },
    tensors: [f32Tensor('t', [2, 3]), f32Tensor('scalar', [])],
  }),
  ...ggufTypes.map(({ id, blockSize, bytesPerBlock }) =>
    writeGguf({
      metadata: {},
      tensors: [{ name: 't', dimensions: [blockSize, 2], type: id, data: counting(2 * bytesPerBlock) }],
    }),
  ),
  { bytes: fixture('from-python.gguf'), fields: [] },
];

/** Blocks of each type; the first byte says of which. */
export const ggufBlockSeeds = ggufDequantizers.names.map((name, i) => ({
  bytes: Uint8Array.of(i, ...counting(2 * ggufDequantizers.get(name).bytesPerBlock)),
}));

/** Blocks of values for each type that can be written; the first byte says which. */
export const ggufValueSeeds = ggufQuantizers.names.map((_, i) => {
  const values = Float32Array.from({ length: 64 }, (_value, j) => Math.sin(j * j));
  return { bytes: Uint8Array.of(i, ...new Uint8Array(values.buffer)) };
});

/** Two files of one model; and each of them may be in the place of the other. */
export const ggufShardSeeds = [0, 1].map((no) =>
  writeGguf({
    metadata: { 'split.no': no, 'split.count': 2, 'split.tensors.count': 2, 'general.architecture': 'llama' },
    tensors: [f32Tensor(`t${no}`, [2])],
  }),
);

export const ggufModelSeeds = [
  writeGguf({ metadata: { ...ggufConfig, ...ggufTokenizer }, tensors: llamaTensors }),
  writeGguf({
    metadata: { 'general.architecture': 'llama', ...ggufTokenizer, 'tokenizer.ggml.pre': 'llama-bpe' },
    tensors: [],
  }),
  // With factors of frequencies; offsets of norms; fused matrices, whose rows move.
  ...['01-llama', '06-gemma2', '08-phi3', '12-gptneox'].map((name) => ({
    bytes: new Uint8Array(readFileSync(new URL(`runtime/src/fixtures/gguf/${name}.gguf`, packages))),
    fields: [],
  })),
];

/** Quantized matrices of others, each a file with its quantization_config as metadata. */
export const checkpointSeeds = await checkpointFiles();

async function checkpointFiles() {
  const vectors = await openSafetensors(
    blobSource(new Blob([fixture('checkpoints.safetensors')]), 'vectors'),
  );
  const seeds = [];
  for (const [name, quantization_config] of vectors.metadata) {
    const parts = [];
    for (const [tensorName, { dtype, shape }] of vectors.tensors) {
      if (!tensorName.startsWith(`${name}.m.`)) continue;
      const bytes = await vectors.readBytes(tensorName);
      parts.push({ name: tensorName.slice(name.length + 1), dtype, shape, bytes });
    }
    seeds.push({ bytes: safetensors(parts, { quantization_config }) });
  }
  return seeds;
}

const listed = (path, more = {}) => ({ type: 'file', path, size: 5, oid: 'a'.repeat(40), ...more });

/** What a hub answers, a line each: a commit, and the pages of a listing. */
export const hubAnswerSeeds = [
  [{ sha: 'c'.repeat(40) }, [listed('config.json'), { type: 'directory', path: 'sub' }]],
  [
    { sha: '0123456789'.repeat(4) },
    [
      listed('sub/model.safetensors', {
        lfs: { oid: 'b'.repeat(64), size: 7, pointerSize: 100 },
        xetHash: 'x',
      }),
    ],
  ],
].map((answers) => ({ bytes: encode(answers.map((answer) => JSON.stringify(answer)).join('\n')) }));

/** What an HTTP server answers, in turn: status, headers and body. */
export const httpAnswerSeeds = [
  [{ status: 206, headers: { 'content-range': 'bytes 0-63/200', etag: '"1"' }, body: 'x'.repeat(64) }],
  [
    { status: 206, headers: { 'content-range': 'bytes 0-63/200', etag: '"1"' }, body: 'x'.repeat(64) },
    { status: 206, headers: { 'content-range': 'bytes 100-163/200', etag: '"1"' }, body: 'y'.repeat(64) },
  ],
  [{ status: 200, headers: { 'content-length': '5' }, body: 'hello' }],
  [{ status: 429, headers: { 'retry-after': '0', 'x-error-message': 'slow down' }, body: '' }],
  [{ status: 416, headers: { 'content-range': 'bytes */0' }, body: '' }],
].map((answers) => ({ bytes: encode(answers) }));

export const hubReferenceSeeds = [
  'hf:owner/name@refs/pr/1/sub/file.gguf',
  'https://huggingface.co/owner/name/blob/main/a%20b.gguf?x=1',
  'owner/name',
].map((text) => ({ bytes: encode(text) }));
